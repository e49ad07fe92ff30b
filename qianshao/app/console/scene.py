"""What the page knows at one moment: plain values, read once from the store, from which every view is drawn."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from qianshao.incident import IncidentChange
from qianshao.outcome import Tally
from sinks.queries import TopicVolume, VolumeBin


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the overview shows."""

    zone: ZoneInfo
    now_ms: int
    """Event time up to which decisions have fallen; on a finished replay the end of the recorded world."""
    finished: bool
    bin_minutes: int
    volumes: list[VolumeBin]
    hotspots: list[TopicVolume]
    """Topics of the last hour, the largest excess over their expectation first."""
    incidents: list[IncidentChange]
    """The newest state of every incident that was ever opened, ongoing ones first."""
    recent: list[IncidentChange]
    """Changes of the incidents above, newest first."""
    watching: int
    """Weak evidence under watch: told to nobody."""
    pushes_proposed: int
    deadletters: dict[str, int]
    """Reason → how many."""
    accounting: Tally
