"""How many times their share of everybody series may have in each window, by what is planned of its days."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detectors.calendar import Calendar
from detectors.counts import CountTable, Floats, Ints
from detectors.shares import LongRunShares
from qianshao.clock import DAY_MS


class Planned:
    """Expects more of what customers say on a planned day, and never of what devices report.

    Where a cell crosses lines, each line counts by its ordinary share of the series. A window that began on the day
    before expects of each customer what was planned for the day on which he came: a sale is no surprise in the night
    after it.

    When it fails: what is planned is taken to raise whatever is said in its line. Cost: nothing where nothing is
    planned, else about 10 µs a row.

    Parameters
    ----------
    table, shares, calendar
        Who came when in one shard, who is ordinarily seen, and the planned days.
    """

    def __init__(self, table: CountTable, shares: LongRunShares, calendar: Calendar) -> None:
        self._table = table
        self._shares = shares
        self._calendar = calendar

    def times(self, rows: Ints, tick: int, *, devices: NDArray[np.bool_]) -> Floats:
        """Return what to multiply the expectation of rows with, (rows, windows) or (rows, 1).

        Parameters
        ----------
        rows
            Rows of the table, their denominators known.
        tick
            End of the windows, epoch milliseconds.
        devices
            Which of them devices write, shape (rows,).
        """
        today, before = self._calendar.planned(tick - 1), self._calendar.planned(tick - 1 - DAY_MS)
        times: Floats = np.ones((len(rows), 1))
        if today or before:
            part = self._table.part_since(self._table.denominator[rows], self._calendar.midnight(tick - 1))
            each = np.array([[self._on(row, plan) for plan in (today, before)] for row in rows.tolist()])
            times = part * each[:, :1] + (1.0 - part) * each[:, 1:]
            times[devices] = 1.0
        return times

    def _on(self, row: int, plan: Mapping[str, float]) -> float:
        """How many times its share a series may be on a day of which that is planned."""
        cell = dict(self._table.cells[int(self._table.row_cell[row])])
        value = int(self._table.row_measured[row])
        lines = {cell["line"]: 1.0} if "line" in cell else self._shares.of(value, cell, "line")
        everywhere = plan.get("", 1.0)
        return everywhere + sum(
            lines.get(line, 0.0) * (max(times, everywhere) - everywhere) for line, times in sorted(plan.items())
        )
