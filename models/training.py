"""Fit a classifier on labelled texts: one recipe for every data set, judged on texts that it did not see."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from models.classifier import BATCH, Classifier, Reader, Shape, Weights, compact, shares
from models.evaluation import Quality, quality
from models.lexicon import shipped_lexicon
from models.tokens import Vocabulary
from qianshao.errors import InputError

TWO_CLASSES = Shape(bits=24, chars=4, pairs=True)
MANY_CLASSES = Shape(bits=22, chars=2, pairs=False, syllables=2)
"""Phrases tell liking from disliking; what a text is about stands in its words, longer features only dilute them, and
syllables keep a misheard word: 15 % of the characters replaced by others of the same sound cost reviews .7 instead of
2.1 points. Phrases are read too often in their right spelling to need that; there syllables cost .1."""
MAX_FEATURES = 1 << 19
_SMOOTHING = 0.1
_RARITY_COST = 1.0
_INEQUALITY_COST = 0.7
_SHARES = (1.0, 0.5, 0.0)
"""Weights of the second view that are tried where there are many classes; which is best is decided on texts that were
not trained on. With two classes the first one was best on every set of reviews."""
_MANY_ROWS = 20_000
_TARGET_PRECISION = 0.95
_NEVER = -2.0
"""Margin of a class that no row of a fold has: lower than that of any class that may win."""
_SEED = 0


class Trained(NamedTuple):
    """A fitted classifier and how good it is on texts that the judged layers did not see."""

    classifier: Classifier
    quality: Quality
    """Cross-validated on the training data."""
    folds: int
    predicted: list[str]
    """Label of each training text by the layers that did not see it."""
    confidence: NDArray[np.float64]


class _View(NamedTuple):
    """Two linear views fitted on some rows."""

    columns: NDArray[np.int32]
    scales: NDArray[np.float32]
    rarity: NDArray[np.float64]
    inequality: NDArray[np.float64]
    bias: NDArray[np.float64]
    """Shape (2, m)."""
    shared_length: bool
    """Whether rows of the second view are scaled like those of the first: more than two classes have no one ratio."""

    def margins(self, counts: sparse.csr_matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the margins of both views, each of shape (rows, m)."""
        values = compact(counts, _places(self.columns, counts.shape[1]), len(self.columns))
        first = _scaled(values, self.scales[:, 0])
        second = first if self.shared_length else _scaled(values, self.scales[:, 1])
        return np.asarray(first @ self.rarity + self.bias[0]), np.asarray(second @ self.inequality + self.bias[1])


def train(
    texts: Sequence[str],
    labels: Sequence[str],
    vocabulary: Vocabulary | None = None,
    tell: Callable[[float, str], None] | None = None,
) -> Trained:
    """Fit a classifier.

    Parameters
    ----------
    texts
        Raw texts; they are normalised and masked here.
    labels
        One class per text, at least two different ones.
    vocabulary
        Words that stay whole beside the taxonomy's.
    tell
        Called with the share of the work that is done, 0–1, and what is being done.

    Returns
    -------
    Trained
        The classifier is fitted on all rows; the quality is measured on folds that were left out (five, or three
        beyond 20 000 rows). The same rows give the same model.

    Raises
    ------
    InputError
        If there are fewer than two classes or fewer than ten rows.

    Notes
    -----
    5–10 s for 10 000 reviews, 1–2 minutes for 50 000 with ten classes, on one core; about 10 kB of memory a text.
    """
    tell = tell or (lambda share, what: None)
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise InputError(f"all {len(labels):,} rows have the same label; two classes at least are needed")
    if len(labels) < 10:
        raise InputError(f"{len(labels)} rows are too few to learn from; ten at least, better some hundreds")
    known = Vocabulary.of((*shipped_lexicon().words, *(vocabulary.words if vocabulary is not None else ())))
    shape = TWO_CLASSES if len(classes) == 2 else MANY_CLASSES
    reader = Reader(known, shape)
    parts = []
    for start in range(0, len(texts), BATCH):
        parts.append(reader.counts(texts[start : start + BATCH]))
        tell(0.2 * min(1.0, (start + BATCH) / len(texts)), "读文本")
    counts = sparse.vstack(parts, format="csr")
    truth = np.searchsorted(classes, np.asarray(labels))
    folds = 3 if len(labels) > _MANY_ROWS else 5
    fold = _folds(truth, folds)
    width = 1 if len(classes) == 2 else len(classes)
    first, second = np.zeros((len(labels), width)), np.zeros((len(labels), width))
    for number in range(folds):
        tell(0.2 + 0.8 * number / (folds + 1), f"交叉验证 {number + 1}/{folds}")
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        first[outside], second[outside] = _fit(counts[inside], truth[inside], len(classes)).margins(counts[outside])
    spread = np.array([first.std(), second.std()]) + 1e-9
    tried = _SHARES if width > 1 else _SHARES[:1]
    share = max(tried, key=lambda each: _accuracy(first / spread[0] + each * second / spread[1], truth))
    margins = first / spread[0] + share * second / spread[1]
    temperature, offset = _calibrated(margins, truth)
    probabilities = shares(margins + offset, temperature)
    best = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(best)), best]
    tell(0.2 + 0.8 * folds / (folds + 1), "用全部数据训练")
    view = _fit(counts, truth, len(classes))
    kept = _telling(view, counts)
    extra = share * view.inequality[kept] / spread[1]
    weights = Weights(
        columns=view.columns[kept],
        scales=view.scales[kept].astype(np.float16),
        rarity=(view.rarity[kept] / spread[0] + extra * view.shared_length).astype(np.float16),
        inequality=(extra[:, : 0 if view.shared_length else None]).astype(np.float16),
        bias=(view.bias[0] / spread[0] + share * view.bias[1] / spread[1] + offset).astype(np.float32),
        temperature=np.array(temperature, dtype=np.float32),
    )
    predicted = [classes[place] for place in best.tolist()]
    tell(1.0, "")
    return Trained(
        Classifier(classes, weights, known, _certain_from(confidence, best == truth), shape),
        quality(labels, predicted, confidence),
        folds,
        predicted,
        confidence,
    )


