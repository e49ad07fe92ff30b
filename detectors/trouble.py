"""Whether what customers say tells of trouble, by its meaning: counted, and a veto against words that only ask."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.counts import Measured
from detectors.measures import BENIGN_TOPICS
from qianshao.event import CLEARLY_NEGATIVE, Observation, is_customer
from qianshao.meaning import Meaning, Meanings

MEASURE: Measured = ("trouble", "")
"""How customers who tell of trouble are counted, whatever it is."""
TROUBLED = 0.6
"""Probability from which they are."""
PLEASED = 0.1
"""Whoever writes in a better mood tells of no trouble."""
GLAD = 0.3
"""Mood from which words of trouble are half in jest."""
CALM = 0.4
"""Where the customers' mean probability of trouble is lower, nothing failed."""
LEAST_READ = 3
"""Customers whose texts must mean something before it can be said."""
MOST_READ = 40
"""Customers that are read, the newest."""
MAY_BE_CALM = frozenset(("topic", "term", "theme"))
"""Measures that are made of words; agents' labels, moods and dangers are judged by other means."""


def trouble_of(event: Observation, meaning: Meaning) -> float:
    """Return how likely an event tells of trouble, 0–1."""
    return meaning.trouble * (0.5 if event.sentiment > GLAD else 1.0)


def speaks(event: Observation) -> bool:
    """Return whether an event is a customer's own words, or a ticket's."""
    return bool(event.text) and (event.kind == "ticket" or (event.kind in ("chat", "call") and is_customer(event.role)))


def may_tell(event: Observation) -> bool:
    """Return whether an event may tell of trouble: only then is its meaning asked, which is what takes time.

    What is said in a good mood, and what customers ask anyway, tells of none.
    """
    if not speaks(event):
        return False
    if event.danger or event.terms or event.sentiment < CLEARLY_NEGATIVE:
        return True
    return event.sentiment <= PLEASED and event.topic not in BENIGN_TOPICS


def troubled(event: Observation, meanings: Meanings) -> bool:
    """Return whether a customer tells of trouble."""
    if event.kind == "ticket" or not may_tell(event):
        return False
    meaning = meanings([event.text])[0]
    return meaning is not None and trouble_of(event, meaning) >= TROUBLED


def calm(events: Sequence[Observation], meanings: Meanings) -> bool:
    """Return whether most of those who speak tell of no trouble: they ask, joke, praise or speak of a rule.

    Of each customer the text counts that tells most of trouble. Cost: 0.8 ms a text that was not read before. It fails
    on trouble told in words that sound like a question, which is then told when more of its customers are heard.
    """
    texts: dict[int, list[Observation]] = {}
    for event in events:
        if event.kind != "device" and event.text:
            texts.setdefault(event.customer, []).append(event)
    newest = list(texts.values())[-MOST_READ:]
    said = [event for some in newest for event in some]
    worst: dict[int, float] = {}
    for event, meaning in zip(said, meanings([event.text for event in said]), strict=True):
        if meaning is not None:
            worst[event.customer] = max(worst.get(event.customer, 0.0), trouble_of(event, meaning))
    return len(worst) >= LEAST_READ and sum(worst.values()) < CALM * len(worst)
