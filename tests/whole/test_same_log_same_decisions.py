"""One log gives the same bytes, however it arrives, is cut, and is shared out over processes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianshao.app.rehearsal import Rehearsal

Whole = Callable[..., Rehearsal]
Write = Callable[[str, list[bytes]], Path]
Split = Callable[[list[bytes]], list[Path]]

DECISIONS = ("incidents.jsonl", "pushes.jsonl", "trends.jsonl")
REORDER_MS = 300_000


def decided(report: Rehearsal) -> list[bytes]:
    """Bytes of every file of decisions."""
    return [(report.order.out / name).read_bytes() for name in DECISIONS]


@pytest.fixture(scope="module")
def log(world: list[bytes]) -> list[tuple[int, bytes]]:
    """What is plausible in the world, in order of event time, bunched so that many events share a decision."""
    records = []
    for line in world:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("ts"), int):
            ts = record["ts"] // REORDER_MS * REORDER_MS + record["ts"] % REORDER_MS // 60
            records.append((ts, line.replace(b'"ts":%d' % record["ts"], b'"ts":%d' % ts)))
    records.sort()
    middle = records[len(records) // 2][0]
    return [(ts, line) for ts, line in records if abs(ts - middle) < 24 * 3_600_000]


@pytest.fixture(scope="module")
def expected(log: list[tuple[int, bytes]], module_whole: Whole, write: Write) -> list[bytes]:
    """The decisions over the log in order, out of one file, on one process."""
    report = module_whole([write("ordered.jsonl", [line for _, line in log])])
    files = decided(report)
    assert b'"change":"opened"' in files[0]
    assert all(file.count(b"\n") >= 2 for file in files)
    assert report.total.late == 0
    return files


@pytest.mark.parametrize("batch_size", [1, 100])
def test_the_size_of_batches_decides_nothing(
    log: list[tuple[int, bytes]], expected: list[bytes], whole: Whole, write: Write, batch_size: int
) -> None:
    path = write("ordered.jsonl", [line for _, line in log])
    assert decided(whole([path], batch_size=batch_size)) == expected


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), batch_size=st.sampled_from([50, 1_000]))
def test_the_order_of_arrival_within_the_window_decides_nothing(
    log: list[tuple[int, bytes]], expected: list[bytes], whole: Whole, write: Write, seed: int, batch_size: int
) -> None:
    rng = random.Random(seed)
    shuffled = sorted(log, key=lambda record: record[0] + rng.randrange(REORDER_MS))
    assert shuffled != log
    report = whole([write("shuffled.jsonl", [line for _, line in shuffled])], batch_size=batch_size)
    assert report.total.late == 0
    assert decided(report) == expected


def test_one_file_or_two_decides_nothing(
    log: list[tuple[int, bytes]], expected: list[bytes], whole: Whole, split: Split
) -> None:
    paths = split([line for _, line in log])
    assert min(path.stat().st_size for path in paths) > 100_000
    assert decided(whole(paths)) == expected


def test_a_second_process_decides_nothing(
    log: list[tuple[int, bytes]], expected: list[bytes], whole: Whole, write: Write
) -> None:
    path = write("ordered.jsonl", [line for _, line in log])
    assert decided(whole([path], workers=2, batch_size=100)) == expected


def test_one_dirty_log_decides_the_same_in_any_cut(world: list[bytes], whole: Whole, write: Write) -> None:
    path = write("dirty.jsonl", world)
    one, other = whole([path]), whole([path], batch_size=7)
    assert b'"change":"opened"' in decided(one)[0]
    assert decided(one) == decided(other)
    assert one.total == other.total
    assert letters(one) == letters(other)


def letters(report: Rehearsal) -> list[dict[str, object]]:
    """Dead letters without `at`, which says how far decisions had come when the letter was written."""
    lines = (report.order.out / "deadletters.jsonl").read_bytes().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "at"} for line in lines]
