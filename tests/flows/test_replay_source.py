"""Reading files: what is refused, what is tolerated, and that cuts lose nothing."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from flow_fakes import START, line

from flows.decode import MAX_LINE_BYTES, decode
from flows.sources.replay import FilesReader, check_inputs
from qianshao.errors import InputError


def read(paths: list[Path], batch_size: int) -> tuple[dict[int, list[bytes]], list[str]]:
    reader = FilesReader(paths, batch_size)
    lines: dict[int, list[bytes]] = {}
    failures = []
    sequences = dict.fromkeys(range(len(paths)), 0)
    while (batch := reader.next(())) is not None:
        known = lines.setdefault(batch.partition, [])
        assert batch.sequence == sequences[batch.partition]
        assert batch.first == len(known) + 1
        assert len(batch.lines) <= batch_size
        sequences[batch.partition] += 1
        known += batch.lines
        if batch.failure:
            failures.append(batch.failure)
    return lines, failures


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_every_line_is_read_once_whatever_the_batch(tmp_path: Path, name: str, batch_size: int) -> None:
    lines = [b"%d" % number * (number % 700) for number in range(1500)]
    content = b"\n".join(lines)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read([path], batch_size) == ({0: lines}, [])


def test_a_last_newline_starts_no_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\r\n2\r\n")
    assert read([path], 10)[0] == {0: [b"1\r", b"2\r"]}


def test_an_overlong_line_is_one_record_and_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1, START) + b"\n" + b"x" * (5 * MAX_LINE_BYTES) + b"\n" + line(2, START))
    lines = read([path], 10)[0][0]
    assert [len(each) for each in lines] == [len(line(1, START)), MAX_LINE_BYTES + 1, len(line(2, START))]
    assert getattr(decode(lines)[1], "reason", "") == "line_too_long"


def test_the_file_furthest_behind_is_read_next(tmp_path: Path) -> None:
    early, late = tmp_path / "early.jsonl", tmp_path / "late.jsonl"
    early.write_bytes(b"\n".join(line(n, START + n * 1000, text="x" * 900) for n in range(2000)))
    late.write_bytes(b"\n".join(line(n, START + 10**9 + n * 1000, text="x" * 900) for n in range(2000)))
    reader = FilesReader([late, early], 100)
    order = []
    while (batch := reader.next(())) is not None:
        order.append(batch.partition)
    assert order[0] == 0
    assert order[1:].index(0) == sum(partition == 1 for partition in order)


def test_a_broken_archive_gives_what_could_be_read_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress(b"\n".join(line(n, START + n) for n in range(30_000)))
    path.write_bytes(whole[: len(whole) // 2])
    lines, failures = read([path], 1000)
    assert len(lines[0]) > 1000
    assert "a.jsonl.gz: cannot be read to its end" in failures[0]
    path.write_bytes(b"no archive")
    assert read([path], 1000)[0] == {0: []}


def test_what_cannot_be_replayed_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    for paths, said in (
        ([], "no input"),
        ([tmp_path], "is a folder"),
        ([tmp_path / "none.jsonl"], "No such file"),
        ([tmp_path / "a.csv"], "unknown suffix"),
    ):
        with pytest.raises(InputError, match=said):
            check_inputs(paths)


def test_a_file_named_twice_or_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("{}\n")
    with pytest.raises(InputError, match="named twice"):
        check_inputs([path, tmp_path / "." / "events.jsonl"])
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="not an ordinary file"):
        check_inputs([pipe])
