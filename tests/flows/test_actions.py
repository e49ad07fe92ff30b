"""People's actions come in strictly: named reasons, no text unmasked, nothing that stops the stream."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.actions import decode_actions
from flows.decode import Rejected
from qianshao.action import Action

AT = "2025-12-11T00:00:00.675+08:00"
GOOD: dict[str, Any] = {"id": "a1", "action": "acknowledge", "incident": "i1", "by": "王班长", "at": AT}


def decoded(**fields: Any) -> Action | Rejected | None:
    return decode_actions([json.dumps({**GOOD, **fields}, ensure_ascii=False).encode()], len)[0]


def test_an_action_is_read_with_its_time_and_its_unknown_fields() -> None:
    assert decoded(reason="正在处理", shift="夜班") == Action(
        id="a1",
        action="acknowledge",
        at=1_765_382_400_675,
        by="王班长",
        incident="i1",
        reason="正在处理",
        extra={"shift": "夜班"},
    )


def test_times_may_be_epoch_milliseconds() -> None:
    action = decoded(action="silence", at=1_765_382_400_675, until="2025-12-11T08:00:00+08:00")
    assert isinstance(action, Action)
    assert (action.at, action.until) == (1_765_382_400_675, 1_765_411_200_000)


@pytest.mark.parametrize("said", [True, "true"])
def test_a_verdict_may_be_a_boolean_or_its_name(said: object) -> None:
    action = decoded(action="verdict", verdict=said)
    assert isinstance(action, Action)
    assert action.verdict == "true"


@pytest.mark.parametrize("fields", [{"action": "relabel", "ticket": "T1", "type": "故障"}, {"action": "reload"}])
def test_what_concerns_no_incident_needs_none(fields: dict[str, str]) -> None:
    action = decoded(**fields, incident=None)
    assert isinstance(action, Action)
    assert action.incident == ""


def test_a_relabel_names_what_it_corrects_by_pseudonym_and_masked() -> None:
    action = decoded(
        action="relabel", conversation="c-13800138000", ticket="T1", topic="设备离线 13800138000", sentiment="negative"
    )
    assert isinstance(action, Action)
    assert (action.conversation, action.ticket) == (len("c-13800138000"), 2)
    assert (action.type, action.sentiment, action.extra) == ("", "negative", {})
    assert action.topic.startswith("设备离线")
    assert "13800138000" not in msgspec.json.encode(action).decode()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, "missing_id"),
        ({"id": "x" * 129}, "bad_id"),
        ({"id": 7}, "bad_id"),
        ({"action": None}, "missing_action"),
        ({"action": "explode"}, "unknown_action"),
        ({"action": ["acknowledge"]}, "unknown_action"),
        ({"at": None}, "missing_timestamp"),
        ({"at": "gestern"}, "bad_timestamp"),
        ({"at": "2025-12-11T00:00:00"}, "bad_timestamp"),
        ({"at": True}, "bad_timestamp"),
        ({"at": 1.5}, "bad_timestamp"),
        ({"at": 7}, "implausible_timestamp"),
        ({"until": "later"}, "bad_timestamp"),
        ({"by": None}, "missing_by"),
        ({"incident": None}, "missing_incident"),
        ({"incident": ""}, "missing_incident"),
        ({"incident": {"name": "i1"}}, "bad_field"),
        ({"action": "relabel", "topic": "设备离线"}, "missing_target"),
        ({"action": "relabel", "conversation": "c1"}, "missing_label"),
        ({"action": "relabel", "conversation": "c1", "sentiment": "angry"}, "bad_field"),
        ({"action": "relabel", "conversation": ["c1"], "topic": "设备离线"}, "bad_field"),
        ({"action": "merge"}, "missing_into"),
        ({"action": "verdict"}, "missing_verdict"),
        ({"action": "verdict", "verdict": "maybe"}, "bad_field"),
        ({"action": "verdict", "verdict": 1}, "bad_field"),
        ({"reason": ["处理"]}, "bad_field"),
        ({"reason": "长" * 20_001}, "text_too_long"),
        ({"push": "p" * 129}, "bad_field"),
    ],
)
def test_what_cannot_be_carried_out_is_rejected_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    assert decoded(**fields) == Rejected(reason)


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"{", "not_json"), (b"[1]", "not_an_object"), (b'{"id":"\xff"}', "not_utf8"), (b" " * 3, None)],
)
def test_what_is_no_object_is_rejected_and_white_space_is_no_record(line: bytes, reason: str | None) -> None:
    assert decode_actions([line], len) == [None if reason is None else Rejected(reason)]


def test_nothing_that_a_person_wrote_comes_in_unmasked() -> None:
    action = decoded(
        by="tel 13800138000",
        reason="客户王小明电话13800138000已联系",
        note={"phone": "13900139000", "text": "打13700137000"},
    )
    assert isinstance(action, Action)
    written = msgspec.json.encode(action).decode()
    for identifier in ("13800138000", "13900139000", "13700137000"):
        assert identifier not in written
    assert "已联系" in action.reason


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "until", "verdict", "into", "push", "reason", "else"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_no_line_stops_the_stream(fields: dict[str, Any]) -> None:
    line = json.dumps({**GOOD, **fields}).encode()
    first, second = decode_actions([line, json.dumps(GOOD).encode()], len)
    assert isinstance(first, Action | Rejected)
    assert isinstance(second, Action)
