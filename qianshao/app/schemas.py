"""JSON Schemas of everything that crosses a topic, made from the types that read and write it.

``python -m qianshao.app.schemas [FOLDER]`` writes them, by default into `docs/schemas`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from flows.actions import RELABELLED, SENTIMENTS, WITHOUT_INCIDENT
from flows.decode import FIELDS_BY_KIND, LEVELS, MAX_ID_CHARS, ROLES, YEAR_2000_MS, YEAR_9999_MS
from qianshao.action import Action
from qianshao.config import Kafka
from qianshao.event import DIMENSIONS, MAX_TEXT_CHARS, RawEvent
from qianshao.incident import IncidentChange
from qianshao.push import Push, Trend
from sinks.messages import DeadLetterLine, schema_name

DIALECT = "https://json-schema.org/draft/2020-12/schema"
RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"

Identity = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
Short = Annotated[str, Meta(max_length=MAX_ID_CHARS)]
LongText = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Moment = (
    Annotated[str, Meta(pattern=RFC3339, description="RFC 3339 with an offset")]
    | Annotated[int, Meta(ge=YEAR_2000_MS, lt=YEAR_9999_MS, description="epoch milliseconds")]
)

_NARROWER: dict[str, Any] = {
    "role": Literal[tuple(sorted(ROLES))] | None,
    "level": Literal[tuple(sorted(LEVELS))] | None,
    "score": Annotated[int, Meta(ge=1, le=5)] | None,
    "confidence": Annotated[float, Meta(ge=0, le=1)] | None,
    "text": LongText | None,
    "message": LongText | None,
    "dims": dict[str, str] | None,
    "customer": dict[str, str] | None,
    "metrics": dict[str, float] | None,
}
"""What `flows.decode` asks for beyond the types of `RawEvent`; null counts as absent."""

_TIMES = frozenset(
    (
        *("at", "opened_at", "resolved_at", "first_seen", "since", "window_start", "window_end"),
        *("not_before", "valid_until"),
    )
)
_TOPICS = Kafka()
_EVENT_TOPICS = dict(zip(FIELDS_BY_KIND, _TOPICS.events, strict=True))
_OUTPUTS: tuple[tuple[str, type[msgspec.Struct], str, str], ...] = (
    ("incident", IncidentChange, _TOPICS.incidents, "incident"),
    ("push", Push, _TOPICS.pushes, "customer"),
    ("trend", Trend, _TOPICS.trends, "item"),
    ("deadletter", DeadLetterLine, _TOPICS.deadletters, "source/position"),
)


def schemas() -> dict[str, dict[str, Any]]:
    """Return each file's name with its schema, in a fixed order.

    A line passes the schema of its kind exactly when `flows.decode` or `flows.actions` takes it, except that a schema
    does not see whether a date exists.
    """
    made = {f"event.{kind}.json": _event(kind) for kind in FIELDS_BY_KIND}
    made["action.json"] = _action()
    for shape, type_, topic, key in _OUTPUTS:
        schema = _document(shape, type_, topic, f"One message of the topic {topic}; its key is `{key}`.")
        for definition in schema["$defs"].values():
            for name, field in definition.get("properties", {}).items():
                _say_format(name, field)
        made[f"{shape}.json"] = schema
    return made


def _event(kind: str) -> dict[str, Any]:
    types = {field.name: field.type for field in msgspec.structs.fields(RawEvent)} | _NARROWER
    optional = (*DIMENSIONS, "dims", "customer", *FIELDS_BY_KIND[kind])
    wire = msgspec.defstruct(
        f"{kind.capitalize()}Event",
        [("id", Identity), ("kind", Literal[kind]), ("ts", Moment), *((name, types[name], None) for name in optional)],
        kw_only=True,
    )
    topic = _EVENT_TOPICS[kind]
    return _document(
        f"event.{kind}", wire, topic, f"One event of kind `{kind}`, as it comes in. Unknown fields are kept."
    )


def _action() -> dict[str, Any]:
    types = {field.name: field.type for field in msgspec.structs.fields(Action)}
    wire = msgspec.defstruct(
        "PeoplesAction",
        [
            ("id", Identity),
            ("action", types["action"]),
            ("at", Moment),
            ("by", Identity),
            ("incident", Short | None, None),
            ("reason", LongText | None, None),
            ("into", Short | None, None),
            ("push", Short | None, None),
            ("until", Moment | None, None),
            ("verdict", Literal["true", "false"] | bool | None, None),
            ("conversation", Short | None, None),
            ("ticket", Short | None, None),
            ("topic", Short | None, None),
            ("type", Short | None, None),
            ("sentiment", Literal["", *SENTIMENTS] | None, None),
            ("customer", Short | None, None),
            ("other", Short | None, None),
        ],
        kw_only=True,
    )
    schema = _document(
        "action", wire, _TOPICS.actions, "One decision of one person, as it comes in. Unknown fields are kept."
    )
    schema["allOf"] = [
        {
            "if": {"properties": {"action": {"enum": sorted(WITHOUT_INCIDENT)}}},
            "else": {"required": ["incident"], "properties": {"incident": {"type": "string", "minLength": 1}}},
        },
        {
            "if": {"properties": {"action": {"const": "merge"}}},
            "then": {"required": ["into"], "properties": {"into": {"type": "string", "minLength": 1}}},
        },
        {
            "if": {"properties": {"action": {"const": "verdict"}}},
            "then": {"required": ["verdict"], "properties": {"verdict": {"type": ["string", "boolean"]}}},
        },
        {
            "if": {"properties": {"action": {"const": "relabel"}}},
            "then": {"allOf": [_one_given("conversation", "ticket"), _one_given(*RELABELLED)]},
        },
        {
            "if": {"properties": {"action": {"const": "unlink"}}},
            "then": {"allOf": [_one_given("customer"), _one_given("other")]},
        },
    ]
    return schema


def _one_given(*names: str) -> dict[str, Any]:
    """At least one of these fields holds a text."""
    return {"anyOf": [{"required": [name], "properties": {name: {"type": "string", "minLength": 1}}} for name in names]}


def _document(shape: str, type_: type[msgspec.Struct], topic: str, description: str) -> dict[str, Any]:
    schema = msgspec.json.schema(type_)
    return {
        "$schema": DIALECT,
        "$id": schema_name(shape),
        "title": shape,
        "description": description,
        "x-default-topic": topic,
        **schema,
    }


def _say_format(name: str, field: dict[str, Any]) -> None:
    """Tell what msgspec cannot know: which strings are times."""
    written = "date-time" if name in _TIMES else "date" if name == "date" else None
    for each in (field, *field.get("anyOf", ())):
        if written is not None and each.get("type") == "string":
            each["format"] = written


def write_schemas(folder: Path) -> None:
    """Write every schema into a folder, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
