"""How many somebodies the windows of a series would ordinarily hold, and how surely that is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import LEARNT_LATE, ShareBaseline
from detectors.counts import WINDOW_HOURS, CountTable, Floats, Ints
from detectors.held_out import without_window
from detectors.measures import WITNESS
from detectors.releases import Releases
from detectors.surges import Surges

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
    held_out: NDArray[np.bool_]
    """Whether it was learnt without the window itself."""


class Ordinary:
    """Expects of each window its share of those who ordinarily come, by what is known of a series of its kind.

    Harm is rare, and always expected by what was known before it (`held_out`). What people say is, in windows of hours,
    once days are known; where many say it, by what is older than yesterday (`ShareBaseline.slow`), and themes, which
    go on being learnt, by what is newest. What devices write is expected beside those that do not write it, and is at
    least what they wrote in so long whoever else came, and what the release before had.

    When it fails: see `ShareBaseline` and `Surges`. Cost: about 30 µs a row; asked only of what exceeds its peak.

    Parameters
    ----------
    table, baseline, surges, releases
        The counts of one shard and what is known of them.
    """

    def __init__(self, table: CountTable, baseline: ShareBaseline, surges: Surges, releases: Releases) -> None:
        self._table = table
        self._baseline = baseline
        self._surges = surges
        self._releases = releases
        self._devices: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._harm: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._late: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        """Of each measure value: who reports it, and how it is learnt."""

    def of(self, rows: Ints, counts: Floats) -> Usual:
        """Return what `rows` are expected to have, where they had `counts`, shape (rows, windows)."""
        table, baseline = self._table, self._baseline
        self._know_values()
        of_value = table.row_measured[rows]
        devices, harm = self._devices[of_value], self._harm[of_value]
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
            held_out[:] = HELD_OUT & ~slow & ~(devices | self._late[of_value])[:, None]
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
        return Usual(mean, spread, held_out)

    def _know_values(self) -> None:
        """Look up what holds for each measure value, for those that appeared since the last time."""
        measured = self._table.measured
        if len(self._harm) < len(measured):
            self._devices = np.array([WITNESS.get(each[0]) == "devices" for each in measured], dtype=np.bool_)
            self._harm = np.array([each[0] == "danger" for each in measured], dtype=np.bool_)
            self._late = np.array([each[0] == LEARNT_LATE for each in measured], dtype=np.bool_)
