"""`qianshao run` over a broker gives the replay's incidents; tables, topics and pushes agree, and people are obeyed."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from strict_grafana import ADMIN, StrictGrafana
from tests_live import REORDER_SECONDS, configuration, consume, decided, live_until, produce

from qianshao.app.rehearsal import Rehearsal
from qianshao.clock import from_rfc3339, to_rfc3339
from qianshao.config import GRAFANA_VARIABLE, KEY_ENVIRONMENT_VARIABLE
from replay_data import world_path
from sinks import queries
from sinks.clickhouse import Store
from sinks.push_queue import PushQueue

SECONDS = 120.0
PATIENCE = {"idle_seconds": 2}


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return gzip.decompress((world_path("smart_lock") / "events.jsonl.gz").read_bytes()).split(b"\n")


class Running:
    """One `qianshao run`, and what it writes to its log."""

    def __init__(self, config: Path, log: Path, key: str) -> None:
        self._log = log
        with log.open("ab") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qianshao.app.cli", "run", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env={**os.environ, KEY_ENVIRONMENT_VARIABLE: key, GRAFANA_VARIABLE: ADMIN},
            )

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8")

    def address(self, before: str) -> str:
        found = re.search(before + r" (http://127\.0\.0\.1:\d+/)", self.said)
        assert found is not None, self.said
        return found[1]

    def address_when_ready(self, before: str) -> str:
        deadline = time.monotonic() + SECONDS
        while before not in self.said:
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
        return self.address(before)

    def get(self, url: str) -> Any:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@pytest.fixture
def started(tmp_path: Path, recorded_key: str) -> Iterator[Callable[[Path], Running]]:
    running: list[Running] = []

    def start(config: Path) -> Running:
        running.append(Running(config, tmp_path / f"log{len(running)}", recorded_key))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.wait()


class Listener:
    """Whoever subscribes to the topic of incidents."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "t", "auto.offset.reset": "earliest", "log_level": 0}
        )
        parts = self._consumer.list_topics(topic, timeout=20).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, part, 0) for part in parts])

    def until(self, wanted: Callable[[Any], bool], running: Running) -> Any:
        while (message := self._consumer.poll(SECONDS)) is not None:
            assert message.error() is None, message.error()
            change = json.loads(message.value() or b"")
            if wanted(change):
                return change
        raise AssertionError(running.said)

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def grafana() -> Iterator[StrictGrafana]:
    server = StrictGrafana()
    server.start()
    yield server
    server.stop()


def regions(grafana: StrictGrafana) -> dict[str, tuple[int, int]]:
    """Incident → start and end of its region; a second region of one incident fails."""
    found: dict[str, tuple[int, int]] = {}
    for note in grafana.notes.values():
        (incident,) = [tag.removeprefix("incident:") for tag in note["tags"] if tag.startswith("incident:")]
        assert incident not in found, "an incident has two regions"
        found[incident] = (note["time"], note["timeEnd"])
    return found


