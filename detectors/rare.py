"""What is to be expected of a rare danger, learnt without the window that is judged: victims must not hide victims."""

from __future__ import annotations

import numpy as np

from detectors.baseline import PARENT_WEIGHT, SIGHT_PRIOR, ShareBaseline
from detectors.counts import HOURS, CountTable, Floats, Ints


def expectation_without(table: CountTable, baseline: ShareBaseline, rows: Ints) -> tuple[Floats, Floats]:
    """Return the share of everybody and the relative variance of the prediction, for every window without itself.

    `ShareBaseline` learns every hour. Of a series that sees somebody once a week the first of five would raise the
    expectation of the others several times; here a window's victims, and everybody in it, count for nothing in what is
    expected of that window.

    Parameters
    ----------
    rows
        Few rows of harm, their denominators known: about 30 µs each.

    Returns
    -------
    share, spread : arrays, shape (rows, windows)
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
    for row in sorted(family, key=lambda each: int(table.depth[each])):
        number, parent = place[row], int(table.parent[row])
        # What was never seen in a wide place may all belong to this narrow one: its own prior is no smaller.
        prior = np.maximum(SIGHT_PRIOR, PARENT_WEIGHT * share[place[parent]] if parent >= 0 else 0.0)
        known[number] = customers[number] + prior
        share[number] = known[number] / (everybody[number] + PARENT_WEIGHT)
    spread = baseline.alpha[rows][:, None] + 1.0 / known[: len(rows)]
    return share[: len(rows)], spread
