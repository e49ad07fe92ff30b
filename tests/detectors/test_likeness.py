"""Likeness: which groups that say the same in other words are told, and which never are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import likeness
from detectors.bank import Bank
from detectors.likeness import Likeness
from models.meaning import Encoder, Meaning
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding
from qianshao.meaning import UNIT, WIDTH

START = 1_765_382_400_000  # a midnight in Shanghai
NOW = START + 3 * DAY_MS + 10 * HOUR_MS
EACH_HOUR = 15
ORDINARY = 40
"""Themes of what is ordinarily said."""


@cache
def _meaning(text: str) -> Meaning:
    """Stand in for the encoder: `theme/number` is a direction of its theme, a little off by the number.

    Themes that begin with `坏` are trouble, others hardly.
    """
    theme = text.partition("/")[0]
    vector = np.random.default_rng(abs(hash_of(theme))).normal(size=WIDTH)
    vector /= np.linalg.norm(vector)
    off = np.random.default_rng(abs(hash_of(text))).normal(size=WIDTH)
    vector += 0.7 * off / np.linalg.norm(off)
    return Meaning(
        np.rint(UNIT * vector / np.linalg.norm(vector)).astype(np.int8), 0.9 if theme.startswith("坏") else 0.1
    )


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:24], "little")


def says(
    text: str, ts: int, customer: int, *, product: str | None = "门锁", sentiment: float = 0.0, line: str = "家居"
) -> Observation:
    meaning = _meaning(text)
    return Observation(
        id=f"m{customer}-{ts}",
        kind="chat",
        ts=ts,
        line=line,
        product=product,
        customer=customer,
        role="customer",
        text=text,
        tokens=tuple(text.split("/")[:1]),
        sentiment=sentiment,
        trouble=meaning.trouble,
        meaning=meaning.vector.tobytes(),
    )


def ordinary_days(seed: int = 1, until: int = NOW) -> list[Observation]:
    """Fifteen texts an hour about anything, a third of them trouble, of any product."""
    source = random.Random(seed)
    events = []
    for number in range((until - START) * EACH_HOUR // HOUR_MS):
        theme = source.randrange(ORDINARY)
        text = f"{'坏' if theme % 3 == 0 else '平'}{theme}/{number % 50}"
        product = source.choice(("门锁", "摄像头", "热水器", "网关", None))
        events.append(says(text, START + number * HOUR_MS // EACH_HOUR, 1_000 + number, product=product))
    return events


def group(
    number: int, theme: str = "坏新", *, start: int = NOW, product: str | None = "门锁", sentiment: float = -0.2
) -> list[Observation]:
    """So many customers, one every ten minutes."""
    return [
        says(f"{theme}/{each}", start + each * 10 * MINUTE_MS, each + 1, product=product, sentiment=sentiment)
        for each in range(number)
    ]


def usual(base: Mapping[str, str], name: str) -> Mapping[str, float]:
    if name == "product":
        return {"门锁": 0.25, "摄像头": 0.25, "热水器": 0.25, "网关": 0.25}
    return {"家居": 1.0} if name == "line" else {}


def told(
    events: Sequence[Observation],
    *,
    detector: Likeness | None = None,
    planned: Mapping[str, float] | None = None,
    step: int = MINUTE_MS,
) -> list[Finding]:
    """Hear events in order and judge them every minute."""
    detector = detector or Likeness(Detection(), usual)
    findings: list[Finding] = []
    ordered = sorted(events, key=lambda event: (event.ts, event.id))
    place = 0
    while place < len(ordered):
        tick = (ordered[place].ts // step + 1) * step
        while place < len(ordered) and ordered[place].ts < tick:
            detector.hear(ordered[place])
            place += 1
        findings += detector.decide(tick, {}, 1, planned or {})
    return findings


def test_a_handful_that_says_the_same_in_other_words_opens_and_is_named_by_its_product() -> None:
    findings = told([*ordinary_days(), *group(6)])
    first = next(finding for finding in findings if finding.opens)
    assert first.observed <= 5
    assert first.dims["product"] == "门锁"
    assert {event.customer for event in first.evidence} <= set(range(1, 7))
    assert first.expected < 0.5
    assert first.kind == "rise"
    assert first.series.measure == "likeness"


def test_ordinary_days_open_nothing() -> None:
    findings = told(ordinary_days(2, START + 6 * DAY_MS))
    assert not [finding for finding in findings if finding.opens]


def test_one_customer_who_says_it_ten_times_is_one() -> None:
    again = [says(f"坏新/{each}", NOW + each * MINUTE_MS, 7) for each in range(10)]
    assert not told([*ordinary_days(), *again])


def test_what_customers_say_every_day_is_no_news() -> None:
    before = [each for day in range(1, 4) for each in group(8, start=NOW - day * DAY_MS)]
    assert not [finding for finding in told([*ordinary_days(), *before, *group(6)]) if finding.tick > NOW]


def test_the_first_day_says_nothing() -> None:
    events = [*ordinary_days(until=START + 20 * HOUR_MS), *group(8, start=START + 20 * HOUR_MS)]
    assert not told(events)


def test_many_who_ask_the_same_without_trouble_are_not_told() -> None:
    assert not told([*ordinary_days(), *group(30, "平新")])


def test_what_is_said_in_good_humour_is_not_told() -> None:
    assert not told([*ordinary_days(), *group(12, sentiment=0.8)])


def test_what_is_told_of_everything_opens_nothing() -> None:
    source = random.Random(3)
    joke = [
        msgspec.structs.replace(event, product=source.choice(("门锁", "摄像头", "热水器", "网关")))
        for event in group(12)
    ]
    assert not [finding for finding in told([*ordinary_days(), *joke]) if finding.opens]


def test_a_promotion_day_opens_nothing() -> None:
    findings = told([*ordinary_days(), *group(8)], planned={"家居": 3.0})
    assert findings
    assert not [finding for finding in findings if finding.opens]


def test_long_texts_that_are_equal_are_one_voice() -> None:
    same = [msgspec.structs.replace(event, text="坏新这是一段很长的话大家都照着念一遍") for event in group(9)]
    assert not told([*ordinary_days(), *same])


def test_a_group_is_told_again_when_it_has_grown() -> None:
    numbers = [finding.observed for finding in told([*ordinary_days(), *group(30)])]
    assert len(numbers) < 12
    assert numbers == sorted(numbers)
    assert len({finding.series.value for finding in told([*ordinary_days(), *group(30)])}) == 1


def test_a_stricter_budget_asks_for_more() -> None:
    strict = Likeness(Detection(false_alarms_per_day=0.002), usual)
    lenient = Likeness(Detection(false_alarms_per_day=5.0), usual)
    events = [*ordinary_days(), *group(12)]
    at = [next(each.tick for each in told(events, detector=one) if each.opens) for one in (lenient, strict)]
    assert at[0] < at[1]


def test_lines_beyond_the_bound_are_not_heard_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "MAX_LINES", 2)
    monkeypatch.setattr(likeness, "MAX_RECENT", 100)
    monkeypatch.setattr(likeness, "MAX_PAST", 150)
    detector = Likeness(Detection(), usual)
    events = [
        msgspec.structs.replace(event, line=f"业务{number % 5}")
        for number, event in enumerate(ordinary_days(until=START + 60 * HOUR_MS))
    ]
    told(events, detector=detector)
    state = detector.snapshot()
    assert [each["line"] for each in state["lines"]] == ["业务0", "业务1"]
    for each in state["lines"]:
        assert len(each["events"]) <= 100
        assert len(each["times"]) <= 150
        assert len(each["past"]) == WIDTH * len(each["times"])


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 90), st.integers(1, 20))
def test_going_on_from_a_snapshot_tells_the_same(minutes: int, seed: int) -> None:
    events = sorted([*ordinary_days(seed), *group(9)], key=lambda event: (event.ts, event.id))
    cut = NOW + minutes * MINUTE_MS
    whole = [_plain(finding) for finding in told(events)]
    one = Likeness(Detection(), usual)
    parts = [_plain(finding) for finding in told([event for event in events if event.ts < cut], detector=one)]
    other = Likeness(Detection(), usual)
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(one.snapshot()), strict=False))
    parts += [_plain(finding) for finding in told([event for event in events if event.ts >= cut], detector=other)]
    assert parts == whole


def _plain(finding: Finding) -> bytes:
    return msgspec.json.encode(finding)


def _bank() -> Bank:
    return Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))


@cache
def uncut() -> tuple[list[Observation], list[Finding]]:
    """Days and a group among them, and what is found when all are told at once."""
    events = sorted([*ordinary_days(), *group(7)], key=lambda event: (event.ts, event.id))
    return events, _bank().advance(events, NOW + 3 * HOUR_MS)[0]


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(1, 5_000), max_size=6))
def test_the_cut_of_batches_changes_nothing(cuts: list[int]) -> None:
    events, whole = uncut()
    bank, parts, start = _bank(), list[Finding](), 0
    for end in [*sorted({min(cut, len(events)) for cut in cuts}), len(events)]:
        watermark = NOW + 3 * HOUR_MS if end == len(events) else events[end].ts // 10_000 * 10_000
        parts += bank.advance(events[start:end], watermark)[0]
        start = end
    assert [_plain(finding) for finding in parts] == [_plain(finding) for finding in whole]
    assert [finding for finding in whole if finding.series.measure == "likeness"]


def test_real_words_of_real_customers_are_told_by_a_bank_with_the_real_encoder() -> None:
    ordinary = ("怎么开发票", "订单什么时候发货", "能不能换个颜色", "快递到哪里了", "衣服大了想换一件", "退款还没到账")
    rotten = (
        "打开箱子荔枝全烂了",
        "荔枝长毛了没法吃",
        "你们寄来的荔枝发霉变黑",
        "荔枝一股馊味，坏了一半",
        "收到的荔枝都烂掉了",
        "客户反馈荔枝腐烂变质",
    )
    source = random.Random(5)
    events = [
        says(source.choice(ordinary), START + each * 5 * MINUTE_MS, 1_000 + each, line="生鲜", product="礼盒")
        for each in range(800)
    ]
    late = events[-1].ts
    events += [
        says(text, late + each * 7 * MINUTE_MS, each + 1, line="生鲜", product="荔枝", sentiment=-0.6)
        for each, text in enumerate(rotten)
    ]
    Encoder().interpret(events)
    bank = _bank()
    findings = bank.advance(events, late + HOUR_MS)[0]
    found = [finding for finding in findings if finding.series.measure == "likeness"]
    assert found
    assert found[0].dims["product"] == "荔枝"
    assert {event.customer for event in found[0].evidence} <= set(range(1, 7))
    state = bank.snapshot()
    again = _bank()
    again.restore(state)
    assert again.snapshot() == state


def test_those_who_say_it_ordinarily_do_not_make_the_beginning_earlier() -> None:
    """Somebody an hour says what many say later: the incident did not begin with the one before."""
    daily = [says(f"坏新/{50 + each}", NOW - each * HOUR_MS - HOUR_MS, 500 + each, product=None) for each in range(72)]
    findings = told([*ordinary_days(), *daily, *group(20)])
    assert [finding for finding in findings if finding.opens]
    assert {event.customer for finding in findings if finding.opens for event in finding.evidence} <= set(range(1, 21))
