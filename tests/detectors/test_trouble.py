"""Calm: who only asks, jokes or praises opens nothing, however many they are and whatever their words are taken for."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest

from detectors.bank import Bank
from detectors.trouble import MOST_READ, calm, troubled
from models.meaning import Encoder
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000  # a midnight in Shanghai


def says(text: str, customer: int, *, ts: int = START, sentiment: float = 0.0, topic: str = "") -> Observation:
    """What begins with `坏` tells of trouble; 在吗 says nothing."""
    return Observation(
        id=f"m{customer}-{ts}",
        kind="chat",
        ts=ts,
        line="家居",
        product="门锁",
        customer=customer,
        role="customer",
        text=text,
        sentiment=sentiment,
        topic=topic,
        trouble=None if text == "在吗" else 0.9 if text.startswith("坏") else 0.1,
    )


def test_those_who_only_ask_are_calm_and_those_who_tell_of_a_fault_are_not() -> None:
    assert calm([says("问规则", each) for each in range(1, 6)])
    assert not calm([says("坏了", each) for each in range(1, 6)])


def test_of_each_customer_the_worst_word_counts() -> None:
    events = [says(text, each) for each in range(1, 6) for text in ("问一下", "坏了", "在吗")]
    assert not calm(events)


def test_trouble_in_good_humour_is_half_of_it() -> None:
    mixed = [says("坏得过瘾", each, sentiment=0.9) for each in range(1, 4)] + [says("好吃", 9)]
    assert calm(mixed)


@pytest.mark.parametrize("texts", [("问规则", "问规则"), ("在吗",) * 8])
def test_nothing_is_said_of_too_few_who_say_anything(texts: tuple[str, ...]) -> None:
    assert not calm([says(text, each + 1) for each, text in enumerate(texts)])


def test_the_newest_decide() -> None:
    before = [says("坏了", each) for each in range(1, 99)]
    assert calm([*before, *(says("问", 100 + each) for each in range(MOST_READ))])
    assert not calm([*before, *(says("问", 100 + each) for each in range(MOST_READ // 4))])


def test_the_real_encoder_tells_questions_about_a_new_rule_from_failing_payments() -> None:
    asked = (
        "新协议从哪天开始生效",
        "以前不收费现在怎么收了",
        "会员规则改了哪些",
        "听说下月要涨价是吗",
        "不同意新条款会怎样",
    )
    failed = ("付款一直失败", "钱扣了订单没成功", "点支付就闪退", "扫码付不了款", "重复扣了我两次")
    for texts, expected in ((asked, True), (failed, False)):
        events = [says(text, each + 1) for each, text in enumerate(texts)]
        Encoder().interpret(events)
        assert calm(events) == expected


def test_what_agents_write_is_no_customer_who_tells_of_trouble() -> None:
    assert troubled(says("坏了", 1))
    assert not troubled(msgspec.structs.replace(says("坏了", 1), kind="ticket"))


def test_customers_who_tell_of_trouble_in_one_product_open_whatever_they_say() -> None:
    """Each in words and a meaning of his own: neither topic nor word nor likeness joins them."""
    events = [says(f"平常的话{each}", 1_000 + each, ts=START + each * 2 * MINUTE_MS) for each in range(1_500)]
    events = [
        msgspec.structs.replace(each, product=("门锁", "摄像头", "网关")[number % 3])
        for number, each in enumerate(events)
    ]
    late = events[-1].ts
    odd = [says(f"坏{each}号怪事", each + 1, ts=late + each * 2 * MINUTE_MS) for each in range(14)]
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    opened = [finding for finding in bank.advance([*events, *odd], late + HOUR_MS)[0] if finding.opens]
    assert {finding.series.measure for finding in opened} == {"trouble"}
    assert opened[0].dims == {"product": "门锁"}


def _opened(text: str) -> list[Finding]:
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    events = [says("平常的话", 1_000 + each, ts=START + each * 2 * MINUTE_MS) for each in range(1_500)]
    late = events[-1].ts
    events += [says(text, each + 1, ts=late + each * MINUTE_MS, topic="支付扣款") for each in range(12)]
    return [finding for finding in bank.advance(events, late + HOUR_MS)[0] if finding.opens]


def test_a_topic_of_calm_customers_does_not_open_and_of_troubled_ones_does() -> None:
    assert [finding.series.value for finding in _opened("坏了付不了")]
    assert not _opened("问一下怎么付")
