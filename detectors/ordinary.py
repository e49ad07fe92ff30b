"""How many somebodies the windows of a series would ordinarily hold, and how surely that is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import LEARNT_LATE, ShareBaseline
from detectors.counts import WINDOW_HOURS, CountTable, Floats, Ints
from detectors.held_out import without_window
from detectors.planned import Planned
from detectors.releases import Releases
from detectors.surges import Surges

Bools = NDArray[np.bool_]

HELD_OUT = WINDOW_HOURS >= 3.0
"""Windows so long are measured against what was learnt before them: what they hold was learnt every hour, and of a
handful in a day the first would make the others ordinary. Of shorter ones hardly anything is learnt yet."""
DAYS_BEFORE = 4
"""Days, of which the first ends in its night, that must have ended before that: two or three say too little."""


HELD_OUT_MORE = 1.0
"""By how much stranger, in −log10, what is held out must be than what also had to be strange against itself."""


class Usual(NamedTuple):
    """What is expected of series, each (rows, windows)."""

    mean: Floats
    spread: Floats
    """Relative variance of the prediction."""
    held_out: Bools
    """Whether it was learnt without the window itself."""


class Ordinary:
    """Expects of each window its share of those who ordinarily come, by what is known of a series of its kind.

    Harm is rare, and always expected by what was known before it (`held_out`). What people say is, in windows of hours,
    once days are known; where many say it, by what is older than yesterday (`ShareBaseline.slow`), and themes, which
    go on being learnt, by what is newest. What devices write is expected beside those that do not write it, and is at
    least what they wrote in so long whoever else came, and what the release before had. On planned days more of what
    people say is expected (`Planned`).

    When it fails: see `ShareBaseline` and `Surges`. Cost: about 30 µs a row; asked only of what exceeds its peak.

    Parameters
    ----------
    table, baseline, surges, releases, planned
        The counts of one shard, what is known of them, and what is planned.
    """

    def __init__(
        self, table: CountTable, baseline: ShareBaseline, surges: Surges, releases: Releases, planned: Planned
    ) -> None:
        self._table = table
        self._baseline = baseline
        self._surges = surges
        self._releases = releases
        self._planned = planned

    def of(self, rows: Ints, counts: Floats, tick: int, *, devices: Bools, harm: Bools) -> Usual:
        """Return what series are expected to have.

        Parameters
        ----------
        rows
            Their rows of the table.
        counts
            What their windows hold now, shape (rows, windows).
        tick
            End of the windows, epoch milliseconds.
        devices, harm
            Which of them devices write, and which count harm, shape (rows,).
        """
        table, baseline = self._table, self._baseline
        below = table.denominator[rows]
        everybody = self._surges.ordinary(below, table.windows(below))
        # A device that was seen at night is not counted again by day, but its error is: those who err are among all.
        everybody[devices] = np.maximum(everybody[devices], counts[devices])
        slow = baseline.slow(counts)
        mean, spread = baseline.expected(rows, everybody, slow), baseline.spread(rows, slow)
        others = everybody[devices] - counts[devices]
        mean[devices] = np.minimum(mean[devices], baseline.beside(rows[devices], others))
        mean[devices] = np.maximum(mean[devices], baseline.own(rows[devices]))
        mean[devices] = np.maximum(mean[devices], self._releases.least(rows[devices]))
        held_out = np.zeros(counts.shape, dtype=np.bool_)
        if baseline.days >= DAYS_BEFORE:
            late = np.array([table.measured[value][0] == LEARNT_LATE for value in table.row_measured[rows].tolist()])
            held_out[:] = HELD_OUT & ~slow & ~(devices | late)[:, None]
        held_out[harm] = False
        asked = np.flatnonzero(harm | held_out.any(axis=1))
        if len(asked):
            share, doubt, known = without_window(table, baseline, rows[asked])
            before = share * everybody[asked] + 1e-6
            held_out[asked] &= known
            # What has fallen off since is expected to stay down.
            before = np.where(harm[asked, None], before, np.minimum(mean[asked], before))
            alone = held_out[asked] | harm[asked, None]
            mean[asked] = np.where(alone, before, mean[asked])
            spread[asked] = np.where(alone, doubt, spread[asked])
        return Usual(mean * self._planned.times(rows, tick, devices=devices), spread, held_out)
