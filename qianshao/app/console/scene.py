"""What the page knows at one moment: plain values, read once from the store, from which every view is drawn."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from qianshao.incident import IncidentChange


class VolumeBin(msgspec.Struct, frozen=True, kw_only=True):
    """Distinct customers in contact during one bin, with the band in which that was expected."""

    start_ms: int
    customers: int
    messages: int
    expected: float
    low: float
    high: float
    learning: bool
    """True while the band rests on too little history to be trusted."""


class Hotspot(msgspec.Struct, frozen=True, kw_only=True):
    """One topic in the last hour: how many customers, against how many were expected."""

    name: str
    scope: str
    customers: int
    expected: float


class Accounting(msgspec.Struct, frozen=True, kw_only=True):
    """Where every record ended: `read` = `counted` + `late` + `dead` + `duplicate` + `dropped`."""

    read: int = 0
    counted: int = 0
    late: int = 0
    dead: int = 0
    duplicate: int = 0
    dropped: int = 0


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the overview shows."""

    zone: ZoneInfo
    now_ms: int
    """Event time up to which decisions have fallen; on a finished replay the end of the recorded world."""
    finished: bool
    bin_minutes: int
    volumes: list[VolumeBin]
    hotspots: list[Hotspot]
    incidents: list[IncidentChange]
    """The newest state of every incident that was ever opened, ongoing ones first."""
    watching: int
    """Weak evidence under watch: told to nobody."""
    pushes_proposed: int
    deadletters: dict[str, int]
    accounting: Accounting
