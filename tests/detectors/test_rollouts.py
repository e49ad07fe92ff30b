"""Versions being brought out, told from ordinary events: since when, how far, and whether they are a suspect."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.bank import Bank
from detectors.rollouts import Rollouts
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Suspect

START = 1_765_382_400_000
PUSHED = START + DAY_MS + 10 * HOUR_MS + 20 * MINUTE_MS


def stated(
    ts: int,
    device: int,
    firmware: str = "2.1.5",
    *,
    model: str = "L2",
    code: str = "",
    app: str = "",
    kind: str = "device",
) -> Observation:
    return Observation(
        id=f"{ts}-{device}",
        kind=kind,
        ts=ts,
        line="家居",
        product="门锁",
        model=model,
        firmware=firmware,
        dims={"app_version": app} if app else {},
        customer=device,
        device=device if kind == "device" else 0,
        level="error" if code else "info",
        code=code,
    )


def day_of(devices: int, start: int = START, hours: int = 34) -> list[Observation]:
    """Every device says once an hour which firmware it has."""
    return [
        stated(start + hour * HOUR_MS + device, device) for hour in range(hours) for device in range(1, devices + 1)
    ]


def seen(*events: list[Observation]) -> Rollouts:
    rollouts = Rollouts()
    for event in sorted((event for part in events for event in part), key=lambda event: (event.ts, event.id)):
        rollouts.see(event)
    return rollouts


def upgraded(
    devices: range, firmware: str = "2.2.0", every_ms: int = MINUTE_MS, start: int = PUSHED
) -> list[Observation]:
    return [stated(start + place * every_ms, device, firmware) for place, device in enumerate(devices)]


def test_a_roll_out_is_named_with_its_start_and_its_reach() -> None:
    pushed = upgraded(range(1, 13))
    found = seen(day_of(100), pushed).suspect({"product": "门锁", "model": "L2", "firmware": "2.2.0"}, pushed, PUSHED)
    assert found == Suspect(dimension="firmware", value="2.2.0", since=PUSHED, share=0.12, among="L2")


def test_an_old_version_is_no_suspect() -> None:
    rollouts = seen(day_of(100), upgraded(range(1, 13)))
    evidence = [stated(PUSHED, device) for device in range(20, 40)]
    assert rollouts.suspect({"firmware": "2.1.5"}, evidence, PUSHED + HOUR_MS) is None


def test_evidence_that_carries_a_version_more_often_than_everybody_names_it() -> None:
    rollouts = seen(day_of(100), upgraded(range(1, 31)))
    hit = [stated(PUSHED + HOUR_MS, device, "2.2.0") for device in range(1, 9)]
    spared = [stated(PUSHED + HOUR_MS, device) for device in range(50, 53)]
    found = rollouts.suspect({"product": "门锁"}, hit + spared, PUSHED + HOUR_MS)
    assert found is not None
    assert (found.value, found.share) == ("2.2.0", 0.3)


def test_a_version_that_nearly_all_have_by_now_explains_nothing() -> None:
    rollouts = seen(day_of(100), upgraded(range(1, 96)))
    evidence = [stated(PUSHED + 3 * HOUR_MS, device, "2.2.0") for device in range(1, 9)]
    assert rollouts.suspect({"product": "门锁"}, evidence, PUSHED + 3 * HOUR_MS) is None


def test_a_roll_out_of_a_known_version_counts_who_changed_to_it() -> None:
    both = [
        stated(START + hour * HOUR_MS + 500 + device, 500 + device, "2.2.0")
        for hour in range(30)
        for device in range(9)
    ]
    pushed = upgraded(range(1, 41))
    found = seen(day_of(100), both, pushed).suspect({"firmware": "2.2.0"}, pushed, PUSHED + HOUR_MS)
    assert found is not None
    assert found.since == PUSHED


def test_a_trial_before_a_pause_is_not_when_it_began() -> None:
    trial = upgraded(range(90, 92), start=START + 14 * HOUR_MS)
    pushed = upgraded(range(1, 41))
    found = seen(day_of(80), trial, pushed).suspect({"firmware": "2.2.0"}, pushed, PUSHED + HOUR_MS)
    assert found is not None
    assert found.since == PUSHED


def test_who_has_two_devices_of_one_model_rolls_nothing_out() -> None:
    rng = random.Random(3)
    both = [
        stated(START + n * MINUTE_MS, 1 + n % 40, rng.choice(("2.1.5", "2.2.0")), kind="chat") for n in range(2_000)
    ]
    for event in both:
        event.device = 0
    late = both[-200:]
    assert seen(both).suspect({"firmware": "2.2.0"}, late, late[-1].ts) is None


def test_versions_of_an_app_are_followed_among_everybody() -> None:
    before = [stated(START + n * MINUTE_MS, n, app="8.4.2", kind="chat") for n in range(1, 1_200)]
    after = [stated(PUSHED + n * MINUTE_MS, 2_000 + n, app="8.5.0", kind="chat") for n in range(60)]
    found = seen(before, after).suspect({"app_version": "8.5.0"}, after, PUSHED + HOUR_MS)
    assert found is not None
    assert (found.dimension, found.since, found.among) == ("app_version", PUSHED, "")


def test_in_the_first_hours_no_version_is_new() -> None:
    early = upgraded(range(1, 30), start=START + HOUR_MS)
    assert seen(early, day_of(0)).suspect({"firmware": "2.2.0"}, early, START + 2 * HOUR_MS) is None


def test_what_was_brought_out_days_ago_is_no_answer_to_why_now() -> None:
    rollouts = seen(day_of(100), upgraded(range(1, 41)), day_of(5, START + 5 * DAY_MS, 2))
    late = PUSHED + 4 * DAY_MS
    rollouts.forget(late)
    assert rollouts.suspect({"firmware": "2.2.0"}, upgraded(range(1, 9), start=late), late) is None


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in (("MAX_PEOPLE", 50), ("MAX_GROUPS", 10), ("MAX_VERSIONS", 5)):
        monkeypatch.setattr(f"detectors.rollouts.{name}", bound)
    rng = random.Random(1)
    rollouts = Rollouts()
    for n in range(3_000):
        event = stated(
            START + n * 1_000, rng.randrange(1, 500), f"{rng.randrange(40)}.0", model=f"M{rng.randrange(30)}"
        )
        rollouts.see(event)
    state = rollouts.snapshot()
    assert len(state["people"]) <= 50
    assert len(state["groups"]) <= 10
    assert max(len(versions) for _, versions in state["groups"]) <= 5
    assert all(people >= 0 for _, versions in state["groups"] for _, _, _, people, _ in versions)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 600))
def test_a_restored_state_goes_on_as_if_uninterrupted(seed: int, cut: int) -> None:
    rng = random.Random(seed)
    events = [
        stated(
            START + n * 10 * MINUTE_MS, rng.randrange(1, 40), f"1.{rng.randrange(n // 150 + 1)}", model=rng.choice("AB")
        )
        for n in range(600)
    ]
    whole, restored = Rollouts(), Rollouts()
    for event in events[:cut]:
        whole.see(event)
    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(whole.snapshot())))
    for event in events[cut:]:
        whole.see(event)
        restored.see(event)
    assert restored.snapshot() == whole.snapshot()
    last = events[-1].ts
    for value in ("1.0", "1.1", "1.2", "1.3"):
        assert restored.suspect({"firmware": value}, events[-40:], last) == whole.suspect(
            {"firmware": value}, events[-40:], last
        )


def bank() -> Bank:
    return Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))


def test_a_fine_roll_out_opens_nothing() -> None:
    pushed = upgraded(range(1, 90), every_ms=2 * MINUTE_MS)
    events = sorted(day_of(100, hours=40) + pushed, key=lambda event: (event.ts, event.id))
    assert bank().advance(events, START + 42 * HOUR_MS)[0] == []


def test_a_fault_of_the_new_firmware_names_it_as_the_suspect() -> None:
    pushed = upgraded(range(1, 21))
    broken = [stated(event.ts + 90 * SECOND_MS, event.device, "2.2.0", code="E207") for event in pushed]
    events = sorted(day_of(100, hours=40) + pushed + broken, key=lambda event: (event.ts, event.id))
    found = [each for each in bank().advance(events, START + 42 * HOUR_MS)[0] if each.opens]
    assert found
    assert found[0].suspect is not None
    assert (found[0].suspect.value, found[0].suspect.since, found[0].suspect.among) == ("2.2.0", PUSHED, "L2")
