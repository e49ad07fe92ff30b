"""The daily rhythm of broad volume series, and the band in which a five-minute bin was expected."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

SLOTS = 24
_WEIGHT = 0.25
_ALPHA = 0.12
_MAX_ROWS = 5_000


class Band(NamedTuple):
    """Expected customers of a bin and the range in which 95 in 100 ordinary bins fall."""

    expected: float
    low: float
    high: float


NO_BAND = Band(0.0, 0.0, 0.0)


class Rhythm:
    """Mean customers per five-minute bin by hour of day, one exponential average per series and hour.

    It answers what the live board draws behind a volume. A day's worth of history gives the first band; before that the
    series' running mean stands in. When it fails: weekends differ from weekdays by more than the band's width for the
    first day of each. Cost: constant per bin.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._level: dict[int, list[float]] = {}
        self._seen: dict[int, list[int]] = {}

    def band(self, row: int, start_ms: int) -> Band:
        """Return the band of a bin that starts at `start_ms`."""
        level = self._level.get(row)
        if level is None:
            return NO_BAND
        seen = self._seen[row]
        hour, fraction = self._hour(start_ms)
        near = (hour + (1 if fraction >= 0.5 else -1)) % SLOTS
        known = [slot for slot in range(SLOTS) if seen[slot]]
        mean = sum(level[slot] for slot in known) / max(1, len(known))
        here = level[hour] if seen[hour] >= 12 else mean
        there = level[near] if seen[near] >= 12 else here
        weight = abs(fraction - 0.5)
        return self.around(here * (1 - weight) + there * weight, _ALPHA)

    def around(self, expected: float, alpha: float) -> Band:
        """Return the band of a negative binomial around an expectation (normal approximation on the square root)."""
        spread = 1.96 * math.sqrt(expected + alpha * expected * expected)
        return Band(round(expected, 3), round(max(0.0, expected - spread), 3), round(expected + spread + 0.5, 3))

    def learn(self, row: int, start_ms: int, customers: int) -> None:
        """Learn one closed bin, winsorised at three times its expectation once the hour is known."""
        level = self._level.get(row)
        if level is None:
            if len(self._level) >= _MAX_ROWS:
                return
            level = self._level[row] = [0.0] * SLOTS
            self._seen[row] = [0] * SLOTS
        seen = self._seen[row]
        hour, _ = self._hour(start_ms)
        value = float(customers)
        if seen[hour] >= 12:
            value = min(value, 3.0 * level[hour] + 2.0)
        weight = max(_WEIGHT / 12, 1.0 / (seen[hour] + 1))
        level[hour] += weight * (value - level[hour])
        seen[hour] += 1

    def _hour(self, start_ms: int) -> tuple[int, float]:
        moment = datetime.fromtimestamp(start_ms / 1000, tz=self._zone)
        return moment.hour, moment.minute / 60

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return [(row, level, self._seen[row]) for row, level in self._level.items()]

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._level = {row: list(level) for row, level, _ in state}
        self._seen = {row: list(seen) for row, _, seen in state}
