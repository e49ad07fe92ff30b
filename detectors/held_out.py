"""What is to be expected of a window, learnt without what it holds itself: victims must not hide victims."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import PARENT_WEIGHT, SIGHT_PRIOR, ShareBaseline
from detectors.counts import HOURS, CountTable, Floats, Ints

SMALLEST_PART = 0.1
"""Of what may have been missed over the whole, so much at least is taken to belong to any one place: harm and faults
come in lumps."""


ALIKE = 8.0
"""Customers that the share of the cell above counts as: what is said of one region, channel or model is hardly ever
more or less than what is said of the others."""
UNLIKE = 2.0
OF_THEIR_OWN = frozenset(("line", "product", "firmware"))
"""Dimensions whose values have faults of their own: there it counts as so many."""
MOSTLY_BEFORE = 0.5
"""At least this part of all who were learnt of in a cell must have come before a window, or little is known of it."""


class WithoutWindow(NamedTuple):
    """What is known of rows without the windows that end now, each (rows, windows)."""

    share: Floats
    """Of everybody in the cell."""
    spread: Floats
    """Relative variance of the prediction."""
    known: NDArray[np.bool_]
    """Whether most of what was learnt of the cell came before."""


def without_window(table: CountTable, baseline: ShareBaseline, rows: Ints) -> WithoutWindow:
    """Return what is to be expected of every window without itself.

    `ShareBaseline` learns every hour. Of a series that sees somebody once a week the first of five would raise the
    expectation of the others several times; here a window's victims, and everybody in it, count for nothing in what is
    expected of that window.

    What was never seen may yet be ordinary: `SIGHT_PRIOR` customers of the whole. They are shared out among places as
    customers are, so that a hundred places do not expect half a victim each (as the increments of a gamma process are;
    Ferguson & Klass 1972).

    Parameters
    ----------
    rows
        Few rows, their denominators known: about 30 µs each.
    """
    baseline.follow()
    family = list(map(int, rows))
    for row in family:  # grows: parents after children
        parent = int(table.parent[row])
        if parent >= 0 and parent not in family:
            family.append(parent)
    numbers = np.array([*family, *(int(table.denominator[row]) for row in family)], dtype=np.int64)
    # The current hour is not learnt yet.
    learnt = table.windows(numbers) - table.hour[numbers, (table.bin // 12) % HOURS, None]
    before = np.maximum(baseline.total[numbers, None] - np.maximum(learnt, 0.0), 0.0)
    customers, everybody = before[: len(family)], before[len(family) :]
    place = {row: number for number, row in enumerate(family)}
    share, known = np.empty_like(customers), np.empty_like(customers)
    unseen, heard = np.full_like(customers, SIGHT_PRIOR), customers.copy()
    for row in sorted(family, key=lambda each: int(table.depth[each])):
        number, parent = place[row], int(table.parent[row])
        prior, of_whom = unseen[number], np.full_like(customers[number], PARENT_WEIGHT)
        if parent >= 0:
            above = place[parent]
            part = (everybody[number] + PARENT_WEIGHT) / (everybody[above] + PARENT_WEIGHT)
            unseen[number] = np.maximum(unseen[above] * np.minimum(part, 1.0), SIGHT_PRIOR * SMALLEST_PART)
            if table.measured[int(table.row_measured[row])][0] == "danger":
                prior = np.maximum(unseen[number], PARENT_WEIGHT * share[above])
            else:
                alike = heard[above] / (1.0 + heard[above] / _alike(table, row, parent))
                heard[number] += alike
                prior = np.maximum(unseen[number], alike)
                of_whom = np.where(alike >= unseen[number], prior / share[above], PARENT_WEIGHT)
        known[number] = customers[number] + prior
        share[number] = known[number] / (everybody[number] + of_whom)
    spread = baseline.alpha[rows][:, None] + 1.0 / known[: len(rows)]
    mostly = everybody[: len(rows)] >= MOSTLY_BEFORE * baseline.total[table.denominator[rows], None]
    return WithoutWindow(share[: len(rows)], spread, mostly)


def _alike(table: CountTable, row: int, parent: int) -> float:
    """Return how many customers the share of the cell above counts as, at most, in one that names a dimension more."""
    cells = table.cells
    added = dict(cells[int(table.row_cell[row])]).keys() - dict(cells[int(table.row_cell[parent])]).keys()
    return UNLIKE if added & OF_THEIR_OWN else ALIKE
