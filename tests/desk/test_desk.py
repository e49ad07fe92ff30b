"""The desk: one open incident per cause, its life, its reasons, and pushes once each."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.desk.correlate import COMES_BACK_MS, contradict
from qianshao.desk.desk import RESOLVE_MS, WATCH_MS, Desk
from qianshao.errors import StoreError
from qianshao.incident import IncidentChange
from qianshao.series import Series


def steps(changes: list[IncidentChange]) -> list[tuple[str, str]]:
    return [(change.change, change.reason) for change in changes]


def test_one_overwhelming_witness_opens_an_incident() -> None:
    changes, _, _ = desk().advance([finding(customers=range(12))], NOON)
    assert steps(changes) == [("opened", "overwhelming_rise")]
    assert changes[0].customers == 12
    assert changes[0].title.startswith("门锁 设备离线")
    assert changes[0].opened_at == changes[0].at == "2025-12-11T12:00:00.000+08:00"


def test_a_weak_witness_is_watched_and_nobody_is_told() -> None:
    changes, pushes, _ = desk().advance([finding(customers=range(5), opens=False, score=4.5)], NOON)
    assert steps(changes) == [("watched", "weak_witness")]
    assert changes[0].opened_at is None
    assert pushes == []


def test_two_weak_but_independent_witnesses_open_one_incident() -> None:
    target = desk()
    target.advance([finding(customers=range(5), opens=False, score=5.2)], NOON)
    later = NOON + 20 * MINUTE_MS
    device = finding(
        customers=range(100, 106), tick=later, measure="code", value="E9", witness="devices", opens=False, score=5.6
    )
    changes, _, _ = target.advance([device], later)
    assert steps(changes) == [("opened", "two_witnesses")]


@pytest.mark.parametrize(
    ("dims", "opens"),
    [
        ({}, False),
        ({"line": "家居"}, False),
        ({"line": "家居", "region": "华东"}, False),
        ({"channel": "app"}, False),
        ({"product": "门锁"}, True),
        ({"app_version": "9.4.0"}, True),
    ],
)
def test_two_weak_witnesses_open_an_incident_of_a_thing_only(dims: Dims, opens: bool) -> None:
    target = desk()
    words = finding(customers=range(6), dims=dims, product=None, opens=False, score=5.2)
    tickets = msgspec.structs.replace(words, series=Series("ticket_type", "故障", ()), witness="tickets", score=5.6)
    changes, _, _ = target.advance([words, tickets], NOON)
    assert [change.change == "opened" for change in changes] == [opens]


def test_what_devices_report_is_no_witness_of_what_no_device_brings_about() -> None:
    def told(topic: str) -> list[str]:
        target = desk()
        device = finding(
            customers=range(100, 106), measure="code", value="W120", witness="devices", opens=False, score=5.6
        )
        words = finding(customers=range(6), value=topic, tick=NOON + MINUTE_MS, opens=False, score=5.2)
        changes = target.advance([device], NOON)[0] + target.advance([words], words.tick)[0]
        return [change.change for change in changes]

    assert told("设备离线") == ["watched", "opened"]
    assert told("发票") == ["watched", "watched"]


def test_the_same_witness_twice_is_not_two_witnesses() -> None:
    target = desk()
    weak = {"opens": False, "score": 4.9}
    target.advance([finding(customers=range(6), **weak)], NOON)  # type: ignore[arg-type]
    changes, _, _ = target.advance([finding(customers=range(6), measure="term", value="连不上", **weak)], NOON)  # type: ignore[arg-type]
    assert all(change.opened_at is None for change in changes)


def test_findings_that_share_customers_are_one_incident() -> None:
    target = desk()
    both = [
        finding(customers=range(12)),
        finding(customers=range(4, 14), measure="ticket_type", value="故障", witness="tickets"),
    ]
    changes, _, _ = target.advance(both, NOON)
    assert len({change.incident for change in changes}) == 1


def test_findings_whose_places_contradict_are_two_incidents_although_customers_are_shared() -> None:
    target = desk()
    east = finding(customers=range(12), dims={"product": "门锁", "region": "华东"})
    south = finding(customers=range(12), dims={"product": "门锁", "region": "华南"}, value="账号登录")
    changes, _, _ = target.advance([east, south], NOON)
    assert len({change.incident for change in changes if change.opened_at}) == 2


def test_a_busy_customer_does_not_chain_two_causes_together() -> None:
    target = desk()
    one = finding(customers=range(10))
    other = finding(customers=range(9, 20), value="退款售后", product="外卖", dims={})
    changes, _, _ = target.advance([one, other], NOON)
    assert len({change.incident for change in changes}) == 2


def test_two_words_for_one_cause_of_a_product_are_one_incident() -> None:
    target = desk()
    later = NOON + HOUR_MS
    first, _, _ = target.advance([finding(customers=range(10), measure="term", value="白屏")], NOON)
    target.advance([finding(customers=range(20, 28), measure="term", value="闪退", tick=later)], later)
    assert target.advance([], later + RESOLVE_MS)[0][0].incident == first[0].incident


def test_another_product_at_the_same_time_is_another_incident() -> None:
    target = desk()
    one = finding(customers=range(10))
    other = finding(customers=range(20, 30), value="退款售后", product="外卖", dims={"product": "外卖"})
    changes, _, _ = target.advance([one, other], NOON)
    assert len({change.incident for change in changes}) == 2


def two_incidents_of_one_cause(target: Desk) -> tuple[list[IncidentChange], list[IncidentChange], set[str]]:
    """Two incidents that share two customers; the third value is who was told."""
    first, told, _ = target.advance([finding(customers=range(10), dims={}, product=None)], NOON)
    tick = NOON + 10_000
    other = finding(customers=range(8, 28), value="账号登录", tick=tick, dims={}, product=None)
    second, more, _ = target.advance([other], tick)
    return first, second, {push.customer for push in [*told, *more]}


def test_cases_found_to_be_one_cause_are_merged_into_the_older_and_nobody_is_told_again() -> None:
    target = desk(maximum_per_customer_per_day=9)
    first, second, told = two_incidents_of_one_cause(target)
    assert len({change.incident for change in first + second}) == 2
    merged: list[IncidentChange] = []
    later = []
    for tick, customers in ((NOON + 20_000, range(2, 20)), (NOON + 30_000, range(2, 20)), (NOON + 40_000, range(40))):
        joining = finding(customers=customers, value="账号登录", tick=tick, dims={}, product=None)
        changes, pushes, _ = target.advance([joining], tick)
        merged += changes
        if tick > NOON + 20_000:
            later += pushes
    ended = [change for change in merged if change.change == "merged"]
    assert [(change.incident, change.parent) for change in ended] == [(second[0].incident, first[0].incident)]
    assert len(later) == 12
    assert told.isdisjoint(push.customer for push in later)


def test_an_incident_is_updated_when_it_grows_not_at_every_finding() -> None:
    target = desk()
    target.advance([finding(customers=range(10))], NOON)
    slightly, _, _ = target.advance([finding(customers=range(12), tick=NOON + 10_000)], NOON + 10_000)
    doubled, _, _ = target.advance([finding(customers=range(24), tick=NOON + 20_000)], NOON + 20_000)
    assert steps(slightly) == []
    assert steps(doubled) == [("updated", "more_customers")]
    assert doubled[0].version == 2


def test_a_quiet_incident_is_resolved_at_its_own_time_and_reopens_on_new_evidence() -> None:
    target = desk()
    target.advance([finding(customers=range(10))], NOON)
    resolved, _, _ = target.advance([], NOON + DAY_MS // 2)
    assert steps(resolved) == [("resolved", "no_new_evidence")]
    assert resolved[0].at == "2025-12-11T18:00:00.000+08:00"
    again = NOON + DAY_MS // 2 + HOUR_MS
    reopened, _, _ = target.advance([finding(customers=range(30, 50), tick=again)], again)
    assert steps(reopened) == [("reopened", "evidence_after_resolution")]
    assert reopened[0].incident == resolved[0].incident


def test_a_watched_case_that_fades_is_dismissed() -> None:
    target = desk()
    target.advance([finding(customers=range(5), opens=False, score=4.5)], NOON)
    changes, _, _ = target.advance([], NOON + WATCH_MS)
    assert steps(changes) == [("dismissed", "weak_evidence_faded")]


def test_danger_is_of_the_first_severity_with_a_handful_of_people() -> None:
    changes, _, _ = desk().advance([finding(customers=range(4), measure="danger", value="冒烟", danger="冒烟")], NOON)
    assert changes[0].severity == "P1"
    assert changes[0].reason == "danger_reported"


def test_every_customer_is_pushed_once_per_incident() -> None:
    target = desk()
    _, first, _ = target.advance([finding(customers=range(10))], NOON)
    _, second, _ = target.advance([finding(customers=range(14), tick=NOON + 10_000)], NOON + 10_000)
    pushed = [push.customer for push in first + second]
    assert len(pushed) == len(set(pushed)) == 14
    assert {push.state for push in first} == {"proposed"}


def test_a_push_waits_for_the_end_of_the_quiet_hours() -> None:
    night = NOON + 11 * HOUR_MS
    _, pushes, _ = desk().advance([finding(customers=range(10), tick=night)], night)
    assert {push.not_before for push in pushes} == {"2025-12-12T08:00:00.000+08:00"}


def test_a_customer_is_told_of_no_more_incidents_a_day_than_the_cap() -> None:
    target = desk(maximum_per_customer_per_day=1)
    target.advance([finding(customers=range(10))], NOON)
    other = finding(customers=range(10), value="退款售后", dims={"product": "外卖"}, product="外卖", tick=NOON + 10_000)
    _, pushes, _ = target.advance([other], NOON + 10_000)
    assert pushes == []


def test_no_more_customers_are_told_than_the_cap_of_an_incident() -> None:
    _, pushes, _ = desk(maximum_per_incident=3).advance([finding(customers=range(10))], NOON)
    assert len(pushes) == 3


def test_the_identity_of_an_incident_is_the_same_on_every_replay() -> None:
    one, _, _ = desk().advance([finding(customers=range(10))], NOON)
    other, _, _ = desk().advance([finding(customers=range(10))], NOON)
    assert one == other


@settings(max_examples=25, deadline=None)
@given(
    plan=st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(1, 12),
            st.sampled_from(["设备离线", "退款售后"]),
            st.booleans(),
            st.sampled_from([{}, {"product": "门锁"}, {"product": "外卖"}]),
            st.integers(1, 300),
        ),
        max_size=12,
    ),
    cut=st.integers(0, 12),
)
def test_neither_the_cut_of_the_calls_nor_a_restart_changes_the_decisions(
    plan: list[tuple[int, int, str, bool, Dims, int]], cut: int
) -> None:
    tick = NOON
    found = []
    for first, number, value, opens, dims, minutes in plan:
        tick += minutes * MINUTE_MS
        found.append(
            finding(customers=range(first, first + number), value=value, opens=opens, dims=dims, tick=tick, score=6.0)
        )
    end = tick + RESOLVE_MS + COMES_BACK_MS
    whole = desk()
    at_once = whole.advance(found, end)
    before, after = found[:cut], found[cut:]
    middle = before[-1].tick if before else NOON
    first_desk = desk()
    changes, pushes, _ = first_desk.advance(before, middle)
    restored = desk()
    restored.restore(first_desk.snapshot())
    more_changes, more_pushes, _ = restored.advance(after, end)
    assert (changes + more_changes, pushes + more_pushes, []) == at_once
    opened = [change.incident for change in at_once[0] if change.change == "opened"]
    assert len(opened) == len(set(opened))


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(StoreError, match="version 7"):
        desk().restore(msgspec.msgpack.encode({"version": 7}))


def test_a_list_of_values_contradicts_only_in_the_product() -> None:
    assert contradict({"product": ["门锁", "摄像头"]}, {"product": "外卖"})
    assert not contradict({"product": ["门锁", "摄像头"]}, {"product": "门锁"})
    assert not contradict({"region": ["华东", "华南"]}, {"region": "华北"})
    assert contradict({"firmware": "2.2.0"}, {"firmware": "2.1.0"})


def test_versions_of_an_incident_count_up_without_gaps() -> None:
    target = desk()
    numbers = count(10, 15)
    changes: list[IncidentChange] = []
    for step, number in zip(range(5), numbers, strict=False):
        tick = NOON + step * MINUTE_MS
        changes += target.advance([finding(customers=range(number * (step + 1)), tick=tick)], tick)[0]
    assert [change.version for change in changes] == list(range(1, len(changes) + 1))


def test_cases_are_bounded_and_told_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qianshao.desk.desk.MAX_CASES", 5)
    target = desk()
    opened, _, _ = target.advance([finding(customers=range(1000, 1020))], NOON)
    for number in range(20):
        tick = NOON + (number + 1) * MINUTE_MS
        product = f"p{number}"
        weak = finding(
            customers=range(number * 10, number * 10 + 5),
            tick=tick,
            measure="term",
            value=f"t{number}",
            product=product,
            dims={"product": product},
            opens=False,
            score=4.5,
        )
        target.advance([weak], tick)
    resolved, _, _ = target.advance([], NOON + RESOLVE_MS)
    assert opened[0].incident in {change.incident for change in resolved if change.change == "resolved"}


def test_a_flood_of_causes_in_one_tick_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qianshao.desk.desk.MAX_CASES", 5)
    flood = [
        finding(
            customers=range(number * 10, number * 10 + 5),
            measure="term",
            value=f"t{number}",
            product=f"p{number}",
            dims={"product": f"p{number}"},
            opens=False,
            score=4.5,
        )
        for number in range(20)
    ]
    changes, _, _ = desk().advance(flood, NOON)
    assert len(changes) == 5
