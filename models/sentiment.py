"""Feeling of customers' texts between −1 and 1: words of feeling with negation and degree, and a linear layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from models.lexicon import Lexicon
from models.linear import Linear

_LEXICON_LOGIT = 0.9
_MAX_LEXICON_SCORE = 3.0
_NEUTRAL_MARGIN = 0.15


class SentimentModel:
    """Sentiment of each text of a batch.

    The sum of a rule (words of feeling, turned by negation, weighted by degree; thanks beside a complaint counts as a
    complaint) and of a linear layer fitted on texts that the project wrote itself, through tanh. Texts without a word of
    feeling stay near 0. It fails on irony without thanks and on feeling told through facts alone.
    """

    def __init__(self, lexicon: Lexicon, layer: Linear) -> None:
        self._lexicon = lexicon
        self._layer = layer

    def label(self, texts: Sequence[str], matrix: sparse.csr_matrix) -> list[float]:
        """Return one value per text, rounded to four digits."""
        logits = self._layer.logits(matrix)[:, 0]
        feelings = [self._lexicon.feeling(text) for text in texts]
        rule = np.array([feeling.score for feeling in feelings])
        silent = np.array([feeling.positive + feeling.negative == 0 for feeling in feelings], dtype=bool)
        logits = np.where([feeling.sarcasm for feeling in feelings], np.minimum(logits, 0.0), logits)
        logits = logits * np.where(silent, 0.6, 1.0) + _LEXICON_LOGIT * np.clip(
            rule, -_MAX_LEXICON_SCORE, _MAX_LEXICON_SCORE
        )
        values = np.tanh(logits / 2)
        values[np.abs(values) < _NEUTRAL_MARGIN] = 0.0
        return [round(value, 4) for value in values.tolist()]
