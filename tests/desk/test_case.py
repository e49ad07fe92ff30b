"""What a case keeps of its evidence: every event counted once, and never more than the bounds allow."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, finding

from qianshao.clock import MINUTE_MS
from qianshao.desk.case import MAX_EVIDENCE, Case
from qianshao.event import Observation
from qianshao.finding import Finding


def case(incident: str = "a") -> Case:
    return Case(incident=incident, created=NOON, first_seen=NOON, last_evidence=NOON)


def spoken(
    numbers: range, *, danger: str = "", topic: str = "设备离线", product: str = "门锁", value: str = ""
) -> Finding:
    """A finding whose events are numbered and fall one second apart."""
    return msgspec.structs.replace(
        finding(customers=range(1), value=value or topic, measure="danger" if danger else "topic"),
        evidence=tuple(
            Observation(
                id=f"e{number}",
                kind="chat",
                ts=NOON + 1_000 * number,
                customer=number + 1,
                topic=topic,
                product=product,
                danger=danger,
            )
            for number in numbers
        ),
    )


def test_a_long_incident_counts_every_message_once_though_it_lets_go_of_old_evidence() -> None:
    target = case()
    for end in range(500, 12_000, 100):
        target.take(spoken(range(end - 500, end)))
    assert target.messages == target.topics["设备离线"] == target.places["product"]["门锁"] == 11_900
    assert len(target.customers) == 11_900
    target.take(spoken(range(900, 1_000), value="账号登录"))
    assert target.messages == 11_900
    assert len(target.evidence) <= 4 * MAX_EVIDENCE


def test_what_is_let_go_of_tells_little_and_is_old() -> None:
    target = case()
    for _ in range(10):
        target.take(spoken(range(40), danger="人身安全/触电"))
    for end in range(540, 12_000, 100):
        target.take(spoken(range(end - 500, end)))
    assert target.evidence_ids()[:40] == [f"e{number}" for number in range(40)]
    assert "e11939" in target.evidence


def test_a_merged_case_brings_its_topics_and_products_along() -> None:
    one, other = case("a"), case("b")
    one.take(spoken(range(10)))
    other.take(spoken(range(5, 40), topic="账号登录", product="摄像头"))
    one.absorb(other)
    assert one.topics == {"设备离线": 10, "账号登录": 30}
    assert one.places["product"] == {"门锁": 10, "摄像头": 30}


def test_a_message_that_two_merged_cases_know_is_one_message() -> None:
    one, other = case("a"), case("b")
    one.take(spoken(range(10), danger="人身安全/触电"))
    other.take(spoken(range(4, 14), danger="人身安全/触电", value="人身安全"))
    one.absorb(other)
    assert one.messages == one.dangers["人身安全/触电"] == 14
    apart = case("c")
    apart.take(spoken(range(100, 120)))
    one.absorb(apart)
    assert one.messages == 34


def test_what_a_merged_case_let_go_of_is_not_counted_again() -> None:
    one, other = case("a"), case("b")
    one.take(spoken(range(11_000, 11_010)))
    for end in range(500, 5_000, 100):
        other.take(spoken(range(end - 500, end)))
    one.absorb(other)
    assert one.messages == 4_910
    one.take(spoken(range(900, 1_000)))
    assert one.messages == 4_910


def test_a_merged_case_is_named_by_the_witness_that_knows_most_of_both() -> None:
    one, other = case("a"), case("b")
    one.take(msgspec.structs.replace(spoken(range(4)), dims={}))
    other.take(msgspec.structs.replace(spoken(range(30), value="账号登录"), dims={"product": "门锁"}))
    one.absorb(other)
    assert one.dims == {"product": "门锁"}


def test_the_stronger_word_of_two_merged_cases_counts() -> None:
    one, other = case("a"), case("b")
    one.take(msgspec.structs.replace(spoken(range(4)), opens=False, score=4.0))
    other.take(msgspec.structs.replace(spoken(range(4)), opens=True, score=9.0))
    one.absorb(other)
    assert [(each.opens, each.score) for each in one.witnessed.values()] == [(True, 9.0)]


def test_people_are_bounded_though_cases_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qianshao.desk.case.MAX_PEOPLE", 12)
    one, other = case("a"), case("b")
    one.take(spoken(range(10)))
    other.take(spoken(range(20, 30)))
    one.absorb(other)
    assert one.customers.keys() == {*range(1, 11), 21, 22}


def test_names_and_measure_values_are_bounded_and_the_strongest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qianshao.desk.case.MAX_NAMED", 3)
    monkeypatch.setattr("qianshao.desk.case.MAX_WITNESSED", 4)
    target = case()
    for number in range(20):
        word = spoken(range(number, number + 1), topic=f"t{number}", product=f"p{number}")
        target.take(msgspec.structs.replace(word, opens=number == 2, score=5.0 + number / 10, tick=NOON + MINUTE_MS))
    assert list(target.topics) == ["t0", "t1", "t2"]
    assert list(target.places["product"]) == ["p0", "p1", "p2"]
    assert sorted(target.witnessed) == ["topic:t17", "topic:t18", "topic:t19", "topic:t2"]


def test_the_pure_evidence_of_few_names_the_place_before_the_mixed_evidence_of_many() -> None:
    target = case()
    many = msgspec.structs.replace(spoken(range(40)), observed=40.0, expected=16.0, dims={"line": "家居"})
    few = msgspec.structs.replace(spoken(range(12), value="离线"), observed=12.0, expected=0.2)
    target.take(many)
    assert target.dims == {"line": "家居"}
    target.take(msgspec.structs.replace(few, dims={"product": "门锁"}))
    assert target.dims == {"product": "门锁"}


def test_of_a_wider_place_than_what_was_found_strange_only_that_excess_is_known() -> None:
    target = case()
    target.take(msgspec.structs.replace(spoken(range(10), value="离线"), observed=10.0, expected=0.0))
    wide = msgspec.structs.replace(spoken(range(10, 29), product="摄像头"), observed=6.0, expected=0.5)
    target.take(msgspec.structs.replace(wide, dims={"line": "家居"}))
    assert target.dims == {"product": "门锁"}


def test_a_danger_keeps_its_place_when_more_people_tell_of_something_else() -> None:
    target = case()
    target.take(msgspec.structs.replace(spoken(range(5), danger="触电"), observed=5.0, expected=0.0))
    wide = msgspec.structs.replace(spoken(range(2, 15), product="摄像头"), observed=13.0, expected=1.5)
    target.take(msgspec.structs.replace(wide, dims={"line": "家居"}))
    assert target.dims == {"product": "门锁"}


def test_the_product_that_nearly_all_state_is_named_in_place_of_its_line() -> None:
    target, spread = case("a"), case("b")
    many = msgspec.structs.replace(spoken(range(12)), observed=12.0)
    others = msgspec.structs.replace(spoken(range(20, 26), product="摄像头", value="离线"), observed=6.0)
    target.take(msgspec.structs.replace(many, dims={"line": "家居", "region": "华东"}))
    assert target.dims == {"region": "华东", "product": "门锁"}
    spread.take(msgspec.structs.replace(others, dims={"line": "家居"}))
    spread.take(msgspec.structs.replace(many, dims={"line": "家居"}))
    assert spread.dims == {"line": "家居"}


def at(product: str, people: int, expected: float = 0.1) -> Finding:
    """One measure value, found in the root or in a line."""
    found = finding(customers=range(people), dims={"product": product} if product else {}, product=product or None)
    return msgspec.structs.replace(found, expected=expected, observed=float(people))


def test_a_cause_of_everything_is_not_moved_into_each_line_where_it_is_found_as_well() -> None:
    target, places = case(), []
    for found in (at("", 40), at("门锁", 15), at("摄像头", 18), at("", 45)):
        target.take(found)
        places.append(target.dims)
    assert places == [{}, {}, {}, {}]


def test_a_place_moves_to_where_most_of_the_excess_is() -> None:
    target = case()
    target.take(at("", 40, expected=8.0))
    assert target.dims == {}
    target.take(at("门锁", 30))
    assert target.dims == {"product": "门锁"}


def test_of_two_merged_cases_the_larger_excess_says_where_they_lie() -> None:
    one, other = case("a"), case("b")
    one.take(at("门锁", 10))
    other.take(at("", 40))
    one.absorb(other)
    assert one.dims == {}
