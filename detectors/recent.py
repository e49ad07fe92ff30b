"""The events of the last day by what they were counted as, so that a finding can show who stands behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from qianshao.clock import DAY_MS
from qianshao.event import Observation

MAX_PER_VALUE = 3_000
MAX_HELD = 200_000
"""References held over all values, about 1 KB each at most."""


class RecentEvents:
    """Bounded memory of recent events per measure value, oldest first."""

    def __init__(self) -> None:
        self._events: dict[int, deque[Observation]] = {}
        self._held = 0

    def add(self, measured: int, observation: Observation) -> None:
        """Remember one event under one measure value."""
        events = self._events.get(measured)
        if events is None:
            events = self._events[measured] = deque(maxlen=MAX_PER_VALUE)
        if len(events) < MAX_PER_VALUE:
            self._held += 1
        events.append(observation)
        if self._held > MAX_HELD:
            self._halve()

    def _halve(self) -> None:
        """Let the older half of every value go: under a flood the memory reaches less far back, but never grows."""
        for events in self._events.values():
            for _ in range((len(events) + 1) // 2):
                events.popleft()
        self._held = sum(map(len, self._events.values()))

    def since(self, measured: int, start_ms: int) -> Iterator[Observation]:
        """Yield the events of a measure value not older than `start_ms`."""
        return (event for event in self._events.get(measured, ()) if event.ts >= start_ms)

    def forget(self, now_ms: int) -> None:
        """Drop events older than a day."""
        horizon = now_ms - DAY_MS
        for measured in list(self._events):
            events = self._events[measured]
            while events and events[0].ts < horizon:
                events.popleft()
            if not events:
                del self._events[measured]
        self._held = sum(map(len, self._events.values()))

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return [(measured, msgspec.to_builtins(list(events))) for measured, events in self._events.items()]

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._events = {
            measured: deque(msgspec.convert(events, list[Observation]), maxlen=MAX_PER_VALUE)
            for measured, events in state
        }
        self._held = sum(map(len, self._events.values()))
