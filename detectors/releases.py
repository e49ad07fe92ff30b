"""What a release is expected to report: as many of each error among its errors as the rest of its product has."""

from __future__ import annotations

import numpy as np

from detectors.baseline import HALF_OF_A_CELL, ShareBaseline
from detectors.counts import WINDOWS, CountTable, Floats, Ints
from qianshao.event import DIMENSIONS

KNOWN = 20.0
"""Devices with an error that the rest of the product must have had before it says how often which one is."""
_ERRORS = frozenset(("code", "template"))
_PRODUCT = ("line", "product")


class Releases:
    """Compares the errors of a firmware, a batch or an app version with those of the rest of its product.

    On the day of a roll-out every device that takes the release reports so, and hardly one an error: a share of all
    that report anything is too small for weeks after it, and the product's ordinary codes look like a fault of the
    release. Which of its errors are of one code does not depend on who reports nothing else.

    When it fails: a release that breaks two things at once hides part of each. Cost: a pass over the table a row, asked
    only of series of devices that exceed what they ever had.
    """

    def __init__(self, table: CountTable, baseline: ShareBaseline) -> None:
        self._table = table
        self._baseline = baseline

    def least(self, rows: Ints) -> Floats:
        """Return the least that is expected of `rows` beside the other errors of their cells: (rows, windows).

        0 where a row is of no release, and where the rest of its product has not reported the value or hardly anything.
        """
        self._baseline.follow()
        table, total = self._table, self._baseline.total
        least = np.zeros((len(rows), WINDOWS))
        errors: dict[int, Ints] = {}
        for at, row in enumerate(rows.tolist()):
            product = self._product_of(row)
            if product < 0:
                continue
            for cell in (int(table.row_cell[row]), int(table.row_cell[product])):
                if cell not in errors:
                    errors[cell] = self._errors_in(cell)
            here, whole = errors[int(table.row_cell[row])], errors[int(table.row_cell[product])]
            elsewhere = total[whole].sum() - total[here].sum()
            if elsewhere < KNOWN:
                continue
            share = min(max(total[product] - total[row], 0.0) / elsewhere, HALF_OF_A_CELL)
            least[at] = share / (1.0 - share) * table.windows(here[here != row]).sum(axis=0)
        return least

    def _errors_in(self, cell: int) -> Ints:
        """Return the rows of all errors in a cell."""
        table = self._table
        here = np.flatnonzero(table.row_cell[: table.n] == cell)
        errors = [table.measured[value][0] in _ERRORS for value in table.row_measured[here].tolist()]
        found: Ints = here[np.array(errors, dtype=np.bool_)]
        return found

    def _product_of(self, row: int) -> int:
        """Return the row of the same error in the product of a release, the largest of its line's if none is named.

        −1 where the row is no error of a release, and where its product has not had it.
        """
        table = self._table
        if table.measured[int(table.row_measured[row])][0] not in _ERRORS:
            return -1
        cell = dict(table.cells[int(table.row_cell[row])])
        if "line" not in cell or not ("firmware" in cell or cell.keys() - DIMENSIONS):
            return -1
        total = self._baseline.total
        rows = [
            each
            for each in table.rows_with(int(table.row_measured[row]), _PRODUCT)
            if all(cell.get(name, value) == value for name, value in table.cells[int(table.row_cell[each])])
        ]
        return max(rows, key=lambda each: (total[each], -each), default=-1)
