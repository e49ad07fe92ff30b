"""The bins of the broad series as they close, with the band in which they were expected: what a live board draws."""

from __future__ import annotations

from typing import Any

from detectors.baseline import ShareBaseline
from detectors.counts import FINE_MS, CountTable
from detectors.volumes import Volumes, band_around
from qianshao.clock import HOUR_MS
from qianshao.outcome import Rollup
from qianshao.series import Series


class Board:
    """Writes one rollup per broad series and five-minute bin.

    Everybody's volume is expected by its own rhythm, every other series as its share of everybody. Cost: one pass
    over the broad series a bin.
    """

    def __init__(self, table: CountTable, baseline: ShareBaseline, volumes: Volumes) -> None:
        self._table = table
        self._baseline = baseline
        self.volumes = volumes
        self._standing: set[int] = set()
        self._stood = 0
        self._broad: set[int] = set()

    def close_bin(self, *, learning: bool) -> list[Rollup]:
        """Write the closing bin of the broad series, with the band in which they were expected."""
        table = self._table
        self.volumes.close_bin(table.bin)
        start = table.bin * FINE_MS
        slot = table.bin % 12
        broad = self._broad
        broad.update(table.broad[len(broad) :])
        messages: dict[int, int] = {}
        for (measured, signed), number in sorted(table.messages.items()):
            for row in table.rows_of(measured, signed):
                if row in broad:
                    messages[row] = messages.get(row, 0) + number
        written = self._standing_rows()
        rollups: list[Rollup] = []
        table.settle()
        self._baseline.follow()
        for row in sorted(messages.keys() | written):
            measure, value = table.measured[int(table.row_measured[row])]
            customers = int(table.fine[row, slot])
            below = int(table.denominator[row])
            if below < 0:
                band = self.volumes.band(row, start)
                young = self.volumes.learning(row)
            else:
                expected = float(self._baseline.share[row]) * float(table.fine[below, slot])
                band = band_around(expected, expected + float(self._baseline.alpha[row]) * expected * expected)
                young = learning
            rollups.append(
                Rollup(
                    series=Series(measure, value, table.cells[int(table.row_cell[row])]),
                    bin_start=start,
                    bin_ms=FINE_MS,
                    messages=messages.get(row, 0),
                    customers=customers,
                    expected=band.expected,
                    low=band.low,
                    high=band.high,
                    learning=young,
                )
            )
        if slot == 11:
            self.volumes.close_hour(start + FINE_MS - HOUR_MS)
        return rollups

    def _standing_rows(self) -> set[int]:
        """Return the rows whose bins are written also when nobody came; volumes are watched from their first bin on."""
        table = self._table
        while self._stood < len(table.broad):
            row = table.broad[self._stood]
            self._stood += 1
            measure = table.measured[int(table.row_measured[row])][0]
            width = len(table.cells[int(table.row_cell[row])])
            if (measure == "contacts" and width <= 1) or (measure == "topic" and width == 0):
                self._standing.add(row)
            if table.denominator[row] < 0:
                self.volumes.watch(row)
        return self._standing

    def snapshot(self) -> Any:
        """Return the state as builtin types; all but the volumes is derived from the table."""
        return self.volumes.snapshot()

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self.volumes.restore(state)
