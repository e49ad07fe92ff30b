"""A long or large incident does not swallow strangers: people, words and places must agree at the same time."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding, stated

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.finding import Finding


def incidents(*findings: Finding) -> list[str]:
    """The incident that each finding went to, judged one after the other."""
    target, went = desk(), []
    for found in findings:
        changes, _, _ = target.advance([found], found.tick)
        went.append(changes[0].incident if changes else "nothing new")
    return went


def test_people_who_spoke_long_ago_do_not_join_another_cause_to_a_long_incident() -> None:
    first = finding(customers=range(12), dims={}, product=None)
    fed = [
        finding(customers=range(20 * hours, 20 * hours + 40), dims={}, product=None, tick=NOON + hours * HOUR_MS)
        for hours in (5, 10, 15)
    ]
    other = finding(customers=range(12), value="退款售后", dims={}, product=None, tick=NOON + 16 * HOUR_MS)
    went = incidents(first, *fed, other)
    assert went[-1] not in (*went[:-1], "nothing new")


def test_a_word_whose_events_are_all_of_another_line_is_another_cause() -> None:
    one = stated(finding(customers=range(12), dims={"line": "到家"}, product="外卖"), line="到家")
    other = stated(
        finding(customers=range(40, 52), dims={"product": "机票"}, product="机票", tick=NOON + MINUTE_MS), line="旅行"
    )
    first, second = incidents(one, other)
    assert first != second


def test_a_few_events_that_state_another_line_do_not_part_a_cause() -> None:
    one = stated(finding(customers=range(12), dims={"line": "到家"}, product="外卖"), line="到家")
    other = stated(finding(customers=range(40, 43), dims={}, product=None, tick=NOON + MINUTE_MS), line="旅行")
    first, second = incidents(one, other)
    assert second in (first, "nothing new")


def test_people_who_spoke_in_both_join_them_wherever_the_events_say_that_they_are() -> None:
    one = stated(finding(customers=range(12), dims={"line": "到家"}, product="外卖"), line="到家")
    other = stated(finding(customers=range(12), value="退款售后", dims={}, product=None, tick=NOON + 1), line="旅行")
    first, second = incidents(one, other)
    assert second in (first, "nothing new")


def test_what_lies_mostly_elsewhere_is_not_joined_to_an_incident_by_its_words() -> None:
    one = finding(customers=range(30), value="物流配送", dims={"product": "服饰"}, product="服饰")
    place: dict[str, str | list[str]] = {"line": "到家", "region": "华中"}
    other = finding(customers=range(40, 60), value="物流配送", dims=place, product="外卖", tick=NOON + MINUTE_MS)
    mixed = tuple(
        msgspec.structs.replace(event, product="服饰", region="华中") if event.customer <= 46 else event
        for event in other.evidence
    )
    other = msgspec.structs.replace(other, evidence=mixed)
    first, second = incidents(one, other)
    assert second not in (first, "nothing new")


@pytest.mark.parametrize(("dims", "joins"), [({"product": "门锁"}, False), ({}, True)])
def test_that_something_is_wrong_in_both_joins_no_two_places(dims: Dims, joins: bool) -> None:
    everywhere = finding(customers=range(30), measure="trouble", value="", dims={}, product=None)
    other = finding(customers=range(100, 112), measure="trouble", value="", dims=dims, tick=NOON + HOUR_MS)
    first, second = incidents(everywhere, stated(other, topic="支付扣款"))
    assert (second in (first, "nothing new")) == joins


def test_everybody_in_trouble_is_of_the_incident_of_most_and_not_of_a_handful_who_are_among_them() -> None:
    charged = finding(customers=range(40), value="支付扣款", dims={"product": "会员"}, product="会员")
    few: Dims = {"product": "手表"}
    soon = NOON + MINUTE_MS
    watched = finding(customers=range(100, 104), value="应用故障", dims=few, product="手表", opens=False, tick=soon)
    line: Dims = {"line": "数码"}
    everybody = [*range(28), *range(100, 104), *range(200, 280)]
    trouble = finding(customers=everybody, measure="trouble", value="", dims=line, product=None, tick=NOON + HOUR_MS)
    first, second, third = incidents(charged, watched, trouble)
    assert first == third != second


def test_of_everybody_in_trouble_an_incident_counts_those_of_its_place_and_those_who_state_none() -> None:
    target = desk()
    opened = finding(customers=range(40), value="支付扣款", dims={"product": "会员"}, product="会员")
    target.advance([opened], NOON)
    trouble = finding(customers=range(100), measure="trouble", value="", dims={}, product=None, tick=NOON + HOUR_MS)
    elsewhere = tuple(
        msgspec.structs.replace(event, product="手表") if event.customer > 50 else event for event in trouble.evidence
    )
    target.advance([msgspec.structs.replace(trouble, evidence=elsewhere)], trouble.tick)
    (resolved,), _, _ = target.advance([], NOON + 9 * HOUR_MS)
    assert (resolved.change, resolved.customers) == ("resolved", 50)


def test_a_word_that_was_not_heard_for_a_day_does_not_join_by_itself() -> None:
    word = finding(customers=range(10), measure="term", value="白屏")
    fed = [
        finding(customers=range(100 * hours, 100 * hours + 30), tick=NOON + hours * HOUR_MS)
        for hours in (1, 12, 24, 30)
    ]
    again = finding(
        customers=range(9_000, 9_010), measure="term", value="白屏", dims={}, product=None, tick=NOON + 31 * HOUR_MS
    )
    went = incidents(word, *fed, stated(again, topic="应用故障"))
    assert went[1] in (went[0], "nothing new")
    assert went[-1] not in (went[0], "nothing new")


@pytest.mark.parametrize(("hours", "same"), [(40, True), (60, False)])
def test_the_same_of_one_product_comes_back_as_itself_within_two_days(hours: int, same: bool) -> None:
    fault = finding(customers=range(10), measure="code", value="E702", witness="devices")
    back = finding(
        customers=range(50, 60), measure="code", value="E702", witness="devices", tick=NOON + hours * HOUR_MS
    )
    target = desk()
    first = target.advance([fault], NOON)[0][-1]
    again = target.advance([back], back.tick)[0][-1]
    assert (again.incident == first.incident) is same
    assert again.change == ("reopened" if same else "opened")


def test_a_finding_of_another_region_does_not_join_an_incident_by_its_product() -> None:
    one = finding(customers=range(20), value="支付扣款", dims={"product": "门锁"})
    spread = msgspec.structs.replace(
        one,
        evidence=tuple(
            msgspec.structs.replace(event, region=("华东", "华南", "华北", "西南", "西北", "东北")[number % 6])
            for number, event in enumerate(one.evidence)
        ),
    )
    place: dict[str, str | list[str]] = {"product": "门锁", "region": "华中"}
    other = stated(finding(customers=range(50, 60), value="支付扣款", dims=place, tick=NOON + HOUR_MS), region="华中")
    first, second = incidents(spread, other)
    assert second not in (first, "nothing new")


@pytest.mark.parametrize(("place", "joins"), [({"line": "家居"}, True), ({"line": "家居", "channel": "app"}, False)])
def test_failing_devices_do_not_bring_about_what_lies_in_one_channel(place: Dims, joins: bool) -> None:
    failing: Dims = {"product": "热水器", "model": "H50"}
    devices = finding(
        customers=range(20), measure="code", value="E7", dims=failing, witness="devices", product="热水器"
    )
    said = finding(
        customers=range(100, 107),
        measure="ticket_type",
        value="账号登录",
        dims=place,
        witness="tickets",
        product="热水器",
        tick=NOON + MINUTE_MS,
    )
    first, second = incidents(devices, stated(said, topic=""))
    assert (second in (first, "nothing new")) is joins


def test_what_lies_in_one_channel_is_not_one_cause_with_devices_that_began_to_fail_minutes_before() -> None:
    failing: Dims = {"product": "门锁", "model": "L1", "firmware": "2.1.7"}
    devices = finding(customers=range(13), measure="code", value="W102", dims=failing, witness="devices")
    said = finding(
        customers=range(100, 107),
        measure="theme",
        value="收不到验证码",
        dims={"channel": "小程序"},
        product=None,
        tick=NOON + 12 * MINUTE_MS,
    )
    first, second = incidents(devices, said)
    assert second not in (first, "nothing new")
    target = desk()
    target.advance([devices], NOON)
    changes, _, _ = target.advance([said], said.tick)
    assert [(change.change, change.dims) for change in changes if change.incident == second] == [
        ("opened", {"channel": "小程序"})
    ]


def test_two_topics_in_one_place_are_one_cause_in_the_first_hours_only() -> None:
    place: dict[str, str | list[str]] = {"product": "门锁", "region": "华东"}
    one = finding(customers=range(20), value="支付扣款", dims=place)
    soon = finding(customers=range(30, 40), value="物流配送", dims=place, tick=NOON + HOUR_MS)
    fed = finding(customers=range(20, 26), value="支付扣款", dims=place, tick=NOON + 4 * HOUR_MS)
    late = finding(customers=range(50, 60), value="物流配送", dims=place, tick=NOON + 5 * HOUR_MS)
    assert len(set(incidents(one, soon)) - {"nothing new"}) == 1
    went = incidents(one, fed, late)
    assert went[-1] not in (went[0], "nothing new")


def test_a_resolved_incident_is_not_opened_again_by_the_same_people_in_a_longer_window() -> None:
    target = desk()
    target.advance([finding(customers=range(30))], NOON)
    target.advance([], NOON + 8 * HOUR_MS)
    again = finding(customers=range(31), tick=NOON + 9 * HOUR_MS)
    changes, _, _ = target.advance([again], again.tick)
    assert [change.change for change in changes] == []
    more = finding(customers=range(40), tick=NOON + 10 * HOUR_MS)
    changes, _, _ = target.advance([more], more.tick)
    assert [change.change for change in changes] == ["reopened"]


def test_an_incident_is_shown_by_evidence_of_its_place_that_is_mostly_not_ordinary() -> None:
    target = desk()
    weak = finding(customers=range(100, 130), value="物流配送", measure="term", opens=False, score=5.0, dims={})
    weak = msgspec.structs.replace(stated(weak, region="华南", topic="设备离线"), observed=30.0, expected=15.0)
    target.advance([weak], NOON)
    place: dict[str, str | list[str]] = {"product": "门锁", "region": "华东"}
    strong = stated(finding(customers=range(10), dims=place, tick=NOON + MINUTE_MS), region="华东")
    changes, _, _ = target.advance([strong], strong.tick)
    opened = changes[-1]
    assert opened.change == "opened"
    assert set(opened.evidence) == {event.id for event in strong.evidence}


def test_two_words_in_exactly_one_product_within_an_hour_are_one_cause() -> None:
    one = finding(customers=range(12), value="支付扣款")
    soon = finding(customers=range(30, 42), value="物流配送", tick=NOON + 50 * MINUTE_MS)
    late = finding(customers=range(30, 42), value="物流配送", tick=NOON + 70 * MINUTE_MS)
    assert len(set(incidents(one, soon)) - {"nothing new"}) == 1
    assert len(set(incidents(one, late)) - {"nothing new"}) == 2


def test_of_two_incidents_that_turn_out_to_be_one_that_which_people_heard_of_first_goes_on() -> None:
    target, everywhere = desk(), {"dims": {}, "product": None}
    watched = finding(customers=range(10), value="账号登录", opens=False, score=5.0, **everywhere)
    told = finding(customers=range(100, 110), value="支付扣款", tick=NOON + 10 * MINUTE_MS, **everywhere)
    then = finding(customers=range(10), value="账号登录", tick=NOON + 20 * MINUTE_MS, **everywhere)
    both = finding(customers=range(5, 110), value="账号登录", tick=NOON + 30 * MINUTE_MS, **everywhere)
    first, second, third, last = (target.advance([each], each.tick)[0] for each in (watched, told, then, both))
    assert [change.change for change in (first[0], second[0], third[0])] == ["watched", "opened", "opened"]
    merged = next(change for change in last if change.change == "merged")
    assert (merged.incident, merged.parent) == (first[0].incident, second[0].incident)
