"""The benchmark of reading texts: fixed work, every step timed, labels those of the product."""

from __future__ import annotations

from models.understanding import Understanding
from qianshao.app.bench_text import BATCH, STEPS, Reading, bench_text, bench_texts
from qianshao.event import RawEvent


def test_the_work_is_fixed_distinct_and_of_the_length_named() -> None:
    texts = bench_texts(400)
    assert texts == bench_texts(400)
    assert len(set(texts)) == 400
    assert 60 <= sum(map(len, texts)) / len(texts) <= 70


def test_what_is_measured_is_what_the_product_says() -> None:
    texts = bench_texts(60)
    events = [RawEvent(id=str(number), kind="chat", ts=number, text=text) for number, text in enumerate(texts)]
    seen = Understanding(b"k" * 16).label(events)
    said = [(each.topic, each.topic_confidence, each.sentiment) for each in seen]
    assert Reading().label(texts) == said


def test_every_step_has_its_share() -> None:
    figures = bench_text(BATCH)
    steps = figures["steps"]
    assert isinstance(steps, dict)
    assert tuple(steps) == STEPS
    assert 0.8 < sum(steps.values()) <= 1.01
    assert figures["texts_per_second"] > 0
