"""Proactive messages over the whole product: at most one for each customer and incident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from qianshao.app.rehearsal import Rehearsal
from qianshao.config import Config, PushSettings
from qianshao.outcome import Outcome
from qianshao.push import Push

Whole = Callable[..., Rehearsal]
Write = Callable[[str, list[bytes]], Path]


def test_a_customer_is_told_at_most_once_about_an_incident(world: list[bytes], whole: Whole, write: Write) -> None:
    pushes: list[Push] = []

    def observe(fraction: float, outcome: Outcome) -> None:
        pushes.extend(outcome.pushes)  # before any sink could hide a second one

    generous = Config(push=PushSettings(maximum_per_customer_per_day=1_000))
    report = whole([write("world.jsonl", world)], config=generous, observe=observe)
    told = Counter((push.incident, push.customer) for push in pushes if push.state == "proposed")
    assert len(told) >= 20
    assert set(told.values()) == {1}
    assert max(Counter(push.push for push in pushes if push.state == "proposed").values()) == 1
    assert report.pushes_proposed == len(told)
    opened = {change.incident for change in report.changes if change.opened_at is not None}
    assert {push.incident for push in pushes} <= opened