def _folds(truth: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Deal the rows of each class round in a fixed random order, so that small classes stand in every fold."""
    order = np.random.default_rng(_SEED).permutation(len(truth))
    order = order[np.argsort(truth[order], kind="stable")]
    fold = np.empty(len(truth), dtype=np.int64)
    fold[order] = np.arange(len(truth)) % folds
    return fold


def _places(columns: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    places = np.full(size, -1, dtype=np.int32)
    places[columns] = np.arange(len(columns), dtype=np.int32)
    return places


def _scaled(values: sparse.csr_matrix, scale: NDArray[np.float32]) -> sparse.csr_matrix:
    """Weigh columns and bring every row to length 1."""
    weighed = values.copy()
    weighed.data = weighed.data * scale[weighed.indices]
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel()) + 1e-9
    weighed.data = weighed.data / np.repeat(length, np.diff(weighed.indptr)).astype(np.float32)
    return weighed


def _fit(counts: sparse.csr_matrix, truth: NDArray[np.int64], classes: int) -> _View:
    """Fit both views on the rows given; columns of a single text are left out."""
    rows = counts.shape[0]
    seen = np.bincount(counts.indices, minlength=counts.shape[1])
    columns = np.flatnonzero(seen >= 2 if (seen >= 2).any() else seen >= 1).astype(np.int32)
    values = compact(counts, _places(columns, counts.shape[1]), len(columns))
    rarity = np.log((1.0 + rows) / (1.0 + seen[columns])) + 1.0
    present = values.copy()
    present.data = np.ones_like(present.data)
    members = sparse.csr_matrix((np.ones(rows), (truth, np.arange(rows))), shape=(classes, rows))
    inside = np.asarray((members @ present).todense(), dtype=np.float64)
    size = np.bincount(truth, minlength=classes).astype(np.float64)
    outside = seen[columns] - inside
    ratio = np.log((inside + _SMOOTHING) / (size[:, None] + 2 * _SMOOTHING)) - np.log(
        (outside + _SMOOTHING) / (rows - size[:, None] + 2 * _SMOOTHING)
    )
    scales = np.stack([rarity, np.abs(ratio[-1])], axis=1).astype(np.float32)
    rows_by_rarity = _scaled(values, scales[:, 0])
    first, bias = _separate(rows_by_rarity, truth, classes, _RARITY_COST)
    if classes == 2:
        second, other = _separate(_scaled(values, scales[:, 1]), truth, classes, _INEQUALITY_COST)
        return _View(columns, scales, first, second, np.stack([bias, other]), shared_length=False)
    second, other = np.zeros_like(first), np.full_like(bias, _NEVER)
    for place in np.flatnonzero(size):
        # The ratio of one class against the rest, over rows that stay scaled by rarity: both views are one layer then.
        weighed = rows_by_rarity.copy()
        step = (np.abs(ratio[place]) / rarity).astype(np.float32)
        weighed.data = weighed.data * step[weighed.indices]
        step /= np.sqrt(weighed.multiply(weighed).sum() / rows)
        weighed.data = rows_by_rarity.data * step[weighed.indices]
        column, alone = _separate(weighed, (truth == place).astype(np.int64), 2, _INEQUALITY_COST)
        second[:, place], other[place] = column[:, 0] * step, alone[0]
    return _View(columns, scales, first, second, np.stack([bias, other]), shared_length=True)


def _separate(
    values: sparse.csr_matrix, truth: NDArray[np.int64], classes: int, cost: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit one linear layer; return coefficients (columns, m) and bias (m,). A class without rows never wins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LinearSVC(C=cost, dual=True, random_state=_SEED).fit(values, truth)
    if classes == 2:
        return model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    coefficients, bias = np.zeros((values.shape[1], classes)), np.full(classes, _NEVER)
    found = model.classes_
    if len(found) == 2:
        coefficients[:, found] = np.hstack([-model.coef_.T, model.coef_.T])
        bias[found] = [-model.intercept_[0], model.intercept_[0]]
    else:
        coefficients[:, found], bias[found] = model.coef_.T, model.intercept_
    return coefficients, bias


def _accuracy(margins: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    best = (margins[:, 0] > 0).astype(np.int64) if margins.shape[1] == 1 else margins.argmax(axis=1)
    return float((best == truth).mean())


def _calibrated(margins: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    """Return temperature and offset of the margins under which the probabilities of unseen texts are most honest.

    Most honest is least log loss (Platt 1999). Only two classes have an offset: the sum of two margins need not change
    sign where both classes are equally likely, while one offset per class would follow the rarest classes' few rows.
    """
    rows = np.arange(len(truth))

    def loss(place: NDArray[np.float64]) -> float:
        offset = place[1] if len(place) > 1 else 0.0
        return float(-np.log(shares(margins + offset, float(np.exp(place[0])))[rows, truth] + 1e-12).mean())

    start = np.zeros(2 if margins.shape[1] == 1 else 1)
    bounds = [(-3.0, 4.0), (-2.0, 2.0)][: len(start)]
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), float(found[1]) if len(found) > 1 else 0.0


def _certain_from(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the least confidence from which on 95 % of unseen texts are labelled rightly; 1 if none is."""
    order = np.argsort(-confidence, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= _TARGET_PRECISION)
    # Rounded down: where everything is certain, the last digits would shut out texts like those that were judged.
    return float(np.floor(confidence[order[enough[-1]]] * 1e4) / 1e4) if len(enough) else 1.0


def _telling(view: _View, counts: sparse.csr_matrix) -> NDArray[np.int64]:
    """Return the places of the columns worth keeping: those that move the most margins."""
    if len(view.columns) <= MAX_FEATURES:
        return np.arange(len(view.columns))
    seen = np.bincount(counts.indices, minlength=counts.shape[1])[view.columns]
    moved = (
        np.abs(view.rarity).max(axis=1) * view.scales[:, 0] + np.abs(view.inequality).max(axis=1) * view.scales[:, 1]
    )
    return np.sort(np.argsort(-moved * np.sqrt(seen), kind="stable")[:MAX_FEATURES])


def logistic(
    matrix: sparse.csr_matrix, labels: Sequence[str], strength: float
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Fit a plain logistic layer with classes of equal weight; return labels, weights (features, classes) and bias."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=strength, max_iter=300, class_weight="balanced", tol=1e-4)
        model.fit(matrix, list(labels))
    return tuple(map(str, model.classes_)), model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)


class HiddenLayer(NamedTuple):
    """A network of one hidden layer of rectified units that tells one thing from its contrary."""

    inward: NDArray[np.float64]
    """Shape (features, units)."""
    shift: NDArray[np.float64]
    outward: NDArray[np.float64]
    """Of each unit, shape (units,)."""
    bias: float

    def logits(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return one logit a row of features."""
        result: NDArray[np.float64] = np.maximum(matrix @ self.inward + self.shift, 0.0) @ self.outward + self.bias
        return result


def hidden_layer(
    matrix: NDArray[np.float32], truth: NDArray[np.bool_], *, units: int, decay: float, epochs: int, seed: int
) -> HiddenLayer:
    """Fit a network of one hidden layer by Adam, stopped after so many epochs: it is to stay short of its corpus."""
    network = MLPClassifier((units,), alpha=decay, max_iter=epochs, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(matrix, truth)
    (inward, outward), (shift, bias) = network.coefs_, network.intercepts_
    return HiddenLayer(
        inward.astype(np.float64), shift.astype(np.float64), outward[:, 0].astype(np.float64), float(bias[0])
    )


def calibration(
    margins: NDArray[np.float64], truth: NDArray[np.bool_], weight: NDArray[np.float64] | float = 1.0
) -> tuple[float, float]:
    """Return the factor on the margins and the shift under which what was not fitted on is likeliest.

    Parameters
    ----------
    margins
        Of each row the logits of the kinds against none of them, shape (rows, kinds).
    truth
        Whether a row is of any kind.
    weight
        Of each row.
    """

    def surprise(choice: NDArray[np.float64]) -> float:
        odds = np.logaddexp.reduce(choice[0] * margins, axis=1) + choice[1]
        return float((weight * np.where(truth, np.logaddexp(0.0, -odds), np.logaddexp(0.0, odds))).sum())

    best = optimize.minimize(surprise, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(best[0]), float(best[1])
