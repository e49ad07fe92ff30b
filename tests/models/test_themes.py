"""Fault themes: what agents write down names what customers say, also those who do not name the fault."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.themes import Theme, ThemeLimits, Themes
from qianshao.errors import ModelError
from qianshao.event import Observation

MINUTE = 60_000
DAY = 86_400_000
START = 1_765_382_400_000  # a midnight in Shanghai
SMALL = ThemeLimits(max_phrasings=16)

FAULTS = {
    "退款未到账，已登记": ("钱", "还没到", "退给", "银行卡"),
    "客户催问退款，转财务": ("钱", "还没到", "退给", "银行卡"),
    "开票系统报错，转技术": ("抬头", "提交", "报销", "开不出"),
    "包裹停滞，联系站点": ("物流", "不动", "站点", "三天"),
}
HABITS = ("见聊天记录", "待回访待回访", "普通咨询已回复")
SMALL_TALK = ("你好", "在吗", "麻烦", "谢谢", "帮忙", "问题")


def words(number: int, ts: int, said: Sequence[str], turn: int = 0) -> Observation:
    return Observation(
        id=f"c{number}-{turn}",
        kind="chat",
        ts=ts,
        role="customer",
        customer=number + 1,
        text="".join(said),
        tokens=tuple(said),
    )


def ticket(number: int, ts: int, text: str) -> Observation:
    return Observation(id=f"t{number}", kind="ticket", ts=ts, customer=number + 1, text=text)


def days(count: int, seed: int = 1, customers_a_day: int = 120, start: int = START) -> list[Observation]:
    """Customers say two words of their fault and two of small talk; half an hour later an agent writes it down.

    A third of the tickets says nothing but what agents write when they are in a hurry.
    """
    chance = random.Random(seed)
    events = []
    for number in range(count * customers_a_day):
        ts = start + number * DAY // customers_a_day
        text = chance.choice(sorted(FAULTS))
        said = [*chance.sample(FAULTS[text], 2), *chance.sample(SMALL_TALK, 2)]
        events.append(words(seed * 1_000_000 + number, ts, said))
        if chance.random() < 0.33:
            text = chance.choice(HABITS)
        events.append(ticket(seed * 1_000_000 + number, ts + 30 * MINUTE, text))
    return sorted(events, key=lambda event: (event.ts, event.id))


def follow(themes: Themes, events: Sequence[Observation], cut: int = 1_000_000) -> list[Theme]:
    """Label events in portions of `cut`, with a tick every ten minutes of event time."""
    found: list[Theme] = []
    tick = 0
    portion: list[Observation] = []
    for event in events:
        now = event.ts - event.ts % (10 * MINUTE)
        if now > tick or len(portion) == cut:
            found += themes.label(portion)
            portion = []
        if now > tick:
            tick = now
            themes.advance(tick)
        portion.append(event)
    return found + themes.label(portion)


def taught(count: int = 2) -> Themes:
    themes = Themes(SMALL)
    follow(themes, days(count))
    themes.advance(START + count * DAY + 4 * 60 * MINUTE)
    return themes


AFTER = START + 2 * DAY + 5 * 60 * MINUTE


def test_a_customers_own_words_are_counted_under_the_fault_that_agents_write_down() -> None:
    themes = taught()
    told = themes.label([words(7, AFTER, ("抬头", "都对", "就是", "开不出"))])[0]
    assert told.name == "开票系统报错，转技术"
    assert told.confidence >= SMALL.confidence


def test_a_ticket_that_says_nothing_means_what_its_customer_said() -> None:
    themes = taught()
    said, noted = themes.label([words(7, AFTER, ("物流", "站点", "不动")), ticket(7, AFTER + MINUTE, "见聊天记录")])
    assert said.name == noted.name == "包裹停滞，联系站点"


def test_a_customer_who_names_nothing_is_counted_once_the_ticket_does() -> None:
    themes = taught()
    said, noted = themes.label([words(7, AFTER, ("你好", "麻烦")), ticket(7, AFTER + MINUTE, "开票系统报错，转技术部")])
    assert said == Theme()
    assert noted == Theme("开票系统报错，转技术", 1.0)


def test_two_phrasings_whose_customers_say_the_same_are_one_fault() -> None:
    themes = taught()
    one, other = themes.label(
        [ticket(7, AFTER, "退款未到账，已登记"), ticket(8, AFTER + MINUTE, "客户催问退款，转财务")]
    )
    assert one.name
    assert one == other


def test_what_agents_write_in_a_hurry_is_no_fault() -> None:
    themes = taught()
    hurried = [ticket(number, AFTER, text) for number, text in enumerate(HABITS)]
    assert [theme.name for theme in themes.label(hurried)] == ["", "", ""]


def test_what_a_day_taught_takes_effect_when_it_ends() -> None:
    themes = Themes(SMALL)
    events = days(2)
    found = follow(themes, events)
    first_release = START + 4 * 60 * MINUTE  # four in the morning
    known = [event.ts for event, theme in zip(events, found, strict=True) if theme.name]
    assert known
    assert min(known) >= first_release


def test_agents_and_devices_have_no_theme() -> None:
    themes = taught()
    agent = words(7, AFTER, FAULTS["包裹停滞，联系站点"])
    agent.role = "agent"
    device = Observation(id="d", kind="device", ts=AFTER, customer=9, text="物流不动", tokens=("物流", "不动"))
    assert themes.label([agent, device]) == [Theme(), Theme()]


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(1, 40), seed=st.integers(2, 50))
def test_the_cut_of_the_calls_changes_nothing(cut: int, seed: int) -> None:
    events = days(2, seed, customers_a_day=60)
    assert follow(Themes(SMALL), events, cut) == follow(Themes(SMALL), events)


@settings(max_examples=6, deadline=None)
@given(share=st.floats(0.1, 0.9), seed=st.integers(2, 50))
def test_restored_themes_continue_as_if_uninterrupted(share: float, seed: int) -> None:
    events = days(3, seed, customers_a_day=60)
    at = int(len(events) * share)
    whole, halved = Themes(SMALL), Themes(SMALL)
    expected = follow(whole, events[:at]) + follow(whole, events[at:])
    found = follow(halved, events[:at])
    resumed = Themes(SMALL)
    resumed.restore(halved.snapshot())
    assert found + follow(resumed, events[at:]) == expected
    assert resumed.snapshot() == whole.snapshot()


def test_a_flood_of_unlike_texts_stays_within_the_bounds() -> None:
    limits = ThemeLimits(max_phrasings=16, max_customers=50, max_words=400)
    themes = Themes(limits)
    chance = random.Random(1)
    letters = [chr(0x4E00 + number) for number in range(3_000)]
    for number in range(1_500):
        ts = START + number * 5 * MINUTE
        said = ["".join(chance.choices(letters, k=2)) for _ in range(20)]
        text = "".join(chance.choices(letters, k=12))
        follow(themes, [words(number, ts, said), ticket(number, ts + MINUTE, text)])
    assert len(themes) == limits.max_phrasings
    assert len(themes.snapshot()) < 1_500_000


def test_an_unused_phrasing_makes_room_and_used_ones_stay() -> None:
    themes = taught()
    chance = random.Random(2)
    letters = [chr(0x4E00 + number) for number in range(3_000)]
    for number in range(60):
        themes.label([ticket(10_000 + number, AFTER + number * MINUTE, "".join(chance.choices(letters, k=12)))])
    found = themes.label([ticket(7, AFTER + 90 * MINUTE, "包裹停滞，联系站点")])
    assert found == [Theme("包裹停滞，联系站点", 1.0)]


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"\x93\xa1x\x01\x02"])
def test_bytes_that_are_no_snapshot_are_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(ModelError, match="snapshot of themes"):
        Themes(SMALL).restore(damage(taught().snapshot()))


def test_a_snapshot_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match="16 phrasings"):
        Themes(ThemeLimits(max_phrasings=8)).restore(taught().snapshot())


def about(events: Sequence[Observation], topics: Sequence[str], upset: float) -> list[Observation]:
    """Give customers' words the topics in turn, and let a share of the customers be upset."""
    chance = random.Random(3)
    for event in events:
        if event.kind == "chat":
            event.topic = topics[event.customer % len(topics)]
            event.sentiment = -0.9 if chance.random() < upset else 0.0
    return list(events)


def served(events: Sequence[Observation]) -> set[str]:
    """The themes that serve after these days."""
    themes = Themes(SMALL)
    follow(themes, sorted(events, key=lambda event: (event.ts, event.id)))
    themes.advance(max(event.ts for event in events) + 2 * DAY)
    late = days(1, seed=9, start=START + 6 * DAY)
    return {theme.name for theme in themes.label(late) if theme.name}


def test_what_customers_of_every_topic_are_told_is_no_theme() -> None:
    one_topic = about(days(3), ("退款售后",), 0.5)
    every_topic = about(days(3), [f"主题{number}" for number in range(12)], 0.5)
    assert served(one_topic)
    assert not served(every_topic)


def test_what_customers_ask_for_without_being_upset_is_no_theme_where_others_are() -> None:
    refunds = {"退款未到账，已登记", "客户催问退款，转财务"}
    events = days(3)
    calm, others = [], []
    refunding = {event.customer for event in events if event.kind == "ticket" and event.text in refunds}
    for event in events:
        (calm if event.customer in refunding else others).append(event)
    found = served([*about(calm, ("退款售后",), 0.05), *about(others, ("发票",), 0.7)])
    assert found
    assert not found & refunds
