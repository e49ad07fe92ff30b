"""Time as the whole house speaks it: integer epoch milliseconds inside, RFC 3339 with milliseconds outside."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
AWAKE_FROM, AWAKE_UNTIL = 7 * HOUR_MS, 23 * HOUR_MS
"""Between these times of day customers say what is wrong; what is broken at night is told in the morning."""


def to_rfc3339(ts_ms: int, zone: tzinfo) -> str:
    """Write epoch milliseconds as RFC 3339 with milliseconds in `zone`.

    >>> from zoneinfo import ZoneInfo
    >>> to_rfc3339(1765382400675, ZoneInfo("Asia/Shanghai"))
    '2025-12-11T00:00:00.675+08:00'
    """
    return datetime.fromtimestamp(ts_ms / 1000, tz=zone).isoformat(timespec="milliseconds")


def from_rfc3339(text: str) -> int:
    """Read RFC 3339 with an offset as epoch milliseconds, rounding down.

    Raises
    ------
    ValueError
        If the text is not RFC 3339 or carries no offset.

    >>> from_rfc3339("2025-12-11T00:00:00.675+08:00")
    1765382400675
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"timestamp {text!r} has no offset")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def waking_between(start_ms: int, end_ms: int, zone: tzinfo) -> int:
    """Return how much of the time from one moment to a later one customers are awake, in milliseconds.

    A night without a word says nothing of whether a trouble is over.

    >>> from zoneinfo import ZoneInfo
    >>> evening = from_rfc3339("2025-12-11T22:30:00.000+08:00")
    >>> waking_between(evening, evening + 9 * HOUR_MS, ZoneInfo("Asia/Shanghai")) // MINUTE_MS
    60
    """
    return _waking(end_ms, zone) - _waking(start_ms, zone)


@lru_cache(maxsize=4_096)
def waking_after(start_ms: int, span_ms: int, zone: tzinfo) -> int:
    """Return the moment by which customers have been awake for so long since `start_ms`, both in milliseconds.

    What is asked again is remembered: everything that lives is asked at every tick.

    >>> from zoneinfo import ZoneInfo
    >>> evening = from_rfc3339("2025-12-11T22:30:00.000+08:00")
    >>> to_rfc3339(waking_after(evening, HOUR_MS, ZoneInfo("Asia/Shanghai")), ZoneInfo("Asia/Shanghai"))
    '2025-12-12T07:30:00.000+08:00'
    """
    day, of_day = divmod(_waking(start_ms, zone) + span_ms - 1, AWAKE_UNTIL - AWAKE_FROM)
    morning = datetime.combine(date.fromordinal(day), time(), tzinfo=zone) + timedelta(milliseconds=AWAKE_FROM)
    return round(morning.timestamp() * 1000) + of_day + 1


def is_waking(ts_ms: int, zone: tzinfo) -> bool:
    """Return whether customers are awake at a moment, epoch milliseconds.

    >>> from zoneinfo import ZoneInfo
    >>> is_waking(from_rfc3339("2025-12-11T02:30:00.000+08:00"), ZoneInfo("Asia/Shanghai"))
    False
    """
    return _waking(ts_ms, zone) % (AWAKE_UNTIL - AWAKE_FROM) > 0


@lru_cache(maxsize=4_096)
def _waking(ts_ms: int, zone: tzinfo) -> int:
    moment = datetime.fromtimestamp(ts_ms / 1000, tz=zone)
    of_day = ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000
    return moment.toordinal() * (AWAKE_UNTIL - AWAKE_FROM) + min(max(of_day, AWAKE_FROM), AWAKE_UNTIL) - AWAKE_FROM


def grid_tick(ts_ms: int, step_ms: int) -> int:
    """First tick of the decision grid at which an event of `ts_ms` has been counted.

    The event at exactly a tick belongs to the next one: a decision at tick T knows every event with ts < T.

    >>> grid_tick(9_999, 10_000), grid_tick(10_000, 10_000)
    (10000, 20000)
    """
    return (ts_ms // step_ms + 1) * step_ms
