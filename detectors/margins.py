"""By how much more, or less, than its even share of the budget a series must be strange: by what, how many and where.

The budget (`detectors.budget`) is spent evenly over all series; how often chance makes one strange is not even. All
margins are in −log10 of the tail probability; they were set on labelled fortnights.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from detectors.cells import Cell
from detectors.counts import Floats, Ints
from detectors.measures import GRUMBLES, harm_done
from qianshao.event import WIDE_DIMENSIONS

HARM = -2.5
"""Harm done to users of one product or model is told on weaker evidence. Its series are looked at only when somebody is
harmed, a few times a day, not at every tick: that costs no more false alarms than the budget allows."""
HARM_OF_A_LINE = -0.6
"""The same where no product is named: what befalls customers of several products has seldom one cause."""
HARM_OF_THREE = -1.5
"""The same where a wider series was strange and only those in it name one product: of three, of more it is `HARM`."""
FEWEST_HARMED = 3
THING = frozenset(("product", "model"))
OF_A_FAMILY = 0.4
"""A family of dangers with calls that were only suspicious; those calls by themselves are asked for more."""
MEASURE = {
    "danger": 1.0,
    "metric": 3.0,
    "negative": 3.0,
    "returned": 3.0,
    "theme": 0.7,
    "code": -0.3,
    "ticket_type": -1.0,
}
"""Calls that were only suspicious, and measurements, are told on stronger evidence; so are mood and returns, which say
that something is wrong and not what, and themes, of which agents' habits are some. Codes and agents' labels are told on
weaker: chance makes fewer strange cells of them than the number of their series says."""
TOLD = frozenset(("topic", "term", "theme", "ticket_type"))
"""What customers and agents put in words: the margins of number and place hold for these."""
OWN_WORDS = frozenset(("term", "theme"))
MANY = 7
BY_NUMBER = np.array(
    (
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0.6, 0.6, 0.6, 0.6, 0.6, 0.3, 0.0, 0.0),
        (0.6, 0.6, 0.6, 0.6, 0.6, 0.3, -0.4, -1.2),
    )
)
"""What so many people are asked, up to `MANY`: of what is not told in words, of what is, and of words of their own.

Most series expect hardly anybody, and how little is what is known of them least: chance makes more handfuls of four and
five than the model says. Seven who use one word, or mean one fault, are seldom chance; one topic they may have in
common any day."""
ONE_CHANNEL = 0.5
"""A channel, or a channel of a region, without line or product: the same trouble is told in every channel."""

OF_NO_THING = {"term": 0.4, "theme": 0.4, "ticket_type": 1.0}
"""Words and agents' labels that localisation finds in no product, model or release: what people grumble about anyhow
rises together now and then over a whole line or region. Words of fewer than `MANY` are never enough there."""
GRUMBLE = 1.1
"""What customers find wanting in every rush hour, of service and of speed."""


def margin(measure: str, value: str, cell: Cell) -> float:
    """Return what a series of one measure value and cell is asked beyond the opening score.

    >>> margin("topic", "设备离线", (("line", "家居"),)), margin("topic", "设备离线", (("channel", "app"),))
    (0.0, 0.5)
    """
    names = {name for name, _ in cell}
    if harm_done(measure, value):
        return margin_of_harm(names)
    asked = MEASURE.get(measure, 0.0)
    if measure == "danger" and "/" not in value:
        asked = OF_A_FAMILY
    if asked < 0.0 and (not names & {"line", "product"} or "channel" in names):
        asked = 0.0  # strangers all over the place are chance
    if measure == "term" and value in GRUMBLES:
        asked += GRUMBLE
    if measure in TOLD and "channel" in names and names <= {"channel", "region"}:
        asked += ONE_CHANNEL
    return asked


def margin_of_harm(cell: Collection[str], dims: Collection[str] = (), people: float = 0.0) -> float:
    """Return what harm is asked that was counted by these dimensions, once its cause is named by others.

    Harm comes from a thing: strangers all over the place are chance, and no channel harms anybody.

    >>> margin_of_harm({"product", "region"}), margin_of_harm({"line"}), margin_of_harm({"product", "channel"})
    (-2.5, -0.6, 0.0)
    >>> margin_of_harm({"line"}, {"product"}, 3), margin_of_harm({"line"}, {"product"}, 4)
    (-1.5, -2.5)
    """
    if "channel" in cell:
        return 0.0
    if THING & set(cell):
        return HARM
    if THING & set(dims):
        return HARM if people > FEWEST_HARMED else HARM_OF_THREE
    return HARM_OF_A_LINE if "line" in cell else 0.0


def wording(measure: str) -> int:
    """Return the row of `BY_NUMBER` that holds for a measure."""
    return (measure in TOLD) + (measure in OWN_WORDS)


def margin_of_number(wordings: Ints, counts: Floats) -> Floats:
    """Return what is asked beyond that of so many people.

    Parameters
    ----------
    wordings
        Of each series, shape (rows,).
    counts
        People, shape (rows, windows), as the result.
    """
    asked: Floats = BY_NUMBER[wordings[:, None], np.minimum(counts, MANY).astype(np.int64)]
    return asked


def margin_of_place(measure: str, dims: Collection[str], people: float) -> float:
    """Return what a finding of so many people is asked beyond that where these dimensions name its cause.

    >>> margin_of_place("term", {"line": "家居", "region": "华东"}, 9), margin_of_place("term", {"product": "门锁"}, 4)
    (0.4, 0.0)
    >>> margin_of_place("term", {"region": "华东"}, 4)
    inf
    """
    if set(dims) - WIDE_DIMENSIONS:
        return 0.0
    return math.inf if measure in OWN_WORDS and people < MANY else OF_NO_THING.get(measure, 0.0)
