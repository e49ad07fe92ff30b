"""The broker of the tests says what it is, and does not outlive those who use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import local_broker

HOLDER = """
import fcntl, sys
handle = open(sys.argv[1], "wb")
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_without_java_it_is_the_mock_cluster_and_says_why_and_ends_with_its_killed_user(tmp_path: Path) -> None:
    lock = tmp_path / "running"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "held\n"
        with subprocess.Popen(
            [sys.executable, local_broker.__file__, "--until-unlocked", str(lock)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": str(tmp_path)},
            text=True,
        ) as broker:
            assert broker.stdout is not None
            told = json.loads(broker.stdout.readline())
            assert told["real"] is False
            assert "java is not here" in told["kind"]
            assert broker.poll() is None
            user.kill()
            assert broker.wait(20) == 0


def test_by_hand_there_is_no_mock_cluster_but_a_reason(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, local_broker.__file__],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (1, "", "kafka: java is not here\n")


def test_the_real_broker_listens_on_loopback_alone(tmp_path: Path) -> None:
    settings = local_broker.properties(tmp_path, 1, 2, 3)
    listeners = next(line for line in settings.splitlines() if line.startswith("listeners="))
    addresses = listeners.removeprefix("listeners=").split(",")
    assert [each.split("://")[1] for each in addresses] == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
