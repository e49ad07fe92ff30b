"""A Kafka broker on this machine without Docker: Apache Kafka from its Maven artifacts, else librdkafka's mock cluster.

``python tests/broker/local_broker.py`` starts one, prints where it listens, and runs until Ctrl-C. The tests start the
same program with ``--until-unlocked FILE``: it ends, and the broker with it, as soon as nobody holds a lock on that
file any more, however its holder ended.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from platformdirs import user_cache_path

POM = Path(__file__).with_name("pom.xml")
JAVA = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
FETCH_SECONDS = 600
START_SECONDS = 60
USERS = {"writer": "writer-secret", "reader": "reader-secret"}
"""Who may log in on the second listener, by SASL PLAIN; what they may do there, a test has to grant."""


class NotHereError(Exception):
    """The real broker cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Address:
    """Where a broker listens and what it is."""

    bootstrap: str
    kind: str
    real: bool
    sasl: str = ""
    """A second listener that asks for a name and a password; '' where there is none."""


def fetched() -> tuple[Path, str]:
    """Return the folder of the broker's jars, fetched once through Maven, and their version."""
    found = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)</version>", POM.read_text("utf-8"))
    assert found is not None
    version = found[1]
    java = shutil.which("java")
    if java is None:
        raise NotHereError("java is not here")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    major = re.search(r'version "(\d+)', told)
    if major is None or int(major[1]) < 17:
        raise NotHereError("java is older than 17")
    cache = user_cache_path("qianshao")
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / f"kafka-{version}"
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            maven = shutil.which("mvn")
            if maven is None:
                raise NotHereError("mvn is not here")
            with tempfile.TemporaryDirectory(dir=cache, prefix="kafka-part-") as part:
                shutil.copy(POM, part)
                command = [maven, "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DincludeScope=runtime"]
                try:
                    run = subprocess.run(
                        [*command, f"-DoutputDirectory={part}/jars"],
                        cwd=part,
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        text=True,
                        check=False,
                        timeout=FETCH_SECONDS,
                    )
                except subprocess.TimeoutExpired:
                    raise NotHereError(f"mvn did not fetch Apache Kafka within {FETCH_SECONDS} s") from None
                if run.returncode:
                    raise NotHereError(f"mvn could not fetch Apache Kafka: {run.stdout.strip()[:300]}")
                Path(part, "jars").rename(jars)
    return jars, version


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def properties(data: Path, plain: int, sasl: int, controller: int) -> str:
    """Write the broker's configuration: one process, on loopback only, which creates nothing unasked."""
    jaas = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    listeners = f"PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl}"
    return "\n".join(
        (
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            "controller.listener.names=CONTROLLER",
            f"listeners={listeners},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners={listeners}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=PLAINTEXT",
            "sasl.enabled.mechanisms=PLAIN",
            f"listener.name.sasl_plaintext.plain.sasl.jaas.config={module} required {jaas};",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
            f"log.dirs={data}",
            "auto.create.topics.enable=false",
            "log.cleaner.enable=false",
            "group.initial.rebalance.delay.ms=0",
            "offsets.topic.num.partitions=1",
            "offsets.topic.replication.factor=1",
            "transaction.state.log.num.partitions=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "num.io.threads=2",
            "num.network.threads=2",
            "background.threads=2",
            "",
        )
    )


def answers(bootstrap: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the broker gives its metadata; False if it ended instead."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            admin.list_topics(timeout=0.5)
        except KafkaException:
            continue
        return True
    return False


@contextmanager
def real_broker(port: int = 0) -> Iterator[tuple[Address, subprocess.Popen[bytes]]]:
    """Run Apache Kafka, as one process with its data in a temporary folder, for as long as the context lasts."""
    jars, version = fetched()
    plain, sasl, controller = free_ports(3)
    with tempfile.TemporaryDirectory(prefix="qianshao-kafka-", ignore_cleanup_errors=True) as folder:
        settings, log = Path(folder, "server.properties"), Path(folder, "log.txt")
        settings.write_text(properties(Path(folder, "data"), port or plain, sasl, controller), "utf-8")
        java = ["java", *JAVA, "-cp", f"{jars}/*"]
        with log.open("wb") as output:
            cluster = ["--cluster-id", "qianshao-local-broker0", "--config", str(settings)]
            subprocess.run(
                [*java, "kafka.tools.StorageTool", "format", *cluster], stdout=output, stderr=output, check=False
            )
            process = subprocess.Popen([*java, "kafka.Kafka", str(settings)], stdout=output, stderr=output)
        try:
            address = Address(
                f"127.0.0.1:{port or plain}", f"Apache Kafka {version}", real=True, sasl=f"127.0.0.1:{sasl}"
            )
            if not answers(address.bootstrap, process):
                raise NotHereError(f"Apache Kafka {version} does not start: {log.read_text('utf-8')[-500:]}")
            yield address, process
        finally:
            process.kill()
            process.wait()


@contextmanager
def mock_broker(reason: str) -> Iterator[Address]:
    """Run librdkafka's mock cluster inside this process."""
    producer = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    yield Address(f"{broker.host}:{broker.port}", f"librdkafka's mock cluster, because {reason}", real=False)
    producer.flush(0)


def end_with(lock: Path) -> None:
    """End this process as soon as the lock on a file can be had: its holder is gone."""

    def wait() -> None:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def create_default_topics(bootstrap: str) -> list[str]:
    """Create every topic that the default configuration names."""
    from qianshao.config import Kafka

    kafka = Kafka()
    names = [*kafka.events, kafka.actions, kafka.incidents, kafka.pushes, kafka.trends, kafka.deadletters]
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(name, 3, 1) for name in names]).values():
        future.result()
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs one Kafka broker on 127.0.0.1 until Ctrl-C.")
    parser.add_argument("--port", type=int, default=0, help="where it listens; 0 takes a free port")
    parser.add_argument("--topics", action="store_true", help="create the topics of the default configuration")
    parser.add_argument("--until-unlocked", type=Path, metavar="FILE", help="for tests; allows the mock cluster")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with ExitStack() as stack:
            return run(stack, options.port, options.topics, options.until_unlocked)
    except KeyboardInterrupt:
        return 0


def run(stack: ExitStack, port: int, topics: bool, lock: Path | None) -> int:
    """Start a broker, say where it is, and wait until it ends."""
    process = None
    try:
        address, process = stack.enter_context(real_broker(port))
    except NotHereError as error:
        if lock is None:
            print(f"kafka: {error}", file=sys.stderr)
            return 1
        address = stack.enter_context(mock_broker(str(error)))
    if lock is not None:
        print(json.dumps(asdict(address)), flush=True)
        end_with(lock)
    else:
        names = create_default_topics(address.bootstrap) if topics else []
        print(f"{address.kind} listens on {address.bootstrap}; Ctrl-C stops it and forgets its data", flush=True)
        print(*names, sep="\n", flush=True)
    if process is None:
        threading.Event().wait()
    else:
        process.wait()
    return 1


if __name__ == "__main__":
    sys.exit(main())
