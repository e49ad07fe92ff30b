"""Every clause of the scoring contract, each on a case small enough to check by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.app.scoring import (
    Record,
    Score,
    SpokenSignal,
    Truth,
    TruthIncident,
    judge_dims,
    read_changes,
    read_truth,
    score,
    score_records,
)
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, to_rfc3339
from qianshao.errors import InputError
from qianshao.incident import About, IncidentChange, Signal

ZONE = ZoneInfo("Asia/Shanghai")
T0 = 1_765_382_400_000
HEX = "0123456789abcdef"


def planted(
    name: str, prefix: str, *, events: int = 6, severe: bool = False, start: int = 0, **dims: str
) -> TruthIncident:
    return TruthIncident(
        incident=name,
        kind="outage",
        start=to_rfc3339(T0 + start, ZONE),
        end=to_rfc3339(T0 + start + 2 * HOUR_MS, ZONE),
        severe=severe,
        dims=dict(dims),
        events=[f"{prefix}{number}" for number in range(events)],
    )


A = planted("A", "a", severe=True, product="门锁", firmware="2.2.0")
B = planted("B", "b", product="钱包")
TRUTH = Truth([A, B])
TIMES = {f"{prefix}{n}": T0 + n * MINUTE_MS for prefix in "ab" for n in range(6)} | {"end": T0 + DAY_MS}
CUSTOMERS = {f"{prefix}{n}": f"{prefix}-customer-{n // 2}" for prefix in "ab" for n in range(6)}


def record(
    incident: str,
    evidence: str,
    minute: float,
    *,
    version: int = 1,
    opened: float | None = None,
    watching: bool = False,
    merged_into: str | None = None,
    dims: dict[str, str | list[str]] | None = None,
) -> Record:
    at = T0 + int(minute * MINUTE_MS)
    opened_at = None if watching else at if opened is None else T0 + int(opened * MINUTE_MS)
    return Record(
        incident=incident,
        version=version,
        at=at,
        opened_at=opened_at,
        evidence=evidence.split(),
        dims=dims or {},
        merged_into=merged_into,
    )


def scored(*records: Record, truth: Truth = TRUTH) -> Score:
    return score_records(records, truth, CUSTOMERS, TIMES)


def verdicts(result: Score) -> dict[str, str]:
    return {row.incident: row.verdict for row in result.report_rows}


def test_half_of_the_evidence_is_enough_and_less_is_not() -> None:
    result = scored(record("half", "a0 a1 x y", 5), record("less", "b0 x y", 5))
    assert verdicts(result) == {"half": "detection", "less": "false"}
    assert (result.precision, result.recall, result.severe_recall) == (0.5, 0.5, 1.0)


def test_half_must_belong_to_one_truth_incident_not_to_two_together() -> None:
    assert verdicts(scored(record("mixed", "a0 b0 x", 5))) == {"mixed": "false"}


def test_an_incident_that_was_only_watched_is_no_report() -> None:
    result = scored(record("w", "a0 a1", 3, watching=True))
    assert result.reports == 0
    assert result.precision is None
    assert result.recall == 0.0


def test_evidence_of_the_watch_does_not_count_but_that_of_the_first_opening_record_does() -> None:
    result = scored(record("i", "a0 a1", 1, watching=True), record("i", "x y z a0", 4, version=2))
    assert verdicts(result) == {"i": "false"}


def test_a_report_that_becomes_true_later_counts_from_that_version() -> None:
    result = scored(
        record("i", "x y z a0", 4),
        record("i", "x a0 a1 a2", 9, version=2, opened=4),
        record("i", "x y z", 12, version=3, opened=4),
    )
    assert verdicts(result) == {"i": "detection"}
    assert result.truth_rows[0].detected_at == T0 + 9 * MINUTE_MS
    assert result.delay_minutes_p50 == 9.0


def test_the_report_that_became_true_first_detects_even_if_another_opened_before_it() -> None:
    result = scored(
        record("early-but-false", "x y z a0", 1),
        record("early-but-false", "a0 a1", 8, version=2, opened=1),
        record("second", "a1 a2", 5),
    )
    assert verdicts(result) == {"second": "detection", "early-but-false": "duplicate"}


def test_a_duplicate_counts_against_precision_but_not_for_recall() -> None:
    result = scored(record("one", "a0 a1", 5), record("two", "a2 a3", 6))
    assert (result.detected, result.reports, result.duplicate_reports) == (1, 2, 1)
    assert (result.precision, result.recall) == (0.5, 0.5)
    assert result.truth_rows[0].duplicates == 1


def test_a_duplicate_merged_into_the_detecting_report_within_an_hour_is_forgiven() -> None:
    result = scored(
        record("one", "a0 a1", 5),
        record("two", "a2 a3", 6),
        record("two", "a2 a3", 66, version=2, opened=6, merged_into="one"),
    )
    assert verdicts(result) == {"one": "detection", "two": "merged"}
    assert (result.precision, result.reports, result.duplicate_reports, result.merged_reports) == (1.0, 1, 0, 1)


@pytest.mark.parametrize(("minute", "parent"), [(66.5, "one"), (20, "elsewhere")])
def test_a_duplicate_merged_too_late_or_into_another_stays_a_duplicate(minute: float, parent: str) -> None:
    result = scored(
        record("one", "a0 a1", 5),
        record("two", "a2 a3", 6),
        record("two", "a2 a3", minute, version=2, opened=6, merged_into=parent),
    )
    assert verdicts(result)["two"] == "duplicate"
    assert result.precision == 0.5


def test_a_false_report_stays_false_when_it_is_merged() -> None:
    result = scored(
        record("one", "a0 a1", 5),
        record("false", "x y", 6),
        record("false", "x y", 9, version=2, opened=6, merged_into="one"),
    )
    assert verdicts(result)["false"] == "false"


def silence(kind: str = "silence", *, events: int = 0, **dims: str) -> Truth:
    return Truth(
        [
            TruthIncident(
                incident="S",
                kind=kind,
                start=to_rfc3339(T0, ZONE),
                end=to_rfc3339(T0 + HOUR_MS, ZONE),
                severe=True,
                dims={"channel": "wechat", **dims},
                events=[f"a{number}" for number in range(events)],
            )
        ]
    )


def quiet(channel: str, kind: str, window_end_minute: int) -> Record:
    return Record(
        incident="q",
        version=1,
        at=T0 + 20 * MINUTE_MS,
        opened_at=T0 + 20 * MINUTE_MS,
        evidence=[],
        dims={"channel": channel},
        signals=(SpokenSignal(kind, T0 + window_end_minute * MINUTE_MS),),
    )


@pytest.mark.parametrize("kind", ["silence", "drop"])
def test_a_silent_channel_is_matched_by_its_channel_and_a_signal_inside_it(kind: str) -> None:
    result = scored(quiet("wechat", kind, 20), truth=silence())
    assert verdicts(result) == {"q": "detection"}
    assert (result.delay_minutes_p50, result.customers_seen_p50) == (20.0, 0.0)
    assert result.dims_exact == 1.0


@pytest.mark.parametrize(
    ("channel", "kind", "minute"),
    [("app", "silence", 20), ("wechat", "rise", 20), ("wechat", "silence", -1), ("wechat", "drop", 61)],
)
def test_a_silent_channel_is_not_matched_by_another_channel_signal_or_time(
    channel: str, kind: str, minute: int
) -> None:
    assert verdicts(scored(quiet(channel, kind, minute), truth=silence())) == {"q": "false"}


def test_what_only_a_channel_names_is_its_silence_whatever_it_is_called_and_whoever_asks_elsewhere() -> None:
    assert verdicts(scored(quiet("wechat", "drop", 20), truth=silence("line_dead", events=3))) == {"q": "detection"}


def test_a_drop_in_the_channel_of_an_outage_that_a_product_names_is_no_match() -> None:
    outage = silence("outage", events=3, product="门锁")
    assert verdicts(scored(quiet("wechat", "drop", 20), truth=outage)) == {"q": "false"}


def test_empty_evidence_matches_nothing() -> None:
    assert verdicts(scored(record("i", "", 5))) == {"i": "false"}


def test_customers_seen_are_distinct_customers_of_the_truths_events_up_to_the_detection() -> None:
    # by minute 3 four events of A have come, from two customers; B's and unlabelled events do not count
    result = scored(record("i", "a0 x", 3))
    assert result.customers_seen_p50 == 2.0


def test_truth_events_that_were_never_counted_are_not_seen() -> None:
    times = {event: ts for event, ts in TIMES.items() if event not in ("a0", "a1")}
    assert score_records([record("i", "a2", 3)], TRUTH, CUSTOMERS, times).customers_seen_p50 == 1.0


def test_customers_of_the_truth_file_go_before_those_of_the_events() -> None:
    truth = Truth([A, B], event_customers={f"a{n}": f"person-{n}" for n in range(6)})
    assert scored(record("i", "a0 x", 3), truth=truth).customers_seen_p50 == 4.0


def test_events_of_nobody_are_no_customer() -> None:
    truth = Truth([A, B], event_customers={"a0": "", "a1": "", "a2": "person"})
    assert scored(record("i", "a0 x", 3), truth=truth).customers_seen_p50 == 1.0


def test_delay_medians_and_p90_are_over_detected_incidents_only() -> None:
    truth = Truth([planted(str(n), f"{HEX[n]}-") for n in range(11)] + [planted("missed", "m")])
    result = scored(*(record(f"r{n}", f"{HEX[n]}-0", 10 * n) for n in range(11)), truth=truth)
    assert (result.delay_minutes_p50, result.delay_minutes_p90) == (50.0, 90.0)
    assert result.recall == pytest.approx(11 / 12)


def test_false_reports_are_given_per_day_of_the_log() -> None:
    result = scored(record("x", "x", 3), record("y", "y", 4))
    assert (result.false_reports, result.false_reports_per_day) == (2, 2.0)


def test_dims_are_judged_on_the_record_that_stands_thirty_minutes_after_the_detection() -> None:
    result = scored(
        record("i", "a0 a1", 5, dims={"product": "钱包"}),
        record("i", "a0 a1", 35, version=2, opened=5, dims={"product": "门锁", "firmware": "2.2.0"}),
        record("i", "a0 a1", 36, version=3, opened=5, dims={"product": "门锁"}),
    )
    assert (result.dims_exact, result.dims_partial, result.dims_wrong) == (1.0, 0.0, 0.0)
    assert result.truth_rows[0].dims_report == {"product": "门锁", "firmware": "2.2.0"}


@pytest.mark.parametrize(
    ("reported", "true", "verdict"),
    [
        ({"product": "锁"}, {"product": "锁"}, "exact"),
        ({"product": ["锁"]}, {"product": "锁"}, "exact"),
        ({}, {}, "exact"),
        ({"product": "锁"}, {"product": "锁", "region": "华东"}, "partial"),
        ({"product": "锁", "region": "华东"}, {"product": "锁"}, "partial"),
        ({"region": ["华东"]}, {"region": ["华东", "华北"]}, "partial"),
        ({"product": "锁"}, {}, "partial"),
        ({}, {"product": "锁"}, "wrong"),
        ({"product": "灯"}, {"product": "锁"}, "wrong"),
        ({"region": ["华东", "华南"]}, {"region": ["华东", "华北"]}, "wrong"),
        ({"region": ["华东", "华南"]}, {"region": "华东"}, "wrong"),
        ({"product": "锁", "region": "华东"}, {"product": "锁", "firmware": "2"}, "wrong"),
    ],
)
def test_dims_are_exact_partial_or_wrong(reported: dict[str, str], true: dict[str, str], verdict: str) -> None:
    assert judge_dims(reported, true) == verdict


EVIDENCE = st.lists(st.sampled_from(["a0", "a1", "a2", "b0", "b1", "x", "y", "z"]), max_size=5).map(" ".join)
REPORTS = st.lists(st.tuples(EVIDENCE, st.integers(0, 90)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(reports=REPORTS, seed=st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter_and_every_report_has_one_verdict(
    reports: list[tuple[str, int]], seed: random.Random
) -> None:
    records = [record(f"r{n}", evidence, minute) for n, (evidence, minute) in enumerate(reports)]
    shuffled = list(records)
    seed.shuffle(shuffled)
    result = scored(*records)
    assert result == scored(*shuffled)
    assert result.reports == len(records) == result.detected + result.duplicate_reports + result.false_reports
    assert 0 <= (result.precision or 0.0) <= 1


def test_versions_are_taken_in_their_order_wherever_they_stand() -> None:
    history = [
        record("i", "a0 a1", 1, watching=True),
        record("i", "x y", 4, version=2),
        record("i", "b0", 9, version=3),
    ]
    assert scored(*history) == scored(*reversed(history))


@settings(max_examples=60, deadline=None)
@given(reports=REPORTS)
def test_one_more_false_report_never_helps(reports: list[tuple[str, int]]) -> None:
    records = [record(f"r{n}", evidence, minute) for n, (evidence, minute) in enumerate(reports)]
    before, after = scored(*records), scored(*records, record("false", "x y", 30))
    assert (after.precision or 0.0) <= (before.precision or 0.0)
    assert after.recall == before.recall
    assert after.false_reports == before.false_reports + 1


def change(version: int, minute: int, *, opened: bool = True) -> IncidentChange:
    at = to_rfc3339(T0 + minute * MINUTE_MS, ZONE)
    return IncidentChange(
        incident="i",
        version=version,
        change="opened" if opened else "watched",
        status="open" if opened else "watching",
        reason="two_witnesses",
        at=at,
        opened_at=at if opened else None,
        first_seen=at,
        severity="P2",
        title="门锁离线",
        dims={"product": "门锁"},
        about=About(topic="设备离线"),
        signals=[
            Signal(
                series="topic:设备离线",
                kind="rise",
                window_start=at,
                window_end=at,
                observed=5.0,
                expected=1.0,
                score=4.0,
            )
        ],
        customers=2,
        messages=2,
        devices=0,
        keywords=[],
        quotes=[],
        evidence=["a0", "a1"],
        confidence=0.9,
    )


def test_incident_changes_are_scored_as_they_stand_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    changes = [change(1, 2, opened=False), change(2, 4)]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in changes))
    assert read_changes(path) == changes
    result = score(read_changes(path), TRUTH, CUSTOMERS, TIMES)
    assert (result.delay_minutes_p50, result.dims_partial) == (4.0, 1.0)
    assert result.report_rows[0].title == "门锁离线"


def test_a_broken_incidents_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    path.write_text('{"incident": 3}\n')
    with pytest.raises(InputError, match=r"incidents\.jsonl, line 1"):
        read_changes(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_changes(tmp_path / "absent")


def labels(**change: object) -> dict[str, object]:
    incident = {
        "incident": "A", "kind": "outage", "start": "2025-12-11T00:00:00+08:00", "end": "2025-12-11T02:00:00+08:00",
        "severe": True, "dims": {"region": ["华东", "华北"]}, "customers": 3, "events": ["a0"], "note": "ours",
    }  # fmt: skip
    return {"incidents": [incident | change], "events": 7, "author": "someone"}


def test_truth_is_read_with_unknown_extra_keys(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(labels()))
    truth = read_truth(path)
    assert (truth.incidents[0].start_ms, truth.events, truth.event_customers) == (T0, 7, None)
    assert truth.incidents[0].dims == {"region": ["华东", "华北"]}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"severe": "yes"}, r"incidents\[0\]\.severe"),
        ({"start": "yesterday"}, r"incidents\[0\]\.start"),
        ({"end": "2025-12-11T00:00:00"}, r"incidents\[0\]\.end"),
        ({"end": "2025-12-10T00:00:00+08:00"}, r"incidents\[0\]\.end"),
        ({"events": 3}, r"incidents\[0\]\.events"),
    ],
)
def test_malformed_truth_is_refused_with_file_and_key(tmp_path: Path, change: dict[str, object], key: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(labels(**change)))
    with pytest.raises(InputError, match=key) as caught:
        read_truth(path)
    assert str(path) in str(caught.value)


def test_truth_with_a_missing_key_a_repeated_name_or_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"incidents": [{"incident": "A"}]}')
    with pytest.raises(InputError, match="`kind`"):
        read_truth(path)
    text = json.dumps(labels()["incidents"])[1:-1]
    path.write_text(f'{{"incidents": [{text}, {text}]}}')
    with pytest.raises(InputError, match="there twice"):
        read_truth(path)
    for data in (b"", b"\xff\xfe", b"[1"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"truth\.json"):
            read_truth(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(tmp_path / "absent.json")
