"""Since when, and how surely, counts have shifted from what was expected: likelihood ratios summed over bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.series_rows import Floats, SeriesRows

_MOST = np.float32(60.0)
"""Evidence beyond this many nats is not carried into the next bin, so that what is over is soon forgotten."""


class Shift(NamedTuple):
    """One alternative: the mean has moved by so many standard deviations of a bin."""

    deviations: float
    """Negative for a drop; the mean then falls at most to a fifth."""
    keep: float
    """Share of the evidence that is carried into the next bin; 1 looks back without end."""


class ShiftScan:
    """Page's CUSUM of negative-binomial likelihood ratios, for several sizes of shift and all series at once.

    The evidence of an alternative is what is left of the last bin's, not below zero, plus the logarithm of the
    likelihood ratio of this bin. It is a scan over all windows that end now, of which the strangest wins, in constant
    memory; without forgetting, a threshold of h nats is passed by chance in at most e^-h of the bins, and a shift of
    the size looked for is found as early as any method can (Lorden 1971). The sizes looked for are in standard
    deviations, so that one set serves a count a week and a thousand an hour.

    When it fails: shifts much smaller than the smallest alternative, as slow ramps are at first.
    Cost: two logarithms an alternative and series, about 20 ns.
    Source: Page, Biometrika 41 (1954); Lorden, Annals of Mathematical Statistics 42 (1971).
    """

    def __init__(self, shifts: Sequence[Shift]) -> None:
        self.shifts = tuple(shifts)
        self.rows = SeriesRows([0.0] * (2 * len(shifts)))
        """Evidence in nats by alternative, then the bins over which it was gathered."""

    def look(self, counts: Floats, mean: Floats, ratio: Floats) -> tuple[Floats, Floats]:
        """Return evidence in nats and bins of its window, each (alternative, series), with this bin included.

        Parameters
        ----------
        counts, mean
            Of this bin so far, and what was expected of it so far.
        ratio
            Variance over mean, above 1.
        """
        k = len(self.shifts)
        carried, bins = self.rows.live[:k], self.rows.live[k:]
        evidence = np.empty_like(carried)
        alpha = (ratio - 1) / mean
        deviation = np.sqrt(ratio / mean)
        for row, shift in enumerate(self.shifts):
            factor = np.maximum(1 + np.float32(shift.deviations) * deviation, np.float32(0.2))
            # log NB(counts; factor·mean) − log NB(counts; mean) at the same alpha
            spread = np.log((1 + alpha * factor * mean) / (1 + alpha * mean))
            evidence[row] = np.float32(shift.keep) * carried[row] + counts * (np.log(factor) - spread) - spread / alpha
        np.maximum(evidence, 0, out=evidence)
        return evidence, np.where(evidence > 0, bins + 1, 0)

    def update(self, evidence: Floats, bins: Floats) -> None:
        """Close a bin: carry what `look` returned."""
        k = len(self.shifts)
        np.minimum(evidence, _MOST, out=self.rows.live[:k])
        self.rows.live[k:] = bins
