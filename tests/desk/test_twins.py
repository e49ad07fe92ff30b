"""Two words for one cause in one place are told once; what breaks later in the same version is told apart."""

from __future__ import annotations

import msgspec
from desk_fakes import NOON, Dims, desk, finding

from qianshao.clock import HOUR_MS
from qianshao.finding import Finding
from qianshao.incident import IncidentChange

LOCK: Dims = {"product": "门锁"}
VERSION: Dims = {"app_version": "8.5.0"}


def about(found: Finding, topic: str) -> Finding:
    """The same finding, its customers speaking about another topic."""
    evidence = tuple(msgspec.structs.replace(event, topic=topic) for event in found.evidence)
    return msgspec.structs.replace(found, evidence=evidence)


def opened(changes: list[IncidentChange]) -> list[str]:
    return [change.incident for change in changes if change.change == "opened"]


def weak_then_strong(value: str, topic: str, tick: int, *, dims: Dims = LOCK, measure: str = "term") -> list[Finding]:
    """Strangers are watched for one word at noon, and would open later."""
    first = finding(customers=range(100, 105), value=value, measure=measure, dims=dims, opens=False, score=4.0)
    later = finding(customers=range(100, 112), value=value, measure=measure, dims=dims, tick=tick)
    return [about(first, topic), about(later, topic)]


def test_a_second_word_in_exactly_the_same_product_hours_later_is_the_same_cause() -> None:
    target = desk()
    watched, strong = weak_then_strong("发错", "错发漏发", NOON + 2 * HOUR_MS, dims={**LOCK, "channel": "app"})
    far = msgspec.structs.replace(watched, dims={"product": "门锁", "region": "华东"})
    target.advance([far], NOON)
    changes, _, _ = target.advance([finding(customers=range(20), tick=NOON + HOUR_MS)], NOON + HOUR_MS)
    assert len(opened(changes)) == 1
    changes, _, _ = target.advance([strong], NOON + 2 * HOUR_MS)
    assert opened(changes) == []
    assert [(change.change, change.reason, change.parent) for change in changes if change.change == "merged"] == [
        ("merged", "same_cause", changes[-1].parent)
    ]


def test_after_half_a_day_it_is_another_cause() -> None:
    target = desk()
    target.advance([finding(customers=range(20))], NOON)
    strong = about(
        finding(customers=range(100, 112), value="发错", measure="term", tick=NOON + 12 * HOUR_MS), "错发漏发"
    )
    changes, _, _ = target.advance([strong], NOON + 12 * HOUR_MS)
    assert len(opened(changes)) == 1


def test_a_danger_is_never_taken_for_a_second_word() -> None:
    target = desk()
    target.advance([finding(customers=range(20))], NOON)
    harm = finding(
        customers=range(100, 104),
        measure="danger",
        value="人身安全/触电",
        danger="人身安全/触电",
        tick=NOON + HOUR_MS,
    )
    changes, _, _ = target.advance([about(harm, "安全隐患")], NOON + HOUR_MS)
    assert len(opened(changes)) == 1


def released(topic: str, tick: int, first: int, *, value: str) -> Finding:
    found = finding(
        customers=range(first, first + 15), value=value, measure="term", dims=VERSION, tick=tick, product=None
    )
    return about(found, topic)


def test_what_breaks_in_one_version_within_hours_is_one_cause() -> None:
    target = desk()
    changes, _, _ = target.advance([released("支付扣款", NOON, 0, value="支付失败")], NOON)
    assert len(opened(changes)) == 1
    changes, _, _ = target.advance([released("应用故障", NOON + HOUR_MS, 50, value="闪退")], NOON + HOUR_MS)
    assert opened(changes) == []


def test_what_breaks_in_the_same_version_much_later_and_is_about_something_else_is_told_apart() -> None:
    target = desk()
    target.advance([released("支付扣款", NOON, 0, value="支付失败")], NOON)
    target.advance([released("支付扣款", NOON + 4 * HOUR_MS, 20, value="支付失败")], NOON + 4 * HOUR_MS)
    changes, _, _ = target.advance([released("应用故障", NOON + 8 * HOUR_MS, 50, value="闪退")], NOON + 8 * HOUR_MS)
    assert len(opened(changes)) == 1


def test_who_calls_a_wrong_charge_theft_is_explained_by_the_wrong_charges() -> None:
    target = desk()
    charged = about(
        finding(customers=range(40), value="支付扣款", dims={"product": "钱包"}, product="钱包"), "支付扣款"
    )
    target.advance([charged], NOON)
    theft = finding(
        customers=range(100, 104),
        measure="danger",
        value="资金安全/盗刷",
        danger="资金安全/盗刷",
        dims={"product": "钱包"},
        product="钱包",
        tick=NOON + HOUR_MS,
    )
    changes, _, _ = target.advance([about(theft, "支付扣款")], NOON + HOUR_MS)
    assert [(change.change, change.reason) for change in changes] == [("watched", "inhibited_by_parent")]
