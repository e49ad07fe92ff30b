"""A small world that opens one incident, and the whole product over it: real stages, real sinks, the real entry."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

import msgspec
import pytest

from flows.sources.world import write_world
from flows.sources.world.catalog import PRODUCT
from flows.sources.world.incidents import HOUR, KIND, Case, Incidents
from flows.sources.world.plan import finish
from flows.sources.world.setting import Plan, Setting
from qianshao.app import rehearsal
from qianshao.app.rehearsal import Observe, Rehearsal
from qianshao.config import KEY_ENVIRONMENT_VARIABLE, Config, Pipeline

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "sinks")]

Whole = Callable[..., Rehearsal]


@pytest.fixture(autouse=True)
def _demonstration_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_ENVIRONMENT_VARIABLE, raising=False)


def broken_firmware(setting: Setting) -> Plan:
    """After 26 quiet hours a firmware breaks the connections of sixty locks."""
    plan = Plan(line_weights=(0.62, 0.16, 0.14, 0.08))
    start = setting.start + 26 * HOUR
    stage = Incidents(setting, plan)
    case = Case(
        KIND["firmware_offline"],
        start,
        start + 2 * HOUR,
        60,
        product=PRODUCT["智能门锁"],
        model="K2",
        firmware="3.5.0",
    )
    assert stage.play(Random("broken firmware"), case)
    finish(plan)
    return plan


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of the world in order of arrival, dirt among them: about 3 800."""
    folder = tmp_path_factory.mktemp("world")
    write_world(1, 29, 0.035, folder, planner=broken_firmware)
    lines = gzip.decompress((folder / "events.jsonl.gz").read_bytes()).split(b"\n")
    assert 3_000 < len(lines) <= 5_000
    return lines


def _runner(tmp_path: Path) -> Whole:
    serial = count()

    def run(
        paths: list[Path],
        *,
        batch_size: int = 1_000,
        workers: int = 1,
        config: Config | None = None,
        observe: Observe = lambda fraction, outcome: None,
    ) -> Rehearsal:
        order = rehearsal.check(paths, tmp_path / f"out{next(serial)}", workers=workers)
        settings = config or Config(pipeline=Pipeline(batch_size=batch_size))
        return rehearsal.rehearse(msgspec.structs.replace(order, config=settings), observe)

    return run


@pytest.fixture
def whole(tmp_path: Path) -> Whole:
    """Run the whole product over files: `whole(paths, batch_size=…, workers=…, …)`, each time into a new folder."""
    return _runner(tmp_path)


@pytest.fixture(scope="module")
def module_whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """As `whole`, for a run that several tests look at."""
    return _runner(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, list[bytes]], Path]:
    """Write lines as one event file."""
    folder = tmp_path_factory.mktemp("logs")

    def write_lines(name: str, lines: list[bytes]) -> Path:
        path = folder / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write_lines


@pytest.fixture(scope="session")
def split(write: Callable[[str, list[bytes]], Path]) -> Callable[[list[bytes]], list[Path]]:
    """Write one log as two event files: what devices say, and everything else."""

    def split_lines(lines: list[bytes]) -> list[Path]:
        devices = [line for line in lines if b'"kind":"device"' in line]
        others = [line for line in lines if b'"kind":"device"' not in line]
        return [write("devices.jsonl", devices), write("others.jsonl", others)]

    return split_lines
