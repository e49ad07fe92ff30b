"""How many customers were expected in a bin of the broad volumes: the band that a live board draws behind them."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.calendar import Calendar
from detectors.count_bank import CountBank, CountSettings
from detectors.counts import FINE_BINS, FINE_MS, HOURS, CountTable, Floats, Ints
from detectors.holidays import day_kind
from qianshao.clock import HOUR_MS

MAX_ROWS = 5_000
_LEAST_RATIO = 1.2
_WIDE = 1.96


class Band(NamedTuple):
    """Expected customers of a bin and the range in which 95 in 100 ordinary bins fall."""

    expected: float
    low: float
    high: float


NO_BAND = Band(0.0, 0.0, 0.0)


def band_around(expected: float, variance: float) -> Band:
    """Return the band around an expectation (normal approximation)."""
    spread = _WIDE * variance**0.5
    return Band(round(expected, 3), round(max(0.0, expected - spread), 3), round(expected + spread + 0.5, 3))


class Volumes:
    """Learns the volumes of everybody hour by hour, and says what was expected of each five-minute bin.

    Level, hours of weekdays and weekends, public holidays, worked weekends and dispersion are those of `CountBank`; a
    planned day multiplies what is expected. Between the middles of two hours the expectation is drawn as a line. A
    series starts from its parent's rhythm; until two days of it are known, it is marked as learning.

    When it fails: rhythms within an hour. Cost: 1 ms an hour, and a few numbers a bin.
    """

    def __init__(self, table: CountTable, calendar: Calendar, zone: tzinfo) -> None:
        self._table = table
        self._calendar = calendar
        self._zone = zone
        settings = CountSettings(bin_ms=HOUR_MS, maximum_series=MAX_ROWS)
        self._bank = CountBank(settings, zone=zone, worked=lambda day: day_kind(day) == "working_weekend")
        self._place: dict[int, int] = {}
        self._near: tuple[int, NDArray[np.float64], NDArray[np.float64]] | None = None
        """Start of an hour, expected counts of the hour before, this one and the next, and variance over mean."""
        self._fine = np.zeros((0, FINE_BINS))
        """What was expected of the last five-minute bins, and hours, of each learnt row: rings as those of the table;
        nan while it was learning."""
        self._hours = np.zeros((0, HOURS))
        self._windows: tuple[int, Floats] | None = None

    def watch(self, row: int) -> None:
        """Learn a row of the table from now on; beyond the bound further ones are not learnt."""
        if row in self._place or len(self._place) >= MAX_ROWS:
            return
        above = self._place.get(int(self._table.parent[row]), -1)
        self._bank.ensure(len(self._place) + 1, [above])
        self._place[row] = len(self._place)
        self._near = None

    def band(self, row: int, start_ms: int) -> Band:
        """Return the band of the five-minute bin of a row that starts at `start_ms`."""
        place = self._place.get(row)
        if place is None:
            return NO_BAND
        hour = start_ms - start_ms % HOUR_MS
        if self._near is None or self._near[0] != hour:
            self._near = self._around(hour)
        _, means, ratios = self._near
        # From the middle of the hour: −0.5 … 0.5 hours.
        offset = (start_ms + FINE_MS / 2 - hour) / HOUR_MS - 0.5
        other = 2 if offset > 0 else 0
        line = dict(self._table.cells[int(self._table.row_cell[row])]).get("line", "")
        mean = (1 - abs(offset)) * means[1, place] + abs(offset) * means[other, place]
        mean *= FINE_MS / HOUR_MS * self._calendar.multiplier(start_ms, line)
        return band_around(float(mean), float(mean * max(ratios[place], _LEAST_RATIO)))

    def rows(self) -> list[int]:
        """Return the rows of the table that are learnt, in the order in which they came."""
        return list(self._place)

    def close_bin(self, bin_: int) -> None:
        """Note what was expected of the five-minute bin that ends; call before the table rolls on."""
        self._note(bin_)

    def _note(self, bin_: int) -> None:
        """Write what is expected of a bin, and of its hour up to it, into the rings."""
        missing = len(self._place) - len(self._fine)
        if missing:
            self._fine = np.concatenate((self._fine, np.full((missing, FINE_BINS), np.nan)))
            self._hours = np.concatenate((self._hours, np.full((missing, HOURS), np.nan)))
        start = bin_ * FINE_MS
        learning = self._bank.model.learning()
        for row, place in self._place.items():
            self._fine[place, bin_ % FINE_BINS] = np.nan if learning[place] else self.band(row, start).expected
        bins = [(bin_ - back) % FINE_BINS for back in range(bin_ % FINE_BINS + 1)]
        self._hours[:, (bin_ // FINE_BINS) % HOURS] = self._fine[:, bins].sum(axis=1)

    def windows(self, rows: Ints) -> Floats:
        """Return what was expected in the windows that end with the table's current bin, that bin whole.

        Shape (rows, windows); nan where the row is not learnt, or was not yet in any of them.
        """
        bin_ = self._table.bin
        if self._windows is None or self._windows[0] != bin_ or len(self._windows[1]) != len(self._place):
            self._note(bin_)
            fine, hours = self._table.within()
            columns = [self._fine[:, each].sum(axis=1) for each in fine] + [
                self._hours[:, each].sum(axis=1) for each in hours
            ]
            expected = np.stack(columns, axis=1)
            # What has just been learnt is not to be relied on in its short windows either.
            expected[np.isnan(expected).any(axis=1)] = np.nan
            self._windows = (bin_, expected)
        expected = np.full((len(rows), self._windows[1].shape[1]), np.nan)
        for at, row in enumerate(rows.tolist()):
            if row in self._place:
                expected[at] = self._windows[1][self._place[row]]
        return expected

    def learning(self, row: int) -> bool:
        """Return whether less than two days of a row are known."""
        place = self._place.get(row)
        return place is None or bool(self._bank.model.learning()[place])

    def close_hour(self, start_ms: int) -> None:
        """Learn the hour that starts at `start_ms`; it is the table's current one and its last bin is full."""
        if not self._place:
            return
        rows = np.fromiter(self._place, np.int64, len(self._place))
        table = self._table
        lines = [dict(table.cells[int(table.row_cell[row])]).get("line", "") for row in rows]
        planned = np.array([self._calendar.multiplier(start_ms, line) for line in lines], dtype=np.float32)
        self._bank.update(table.this_hour(rows), start_ms, holiday=self._holiday(start_ms), planned=planned)
        self._near = None

    def _around(self, hour: int) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        model = self._bank.model
        each = [model.expect(start, self._holiday(start)) for start in (hour - HOUR_MS, hour, hour + HOUR_MS)]
        means = np.stack([one.mean for one in each]).astype(np.float64)
        return hour, means, (each[1].variance / each[1].mean).astype(np.float64)

    def _holiday(self, start_ms: int) -> float:
        return float(day_kind(datetime.fromtimestamp(start_ms / 1000, tz=self._zone).date()) == "holiday")

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "rows": list(self._place),
            "bank": self._bank.snapshot(),
            "fine": self._fine.tobytes(),
            "hours": self._hours.tobytes(),
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._place = {row: place for place, row in enumerate(state["rows"])}
        self._bank.restore(state["bank"])
        self._fine = np.frombuffer(state["fine"], dtype=np.float64).reshape(-1, FINE_BINS).copy()
        self._hours = np.frombuffer(state["hours"], dtype=np.float64).reshape(-1, HOURS).copy()
        self._near, self._windows = None, None
