"""What the detectors take from river: trees and windows for device metrics, and a scorer to be compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_GRACE = 20
_DEEPEST = 16.0
"""river's score is one minus a probability: it has no more digits than this."""


class Forest(Protocol):
    """Half-space trees."""

    def learn_one(self, x: dict[int, float]) -> None:
        """Add one vector of numbers between 0 and 1."""
        ...

    def score_one(self, x: dict[int, float]) -> float:
        """Return how strange a vector is, 0–1."""
        ...


class Window(Protocol):
    """A window over a rate that shrinks when the rate has changed."""

    drift_detected: bool
    estimation: float

    def update(self, x: float) -> None:
        """Add one value."""
        ...


# river brings pandas along, nearly a second: who needs no part of it does not wait for it.


def half_space_trees(seed: int, *, trees: int, height: int, window: int) -> Forest:
    """Return river's half-space trees (Tan, Ting & Liu, IJCAI 2011), equal for equal arguments."""
    from river.anomaly import HalfSpaceTrees

    forest: Forest = HalfSpaceTrees(n_trees=trees, height=height, window_size=window, seed=seed)
    return forest


def adaptive_window() -> Window:
    """Return river's ADWIN (Bifet & Gavaldà, SDM 2007)."""
    from river.drift import ADWIN

    window: Window = ADWIN()
    return window


def gaussian_scores(
    counts: NDArray[np.integer], season: int, tell: Callable[[float, str], None] = lambda fraction, note: None
) -> NDArray[np.float64]:
    """Score counts with one `river.anomaly.GaussianScorer` for each series and place in the season.

    Test, then train. Used as its documentation does, with one favour: what is below its mean is not strange, since only
    rises are asked for. With `season` it gets a second one: a scorer of its own for each weekday or hour.

    When it fails: counts are not normal where they are small; nothing is forgotten, so neither trend nor year is
    followed; earlier outbreaks widen the distribution; its score cannot tell apart what is beyond eight deviations.

    Parameters
    ----------
    counts
        (series, bin).
    season
        Scorers of each series, used in turn: 1 as documented, 7 for weekdays, 24 for hours.
    tell
        Called with the share that is done.

    Returns
    -------
    ndarray
        (series, bin) −log10 of one minus river's score; 0 for the first twenty bins of each place in the season.

    Notes
    -----
    Cost: 6 µs a count.

    >>> counts = np.array([[5, 6, 4] * 10 + [12]])
    >>> gaussian_scores(counts, 1)[0].round(1)[-3:].tolist()
    [0.7, 0.0, 16.0]
    """
    from river.anomaly import GaussianScorer

    scores = np.zeros(counts.shape)
    for row, values in enumerate(counts.tolist()):
        scorers = [GaussianScorer(grace_period=_GRACE) for _ in range(season)]
        found = [0.0] * len(values)
        for place, value in enumerate(values):
            scorer = scorers[place % season]
            if value > scorer.gaussian.mu:
                found[place] = scorer.score_one(None, value)
            scorer.learn_one(None, value)
        scores[row] = found
        tell((row + 1) / len(counts), "")
    return np.asarray(np.log10(1 / np.maximum(1 - scores, 10**-_DEEPEST)), dtype=np.float64)
