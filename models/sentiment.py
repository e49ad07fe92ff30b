"""Feeling of customers' texts between −1 and 1: words of feeling with negation and degree, and a linear layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from models.feeling import NEGATIVE, POSITIVE, feeling_tokens
from models.lexicon import Lexicon
from models.linear import Linear
from models.topic import is_small_talk

_LAYER_SHARE = 0.7
_LEXICON_LOGIT = 2.2
_SILENT_LOGIT = 1.0
_SARCASM_LOGIT = 2.0
NEUTRAL_MARGIN = 0.1
"""Sentiment nearer to 0 than this is none."""
_FACE_WEIGHT = 1.0


class SentimentModel:
    """Sentiment of each text of a batch.

    The sum of a rule (words of feeling, turned by negation, weighted by degree; thanks beside a complaint and praise in
    quotation marks count as complaints; emoji and emotes weigh as words) and of a linear layer fitted on texts that the
    project wrote itself, as logits. The layer is heard less the more of the feeling is turned, as in 没有不满意. Texts
    without a word of feeling stay near 0. It fails on irony without such a mark, on idioms that the taxonomy does not
    know, and on feeling told through facts alone.
    """

    def __init__(self, lexicon: Lexicon, layer: Linear) -> None:
        self._lexicon = lexicon
        self._layer = layer
        self._positive, self._neutral, self._negative = map(layer.labels.index, ("positive", "neutral", "negative"))

    def label(self, texts: Sequence[str], matrix: sparse.csr_matrix) -> list[float]:
        """Return one value per text, P(positive) − P(negative), rounded to four digits."""
        logits = _LAYER_SHARE * self._layer.logits(matrix)
        feelings = self._lexicon.feelings(texts)
        faces = [_faces(text) for text in texts]
        words = np.array([feeling.positive + feeling.negative for feeling in feelings]) + np.abs(faces)
        # The layer knows no order of words: of what is turned, it says the opposite.
        turned = np.array([feeling.turned for feeling in feelings])
        logits *= (1.0 - np.minimum(turned / np.maximum(words, 1.0), 1.0))[:, None]
        rule = _LEXICON_LOGIT * (np.array([feeling.score for feeling in feelings]) + faces) / np.sqrt(1 + words)
        silent = words == 0
        logits[:, self._positive] += rule / 2
        logits[:, self._negative] -= rule / 2
        idle = [quiet and is_small_talk(text) for quiet, text in zip(silent.tolist(), texts, strict=True)]
        logits[silent, self._neutral] += _SILENT_LOGIT
        logits[[feeling.sarcasm for feeling in feelings], self._positive] -= _SARCASM_LOGIT
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        values = shares[:, self._positive] - shares[:, self._negative]
        values[idle] = 0.0
        values[np.abs(values) < NEUTRAL_MARGIN] = 0.0
        return [round(value, 4) for value in values.tolist()]


def _faces(text: str) -> float:
    """Weigh emoji and emotes: −1 … 1, for three angry faces say no more than two."""
    tokens = feeling_tokens(text)
    if not tokens:
        return 0.0
    total = sum((token in POSITIVE) - (token in NEGATIVE) for token in tokens)
    return max(-_FACE_WEIGHT, min(_FACE_WEIGHT, total * _FACE_WEIGHT / 2))
