"""Outcomes to send, and what the topics hold afterwards."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from qianshao.config import Kafka
from qianshao.event import DeadLetter
from qianshao.incident import About, IncidentChange
from qianshao.outcome import Outcome
from qianshao.push import Push, Trend

AT = "2025-12-11T00:05:00.000+08:00"
WATERMARK = 1_765_382_700_000  # 2025-12-11T00:05:00+08:00


def incident(name: str, version: int = 1, **fields: Any) -> IncidentChange:
    return IncidentChange(
        incident=name,
        version=version,
        change="opened" if version == 1 else "updated",
        status="open",
        reason="rise",
        at=AT,
        opened_at=AT,
        first_seen=AT,
        severity="P2",
        title="智能门锁离线",
        dims={"product": "智能门锁"},
        about=About(topic="设备离线"),
        signals=[],
        customers=9,
        messages=14,
        devices=2,
        keywords=["离线"],
        quotes=fields.get("quotes", []),
        evidence=["e1"],
        confidence=0.9,
    )


def outcome(step: int, *, incidents: int = 2, **fields: Any) -> Outcome:
    """One step with something for every topic; no two steps share a message."""
    return Outcome(
        sequence=step,
        watermark=WATERMARK + step,
        incidents=[incident(f"i{number}", step + 1, **fields) for number in range(incidents)],
        pushes=[
            Push(
                push=f"p{step}",
                incident="i0",
                customer=f"{step:016x}",
                template="已知故障",
                params={"product": "智能门锁"},
                channel_preference=["app"],
                priority=2,
                not_before=AT,
                valid_until=AT,
                reason="contacted",
                state="proposed",
                at=AT,
            )
        ],
        trends=[
            Trend(
                item=f"t{step}",
                date="2025-12-10",
                line="智能家居",
                product="智能门锁",
                topic="设备离线",
                customers=9,
                expected=2.0,
                change=3.5,
                state="rising",
                terms=[],
                quotes=[],
                incidents=["i0"],
            )
        ],
        deadletters=[DeadLetter(source="cs.chat/0", position=step, reason="not_json", excerpt="坏行")],
    )


def read(kafka: Kafka) -> list[Any]:
    """Every message of the four output topics of a `[kafka]` section, each partition in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "reads-back",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )
    held = consumer.list_topics(timeout=10).topics
    places = [
        TopicPartition(name, partition, 0)
        for name in (kafka.incidents, kafka.pushes, kafka.trends, kafka.deadletters)
        for partition in held[name].partitions
    ]
    consumer.assign(places)
    found: list[Any] = []
    ended = 0
    while ended < len(places):
        message = consumer.poll(10)
        assert message is not None
        if message.error() is None:
            found.append(message)
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ended += 1
    consumer.close()
    return found


def identities(kafka: Kafka) -> list[tuple[str, str]]:
    """Topic, without the test's prefix, and `ce_id` of every message, sorted."""
    return sorted((each.topic().split(".", 1)[1], dict(each.headers())["ce_id"].decode()) for each in read(kafka))


def expected(*outcomes: Outcome) -> list[tuple[str, str]]:
    """What `identities` gives when each outcome was written once."""
    return sorted(
        identity
        for each in outcomes
        for identity in (
            *(("qianshao.incidents", f"{change.incident}:{change.version}") for change in each.incidents),
            *(("qianshao.push", f"{push.push}:{push.state}") for push in each.pushes),
            *(("qianshao.trends", trend.item) for trend in each.trends),
            *(("qianshao.deadletter", f"{letter.source}/{letter.position}") for letter in each.deadletters),
        )
    )


def grant(bootstrap: str | None, *rights: tuple[ResourceType, str, AclOperation]) -> None:
    """Let the user `writer` do so much on topics and groups, and wait until the broker knows."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    whom = (ResourcePatternType.LITERAL, "User:writer", "*")
    bindings = {AclBinding(kind, name, *whom, what, AclPermissionType.ALLOW) for kind, name, what in rights}
    for future in admin.create_acls(list(bindings)).values():
        future.result()
    every = AclBindingFilter(ResourceType.ANY, None, *whom, AclOperation.ANY, AclPermissionType.ANY)
    while not bindings <= set(admin.describe_acls(every).result()):
        continue
