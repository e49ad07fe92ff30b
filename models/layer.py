"""A linear layer that learns from one labelled mini-batch after the other, and opens a class on its first label."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]

MATURE_LABELS = 100
"""From so many labels on, a class has an opinion of its own: labels that contradict it are doubted."""

_RATE = 0.3
_YOUNG_RATE = 0.3
"""Added while a class is young; halved at `_YOUNG_LABELS` labels."""
_YOUNG_LABELS = 50.0
_NEW_LABELS = 200.0
"""While a class has fewer, what is rehearsed makes it look rarer than it now is: its logit is raised, by"""
_NEW_LOGIT = 1.05
"""at its first label, and linearly less."""
_FLOOR = 1e-3
"""Added to the sum of squared gradients, so that the first step in a rare feature stays finite."""
_DOUBT_POWER = 0.4
_DOUBT_FLOOR = 0.02
_SHARPNESS_RATE = 2e-3
_SHARPNESS_RANGE = (-1.5, 1.5)
_FORGETTING_LABELS = 20_000.0
"""How rare a class is, is counted over the last labels: each label weighs less by 1/e after so many."""
_FIRST_CAPACITY = 4


class LayerState(msgspec.Struct, array_like=True):
    """A layer as numbers and strings; weights only of the features that were ever seen."""

    labels: list[str]
    seen: bytes
    taught: bytes
    bias: bytes
    bias_sum: bytes
    sharpness: float
    rows: bytes
    weights: bytes
    sums: bytes
    good_labels: list[str]
    good_bias: bytes
    good_rows: bytes
    good_weights: bytes


class _Good(NamedTuple):
    """The weights to go back to; half precision, for they only have to be good."""

    labels: list[str]
    bias: Floats
    weights: NDArray[np.float16]


class Lesson(NamedTuple):
    """What a mini-batch was taken for before it was learned."""

    guesses: NDArray[np.intp]
    """Slot of the best class of each row; -1 while there is none."""
    good_guesses: NDArray[np.intp] | None
    """The same by the last good weights; None while there are none."""


class OnlineLayer:
    """Multinomial logistic regression with AdaGrad over hashed features.

    Parameters
    ----------
    bits
        Rows have 2**bits columns.
    max_classes
        When one more opens, the rarest one of the last labels closes.

    Notes
    -----
    Every (feature, class) has its own step length, so that a class opened late learns as fast as the first did. The
    loss is cross-entropy while a class is young and generalised cross-entropy (Zhang & Sabuncu 2018) once it has
    `MATURE_LABELS`: a label that the layer holds for nearly impossible moves it little. Confidence is calibrated by one
    factor on all logits, itself learnt from logits made before their label was known.

    Memory: 10 bytes per feature and class, classes in powers of two; 2**16 features × 16 classes are 10 MB. Cost of
    learning: 30–50 µs a row of 200 features in mini-batches of 32 and ten classes. It fails where word order matters,
    and a fault of its labels that is systematic is learnt like any truth.
    """

    def __init__(self, bits: int, max_classes: int) -> None:
        self.bits = bits
        self._max_classes = max_classes
        self._clear()

    def _clear(self) -> None:
        self.labels: list[str] = []
        self.taught: NDArray[np.int64] = np.zeros(0, np.int64)
        """Labels each class ever got."""
        self._seen: NDArray[np.float64] = np.zeros(0)
        self._bias: Floats = np.zeros(0, np.float32)
        self._bias_sum: Floats = np.zeros(0, np.float32)
        self._weights: Floats = np.zeros((1 << self.bits, 0), np.float32)
        self._sums: Floats = np.zeros((1 << self.bits, 0), np.float32)
        self._sharpness = 0.0
        self._good: _Good | None = None

    @property
    def memory_bytes(self) -> int:
        """Bytes of all weights."""
        good = 0 if self._good is None else self._good.weights.nbytes
        return self._weights.nbytes + self._sums.nbytes + good

    @property
    def has_good(self) -> bool:
        """Whether there are weights to go back to."""
        return self._good is not None

    def slot(self, label: str) -> tuple[int, bool]:
        """Return the slot of a class and whether it was opened for this call.

        A new class begins neutral: no weight, and the bias of the least expected class.
        """
        if label in self.labels:
            return self.labels.index(label), False
        if len(self.labels) < self._max_classes:
            slot = len(self.labels)
            self.labels.append(label)
            self._grow(len(self.labels))
        else:
            slot = int(self._seen.argmin())
            self.labels[slot] = label
        self._weights[:, slot] = 0.0
        self._sums[:, slot] = 0.0
        self._seen[slot] = 0.0
        self.taught[slot] = 0
        self._bias_sum[slot] = 0.0
        others = np.delete(self._bias[: len(self.labels)], slot)
        self._bias[slot] = others.min() if len(others) else 0.0
        return slot, True

    def _grow(self, needed: int) -> None:
        capacity = self._weights.shape[1]
        if needed <= capacity:
            return
        more = min(max(_FIRST_CAPACITY, 2 * capacity), self._max_classes) - capacity
        self._weights = np.pad(self._weights, ((0, 0), (0, more)))
        self._sums = np.pad(self._sums, ((0, 0), (0, more)))
        self._bias = np.pad(self._bias, (0, more))
        self._bias_sum = np.pad(self._bias_sum, (0, more))
        self._seen = np.pad(self._seen, (0, more))
        self.taught = np.pad(self.taught, (0, more))

    def probabilities(self, matrix: sparse.csr_matrix) -> Floats:
        """Return calibrated probabilities, shape (rows, classes); a row does not depend on the others."""
        count = len(self.labels)
        logits: Floats = np.asarray(matrix @ self._weights, np.float32)[:, :count] + self._bias[:count]
        return _softmax((logits + self._raised()) * np.float32(np.exp(self._sharpness)))

    @property
    def has_new(self) -> bool:
        """Whether a class is so new that the others are at risk."""
        return bool((self.taught[: len(self.labels)] < _NEW_LABELS).any())

    def _raised(self) -> Floats:
        taught = self.taught[: len(self.labels)]
        return (_NEW_LOGIT * np.maximum(1.0 - taught / _NEW_LABELS, 0.0)).astype(np.float32)

    def learn(
        self, matrix: sparse.csr_matrix, slots: NDArray[np.intp], frozen: bool, certain: NDArray[np.bool_]
    ) -> Lesson:
        """Guess each row, then learn it.

        Parameters
        ----------
        matrix
            One row per label.
        slots
            The class of each row.
        frozen
            Only guess.
        certain
            Rows whose label is not doubted, whatever the layer holds of it.
        """
        columns, rows = _compact(matrix)
        logits = self._logits(rows, columns)
        good_guesses = None if self._good is None else self._good_guesses(self._good, rows, columns)
        raised = logits + self._raised()
        lesson = Lesson(raised.argmax(axis=1), good_guesses)
        if not frozen:
            self._sharpen(raised, slots)
            self._step(rows, columns, logits, slots, (self.taught[slots] >= MATURE_LABELS) & ~certain)
            self._seen *= np.exp(-len(slots) / _FORGETTING_LABELS)
            np.add.at(self._seen, slots, 1.0)
            np.add.at(self.taught, slots, 1)
        return lesson

    def rehearse(self, matrix: sparse.csr_matrix, slots: NDArray[np.intp], certain: NDArray[np.bool_]) -> None:
        """Learn rows again that were learnt before; they are not counted again, and doubted unless they are certain."""
        columns, rows = _compact(matrix)
        self._step(rows, columns, self._logits(rows, columns), slots, ~certain)

    def _logits(self, rows: sparse.csr_matrix, columns: NDArray[np.int32]) -> Floats:
        count = len(self.labels)
        return np.asarray(rows @ self._weights.take(columns, axis=0), np.float32)[:, :count] + self._bias[:count]

    def _step(
        self,
        rows: sparse.csr_matrix,
        columns: NDArray[np.int32],
        logits: Floats,
        slots: NDArray[np.intp],
        doubted: NDArray[np.bool_],
    ) -> None:
        count = len(self.labels)
        every = np.arange(len(slots))
        errors = _softmax(logits)
        likely = errors[every, slots].copy()
        errors[every, slots] -= 1.0
        doubt = np.maximum(likely, _DOUBT_FLOOR) ** np.float32(_DOUBT_POWER)
        errors *= np.where(doubted, doubt, np.float32(1.0))[:, None]
        rate = (_RATE + _YOUNG_RATE / (1.0 + self.taught[:count] / _YOUNG_LABELS)).astype(np.float32)
        gradient = np.asarray(rows.T @ errors, np.float32)
        weights, sums = self._weights.take(columns, axis=0), self._sums.take(columns, axis=0)
        sums[:, :count] += gradient * gradient
        weights[:, :count] -= rate * gradient / np.sqrt(sums[:, :count] + np.float32(_FLOOR))
        self._sums[columns] = sums
        self._weights[columns] = weights
        slope = errors.sum(axis=0, dtype=np.float32)
        self._bias_sum[:count] += slope * slope
        self._bias[:count] -= rate * slope / np.sqrt(self._bias_sum[:count] + np.float32(_FLOOR))

    def _sharpen(self, logits: Floats, slots: NDArray[np.intp]) -> None:
        """Follow the factor on the logits under which the labels that came were the likeliest."""
        sharp = logits * np.float32(np.exp(self._sharpness))
        surprise = (_softmax(sharp) * sharp).sum(axis=1) - sharp[np.arange(len(slots)), slots]
        step = _SHARPNESS_RATE * float(np.clip(surprise, -5.0, 5.0).sum(dtype=np.float64))
        self._sharpness = min(max(self._sharpness - step, _SHARPNESS_RANGE[0]), _SHARPNESS_RANGE[1])

    def _good_guesses(self, good: _Good, rows: sparse.csr_matrix, columns: NDArray[np.int32]) -> NDArray[np.intp]:
        logits = np.asarray(rows @ good.weights.take(columns, axis=0).astype(np.float32), np.float32) + good.bias
        for slot, label in enumerate(good.labels):
            if self.labels[slot] != label:
                logits[:, slot] = -np.inf
        guesses: NDArray[np.intp] = logits.argmax(axis=1)
        return guesses

    def keep(self) -> None:
        """Remember the weights as good."""
        count = len(self.labels)
        self._good = _Good(list(self.labels), self._bias[:count].copy(), self._weights[:, :count].astype(np.float16))

    def go_back(self) -> None:
        """Return to the last good weights.

        Classes opened since then stay open, neutral as when they opened. Step lengths stay as short as they are.
        """
        good = self._good
        if good is None:
            return
        for slot, label in enumerate(self.labels):
            if slot < len(good.labels) and good.labels[slot] == label:
                self._weights[:, slot] = good.weights[:, slot]
                self._bias[slot] = good.bias[slot]
            else:
                self._weights[:, slot] = 0.0
                self._sums[:, slot] = 0.0
                self._bias[slot] = good.bias.min()
                self._bias_sum[slot] = 0.0
                self.taught[slot] = 0

    def snapshot(self) -> LayerState:
        """Return the state; about 0.1 s for 2**16 features × 16 classes."""
        count = len(self.labels)
        rows = np.flatnonzero((self._sums != 0.0).any(axis=1)).astype(np.int32)
        good_rows = np.zeros(0, np.int32)
        good = self._good
        if good is not None:
            good_rows = np.flatnonzero((good.weights != 0.0).any(axis=1)).astype(np.int32)
        return LayerState(
            labels=list(self.labels),
            seen=self._seen[:count].tobytes(),
            taught=self.taught[:count].tobytes(),
            bias=self._bias[:count].tobytes(),
            bias_sum=self._bias_sum[:count].tobytes(),
            sharpness=self._sharpness,
            rows=rows.tobytes(),
            weights=self._weights[rows, :count].tobytes(),
            sums=self._sums[rows, :count].tobytes(),
            good_labels=[] if good is None else good.labels,
            good_bias=b"" if good is None else good.bias.tobytes(),
            good_rows=good_rows.tobytes(),
            good_weights=b"" if good is None else good.weights[good_rows].tobytes(),
        )

    def restore(self, state: LayerState) -> None:
        """Go on from a snapshot.

        Raises
        ------
        ValueError
            If the arrays do not fit each other or this layer.
        """
        count = len(state.labels)
        if count > self._max_classes:
            raise ValueError(f"{count} classes, at most {self._max_classes} are configured")
        self._clear()
        for size in range(1, count + 1):
            self._grow(size)
        self.labels = list(state.labels)
        self._seen[:count] = np.frombuffer(state.seen, np.float64)
        self.taught[:count] = np.frombuffer(state.taught, np.int64)
        self._bias[:count] = np.frombuffer(state.bias, np.float32)
        self._bias_sum[:count] = np.frombuffer(state.bias_sum, np.float32)
        self._sharpness = state.sharpness
        rows = _rows(state.rows, self.bits)
        self._weights[rows, :count] = np.frombuffer(state.weights, np.float32).reshape(len(rows), count)
        self._sums[rows, :count] = np.frombuffer(state.sums, np.float32).reshape(len(rows), count)
        if state.good_labels:
            rows = _rows(state.good_rows, self.bits)
            kept = np.zeros((1 << self.bits, len(state.good_labels)), np.float16)
            kept[rows] = np.frombuffer(state.good_weights, np.float16).reshape(len(rows), len(state.good_labels))
            self._good = _Good(list(state.good_labels), np.frombuffer(state.good_bias, np.float32).copy(), kept)


def _compact(matrix: sparse.csr_matrix) -> tuple[NDArray[np.int32], sparse.csr_matrix]:
    """Return the features that occur, and the rows over these alone."""
    # A table of all features is quicker to fill than the ones that occur are to sort.
    seen = np.zeros(matrix.shape[1], np.bool_)
    seen[matrix.indices] = True
    columns = np.flatnonzero(seen).astype(np.int32)
    places = np.empty(matrix.shape[1], np.int32)
    places[columns] = np.arange(len(columns), dtype=np.int32)
    inverse = places.take(matrix.indices)
    return columns, sparse.csr_matrix((matrix.data, inverse, matrix.indptr), shape=(matrix.shape[0], len(columns)))


def _rows(data: bytes, bits: int) -> NDArray[np.int32]:
    rows = np.frombuffer(data, np.int32)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < 1 << bits:
        raise ValueError(f"features outside 2**{bits}")
    return rows


def _softmax(logits: Floats) -> Floats:
    shares: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares
