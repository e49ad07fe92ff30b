"""Two words for one cause in one place are told once; what breaks later in the same version is told apart."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding, stated

from qianshao.clock import HOUR_MS
from qianshao.finding import Finding
from qianshao.incident import IncidentChange

LOCK: Dims = {"product": "门锁"}
VERSION: Dims = {"app_version": "8.5.0"}
HEATER: Dims = {"product": "热水器", "model": "H60"}


def opened(changes: list[IncidentChange]) -> list[str]:
    return [change.incident for change in changes if change.change == "opened"]


def weak_then_strong(value: str, topic: str, tick: int, *, dims: Dims = LOCK, measure: str = "term") -> list[Finding]:
    """Strangers are watched for one word at noon, and would open later."""
    first = finding(customers=range(100, 105), value=value, measure=measure, dims=dims, opens=False, score=4.0)
    later = finding(customers=range(100, 112), value=value, measure=measure, dims=dims, tick=tick)
    return [stated(first, topic=topic), stated(later, topic=topic)]


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
    strong = stated(
        finding(customers=range(100, 112), value="发错", measure="term", tick=NOON + 12 * HOUR_MS), topic="错发漏发"
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
    changes, _, _ = target.advance([stated(harm, topic="安全隐患")], NOON + HOUR_MS)
    assert len(opened(changes)) == 1


@pytest.mark.parametrize(("first", "causes"), [(15, 1), (40, 2)])
def test_another_word_of_some_of_the_same_people_in_a_product_that_is_still_told_of_is_no_news(
    first: int, causes: int
) -> None:
    target = desk()
    changes = target.advance([finding(customers=range(20))], NOON)[0]
    changes += target.advance([finding(customers=range(20), tick=NOON + 5 * HOUR_MS)], NOON + 5 * HOUR_MS)[0]
    tick = NOON + 6 * HOUR_MS
    word = finding(customers=range(first, first + 40), value="发错", measure="term", tick=tick)
    changes += target.advance([stated(word, topic="错发漏发")], tick)[0]
    assert len(opened(changes)) == causes


def harm(danger: str, tick: int, *, model: str = "H60") -> Finding:
    return finding(
        customers=range(100, 104),
        measure="danger",
        value=danger,
        danger=danger,
        tick=tick,
        dims={"product": "热水器", "model": model} if model else {"product": "热水器"},
        product="热水器",
    )


def leaking(tick: int) -> Finding:
    return finding(
        customers=range(20), measure="code", value="E5", witness="devices", dims=HEATER, tick=tick, product="热水器"
    )


@pytest.mark.parametrize("model", ["H60", ""])
@pytest.mark.parametrize("devices_first", [True, False])
def test_what_a_model_reports_is_why_it_hurts_people(devices_first: bool, model: str) -> None:
    soon = NOON + HOUR_MS
    hurt = harm("人身安全/触电", soon if devices_first else NOON, model=model)
    told = [leaking(NOON), hurt] if devices_first else [hurt, leaking(soon)]
    target = desk()
    changes = [change for found in told for change in target.advance([found], found.tick)[0]]
    assert len(opened(changes)) == 1


@pytest.mark.parametrize(
    ("danger", "model", "hours"),
    [("资金安全/诈骗", "H60", 1), ("人身安全/触电", "H50", 1), ("人身安全/触电", "H60", 12)],
)
def test_any_other_danger_beside_failing_devices_is_a_cause_of_its_own(danger: str, model: str, hours: int) -> None:
    target = desk()
    changes = target.advance([leaking(NOON)], NOON)[0]
    tick = NOON + hours * HOUR_MS
    changes += target.advance([harm(danger, tick, model=model)], tick)[0]
    assert len(opened(changes)) == 2


def released(topic: str, tick: int, first: int, *, value: str) -> Finding:
    found = finding(
        customers=range(first, first + 15), value=value, measure="term", dims=VERSION, tick=tick, product=None
    )
    return stated(found, topic=topic)


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
    charged = stated(
        finding(customers=range(40), value="支付扣款", dims={"product": "钱包"}, product="钱包"), topic="支付扣款"
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
    changes, _, _ = target.advance([stated(theft, topic="支付扣款")], NOON + HOUR_MS)
    assert [(change.change, change.reason) for change in changes] == [("watched", "inhibited_by_parent")]


def test_a_swindle_beside_wrong_charges_is_told_apart() -> None:
    target = desk()
    wallet: Dims = {"product": "钱包"}
    target.advance(
        [stated(finding(customers=range(40), value="支付扣款", dims=wallet, product="钱包"), topic="支付扣款")], NOON
    )
    swindle = finding(
        customers=range(100, 104),
        measure="danger",
        value="资金安全/诈骗",
        danger="资金安全/诈骗",
        dims=wallet,
        product="钱包",
        tick=NOON + HOUR_MS,
    )
    changes, _, _ = target.advance([stated(swindle, topic="支付扣款")], NOON + HOUR_MS)
    assert [(change.change, change.reason) for change in changes] == [("opened", "danger_reported")]


def told_of(customers: range, topic: str, dims: Dims, tick: int, *, value: str = "", line: str = "家居") -> Finding:
    """Customers of one line say one thing."""
    found = stated(
        finding(customers=customers, value=value or topic, measure="term", dims=dims, tick=tick), topic=topic
    )
    evidence = tuple(
        msgspec.structs.replace(event, line=line, product=str(dims.get("product") or "") or None)
        for event in found.evidence
    )
    return msgspec.structs.replace(found, evidence=evidence)


@pytest.mark.parametrize(("first", "second"), [({"line": "家居"}, LOCK), (LOCK, {"line": "家居"})])
def test_two_words_within_an_hour_in_a_line_and_in_one_of_its_products_are_one_cause(first: Dims, second: Dims) -> None:
    target = desk()
    target.advance([told_of(range(6), "预订订单", first, NOON)], NOON)
    soon = NOON + HOUR_MS // 2
    changes, _, _ = target.advance([told_of(range(100, 106), "服务态度", second, soon)], soon)
    assert opened(changes) == []
    assert changes[-1].reason == "same_cause"


def test_two_that_each_have_many_customers_of_a_topic_of_their_own_are_two_causes() -> None:
    target = desk()
    target.advance([told_of(range(20), "支付扣款", {"line": "家居"}, NOON)], NOON)
    soon = NOON + HOUR_MS // 2
    changes, _, _ = target.advance([told_of(range(100, 120), "发票", LOCK, soon)], soon)
    assert len(opened(changes)) == 1


@pytest.mark.parametrize(("topic", "causes"), [("发票", 1), ("商品质量", 2)])
def test_what_one_system_does_for_all_lines_is_one_cause_in_two_of_them(topic: str, causes: int) -> None:
    target = desk()
    first, second = told_of(range(9), topic, {"line": "家居"}, NOON), NOON + HOUR_MS
    changes, _, _ = target.advance([first], NOON)
    more, _, _ = target.advance([told_of(range(50, 59), topic, {"line": "到家"}, second, line="到家")], second)
    assert len(opened(changes)) + len(opened(more)) == causes


def test_harmless_talk_about_what_a_danger_is_of_is_no_news() -> None:
    target = desk()
    leak = finding(customers=range(3), measure="danger", value="信息安全/隐私泄露", danger="信息安全/隐私泄露")
    target.advance([stated(leak, topic="信息隐私")], NOON)
    soon = NOON + HOUR_MS
    changes, _, _ = target.advance([told_of(range(50, 58), "信息隐私", LOCK, soon)], soon)
    assert opened(changes) == []
    other, _, _ = target.advance([told_of(range(70, 78), "物流配送", LOCK, soon + 10_000)], soon + 10_000)
    assert len(opened(other)) == 1


def code(value: str, first: int, tick: int) -> Finding:
    found = finding(
        customers=range(first, first + 12),
        measure="code",
        value=value,
        witness="devices",
        tick=tick,
        dims={"product": "门锁", "firmware": "2.2.0"},
    )
    return stated(found, topic="")


@pytest.mark.parametrize(("hours", "causes"), [(6, 1), (8, 2), (18, 2)])
def test_another_code_of_one_firmware_is_another_cause_only_when_it_begins_much_later(hours: int, causes: int) -> None:
    target = desk()
    changes = target.advance([code("E202", 0, NOON)], NOON)[0]
    for hour in range(4, hours, 4):
        changes += target.advance([code("E202", 20 * hour, NOON + hour * HOUR_MS)], NOON + hour * HOUR_MS)[0]
    changes += target.advance([code("E201", 900, NOON + hours * HOUR_MS)], NOON + hours * HOUR_MS)[0]
    assert len(opened(changes)) == causes


@pytest.mark.parametrize(("channel", "times"), [("web", 1), ("app", 2)])
def test_what_two_lines_tell_of_one_channel_alone_is_the_fault_of_that_channel(channel: str, times: int) -> None:
    """Of their own words neither line knows the other's: only the channel is the same."""
    target = desk()
    home = finding(customers=range(20), value="发票", dims={"line": "家居", "channel": "web"}, product=None)
    place: Dims = {"line": "出行", "channel": channel}
    trip = finding(customers=range(100, 120), value="账号登录", dims=place, product=None, tick=NOON + 2 * HOUR_MS)
    told = [home, trip]
    changes = [change for each in told for change in target.advance([each], each.tick)[0]]
    assert len(opened(changes)) == times


@pytest.mark.parametrize(("met", "times"), [(8, 1), (3, 2)])
def test_a_few_customers_who_meet_make_no_two_words_of_two_causes(met: int, times: int) -> None:
    target = desk()
    everywhere = finding(customers=range(40), value="账号登录", dims={}, product=None)
    place: Dims = {"product": "门锁"}
    weak = finding(customers=range(100, 105), value="", measure="trouble", dims=place, opens=False, score=4.0)
    later = range(40 - met, 40 - met + 30)
    strong = finding(customers=later, value="", measure="trouble", dims=place, tick=NOON + HOUR_MS)
    told = [everywhere, stated(weak, topic="支付扣款"), stated(strong, topic="支付扣款")]
    changes = [change for each in told for change in target.advance([each], each.tick)[0]]
    assert len(opened(changes)) == times
