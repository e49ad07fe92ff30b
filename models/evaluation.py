"""How good labels are: accuracy, macro F1, confusions, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BINS = 10


class ClassQuality(NamedTuple):
    """One class of the truth."""

    label: str
    rows: int
    precision: float
    recall: float
    f1: float


class Quality(NamedTuple):
    """Labels compared with the truth."""

    rows: int
    accuracy: float
    macro_f1: float
    """Mean F1 over the classes that stand in the truth or were predicted."""
    calibration_error: float
    """Expected calibration error over ten equal bins: how far confidence and accuracy are apart."""
    classes: tuple[ClassQuality, ...]
    confusions: tuple[tuple[str, str, int], ...]
    """(true label, predicted label, rows), most frequent first; right ones are left out."""


def quality(
    truth: Sequence[str], predicted: Sequence[str], confidence: Sequence[float] | NDArray[np.float64]
) -> Quality:
    """Compare labels with the truth.

    Parameters
    ----------
    truth, predicted
        One label per row.
    confidence
        Probability of each predicted label.

    Raises
    ------
    ValueError
        If there are no rows or the lengths differ.

    >>> measured = quality(["a", "a", "b", "b"], ["a", "b", "b", "b"], [0.9, 0.6, 0.8, 0.9])
    >>> measured.accuracy, round(measured.macro_f1, 3), measured.confusions
    (0.75, 0.733, (('a', 'b', 1),))
    """
    if not truth:
        raise ValueError("no rows to compare")
    pairs = Counter(zip(truth, predicted, strict=True))
    true_rows, said = Counter(truth), Counter(predicted)
    classes = []
    for label in sorted(true_rows | said):
        right = pairs[label, label]
        precision = right / said[label] if said[label] else 0.0
        recall = right / true_rows[label] if true_rows[label] else 0.0
        f1 = 2 * right / (said[label] + true_rows[label])
        classes.append(ClassQuality(label, true_rows[label], precision, recall, f1))
    hits = np.array([one == other for one, other in zip(truth, predicted, strict=True)], dtype=np.float64)
    sure = np.asarray(confidence, dtype=np.float64)
    bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.abs(np.bincount(bins, weights=hits - sure, minlength=_BINS))
    confusions = sorted(
        ((one, other, count) for (one, other), count in pairs.items() if one != other),
        key=lambda each: (-each[2], each[0], each[1]),
    )
    return Quality(
        rows=len(truth),
        accuracy=float(hits.mean()),
        macro_f1=sum(each.f1 for each in classes) / len(classes),
        calibration_error=float(gaps.sum() / len(truth)),
        classes=tuple(classes),
        confusions=tuple(confusions),
    )
