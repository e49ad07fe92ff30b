"""Voices: who says a new term on their own, of what, whether in trouble, and what they all write around it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

from detectors.measures import promoted
from detectors.term_keys import MAX_FAULTS, MAX_READ_CHARS, places_of, plain_text
from qianshao.event import BENIGN_TOPICS, CLEARLY_NEGATIVE, WIDE_DIMENSIONS, Observation

TROUBLED = 0.6
"""Share of them who must have trouble; of everybody it is less than half."""
SAME_TEXT = 0.6
"""Overlap of what stands around the term, from which two texts are one voice: pasted, forwarded or read out."""
LEAST_AROUND = 4
"""Character pairs around the term below which two texts cannot be told to be copies."""
MOSTLY = 0.75
"""Share of the texts that must agree on a character beside the term, for it to be told as a part of it."""

_CHINESE = re.compile(r"[\u4e00-\u9fff]+")
_LOUD = ("error", "fatal")


def somebody(event: Observation) -> int:
    """Return who an event counts for: its customer, or the device that nobody is known of."""
    return event.customer or event.device


def statements_of(event: Observation) -> list[tuple[str, str]]:
    """Return what customers can agree on: places, region, topic, faults."""
    pairs = places_of(event)
    if event.region:
        pairs.append(("region", event.region))
    if event.topic:
        pairs.append(("topic", event.topic))
    if event.terms:
        pairs += [("fault", fault) for fault in event.terms[:MAX_FAULTS]]
    return pairs


def voices_of(events: Sequence[Observation], words: str, *, code: bool) -> list[Observation]:
    """Return those who speak on their own: of texts that are the same around the term only the first counts.

    Where nothing stands around it, the texts are the same; but a code alone is what anybody would write.
    """
    voices: list[Observation] = []
    around: list[frozenset[str]] = []
    own = _pairs_of(words)
    bare: set[frozenset[str]] = set()
    for event in events:
        if event.kind != "device":
            said = _pairs_of(event.text)
            rest = said - own
            if len(rest) >= LEAST_AROUND:
                if any(len(rest & other) >= SAME_TEXT * min(len(rest), len(other)) for other in around):
                    continue
                around.append(rest)
            elif not code:
                if said in bare:
                    continue
                bare.add(said)
        voices.append(event)
    return voices


@lru_cache(maxsize=4_000)
def _pairs_of(text: str) -> frozenset[str]:
    """The pairs of neighbouring characters of a text, marks and spaces left out."""
    plain = "".join(filter(str.isalnum, text[:MAX_READ_CHARS]))
    return frozenset(map(str.__add__, plain, plain[1:]))


def in_trouble(event: Observation, words: str) -> bool:
    """Return whether somebody has trouble: a fault, a danger, anger, or a topic that is not what people ask anyway."""
    if event.kind == "device":
        return event.level in _LOUD
    if event.sentiment < CLEARLY_NEGATIVE or event.danger:
        return True
    if event.topic and event.topic not in BENIGN_TOPICS:
        return True
    return any(term != words for term in event.terms)


def tell_of_failure(dims: Collection[str], events: Sequence[Observation], planned: Collection[str]) -> bool:
    """Return whether words that are new say of themselves that something failed: an unseen code always does.

    They lie in a thing, most who say them are upset, and no promotion brings words of its own that day.
    """
    upset = {somebody(event) for event in events if event.sentiment < CLEARLY_NEGATIVE or event.danger}
    many = len(upset) >= TROUBLED * len({somebody(event) for event in events})
    products = Counter(event.product for event in events if event.product)
    one = max(products.values(), default=0) >= MOSTLY * max(sum(products.values()), 1)
    return many and (one or bool(set(dims) - WIDE_DIMENSIONS)) and not promoted(events, planned)


def longest_shared(voices: Sequence[Observation], words: str) -> str:
    """Return the longest piece around a term that most of those who say it share: what a reader takes for the word.

    Names, and words that do not stand side by side, are left as they are.
    """
    beside_each_other = words.replace(" ", "")
    texts = [text for event in voices if beside_each_other in (text := plain_text(event))]
    if len(texts) < MOSTLY * len(voices) or _CHINESE.fullmatch(beside_each_other) is None:
        return words
    shared = beside_each_other
    for left in (True, False):
        while True:
            beside: Counter[str] = Counter()
            for text in texts:
                at = text.find(shared)
                if at >= 0:
                    next_to = at - 1 if left else at + len(shared)
                    if 0 <= next_to < len(text):
                        beside[text[next_to]] += 1
            character, number = max(beside.items(), key=lambda item: (item[1], item[0]), default=("", 0))
            if number < MOSTLY * len(texts) or not character.isalnum():
                break
            shared = character + shared if left else shared + character
    return shared
