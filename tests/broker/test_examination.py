"""An examination names what is wrong with Kafka and what to do, and never fails itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from broker_fakes import grant
from confluent_kafka.admin import AclOperation, ResourceType
from local_broker import mock_broker

from flows.broker import ensure_topics, examine
from qianshao.config import Kafka
from qianshao.errors import StoreError, UnavailableError
from qianshao.examined import Examined


def found(kafka: Kafka, timeout_seconds: float = 20.0) -> dict[str, Examined]:
    """Findings by the last word of their part."""
    return {each.part.split()[-1]: each for each in examine(kafka, timeout_seconds)}


def test_in_order_means_every_part_is(real_broker: Any, kafka: Kafka) -> None:
    seen = found(kafka)
    assert [each for each in seen.values() if not each.ok] == []
    assert list(seen) == [
        "Kafka",
        *kafka.events,
        kafka.actions,
        kafka.incidents,
        kafka.pushes,
        kafka.trends,
        kafka.deadletters,
        kafka.group,
    ]
    assert "2 partitions" in seen[kafka.events[0]].detail


def test_a_missing_event_topic_is_wrong_and_a_missing_topic_of_ours_is_made_at_the_start(
    real_broker: Any, kafka: Kafka
) -> None:
    other = msgspec.structs.replace(kafka, events=(f"{kafka.group}.chats",), trends=f"{kafka.trends}.new")
    seen = found(other)
    assert (seen[other.events[0]].ok, seen[other.trends].ok) == (False, True)
    assert "create it, or correct its name" in seen[other.events[0]].detail
    assert ensure_topics(other) == [other.trends]
    assert ensure_topics(other) == []
    assert "is not there" in found(other)[other.events[0]].detail


def test_nobody_there_is_one_finding_with_the_address() -> None:
    (only,) = examine(Kafka(bootstrap="127.0.0.1:1"), 0.3)
    assert only.ok is False
    assert "127.0.0.1:1" in only.detail
    assert "Connection refused" in only.detail
    with pytest.raises(UnavailableError, match="Connection refused"):
        ensure_topics(Kafka(bootstrap="127.0.0.1:1"), 0.3)


def test_settings_that_cannot_work_are_a_finding_too() -> None:
    (only,) = examine(Kafka(), 0.3)
    assert only == Examined(part="Kafka", ok=False, detail=only.detail)
    assert "kafka.bootstrap: is not set" in only.detail


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"username": "reader"}, "does not accept 'reader' with PLAIN"),
        ({"mechanism": "SCRAM-SHA-256"}, "does not accept 'writer' with SCRAM-SHA-256"),
    ],
    ids=str,
)
def test_a_refused_login_is_named_as_one(secured: Kafka, wrong: dict[str, str], said: str) -> None:
    (only,) = examine(msgspec.structs.replace(secured, **wrong), 20)
    assert only.ok is False
    assert said in only.detail
    assert "writer-secret" not in only.detail


def test_every_missing_permission_is_named_where_it_is_missing(real_broker: Any, secured: Kafka, kafka: Kafka) -> None:
    grant(
        real_broker.bootstrap,
        (ResourceType.TOPIC, kafka.events[0], AclOperation.READ),
        (ResourceType.TOPIC, kafka.events[1], AclOperation.DESCRIBE),
        (ResourceType.TOPIC, kafka.incidents, AclOperation.READ),
        (ResourceType.TOPIC, kafka.pushes, AclOperation.READ),
        (ResourceType.TOPIC, kafka.pushes, AclOperation.WRITE),
        (ResourceType.GROUP, kafka.group, AclOperation.READ),
    )
    seen = found(secured)
    assert {name for name, each in seen.items() if each.ok} == {"Kafka", kafka.events[0], kafka.pushes, kafka.group}
    assert "may not READ" in seen[kafka.events[1]].detail
    assert "may not WRITE" in seen[kafka.incidents].detail
    assert "hidden from us" in seen[kafka.events[2]].detail
    unborn = msgspec.structs.replace(secured, trends=f"{kafka.trends}.new")
    assert found(unborn)[unborn.trends].ok is False
    with pytest.raises(StoreError, match="cannot be created"):
        ensure_topics(unborn)


def test_what_a_broker_does_not_say_is_neither_right_nor_wrong() -> None:
    with mock_broker("it knows no administration") as address:
        seen = found(Kafka(bootstrap=address.bootstrap), 0.5)
    assert seen.pop("Kafka").ok is True
    assert {each.ok for each in seen.values()} == {None}
