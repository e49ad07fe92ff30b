"""What is to be expected of a rare danger, learnt without the window that is judged: victims must not hide victims."""

from __future__ import annotations

import numpy as np

from detectors.baseline import PARENT_WEIGHT, SIGHT_PRIOR, ShareBaseline
from detectors.counts import HOURS, CountTable, Floats, Ints

SMALLEST_PART = 0.1
"""Of what may have been missed over the whole, so much at least is taken to belong to any one place: harm comes in
lumps."""


def expectation_without(table: CountTable, baseline: ShareBaseline, rows: Ints) -> tuple[Floats, Floats]:
    """Return the share of everybody and the relative variance of the prediction, for every window without itself.

    `ShareBaseline` learns every hour. Of a series that sees somebody once a week the first of five would raise the
    expectation of the others several times; here a window's victims, and everybody in it, count for nothing in what is
    expected of that window.

    What was never seen of a danger may yet be ordinary: `SIGHT_PRIOR` customers of the whole. They are shared out among
    places as customers are, so that a hundred places do not expect half a victim each (as the increments of a gamma
    process are; Ferguson & Klass 1972).

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
    unseen = np.full_like(customers, SIGHT_PRIOR)
    for row in sorted(family, key=lambda each: int(table.depth[each])):
        number, parent = place[row], int(table.parent[row])
        prior = unseen[number]
        if parent >= 0:
            above = place[parent]
            part = (everybody[number] + PARENT_WEIGHT) / (everybody[above] + PARENT_WEIGHT)
            unseen[number] = np.maximum(unseen[above] * np.minimum(part, 1.0), SIGHT_PRIOR * SMALLEST_PART)
            prior = np.maximum(unseen[number], PARENT_WEIGHT * share[above])
        known[number] = customers[number] + prior
        share[number] = known[number] / (everybody[number] + PARENT_WEIGHT)
    spread = baseline.alpha[rows][:, None] + 1.0 / known[: len(rows)]
    return share[: len(rows)], spread
