"""Every record that is read ends in exactly one place, and all outputs agree on how many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.decode import Rejected, decode
from qianshao.app.rehearsal import ACCOUNTS, Rehearsal
from sinks.clickhouse import Store

Whole = Callable[..., Rehearsal]
Split = Callable[[list[bytes]], list[Path]]

LATE = b'{"id":"gone by","kind":"chat","ts":%d,"text":"\xe4\xbd\xa0\xe5\xa5\xbd"}'


@pytest.fixture(scope="module")
def replayed(
    world: list[bytes], split: Split, module_whole: Whole
) -> tuple[list[Path], Rehearsal, dict[str, tuple[int, ...]], int, int]:
    """The dirty world out of two files, with what the store says about it: tallies, events counted, events late."""
    first = json.loads(next(line for line in world if line.startswith(b"{")))["ts"]
    paths = split([*world, LATE % first, b"", b"  \t", b"{", *world[100:120]])
    report = module_whole(paths)
    store = Store(report.order.store)
    try:
        tallies = {
            str(row[0]): tuple(int(str(value)) for value in row[1:])
            for row in store.select(f"SELECT source, {', '.join(ACCOUNTS)} FROM tallies FINAL")
        }
        ((stored, late),) = store.select("SELECT count(), countIf(late) FROM events FINAL")
    finally:
        store.close()
    return paths, report, tallies, int(str(stored)), int(str(late))


def test_each_source_is_accounted_to_the_last_record(
    replayed: tuple[list[Path], Rehearsal, dict[str, tuple[int, ...]], int, int],
) -> None:
    paths, _, tallies, _, _ = replayed
    assert set(tallies) == {str(path) for path in paths}
    for path in paths:
        read, *ends = tallies[str(path)]
        assert read == sum(ends)
        assert read == sum(1 for line in path.read_bytes().split(b"\n") if line.strip())


def test_the_summary_is_the_sum_of_the_sources(
    replayed: tuple[list[Path], Rehearsal, dict[str, tuple[int, ...]], int, int],
) -> None:
    _, report, tallies, _, _ = replayed
    summary = json.loads((report.order.out / "summary.json").read_text("utf-8"))
    assert {name: summary[name] for name in ACCOUNTS} == dict(
        zip(ACCOUNTS, map(sum, zip(*tallies.values(), strict=True)), strict=True)
    )
    assert min(summary[name] for name in ACCOUNTS if name != "dropped") > 0, "every end but dropping is met"
    assert summary["dropped"] == 0


def test_the_store_and_the_files_hold_what_was_accounted(
    replayed: tuple[list[Path], Rehearsal, dict[str, tuple[int, ...]], int, int],
) -> None:
    paths, report, tallies, stored, late = replayed
    books = report.total
    assert (stored, late) == (books.counted + books.late, books.late)
    letters = [json.loads(line) for line in (report.order.out / "deadletters.jsonl").read_text("utf-8").splitlines()]
    assert len(letters) == books.dead
    by_source = Counter(letter["source"] for letter in letters)
    assert by_source == {str(path): tallies[str(path)][ACCOUNTS.index("dead")] for path in paths}
    assert report.deadletters == dict(Counter(letter["reason"] for letter in letters))
    for letter in letters:
        line = Path(letter["source"]).read_bytes().split(b"\n")[letter["position"] - 1]
        (fate,) = decode([line])
        own = fate.reason if isinstance(fate, Rejected) else "implausible_timestamp"
        assert letter["reason"] == own, "a letter names the line that it stands for"
