"""Decoding: what is an event, what is not, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flow_fakes import START, line
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.decode import MAX_LINE_BYTES, Rejected, decode, timestamp_ms
from qianshao.event import RawEvent


def fate(raw: bytes) -> str | None:
    (result,) = decode([raw])
    return result.reason if isinstance(result, Rejected) else None if result is None else "event"


def record(**fields: object) -> bytes:
    return json.dumps({"id": "a", "kind": "chat", "ts": START, **fields}).encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"id":"a","kind":"chat","ts":1765382400000,"text":"\xff"}', "not_utf8"),
        (b"\x1f\x8b\x08\x00\xfe", "not_utf8"),
        (b'{"id":"a"', "not_json"),
        (b'{"id":"a","kind":"chat","ts":1765382400000,"x":NaN}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 50_000, "not_json"),
        (b"[1]", "not_an_object"),
        (b"null", "not_an_object"),
        (record(id=None), "missing_id"),
        (record(id=7), "bad_id"),
        (record(id=""), "bad_id"),
        (record(id="x" * 129), "bad_id"),
        (record(kind=None), "missing_kind"),
        (record(kind="Chat"), "unknown_kind"),
        (record(kind=["chat"]), "unknown_kind"),
        (record(ts=None), "missing_timestamp"),
        (record(ts=True), "bad_timestamp"),
        (record(ts=1765382400000.5), "bad_timestamp"),
        (record(ts="2025-12-11T00:00:00"), "bad_timestamp"),
        (record(ts="2025-12-11"), "bad_timestamp"),
        (record(ts="20251211T000000+0800"), "bad_timestamp"),
        (record(ts="2025-13-11T00:00:00Z"), "bad_timestamp"),
        (record(ts="1765382400000"), "bad_timestamp"),
        (record(ts=1765382400), "implausible_timestamp"),
        (record(ts="1999-12-31T23:59:59.999Z"), "implausible_timestamp"),
        (record(ts=10**30), "implausible_timestamp"),
        (record(text="好" * 20_001), "text_too_long"),
        (record(kind="device", message="x" * 20_001), "text_too_long"),
        (record(role="robot"), "bad_field"),
        (record(line=3), "bad_field"),
        (record(dims={"a": 1}), "bad_field"),
        (record(customer="138"), "bad_field"),
        (record(kind="call", confidence=1.1), "bad_field"),
        (record(kind="rating", score=True), "bad_field"),
        (record(kind="rating", score=6), "bad_field"),
        (record(kind="rating", score=4.0), "bad_field"),
        (record(kind="device", level="notice"), "bad_field"),
        (record(kind="device", metrics={"t": "hot"}), "bad_field"),
        (b'{"id":"a","kind":"device","ts":1765382400000,"metrics":{"t":1' + b"0" * 400 + b"}}", "bad_field"),
        (b'{"pad":"' + b"x" * MAX_LINE_BYTES + b'"}', "line_too_long"),
    ],
)
def test_a_record_that_is_no_event_has_a_named_reason(raw: bytes, reason: str) -> None:
    assert fate(raw) == reason


@pytest.mark.parametrize("raw", [b"", b"   ", b"\r", b"\t \r"])
def test_a_line_of_white_space_is_no_record(raw: bytes) -> None:
    assert fate(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        record(id="x" * 128),
        record(text="好" * 20_000),
        record(text=None, role=None, dims=None, score=None),
        record(kind="rating", score=5),
        record(kind="call", confidence=1),
        record(kind="device", metrics={"t": 3}),
        record(score="five"),
        b"\xef\xbb\xbf" + record(),
        record() + b"\r",
    ],
)
def test_a_sound_record_is_an_event(raw: bytes) -> None:
    assert fate(raw) == "event"


def test_the_kind_of_a_rejected_record_is_named_when_it_is_known() -> None:
    assert decode([record(ts="soon"), record(kind="fax")]) == [
        Rejected("bad_timestamp", "chat"),
        Rejected("unknown_kind", ""),
    ]


def test_unknown_fields_are_kept_even_one_that_is_called_extra() -> None:
    (event,) = decode([record(extra=1, agent={"id": "A6"}, score="five")])
    assert isinstance(event, RawEvent)
    assert event.extra == {"extra": 1, "agent": {"id": "A6"}, "score": "five"}
    assert event.score is None


def test_a_lone_surrogate_costs_a_character_not_the_record() -> None:
    (event,) = decode([b'{"id":"a","kind":"chat","ts":1765382400000,"text":"\\ud800\\u597d\\ud83d\\ude00"}'])
    assert isinstance(event, RawEvent)
    assert event.text == "\ufffd好😀"


def test_the_last_of_repeated_keys_counts() -> None:
    (event,) = decode([b'{"id":"a","id":"b","kind":"chat","ts":1765382400000}'])
    assert isinstance(event, RawEvent)
    assert event.id == "b"


@settings(max_examples=200, deadline=None)
@given(st.integers(946_800_000_000_000, 4_102_444_800_000_000), st.integers(-14 * 60, 14 * 60), st.sampled_from("Tt "))
def test_every_rfc3339_time_is_read_to_the_millisecond(microseconds: int, offset: int, separator: str) -> None:
    zone = timezone(timedelta(minutes=offset))
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(zone)
    assert timestamp_ms(moment.isoformat(separator)) == microseconds // 1000


def test_nanoseconds_small_z_and_leap_seconds_are_read() -> None:
    assert timestamp_ms("2025-12-10t16:00:00.123456789z") == START + 123
    assert timestamp_ms("2016-12-31T23:59:60Z") == timestamp_ms("2017-01-01T00:00:00Z")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 60), st.binary(max_size=3))
def test_no_bytes_break_the_decoder(junk: bytes, place: int, wedge: bytes) -> None:
    good = line(1, START)
    place = min(place, len(good))
    results = decode([junk, good[:place] + wedge + good[place:], good])
    assert len(results) == 3
    assert isinstance(results[2], RawEvent)
