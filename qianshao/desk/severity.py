"""How bad an incident is, from who is hurt, how many, how it grows, what they feel, and how far it spreads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qianshao.desk.case import Case
from qianshao.incident import Severity

UPSET = 5
"""Fewer clearly negative customers say nothing of the others."""
ESTABLISHED = 3
"""A product, a channel or a region counts from so many events on."""


class Grounds(NamedTuple):
    """Points of one incident, see `weigh`; in the order in which a rise is named."""

    danger: int
    silence: int
    people: int
    growth: int
    sentiment: int
    spread: int


def weigh(*, danger: bool, silent: bool, people: int, growth: float, negative: float, spread: int) -> Grounds:
    """Return the points of an incident; none of them falls when an argument rises.

    | ground | points |
    |---|---|
    | people are in danger | 6 |
    | a channel is silent, or much quieter than it should be | 4 |
    | 10, 30, 100 people are hurt (two devices count as one) | 2, 4, 6 |
    | the newest hour brought twice as many people as an hour before it | 1 |
    | half of the customers are clearly negative | 1 |
    | two of: two independent witnesses, 3 products, 3 channels, 5 regions | 1 |

    Parameters
    ----------
    people
        Customers, or half the devices if that is more.
    growth
        People of the newest hour ÷ people of an hour before it.
    negative
        Share of the customers who are clearly negative, 0–1.
    spread
        How many of the four in the last row hold.
    """
    return Grounds(
        danger=6 * danger,
        silence=4 * silent,
        people=6 if people >= 100 else 4 if people >= 30 else 2 if people >= 10 else 0,
        growth=int(growth >= 2.0),
        sentiment=int(negative >= 0.5),
        spread=int(spread >= 2),
    )


def level(grounds: Grounds) -> Severity:
    """Return P1 from 6 points, P2 from 4, P3 from 2, else P4.

    The strongest of danger, silence and people counts; growth, sentiment and spread add 2 at most, one level, and never
    make a P1: that is for danger and for a hundred people.

    >>> level(weigh(danger=False, silent=False, people=12, growth=3.0, negative=0.6, spread=0))
    'P2'
    >>> level(weigh(danger=False, silent=False, people=60, growth=9.0, negative=1.0, spread=4))
    'P2'
    """
    most = max(grounds.danger, grounds.silence, grounds.people)
    points = most if most >= 6 else min(5, most + min(2, grounds.growth + grounds.sentiment + grounds.spread))
    return "P1" if points >= 6 else "P2" if points >= 4 else "P3" if points >= 2 else "P4"


def grounds_of(case: Case) -> Grounds:
    """Weigh a case as it stands."""
    places = [(case.places.get(name, {}), least) for name, least in (("product", 3), ("channel", 3), ("region", 5))]
    return weigh(
        danger=dangerous(case),
        silent=case.silent(),
        people=max(len(case.customers), len(case.devices) // 2),
        growth=case.growth(),
        negative=len(case.upset) / len(case.customers) if len(case.upset) >= UPSET else 0.0,
        spread=(case.witnesses() >= 2) + sum(_established(counts) >= least for counts, least in places),
    )


def _established(counts: Mapping[str, int]) -> int:
    return sum(number >= ESTABLISHED for number in counts.values())


def dangerous(case: Case) -> bool:
    """Say whether people are in danger: a detector of dangers speaks, and an event names one."""
    return bool(case.dangers) and any(key.startswith("danger:") for key in case.witnessed)


def confidence_of(case: Case) -> float:
    """Return 0–1: how far the strongest witness stands out, more with every further independent one."""
    strongest = max(each.score for each in case.witnessed.values())
    doubt = 10.0 ** (-strongest / 8.0) / case.witnesses()
    return float(round(max(0.0, min(0.99, 1.0 - doubt)), 3))
