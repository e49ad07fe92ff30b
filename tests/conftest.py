"""What every room's tests share: one Kafka broker, and missing parts that skip a test unless they must be there."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import pytest
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from qianshao.app.rehearsal import Rehearsal

# Several test processes share the cores: in each, the waiting threads of matrix products only take time from the rest.
threadpool_limits(limits=1, user_api="blas")

REQUIRED_PARTS = frozenset(part.strip() for part in os.environ.get("QIANSHAO_REQUIRE", "").split(",") if part.strip())

Require = Callable[[str, bool, str], None]


@pytest.fixture(scope="session")
def require() -> Require:
    """Return `require(part, available, reason)`: skip with the reason when the part is absent.

    The environment variable QIANSHAO_REQUIRE holds part names separated by commas. A part named there must be present:
    its absence fails the test, so that a run which promised to look cannot silently look away.
    """

    def check(part: str, available: bool, reason: str) -> None:
        if available:
            return
        if part in REQUIRED_PARTS:
            pytest.fail(f"QIANSHAO_REQUIRE names {part!r}, but {reason}", pytrace=False)
        pytest.skip(reason)

    return check


# --- the broker: one for the whole run, also where several processes share the tests ---

GIVEN_BROKER = os.environ.get("QIANSHAO_KAFKA_BOOTSTRAP", "")
SESSION = "QIANSHAO_TEST_SESSION"
START_BROKER = Path(__file__).parent / "broker" / "local_broker.py"
_held: list[IO[bytes]] = []


@dataclass(frozen=True)
class Broker:
    """A Kafka broker for tests."""

    bootstrap: str
    kind: str
    real: bool
    sasl: str = ""
    """A second listener that asks for a name and a password; '' where there is none."""


def pytest_configure(config: pytest.Config) -> None:
    """Hold a lock for as long as the run lasts: the broker ends when it is free, however the run ended."""
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="qianshao-tests-"))
        handle = (folder / "running").open("wb")
        fcntl.flock(handle, fcntl.LOCK_EX)
        _held.append(handle)
        os.environ[SESSION] = str(folder)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which broker the tests have used."""
    found = Path(os.environ[SESSION], "broker.json")
    if found.is_file():
        broker = Broker(**json.loads(found.read_text("utf-8")))
        terminalreporter.write_line(f"Kafka: {broker.kind} at {broker.bootstrap}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the broker go."""
    if not hasattr(config, "workerinput"):
        _held.pop().close()
        shutil.rmtree(os.environ.pop(SESSION))


def _start_broker(folder: Path) -> Broker:
    if GIVEN_BROKER:
        return Broker(GIVEN_BROKER, "the one given by QIANSHAO_KAFKA_BOOTSTRAP", real=True)
    command = [sys.executable, str(START_BROKER), "--until-unlocked", str(folder / "running")]
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert process.stdout is not None
    with process.stdout as told:
        line = told.readline()
    # It ends after us, and nobody waits for it.
    process.returncode = 0
    assert line, (folder / "broker.log").read_text("utf-8")
    return Broker(**json.loads(line))


@pytest.fixture(scope="session")
def broker(require: Require) -> Broker:
    """Return the broker that all tests of this run share, starting it for the first who asks.

    It is the one that QIANSHAO_KAFKA_BOOTSTRAP names; else Apache Kafka from its Maven artifacts, where Java and Maven
    are here; else librdkafka's mock cluster, unless QIANSHAO_REQUIRE names `kafka`. The run says which at its end.
    """
    folder = Path(os.environ[SESSION])
    told = folder / "broker.json"
    with (folder / "starting").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.is_file():
            told.write_text(json.dumps(vars(_start_broker(folder))), "utf-8")
    broker = Broker(**json.loads(told.read_text("utf-8")))
    if not broker.real and "kafka" in REQUIRED_PARTS:
        require("kafka", False, f"there is only {broker.kind}")
    return broker


@pytest.fixture(scope="session")
def real_broker(broker: Broker, require: Require) -> Broker:
    """Return the broker if it is a real one: some of its answers the mock cluster does not know."""
    require("kafka", broker.real, f"there is only {broker.kind}")
    return broker


@pytest.fixture
def kafka(broker: Broker) -> Any:
    """Return a `[kafka]` section whose topics are this test's own; they exist and are empty."""
    return fresh_topics(broker)


def fresh_topics(broker: Broker, partitions: int = 2) -> Any:
    """Create topics under a prefix that nobody else uses, and name them in a `[kafka]` section."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    from qianshao.config import Kafka

    plain = Kafka()
    prefix = f"t{uuid.uuid4().hex[:8]}."
    kafka = Kafka(
        bootstrap=broker.bootstrap,
        events=tuple(prefix + name for name in plain.events),
        actions=prefix + plain.actions,
        incidents=prefix + plain.incidents,
        pushes=prefix + plain.pushes,
        trends=prefix + plain.trends,
        deadletters=prefix + plain.deadletters,
        group=prefix + plain.group,
    )
    names = [*kafka.events, kafka.actions, kafka.incidents, kafka.pushes, kafka.trends, kafka.deadletters]
    settings = {"bootstrap.servers": broker.bootstrap, "log_level": 0}
    if broker.real:
        admin = AdminClient(settings)
        for future in admin.create_topics([NewTopic(name, partitions) for name in names]).values():
            future.result()
        # The controller has them at once, the broker a moment later.
        while not _known_everywhere(admin.list_topics(timeout=10).topics, names):
            continue
    else:
        # The mock cluster creates what a producer asks for, and nothing else.
        producer = Producer(settings)
        for name in names:
            producer.list_topics(name, timeout=10)
    return kafka


def _known_everywhere(topics: Any, names: list[str]) -> bool:
    return all(
        name in topics and all(each.leader >= 0 and each.error is None for each in topics[name].partitions.values())
        for name in names
    )


# --- the recorded world: replayed once for the whole run ---


@pytest.fixture(scope="session")
def recorded_key() -> str:
    """Return what the pseudonyms of the recorded world are made with."""
    return "a key for the recorded world alone"


@pytest.fixture(scope="session")
def recorded(recorded_key: str) -> Rehearsal:
    """Return the replay of the recorded smart-lock world that all tests of this run share: who writes, copies first.

    It waits five minutes for what is late, as the service does that the tests compare with it.
    """
    from qianshao.app import rehearsal
    from qianshao.config import KEY_ENVIRONMENT_VARIABLE, Config, Service
    from replay_data import world_path

    folder = Path(os.environ[SESSION])
    told = folder / "recorded.pickle"
    with (folder / "recording").open("wb") as lock, pytest.MonkeyPatch.context() as environment:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.is_file():
            environment.setenv(KEY_ENVIRONMENT_VARIABLE, recorded_key)
            order = rehearsal.check([world_path("smart_lock") / "events.jsonl.gz"], folder / "recorded")
            config = Config(service=Service(reorder_seconds=300))
            replayed = rehearsal.rehearse(msgspec.structs.replace(order, config=config), lambda fraction, outcome: None)
            told.write_bytes(pickle.dumps(replayed))
    replayed = pickle.loads(told.read_bytes())
    assert isinstance(replayed, rehearsal.Rehearsal)
    return replayed
