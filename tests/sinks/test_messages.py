"""Outcomes as messages: keys, CloudEvents headers and bodies, fixed to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from qianshao.config import Kafka
from qianshao.outcome import Outcome
from sinks.messages import Message, messages

GOLDEN = Path(__file__).parent / "golden_messages.json"
PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"


def written(message: Message) -> dict[str, Any]:
    return {
        "topic": message.topic,
        "key": message.key.decode(),
        "headers": {name: value.decode() for name, value in message.headers},
        "value": json.loads(message.value),
    }


def test_one_outcome_gives_the_messages_that_others_read(make: Any) -> None:
    made = [written(each) for each in messages(make.outcomes()[0], Kafka(), make.zone)]
    assert made == json.loads(GOLDEN.read_text("utf-8"))


def test_every_message_passes_the_schema_that_its_header_names(make: Any) -> None:
    schemas = [json.loads(path.read_text("utf-8")) for path in sorted(PUBLISHED.iterdir())]
    validators = {
        schema["$id"]: Draft202012Validator(schema, format_checker=FormatChecker(("date",))) for schema in schemas
    }
    for each in messages(make.outcomes()[1], Kafka(), make.zone):
        validators[dict(each.headers)["ce_dataschema"].decode()].validate(json.loads(each.value))


def test_no_two_messages_share_an_identity_and_each_is_its_ce_id(make: Any) -> None:
    made = [each for outcome in make.outcomes() for each in messages(outcome, Kafka(), make.zone)]
    assert len({(each.topic, each.identity) for each in made}) == len(made)
    assert [dict(each.headers)["ce_id"].decode() for each in made] == [each.identity for each in made]


def test_a_row_gives_the_same_message_in_whatever_outcome_it_comes(make: Any) -> None:
    whole = make.outcomes()[0]
    rows = ("incidents", "pushes", "trends", "deadletters")
    apart = [
        Outcome(sequence=0, watermark=whole.watermark, **{name: [row]}) for name in rows for row in getattr(whole, name)
    ]
    made = [each for outcome in apart for each in messages(outcome, Kafka(), make.zone)]
    assert made == messages(whole, Kafka(), make.zone)


@pytest.mark.parametrize("header", ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"])
def test_what_cloudevents_asks_for_is_never_empty(make: Any, header: str) -> None:
    for each in messages(make.outcomes()[2], Kafka(), make.zone):
        assert dict(each.headers)[header]
