"""How many of everybody in a cell are ordinary: the victims of a cause must not hide it.

What is expected of a series is its share of everybody in its cell. Many victims name no fault; counted among everybody,
they would raise what is expected of those who do.
"""

from __future__ import annotations

import numpy as np

from detectors.baseline import ShareBaseline
from detectors.counts import WINDOWS, CountTable, Floats, Ints
from detectors.volumes import Volumes

EVERYBODY = ("contacts", "")
CHANCE = 2.0
"""Customers that are added to both sides before they are compared: a few more than expected are no surge."""
OTHERS_CHANCE = 5.0
PLACES = frozenset(("line", "product", "model", "region", "channel"))
"""Dimensions whose share of everybody is steady; who has a version changes with every roll-out."""
KNOWN_AROUND = 100.0
KNOWN = 20.0
"""Customers seen around a cell, and in it, before its share of them is known."""


class Surges:
    """Takes from everybody in a cell those who are more than the cell's ordinary share of its surroundings.

    The surroundings are, in the shard of a line, the product or else the line, of which the ordinary volume at this
    hour is known (`Volumes`), and in the root all who came. What the rest of the line has more of than usual is a busy
    day, and stays; what one product has more of is not. When it fails: an unplanned rush for one product is taken for
    its victims, which costs nothing as long as they name no fault more often than others; the first three days. Cost: a
    few numpy calls, asked only of series that exceed what they ever had.

    Parameters
    ----------
    table, baseline, volumes
        The counts of the shard, how much everybody's cells have seen, and the ordinary volumes.
    root
        Whether the shard sees all lines.
    """

    def __init__(self, table: CountTable, baseline: ShareBaseline, volumes: Volumes, *, root: bool) -> None:
        self._table = table
        self._baseline = baseline
        self._volumes = volumes
        self._root = root
        self._around: dict[int, int] = {}
        """Row of everybody in a cell → row of everybody around it, −1 where the cell's share is not steady."""
        self._products: dict[str, list[int]] = {}
        """Line → rows of everybody in each of its products, of the first `_indexed` volumes that are learnt."""
        self._indexed = 0

    def ordinary(self, rows: Ints, everybody: Floats) -> Floats:
        """Return everybody without those beyond the ordinary.

        Parameters
        ----------
        rows
            Rows that count everybody of a cell, shape (rows,).
        everybody
            How many came in the windows that end now, shape (rows, windows), as the result.
        """
        around = np.array([self._surroundings(row) for row in rows.tolist()], dtype=np.int64)
        known = around >= 0
        total = self._baseline.total
        known[known] = total[around[known]] >= KNOWN_AROUND
        known &= (around == rows) | (total[rows] >= KNOWN)
        if self._root:
            known &= around != rows
        if not known.any():
            return everybody
        places = around[known]
        came = self._table.windows(places) if self._root else self._usual(places)
        share = (total[rows[known]] / total[places])[:, None]
        factor = (came * share + CHANCE) / (everybody[known] + CHANCE)
        ordinary = everybody.copy()
        ordinary[known] *= np.where(np.isnan(factor), 1.0, np.minimum(factor, 1.0))
        return ordinary

    def _surroundings(self, row: int) -> int:
        found = self._around.get(row)
        if found is None:
            table, cell = self._table, self._cell(row)
            found = -1
            if table.measured[int(table.row_measured[row])] == EVERYBODY and cell.keys() <= PLACES:
                names = () if self._root else tuple(name for name in ("line", "product") if name in cell)
                found = table.row(EVERYBODY, tuple((name, cell[name]) for name in names))
            self._around[row] = found
        return found

    def _usual(self, places: Ints) -> Floats:
        """Return how many come to products and lines at such an hour, as busy as the rest of their line is."""
        each, of_place = np.unique(places, return_inverse=True)
        usual: Floats = self._volumes.windows(each)
        for at, row in enumerate(each.tolist()):
            usual[at] *= self._busy(row)
        placed: Floats = usual[of_place]
        return placed

    def _busy(self, row: int) -> Floats:
        """Return how many times as busy as usual, at least once, the line of a place is without that place.

        Of a line itself the product that surges most is left out: it may be the cause.
        """
        products = self._products_of(self._cell(row)["line"])
        expected = self._volumes.windows(products)
        known = ~np.isnan(expected).any(axis=1)
        if known.sum() < 2:
            return np.ones(WINDOWS)
        products, expected = products[known], expected[known]
        came = self._table.windows(products)
        excess = came - expected
        own = np.broadcast_to((products == row)[:, None], came.shape)
        left_out = own if own.any() else excess == excess.max(axis=0)
        others = np.where(left_out, 0.0, came).sum(axis=0) + OTHERS_CHANCE
        usual = np.where(left_out, 0.0, expected).sum(axis=0) + OTHERS_CHANCE
        times: Floats = np.maximum(others / usual, 1.0)
        return times

    def _products_of(self, line: str) -> Ints:
        """Return the rows of everybody in each product of a line, as far as their volume is learnt."""
        learnt = self._volumes.rows()
        for row in learnt[self._indexed :]:
            cell = self._cell(row)
            if "product" in cell and "line" in cell:
                self._products.setdefault(cell["line"], []).append(row)
        self._indexed = len(learnt)
        return np.array(self._products.get(line, ()), dtype=np.int64)

    def _cell(self, row: int) -> dict[str, str]:
        return dict(self._table.cells[int(self._table.row_cell[row])])
