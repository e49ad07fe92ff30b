"""What the tests of the running service share: records onto topics and back, its configuration, what to expect."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from qianshao.app.rehearsal import Rehearsal
from qianshao.clock import from_rfc3339
from qianshao.config import Kafka

TOPIC = {b"chat": 0, b"call": 1, b"ticket": 2, b"device": 3, b"rating": 4}
KIND = re.compile(rb'"kind":"(\w+)"')
OWNER = re.compile(rb'"(?:conversation|device|ticket)":"([^"]+)"')
REORDER_SECONDS = 300


def produce(kafka: Kafka, lines: list[bytes]) -> int:
    """Send every record to the topic of its kind, keyed as producers do, and return how many there were."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "log_level": 0})
    records = [line for line in lines if line.strip()]
    for line in records:
        kind, owner = KIND.search(line), OWNER.search(line)
        topic = kafka.events[TOPIC.get(kind[1], 0) if kind else 0]
        producer.produce(topic, line, key=owner[1] if owner else None)
        producer.poll(0)
    assert producer.flush(60) == 0
    return len(records)


def consume(kafka: Kafka, topic: str) -> list[tuple[str, bytes]]:
    """Read everything on a topic as (identity, value)."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "tests",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    parts = list(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, part, 0) for part in parts])
    found: list[tuple[str, bytes]] = []
    ended: set[int] = set()
    while len(ended) < len(parts):
        message = consumer.poll(20)
        assert message is not None
        error = message.error()
        if error is None:
            identity = dict(message.headers() or ())["ce_id"]
            assert isinstance(identity, bytes)
            found.append((identity.decode(), message.value() or b""))
        else:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition() or 0)
    consumer.close()
    return found


def wait_for_one(kafka: Kafka, topic: str) -> str:
    """Wait for the first message of a topic and return its identity."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "tests", "log_level": 0})
    parts = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, part, 0) for part in parts])
    message = consumer.poll(120)
    assert message is not None
    assert message.error() is None, message.error()
    identity = dict(message.headers() or ())["ce_id"]
    assert isinstance(identity, bytes)
    consumer.close()
    return identity.decode()


def configuration(folder: Path, kafka: Kafka, *, grafana: str | None = None, **run: object) -> Path:
    """Write the configuration of a service over the test's topics."""
    given = msgspec.to_builtins(kafka)
    lines = ["[service]", f"reorder_seconds = {REORDER_SECONDS}", "[kafka]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in given.items() if value is not None]
    settings = {"state": str(folder / "state"), "snapshot_seconds": 1, **run}
    lines += ["[run]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    lines += ["[console]", "port = 0", "[clickhouse]", "query_port = 0"]
    if grafana is not None:
        lines += ["[grafana]", f"url = {json.dumps(grafana)}"]
    path = folder / "qianshao.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def early(lines: list[bytes], until: int) -> list[bytes]:
    """The records whose `at` is not after `until`."""
    return [line for line in lines if from_rfc3339(json.loads(line)["at"]) <= until]


def decided(replayed: Rehearsal, name: str, until: int) -> list[bytes]:
    """The lines of a replay that a service can know whose watermark has reached `until`."""
    return early((replayed.order.out / name).read_bytes().splitlines(), until)


def live_until(replayed: Rehearsal) -> int:
    """Where the watermark of a service stands that has read everything: the newest event less the reordering."""
    step = 10_000
    return (replayed.watermark - REORDER_SECONDS * 1_000 - step) // step * step
