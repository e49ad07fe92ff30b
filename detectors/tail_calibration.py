"""What a score means: how often a series, and all series together, have passed it by chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.series_rows import Floats, SeriesRows

_LN10 = np.float32(math.log(10))


class OwnTail:
    """Calibrates scores by each series' own tail: its rate of exceedances, and their mean excess.

    Above the bulk, the excess over a level is exponential (a generalised Pareto distribution of shape zero, as in
    streaming peaks over threshold). Both numbers lean on those of all series together. Series with less than a count a
    bin have too few scores to speak of a tail: they keep more of the score of the model, the fewer they count.

    Parameters
    ----------
    memory
        Bins after which what was seen is forgotten.
    most
        An excess counts as no more than so many nats.

    Notes
    -----
    Source: Siffer, Fouque, Termier, Largouët, KDD 2017.
    """

    LEVEL = np.float32(0.7)
    """In −log10; about one bin in ten exceeds it."""
    LOOKS, EXCEEDANCES = np.float32(100.0), np.float32(20.0)
    """How much all series together are worth against a series' own."""

    def __init__(self, memory: float, most: float) -> None:
        self.rows = SeriesRows([0.0, 0.0, 0.0])
        """Looks, exceedances, sum of their excesses in nats."""
        self._keep = np.float32(1 - 1 / memory)
        self._most = np.float32(most)
        self.common_rate, self.common_excess = 0.1, 1.0

    def calibrated(self, score: Floats, mean: Floats) -> Floats:
        """Return −log10 of how often the series passes `score`; `mean` is what is expected of the bin."""
        looks, hits, excess = self.rows.live
        rate = (hits + self.LOOKS * np.float32(self.common_rate)) / (looks + self.LOOKS)
        scale = (excess + self.EXCEEDANCES * np.float32(self.common_excess)) / (hits + self.EXCEEDANCES)
        base = -np.log10(rate)
        own = np.where(score > self.LEVEL, base + (score - self.LEVEL) / scale, score * (base / self.LEVEL))
        trust = np.minimum(mean, 1)
        return np.asarray(trust * own + (1 - trust) * score)

    def update(self, score: Floats, mean: Floats, usable: NDArray[np.bool_]) -> None:
        """Learn the scores of one closed bin."""
        looks, hits, excess = self.rows.live
        active = usable & (mean >= 0.5)
        hit = active & (score > self.LEVEL)
        self.rows.live[:] *= np.where(active, self._keep, np.float32(1))
        looks += active
        hits += hit
        excess += hit * np.minimum((score - self.LEVEL) * _LN10, self._most)
        everything = self.rows.live.sum(axis=1, dtype=np.float64)
        self.common_rate = float((everything[1] + 100) / (everything[0] + 1000))
        self.common_excess = float((everything[2] + 100) / (everything[1] + 100))


class PooledTail:
    """The tail of all series together: how often quiet series begin to exceed a score.

    Exceedances are counted down to a rate of `DEEPEST`; below, where incidents themselves are what exceeds, the
    straight line of log rate over score goes on with its slope. Of a spell of exceeding bins only the first counts, as
    an alarm that lasts is one alarm.

    When it fails: when incidents are so frequent that they are the tail.
    """

    STEP, LEVELS = 0.05, 320
    DEEPEST = 2e-6
    PRIOR_LOOKS = 3000.0

    def __init__(self, memory: float) -> None:
        self._keep = 1 - 1 / memory
        self.exceeding = np.zeros(self.LEVELS)
        """Spells of bins that begin to exceed a score, by that score."""
        self.looks = 0.0
        self.last = SeriesRows([0.0])

    def update(self, score: Floats, usable: NDArray[np.bool_]) -> None:
        """Learn the scores of one closed bin."""
        last = self.last.live[0]
        rising = usable & (score > last)
        self.exceeding *= self._keep
        # Beginning to exceed every level between the last score and this one.
        self.exceeding += self._counted(score[rising])
        self.exceeding -= self._counted(last[rising])
        self.looks = self.looks * self._keep + int(np.count_nonzero(usable))
        last[:] = score

    def depth(self) -> NDArray[np.float64]:
        """Return −log10 of the rate per series and bin at which each of `levels` begins to be exceeded."""
        levels = self.levels()
        looks = self.looks + self.PRIOR_LOOKS
        above = np.cumsum(self.exceeding[::-1]) + (self.PRIOR_LOOKS * 10.0**-levels)[::-1]
        # Low levels are rarely begun, being exceeded all the time: they count at least as the levels above them.
        depth: NDArray[np.float64] = -np.log10(np.maximum.accumulate(np.maximum(above, 1e-9))[::-1] / looks)
        deepest = -math.log10(max(self.DEEPEST, 30 / looks))
        end = min(int(np.count_nonzero(depth <= deepest)), self.LEVELS - 1)
        start = int(np.count_nonzero(depth <= deepest - 1.0))
        slope = (depth[end] - depth[start]) / max(levels[end] - levels[start], self.STEP)
        depth[end:] = depth[end] + max(slope, 0.2) * (levels[end:] - levels[end])
        return depth

    @classmethod
    def levels(cls) -> NDArray[np.float64]:
        """Return the scores at which exceedances are counted."""
        return np.linspace(0.0, (cls.LEVELS - 1) * cls.STEP, cls.LEVELS)

    def _counted(self, score: Floats) -> NDArray[np.int64]:
        place = np.minimum(score / np.float32(self.STEP), self.LEVELS - 1).astype(np.int64)
        return np.bincount(place, minlength=self.LEVELS)

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in rows."""
        return {"exceeding": self.exceeding.tobytes(), "looks": self.looks}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` returned."""
        self.exceeding = np.frombuffer(state["exceeding"]).copy()
        self.looks = state["looks"]
