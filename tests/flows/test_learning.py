"""Labels that come in teach what customers' words mean here, at ticks of event time, however the stream is cut."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import msgspec
import pytest
from flow_fakes import START
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.learning import LEARNING_MS, Learning
from models.online import Learner, LearnerLimits
from models.themes import ThemeLimits, Themes
from qianshao.action import Action
from qianshao.errors import StoreError
from qianshao.event import Observation

MINUTE = 60_000
WORDS = {
    "开锁失败": ("门锁", "打不开", "指纹", "钥匙", "进不去"),
    "配送延迟": ("快递", "没到", "物流", "催单", "派送"),
}


def fresh() -> Learning:
    return Learning(Learner(LearnerLimits(bits=12, enough_labels=10)), Themes(ThemeLimits(max_phrasings=8)))


def stream(seed: int, conversations: int) -> list[Observation]:
    """Conversations of two turns; minutes later a ticket with its type, and a rating."""
    rng = random.Random(seed)
    events: list[Observation] = []
    for number in range(conversations):
        kind = rng.choice(sorted(WORDS))
        begun = START + number * 2 * MINUTE
        for turn in range(2):
            words = tuple(rng.sample(WORDS[kind], 3))
            events.append(
                Observation(
                    id=f"c{number}-{turn}",
                    kind="chat",
                    ts=begun + turn * 20_000,
                    conversation=number + 1,
                    role="customer",
                    text="".join(words),
                    tokens=words,
                )
            )
        ticket = Observation(id=f"t{number}", kind="ticket", ts=begun + 20 * MINUTE, conversation=number + 1, type=kind)
        rating = Observation(id=f"r{number}", kind="rating", ts=begun + 21 * MINUTE, conversation=number + 1, score=2)
        events += [ticket, rating]
    return sorted(events, key=lambda event: (event.ts, event.id))


def copies(events: Sequence[Observation]) -> list[Observation]:
    return [msgspec.structs.replace(event) for event in events]


def said(events: Sequence[Observation]) -> list[tuple[str, str, float, float, str]]:
    return [(event.id, event.guess, event.guess_confidence, event.sentiment, event.theme) for event in events]


def test_customers_words_get_the_type_that_agents_gave_to_such_conversations() -> None:
    events = stream(1, 300)
    fresh().adapt(events)
    spoken = [event for event in events if event.kind == "chat"]
    assert {event.guess for event in spoken[:10]} == {""}, "nothing is known before the first labels"
    late = spoken[-100:]
    right = [event for event in late if event.guess and set(event.tokens) <= set(WORDS[event.guess])]
    assert len(right) >= 90
    assert not any(event.guess for event in events if event.kind != "chat")


def test_what_was_learnt_takes_effect_only_at_the_next_tick_of_learning() -> None:
    events = stream(2, 300)
    learning = fresh()
    learning.adapt(events)
    tick = events[-1].ts // LEARNING_MS * LEARNING_MS
    probe = next(event for event in reversed(events) if event.guess)
    before = msgspec.structs.replace(probe, id="before", ts=tick + LEARNING_MS - 1, guess="", guess_confidence=0.0)
    lesson = stream(3, 40)
    for event in lesson:
        event.ts, event.conversation = events[-1].ts, event.conversation + 10_000
    learning.adapt(lesson)
    learning.adapt([before])
    assert (before.guess, before.guess_confidence) == (probe.guess, probe.guess_confidence)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 400), max_size=8), st.integers(0, 400))
def test_no_cut_and_no_restart_changes_what_is_said(seed: int, cuts: list[int], restart: int) -> None:
    events = stream(seed, 100)
    whole = copies(events)
    fresh().adapt(whole)

    learning = fresh()
    places = sorted({0, len(events), min(restart, len(events)), *(min(cut, len(events)) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        if begin == restart:
            resumed = fresh()
            resumed.restore(learning.snapshot())
            learning = resumed
        learning.adapt(events[begin:end])
    assert said(events) == said(whole)


def relabel(conversation: int, at: int, **labels: str) -> tuple[int, Action]:
    named = msgspec.convert({"conversation": conversation, **labels}, dict)
    action = {"id": f"x{conversation}", "action": "relabel", "at": at - 1, "by": "王班长", **named}
    return at, msgspec.convert(action, Action)


def test_a_correction_goes_before_the_ticket_type_whichever_comes_first() -> None:
    events = stream(4, 200)
    wrong = [event for event in events if event.kind == "ticket" and event.type == "开锁失败"]
    for ticket in wrong:
        ticket.type = "其他"
    corrected = [
        relabel(ticket.conversation, ticket.ts + (MINUTE if number % 2 else -MINUTE), type="开锁失败")
        for number, ticket in enumerate(wrong)
    ]
    learning = fresh()
    learning.adapt(events, sorted(corrected, key=lambda each: each[0]))
    late = [event for event in events if event.kind == "chat"][-100:]
    assert {event.guess for event in late} <= {"", *WORDS}
    assert sum(bool(event.guess) for event in late) >= 90
    assert all(set(event.tokens) <= set(WORDS[event.guess]) for event in late if event.guess)


def test_what_is_said_after_a_correction_carries_the_corrected_type_and_topic() -> None:
    first, second = (
        Observation(id=name, kind="chat", ts=ts, conversation=7, role="customer", text="云台转不动", topic="使用咨询")
        for name, ts in (("a", START), ("b", START + MINUTE))
    )
    ticket = Observation(id="t", kind="ticket", ts=START + 1, conversation=7, ticket=99, type="其他")
    action = Action(id="x", action="relabel", at=START + 2, by="王", ticket=99, topic="设备故障", type="卡住")
    fresh().adapt([first, ticket, second], [(START + 10_000, action)])
    assert (first.topic, first.guess) == ("使用咨询", "")
    assert (second.topic, second.topic_confidence) == ("设备故障", 1.0)
    assert (second.guess, second.guess_confidence) == ("卡住", 1.0)


def test_a_ticket_finds_its_conversation_after_a_restart_and_no_other() -> None:
    events = stream(8, 3)
    for event in events:
        if event.kind == "ticket":
            event.ticket = 1_000 + event.conversation
    learning = fresh()
    learning.adapt(events)
    resumed = fresh()
    resumed.restore(learning.snapshot())
    end = events[-1].ts
    action = Action(id="x", action="relabel", at=end, by="王", ticket=1_002, topic="设备故障")
    after = [
        Observation(id=f"z{number}", kind="chat", ts=end + 2, conversation=number, role="customer", text="门锁打不开")
        for number in (1, 2, 3)
    ]
    resumed.adapt(after, [(end + 1, action)])
    assert [each.topic for each in after] == ["", "设备故障", ""]


def test_corrected_topics_are_learnt_and_other_topics_stay() -> None:
    events = stream(5, 600)
    for event in events:
        if event.kind == "chat":
            event.topic, event.topic_confidence = "使用咨询", 0.6
    lock = {event.conversation for event in events if event.kind == "ticket" and event.type == "开锁失败"}
    corrections = [
        relabel(event.conversation, event.ts, topic="设备故障")
        for event in events
        if event.kind == "ticket" and event.conversation in lock and event.conversation % 2
    ]
    learning = fresh()
    learning.adapt(events, corrections)
    late = [event for event in events if event.kind == "chat"][-200:]
    taught = [event for event in late if event.conversation in lock]
    # Every second one was never corrected, and says the opposite.
    assert sum(event.topic == "设备故障" for event in taught) >= 0.75 * len(taught)
    assert {event.topic for event in late if event.conversation not in lock} == {"使用咨询"}


def test_a_handful_of_corrections_changes_no_topic_of_other_conversations() -> None:
    events = stream(6, 300)
    for event in events:
        if event.kind == "chat":
            event.topic, event.topic_confidence = "使用咨询", 0.6
    tickets = [event for event in events if event.kind == "ticket"][:10]
    fresh().adapt(events, [relabel(each.conversation, each.ts, topic="设备故障") for each in tickets])
    named = {each.conversation for each in tickets}
    assert {event.topic for event in events if event.kind == "chat" and event.conversation not in named} == {"使用咨询"}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 400), max_size=6), st.integers(0, 6))
def test_no_cut_and_no_restart_changes_what_corrections_taught(seed: int, cuts: list[int], restart: int) -> None:
    events = stream(seed, 100)
    rng = random.Random(seed)
    corrections = sorted(
        (
            relabel(event.conversation, event.ts + rng.randrange(30) * MINUTE, type="卡住", topic="设备故障")
            for event in events
            if event.kind == "rating" and rng.random() < 0.5
        ),
        key=lambda each: each[0],
    )
    whole = copies(events)
    fresh().adapt(whole, corrections)

    learning = fresh()
    bounds = [0, *sorted({events[min(cut, len(events) - 1)].ts for cut in cuts}), events[-1].ts + 60 * MINUTE]
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        if number == restart:
            resumed = fresh()
            resumed.restore(learning.snapshot())
            learning = resumed
        learning.adapt(
            [event for event in events if begin <= event.ts < end],
            [each for each in corrections if begin < each[0] <= end],
        )
    assert [(*one, event.topic) for one, event in zip(said(events), events, strict=True)] == [
        (*one, event.topic) for one, event in zip(said(whole), whole, strict=True)
    ]


def test_a_foreign_snapshot_is_refused() -> None:
    with pytest.raises(StoreError, match="snapshot for learning"):
        fresh().restore(b"junk")


def test_what_agents_wrote_down_names_the_theme_of_the_next_days_customers() -> None:
    events = stream(5, 1_000)
    for event in events:
        event.customer = int(event.id[1:].split("-")[0]) + 1
        if event.kind == "ticket":
            event.text = f"客户反馈{event.type}，已登记"
    learning = fresh()
    learning.adapt(events)
    late = [event for event in events if event.kind == "chat"][-100:]
    right = [event for event in late if event.theme and set(event.tokens) <= set(WORDS[event.theme[4:8]])]
    assert len(right) >= 90
    assert not any(event.theme for event in events[:200]), "nothing is known on the first day"
