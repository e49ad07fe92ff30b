"""Nightly storms: what devices write in the same hour every day, as after a scheduled reconnection, is rhythm."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.counts import FINE_BINS, HOURS, CountTable, Floats, Ints
from detectors.measures import WITNESS
from qianshao.clock import HOUR_MS

STORM = 10.0
"""Devices in an hour, below which it is no storm."""
STANDS_OUT = 4.0
"""How many times as many as in an ordinary hour of the day of the same value a storm has."""
KEPT_A_DAY = 0.9
"""How much of a storm is remembered a day later."""
LARGER = 1.6
"""A storm so many times as large as those before is no rhythm any more."""


class Storms:
    """Remembers of each value that devices write how many of them wrote it in each hour of the day.

    A rise that lies in an hour in which as many wrote on a day before is explained, wherever in the shard it lies: of a
    few hundred devices that reconnect at night, by chance ever other regions have more than they ever had. When it
    fails: the first storm of all, if it falls after the hours of learning; an incident that begins in the hour of a
    storm and stays smaller than the storm. Cost: one pass over the values of devices an hour.

    Parameters
    ----------
    table
        The counts of the shard.
    root
        Whether the shard sees all lines.
    """

    def __init__(self, table: CountTable, *, root: bool) -> None:
        self._table = table
        self._broad = () if root else ("line",)
        self._days: dict[int, Floats] = {}
        """Number of the value → devices in each hour of the day, the most of the days before."""

    def close_hour(self) -> None:
        """Learn the hour that ends; call before the table rolls on."""
        table = self._table
        hour = (table.bin // FINE_BINS) % HOURS
        for value, (measure, _) in enumerate(table.measured):
            if WITNESS.get(measure) != "devices":
                continue
            seen = float(table.this_hour(self._rows(value)).sum())
            if value not in self._days:
                if not seen:
                    continue
                self._days[value] = np.zeros(HOURS)
            day = self._days[value]
            day[hour] = max(KEPT_A_DAY * day[hour], seen)

    def explain(self, value: int, window: int) -> bool:
        """Return whether the devices of a value in a window are those of a storm that comes every day."""
        day = self._days.get(value)
        if day is None:
            return False
        first, now = self._table.window_start(window) // HOUR_MS, self._table.bin // FINE_BINS
        hours = [hour % HOURS for hour in range(first, now + 1)][:HOURS]
        least = max(STORM, STANDS_OUT * float(np.median(day)))
        storms = [hour for hour in hours if day[hour] >= least]
        usual = float(day[hours].sum())
        if 2 * float(day[storms].sum()) < usual or not storms:
            return False
        return float(self._table.windows(self._rows(value))[:, window].sum()) <= LARGER * usual

    def _rows(self, value: int) -> Ints:
        return np.array(self._table.rows_with(value, self._broad), dtype=np.int64)

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return [(value, day.tolist()) for value, day in self._days.items()]

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._days = {value: np.array(day) for value, day in state}
