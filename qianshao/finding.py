"""A finding: one series is stranger than it should be, with what was seen, what was expected and who stands behind."""

from __future__ import annotations

from typing import Literal

import msgspec

from qianshao.event import Observation
from qianshao.series import Series

SignalKind = Literal["rise", "drop", "silence", "new", "shift", "repeat", "device"]


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was just being brought out where something broke: a reason to ask, no proof."""

    dimension: str
    """`firmware`, or the name of an own dimension."""
    value: str
    since: int
    """When its roll-out began, epoch milliseconds."""
    share: float
    """Share of all devices and customers of `among` who had it by then, 0–1."""
    among: str
    """The model, or the product; '' = everybody who states this dimension."""


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
    """The events that carry it, oldest first, at most 500 and the newest of them."""
    dims: dict[str, str | list[str]] = {}
    """The most specific combination that explains the excess; {} = no dimension does."""
    keywords: tuple[str, ...] = ()
    """Contrastive terms of the evidence against the ordinary traffic, best first."""
    quotes: tuple[str, ...] = ()
    """Masked representative texts."""
    suspect: Suspect | None = None
    """What was in roll-out there; None = nothing."""
    opens: bool = False
    """Strong enough to open an incident alone; False = a weak witness."""
    over: bool = False
    """What this series said before has ended: it is back to what is expected of it."""
