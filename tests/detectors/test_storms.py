"""Storms that come every night are rhythm; a larger one, another hour, and another message are not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec
import pytest

from detectors.bank import Bank
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000  # a midnight in Shanghai
REGIONS = ("华东", "华南", "华北", "西南", "东北", "西北")
STORM = 4 * HOUR_MS + 15 * MINUTE_MS
RETRY = "scheduled sync retry"


def log(ts: int, device: int, *, message: str, level: str = "warn", region: str = "华东") -> Observation:
    return Observation(
        id=f"{device}-{ts}-{message}",
        kind="device",
        ts=ts,
        line="家居",
        product="压力锅",
        model=f"M{device % 3}",
        firmware="2.1",
        region=region,
        customer=device,
        device=device,
        level=level,
        text=message,
        template=message,
    )


def heartbeats(days: int) -> list[Observation]:
    chance = random.Random(1)
    return [
        log(START + minute * MINUTE_MS, chance.randrange(1, 1500), message="heartbeat ok", level="info")
        for minute in range(days * 24 * 60)
    ]


def storms(nights: Sequence[int], *, devices: int = 200, at: int = STORM, seed: int = 2) -> list[Observation]:
    """Devices all over the country retry within ten minutes of each of these nights."""
    chance = random.Random(seed)
    return [
        log(
            START + night * DAY_MS + at + chance.randrange(10 * MINUTE_MS),
            device,
            message=RETRY,
            region=chance.choice(REGIONS),
        )
        for night in nights
        for device in chance.sample(range(1, 1500), devices)
    ]


def told(events: list[Observation], *, snapshot_at: int = 0) -> list[Finding]:
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    ordered = sorted(events, key=lambda event: (event.ts, event.id))
    found: list[Finding] = []
    if snapshot_at:
        before = [event for event in ordered if event.ts < snapshot_at]
        found += bank.advance(before, snapshot_at)[0]
        saved = bank.snapshot()
        bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
        bank.restore(saved)
        ordered = [event for event in ordered if event.ts >= snapshot_at]
    found += bank.advance(ordered, ordered[-1].ts + HOUR_MS)[0]
    return [each for each in found if each.opens]


def test_a_storm_of_every_night_is_never_told() -> None:
    assert told(heartbeats(6) + storms(range(6))) == []


def test_a_night_three_times_as_large_is_told() -> None:
    events = heartbeats(4) + storms(range(3)) + storms([3], devices=700)
    assert {each.series.value for each in told(events)} == {RETRY}


def test_the_same_messages_at_noon_are_told() -> None:
    events = heartbeats(4) + storms(range(3)) + storms([3], devices=300, at=12 * HOUR_MS)
    assert {each.series.value for each in told(events)} == {RETRY}


def test_another_message_in_the_hour_of_the_storm_is_told() -> None:
    broken = [msgspec.structs.replace(each, template="motor stall") for each in storms([3], devices=40, seed=5)]
    events = heartbeats(4) + storms(range(4)) + broken
    assert {each.series.value for each in told(events)} == {"motor stall"}


def test_a_restart_between_two_storms_forgets_none() -> None:
    events = heartbeats(4) + storms(range(4))
    assert told(events, snapshot_at=START + 2 * DAY_MS + HOUR_MS) == []


def by_day(days: int) -> list[Observation]:
    """Errors that people cause: most in the hours of the day, by devices that were all heard of at night."""
    chance = random.Random(7)
    return [
        msgspec.structs.replace(
            log(
                START + day * DAY_MS + hour * HOUR_MS + chance.randrange(HOUR_MS),
                device,
                message="door open",
                level="error",
            ),
            code="D1",
        )
        for day in range(days)
        for hour in range(24)
        for device in chance.sample(range(1, 1500), 12 if 8 <= hour < 23 else 3)
    ]


def at_night(days: int) -> list[Observation]:
    return [
        log(START + day * DAY_MS + 4 * HOUR_MS + device * 400, device, message="heartbeat ok", level="info")
        for day in range(days)
        for device in range(1, 1500)
    ]


def test_errors_of_the_day_are_no_surprise_although_all_devices_are_heard_of_at_night() -> None:
    assert told(at_night(3) + by_day(3)) == []


def warned(devices: int) -> list[Observation]:
    """Devices that warn of a code on the third day, which nobody has heard of before."""
    return [
        msgspec.structs.replace(
            log(START + 60 * HOUR_MS + number * MINUTE_MS, 2000 + number, message="latch moved"), code="W7"
        )
        for number in range(devices)
    ]


def test_few_devices_that_only_warn_are_told_where_that_is_beyond_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    events = heartbeats(3) + warned(6)
    assert {each.series.value for each in told(events)} == {"W7"}
    monkeypatch.setattr("detectors.bank.BEYOND_DOUBT", 100.0)
    assert told(events) == []
