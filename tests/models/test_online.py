"""Behaviour of the learner on simulated conversations: words, a ticket twenty minutes later, then a rating."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features import feature_matrix
from models.online import Guess, Learner, LearnerLimits
from qianshao.errors import ModelError
from qianshao.event import Observation

BITS = 12
MINUTE = 60_000
TICK = 10_000
LIMITS = LearnerLimits(bits=BITS, max_types=4, enough_labels=10)
WORDS = {
    "物流配送": ["快递还没到", "物流停了三天", "骑手送错地址", "包裹在哪里"],
    "设备故障": ["门锁开不了", "屏幕黑了", "一直报错重启", "指纹没反应"],
    "发票": ["开一张发票", "抬头写错了", "电子票怎么下载", "税号要改"],
}
GLAD, CROSS = "这回真叫人舒心", "这回真叫人窝火"
"""Words of feeling that the made-up seed does not know."""


def said(conversation: int, ts: int, text: str, topic: str = "", sentiment: float = 0.0) -> Observation:
    return Observation(
        id=f"c{conversation}-{ts}",
        kind="chat",
        ts=ts,
        conversation=conversation,
        role="customer",
        text=text,
        topic=topic,
        topic_confidence=0.8 if topic else 0.0,
        sentiment=sentiment,
    )


def ticket(conversation: int, ts: int, label: str) -> Observation:
    return Observation(id=f"t{conversation}-{ts}", kind="ticket", ts=ts, conversation=conversation, type=label)


def rating(conversation: int, ts: int, score: int) -> Observation:
    return Observation(id=f"r{conversation}-{ts}", kind="rating", ts=ts, conversation=conversation, score=score)


def conversations(count: int, seed: int, types: Sequence[str] = tuple(WORDS), first: int = 1) -> list[Observation]:
    """Make conversations a minute apart: a greeting, two complaints, the feeling, the ticket, most often a rating."""
    draw = np.random.default_rng(seed)
    events = []
    for number in range(first, first + count):
        kind = types[int(draw.integers(len(types)))]
        start = number * MINUTE
        cross = bool(draw.random() < 0.3)
        events.append(said(number, start, "你好在吗"))
        complaints = draw.choice(WORDS[kind], 2).tolist()
        events += [said(number, start + 5_000 * (1 + turn), text + "怎么办") for turn, text in enumerate(complaints)]
        events.append(said(number, start + 20_000, CROSS if cross else GLAD))
        events.append(ticket(number, start + 20 * MINUTE, kind))
        if draw.random() < 0.8:
            events.append(
                rating(number, start + 25 * MINUTE, int(draw.integers(1, 3) if cross else draw.integers(4, 6)))
            )
    return sorted(events, key=lambda event: (event.ts, event.id))


def rows(observations: Sequence[Observation]):
    return feature_matrix([each.text for each in observations], [each.tokens for each in observations], BITS)


def run(learner: Learner, events: Sequence[Observation], cuts: Sequence[int] = ()) -> list[Guess]:
    """Do what the flow does: batches cut at every tick, and wherever else it pleases."""
    guesses: list[Guess] = []
    edges = set(cuts)
    batch: list[Observation] = []
    tick = 0

    def flush() -> None:
        if batch:
            matrix = rows(batch)
            guesses.extend(learner.label(batch, matrix))
            learner.learn(batch, matrix)
            batch.clear()

    for place, event in enumerate(events):
        due = event.ts // TICK * TICK
        if due > tick:
            flush()
            learner.advance(due)
            tick = due
        if place in edges:
            flush()
        batch.append(event)
    flush()
    learner.advance(tick + TICK)
    return guesses


def ask(learner: Learner, text: str, topic: str = "", sentiment: float = 0.0) -> Guess:
    observation = said(999_999, 0, text, topic, sentiment)
    return learner.label([observation], rows([observation]))[0]


@pytest.fixture(scope="module")
def taught() -> bytes:
    learner = Learner(LIMITS)
    run(learner, conversations(300, 1))
    return learner.snapshot()


def again(snapshot: bytes, limits: LearnerLimits = LIMITS) -> Learner:
    learner = Learner(limits)
    learner.restore(snapshot)
    return learner


def test_types_that_agents_named_are_guessed_from_customers_words(taught: bytes) -> None:
    learner = again(taught)
    guessed = {kind: {ask(learner, text).type for text in texts} for kind, texts in WORDS.items()}
    assert guessed == {kind: {kind} for kind in WORDS}
    assert learner.health().types.accuracy > 0.9
    assert learner.health().types.labels == 300


def test_a_greeting_has_no_type_and_no_feeling_though_most_ratings_are_good(taught: bytes) -> None:
    guess = ask(again(taught), "你好在吗")
    assert guess == Guess()


def test_ratings_teach_the_feeling_of_words_that_the_seed_does_not_know(taught: bytes) -> None:
    learner = again(taught)
    assert ask(learner, CROSS).sentiment < -0.5
    assert ask(learner, GLAD).sentiment > 0.5


def test_ratings_that_have_nothing_to_do_with_the_words_leave_the_sentiment_alone() -> None:
    learner = Learner(LIMITS)
    draw = np.random.default_rng(2)
    events = conversations(300, 7)
    for event in events:
        if event.kind == "rating":
            event.score = int(draw.choice([1, 5], p=[0.3, 0.7]))
    run(learner, events)
    assert ask(learner, CROSS, sentiment=-0.4).sentiment == -0.4


def test_it_abstains_and_leaves_sentiment_alone_until_labels_are_enough() -> None:
    learner = Learner(LIMITS)
    assert ask(learner, "门锁开不了", sentiment=-0.4) == Guess("", 0.0, -0.4)
    run(learner, conversations(8, 1, ["设备故障"]))
    assert ask(learner, "门锁开不了", sentiment=-0.4) == Guess("", 0.0, -0.4)


def test_the_seeds_topic_speaks_for_words_that_were_never_seen() -> None:
    learner = Learner(LIMITS)
    for event in conversations(200, 3):
        if event.kind == "chat" and any(event.text.startswith(word) for word in WORDS["发票"]):
            event.topic, event.topic_confidence = "invoice", 0.9
        run(learner, [event])
    assert ask(learner, "ふぁぴあお", topic="invoice").type == "发票"
    assert ask(learner, "ふぁぴあお").type == ""


def test_agents_bots_and_devices_are_neither_learnt_nor_guessed(taught: bytes) -> None:
    learner = again(taught)
    before = learner.health().waiting
    others = [said(5_000, 0, "门锁开不了"), said(5_001, 0, "门锁开不了"), said(5_002, 0, "门锁开不了")]
    others[0].role, others[1].role, others[2].kind = "agent", "bot", "device"
    assert learner.label(others, rows(others)) == [Guess()] * 3
    learner.learn(others, rows(others))
    assert learner.health().waiting == before


def test_what_is_learnt_takes_effect_at_the_tick_and_not_before(taught: bytes) -> None:
    learner = again(taught)
    before = ask(learner, "门锁开不了")
    events = [said(7_000, 400 * MINUTE, "门锁开不了"), ticket(7_000, 420 * MINUTE, "发票")]
    learner.learn(events, rows(events))
    assert ask(learner, "门锁开不了") == before
    learner.advance(420 * MINUTE)
    assert ask(learner, "门锁开不了") != before


def test_a_type_said_again_is_taken_once_and_a_corrected_one_is_taken_too() -> None:
    learner = Learner(LIMITS)
    events = [said(1, 0, "门锁开不了")] + [
        ticket(1, ts, kind) for ts, kind in ((1, "咨询"), (2, "咨询"), (3, "设备故障"))
    ]
    run(learner, events)
    assert learner.health().types.labels == 2


def test_labels_of_unknown_conversations_are_counted_and_empty_ones_are_none() -> None:
    learner = Learner(LIMITS)
    run(learner, [ticket(1, 5, "发票"), rating(2, 6, 5), ticket(3, 7, "  "), rating(4, 8, 0)])
    assert learner.health().unmatched == 2
    assert learner.health().types.labels == 0


def test_a_type_that_comes_up_late_is_recalled_and_the_old_ones_stay(taught: bytes) -> None:
    learner = again(taught)
    words = ["空调漏水了", "水滴下来", "接头渗水"]
    events = conversations(150, 5, first=400)
    for number in range(60):
        start = (400 + 2 * number) * MINUTE + 1_000
        events += [said(9_000 + number, start, words[number % 3]), ticket(9_000 + number, start + 20 * MINUTE, "漏水")]
    run(learner, sorted(events, key=lambda event: (event.ts, event.id)))
    assert {ask(learner, text).type for text in words} == {"漏水"}
    assert all(ask(learner, text).type == kind for kind, texts in WORDS.items() for text in texts)


def test_when_types_are_too_many_the_rarest_closes_and_the_common_ones_stay(taught: bytes) -> None:
    learner = again(taught)
    events = []
    for number in range(30):
        start = (400 + number) * MINUTE
        events += [said(8_000 + number, start, "乱七八糟"), ticket(8_000 + number, start + 1_000, f"垃圾{number}")]
    run(learner, events)
    health = learner.health().types
    assert health.classes == LIMITS.max_types
    assert all(ask(learner, text).type == kind for kind, texts in WORDS.items() for text in texts)


def test_wrong_labels_here_and_there_cost_little() -> None:
    learner = Learner(LIMITS)
    events = conversations(400, 6)
    draw = np.random.default_rng(0)
    for event in events:
        if event.kind == "ticket" and draw.random() < 0.15:
            event.type = str(draw.choice(list(WORDS)))
    run(learner, events)
    assert all(ask(learner, text).type == kind for kind, texts in WORDS.items() for text in texts)


@cache
def uncut() -> tuple[list[Observation], list[Guess], bytes]:
    """Conversations, and what a learner that is told them tick by tick guesses and ends as."""
    events, learner = conversations(60, 2), Learner(LIMITS)
    return events, run(learner, events), learner.snapshot()


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=40))
def test_no_cut_into_batches_changes_a_guess_or_the_state(cuts: list[int]) -> None:
    events, guesses, state = uncut()
    cut = Learner(LIMITS)
    assert guesses == run(cut, events, cuts)
    assert state == cut.snapshot()


@settings(max_examples=15, deadline=None)
@given(stop=st.integers(0, 350), seed=st.integers(0, 3))
def test_going_on_from_a_snapshot_is_never_having_stopped(stop: int, seed: int) -> None:
    limits = LearnerLimits(bits=BITS, max_types=2, enough_labels=5, max_conversations=20, checkpoint_labels=32)
    events = conversations(70, seed)
    stop = min(stop, len(events))
    unbroken, first = Learner(limits), Learner(limits)
    run(unbroken, events[:stop])
    run(first, events[:stop])
    second = again(first.snapshot(), limits)
    assert second.snapshot() == first.snapshot()
    assert run(second, events[stop:]) == run(unbroken, events[stop:])
    assert second.snapshot() == unbroken.snapshot()
    assert second.health() == unbroken.health()


def test_a_label_that_waits_for_its_tick_survives_a_snapshot() -> None:
    events = [said(1, 0, "门锁开不了"), ticket(1, 5, "设备故障")]
    learner = Learner(LIMITS)
    learner.learn(events, rows(events))
    other = again(learner.snapshot())
    other.advance(TICK)
    assert other.health().types.labels == 1


@pytest.mark.parametrize("cut", [0, 1, 7, -1])
def test_a_damaged_snapshot_is_refused_and_leaves_an_empty_learner(taught: bytes, cut: int) -> None:
    learner = again(taught)
    with pytest.raises(ModelError, match="snapshot of the online layer"):
        learner.restore(taught[:cut])
    assert learner.health() == Learner(LIMITS).health()


def test_a_snapshot_of_another_size_is_refused_with_both_named(taught: bytes) -> None:
    with pytest.raises(ModelError, match=r"12 bits.*11 bits"):
        again(taught, LearnerLimits(bits=11))


def test_rows_of_another_size_are_refused() -> None:
    observation = said(1, 0, "门锁")
    with pytest.raises(ModelError, match="expected"):
        Learner(LearnerLimits(bits=11)).label([observation], rows([observation]))


def test_memory_stays_inside_its_limits_whatever_comes() -> None:
    limits = LearnerLimits(
        bits=BITS,
        max_types=4,
        max_conversations=50,
        max_features=2_000,
        max_pending_features=500,
        max_rehearsed=20,
        max_rehearsed_features=300,
    )
    learner = Learner(limits)
    text = "各种各样的抱怨" * 40
    for number in range(1, 400):
        events = [
            said(number % 97 + 1, number * 1_000, text[: number % 200 + 1]),
            ticket(number % 97 + 1, 0, f"类{number}"),
        ]
        learner.learn(events, rows(events))
        if number % 50 == 0:
            learner.advance(number * 1_000)
    health = learner.health()
    assert health.waiting <= 50
    assert health.types.classes <= 4
    assert health.types.lost > 0
    weights = 10 * 2**BITS * (4 + 3)
    assert health.memory_bytes <= weights + 8 * (2_000 + 2 * (500 + 300))


def test_conversations_without_a_label_are_forgotten_in_time() -> None:
    learner = Learner(LearnerLimits(bits=BITS, max_age_minutes=60))
    run(learner, [said(1, 0, "门锁开不了"), said(2, 61 * MINUTE, "屏幕黑了")])
    assert learner.health().waiting == 1
    run(learner, [ticket(1, 62 * MINUTE, "设备故障")])
    assert learner.health().unmatched == 1


def test_full_memory_still_learns_labels_that_come_after_a_thousand_conversations() -> None:
    learner = Learner(LearnerLimits(bits=BITS, max_conversations=100))
    events = [said(number, number * 100, "门锁开不了") for number in range(1, 1_001)]
    run(learner, events)
    run(learner, [ticket(number, 20 * MINUTE, "设备故障") for number in range(1, 1_001)])
    health = learner.health()
    assert health.displaced == 900
    assert health.types.labels == 100
