"""Two words of strangers in one place are two witnesses; the same people saying both are one."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, desk, finding

from qianshao.clock import MINUTE_MS
from qianshao.desk.case import Case
from qianshao.desk.reasons import opening_reason


def reasons(
    first: range, second: range, *, measures: tuple[str, str] = ("term", "term"), score: float = 4.8
) -> list[str]:
    target = desk()
    weak = [
        finding(
            customers=who,
            measure=measure,
            value=f"词{number}",
            opens=False,
            score=score,
            tick=NOON + number * MINUTE_MS,
        )
        for number, (who, measure) in enumerate(zip((first, second), measures, strict=True))
    ]
    changes = target.advance(weak[:1], NOON)[0] + target.advance(weak[1:], NOON + MINUTE_MS)[0]
    return [change.reason for change in changes if change.change == "opened"]


def test_two_words_of_strangers_open_what_neither_opens_alone() -> None:
    assert reasons(range(5), range(50, 55)) == ["two_witnesses"]
    assert reasons(range(5), range(50, 55), measures=("term", "topic")) == ["two_witnesses"]


def test_two_words_of_the_same_people_are_one_witness() -> None:
    assert reasons(range(5), range(3, 8)) == []


def test_two_weak_words_are_not_enough() -> None:
    assert reasons(range(5), range(50, 55), score=4.4) == []


@pytest.mark.parametrize("measures", [("topic", "topic"), ("term", "negative"), ("term", "theme")])
def test_what_names_no_fault_is_no_second_word(measures: tuple[str, str]) -> None:
    assert reasons(range(5), range(50, 55), measures=measures) == []


def test_a_phrase_heard_for_the_first_time_is_no_second_word() -> None:
    target = desk()
    old = finding(customers=range(5), measure="term", value="开不了机", opens=False, score=4.8)
    new = finding(customers=range(50, 55), measure="term", value="预约新机怎么", opens=False, score=8.8)
    changes, _, _ = target.advance([old, msgspec.structs.replace(new, kind="new")], NOON)
    assert [change.change for change in changes] == ["watched"]


@pytest.mark.parametrize(("product", "reason"), [("门锁", "two_witnesses"), ("摄像头", None)])
def test_a_word_of_another_product_is_no_second_witness(product: str, reason: str | None) -> None:
    target = Case(incident="a", created=NOON, first_seen=NOON, last_evidence=NOON)
    target.take(finding(customers=range(9), measure="term", value="连不上", opens=False, score=4.8))
    other = finding(
        customers=range(50, 55), measure="term", value="没声音", opens=False, score=4.8, dims={"product": product}
    )
    target.take(other)
    assert target.dims == {"product": "门锁"}
    assert opening_reason(target) == reason
