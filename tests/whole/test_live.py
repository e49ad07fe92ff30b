"""The running service says what a replay of the same records says, however often it is killed, and obeys people."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from tests_live import (
    REORDER_SECONDS,
    configuration,
    consume,
    decided,
    early,
    live_until,
    produce,
    wait_for_one,
)

from flows.live import StateFolder, run_live
from qianshao.app.rehearsal import Rehearsal
from qianshao.config import Config, Service, load_config
from qianshao.errors import ConfigError, StoreError, UnavailableError
from qianshao.outcome import Outcome

SERVICE = Path(__file__).with_name("live_service.py")


@pytest.fixture(scope="module")
def replayed(world: list[bytes], write: Callable[..., Path], module_whole: Callable[..., Rehearsal]) -> Rehearsal:
    """The same records as one file."""
    return module_whole([write("live.jsonl", world)], config=Config(service=Service(reorder_seconds=REORDER_SECONDS)))


def start(config: Path, out: Path, records: int, until: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SERVICE), str(config), str(out), str(records), str(until)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SERVICE.parents[2])},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    try:
        _, said = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, said.decode()


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_service_killed_again_and_again_tells_everybody_what_a_replay_says_and_once(
    kafka: Any, world: list[bytes], replayed: Rehearsal, tmp_path: Path, workers: int
) -> None:
    kafka = msgspec.structs.replace(kafka, idle_seconds=2)
    records, until = produce(kafka, world), live_until(replayed)
    config, out = configuration(tmp_path, kafka, workers=workers), tmp_path / "out"
    moments = Random(workers)
    for _ in range(3):
        process = start(config, out, records, until)
        try:
            process.wait(moments.uniform(2.0, 4.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.stderr is not None
        process.stderr.close()
    # One more record, so that the last of them has something to decide even if another had decided everything.
    later = {"id": "later", "kind": "chat", "ts": replayed.watermark + 60_000, "role": "customer", "text": "你好"}
    produce(kafka, [msgspec.json.encode(later)])
    finish(start(config, out, records + 1, until))

    incidents = decided(replayed, "incidents.jsonl", until)
    assert any(b'"change":"opened"' in line for line in incidents)
    assert (out / "incidents.jsonl").read_bytes().splitlines()[: len(incidents)] == incidents
    pushes = (out / "pushes.jsonl").read_bytes().splitlines()
    assert sorted(early(pushes, until)) == sorted(decided(replayed, "pushes.jsonl", until))
    for topic, name in ((kafka.incidents, "incidents"), (kafka.pushes, "pushes"), (kafka.trends, "trends")):
        told = consume(kafka, topic)
        assert set(Counter(identity for identity, _ in told).values()) <= {1}, topic
        assert sorted(value for _, value in told) == sorted((out / f"{name}.jsonl").read_bytes().splitlines()), topic


def test_a_service_killed_before_its_first_snapshot_does_not_tell_anybody_again(
    kafka: Any, world: list[bytes], replayed: Rehearsal, tmp_path: Path
) -> None:
    kafka = msgspec.structs.replace(kafka, idle_seconds=2)
    records, until = produce(kafka, world), live_until(replayed)
    config, out = configuration(tmp_path, kafka, snapshot_seconds=600), tmp_path / "out"
    process = start(config, out, records + 1, until)
    first = wait_for_one(kafka, kafka.incidents)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    later = {"id": "later", "kind": "chat", "ts": replayed.watermark + 60_000, "role": "customer", "text": "你好"}
    produce(kafka, [msgspec.json.encode(later)])
    finish(start(config, out, records + 1, until))
    told = [identity for identity, _ in consume(kafka, kafka.incidents)]
    assert told.count(first) == 1
    assert len(told) == len(set(told)) == len((out / "incidents.jsonl").read_bytes().splitlines())


class ComingAndGoing:
    """A store that does not answer for a while, twice, and then takes what it is given."""

    def __init__(self) -> None:
        self.calls = 0
        self.waiting: list[str] = []
        self.kept: list[str] = []

    def _answer(self) -> None:
        self.calls += 1
        if self.calls in (2, 3, 6):
            raise UnavailableError("store: does not answer; start it")

    def write(self, outcome: Outcome) -> None:
        self._answer()
        self.waiting += [event.id for event in outcome.counted]

    def flush(self) -> None:
        self._answer()
        self.kept += self.waiting
        self.waiting = []

    def close(self) -> None:
        self.kept += self.waiting
        self.waiting = []


def test_a_store_that_is_away_for_a_while_holds_the_service_up_and_loses_nothing(
    kafka: Any, world: list[bytes], replayed: Rehearsal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = msgspec.structs.replace(kafka, idle_seconds=2)
    records, until = produce(kafka, world), live_until(replayed)
    config = load_config(configuration(tmp_path, kafka))
    state = StateFolder(tmp_path / "state", config.pipeline.shards)
    store = ComingAndGoing()
    stops: list[Callable[[], None]] = []
    counted = 0

    def observe(outcome: Outcome) -> None:
        nonlocal counted
        counted += len(outcome.counted)
        if outcome.watermark >= until and sum(tally.read for tally in outcome.tallies) == records:
            stops[0]()

    with caplog.at_level("WARNING", "qianshao.live"):
        run_live(config, state, [store], observe=observe, started=stops.append)
    state.close()
    assert caplog.text.count("store: does not answer; start it; trying again") == 3
    assert len(store.kept) == len(set(store.kept)) == counted > 0


def test_what_a_store_refuses_for_good_ends_the_service_and_is_read_again(
    kafka: Any, world: list[bytes], replayed: Rehearsal, tmp_path: Path
) -> None:
    kafka = msgspec.structs.replace(kafka, idle_seconds=2)
    records, until = produce(kafka, world), live_until(replayed)
    path = configuration(tmp_path, kafka)
    config = load_config(path)

    class Broken(ComingAndGoing):
        def write(self, outcome: Outcome) -> None:
            if outcome.incidents:
                raise StoreError("store: the disk is full; free space")

    state = StateFolder(tmp_path / "state", config.pipeline.shards)
    with pytest.raises(StoreError, match="the disk is full"):
        run_live(config, state, [Broken()])
    state.close()
    out = tmp_path / "out"
    finish(start(path, out, records, until))
    incidents = decided(replayed, "incidents.jsonl", until)
    assert (out / "incidents.jsonl").read_bytes().splitlines()[: len(incidents)] == incidents


def test_two_services_do_not_share_a_state_folder(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state", 4)
    with pytest.raises(StoreError, match=r"run\.state .*: another process runs on it"):
        StateFolder(tmp_path / "state", 4)
    state.close()
    StateFolder(tmp_path / "state", 4).close()


def test_a_state_cut_into_other_shards_is_refused(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state", 4)
    state.begin(b"{}", b"{}")
    state.close()
    with pytest.raises(ConfigError, match=r"pipeline\.shards: is 8, but the state in .* was made with 4"):
        StateFolder(tmp_path / "state", 8)


def test_the_state_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    StateFolder(folder, 4).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_somebody_else_may_have_filled_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateFolder(tmp_path / "state", 4).close()
    monkeypatch.setattr("os.geteuid", lambda: 54_321)
    with pytest.raises(ConfigError, match="belongs to another user"):
        StateFolder(tmp_path / "state", 4)
