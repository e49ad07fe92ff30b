"""The generator of worlds: reproducible, true to its truth, dirty on purpose."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.sources.world import World, world_lines, write_world
from flows.sources.world.decoys import DECOYS
from flows.sources.world.dirt import FAULTS
from flows.sources.world.incidents import KIND, KINDS, TAIL_MS, Case, Incidents
from flows.sources.world.setting import Plan, Setting

HOUR = 3_600_000
UNREADABLE = {
    "malformed",
    "truncated",
    "not_an_object",
    "wrong_type",
    "unknown_kind",
    "missing_id",
    "null_ts",
    "no_offset",
    "invalid_utf8",
    "nul",
}
STRINGS = (
    "channel",
    "line",
    "product",
    "model",
    "firmware",
    "region",
    "text",
    "conversation",
    "ticket",
    "type",
    "status",
)


def milliseconds(ts: object) -> int:
    if isinstance(ts, int) and not isinstance(ts, bool):
        return ts
    assert isinstance(ts, str)
    moment = datetime.fromisoformat(ts)
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1000)


def read(data: bytes) -> dict[str, Any]:
    """Read one line as CONTRACTS §1 wants it, or raise."""
    event = json.loads(data.decode("utf-8"))
    assert isinstance(event, dict)
    assert isinstance(event["id"], str)
    assert 1 <= len(event["id"]) <= 128
    assert event["kind"] in ("chat", "call", "ticket", "device", "rating")
    milliseconds(event["ts"])
    for name in STRINGS:
        assert isinstance(event.get(name, ""), str)
    for name in ("dims", "customer"):
        assert isinstance(event.get(name, {}), dict)
        assert all(isinstance(v, str) for pair in event.get(name, {}).items() for v in pair)
    match event["kind"]:
        case "chat" | "call":
            assert event["role"] in ("customer", "agent", "bot")
            assert event["text"]
            assert event["conversation"]
            assert 0 <= event.get("confidence", 1) <= 1
        case "ticket":
            assert event["ticket"]
            assert event["type"]
            assert event["status"]
        case "device":
            assert event["device"]
            assert event["level"] in ("debug", "info", "warn", "error", "fatal")
            assert event["message"]
            assert all(isinstance(value, int | float) for value in event.get("metrics", {}).values())
        case "rating":
            assert event["score"] in (1, 2, 3, 4, 5)
            assert event["conversation"]
    return event


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("world")
    write_world(5, 72, 0.12, out)
    return out


@pytest.fixture(scope="module")
def events(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in gzip.decompress((folder / "events.jsonl.gz").read_bytes()).split(b"\n"):
        try:
            event = read(line)
        except (ValueError, AssertionError, KeyError, TypeError):
            continue
        found[event["id"]] = event
    return found


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "truth.json").read_bytes())
    return loaded


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_world(seed, 13, 0.1, tmp_path / name)
    for file in ("events.jsonl.gz", "truth.json", "calendar.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "events.jsonl.gz").read_bytes() != (tmp_path / "c" / "events.jsonl.gz").read_bytes()


def test_every_true_event_stands_in_the_file_between_start_and_the_tail_after_the_end(
    truth: dict[str, Any], events: dict[str, dict[str, Any]]
) -> None:
    assert len(truth["incidents"]) >= 5
    for incident in truth["incidents"]:
        start, end = milliseconds(incident["start"]), milliseconds(incident["end"])
        assert start < end
        assert incident["events"]
        for identifier in incident["events"]:
            assert start <= milliseconds(events[identifier]["ts"]) <= end + TAIL_MS


def test_the_truth_counts_lines_and_distinct_customers_and_gives_each_event_to_one_incident(
    truth: dict[str, Any], folder: Path
) -> None:
    assert truth["events"] == gzip.decompress((folder / "events.jsonl.gz").read_bytes()).count(b"\n")
    seen: Counter[str] = Counter()
    for incident in truth["incidents"]:
        seen.update(incident["events"])
        people = {truth["event_customers"][identifier] for identifier in incident["events"]}
        assert incident["customers"] == len(people) >= 5
    assert set(seen.values()) == {1}
    assert set(seen) == set(truth["event_customers"])


def test_true_dimensions_agree_with_what_the_events_say(
    truth: dict[str, Any], events: dict[str, dict[str, Any]]
) -> None:
    for incident in truth["incidents"]:
        for name, value in incident["dims"].items():
            if incident["kind"] == "channel_silent":
                assert {events[i].get("channel") for i in incident["events"]} - {value}
                continue
            said = [events[i].get(name) or events[i].get("dims", {}).get(name) for i in incident["events"]]
            assert {other for other in said if other is not None} == {value}


def test_the_first_fifth_and_the_first_six_hours_are_without_incident(truth: dict[str, Any]) -> None:
    begin = milliseconds("2026-03-02T00:00:00+08:00")
    assert min(milliseconds(i["start"]) for i in truth["incidents"]) >= begin + 72 * HOUR * 0.2


@pytest.mark.parametrize("hours", [0.05, 3, 7.5])
def test_a_short_world_has_no_incident(hours: float, tmp_path: Path) -> None:
    summary = write_world(1, hours, 0.03, tmp_path)
    assert summary.lines > 0
    assert summary.incidents == []


def test_a_world_of_half_a_day_has_a_few_incidents(tmp_path: Path) -> None:
    assert len(write_world(1, 12, 0.05, tmp_path).incidents) == 3


@pytest.mark.parametrize(("hours", "rate"), [(0, 1), (1, 0), (-3, 1), (float("nan"), 1)])
def test_a_world_without_events_is_refused(hours: float, rate: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both must be above 0"):
        write_world(1, hours, rate, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    write_world(1, 12, 0.3, tmp_path, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 2


def test_every_kind_of_incident_and_of_decoy_occurs_over_a_handful_of_seeds() -> None:
    kinds: set[str] = set()
    decoys: set[str] = set()
    for seed in range(2):
        plan = World(seed, 336, 0.02).plan
        kinds |= {cause.kind for cause in plan.causes}
        decoys |= {kind for kind, _, _ in plan.decoys}
    assert kinds == set(KIND)
    assert decoys == set(DECOYS)


def test_a_fortnight_has_some_twenty_six_incidents_of_many_sizes() -> None:
    plan = World(3, 336, 0.3).plan
    sizes = sorted(len(set(cause.customers)) for cause in plan.causes)
    assert len(sizes) == 26
    assert sizes[0] <= 12
    assert sizes[-1] >= 150
    assert all(5 <= size <= 840 for size in sizes)
    assert all(len(set(cause.customers)) <= 12 for cause in plan.causes if cause.severe)


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS))
@settings(max_examples=15, deadline=None)
def test_any_incident_at_any_size_keeps_to_its_tail_and_its_customers(seed: int, kind: Any) -> None:
    start = milliseconds("2026-03-02T00:00:00+08:00")
    setting = Setting(seed, start, start + 96 * HOUR, 0.02)
    plan = Plan()
    stage = Incidents(setting, plan)
    rng = Random(seed)
    begin = start + rng.randint(6, 40) * HOUR
    size = rng.randint(kind.smallest, min(60, kind.largest)) if kind.smallest < 60 else 60
    assert stage.play(rng, Case(kind, begin, begin + int(kind.hours[0] * HOUR), size))
    (cause,) = plan.causes
    assert 1 <= len(set(cause.customers)) <= size
    own = set(cause.events)
    assert len(own) == len(cause.events) == len(cause.customers)
    for index in range(setting.timeline.slices):
        for record in setting.timeline.take(index):
            event = read(record.data)
            if event["id"] in own:
                assert begin <= milliseconds(event["ts"]) <= cause.end + TAIL_MS


def test_good_lines_decode_by_the_contract_and_damaged_ones_are_what_they_say() -> None:
    faults: Counter[str] = Counter()
    seen: set[str] = set()
    good: set[str] = set()
    for line in world_lines(11, 14, 1.0):
        faults[line.fault] += 1
        if not line.fault:
            event = read(line.data)
            assert event["id"] not in good
            good.add(event["id"])
        elif line.fault == "blank":
            assert not line.data.strip()
        elif line.fault in UNREADABLE:
            with pytest.raises((ValueError, AssertionError, KeyError, TypeError)):
                read(line.data)
        elif line.fault == "duplicate":
            assert read(line.data)["id"] in good
        else:
            event = read(line.data)
            assert event["id"] not in seen
            seen.add(event["id"])
            if line.fault == "ancient_ts":
                assert milliseconds(event["ts"]) < milliseconds("2000-01-01T00:00:00Z")
            elif line.fault == "future_ts":
                assert milliseconds(event["ts"]) > milliseconds("2100-01-01T00:00:00Z") - 1
            elif line.fault == "overlong":
                assert max(len(event.get("text", "")), len(event.get("message", ""))) > 20_000
        assert b"\n" not in line.data
    assert set(faults) == {name for name, _ in FAULTS} | {""}
    assert 0.003 < 1 - faults[""] / faults.total() < 0.01


def conversations(events: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events.values():
        if event["kind"] in ("chat", "call"):
            found[event["conversation"]].append(event)
    return found


def test_tickets_follow_their_conversation_after_five_to_a_hundred_and_twenty_minutes(
    events: dict[str, dict[str, Any]],
) -> None:
    ends = {name: max(milliseconds(e["ts"]) for e in turns) for name, turns in conversations(events).items()}
    made: dict[str, int] = {}
    for event in events.values():
        if event["kind"] == "ticket" and event.get("conversation") in ends:
            ts = milliseconds(event["ts"]) - ends[event["conversation"]]
            made[event["ticket"]] = min(ts, made.get(event["ticket"], ts))
    delays = list(made.values())
    assert len(delays) > 300
    # A copy with a wrong clock may stretch a conversation; hardly any ticket is concerned.
    assert sum(300_000 <= delay <= 7_290_000 for delay in delays) > 0.98 * len(delays)


def test_some_catch_all_labels_are_corrected_later(events: dict[str, dict[str, Any]]) -> None:
    labels: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in events.values():
        if event["kind"] == "ticket":
            labels[event["ticket"]].append((milliseconds(event["ts"]), event["type"]))
    changed = [sorted(said) for said in labels.values() if len({label for _, label in said}) > 1]
    assert 0.02 < len(changed) / len(labels) < 0.2
    assert sum(said[0][1] == "咨询" for said in changed) > len(changed) / 2


def test_labels_are_mostly_the_catch_all_and_some_texts_are_missing(events: dict[str, dict[str, Any]]) -> None:
    tickets = [event for event in events.values() if event["kind"] == "ticket"]
    labels = Counter(ticket["type"] for ticket in tickets)
    assert 0.3 < labels["咨询"] / len(tickets) < 0.6
    assert len(labels) > 10
    assert 0.05 < sum("text" not in ticket for ticket in tickets) / len(tickets) < 0.4


def test_contacts_often_miss_dimensions_and_people_turn_up_under_several_kinds_of_identifier(
    events: dict[str, dict[str, Any]],
) -> None:
    contacts = [event for event in events.values() if event["kind"] in ("chat", "call")]
    for name, least in (("line", 0.01), ("product", 0.04), ("region", 0.04)):
        assert least < sum(name not in event for event in contacts) / len(contacts) < 0.2
    used = Counter(name for event in contacts for name in event.get("customer", {}))
    assert set(used) == {"phone", "account", "openid", "device"}
    linked: dict[str, set[str]] = defaultdict(set)
    for event in contacts:
        if len(event.get("customer", {})) > 1:
            linked["+".join(sorted(event["customer"]))].add(event["conversation"])
    assert len(linked) >= 5


def test_thousands_of_customers_messages_are_mostly_distinct(events: dict[str, dict[str, Any]]) -> None:
    texts = [e["text"] for e in events.values() if e.get("role") == "customer" and len(e["text"]) > 8]
    assert len(texts) > 4_000
    assert len(set(texts)) > 0.8 * len(texts)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("firmware_offline", ("掉线", "离线", "连不上")),
        ("double_charge", ("扣了两", "扣了我", "多扣", "重复扣", "两笔", "双份", "两份", "付重", "多收", "对不上")),
        ("delivery_stuck", ("不动", "没更新", "没送")),
        ("login_broken", ("登不上", "登录失败", "闪退")),
        ("rotten_batch", ("发霉", "烂", "馊", "臭了", "长毛", "一股味", "坏的")),
        ("refund_missing", ("没到账", "钱呢", "没收到")),
    ],
)
def test_the_words_of_an_incident_occur_on_ordinary_days_too(
    kind: str, words: tuple[str, ...], events: dict[str, dict[str, Any]], truth: dict[str, Any]
) -> None:
    caused = set(truth["event_customers"])
    ordinary = [e for e in events.values() if e["id"] not in caused and e.get("role") == "customer"]
    assert sum(any(word in event["text"] for word in words) for event in ordinary) >= 5, kind


def test_two_of_five_affected_customers_do_not_name_the_fault() -> None:
    start = milliseconds("2026-03-02T00:00:00+08:00")
    setting = Setting(1, start, start + 48 * HOUR, 0.02)
    plan = Plan()
    kind = KIND["double_charge"]
    Incidents(setting, plan).play(Random(1), Case(kind, start + 9 * HOUR, start + 13 * HOUR, 250))
    fault = ("扣", "两", "双份", "付重", "账", "少了", "多收", "退")
    said: dict[str, str] = defaultdict(str)
    for index in range(setting.timeline.slices):
        for record in setting.timeline.take(index):
            event = read(record.data)
            if event.get("role") == "customer" and event["kind"] == "chat":
                said[event["conversation"]] += event["text"]
    silent = sum(not any(word in text for word in fault) for text in said.values()) / len(said)
    assert 0.22 < silent < 0.5


def arrivals(seed: int, hours: float, rate: float) -> Iterator[int]:
    for line in world_lines(seed, hours, rate):
        if not line.fault:
            yield milliseconds(json.loads(line.data)["ts"])


def test_lines_are_out_of_order_by_minutes_and_some_come_hours_late() -> None:
    front, disorder = 0, []
    for ts in arrivals(4, 24, 0.2):
        front = max(front, ts)
        disorder.append(front - ts)
    assert sum(lag > 0 for lag in disorder) / len(disorder) > 0.15
    assert 0.01 < sum(60_000 < lag < 300_000 for lag in disorder) / len(disorder) < 0.1
    assert 0.0005 < sum(lag > 600_000 for lag in disorder) / len(disorder) < 0.03


def test_traffic_has_nights_and_a_promotion_day_stands_in_the_calendar(folder: Path, events: dict[str, Any]) -> None:
    local = Counter((milliseconds(e["ts"]) // HOUR + 8) % 24 for e in events.values() if e["kind"] == "chat")
    assert sum(local[hour] for hour in range(1, 5)) * 4 < sum(local[hour] for hour in range(17, 21))
    header, *rows = (folder / "calendar.csv").read_text(encoding="utf-8").splitlines()
    assert header == "date,name,line,expected_multiplier"
    assert rows
    date, name, line, factor = rows[0].split(",")
    assert date.startswith("2026-03-0")
    assert name
    assert line
    assert 2 <= float(factor) <= 3


def test_a_silent_channel_carries_no_new_conversation() -> None:
    start = milliseconds("2026-03-02T00:00:00+08:00")

    def planner(setting: Setting) -> Plan:
        plan = Plan()
        stage = Incidents(setting, plan)
        stage.play(Random(3), Case(KIND["channel_silent"], start + 10 * HOUR, start + 13 * HOUR, 10))
        return plan

    world = World(3, 16, 0.5, planner=planner)
    (cause,) = world.plan.causes
    began: dict[str, int] = {}
    channel = {}
    for line in world.lines():
        if not line.fault:
            event = json.loads(line.data)
            if event["kind"] in ("chat", "call"):
                ts = milliseconds(event["ts"])
                began[event["conversation"]] = min(ts, began.get(event["conversation"], ts))
                channel[event["conversation"]] = event["channel"]
    silent = cause.dims["channel"]
    inside = [c for c, ts in began.items() if channel[c] == silent and cause.start <= ts < cause.end]
    before = [c for c, ts in began.items() if channel[c] == silent and cause.start - 3 * HOUR <= ts < cause.start]
    assert inside == []
    assert len(before) > 20


def test_one_angry_customer_writes_eighty_messages_and_stays_out_of_the_truth(
    events: dict[str, dict[str, Any]], truth: dict[str, Any]
) -> None:
    talkative = [name for name, turns in conversations(events).items() if len(turns) >= 80]
    assert len(talkative) >= 2
    assert not {e["id"] for name in talkative for e in conversations(events)[name]} & set(truth["event_customers"])
