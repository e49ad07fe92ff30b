"""A long or large incident does not swallow strangers: people, words and places must agree at the same time."""

from __future__ import annotations

import msgspec
from desk_fakes import NOON, desk, finding

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.finding import Finding


def stated(found: Finding, **fields: str) -> Finding:
    """The same finding, its events stating other fields."""
    return msgspec.structs.replace(
        found, evidence=tuple(msgspec.structs.replace(event, **fields) for event in found.evidence)
    )


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
