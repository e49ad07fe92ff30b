"""Models that somebody trained on texts of their own, at the places of the shipped ones."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import sparse

from models.classifier import Classifier
from models.sentiment import NEUTRAL_MARGIN
from models.topic import is_small_talk
from qianshao.errors import ModelError

GOOD = frozenset(("1", "positive", "pos", "good", "好评", "正面", "积极", "满意"))
BAD = frozenset(("0", "-1", "negative", "neg", "bad", "差评", "负面", "消极", "不满意"))


class OwnTopics:
    """Topic of each text by a model of somebody's own; its labels are the topics.

    It abstains below the confidence that training found worth believing, and on small talk, which no training text was.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def label(self, texts: Sequence[str], matrix: sparse.csr_matrix) -> list[tuple[str, float]]:
        """Return (topic, confidence) per text, '' where it abstains; the model counts features of its own."""
        return [
            (verdict.label, verdict.confidence) if verdict.certain and not is_small_talk(text) else ("", 0.0)
            for text, verdict in zip(texts, self._classifier.label(texts), strict=True)
        ]


class OwnFeelings:
    """Sentiment of each text by a model of somebody's own, P(good) − P(bad).

    Raises
    ------
    ModelError
        If not exactly one of its labels is known to be good, and one to be bad.
    """

    def __init__(self, classifier: Classifier) -> None:
        good = [place for place, label in enumerate(classifier.labels) if label.strip().lower() in GOOD]
        bad = [place for place, label in enumerate(classifier.labels) if label.strip().lower() in BAD]
        if len(good) != 1 or len(bad) != 1:
            raise ModelError(
                f"sentiment model with labels {', '.join(classifier.labels)}: does not say which one is good and which "
                f"bad; train it with two labels such as 1 and 0, or positive and negative"
            )
        self._classifier = classifier
        self._good, self._bad = good[0], bad[0]

    def label(self, texts: Sequence[str], matrix: sparse.csr_matrix) -> list[float]:
        """Return one value per text between −1 and 1; the model counts features of its own."""
        shares = self._classifier.probabilities(self._classifier.reader.counts(texts))
        values = shares[:, self._good] - shares[:, self._bad]
        return [
            0.0 if abs(value) < NEUTRAL_MARGIN or is_small_talk(text) else round(value, 4)
            for text, value in zip(texts, values.tolist(), strict=True)
        ]
