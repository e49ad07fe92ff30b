"""Planned work: which findings it explains, by where they lie and when their evidence fell."""

from __future__ import annotations

from collections.abc import Sequence

from qianshao.clock import MINUTE_MS
from qianshao.config import Maintenance
from qianshao.desk.case import GOES_ON
from qianshao.event import DIMENSIONS
from qianshao.finding import Finding

GRACE_MS = 15 * MINUTE_MS
"""People go on telling of planned work for so long after its end."""
AGREE = 0.8
"""Where no dimension explains a finding, so large a share of what its events state must be the window's value …"""
STATED = 0.5
"""… and at least this share of them must state it."""


def explaining(windows: Sequence[Maintenance], finding: Finding) -> Maintenance | None:
    """Return the first window that explains a finding, None if none does.

    A finding of danger is explained by none. Every dimension that the window names must agree, and no more than a fifth
    of the evidence may lie outside the time from its start to its end with the grace: what began before, or goes on
    afterwards, has another cause. A finding without events, such as a channel's silence, counts with its tick.
    """
    if finding.series.measure == "danger":
        return None
    return next((window for window in windows if _in_time(window, finding) and _in_place(window, finding)), None)


def ends_at(window: Maintenance) -> int:
    """Until when a window explains evidence, epoch milliseconds."""
    return window.end_ms + GRACE_MS


def _in_time(window: Maintenance, finding: Finding) -> bool:
    if not finding.evidence:
        return window.start_ms <= finding.tick < ends_at(window)
    outside = sum(not window.start_ms <= event.ts < ends_at(window) for event in finding.evidence)
    return outside <= GOES_ON * len(finding.evidence)


def _in_place(window: Maintenance, finding: Finding) -> bool:
    for name in DIMENSIONS:
        wanted: str | None = getattr(window, name)
        if wanted is None:
            continue
        named = finding.dims.get(name)
        if named is not None:
            if [wanted] != ([named] if isinstance(named, str) else named):
                return False
            continue
        stated = [value for event in finding.evidence if (value := event.dimension(name)) is not None]
        if not stated or len(stated) < STATED * len(finding.evidence) or stated.count(wanted) < AGREE * len(stated):
            return False
    return True
