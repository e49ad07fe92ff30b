"""Emerging terms: what is told as new, at which customer, and what never is."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import emerging, term_keys, term_sketch
from detectors.bank import Bank
from detectors.emerging import Emerging
from detectors.term_sketch import SKETCH_BYTES, Nursery, TermSketch
from flows.decode import decode
from flows.sources.world.generator import World
from flows.sources.world.incidents import Incidents
from flows.sources.world.plan import draw_decoys, finish
from flows.sources.world.setting import Plan, Setting
from models.understanding import Understanding
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, grid_tick
from qianshao.config import Detection
from qianshao.event import Observation, RawEvent
from qianshao.finding import Finding

BACKGROUND = Path(__file__).parents[3] / "shared" / "data" / "world" / "background_4days.jsonl.gz"
START = 1_765_382_400_000  # a midnight in Shanghai
NOW = START + 75 * HOUR_MS
PRODUCTS = ("门锁", "摄像头", "热水器", "平板", "水果", "外卖", "机票", "酒店")
TOPICS = ("设备离线", "物流配送", "退款售后", "发票", "账号登录", "使用咨询", "")
BEGIN = ("请问", "你好", "我想问下", "麻烦看看", "那个", "昨天买的", "上周到的", "怎么回事")
MIDDLE = ("收不到货", "连不上网", "退款没到", "发票开错了", "登录不了", "会员怎么用", "说明书在哪里", "价格变了")
END = ("快点处理", "谢谢", "很着急", "等你们回复", "都三天了", "家里老人要用", "什么时候能好", "给个说法")


def says(
    text: str,
    ts: int,
    customer: int,
    *,
    product: str | None = "门锁",
    topic: str = "设备故障",
    sentiment: float = -0.6,
    terms: tuple[str, ...] = (),
    tokens: tuple[str, ...] = (),
    role: str | None = "customer",
    dims: Mapping[str, str] | None = None,
) -> Observation:
    return Observation(
        id=f"m{customer}-{ts}-{role}",
        kind="chat",
        ts=ts,
        line="家居",
        product=product,
        dims=dict(dims or {}),
        customer=customer,
        role=role,
        text=text,
        topic=topic,
        sentiment=sentiment,
        terms=terms,
        tokens=tokens,
    )


def logs(code: str, ts: int, device: int, *, level: str = "error") -> Observation:
    return Observation(
        id=f"d{device}-{ts}",
        kind="device",
        ts=ts,
        line="家居",
        product="门锁",
        customer=device,
        device=device,
        level=level,
        code=code,
        text="bus stall",
        template="bus stall",
    )


def ordinary(hours: float, *, seed: int = 1, per_hour: int = 60, start: int = START) -> list[Observation]:
    """Customers of eight products who ask and complain in ever new combinations of known words."""
    chance = random.Random(seed)
    events = []
    for number in range(int(hours * per_hour)):
        trouble = chance.random() < 0.4
        events.append(
            says(
                f"{chance.choice(BEGIN)}，{chance.choice(MIDDLE)}{chance.choice(END)}",
                start + int(number * HOUR_MS / per_hour),
                chance.getrandbits(60) + 1_000_000,
                product=chance.choice(PRODUCTS),
                topic=chance.choice(TOPICS),
                sentiment=-0.6 if trouble else 0.2,
            )
        )
    return events


def watcher(**changes: float) -> Emerging:
    return Emerging(msgspec.structs.replace(Detection(), **changes), lambda base, name: {})


def run(events: Sequence[Observation], *, cut: int = 400, target: Emerging | None = None) -> list[Finding]:
    """Let events pass in calls of about `cut`, each of whole ticks, and gather what is told."""
    watching = watcher() if target is None else target
    ordered = sorted(events, key=lambda event: (event.ts, event.id))
    findings: list[Finding] = []
    begin = 0
    while begin < len(ordered):
        end = min(begin + cut, len(ordered))
        while end < len(ordered) and _tick(ordered[end]) == _tick(ordered[end - 1]):
            end += 1
        part = ordered[begin:end]
        watching.read(part)
        for tick in dict.fromkeys(map(_tick, part)):
            findings += watching.decide(tick, {}, 0)
        begin = end
    return findings


def _tick(event: Observation) -> int:
    return grid_tick(event.ts, 10 * SECOND_MS)


def complaints(texts: Sequence[str], *, every_ms: int = 4 * MINUTE_MS, ts: int = NOW, **more: Any) -> list[Observation]:
    """One customer after the other says these texts."""
    return [says(text, ts + index * every_ms, 500 + index, **more) for index, text in enumerate(texts)]


BLACK = (
    "升级后黑屏了怎么办",
    "我家的昨晚升级后黑屏，按什么都没用",
    "你们推的更新，升级后黑屏到现在",
    "完了升级后黑屏，老人进不了门",
    "升级后黑屏有没有人管",
)


def test_ordinary_words_are_never_new() -> None:
    assert run(ordinary(24 * 7)) == []


def test_a_compound_that_no_dictionary_knows_is_told_as_one_term_at_the_fourth_customer() -> None:
    found = run(ordinary(80) + complaints(BLACK))
    assert found[0].opens
    assert found[0].kind == "new"
    assert (found[0].series.measure, found[0].series.value) == ("term", "升级后黑屏")
    assert len({event.customer for event in found[0].evidence}) == 4
    assert found[0].keywords[0] == "升级后黑屏"


def test_a_never_seen_code_in_customers_words_is_told_at_the_fourth_customer() -> None:
    texts = ("屏幕显示E849，用不了", "一直报E849是坏了吧", "按了没反应，上面是E849", "又是e849，你们看看", "E849怎么消")
    found = run(ordinary(80) + complaints(texts, every_ms=HOUR_MS))
    assert found[0].opens
    assert found[0].series.value == "E849"
    assert len(found[0].evidence) == 4


@pytest.mark.parametrize("calm", [True, False])
def test_a_new_name_like_a_code_opens_nothing_where_people_only_ask_for_it(calm: bool) -> None:
    texts = ("摄像头E849有没有银色", "换E849有没有补贴", "我看到E849的广告", "E849的尺寸发我一下")
    asking = [
        msgspec.structs.replace(event, trouble=0.1 if calm else 0.9) for event in complaints(texts, every_ms=HOUR_MS)
    ]
    assert any(finding.opens for finding in run(ordinary(80) + asking)) != calm


def test_two_devices_and_two_customers_with_one_code_are_four() -> None:
    events = [
        logs("E849", NOW, 901),
        logs("E849", NOW + MINUTE_MS, 902),
        *complaints(("屏幕显示E849，用不了", "一直报E849是坏了吧"), ts=NOW + HOUR_MS),
    ]
    found = run(ordinary(80) + events)
    assert [finding.series.measure for finding in found] == ["code"]
    assert found[0].opens
    assert len(found[0].evidence) == 4


def test_a_code_that_only_devices_log_is_left_to_the_counts() -> None:
    assert run(ordinary(80) + [logs("E849", NOW + index * MINUTE_MS, 900 + index) for index in range(20)]) == []


def test_a_fault_is_new_where_it_had_not_been() -> None:
    known = [says("黑屏", START + hour * HOUR_MS, 70 + hour, product="平板", terms=("黑屏",)) for hour in range(70)]
    texts = ("又黑屏", "就是黑屏啊", "看不到了，黑屏", "黑屏半天", "还是黑屏")
    found = run(ordinary(80) + known + complaints(texts, terms=("黑屏",), product="热水器"))
    assert found[0].opens
    assert (found[0].series.value, found[0].series.dims) == ("黑屏", (("product", "热水器"),))


def test_a_product_of_yesterday_has_no_new_faults() -> None:
    known = [says("黑屏", START + hour * HOUR_MS, 70 + hour, product="平板", terms=("黑屏",)) for hour in range(70)]
    texts = ("又黑屏", "就是黑屏啊", "看不到了，黑屏", "黑屏半天", "还是黑屏")
    assert run(ordinary(80) + known + complaints(texts, terms=("黑屏",), product="新品手环")) == []


def test_nothing_is_new_on_the_first_day() -> None:
    assert run(ordinary(30) + complaints(BLACK, ts=START + 23 * HOUR_MS)) == []
    assert run(ordinary(30) + complaints(BLACK, ts=START + 5 * HOUR_MS, every_ms=5 * HOUR_MS)) == []


def test_three_customers_are_too_few() -> None:
    assert run(ordinary(80) + complaints(BLACK[:3])) == []


def test_many_messages_of_one_customer_are_one_customer() -> None:
    angry = [says(BLACK[index % 5], NOW + index * MINUTE_MS, 500) for index in range(80)]
    assert run(ordinary(90) + angry) == []


def test_a_pasted_advertisement_is_one_voice_however_many_paste_it() -> None:
    slogan = "家人们帮我砍一刀，还差一点就能提现，气死了点不动，复制口令年终砍价大狂欢，手慢无"
    pasted = complaints([slogan + "！" * (index % 3) for index in range(60)], every_ms=MINUTE_MS)
    assert run(ordinary(90) + pasted) == []


def test_a_joke_of_the_day_in_chats_about_everything_is_not_told() -> None:
    events = ordinary(72) + ordinary(12, seed=2, start=START + 72 * HOUR_MS)
    for index, event in enumerate(events):
        if event.ts >= START + 72 * HOUR_MS and index % 4 == 0:
            event.text = f"泼天的富贵轮到客服了，{event.text}"
    assert run(events) == []


def test_what_everybody_says_in_the_same_words_is_one_voice() -> None:
    """What a model makes of equal texts is equal, too: it agrees with itself, not one customer with another."""
    for joke in ("尊嘟假嘟", "新版本要不要升级"):
        assert run(ordinary(80) + complaints([joke] * 30, every_ms=MINUTE_MS)) == []


def test_a_code_alone_is_what_anybody_would_write() -> None:
    found = run(ordinary(80) + complaints(["E849"] * 4, every_ms=10 * MINUTE_MS))
    assert [finding.series.value for finding in found] == ["E849"]


@pytest.mark.parametrize("topic", ["使用咨询", ""])
def test_a_new_name_without_trouble_is_not_told(topic: str) -> None:
    texts = ("新开的星河湾店在哪", "去星河湾店怎么走", "星河湾店几点关门", "想问星河湾店有没有车位", "星河湾店能自提么")
    asked = complaints(texts, topic=topic, sentiment=0.3)
    assert run(ordinary(80) + asked) == []


def test_a_new_name_in_trouble_is_told() -> None:
    texts = (
        "星河湾店把我的东西弄丢了",
        "在星河湾店买的是坏的",
        "星河湾店不给退",
        "星河湾店说没有我的单",
    )
    found = run(ordinary(80) + complaints(texts, topic="退款售后", product=None))
    assert found[0].series.value == "星河湾店"


def test_what_agents_and_bots_say_is_not_heard() -> None:
    for role in ("agent", "bot"):
        assert run(ordinary(80) + complaints(BLACK, role=role)) == []


def test_one_flooding_device_is_one() -> None:
    flood = [logs("E849", NOW + index * 200, 901) for index in range(3000)]
    assert run(ordinary(80) + flood + complaints(("屏幕显示E849", "报E849"), ts=NOW + HOUR_MS)) == []


def test_numbers_and_masks_of_different_customers_are_not_one_term() -> None:
    chance = random.Random(5)
    texts = [f"单号SF{chance.getrandbits(40)}，手机〔手机〕，地址〔地址〕，气死了" for _ in range(12)]
    told = run(ordinary(80) + complaints(texts, product="外卖"))
    assert not any("〔" in finding.series.value or finding.series.value.startswith("SF") for finding in told)


def test_a_term_that_was_said_last_week_is_not_new() -> None:
    earlier = [says("那次也是升级后黑屏", START + 5 * HOUR_MS, 77)]
    assert run(ordinary(80) + earlier + complaints(BLACK)) == []


def test_a_term_that_nobody_has_said_for_a_fortnight_is_new_again() -> None:
    earlier = [says("那次也是升级后黑屏", START + 5 * HOUR_MS, 77)]
    later = START + 16 * DAY_MS
    found = run(ordinary(17 * 24, per_hour=20) + earlier + complaints(BLACK, ts=later))
    assert any(finding.opens for finding in found)


def test_on_a_busy_day_more_customers_are_asked_for() -> None:
    """A word that is said by one in so many is said by four sooner, when there are ten times as many."""
    quiet = run(ordinary(80) + complaints(BLACK, every_ms=20 * MINUTE_MS))
    crowd = ordinary(3, seed=3, per_hour=1500, start=NOW - HOUR_MS)
    busy = run(ordinary(80) + crowd + complaints(BLACK, every_ms=20 * MINUTE_MS))
    assert quiet[0].opens
    assert not any(finding.opens for finding in busy)


def test_another_word_of_the_same_customers_is_not_told_again() -> None:
    texts = (
        "升级后黑屏了怎么办，还闪紫灯",
        "闪紫灯，我家的昨晚升级后黑屏，按什么都没用",
        "你们推的更新，升级后黑屏到现在，一直闪紫灯",
        "完了升级后黑屏，老人进不了门，门上闪紫灯",
    )
    assert len(run(ordinary(80) + complaints(texts))) == 1


def test_half_the_budget_asks_for_more() -> None:
    texts = complaints(BLACK[:4], every_ms=24 * MINUTE_MS)
    assert run(ordinary(80) + texts)[0].opens
    strict = run(ordinary(80) + texts, target=watcher(false_alarms_per_day=0.002))
    assert not any(finding.opens for finding in strict)


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(min_value=1, max_value=900))
def test_the_cut_of_the_calls_changes_nothing(cut: int) -> None:
    events = ordinary(40, per_hour=30) + complaints(BLACK, ts=START + 38 * HOUR_MS)
    first, second = watcher(), watcher()
    assert run(events, cut=cut, target=first) == run(events, cut=10_000, target=second)
    assert first.snapshot() == second.snapshot()


@pytest.mark.parametrize("minutes", [1, 6, 14])
def test_restored_it_continues_bit_for_bit(minutes: int) -> None:
    events = sorted(
        ordinary(50) + complaints(BLACK, ts=START + 45 * HOUR_MS) + [logs("E849", START + 45 * HOUR_MS, 9)],
        key=lambda event: (event.ts, event.id),
    )
    middle = START + 45 * HOUR_MS + minutes * MINUTE_MS
    whole = watcher()
    run([event for event in events if event.ts < middle], target=whole)
    restored = watcher()
    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(whole.snapshot()), strict=False))
    rest = [event for event in events if event.ts >= middle]
    assert run(rest, target=restored) == run(rest, target=whole)
    assert restored.snapshot() == whole.snapshot()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_flood_makes_it_grow(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MAX_CANDIDATES", "MAX_HELD", "MAX_VALUES", "MAX_EVENTS", "MAX_KEPT"):
            patch.setattr(emerging, name, 10)
        for module in (emerging, term_keys):
            patch.setattr(module, "MAX_LABELS", 10)
        watching = watcher()
        texts = data.draw(st.lists(st.text(max_size=400), min_size=1, max_size=30))
        names = data.draw(st.lists(st.text(max_size=20), min_size=1, max_size=30))
        events = [
            says(
                texts[number % len(texts)] + "".join(chr(0x4E00 + number // every) for every in (1, 30)) + "新",
                START + number * HOUR_MS // 8,
                number + 1,
                product=f"{names[number % len(names)]}{number}",
                terms=(names[-1],),
                tokens=tuple(names[:4]),
                dims={names[0]: names[-1]},
            )
            for number in range(300)
        ]
        run(events, target=watching)
        state = watching.snapshot()
        assert len(state["terms"]) <= 10
        assert len(state["held"]) <= 10
        assert len(state["values"]) <= 10
        assert len(watching._keys) <= 10
        assert sum(len(term["events"]) for _, term in state["terms"]) <= 10
        assert sum(map(len, state["nursery"].values())) + len(state["sketch"]["cells"]) == SKETCH_BYTES


@settings(max_examples=60, deadline=None)
@given(spoken=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3 * 24), st.booleans()), min_size=1, max_size=60))
def test_a_collision_makes_a_term_older_never_newer(spoken: list[tuple[int, int, bool]]) -> None:
    """In a sketch of sixteen places forty terms collide all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(term_sketch, "PHRASE_BITS", 3)
        patch.setattr(term_sketch, "NAME_BITS", 1)
        sketch = TermSketch()
        truth: dict[tuple[int, bool], int] = {}
        heard: dict[tuple[int, bool], int] = {}
        hour = START // HOUR_MS
        for term, step, named in spoken:
            hour += step
            key = (term, named)
            if key in heard and hour // 24 - heard[key] // 24 > term_sketch.FORGET_DAYS:
                del truth[key]
            truth.setdefault(key, hour)
            heard[key] = hour
            mixed = np.array([(term + 1) * 0x9E3779B97F4A7C15 % 2**64], dtype=np.uint64)
            assert int(sketch.hear(mixed, np.array([named]), hour)[0]) <= truth[key]


