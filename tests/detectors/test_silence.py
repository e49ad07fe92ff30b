"""Sources that fall silent while others go on: what is found and how soon, and which lulls are none."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sin
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.counts import FINE_MS
from detectors.silence import SilenceWatch
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.event import Observation
from qianshao.finding import Finding

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_764_518_400_000  # a Monday's midnight in Shanghai
NOON = START + 4 * DAY_MS + 12 * HOUR_MS
"""Friday."""
Alive = Callable[[int, str], bool]
"""(time, source as kind/line/channel) → whether its records come."""


def rhythm(ts: int) -> float:
    """About 0.2 at night and 1.6 in the day."""
    return 0.9 - 0.7 * sin(((ts - START) % DAY_MS / DAY_MS + 0.25) * 2 * pi)


def centre(
    days: float, *, seed: int = 1, small: float = 6.0, alive: Alive = lambda ts, source: True
) -> list[Observation]:
    """Records of one centre; `small` customers an hour come over wechat when it is neither night nor noon."""
    rng = Random(seed)
    sources = [("chat", "家居", "app", 30.0), ("chat", "到家", "app", 30.0), ("call", "家居", "hotline", 25.0)]
    sources += [("call", "到家", "hotline", 25.0), ("chat", "到家", "wechat", small)]
    sources += [("ticket", "家居", "", 12.0), ("ticket", "到家", "", 12.0)]
    sources += [("rating", "家居", "app", 8.0), ("device", "家居", "", 60.0), ("device", "数码", "", 40.0)]
    events = []
    for kind, line, channel, per_hour in sources:
        ts = START
        while ts < START + days * DAY_MS:
            ts += int(rng.expovariate(per_hour / HOUR_MS * 1.6)) + 1
            if rng.random() * 1.6 > rhythm(ts) or not alive(ts, f"{kind}/{line}/{channel}"):
                continue
            who = rng.getrandbits(60) + 1
            events.extend(
                Observation(
                    id=f"{kind}{line}{channel}{ts}-{turn}",
                    kind=kind,
                    ts=ts + turn * 2 * MINUTE_MS,
                    line=line,
                    channel=channel or None,
                    role="customer" if turn % 2 == 0 else "agent",
                    conversation=who if kind in ("chat", "call", "rating") else 0,
                    ticket=who if kind == "ticket" else 0,
                    device=who % 4_000 + 1 if kind == "device" else 0,
                )
                for turn in range(3 if kind in ("chat", "call") else 1)
            )
    return sorted(events, key=lambda event: (event.ts, event.id))


def watch() -> SilenceWatch:
    return SilenceWatch(ZONE, 0.2)


def told(events: list[Observation], *, until: int, target: SilenceWatch | None = None) -> list[Finding]:
    silence, bin_, found = target or watch(), START // FINE_MS, []
    for event in events:
        if event.ts >= until:
            break
        while bin_ < event.ts // FINE_MS:
            found += silence.close_bin(bin_, speaks=bin_ * FINE_MS >= START + DAY_MS // 2)
            bin_ += 1
        silence.see(event, bin_)
    while (bin_ + 1) * FINE_MS <= until:
        found += silence.close_bin(bin_, speaks=True)
        bin_ += 1
    return found


def silent_from(source: str, start: int, end: int) -> Alive:
    return lambda ts, each: not (each.endswith(source) or each.startswith(source)) or not start <= ts < end


@pytest.mark.parametrize("per_hour", [3.4, 6.0, 20.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_channel_of_five_an_hour_is_found_within_the_hour(per_hour: float, seed: int) -> None:
    events = centre(5, seed=seed, small=per_hour, alive=silent_from("wechat", NOON, NOON + 4 * HOUR_MS))
    found = [each for each in told(events, until=NOON + 66 * MINUTE_MS) if each.tick > NOON and not each.over]
    assert [each.dims for each in found] == [{"channel": "wechat"}] * len(found)
    assert found[0].tick <= NOON + HOUR_MS + 3 * MINUTE_MS + FINE_MS


@pytest.mark.parametrize("seed", [0, 2])
def test_a_channel_that_is_gone_for_three_quarters_of_an_hour_opens_before_it_is_back(seed: int) -> None:
    gone, back = NOON + 2 * MINUTE_MS, NOON + 51 * MINUTE_MS
    events = centre(4.6, seed=seed, small=16.0, alive=silent_from("wechat", gone, back))
    assert {"channel": "wechat"} in [each.dims for each in told(events, until=back) if each.opens]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_silence_of_two_hours_opens_and_ends_with_the_first_customers(seed: int) -> None:
    back = NOON + 150 * MINUTE_MS
    events = centre(5, seed=seed, small=12.0, alive=silent_from("wechat", NOON, back))
    later = [each for each in told(events, until=NOON + 5 * HOUR_MS) if each.tick > NOON]
    found = [each for each in later if each.dims == {"channel": "wechat"}]
    opened = [each for each in found if each.opens]
    assert opened[0].tick <= NOON + 100 * MINUTE_MS
    assert 0 < next(each.tick for each in found if each.over) - back <= 30 * MINUTE_MS


@pytest.mark.parametrize(
    ("source", "measure", "dims"),
    [
        ("ticket/家居", "tickets", {"line": "家居"}),
        ("device/家居", "devices", {"line": "家居"}),
        ("rating", "ratings", {}),
        ("ticket", "tickets", {}),
    ],
)
def test_any_kind_of_records_of_a_line_or_of_all_is_found(source: str, measure: str, dims: dict[str, str]) -> None:
    events = centre(5, alive=silent_from(source, NOON, NOON + 4 * HOUR_MS))
    found = [each for each in told(events, until=NOON + 2 * HOUR_MS + 5 * MINUTE_MS) if each.opens]
    assert (measure, dims) in [(each.series.measure, each.dims) for each in found]
    assert min(each.tick for each in found) > NOON + 40 * MINUTE_MS


def test_a_kind_that_comes_through_one_channel_is_told_as_that_channel() -> None:
    events = centre(5, alive=silent_from("hotline", NOON, NOON + 3 * HOUR_MS))
    found = [each for each in told(events, until=NOON + 2 * HOUR_MS) if each.opens]
    assert {str(each.series) for each in found} == {"contacts:|channel=hotline"}


@pytest.mark.parametrize("seed", range(4))
def test_ordinary_weeks_open_nothing_and_are_seldom_watched(seed: int) -> None:
    found = told(centre(14, seed=seed), until=START + 14 * DAY_MS)
    assert not any(each.opens for each in found)
    assert sum(not each.over for each in found) <= 20


def test_nights_weekends_and_holidays_of_a_channel_are_no_silence() -> None:
    def open_hours(ts: int, source: str) -> bool:
        day, hour = divmod((ts - START) // HOUR_MS, 24)
        return not source.endswith("wechat") or (day % 7 < 5 and 9 <= hour < 18)

    found = told(centre(14, small=15.0, alive=open_hours), until=START + 14 * DAY_MS)
    assert not any(each.opens for each in found)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_channel_that_falls_silent_on_the_first_weekend_opens(seed: int) -> None:
    saturday = NOON + DAY_MS
    events = centre(6, seed=seed, small=20.0, alive=silent_from("wechat", saturday, saturday + 4 * HOUR_MS))
    opened = [each for each in told(events, until=saturday + 5 * HOUR_MS) if each.opens]
    assert {str(each.series) for each in opened} == {"contacts:|channel=wechat"}
    assert opened[0].tick <= saturday + 75 * MINUTE_MS


@pytest.mark.parametrize("opens", [9, 24], ids=["half a day", "not at all"])
def test_a_channel_that_is_shut_on_weekends_is_no_silence_on_the_first_one(opens: int) -> None:
    def shut(ts: int, source: str) -> bool:
        day, hour = divmod((ts - START) // HOUR_MS, 24)
        return not source.endswith("wechat") or day % 7 < 5 or hour >= opens

    found = told(centre(7, small=20.0, alive=shut), until=START + 7 * DAY_MS)
    assert not any(each.opens for each in found)


def test_a_line_held_back_for_forty_minutes_opens_nothing() -> None:
    held = NOON + 40 * MINUTE_MS
    events = centre(5, alive=lambda ts, source: "/家居/" not in source or not NOON <= ts < held)
    assert not any(each.opens for each in told(events, until=NOON + 5 * HOUR_MS))


def test_the_day_after_a_day_of_many_tickets_is_no_silence() -> None:
    calm = centre(12)
    rush = [
        msgspec.structs.replace(event, id=f"{event.id}-{copy}", ticket=event.ticket + copy)
        for event in calm
        if event.kind == "ticket" and event.line == "到家" and 5 <= (event.ts - START) / DAY_MS < 5.9
        for copy in range(1, 20)
    ]
    findings = told(sorted(calm + rush, key=lambda event: (event.ts, event.id)), until=START + 12 * DAY_MS)
    assert [found for found in findings if found.opens] == []


def test_the_day_after_a_flood_of_one_channel_on_the_first_day_off_is_no_silence() -> None:
    calm = centre(7)
    flood = [
        msgspec.structs.replace(event, id=f"{event.id}-{copy}", conversation=event.conversation + copy)
        for event in calm
        if event.channel == "app" and event.kind == "chat" and 5.5 <= (event.ts - START) / DAY_MS < 5.8
        for copy in range(1, 12)
    ]
    findings = told(sorted(calm + flood, key=lambda event: (event.ts, event.id)), until=START + 7 * DAY_MS)
    assert [found for found in findings if found.opens] == []


def test_a_log_that_pauses_altogether_is_no_silence_of_a_source() -> None:
    events = centre(5, alive=lambda ts, source: not NOON <= ts < NOON + 3 * HOUR_MS)
    assert not any(each.opens for each in told(events, until=NOON + 4 * HOUR_MS))


def test_where_the_log_ends_no_source_is_silent() -> None:
    end = START + 4 * DAY_MS + 20 * HOUR_MS
    heartbeats = [
        Observation(id=f"beat{ts}", kind="device", ts=ts, line="家居", device=ts // 20_000)
        for ts in range(START, end, 20_000)
    ]
    events = sorted([*centre(5), *heartbeats], key=lambda event: (event.ts, event.id))
    events = [each for each in events if each.ts < end]
    assert not any(each.opens for each in told(events, until=end + 2 * HOUR_MS))


def test_a_channel_that_was_closed_for_good_is_ordinary_after_days() -> None:
    events = centre(14, small=20.0, alive=silent_from("wechat", NOON, START + 30 * DAY_MS))
    found = told(events, until=START + 14 * DAY_MS)
    assert any(each.opens for each in found)
    assert not any(each.opens for each in found if each.tick > NOON + 8 * DAY_MS)


def test_ever_new_channels_and_lines_stay_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.silence.MAX_REMEMBERED", 100)
    silence = watch()
    for number in range(2_000):
        event = Observation(
            id="", kind="chat", ts=START + number, customer=number + 1, line=f"l{number}", channel=f"c{number}"
        )
        silence.see(event, START // FINE_MS)
    state = silence.snapshot()
    assert len(state["lives"]) <= 64 + 96 + 5
    assert len(state["seen"]) <= 100
    assert len(state["of_channel"]) <= 256


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 30), st.integers(1, 2_500))
def test_a_restored_state_goes_on_as_if_uninterrupted(seed: int, cut: int) -> None:
    events = centre(1.5, seed=seed, alive=silent_from("wechat", START + 30 * HOUR_MS, NOON))
    whole, restored = watch(), watch()
    split = events[min(cut, len(events) - 1)].ts // FINE_MS * FINE_MS
    told([event for event in events if event.ts < split], until=split, target=whole)
    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(whole.snapshot())))
    later: dict[int, list[Observation]] = {}
    for event in events:
        if event.ts >= split:
            later.setdefault(event.ts // FINE_MS, []).append(event)
    outcome = []
    for each in (whole, restored):
        found = []
        for bin_ in range(split // FINE_MS, (START + 36 * HOUR_MS) // FINE_MS):
            for event in later.get(bin_, ()):
                each.see(event, bin_)
            found += each.close_bin(bin_, speaks=True)
        outcome.append((found, each.snapshot()))
    assert outcome[0] == outcome[1]
