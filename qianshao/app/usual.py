"""What a team would write first: jieba and scikit-learn, the measure of every benchmark of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

# Only benchmarks load this module: both libraries are slow to load.
import jieba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

TOPICS = 20
COLUMNS = 2**18

Read = Callable[[Sequence[str]], tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Takes texts; gives the topic and the feeling of each."""


class UsualReading(NamedTuple):
    """Two linear models over hashed features, ready to predict."""

    words: Read
    """Over the words that jieba cuts."""
    words_and_grams: Read
    """Over these words and over character 1–3-grams, as our own layers read them."""


def usual_reading() -> UsualReading:
    """Set up the usual libraries; about a second, most of it jieba's dictionary."""
    jieba.setLogLevel("ERROR")
    jieba.initialize()
    words = HashingVectorizer(analyzer=jieba.lcut, n_features=COLUMNS, alternate_sign=False)
    grams = HashingVectorizer(analyzer="char", ngram_range=(1, 3), n_features=COLUMNS, alternate_sign=False)

    def both(texts: Sequence[str]) -> sparse.csr_matrix:
        return sparse.hstack([words.transform(texts), grams.transform(texts)], format="csr")

    return UsualReading(_fitted(words.transform), _fitted(both))


def _fitted(features: Callable[[Sequence[str]], sparse.csr_matrix]) -> Read:
    """Any coefficients cost the same: what is measured is predicting, not how well."""
    sample = features([f"样本 {number} 设备离线 很失望 {number % 7}" for number in range(200)])
    topic, sentiment = SGDClassifier(random_state=0), SGDClassifier(random_state=0)
    topic.partial_fit(sample, [number % TOPICS for number in range(200)], classes=list(range(TOPICS)))
    sentiment.partial_fit(sample, [number % 3 for number in range(200)], classes=[0, 1, 2])

    def read(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        matrix = features(texts)
        return topic.predict(matrix), sentiment.predict(matrix)

    return read
