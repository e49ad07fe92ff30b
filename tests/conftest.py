"""What every room's tests share: a missing part skips a test, unless the run says that the part must be there."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

REQUIRED_PARTS = frozenset(part.strip() for part in os.environ.get("QIANSHAO_REQUIRE", "").split(",") if part.strip())

Require = Callable[[str, bool, str], None]


@pytest.fixture(scope="session")
def require() -> Require:
    """Return `require(part, available, reason)`: skip with the reason when the part is absent.

    The environment variable QIANSHAO_REQUIRE holds part names separated by commas. A part named there must be present:
    its absence fails the test, so that a run which promised to look cannot silently look away.
    """

    def check(part: str, available: bool, reason: str) -> None:
        if available:
            return
        if part in REQUIRED_PARTS:
            pytest.fail(f"QIANSHAO_REQUIRE names {part!r}, but {reason}", pytrace=False)
        pytest.skip(reason)

    return check