def test_the_recorded_world_through_a_broker_is_the_replay_and_people_are_obeyed(
    kafka: Any,
    lines: list[bytes],
    recorded: Rehearsal,
    tmp_path: Path,
    started: Callable[[Path], Running],
    grafana: StrictGrafana,
) -> None:
    kafka = msgspec.structs.replace(kafka, **PATIENCE)
    assert recorded.order.config.service.reorder_seconds == REORDER_SECONDS
    until = live_until(recorded)
    config = configuration(tmp_path, kafka, grafana=grafana.url)
    words = tmp_path / "words.txt"
    words.write_text("云盾锁灵犀版\n", "utf-8")
    config.write_text(f'{config.read_text("utf-8")}[models]\nvocabulary = "{words}"\n', "utf-8")
    produce(kafka, lines)
    incidents = decided(recorded, "incidents.jsonl", until)
    last = json.loads(incidents[-1])

    running = started(config)
    listener = Listener(kafka.bootstrap, kafka.incidents)
    listener.until(
        lambda change: (change["incident"], change["version"]) == (last["incident"], last["version"]), running
    )

    # People decide: the incident that is open is theirs, an earlier one was none, and there are new words. Time goes on
    # with the next record.
    words.write_text("云盾锁灵犀版\n月光门铃摩登版\n", "utf-8")
    latest = {change["incident"]: change for change in map(json.loads, incidents) if change["opened_at"]}
    (first,) = (incident for incident, change in latest.items() if change["status"] == "open")
    *_, other = (incident for incident, change in latest.items() if change["status"] == "resolved")
    at = to_rfc3339(until, recorded.order.config.service.zone)
    zone = {"at": at, "by": "王班长"}
    people = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for action in (
        {"id": "a-1", "action": "acknowledge", "incident": first, **zone},
        {"id": "a-2", "action": "dismiss", "incident": other, "reason": "演练", **zone},
        {"id": "a-3", "action": "acknowledge", "incident": "nobody-knows-it", **zone},
        {"id": "a-4", "action": "shout", **zone},
        {"id": "a-6", "action": "reload", **zone},
    ):
        people.produce(kafka.actions, json.dumps(action).encode())
    later = {"id": "later", "kind": "chat", "ts": recorded.watermark + 60_000, "channel": "app", "role": "customer"}
    people.produce(kafka.events[0], json.dumps({**later, "text": "你好"}).encode())
    assert people.flush(20) == 0
    dismissed = listener.until(lambda change: change["change"] == "dismissed" and "by" in change, running)
    listener.close()
    assert (dismissed["incident"], dismissed["by"], dismissed["reason"]) == (other, "王班长", "by_person")

    status = running.get(running.address("live page at") + "api/status")
    assert status["accounting"]["read"] == sum(1 for line in lines if line.strip()) + 6
    shown = running.get(running.address("live page at") + f"api/incidents/{first}")
    assert shown["history"][-1]["status"] == "acknowledged"
    counted = running.get(running.address("read-only at") + "?query=SELECT+count()+AS+n+FROM+events+FORMAT+JSONEachRow")
    assert counted["n"] > 20_000
    assert running.end() == 0, running.said
    assert "state saved" in running.said
    assert re.findall(r"vocabulary: version \w+, (\d) words", running.said) == ["1", "2"]
    opened = {json.loads(line)["incident"]: json.loads(line) for line in incidents if json.loads(line)["opened_at"]}
    shown_regions = regions(grafana)
    assert {name: start for name, (start, _) in shown_regions.items()} == {
        name: from_rfc3339(change["first_seen"]) for name, change in opened.items()
    }
    assert shown_regions[other][1] == from_rfc3339(dismissed["at"])

    # Started again with a Grafana that is away, and once more when it is back: nothing is lost, nothing doubles.
    grafana.stop()
    again = started(config)
    people.produce(kafka.events[0], json.dumps({**later, "id": "later still", "ts": later["ts"] + 60_000}).encode())
    people.produce(kafka.actions, json.dumps({"id": "a-5", "action": "resolve", "incident": first, **zone}).encode())
    assert people.flush(20) == 0
    listener = Listener(kafka.bootstrap, kafka.incidents)
    resolved = listener.until(lambda change: (change["incident"], change["change"]) == (first, "resolved"), again)
    assert again.end() == 0, again.said
    assert "grafana_unavailable" in again.said
    grafana.start()
    once_more = started(config)
    listener.close()
    while regions(grafana)[first][1] < from_rfc3339(resolved["at"]):
        assert once_more.process.poll() is None, once_more.said
        once_more.get(once_more.address_when_ready("live page at") + "api/status")
    assert once_more.end() == 0, once_more.said
    assert regions(grafana).keys() == shown_regions.keys()

    store = Store(tmp_path / "state" / "store")
    try:
        rows = store.select("SELECT record FROM incidents FINAL ORDER BY at, incident, version")
        table = [str(row[0]).encode() for row in rows]
        actions = dict(store.select("SELECT id, (state, detail) FROM actions FINAL"))  # type: ignore[arg-type]
        pushes = {str(row[0]) for row in store.select("SELECT DISTINCT push FROM pushes")}
        reasons = queries.deadletters_by_reason(store)
    finally:
        store.close()
    assert table[: len(incidents)] == incidents
    assert sorted(table) == sorted(value for _, value in consume(kafka, kafka.incidents))
    assert {name: tuple(outcome) for name, outcome in actions.items()} == {
        "a-1": ("applied", ""),
        "a-2": ("applied", ""),
        "a-3": ("refused", "unknown_incident"),
        "a-5": ("applied", ""),
        "a-6": ("recorded", ""),
    }
    assert reasons["unknown_action"] == 1
    proposed = {json.loads(line)["push"] for line in decided(recorded, "pushes.jsonl", until)}
    assert proposed <= pushes
    assert pushes == {json.loads(value)["push"] for _, value in consume(kafka, kafka.pushes)}
    queue = PushQueue(tmp_path / "state" / "push_queue.sqlite3", recorded.order.config.service.zone)
    try:
        assert sum(queue.counts().values()) == len(pushes)
        assert queue.counts()["cancelled"] == sum(other in push for push in pushes)
    finally:
        queue.close()


def test_a_service_refuses_to_make_pseudonyms_with_the_published_key(kafka: Any, tmp_path: Path) -> None:
    config = configuration(tmp_path, kafka)
    run = subprocess.run(
        [sys.executable, "-m", "qianshao.app.cli", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert run.returncode == 2
    assert "privacy.pseudonym_key_file is not set" in run.stderr
    assert not (tmp_path / "state").exists()
