"""Customers sleep: a night without a word says nothing of whether a trouble is over."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from desk_fakes import NOON, Dims, desk, finding
from hypothesis import given
from hypothesis import strategies as st

from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, waking_after, waking_between
from qianshao.finding import Finding

ZONE = ZoneInfo("Asia/Shanghai")
RELEASE: Dims = {"product": "门锁", "firmware": "2.3.1"}
EVENING = NOON + 10 * HOUR_MS + 40 * MINUTE_MS
MORNING = NOON + 19 * HOUR_MS + 20 * MINUTE_MS


def offline(tick: int) -> Finding:
    return finding(customers=range(30), value="设备离线", dims=RELEASE, tick=tick)


def dead_keys(tick: int) -> Finding:
    """Strangers who say something else about the same release."""
    return finding(customers=range(60, 66), measure="term", value="按键失灵", dims=RELEASE, tick=tick)


def test_an_incident_is_not_resolved_because_nobody_calls_at_night() -> None:
    target = desk()
    target.advance([offline(EVENING)], EVENING)
    assert target.advance([], MORNING)[0] == []
    (resolved,) = target.advance([], NOON + DAY_MS + 40 * MINUTE_MS)[0]
    assert (resolved.reason, resolved.at) == ("no_new_evidence", "2025-12-12T12:40:00.000+08:00")


def test_what_a_release_breaks_in_the_evening_explains_what_is_said_of_it_in_the_morning() -> None:
    target = desk()
    (first,) = target.advance([offline(EVENING)], EVENING)[0]
    changes, pushes, _ = target.advance([dead_keys(MORNING)], MORNING)
    assert changes == []
    assert {push.incident for push in pushes} == {first.incident}


def test_as_many_hours_by_day_do_not() -> None:
    target = desk()
    morning = NOON - 4 * HOUR_MS
    target.advance([offline(morning)], morning)
    later = morning + MORNING - EVENING
    changes, _, _ = target.advance([dead_keys(later)], later)
    assert [change.change for change in changes] == ["resolved", "opened"]


@given(start=st.integers(NOON - 3 * DAY_MS, NOON + 3 * DAY_MS), span=st.integers(1, 3 * DAY_MS))
def test_by_the_moment_named_customers_have_been_awake_for_so_long_and_not_before(start: int, span: int) -> None:
    end = waking_after(start, span, ZONE)
    assert waking_between(start, end, ZONE) == span
    assert waking_between(start, end - 1, ZONE) == span - 1
