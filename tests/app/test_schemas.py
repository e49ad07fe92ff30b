"""The published schemas are those of the code, and say yes to exactly what the code takes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from flows.actions import decode_actions
from flows.decode import Rejected, decode
from qianshao.app.schemas import schemas, write_schemas
from qianshao.event import KINDS, RawEvent

ROOT = Path(__file__).parents[2]
SCHEMAS = schemas()
VALIDATORS = {
    name: Draft202012Validator(schema, format_checker=FormatChecker(("date",))) for name, schema in SCHEMAS.items()
}

ACTION: dict[str, Any] = {"id": "a1", "action": "resolve", "by": "王班长", "at": 1_765_382_400_000, "incident": "i1"}
EVENT: dict[str, Any] = {"id": "e1", "kind": "chat", "ts": "2025-12-11T00:00:00+08:00", "text": "门锁离线"}


def test_the_published_files_are_what_the_code_makes(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    published = {path.name: path.read_text("utf-8") for path in (ROOT / "docs" / "schemas").iterdir()}
    assert published == made, "run `make schemas`"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_a_schema_and_has_a_name_of_its_own(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert [other for other in SCHEMAS if SCHEMAS[other]["$id"] == SCHEMAS[name]["$id"]] == [name]


@pytest.mark.parametrize("world", ["smart_lock", "mixed"])
def test_the_recorded_events_pass_the_schema_of_their_kind(world: str) -> None:
    with gzip.open(ROOT / "replay_data" / world / "events.jsonl.gz", "rb") as handle:
        lines = [line for number, line in enumerate(handle) if number % 40 == 0]
    taken = [json.loads(line) for line, event in zip(lines, decode(lines), strict=True) if isinstance(event, RawEvent)]
    assert len(taken) > 100
    for event in taken:
        VALIDATORS[f"event.{event['kind']}.json"].validate(event)


def takes(event: dict[str, Any], kind: str) -> bool:
    return not isinstance(decode([json.dumps(event).encode()])[0], Rejected) and event.get("kind") == kind


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": ""},
        {"id": "x" * 129},
        {"id": None},
        {"kind": "rating"},
        {"ts": 1_765_382_400_000},
        {"ts": "2025-12-11"},
        {"ts": "2025-12-11T00:00:00"},
        {"ts": 7},
        {"ts": True},
        {"role": "customer"},
        {"role": "boss"},
        {"role": None},
        {"text": "长" * 20_001},
        {"text": 7},
        {"dims": {"批次": "A3"}},
        {"dims": {"批次": 3}},
        {"dims": None},
        {"customer": {"phone": "13800138000"}},
        {"customer": "13800138000"},
        {"score": "good"},
        {"own": {"field": [1]}},
    ],
    ids=str,
)
def test_an_event_passes_exactly_when_it_is_taken(fields: dict[str, Any]) -> None:
    event = {**EVENT, **fields}
    assert VALIDATORS["event.chat.json"].is_valid(event) == takes(event, "chat")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": None},
        {"by": ""},
        {"at": "2025-12-11T00:00:00+08:00"},
        {"at": "soon"},
        {"action": "explode"},
        {"incident": None},
        {"incident": ""},
        {"action": "reload", "incident": None},
        {"action": "relabel", "conversation": "c1"},
        {"action": "relabel", "topic": "设备离线"},
        {"action": "relabel", "conversation": "c1", "topic": "设备离线", "incident": None},
        {"action": "relabel", "conversation": "", "ticket": "T1", "type": None, "sentiment": "neutral"},
        {"action": "unlink", "customer": "13800138000", "other": "u1", "incident": None},
        {"action": "unlink", "customer": "00000000000000ff", "other": None},
        {"action": "unlink", "customer": "", "other": "u1"},
        {"action": "unlink", "customer": 255, "other": "u1"},
        {"action": "relabel", "ticket": "T1", "sentiment": "angry"},
        {"action": "relabel", "ticket": "T1", "sentiment": ""},
        {"action": "relabel", "ticket": 7, "type": "故障"},
        {"action": "merge"},
        {"action": "merge", "into": ""},
        {"action": "merge", "into": "i2"},
        {"action": "verdict"},
        {"action": "verdict", "verdict": True},
        {"action": "verdict", "verdict": "false"},
        {"action": "verdict", "verdict": "maybe"},
        {"action": "silence", "until": 1_765_382_400_000},
        {"action": "silence", "until": "later"},
        {"reason": "长" * 20_001},
        {"shift": {"name": "夜班"}},
    ],
    ids=str,
)
def test_an_action_passes_exactly_when_it_is_taken(fields: dict[str, Any]) -> None:
    action = {**ACTION, **fields}
    taken = not isinstance(decode_actions([json.dumps(action).encode()], len)[0], Rejected)
    assert VALIDATORS["action.json"].is_valid(action) == taken


JSON = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=3)
    | st.dictionaries(st.text(max_size=2), st.text(max_size=2))
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_events_of_every_kind_pass_exactly_when_they_are_taken(kind: str, data: st.DataObject) -> None:
    schema = SCHEMAS[f"event.{kind}.json"]
    fields = next(iter(schema["$defs"].values()))["properties"]
    drawn = data.draw(st.dictionaries(st.sampled_from(sorted(fields)), JSON, max_size=4))
    event = {**EVENT, "kind": kind, **drawn}
    assert VALIDATORS[f"event.{kind}.json"].is_valid(event) == takes(event, kind)
