"""The trend book: days, expectations, states, incidents; any cut gives the same items."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import trends
from detectors.trends import TrendBook
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, to_rfc3339
from qianshao.event import Observation
from qianshao.incident import About, IncidentChange
from qianshao.push import Trend

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_765_123_200_000  # Monday 2025-12-08T00:00:00+08:00
FAR = START + 400 * DAY_MS


def spoken(day: int, customer: int, topic: str = "设备离线", hour: float = 9.0, **fields: object) -> Observation:
    values: dict[str, object] = {
        "id": f"{topic}{day}-{customer}-{hour}",
        "kind": "chat",
        "ts": START + day * DAY_MS + int(hour * HOUR_MS) + customer,
        "line": "智能家居",
        "product": "智能门锁",
        "customer": customer,
        "topic": topic,
        "text": f"门锁离线了，第{customer}位",
        "tokens": ("门锁", "离线"),
    }
    return Observation(**{**values, **fields})  # type: ignore[arg-type]


def day_of(day: int, customers: int, topic: str = "设备离线") -> list[Observation]:
    return [spoken(day, number + 1, topic) for number in range(customers)]


def changed(
    name: str, day: float, status: str = "open", topic: str | None = "设备离线", **dims: object
) -> IncidentChange:
    return IncidentChange(
        incident=name,
        version=1,
        change="updated",
        status=status,  # type: ignore[arg-type]
        reason="rise",
        at=to_rfc3339(START + int(day * DAY_MS), ZONE),
        opened_at=None if status == "watching" else to_rfc3339(START, ZONE),
        first_seen=to_rfc3339(START, ZONE),
        severity="P2",
        title="",
        dims=dims,  # type: ignore[arg-type]
        about=About(topic=topic),
        signals=[],
        customers=1,
        messages=1,
        devices=0,
        keywords=[],
        quotes=[],
        evidence=[],
        confidence=0.5,
    )


def told(counts: list[int], topic: str = "设备离线") -> list[Trend]:
    """Items of a topic with so many customers on each day, beside another topic that keeps every day alive."""
    book = TrendBook(ZONE)
    events = [event for day in range(len(counts)) for event in day_of(day, counts[day], topic) + day_of(day, 5, "物流")]
    return [item for item in book.advance(events, FAR, []) if item.topic == topic]


def test_a_day_is_told_once_when_it_is_over_and_not_before() -> None:
    book = TrendBook(ZONE)
    end = START + DAY_MS
    assert book.advance(day_of(0, 4), end - 1, []) == []
    assert book.advance([], end + 10 * MINUTE_MS - 1, []) == []
    (item,) = book.advance([], end + 10 * MINUTE_MS, [])
    assert (item.date, item.line, item.product, item.topic) == ("2025-12-08", "智能家居", "智能门锁", "设备离线")
    assert book.advance([], FAR, []) == []
    assert book.finish() == []


def test_an_event_that_was_allowed_to_be_late_still_counts_for_its_day() -> None:
    book = TrendBook(ZONE)
    book.advance(day_of(0, 3) + day_of(1, 1), START + DAY_MS + 9 * MINUTE_MS, [])
    (item,) = book.advance([spoken(0, 77, hour=23.99)], START + DAY_MS + 10 * MINUTE_MS, [])
    assert item.customers == 4


def test_a_day_is_cut_in_the_service_time_zone() -> None:
    events = [spoken(0, number, hour=23.9) for number in (1, 2, 3)] + [
        spoken(1, number, hour=0.1) for number in (4, 5, 6)
    ]
    dates = [item.date for item in TrendBook(ZONE).advance(events, FAR, [])]
    assert dates == ["2025-12-08", "2025-12-09"]
    assert [item.date for item in TrendBook(ZoneInfo("UTC")).advance(events, FAR, [])] == ["2025-12-08"]


def test_a_day_of_twenty_five_hours_is_one_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    last = 1_761_520_000_000  # 2025-10-27T00:06:40+01:00, the day after the clocks went back
    events = [spoken(0, number, id=str(number), ts=last - number * 12 * HOUR_MS) for number in (1, 2)]
    events += [spoken(0, 3, id="3", ts=last - 2 * HOUR_MS)]
    (item,) = TrendBook(berlin).advance(sorted(events, key=lambda event: event.ts), FAR, [])
    assert (item.date, item.customers) == ("2025-10-26", 3)


def test_one_customer_with_eighty_messages_is_one_customer() -> None:
    events = [spoken(0, 1, id=str(number)) for number in range(80)] + day_of(0, 3)
    assert [item.customers for item in TrendBook(ZONE).advance(events, FAR, [])] == [3]


def test_agents_bots_and_events_without_a_topic_are_not_counted() -> None:
    events = day_of(0, 2)
    events += [spoken(0, 10 + number, role=role) for number, role in enumerate(("agent", "bot"))]
    events += [spoken(0, 20, topic=""), spoken(0, 0, id="nobody")]
    assert TrendBook(ZONE).advance(events, FAR, []) == []


def test_on_the_first_day_nothing_is_expected_and_nothing_has_changed() -> None:
    (item,) = told([6])
    assert (item.expected, item.change, item.state) == (0.0, 0.0, "seasonal")


def test_on_the_first_day_an_incident_makes_its_topic_rise() -> None:
    (item,) = TrendBook(ZONE).advance(day_of(0, 6), FAR, [changed("i1", 0.5)])
    assert (item.state, item.incidents) == ("rising", ["i1"])


def test_more_than_the_days_before_is_rising_and_the_way_back_is_resolved_once() -> None:
    items = told([5, 5, 5, 20, 5, 5])
    assert [item.state for item in items] == ["seasonal", "seasonal", "seasonal", "rising", "resolved", "seasonal"]
    assert items[3].expected == 5.0
    assert items[3].change == 3.0


def test_a_topic_never_seen_in_three_days_is_new() -> None:
    assert [item.state for item in told([0, 0, 0, 6, 6])] == ["new", "rising"]


def test_a_topic_absent_for_less_than_three_days_is_only_rising() -> None:
    assert [item.state for item in told([0, 0, 6])] == ["rising"]


def test_much_less_than_the_days_before_is_falling_even_at_zero() -> None:
    items = told([12, 12, 12, 0])
    assert (items[-1].state, items[-1].customers, items[-1].change) == ("falling", 0, -1.0)


def test_a_peak_that_comes_every_week_becomes_seasonal() -> None:
    week = [5, 5, 5, 5, 5, 30, 30]
    items = told(week * 4)
    assert [item.state for item in items[5:7]] == ["rising", "rising"]
    assert [item.state for item in items[-2:]] == ["seasonal", "seasonal"]
    assert items[-1].expected > 20


def test_few_customers_are_told_only_when_the_state_changes() -> None:
    assert told([2, 2, 2, 1]) == []
    assert [item.state for item in told([1, 1, 9, 1, 1])] == ["rising", "resolved", "seasonal"]


def test_one_wild_day_does_not_become_the_rule() -> None:
    items = told([5, 5, 500, 5, 5])
    assert items[-1].expected < 8


def test_a_level_that_stays_becomes_seasonal_without_being_called_resolved() -> None:
    states = [item.state for item in told([5, 5, 5, 20, 20, 20, 20, 20])]
    assert states[3] == "rising"
    assert states[-1] == "seasonal"
    assert "resolved" not in states


def test_a_cut_day_is_told_at_the_end_without_falling() -> None:
    book = TrendBook(ZONE)
    events = [event for day in range(3) for event in day_of(day, 12)] + day_of(3, 3)
    whole = book.advance(events, START + 3 * DAY_MS + 10 * HOUR_MS, [])
    assert [item.date[-2:] for item in whole] == ["08", "09", "10"]
    (cut,) = book.finish()
    assert (cut.date, cut.customers, cut.state) == ("2025-12-11", 3, "seasonal")
    assert book.finish() == []


def test_a_whole_day_at_the_end_may_be_falling() -> None:
    book = TrendBook(ZONE)
    events = [event for day in range(3) for event in day_of(day, 12)] + day_of(3, 3)
    book.advance(events, START + 4 * DAY_MS, [])
    assert [item.state for item in book.finish()] == ["falling"]


def test_a_silent_outage_of_everything_tells_nothing() -> None:
    book = TrendBook(ZONE)
    book.advance(day_of(0, 12) + day_of(1, 12), FAR, [])
    assert book.advance([], 1 << 62, []) == []


def test_only_incidents_that_agree_in_topic_dimensions_and_day_are_named() -> None:
    incidents = [
        changed("agrees", 1.5, product=["智能门锁", "网关"]),
        changed("everywhere", 1.2),
        changed("of the day before", 0.2),
        changed("of the day before", 0.9, "resolved"),
        changed("still open", 0.3),
        changed("other product", 1.5, product="网关"),
        changed("other topic", 1.5, topic="物流"),
        changed("no topic", 1.5, topic=None),
        changed("watched", 1.5, "watching"),
        changed("taken back", 1.2),
        changed("taken back", 1.6, "dismissed"),
        changed("of the day after", 2.0),
    ]
    book = TrendBook(ZONE)
    book.advance(day_of(0, 4), START, [])
    items = book.advance(day_of(1, 4), FAR, incidents)
    assert items[1].incidents == ["agrees", "everywhere", "still open"]
    assert items[0].incidents == ["of the day before", "still open"]


def test_terms_and_quotes_tell_the_topic_from_the_others() -> None:
    events = [
        spoken(0, number, text=f"门锁一直{'掉线' * (number % 3 + 1)}", tokens=("门锁", "掉线"))
        for number in range(1, 9)
    ]
    events += [spoken(0, number, "物流", text="门锁快递到哪了", tokens=("门锁", "快递")) for number in range(1, 30)]
    items = {item.topic: item for item in TrendBook(ZONE).advance(events, FAR, [])}
    assert items["设备离线"].terms == ["掉线"]
    assert items["物流"].terms == ["快递"]
    assert 1 <= len(items["设备离线"].quotes) <= 3
    assert all("掉线" in quote for quote in items["设备离线"].quotes)
    assert items["物流"].quotes == ["门锁快递到哪了"]


def test_an_item_keeps_its_id_on_every_replay() -> None:
    (first,), (again,) = told([4]), told([9])
    assert first.item == again.item == "11d43c183e3dc4c2"
    assert len({item.item for item in told([4, 4, 4])}) == 3


def test_many_customers_are_estimated_within_ten_percent_in_bounded_memory() -> None:
    book = TrendBook(ZONE)
    events = [spoken(0, number, id=f"e{number % 500}") for number in range(1, 30_001)]
    book.advance(events, START + 1, [])
    size = len(book.snapshot())
    book.advance([spoken(0, number, id=f"e{number % 500}") for number in range(30_001, 40_001)], START + 1, [])
    assert len(book.snapshot()) < size * 2
    (item,) = book.finish()
    assert item.customers == pytest.approx(40_000, rel=0.1)


def test_a_flood_of_products_stays_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trends, "MAXIMUM_CELLS", 10)
    book = TrendBook(ZONE)
    for day in range(3):
        events = [
            spoken(day, customer, product=f"p{day}-{number}", id=f"{day}-{number}-{customer}")
            for number in range(40)
            for customer in (1, 2, 3)
        ]
        assert len(book.advance(events, START + (day + 2) * DAY_MS, [])) <= 20
    assert len(book._past) <= 10


def test_a_foreign_snapshot_is_refused() -> None:
    book = TrendBook(ZONE)
    with pytest.raises(ValueError, match="cannot be read"):
        book.restore(b"\x80\x04not ours")
    with pytest.raises(ValueError, match="format 99"):
        book.restore(TrendBook(ZONE).snapshot().replace(b'"format":1', b'"format":99'))


def test_keywords_and_quotes_of_a_busy_day_do_not_depend_on_who_came_first() -> None:
    events = [
        spoken(0, number, topic, tokens=("门锁", f"词{number % 11}"), text=f"第{number}位{topic}")
        for number in range(1, 400)
        for topic in ("设备离线", "物流")
    ]
    forward, backward = TrendBook(ZONE), TrendBook(ZONE)
    assert forward.advance(events, FAR, []) == backward.advance(events[::-1], FAR, [])


EVENTS = st.lists(
    st.builds(
        spoken,
        day=st.integers(0, 4),
        customer=st.integers(1, 9),
        topic=st.sampled_from(["设备离线", "物流"]),
        hour=st.sampled_from([0.0, 7.5, 23.9]),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(events=EVENTS, cuts=st.lists(st.integers(0, 60), max_size=8), restart=st.booleans())
def test_any_cut_and_any_restart_give_the_same_items(events: list[Observation], cuts: list[int], restart: bool) -> None:
    events = sorted({event.id: event for event in events}.values(), key=lambda event: (event.ts, event.id))
    incidents = [changed("i1", 1.2), changed("i2", 1.7, product="智能门锁"), changed("i1", 2.4, "resolved")]

    def run(edges: list[int], restart: bool) -> list[Trend]:
        book = TrendBook(ZONE)
        items: list[Trend] = []
        watermark = START
        given_incidents = 0
        for left, right in zip([0, *edges], [*edges, len(events)], strict=True):
            slab = events[left:right]
            watermark = max([watermark, *(event.ts for event in slab)])
            due = [i for i, change in enumerate(incidents) if change.at <= to_rfc3339(watermark, ZONE)]
            items += book.advance(slab, watermark, [incidents[i] for i in due if i >= given_incidents])
            given_incidents = max(given_incidents, len(due))
            if restart:
                state = book.snapshot()
                book = TrendBook(ZONE)
                book.restore(state)
                assert book.snapshot() == state
        return items + book.finish()

    edges = sorted(min(cut, len(events)) for cut in cuts)
    assert run(edges, restart) == run([], restart=False)
