"""The managers' rules: when they alarm, on what, and how often for one cause."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rules import RuleEvents, SeriesHours, fixed_threshold, hourly_z
from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.series import Series

Row = tuple[int, str, str, str, str, str, str, int]
"""ts, kind, role, product, topic, ticket type, code, customer"""


def hours(rows: list[Row]) -> SeriesHours:
    ordered = sorted(rows, key=lambda row: row[0])
    ts, *columns = zip(*ordered, strict=True) if ordered else ((), (), (), (), (), (), (), ())
    kind, role, product, topic, label, code, customer = columns
    ids = [f"e{number}" for number in range(len(ordered))]
    return SeriesHours(RuleEvents(ids, np.array(ts, dtype=np.int64), kind, role, product, topic, label, code, customer))


def chat(ts: int, customer: int, *, product: str = "门锁", topic: str = "设备离线", role: str = "customer") -> Row:
    return (ts, "chat", role, product, topic, "", "", customer)


def ticket(ts: int, customer: int, label: str = "退款") -> Row:
    return (ts, "ticket", "", "钱包", "", label, "", customer)


def device(ts: int, customer: int, code: str = "E207") -> Row:
    return (ts, "device", "", "门锁", "", "", code, customer)


def test_the_fixed_threshold_alarms_at_the_moment_it_is_reached_with_what_it_had_counted() -> None:
    first, second = fixed_threshold(hours([chat(n * MINUTE_MS, n + 1) for n in range(5)]), 3)
    assert (first.at, first.version, first.evidence) == (2 * MINUTE_MS, 1, ["e0", "e1", "e2"])
    assert first.series == Series("topic", "设备离线", (("product", "门锁"),))
    assert (second.at, second.version, second.report) == (HOUR_MS, 2, first.report)
    assert second.evidence == ["e0", "e1", "e2", "e3", "e4"]
    assert second.opened_at == first.at


def test_one_customer_with_many_messages_counts_once_and_nobody_never() -> None:
    assert fixed_threshold(hours([chat(n, 7) for n in range(80)] + [chat(n, 0) for n in range(9)]), 2) == []


def test_a_clock_hour_forgets_the_hour_before() -> None:
    assert fixed_threshold(hours([chat(HOUR_MS - 2, 1), chat(HOUR_MS - 1, 2), chat(HOUR_MS, 3)]), 3) == []


def test_agents_and_bots_events_without_topic_and_ratings_are_not_counted() -> None:
    rows = [chat(1, 1, role="agent"), chat(2, 2, role="bot"), chat(3, 3, topic=""), ticket(4, 4, ""), device(5, 5, "")]
    assert fixed_threshold(hours([*rows, (6, "rating", "", "门锁", "", "", "", 6)]), 1) == []


def test_topics_ticket_types_and_codes_are_counted_apart_and_by_product() -> None:
    rows = [chat(1, 1), chat(2, 2, product="摄像头"), ticket(3, 3), device(4, 4), device(5, 5, "E1")]
    series = {str(record.series) for record in fixed_threshold(hours(rows), 1)}
    assert series == {
        "topic:设备离线|product=门锁",
        "topic:设备离线|product=摄像头",
        "ticket_type:退款|product=钱包",
        "code:E207",
        "code:E1",
    }


def test_a_report_lasts_until_an_hour_without_alarm() -> None:
    rows = [chat(hour * HOUR_MS + n, n + 1) for hour in (0, 1, 3) for n in range(3)]
    records = fixed_threshold(hours(rows), 3)
    reports = sorted({(record.opened_at, record.report) for record in records})
    assert [opened for opened, _ in reports] == [2, 3 * HOUR_MS + 2]
    assert [record.version for record in records] == [1, 2, 1, 2]
    assert records[1].evidence == ["e0", "e1", "e2"]


def steady(days: int, per_hour: int) -> list[Row]:
    return [chat(hour * HOUR_MS + n, n + 1) for hour in range(days * 24) for n in range(per_hour + hour % 2)]


def test_the_z_score_alarms_at_the_end_of_a_strange_hour() -> None:
    burst = [chat(48 * HOUR_MS + n, n + 1) for n in range(9)]
    (record,) = hourly_z(hours(steady(2, 4) + burst))
    assert record.at == 49 * HOUR_MS
    assert len(record.evidence) == 9


@pytest.mark.parametrize(("hour", "customers"), [(23, 9), (48, 4), (48, 5)])
def test_the_z_score_is_quiet_without_a_day_of_history_below_five_or_within_three_deviations(
    hour: int, customers: int
) -> None:
    base = [row for row in steady(3, 4 if customers != 4 else 0) if row[0] < hour * HOUR_MS]
    rows = base + [chat(hour * HOUR_MS + n, n + 1) for n in range(customers)]
    assert hourly_z(hours(rows)) == []


def test_the_z_score_compares_with_the_hours_before_and_exactly_three_deviations_are_enough() -> None:
    # a day of 4 and 5 customers in turn has mean 4.5 and deviation 0.5; with its own 6 in it the hour would hide itself
    burst = [chat(24 * HOUR_MS + n, n + 1) for n in range(6)]
    assert [record.at for record in hourly_z(hours(steady(1, 4) + burst))] == [25 * HOUR_MS]


def test_four_customers_after_silence_are_too_few_for_the_z_score() -> None:
    later = [device(50 * HOUR_MS + n, n + 1) for n in range(5)]
    records = hourly_z(hours([device(0, 1), *(device(30 * HOUR_MS + n, n + 1) for n in range(4)), *later]))
    assert [record.at for record in records] == [51 * HOUR_MS]


def test_hours_without_customers_count_as_zero_in_the_history() -> None:
    rows = [device(0, 1)] + [device(30 * HOUR_MS + n, n + 1, "E999") for n in range(5)]
    assert [str(record.series) for record in hourly_z(hours(rows))] == ["code:E999"]


def test_no_events_give_no_reports() -> None:
    assert fixed_threshold(hours([]), 3) == []
    assert hourly_z(hours([])) == []


ROWS = st.lists(
    st.builds(
        chat,
        st.integers(0, 3 * HOUR_MS - 1),
        st.integers(0, 6),
        product=st.sampled_from(["门锁", "摄像头"]),
        topic=st.sampled_from(["", "设备离线", "退款"]),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, threshold=st.integers(1, 5))
def test_a_report_opens_exactly_when_that_many_customers_spoke_after_an_hour_when_fewer_did(
    rows: list[Row], threshold: int
) -> None:
    spoken: dict[tuple[str, str, int], set[int]] = {}
    for ts, _, _, product, topic, _, _, customer in rows:
        if topic and customer:
            spoken.setdefault((product, topic, ts // HOUR_MS), set()).add(customer)
    alarms = {key for key, people in spoken.items() if len(people) >= threshold}
    expected = {(product, topic, hour) for product, topic, hour in alarms if (product, topic, hour - 1) not in alarms}
    records = fixed_threshold(hours(rows), threshold)
    opened = {(record.series.dims[0][1], record.series.value, record.opened_at // HOUR_MS) for record in records}
    assert opened == expected
