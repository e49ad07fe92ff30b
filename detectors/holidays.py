"""Public holidays and working weekends in China: what makes a day unlike its day of the week."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Literal

import chinese_calendar

DayKind = Literal["ordinary", "holiday", "working_weekend"]

KNOWN_UNTIL = date(max(chinese_calendar.holidays).year, 12, 31)
"""Until this day the published holidays are known; the next year's are published in November."""

_FIXED = frozenset({(1, 1), (5, 1), (10, 1), (10, 2), (10, 3)})


@lru_cache(maxsize=4096)
def day_kind(day: date) -> DayKind:
    """Say whether a day is a public holiday or a weekend that is worked to make up for one (调休).

    A holiday is every day off that belongs to one, also where it falls on a weekend. Outside of what the library knows
    (2004 to `KNOWN_UNTIL`) only the statutory days of a fixed date are told: spring and autumn festivals follow the
    moon, and which weekends are worked is decided year by year.

    Source of the days: chinesecalendar, after the State Council's notices.

    >>> [day_kind(day) for day in (date(2026, 10, 2), date(2026, 10, 10), date(2026, 11, 23), date(2040, 5, 1))]
    ['holiday', 'working_weekend', 'ordinary', 'holiday']
    """
    try:
        free, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        return "holiday" if (day.month, day.day) in _FIXED else "ordinary"
    if free:
        return "holiday" if name else "ordinary"
    return "working_weekend" if day.weekday() >= 5 else "ordinary"
