"""Customers who come back: the same topic or fault in another conversation within three days."""

from __future__ import annotations

from typing import Any

from detectors.cells import Cell
from detectors.counts import FINE_MS
from qianshao.clock import DAY_MS
from qianshao.event import Observation
from qianshao.outcome import Rollup
from qianshao.series import Series

WITHIN_MS = 3 * DAY_MS
SETTLED_MS = WITHIN_MS + DAY_MS
"""How long a bank must have run before returns say anything: until then fewer can have come back than do ordinarily."""
MAX_TOPICS = 5_000
"""Topics and themes that are told apart; about further ones nobody is seen coming back."""
MAX_REMEMBERED = 200_000
"""Customers × topics that are remembered per shard; beyond it the oldest leave, and their return is not seen."""

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class RepeatContacts:
    """Counts, per bin and broad cell, the customers who contacted again about what they had contacted about before.

    It answers whether the first answer helped. Each return is also told to the caller, who counts it as a series of
    its topic. Many messages of one conversation are one contact, over whatever channel. When it fails: an event
    without a conversation or a topic says nothing about coming back, and beyond `maximum` pairs of customer and topic
    or theme the share is too low. Cost: one or two dictionary look-ups an event with a topic; about 170 bytes a pair.
    """

    def __init__(self, *, root: bool, maximum: int = MAX_REMEMBERED) -> None:
        self._root = root
        self._maximum = maximum
        self._topics: dict[str, int] = {}
        self._last: dict[int, tuple[int, int]] = {}
        """Customer and topic → conversation and time of the newest contact, least recent first."""
        self._returned: dict[Cell, dict[int, int]] = {}
        """Cell → customer → returns in this bin."""

    def see(self, observation: Observation) -> bool:
        """Take one event of a customer's voice, in order of time; return whether the customer came back with it."""
        conversation, topic, who = observation.conversation, observation.topic, observation.customer
        if not (conversation and topic and who):
            return False
        back = self._came_back(topic, observation)
        if observation.theme:
            back |= self._came_back(observation.theme, observation)
        if back:
            for cell in self._cells(observation):
                returned = self._returned.setdefault(cell, {})
                returned[who] = returned.get(who, 0) + 1
        return back

    def _came_back(self, about: str, observation: Observation) -> bool:
        """Remember this contact about a topic or theme; return whether it follows another conversation about it."""
        number = self._topics.get(about)
        if number is None:
            if len(self._topics) >= MAX_TOPICS:
                return False
            number = self._topics[about] = len(self._topics) + 1
        key = (observation.customer ^ (number * _MIX)) & _MASK
        before = self._last.pop(key, None)
        self._last[key] = (observation.conversation, observation.ts)
        if before is None:
            if len(self._last) > self._maximum:
                del self._last[next(iter(self._last))]
            return False
        return before[0] != observation.conversation and observation.ts - before[1] <= WITHIN_MS

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
