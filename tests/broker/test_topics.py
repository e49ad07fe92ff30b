"""What Kafka is told, it is told once: over retries, restarts, kills and an absent broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from broker_fakes import expected, grant, identities, incident, outcome, read
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType
from confluent_kafka.cimpl import NewTopic

import flows.broker
from flows.broker import Topics, ensure_topics
from qianshao.config import Kafka
from qianshao.errors import StoreError, UnavailableError
from qianshao.outcome import Outcome

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def admin(broker: Any) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


def test_each_message_has_its_key_its_body_and_its_cloudevents_headers(kafka: Kafka) -> None:
    sink = Topics(kafka, ZONE)
    sink.write(outcome(0, incidents=1))
    sink.flush()
    found = {each.topic(): each for each in read(kafka)}
    sink.close()
    told = found[kafka.incidents]
    assert told.key() == b"i0"
    assert json.loads(told.value())["title"] == "智能门锁离线"
    headers = {name: value.decode() for name, value in told.headers()}
    assert (headers["ce_id"], headers["ce_type"]) == ("i0:1", "cn.qianshao.incident.opened")
    assert {name: each.key() for name, each in found.items()} == {
        kafka.incidents: b"i0",
        kafka.pushes: b"0" * 16,
        kafka.trends: b"t0",
        kafka.deadletters: b"cs.chat/0/0",
    }


def test_changes_of_one_incident_stay_in_order(kafka: Kafka) -> None:
    sink = Topics(kafka, ZONE)
    for step in range(50):
        sink.write(outcome(step, incidents=4))
    sink.close()
    versions: dict[bytes, list[int]] = {}
    for each in read(kafka):
        if each.topic() == kafka.incidents:
            versions.setdefault(each.key(), []).append(json.loads(each.value())["version"])
    assert list(versions.values()) == [list(range(1, 51))] * 4


def test_the_same_outcomes_given_again_write_nothing_twice(kafka: Kafka) -> None:
    steps = [outcome(step) for step in range(3)]
    sink = Topics(kafka, ZONE)
    for step in (0, 0, 1, 0, 1, 2, 2):
        sink.write(steps[step])
        sink.flush()
    sink.close()
    assert identities(kafka) == expected(*steps)


def test_the_positions_are_the_ends_of_the_partitions(kafka: Kafka) -> None:
    sink = Topics(kafka, ZONE)
    before = sink.positions()
    sink.write(outcome(0))
    sink.flush()
    after = sink.positions()
    sink.close()
    assert len(before) >= 4
    assert set(before.values()) == {0}
    assert sum(after.values()) == len(read(kafka)) == len(expected(outcome(0)))


def test_a_restart_from_the_snapshot_writes_only_what_is_not_there(kafka: Kafka) -> None:
    steps = [outcome(step) for step in range(4)]
    first = Topics(kafka, ZONE)
    first.write(steps[0])
    first.flush()
    snapshot = first.positions()
    first.write(steps[1])
    first.write(Outcome(sequence=2, watermark=steps[2].watermark, pushes=steps[2].pushes))
    first.close()
    second = Topics(kafka, ZONE, since=snapshot)
    assert second.positions() == first.positions()
    for step in steps[1:]:
        second.write(step)
    second.close()
    assert identities(kafka) == expected(*steps)


def test_topics_that_the_snapshot_does_not_know_are_read_from_their_beginning(kafka: Kafka) -> None:
    for _ in range(2):
        sink = Topics(kafka, ZONE, since={})
        sink.write(outcome(0))
        sink.close()
    assert identities(kafka) == expected(outcome(0))


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import msgspec
from zoneinfo import ZoneInfo
from broker_fakes import outcome
from flows.broker import Topics
from qianshao.config import Kafka
sink = Topics(msgspec.json.decode(sys.argv[2], type=Kafka), ZoneInfo("Asia/Shanghai"))
for step in range(40):
    sink.write(outcome(step, incidents=20))
    if step == 10:
        sink.flush()
        print(msgspec.json.encode(sink.positions()).decode(), flush=True)
    if step == 20:
        sink.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_goes_on_with_every_message_exactly_once(kafka: Kafka) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), msgspec.json.encode(kafka).decode()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    steps = [outcome(step, incidents=20) for step in range(40)]
    there = identities(kafka)
    assert set(expected(*steps[:21])) <= set(there)
    sink = Topics(kafka, ZONE, since=json.loads(killed.stdout))
    for step in steps[11:]:
        sink.write(step)
    sink.close()
    assert identities(kafka) == expected(*steps)


@pytest.fixture
def pausable(tmp_path: Path) -> Iterator[tuple[Kafka, subprocess.Popen[str]]]:
    """Run a broker that can be stopped and let go on, as a machine that hangs: the mock cluster in a process."""
    code = (
        "import sys, threading; sys.path.insert(0, sys.argv[1]); from local_broker import mock_broker\n"
        "with mock_broker('it is asked for') as address:\n"
        "    print(address.bootstrap, flush=True); threading.Event().wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Kafka(bootstrap=process.stdout.readline().strip()), process
        finally:
            process.kill()


def hang(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


def test_while_the_broker_hangs_nothing_is_lost_and_nothing_doubled(
    pausable: tuple[Kafka, subprocess.Popen[str]],
) -> None:
    kafka, process = pausable
    sink = Topics(kafka, ZONE, timeout_seconds=5)
    sink.write(outcome(0))
    sink.flush()
    sink._timeout_seconds = 0.3
    hang(process)
    sink.write(outcome(1))
    for _ in range(2):
        with pytest.raises(UnavailableError, match="5 messages were not acknowledged") as error:
            sink.flush()
        assert error.value.retryable
        assert str(kafka.bootstrap) in str(error.value)
    os.kill(process.pid, signal.SIGCONT)
    sink._timeout_seconds = 10
    sink.write(outcome(1))
    sink.write(outcome(2))
    sink.close()
    assert [name for _, name in identities(kafka)] == [name for _, name in expected(*map(outcome, range(3)))]


def test_a_full_queue_is_waited_for_and_then_named(
    pausable: tuple[Kafka, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, process = pausable
    monkeypatch.setattr(flows.broker, "QUEUE_KILOBYTES", 1)
    sink = Topics(kafka, ZONE, timeout_seconds=5)
    steps = [outcome(step) for step in range(8)]
    for step in steps[:4]:
        sink.write(step)
    hang(process)
    sink._timeout_seconds = 0.3
    with pytest.raises(UnavailableError, match="queue is full"):
        deque(map(sink.write, steps[4:]))
    os.kill(process.pid, signal.SIGCONT)
    sink._timeout_seconds = 10
    for step in steps:
        sink.write(step)
    sink.close()
    assert [name for _, name in identities(kafka)] == [name for _, name in expected(*steps)]


def test_nobody_there_is_named_with_the_address_and_may_be_tried_again() -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1\b.*Connection refused") as error:
        Topics(Kafka(bootstrap="127.0.0.1:1"), ZONE, timeout_seconds=0.5)
    assert error.value.retryable


def test_a_missing_topic_is_named_and_gets_its_messages_once_it_is_there(real_broker: Any, kafka: Kafka) -> None:
    elsewhere = msgspec.structs.replace(kafka, pushes=f"{kafka.pushes}.new")
    sink = Topics(elsewhere, ZONE)
    sink.write(outcome(0))
    with pytest.raises(UnavailableError, match=f"{elsewhere.pushes} did not take message p0:proposed.*create"):
        sink.flush()
    assert ensure_topics(elsewhere) == [elsewhere.pushes]
    sink.flush()
    sink.close()
    assert len(identities(elsewhere)) == len(expected(outcome(0)))


def test_a_message_that_is_too_large_is_named_and_no_other_is_lost(
    real_broker: Any, kafka: Kafka, admin: AdminClient
) -> None:
    small = msgspec.structs.replace(kafka, incidents=f"{kafka.incidents}.small")
    admin.create_topics([NewTopic(small.incidents, 1, 1, config={"max.message.bytes": "2000"})])[
        small.incidents
    ].result()
    sink = Topics(small, ZONE)
    noise = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(2_000))
    sink.write(Outcome(sequence=0, watermark=0, incidents=[incident("i0"), incident("big", quotes=[noise])]))
    sink.write(outcome(1))
    with pytest.raises(StoreError, match=r"message big:1 .*max\.message\.bytes") as error:
        sink.close()
    assert not error.value.retryable
    held = [name for _, name in identities(small)]
    assert held == sorted(name for _, name in [("", "i0:1"), *expected(outcome(1))])


def test_a_topic_that_we_may_not_write_is_named_with_the_right_to_grant(secured: Kafka, kafka: Kafka) -> None:
    grant(
        kafka.bootstrap,
        *((ResourceType.TOPIC, name, AclOperation.WRITE) for name in (kafka.incidents, kafka.pushes, kafka.trends)),
        (ResourceType.TOPIC, kafka.deadletters, AclOperation.DESCRIBE),
    )
    sink = Topics(secured, ZONE)
    sink.write(outcome(0))
    with pytest.raises(StoreError, match=f"{kafka.deadletters} did not take .*grant WRITE"):
        sink.close()
    assert len(identities(kafka)) == len(expected(outcome(0))) - 1


def test_close_twice_is_close_once_and_a_write_after_it_says_so(kafka: Kafka) -> None:
    sink = Topics(kafka, ZONE)
    sink.write(outcome(0))
    sink.close()
    sink.close()
    assert identities(kafka) == expected(outcome(0))
    with pytest.raises(StoreError, match="is closed") as error:
        sink.write(outcome(1))
    assert str(kafka.bootstrap) in str(error.value)


def test_memory_holds_only_the_newest_identities(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.broker, "REMEMBERED_MESSAGES", 3)
    sink = Topics(kafka, ZONE)
    sink.write(outcome(0))
    sink.write(outcome(1))
    assert [name for _, name in sink._known] == ["p1:proposed", "t1", "cs.chat/0/1"]
    sink.close()
