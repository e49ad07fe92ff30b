"""A finding: one series is stranger than it should be, with what was seen, what was expected, and who stands behind it."""

from __future__ import annotations

from typing import Literal

import msgspec

from qianshao.event import Observation
from qianshao.series import Series

SignalKind = Literal["rise", "drop", "silence", "new", "shift", "repeat", "device"]


class Finding(msgspec.Struct, kw_only=True, gc=False):
    """What a detector says about one series at one tick of the decision grid."""

    series: Series
    kind: SignalKind
    tick: int
    """Tick of the decision, epoch milliseconds."""
    window_start: int
    window_end: int
    observed: float
    """Distinct customers (or devices) in the window."""
    expected: float
    score: float
    """−log10 of the calibrated tail probability, higher = stranger."""
    witness: str
    """Which independent source speaks: contacts, tickets, devices."""
    evidence: tuple[Observation, ...]
    """The events that carry it, oldest first; on a repeated finding only those not given before."""
    opens: bool = False
    """Strong enough to open an incident alone; False = a weak witness."""
