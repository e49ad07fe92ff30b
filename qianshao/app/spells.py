"""What was found in counts, and its strange spells: neighbouring strange bins, told once, the strangest first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qianshao.app.count_grid import CountGrid

LOWEST_SCORE = 2.0
"""Bins that are less strange are nobody's business."""
_BINS_PER_SPELL = 200


class Detection(NamedTuple):
    """What the bank says about every bin of every series; arrays are (series, bin)."""

    grid: CountGrid
    score: NDArray[np.float32]
    """−log10 of the calibrated tail probability; negative where there was less than expected."""
    expected: NDArray[np.float32]
    upper: NDArray[np.float32]
    """Upper edge of the expected band."""
    window_bins: NDArray[np.uint16]
    """Length of the strangest window that ends with the bin."""
    learning: NDArray[np.bool_]
    threshold: float
    """Score from which a bin alarms."""


class Spell(NamedTuple):
    """Neighbouring strange bins of one series in one direction."""

    series: int
    first: int
    last: int
    peak: int
    """The strangest bin."""
    score: float
    """Of the strangest bin; negative = less than expected."""
    window_bins: int
    """Length of the window that ends with the strangest bin and is strangest."""
    observed: int
    """In that window."""
    expected: float
    """In that window."""


def strangest(found: Detection, limit: int) -> list[Spell]:
    """Find at most `limit` strangest spells, by falling strangeness; bins of learning series are left out.

    Only the 200 × `limit` strangest bins are looked at, so that this costs one pass over the scores.
    """
    score, window_bins = found.score, found.window_bins
    strange = np.where(found.learning, np.float32(0), np.abs(score)).ravel()
    wanted = min(limit * _BINS_PER_SPELL, strange.size)
    chosen = np.argpartition(strange, strange.size - wanted)[-wanted:]
    chosen = np.sort(chosen[strange[chosen] >= LOWEST_SCORE])
    spells: list[Spell] = []
    length = score.shape[1]
    group: list[int] = []
    for flat in [*chosen.tolist(), -1]:
        if group and not (
            flat >= 0
            and flat - group[-1] == 1
            and flat % length
            and (score.flat[flat] > 0) == (score.flat[group[-1]] > 0)
        ):
            peak = max(group, key=lambda place: (strange[place], -place))
            series, at = divmod(peak, length)
            window = min(int(window_bins[series, at]), at + 1)
            inside = slice(at - window + 1, at + 1)
            spells.append(
                Spell(
                    series,
                    group[0] % length,
                    group[-1] % length,
                    at,
                    float(score[series, at]),
                    window,
                    int(found.grid.counts[series, inside].sum()),
                    float(found.expected[series, inside].sum()),
                )
            )
            group = []
        group.append(flat)
    spells.sort(key=lambda spell: (-abs(spell.score), spell.series, spell.peak))
    return spells[:limit]
