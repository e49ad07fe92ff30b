"""The knob: how strange a series must be, so that no more than the budgeted false alarms a day are expected."""

from __future__ import annotations

import math

TESTS_PER_SERIES_AND_DAY = 20.0
"""Effectively independent looks that the windows of one series get in a day."""

WEAK_SHARE = 100.0
"""A weak witness may be this many times as frequent: it never speaks alone."""


def opening_score(series: int, false_alarms_per_day: float) -> float:
    """Score above which one series of `series` alarms alone, in −log10 of the tail probability.

    The budget is spent evenly over all looks at all series (a Bonferroni bound, so the realised number is below it
    where series are dependent, as nested cells are). Fails when tails are heavier than the model's.

    >>> round(opening_score(10_000, 0.2), 1)
    6.0
    """
    return math.log10(max(series, 10_000) * TESTS_PER_SERIES_AND_DAY / false_alarms_per_day)


def weak_score(series: int, false_alarms_per_day: float) -> float:
    """Score above which a series counts as a weak witness."""
    return opening_score(series, false_alarms_per_day) - math.log10(WEAK_SHARE)
