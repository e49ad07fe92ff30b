"""Outcomes as messages: which object goes to which topic under which key, with CloudEvents headers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, tzinfo

import msgspec

from qianshao.clock import to_rfc3339
from qianshao.config import Kafka
from qianshao.event import DeadLetter
from qianshao.outcome import Outcome

CONTENT_TYPE = "application/json"
SOURCE = "qianshao"
TYPE_PREFIX = "cn.qianshao"

_encoder = msgspec.json.Encoder()


class DeadLetterLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One record that could not be counted: a line of `deadletters.jsonl`, a message of the dead-letter topic."""

    at: str
    source: str
    position: int
    reason: str
    excerpt: str
    kind: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it goes to the broker. (`topic`, `identity`) is its idempotency key."""

    topic: str
    key: bytes
    """Messages of one key stay in order."""
    value: bytes
    """A JSON object."""
    headers: tuple[tuple[str, bytes], ...]
    """CloudEvents 1.0, binary content mode."""
    identity: str
    """Equals the header `ce_id`."""


def deadletter_lines(letters: Iterable[DeadLetter], at: str) -> Iterable[DeadLetterLine]:
    """Write each dead letter in the shape in which it leaves.

    Parameters
    ----------
    letters
        The letters of one outcome.
    at
        Watermark of that outcome, RFC 3339.
    """
    return (
        DeadLetterLine(
            at=at,
            source=letter.source,
            position=letter.position,
            reason=letter.reason,
            excerpt=letter.excerpt,
            kind=letter.kind or None,
        )
        for letter in letters
    )


def schema_name(shape: str) -> str:
    """Name of the JSON Schema of one shape: the `$id` of the schema and the `ce_dataschema` of its messages.

    >>> schema_name("incident")
    'urn:qianshao:schema:incident:1'
    """
    return f"urn:qianshao:schema:{shape}:1"


def messages(outcome: Outcome, kafka: Kafka, zone: tzinfo) -> list[Message]:
    """Turn one outcome into messages: incidents, pushes, trends, dead letters, each in the order of the outcome.

    Parameters
    ----------
    outcome
        What leaves.
    kafka
        Names of the topics.
    zone
        Service time zone, in which timestamps are written.

    Returns
    -------
    list of Message
        Keys: an incident's id, a push's customer, a trend's item, a dead letter's source and position. The same row
        gives the same message, byte for byte, whatever else is in the outcome; except that the `at` of a dead letter is
        the watermark of the outcome that carries it.
    """
    made = [
        _message(
            kafka.incidents,
            change.incident,
            change,
            shape="incident",
            kind=f"incident.{change.change}",
            identity=f"{change.incident}:{change.version}",
            at=change.at,
        )
        for change in outcome.incidents
    ]
    made += [
        _message(
            kafka.pushes,
            push.customer,
            push,
            shape="push",
            kind=f"push.{push.state}",
            identity=f"{push.push}:{push.state}",
            at=push.at,
        )
        for push in outcome.pushes
    ]
    made += [
        _message(
            kafka.trends,
            trend.item,
            trend,
            shape="trend",
            kind=f"trend.{trend.state}",
            identity=trend.item,
            at=_day_start(trend.date, zone),
        )
        for trend in outcome.trends
    ]
    if outcome.deadletters:
        for line in deadletter_lines(outcome.deadletters, to_rfc3339(outcome.watermark, zone)):
            identity = f"{line.source}/{line.position}"
            made.append(
                _message(
                    kafka.deadletters,
                    identity,
                    line,
                    shape="deadletter",
                    kind="deadletter",
                    identity=identity,
                    at=line.at,
                )
            )
    return made


def _day_start(day: str, zone: tzinfo) -> str:
    return datetime.combine(date.fromisoformat(day), time(), zone).isoformat(timespec="milliseconds")


def _message(topic: str, key: str, body: msgspec.Struct, *, shape: str, kind: str, identity: str, at: str) -> Message:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_source": SOURCE,
        "ce_type": f"{TYPE_PREFIX}.{kind}",
        "ce_time": at,
        "ce_dataschema": schema_name(shape),
        "content-type": CONTENT_TYPE,
    }
    return Message(
        topic=topic,
        key=key.encode(),
        value=_encoder.encode(body),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
        identity=identity,
    )
