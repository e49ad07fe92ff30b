"""Starts, stops and asks the ClickHouse server of the tests (`clickhouse_front`)."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from qianshao.config import ClickHouse

FRONT = Path(__file__).with_name("clickhouse_front.py")
PASSWORD = "front-secret"

_numbers = itertools.count()


def new_database() -> str:
    """A name that no other test uses."""
    return f"qianshao_test_{os.getpid()}_{next(_numbers)}"


class Front:
    """The server of these tests: can be stopped and started again on the same folder and port."""

    def __init__(self, folder: Path, version: str = "") -> None:
        self.folder = folder
        self.version = version
        self.port = "0"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FRONT), str(self.folder), self.port, self.version],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert self.process.stdout is not None
        self.port = self.process.stdout.readline().strip()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def config(self) -> ClickHouse:
        return ClickHouse(url=f"http://127.0.0.1:{self.port}", database=new_database())

    def inserts(self) -> list[dict[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen") as answer:
            seen: list[dict[str, str]] = json.load(answer)
        return seen
