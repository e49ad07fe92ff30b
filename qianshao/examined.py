"""What an examination of one part of the surroundings found."""

from __future__ import annotations

import msgspec


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `qianshao doctor`."""

    part: str
    """What was looked at."""
    ok: bool | None
    """None = it could not be told, mostly because an earlier part is missing."""
    detail: str
    """What was found and, where it is not in order, what to do."""
