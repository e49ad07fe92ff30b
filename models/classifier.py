"""Topic or sentiment by a model that was trained on somebody's own labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.features import count_matrix
from models.lexicon import shipped_lexicon
from models.masking import mask
from models.tokens import Tokeniser, Vocabulary

TASKS = ("topic", "sentiment")
BATCH = 512
_LONGEST = 2_000
"""Characters of a text that are read: what a case is about stands before, and time stays bounded."""


class Weights(NamedTuple):
    """Everything that is learnt, as plain arrays over the n hashed columns that training kept.

    Two linear views of the same counts: terms weighted by rarity, and terms weighted by how unequally the classes use
    them (Wang & Manning 2012, "Baselines and Bigrams"). Each row is scaled to length 1 in each view.
    """

    columns: NDArray[np.int32]
    """Shape (n,), sorted: hashed columns that are known."""
    scales: NDArray[np.float16]
    """Shape (n, 2): rarity and inequality of each column."""
    rarity: NDArray[np.float16]
    """Shape (n, m): coefficients of the first view; m = 1 for two classes, else one per class."""
    inequality: NDArray[np.float16]
    """Shape (n, 1): coefficients of the second view, weighted against the first; (n, 0) for more than two classes,
    where both views share the scale of the first and are one."""
    bias: NDArray[np.float32]
    """Shape (m,). With two classes it holds the offset that calibration found."""
    temperature: NDArray[np.float32]
    """Shape (): what margins are multiplied with to become logits, fitted on texts that were not trained on."""


class Shape(NamedTuple):
    """Which features are counted, and in how many columns."""

    bits: int
    """The hash space has 2**bits columns."""
    chars: int
    """Length of the longest character n-gram."""
    pairs: bool
    """Whether pairs of neighbouring words count too."""
    syllables: int = 0
    """Length of the longest n-gram of syllables: what a misheard word shares with the right one; 0 = none."""


class Verdict(NamedTuple):
    """What a classifier says about one text."""

    label: str
    confidence: float
    """Calibrated probability of the label, rounded to four digits."""
    certain: bool
    """Whether the confidence reaches the model's own threshold; below it, better say nothing."""


class Classifier:
    """Labels texts with one of the classes that it was trained with.

    Parameters
    ----------
    labels
        The classes, at least two.
    weights
        What training found.
    vocabulary
        The words that were kept whole in training.
    certain_from
        Confidence from which a label should be believed.
    shape
        The features that it was trained on.

    Notes
    -----
    A label depends on its own text alone, not on the batch. About 60 µs for a text of 60 characters on one core. It
    fails on texts unlike those it was trained on: their confidence is low, but not always.
    """

    def __init__(
        self, labels: Sequence[str], weights: Weights, vocabulary: Vocabulary, certain_from: float, shape: Shape
    ) -> None:
        self.labels = tuple(labels)
        self.weights = weights
        self.certain_from = certain_from
        self.reader = Reader(vocabulary, shape)
        self._places = np.full(1 << shape.bits, -1, dtype=np.int32)
        self._places[weights.columns] = np.arange(len(weights.columns), dtype=np.int32)
        scales = weights.scales.astype(np.float32)
        self._squares = scales * scales
        self._rarity = weights.rarity.astype(np.float32) * scales[:, :1]
        self._inequality = weights.inequality.astype(np.float32) * scales[:, 1:]

    def label(self, texts: Sequence[str]) -> list[Verdict]:
        """Return one verdict per raw text; they are normalised and masked first."""
        verdicts: list[Verdict] = []
        for start in range(0, len(texts), BATCH):
            shares = self.probabilities(self.reader.counts(texts[start : start + BATCH]))
            best = shares.argmax(axis=1)
            for place, share in zip(best.tolist(), shares[np.arange(len(best)), best].tolist(), strict=True):
                verdicts.append(Verdict(self.labels[place], round(share, 4), share >= self.certain_from))
        return verdicts

    def probabilities(self, counts: sparse.csr_matrix) -> NDArray[np.float64]:
        """Return the calibrated probability of each class, shape (rows, classes).

        Parameters
        ----------
        counts
            Rows of `Reader.counts`.
        """
        values = compact(counts, self._places, len(self.weights.columns))
        squared = values.copy()
        squared.data = squared.data * squared.data
        length = np.sqrt(np.asarray(squared @ self._squares)) + np.float32(1e-9)
        margins = np.asarray(values @ self._rarity) / length[:, :1]
        if self._inequality.shape[1]:
            margins += np.asarray(values @ self._inequality) / length[:, 1:]
        return shares(margins + self.weights.bias, float(self.weights.temperature))


class Reader:
    """Turns raw texts into the counts that classifiers learn from and read.

    Parameters
    ----------
    vocabulary
        Words that stay whole.
    shape
        Which features are counted.
    """

    def __init__(self, vocabulary: Vocabulary, shape: Shape) -> None:
        self._tokeniser = Tokeniser(shipped_lexicon(), vocabulary)
        self.vocabulary = vocabulary
        self.shape = shape

    def counts(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Normalise, mask, cut and hash; the masked texts alone are counted, so that no model holds an identifier."""
        masked = [mask(text)[:_LONGEST] for text in texts]
        words = [self._tokeniser.words(text) for text in masked]
        shape = self.shape
        return count_matrix(masked, words, shape.bits, chars=shape.chars, pairs=shape.pairs, syllables=shape.syllables)


def compact(counts: sparse.csr_matrix, places: NDArray[np.int32], size: int) -> sparse.csr_matrix:
    """Keep known columns, renumbered, and weigh a count c as 1 + ln c."""
    found = places[counts.indices]
    known = found >= 0
    before = np.zeros(len(known) + 1, dtype=np.int64)
    np.cumsum(known, out=before[1:])
    data = (1.0 + np.log(counts.data[known])).astype(np.float32)
    return sparse.csr_matrix((data, found[known], before[counts.indptr]), shape=(counts.shape[0], size))


def shares(margins: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Turn margins, shape (rows, 1 or classes), into probabilities, shape (rows, classes)."""
    logits = temperature * margins.astype(np.float64)
    if logits.shape[1] == 1:
        logits = np.hstack([-logits, logits]) / 2
    logits -= logits.max(axis=1, keepdims=True)
    powers: NDArray[np.float64] = np.exp(logits)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
