"""More unhappy customers while no more come, and customers who come back: witnesses that no single person makes."""

from __future__ import annotations

import random
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from detectors.bank import Bank
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_123_200_000  # a Monday's midnight in Shanghai
TURNED = START + 5 * DAY_MS + 10 * HOUR_MS
TOPICS = ("设备离线", "物流配送", "退款售后", "发票", "账号登录")


def contact(ts: int, customer: int, *, topic: str, sentiment: float = 0.0, conversation: int = 0) -> Observation:
    return Observation(
        id=f"{ts}-{customer}-{conversation}",
        kind="chat",
        ts=ts,
        line="家居",
        product="门锁",
        customer=customer,
        conversation=conversation or customer,
        role="customer",
        topic=topic,
        sentiment=sentiment,
        tokens=("请问",),
        text="请问",
    )


def days(
    hours: float,
    *,
    per_hour: int = 60,
    unhappy: float = 0.1,
    later: float = 0.1,
    crowd: float = 1.0,
    returning: float = 0.05,
    back: float = 0.05,
    seed: int = 1,
) -> list[Observation]:
    """Customers of one product; from `TURNED` on a share `later` is unhappy, `crowd` times as many come, and of those
    who ask about refunds a share `back` had asked before."""
    rng = random.Random(seed)
    events: list[Observation] = []
    refunds: list[int] = []
    ts = START
    while ts < START + hours * HOUR_MS:
        turned = ts >= TURNED
        ts += int(HOUR_MS / per_hour / (crowd if turned else 1.0))
        topic = rng.choice(TOPICS)
        who = rng.getrandbits(60) + 1
        conversation = rng.getrandbits(60) + 1
        if topic == "退款售后":
            if refunds and rng.random() < (back if turned else returning):
                who = rng.choice(refunds[-200:])
            refunds.append(who)
        sad = rng.random() < (later if turned else unhappy)
        events.append(contact(ts, who, topic=topic, sentiment=-0.8 if sad else 0.1, conversation=conversation))
    return events


def new_bank() -> Bank:
    return Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))


@cache
def before_turning() -> tuple[list[Observation], list[Finding], bytes]:
    """The days before anything turns, what is found in them, and the state of a bank that has seen them."""
    events = [event for event in days(142) if event.ts < TURNED]
    bank = new_bank()
    return events, bank.advance(events, TURNED)[0], bank.snapshot()


def told(events: list[Observation], hours: float, *, more: list[Observation] | None = None) -> list[Finding]:
    """What a bank finds; days that begin as the others do are gone on with from where they turn."""
    bank = new_bank()
    ordered = sorted(events + (more or []), key=lambda event: (event.ts, event.id))
    usual, found, state = before_turning()
    if ordered[: len(usual)] != usual or ordered[len(usual)].ts < TURNED:
        return bank.advance(ordered, START + int(hours * HOUR_MS))[0]
    bank.restore(state)
    return found + bank.advance(ordered[len(usual) :], START + int(hours * HOUR_MS))[0]


def of_kind(found: list[Finding], kind: str) -> list[Finding]:
    return [each for each in found if each.kind == kind and each.tick > START + 4 * DAY_MS]


@pytest.fixture(scope="module")
def quiet() -> list[Finding]:
    return told(days(142), 142)


def test_ordinary_days_know_neither_shifts_nor_returns(quiet: list[Finding]) -> None:
    assert of_kind(quiet, "shift") == of_kind(quiet, "repeat") == []


def test_a_mood_that_turns_at_the_same_volume_is_a_weak_shift_first() -> None:
    found = of_kind(told(days(142, later=0.4), 142), "shift")
    assert found
    assert not found[0].opens
    assert found[0].witness == "contacts"
    assert found[0].series.measure == "negative"
    assert TURNED < found[0].tick <= TURNED + 3 * HOUR_MS


def test_an_overwhelming_shift_opens() -> None:
    found = of_kind(told(days(142, later=0.9), 142), "shift")
    assert any(each.opens and each.observed >= 20 for each in found)


def test_unhappy_crowds_are_a_rise_and_no_shift() -> None:
    found = told(days(134, later=0.4, crowd=3.0), 134)
    assert of_kind(found, "shift") == []


def test_a_crowd_of_ordinary_mood_is_neither() -> None:
    found = told(days(134, crowd=3.0), 134)
    assert of_kind(found, "shift") == []


def test_eighty_unhappy_messages_of_one_customer_shift_nothing() -> None:
    angry = [
        contact(TURNED + n * MINUTE_MS, 7, topic="退款售后", sentiment=-0.9, conversation=n // 4 + 1) for n in range(80)
    ]
    found = told(days(136), 136, more=angry)
    assert of_kind(found, "shift") == of_kind(found, "repeat") == []


def test_customers_who_come_back_about_one_topic_are_told_as_returns() -> None:
    found = of_kind(told(days(142, back=0.7), 142), "repeat")
    assert found
    assert {each.series.measure for each in found} == {"returned"}
    assert {each.series.value for each in found} == {"退款售后"}
    assert not found[0].opens
    assert found[0].tick > TURNED


def test_a_bot_loop_returns_nobody() -> None:
    loop = [contact(TURNED + n * 4 * SECOND_MS, 9, topic="退款售后", conversation=5) for n in range(120)]
    assert of_kind(told(days(136), 136, more=loop), "repeat") == []


def test_in_the_first_four_days_returns_say_nothing() -> None:
    early = days(80)
    people = [event.customer for event in early if event.topic == "退款售后"][:60]
    more = [
        contact(START + 76 * HOUR_MS + n * MINUTE_MS, who, topic="退款售后", conversation=77 + n)
        for n, who in enumerate(people)
    ]
    assert [each for each in told(early, 80, more=more) if each.kind == "repeat"] == []
