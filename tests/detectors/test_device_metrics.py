"""Metrics of devices: what is strange, what is learnt, and that odd input and restarts are harmless."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.bank import Bank
from detectors.device_metrics import ENOUGH, MAX_METRICS, MAX_NAMES, DeviceMetrics
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000
Draw = Callable[[random.Random], dict[str, float]]


def healthy(chance: random.Random) -> dict[str, float]:
    return {"battery": chance.uniform(60, 100), "rssi": chance.gauss(-55, 6), "temp": chance.gauss(30, 3)}


def flat(chance: random.Random) -> dict[str, float]:
    return healthy(chance) | {"battery": chance.uniform(3, 15)}


def deaf(chance: random.Random) -> dict[str, float]:
    return healthy(chance) | {"rssi": chance.gauss(-97, 2)}


def other(chance: random.Random) -> dict[str, float]:
    """The ordinary values of another firmware: it counts in other units."""
    return {"battery": chance.uniform(3.2, 4.1), "rssi": chance.gauss(-55, 6), "temp": chance.gauss(303, 3)}


def always(metrics: dict[str, float]) -> Draw:
    return lambda chance: dict(metrics)


def reports(
    number: int,
    draw: Draw,
    *,
    start: int = START,
    every_ms: int = MINUTE_MS,
    first_device: int = 1,
    devices: int = 400,
    seed: int = 1,
    firmware: str = "1.0",
    model: str = "K1",
) -> list[Observation]:
    chance = random.Random(seed)
    return [
        Observation(
            id=f"{seed}-{first_device}-{start}-{index}",
            kind="device",
            ts=start + index * every_ms,
            line="家居",
            product="门锁",
            model=model,
            firmware=firmware,
            region=chance.choice(("华东", "华南", "华北")),
            device=first_device + index % devices,
            customer=first_device + index % devices,
            level="info",
            text="keepalive",
            template="keepalive",
            metrics=draw(chance),
        )
        for index in range(number)
    ]


def learnt(draw: Draw = healthy, number: int = 1_000) -> DeviceMetrics:
    metrics = DeviceMetrics()
    for observation in reports(number, draw):
        metrics.update(observation)
    return metrics


def bank() -> Bank:
    return Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))


def run(events: list[Observation], watcher: Bank | None = None, step: int = 10 * MINUTE_MS) -> list[Finding]:
    watcher = watcher or bank()
    found: list[Finding] = []
    for part in slabs(sorted(events, key=lambda event: (event.ts, event.id)), step):
        found.extend(watcher.advance(part, part[-1].ts // step * step + step)[0])
    return [finding for finding in found if finding.series.measure == "metric"]


def slabs(events: list[Observation], step: int) -> Iterator[list[Observation]]:
    part: list[Observation] = []
    for event in events:
        if part and event.ts // step != part[0].ts // step:
            yield part
            part = []
        part.append(event)
    yield part


@pytest.mark.parametrize(("draw", "name"), [(flat, "battery"), (deaf, "rssi")])
def test_a_vector_unlike_its_model_names_the_metric_that_deviates(draw: Draw, name: str) -> None:
    metrics = learnt()
    told = [metrics.update(each) for each in reports(30, draw, start=START + DAY_MS, first_device=9_000)]
    assert told.count(name) >= 20


def test_of_ordinary_vectors_about_one_in_a_hundred_is_strange() -> None:
    metrics = learnt()
    told = [metrics.update(each) for each in reports(3_000, healthy, start=START + DAY_MS, seed=2)]
    assert sum(map(bool, told)) / 3_000 < 0.03


def test_nothing_is_strange_before_enough_is_known() -> None:
    metrics = learnt(number=ENOUGH - 1)
    assert not metrics.update(reports(1, flat, start=START + DAY_MS)[0])


def test_a_constant_metric_is_never_strange_until_it_changes() -> None:
    metrics = learnt(lambda chance: {"version": 7.0})
    ordinary = reports(50, lambda chance: {"version": 7.0}, start=START + DAY_MS)
    assert not any(metrics.update(each) for each in ordinary)
    assert metrics.update(reports(1, lambda chance: {"version": 9.0}, start=START + 2 * DAY_MS)[0]) == "version"


def test_models_are_not_compared_with_each_other() -> None:
    metrics = learnt()
    for each in reports(500, other, model="K2"):
        metrics.update(each)
    late = reports(100, other, model="K2", start=START + DAY_MS, seed=3)
    assert sum(bool(metrics.update(each)) for each in late) <= 5


def test_what_has_become_ordinary_is_learnt_and_what_was_stays_ordinary() -> None:
    metrics = learnt()
    for each in reports(600, other, start=START + DAY_MS, seed=4):
        metrics.update(each)
    for draw in (other, healthy):
        later = reports(200, draw, start=START + 2 * DAY_MS, seed=5)
        assert sum(bool(metrics.update(each)) for each in later) <= 8


def test_a_batch_of_flat_batteries_is_found_and_told_in_words() -> None:
    batch = reports(24, flat, start=START + 4 * DAY_MS + HOUR_MS, first_device=9_000, firmware="1.1")
    found = run(reports(5 * 1_440, healthy) + batch)
    assert [finding for finding in found if finding.tick <= batch[0].ts] == []
    assert found
    assert {finding.series.value for finding in found} == {"battery"}
    last = found[-1]
    assert (last.witness, last.kind, last.opens) == ("devices", "device", True)
    assert last.dims["firmware"] == "1.1"
    name, usual, observed = last.keywords[0].replace("，现为", "").replace("通常 ", "").split()
    assert name == "battery"
    assert 75 < float(usual) < 85
    assert 3 < float(observed) < 15


def test_a_few_devices_with_strange_metrics_open_nothing_alone() -> None:
    batch = reports(12, flat, start=START + 4 * DAY_MS + HOUR_MS, first_device=9_000)
    found = run(reports(5 * 1_440, healthy) + batch)
    assert found
    assert not any(finding.opens for finding in found)


def test_ordinary_noise_and_a_nightly_storm_of_heartbeats_are_no_findings() -> None:
    storms = [
        event
        for day in range(5)
        for event in reports(
            300, healthy, start=START + day * DAY_MS + 3 * HOUR_MS, every_ms=6_000, first_device=3_000, seed=10 + day
        )
    ]
    assert run(reports(5 * 1_440, healthy) + storms) == []


def test_a_new_firmware_with_other_values_speaks_in_one_burst_and_is_then_learnt() -> None:
    change = START + 3 * DAY_MS
    found = run(
        reports(3 * 1_440, healthy) + reports(3 * 1_440, other, start=change, firmware="2.0", first_device=5_000)
    )
    assert found
    assert found[0].tick > change
    assert found[-1].tick < change + 6 * HOUR_MS


numbers = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), numbers, max_size=20), min_size=1, max_size=20))
def test_any_numbers_and_names_are_harmless(vectors: list[dict[str, float]]) -> None:
    metrics = DeviceMetrics()
    for index in range(ENOUGH + 20):
        vector = vectors[index % len(vectors)]
        for each in reports(1, always(vector), start=START + index * HOUR_MS):
            found = metrics.update(each)
            assert not found or (found in vector and not math.isnan(vector[found]))
            metrics.words(next(iter(vector), ""), [each])


def test_memory_is_bounded_however_many_models_and_names_come() -> None:
    metrics = DeviceMetrics(maximum_groups=5)
    said: set[str] = set()
    for index in range(MAX_NAMES + 6):
        name = f"m{index}"
        many = {f"{name}-{k}": 1.0 for k in range(50)}
        for each in reports(1, always(many), model=f"X{index}"):
            metrics.update(each)
        for each in reports(ENOUGH, always({name: 1.0}), model=f"Y{index}"):
            metrics.update(each)
        said.add(metrics.update(reports(1, always({name: 9.0}), start=START + DAY_MS, model=f"Y{index}")[0]))
    assert said == {"", *(f"m{index}" for index in range(MAX_NAMES))}
    state = metrics.snapshot()
    assert len(state["groups"]) == 5
    assert tuple(state["groups"][-1]["key"]) == ("门锁", f"Y{MAX_NAMES + 5}")
    assert all(len(group["names"]) <= MAX_METRICS for group in state["groups"])
    assert len(state["named"]) == MAX_NAMES


def test_a_group_does_not_speak_on_the_day_it_is_first_judged() -> None:
    metrics = learnt(number=ENOUGH)
    first = START + (ENOUGH - 1) * MINUTE_MS
    strange = reports(5, flat, start=first)
    assert not metrics.settled(strange, first + DAY_MS - 1)
    assert metrics.settled(strange, first + DAY_MS)
    assert not metrics.settled(reports(5, flat, start=first, model="never seen"), first + DAY_MS)


def test_a_model_just_launched_is_silent_on_its_first_day() -> None:
    launch = START + 4 * DAY_MS
    young = reports(ENOUGH + 20, healthy, start=launch, model="K9", first_device=7_000)
    batch = reports(24, flat, start=launch + 3 * HOUR_MS, model="K9", first_device=9_000)
    assert run(reports(5 * 1_440, healthy) + young + batch) == []


def test_names_that_are_not_sent_any_more_make_room() -> None:
    metrics = learnt(lambda chance: {f"old{k}": chance.random() for k in range(MAX_METRICS)})
    renamed = reports(3_000, lambda chance: {"new": chance.random()}, start=START + DAY_MS, every_ms=10 * MINUTE_MS)
    for each in renamed:
        metrics.update(each)
    assert metrics.update(reports(1, lambda chance: {"new": 50.0}, start=START + 40 * DAY_MS)[0]) == "new"


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 5_400), st.sampled_from((flat, other)))
def test_a_restored_state_goes_on_bit_for_bit(cut: int, change: Draw) -> None:
    events = reports(900, healthy) + reports(4_500, change, start=START + DAY_MS, every_ms=3 * SECOND_MS, seed=8)
    whole, first, second = DeviceMetrics(), DeviceMetrics(), DeviceMetrics()
    told = [whole.update(each) for each in events]
    before = [first.update(each) for each in events[:cut]]
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot()), strict=False))
    assert before + [second.update(each) for each in events[cut:]] == told
    assert msgspec.msgpack.encode(second.snapshot()) == msgspec.msgpack.encode(whole.snapshot())


def test_the_bank_goes_on_from_a_snapshot_and_does_not_mind_how_events_are_cut() -> None:
    batch = reports(24, flat, start=START + 3 * DAY_MS + 3 * HOUR_MS, first_device=9_000)
    events = sorted(reports(4 * 1_440, healthy) + batch, key=lambda event: (event.ts, event.id))
    middle = [event for event in events if event.ts < START + 3 * DAY_MS]
    watcher, resumed = bank(), bank()
    before = run(middle, watcher)
    resumed.restore(watcher.snapshot())
    whole = run(events)
    assert before + run(events[len(middle) :], resumed, step=HOUR_MS) == whole
    assert whole
