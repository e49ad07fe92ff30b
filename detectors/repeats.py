"""Customers who come back: the same topic in another conversation within three days, for the live board."""

from __future__ import annotations

from typing import Any

from detectors.cells import Cell
from detectors.counts import FINE_MS
from qianshao.clock import DAY_MS
from qianshao.event import Observation
from qianshao.outcome import Rollup
from qianshao.series import Series

WITHIN_MS = 3 * DAY_MS
MAX_REMEMBERED = 200_000
"""Customers × topics that are remembered per shard; beyond it the oldest leave, and their return is not seen."""

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class RepeatContacts:
    """Counts, per bin and broad cell, the customers who contacted again about what they had contacted about before.

    It answers whether the first answer helped. It decides nothing: no alarm depends on it. When it fails: an event
    without a conversation or a topic says nothing about coming back, and beyond `maximum` pairs of customer and topic
    the share is too low. Cost: one dictionary look-up an event with a topic; about 170 bytes a pair.
    """

    def __init__(self, *, root: bool, maximum: int = MAX_REMEMBERED) -> None:
        self._root = root
        self._maximum = maximum
        self._topics: dict[str, int] = {}
        self._last: dict[int, tuple[int, int]] = {}
        """Customer and topic → conversation and time of the newest contact, least recent first."""
        self._returned: dict[Cell, dict[int, int]] = {}
        """Cell → customer → returns in this bin."""

    def see(self, observation: Observation) -> None:
        """Take one event of a customer's voice, in order of time."""
        conversation, topic, who = observation.conversation, observation.topic, observation.customer
        if not (conversation and topic and who):
            return
        key = (who ^ (self._topics.setdefault(topic, len(self._topics) + 1) * _MIX)) & _MASK
        before = self._last.pop(key, None)
        self._last[key] = (conversation, observation.ts)
        if before is None:
            if len(self._last) > self._maximum:
                del self._last[next(iter(self._last))]
            return
        if before[0] != conversation and observation.ts - before[1] <= WITHIN_MS:
            for cell in self._cells(observation):
                returned = self._returned.setdefault(cell, {})
                returned[who] = returned.get(who, 0) + 1

    def _cells(self, observation: Observation) -> list[Cell]:
        if self._root:
            return [()]
        line, product = observation.line, observation.product
        if not line:
            return []
        cells: list[Cell] = [(("line", line),)]
        if product:
            cells.append((("line", line), ("product", product)))
        return cells

    def close_bin(self, start: int) -> list[Rollup]:
        """Write the bin that begins at `start`, without a band: nothing is expected of this measure."""
        rollups = [
            Rollup(
                series=Series("repeat", "", cell),
                bin_start=start,
                bin_ms=FINE_MS,
                messages=sum(returned.values()),
                customers=len(returned),
                expected=0.0,
                low=0.0,
                high=0.0,
                learning=True,
            )
            for cell, returned in sorted(self._returned.items())
        ]
        self._returned.clear()
        return rollups

    def forget(self, now: int) -> None:
        """Drop contacts too old to be returned to."""
        stale = 0
        for _, ts in self._last.values():
            if ts >= now - WITHIN_MS:
                break
            stale += 1
        for key in [key for key, _ in zip(self._last, range(stale), strict=False)]:
            del self._last[key]

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "topics": list(self._topics.items()),
            "last": [(key, conversation, ts) for key, (conversation, ts) in self._last.items()],
            "returned": [(cell, list(returned.items())) for cell, returned in self._returned.items()],
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._topics = dict(state["topics"])
        self._last = {key: (conversation, ts) for key, conversation, ts in state["last"]}
        self._returned = {
            tuple((name, value) for name, value in cell): dict(returned) for cell, returned in state["returned"]
        }
