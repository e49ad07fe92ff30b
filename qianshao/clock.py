"""Time as the whole house speaks it: integer epoch milliseconds inside, RFC 3339 with milliseconds outside."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


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


def grid_tick(ts_ms: int, step_ms: int) -> int:
    """First tick of the decision grid at which an event of `ts_ms` has been counted.

    The event at exactly a tick belongs to the next one: a decision at tick T knows every event with ts < T.

    >>> grid_tick(9_999, 10_000), grid_tick(10_000, 10_000)
    (10000, 20000)
    """
    return (ts_ms // step_ms + 1) * step_ms
