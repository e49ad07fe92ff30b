"""Whether what customers say tells of trouble, by its meaning: counted, and a veto against words that only ask."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.counts import Measured
from qianshao.event import Observation

MEASURE: Measured = ("trouble", "")
"""How customers who tell of trouble are counted, whatever it is."""
TROUBLED = 0.6
"""Probability from which they are."""
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


def trouble_of(event: Observation) -> float:
    """Return how likely an event tells of trouble, 0–1; 0 where it says nothing by itself."""
    return (event.trouble or 0.0) * (0.5 if event.sentiment > GLAD else 1.0)


def troubled(event: Observation) -> bool:
    """Return whether a customer tells of trouble; what an agent writes is no customer's word."""
    return event.kind != "ticket" and trouble_of(event) >= TROUBLED


def calm(events: Sequence[Observation]) -> bool:
    """Return whether most of those who speak tell of no trouble: they ask, joke, praise or speak of a rule.

    Of each customer the text counts that tells most of trouble. It fails on trouble told in words that sound like a
    question, which is then told when more of its customers are heard.
    """
    worst: dict[int, float | None] = {}
    for event in events:
        if event.kind != "device" and event.text:
            before = worst.setdefault(event.customer, None)
            if event.trouble is not None:
                worst[event.customer] = max(before or 0.0, trouble_of(event))
    newest = [trouble for trouble in list(worst.values())[-MOST_READ:] if trouble is not None]
    return len(newest) >= LEAST_READ and sum(newest) < CALM * len(newest)
