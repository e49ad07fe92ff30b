"""The census: what an observation counts as, who is a voice, and that it stays within its bounds."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from test_bank import START, batch, device_errors, heartbeats, ordinary

from detectors.census import Census, Counted
from detectors.counts import FINE_MS, Measured
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.event import Observation
from qianshao.outcome import Rollup

EVERYBODY = ("contacts", "")
OFFLINE = ("topic", "设备离线")


def census(start: int = START) -> Census:
    fresh = Census(root=False, maximum=100_000)
    fresh.table.bin = start // FINE_MS
    return fresh


def count(target: Census, events: Iterable[Observation]) -> tuple[list[Counted], list[Rollup]]:
    """Count ordered events one by one, each at the tick after it, and close the bins between them."""
    counted: list[Counted] = []
    rollups: list[Rollup] = []
    for event in events:
        tick = event.ts + 10 * SECOND_MS
        while target.table.bin < (tick - 1) // FINE_MS:
            rollups += target.close_bin()
        counted.append(target.count([event], tick))
    return counted, rollups


def customers(target: Census, measured: Measured) -> int:
    """Return how many of a line counted under a measure value in the last day."""
    row = target.table.row(measured, (("line", "家居"),))
    return 0 if row < 0 else int(target.table.day(np.array([row]))[0])


def test_a_customer_counts_once_under_what_is_said_and_among_everybody() -> None:
    one = census()
    counted, _ = count(one, batch(5, START, same_customer=True))
    assert customers(one, OFFLINE) == customers(one, EVERYBODY) == 1
    assert len(counted[0].rows)
    assert sorted(counted[0].rows) == list(counted[0].rows)
    assert not any(len(each.rows) for each in counted[1:])
    assert len(list(one.recent.since(one.table.measured_id(OFFLINE), START))) == 5


def test_what_agents_say_and_what_customers_give_marks_for_counts_nobody() -> None:
    said = [msgspec.structs.replace(event, role="agent") for event in batch(3, START)]
    rated = [msgspec.structs.replace(event, kind="rating") for event in batch(3, START + HOUR_MS)]
    one = census()
    counted, _ = count(one, said + rated)
    assert one.table.n == 0
    assert not any(each.voices for each in counted)


def test_who_pastes_a_text_is_one_of_everybody_and_no_voice() -> None:
    slogan = "家人们帮我砍一刀，还差五毛钱就能提现一百元，谢谢大家，复制口令年终砍价打开应用"
    one = census()
    counted, _ = count(one, [msgspec.structs.replace(event, text=slogan) for event in batch(6, START)])
    assert customers(one, EVERYBODY) == 6
    assert customers(one, OFFLINE) == 0
    assert not any(each.voices for each in counted)


def test_the_voices_are_the_customers_and_the_tickets_in_order_and_no_devices() -> None:
    chats, logs = batch(3, START), device_errors(3, START + 4 * MINUTE_MS)
    ticket = msgspec.structs.replace(batch(1, START + HOUR_MS)[0], kind="ticket", role="agent", type="无法开锁")
    one = census()
    counted, _ = count(one, [*chats, *logs, ticket])
    assert [voice for each in counted for voice in each.voices] == [*chats, ticket]
    assert customers(one, ("ticket_type", "无法开锁")) == 1
    assert customers(one, ("code", "E9")) == 3


def test_who_comes_back_is_written_in_the_bin_that_closes() -> None:
    events = batch(4, START, same_customer=True, every_ms=HOUR_MS)
    for number, event in enumerate(events):
        event.conversation = number + 1
    one = census()
    _, rollups = count(one, [*events, *ordinary(1, start=START + 5 * HOUR_MS)])
    assert customers(one, ("returned", "设备离线")) == 1
    broad = [each for each in rollups if each.series.dims == (("line", "家居"),)]
    assert [each.bin_start for each in broad] == [START + hour * HOUR_MS for hour in (1, 2, 3)]


def test_what_is_two_days_old_is_shown_no_more_and_its_words_weigh_a_quarter() -> None:
    one = census()
    count(one, [*batch(40, START), *ordinary(1, per_hour=1, start=START + 48 * HOUR_MS)])
    assert list(one.recent.since(one.table.measured_id(("term", "连不上")), 0)) == []
    assert one.vocabulary["连不上"] == 10
    assert one.documents == 11


def test_a_restored_census_counts_on_as_if_uninterrupted() -> None:
    events = sorted(
        ordinary(30) + batch(12, START + 26 * HOUR_MS) + heartbeats(30) + device_errors(20, START + 20 * HOUR_MS),
        key=lambda event: (event.ts, event.id),
    )
    for number, event in enumerate(events):
        event.conversation, event.customer = number + 1, event.customer % 50 + 1
    half = len(events) // 2
    whole, restored = census(), Census(root=False, maximum=100_000)
    count(whole, events[:half])
    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(whole.snapshot()), strict=False))
    for one, other in zip(*(count(each, events[half:])[0] for each in (whole, restored)), strict=True):
        assert one.rows.tolist() == other.rows.tolist()
        assert one.voices == other.voices
    assert restored.snapshot() == whole.snapshot()


def test_unlimited_dimensions_and_words_stay_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in (("MAX_SIGNATURES", 50), ("MAX_WORDS", 100)):
        monkeypatch.setattr(f"detectors.census.{name}", bound)
    monkeypatch.setattr("detectors.recent.MAX_HELD", 100)
    one = census()
    events = ordinary(20)
    for number, event in enumerate(events):
        event.dims = {"order": f"n{number}"}
        event.product = f"p{number}"
        event.tokens = (f"w{number}", f"v{number}")
    count(one, events)
    assert one.table.signatures <= 53
    assert len(one.vocabulary) <= 102
    assert sum(1 for _ in one.recent.since(one.table.measured_id(("topic", "发票")), 0)) <= 100
