"""Service topic of customers' texts: cue words and a linear layer vote; without a clear winner, none."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from models.lexicon import Lexicon
from models.linear import Linear

MINIMUM_CONFIDENCE = 0.45
HINTED_CONFIDENCE = 0.5
"""What the layer must reach where only weak cue words of the topic stand in the text."""
UNCUED_CONFIDENCE = 0.7
"""What the layer must reach where no cue word of the topic stands in the text: its words may have met by chance."""
_CUE_LOGIT = 1.6
_MAX_CUE_WEIGHT = 2.5
_FOREIGN_LOGIT = -0.6
"""Of a topic that the layer was not fitted with, against the layer's best class: one strong cue word is enough."""
_SMALL_TALK = re.compile(
    r"(?:[\s，。！？,.!?~～…、:：]|\[[^\]]{1,4}\]|〔[^〕]{1,6}〕|你好|您好|hello|hi|在吗|在不在|有人吗|有人|喂|客服|人工|转接?|"
    r"@|好的?|好吧|行|嗯|哦|噢|啊|呀|呢|吧|了|哈|谢谢|多谢|感谢|辛苦|麻烦|你们?|您|我|知道|收到|明白|可以|没事|不用|再见|拜拜|"
    r"ok|OK|Ok|是的?|对的?|订单号?|定单号?|单号|帮我?|看一?下|查一?下|一下|等等|稍等|早上|上午|下午|晚上|恩|亲|那个|就是|说|这|"
    r"[0-9A-Za-z]|[\U0001f300-\U0001faff])*"
)
_LATIN_WORD = re.compile(r"[A-Za-z]{3,}")


def is_small_talk(text: str) -> bool:
    """Return whether a text is only greeting, thanks, acknowledgement, a call for a person, or bare identifiers.

    >>> is_small_talk("好的谢谢"), is_small_talk("订单号〔订单号〕"), is_small_talk("好的，门锁离线")
    (True, True, False)
    """
    return _SMALL_TALK.fullmatch(text) is not None and (len(text) < 12 or _LATIN_WORD.search(text) is None)


class TopicModel:
    """Topic of each text of a batch, with a confidence between 0 and 1.

    The linear layer was fitted on texts that the project wrote itself; its classes are those of the taxonomy it was
    fitted with, and '' for everything else. With another taxonomy the layer's classes that still exist are used, the
    others say '', and topics that the layer does not know rest on cue words alone. It fails on faults told in a way
    that neither cues nor layer know: it abstains there.
    """

    def __init__(self, lexicon: Lexicon, layer: Linear) -> None:
        self._lexicon = lexicon
        self._layer = layer
        self._labels = (*lexicon.topics, "")
        columns = {label: index for index, label in enumerate(layer.labels)}
        self._columns = np.array([columns.get(label, -1) for label in self._labels])
        self._known = self._columns >= 0
        self._elsewhere = np.array([column for label, column in columns.items() if label not in self._labels], np.int64)
        """Classes that the taxonomy does not have."""

    def label(self, texts: Sequence[str], matrix: sparse.csr_matrix) -> list[tuple[str, float]]:
        """Return (topic, confidence) per text; '' where it abstains."""
        count = len(texts)
        layer = self._layer.logits(matrix)
        logits = np.full((count, len(self._labels)), -np.inf)
        logits[:, self._known] = layer[:, self._columns[self._known]]
        cues = np.zeros_like(logits)
        cues[:, : len(self._lexicon.topics)] = self._lexicon.topic_cues(texts)
        if len(self._elsewhere):
            logits[:, -1] = np.logaddexp.reduce(layer[:, [self._columns[-1], *self._elsewhere]], axis=1)
        if not self._known.all():
            foreign = (cues > 0) & ~self._known
            logits = np.where(foreign, logits.max(axis=1, keepdims=True) + _FOREIGN_LOGIT, logits)
        logits += _CUE_LOGIT * np.minimum(cues, _MAX_CUE_WEIGHT)
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        best = shares.argmax(axis=1)
        confidence = shares[np.arange(count), best]
        labels = []
        told = cues[np.arange(count), best]
        needed = np.select(
            [told >= 1.0, told > 0.0], [MINIMUM_CONFIDENCE, HINTED_CONFIDENCE], default=UNCUED_CONFIDENCE
        )
        for text, index, share, least in zip(texts, best.tolist(), confidence.tolist(), needed.tolist(), strict=True):
            topic = self._labels[index]
            if not topic or share < least or is_small_talk(text):
                labels.append(("", 0.0))
            else:
                labels.append((topic, round(share, 4)))
        return labels