def test_without_collisions_births_are_exact() -> None:
    sketch = TermSketch()
    keys = np.arange(1, 200, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    plain = np.zeros(len(keys), dtype=np.bool_)
    hour = START // HOUR_MS
    assert set(sketch.hear(keys[:100], plain[:100], hour).tolist()) == {hour}
    later = sketch.hear(keys, plain, hour + 50)
    assert later.tolist() == [hour] * 100 + [hour + 50] * 99


@settings(max_examples=60, deadline=None)
@given(
    said=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_the_nursery_is_the_same_as_one_by_one(said: list[tuple[int, int]], cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(term_sketch, "NURSERY_BITS", 2)
        nursery = Nursery()
        table: dict[int, tuple[int, int, int]] = {}
        expected = []
        for number, (term, who) in enumerate(said):
            place = ((term << 20) >> 20) & 3
            held = table.get(place)
            if held is None or held[0] != term:
                table[place] = held = (term, who, number)
                expected.append((True, who, number))
            else:
                expected.append((False, held[1], held[2]))
        found = []
        edges = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
        for begin, end in pairwise(edges):
            keys = np.array([term << 20 for term, _ in said[begin:end]], dtype=np.uint64)
            speakers = np.array([each for _, each in said[begin:end]], dtype=np.uint64)
            numbers = np.arange(begin, end)
            first, by, in_event, _ = nursery.admit(keys, speakers, numbers, numbers)
            found += list(zip(first.tolist(), by.tolist(), in_event.tolist(), strict=True))
        assert found == expected


def quiet(setting: Setting) -> Plan:
    """Ordinary days with every kind of decoy, and no incident."""
    plan = Plan()
    draw_decoys(Incidents(setting, plan), random.Random(f"{setting.seed}:decoys"))
    finish(plan)
    return plan


def understood(lines: Iterable[bytes]) -> list[Observation]:
    """Read, mask and understand lines; each id once."""
    reader = Understanding(b"key")
    events: dict[str, Observation] = {}
    rest = iter(lines)
    while batch := list(islice(rest, 1000)):
        read = [event for event in decode(batch) if isinstance(event, RawEvent)]
        events.update((event.id, event) for event in reader.label(read))
    return list(events.values())


@pytest.mark.slow
def test_a_week_without_incidents_opens_at_most_one_new_term_at_one_event_a_second() -> None:
    world = World(23, 168, 1.0, planner=quiet)
    events = understood(line.data for line in world.lines())
    assert len(events) > 550_000
    assert sum(finding.opens for finding in run(events, cut=5_000)) <= 1


@pytest.mark.slow
@pytest.mark.skipif(not BACKGROUND.exists(), reason=f"{BACKGROUND} is not here, and is not shipped")
def test_four_days_of_another_centres_ordinary_traffic_open_nothing() -> None:
    events = understood(gzip.decompress(BACKGROUND.read_bytes()).split(b"\n"))
    assert len(events) > 100_000
    assert [finding for finding in run(events, cut=5_000) if finding.opens] == []


def test_the_bank_that_sees_everything_tells_and_a_lines_bank_does_not() -> None:
    def told(root: bool) -> list[Finding]:
        zone = ZoneInfo("Asia/Shanghai")
        bank = Bank(Detection(), root=root, decision_ms=10 * SECOND_MS, zone=zone)
        events = sorted(ordinary(80) + complaints(BLACK), key=lambda event: (event.ts, event.id))
        return [each for each in bank.advance(events, NOW + DAY_MS)[0] if each.kind == "new"]

    assert told(root=True)[0].dims == {"product": "门锁"}
    assert told(root=False) == []
