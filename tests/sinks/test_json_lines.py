"""The files of a replay: their names, their lines, and what happens when the disk or a process fails."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.errors import OutputError, StoreError
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome
from qianshao.push import Push, Trend
from sinks.files import JsonLines, prepare_output, write_summary


def test_all_four_files_exist_even_when_nothing_happened(tmp_path: Path, make: Any) -> None:
    JsonLines(tmp_path, make.zone).close()
    assert {entry.name: entry.stat().st_size for entry in tmp_path.iterdir()} == {
        "incidents.jsonl": 0,
        "pushes.jsonl": 0,
        "deadletters.jsonl": 0,
        "trends.jsonl": 0,
    }


def test_lines_read_back_as_what_was_written(tmp_path: Path, make: Any) -> None:
    sink = JsonLines(tmp_path, make.zone)
    outcome = make.outcomes()[0]
    sink.write(outcome)
    sink.close()
    for name, kind, rows in (
        ("incidents", IncidentChange, outcome.incidents),
        ("pushes", Push, outcome.pushes),
        ("trends", Trend, outcome.trends),
    ):
        lines = (tmp_path / f"{name}.jsonl").read_bytes().splitlines()
        assert [msgspec.json.decode(line, type=kind) for line in lines] == rows


def test_chinese_is_written_as_itself(tmp_path: Path, make: Any) -> None:
    sink = JsonLines(tmp_path, make.zone)
    sink.write(make.outcomes()[0])
    sink.close()
    for name in ("incidents", "pushes", "trends"):
        assert "智能门锁" in (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8")


def test_a_dead_letter_tells_when_where_why_and_its_kind_if_known(tmp_path: Path, make: Any) -> None:
    sink = JsonLines(tmp_path, make.zone)
    sink.write(make.outcomes()[0])
    sink.close()
    lines = [json.loads(line) for line in (tmp_path / "deadletters.jsonl").read_text(encoding="utf-8").splitlines()]
    assert list(lines[0].items()) == [
        ("at", "2025-12-11T00:05:00.000+08:00"),
        ("source", "a.jsonl"),
        ("position", 1),
        ("reason", "not_json"),
        ("excerpt", "坏行"),
    ]
    assert lines[1]["kind"] == "call"


def test_a_line_cut_off_by_a_kill_is_written_again_whole(tmp_path: Path, make: Any) -> None:
    sink = JsonLines(tmp_path, make.zone)
    sink.write(make.outcomes()[0])
    sink.close()
    whole = (tmp_path / "incidents.jsonl").read_bytes()
    (tmp_path / "incidents.jsonl").write_bytes(whole[:-20])
    sink = JsonLines(tmp_path, make.zone)
    sink.write(make.outcomes()[0])
    sink.close()
    assert (tmp_path / "incidents.jsonl").read_bytes() == whole


def test_a_retry_cut_into_other_outcomes_adds_nothing(tmp_path: Path, make: Any) -> None:
    sink = JsonLines(tmp_path, make.zone)
    for outcome in make.outcomes():
        sink.write(outcome)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    joined = Outcome(sequence=1, watermark=make.start)
    for outcome in make.outcomes()[1:]:
        for name in ("incidents", "pushes", "trends", "deadletters"):
            getattr(joined, name).extend(getattr(outcome, name))
    sink.write(joined)
    sink.close()
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_rewind_and_any_restart_leave_the_same_bytes(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, make: Any
) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {entry.name: entry.read_bytes() for entry in folder.iterdir()}

    whole = tmp_path_factory.mktemp("whole")
    sink = JsonLines(whole, make.zone)
    for outcome in make.outcomes():
        sink.write(outcome)
    sink.close()

    folder = tmp_path_factory.mktemp("retried")
    sink = JsonLines(folder, make.zone)
    for step, outcome in enumerate(make.outcomes()):
        sink.write(outcome)
        if data.draw(st.booleans(), label="restart"):
            sink.close()
            sink = JsonLines(folder, make.zone)
        for again in make.outcomes()[data.draw(st.integers(0, step + 1), label="rewind to") : step + 1]:
            sink.write(again)
    sink.close()
    assert files(folder) == files(whole)


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_with_the_file_and_a_retry_loses_nothing(
    tmp_path: Path, make: Any, file_size_limit: Callable[[int], None]
) -> None:
    first, second, _ = make.outcomes()
    sink = JsonLines(tmp_path, make.zone)
    sink.write(first)
    whole = (tmp_path / "incidents.jsonl").read_bytes()
    file_size_limit(len(whole) + 100)
    with pytest.raises(StoreError, match=r"incidents\.jsonl: cannot be written"):
        sink.write(second)
    assert (tmp_path / "incidents.jsonl").read_bytes() == whole
    file_size_limit(1 << 30)
    sink.write(second)
    sink.close()
    lines = (tmp_path / "incidents.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=IncidentChange) for line in lines] == first.incidents + second.incidents


def test_foreign_lines_in_the_folder_are_refused(tmp_path: Path, make: Any) -> None:
    (tmp_path / "pushes.jsonl").write_text('{"hello": 1}\n')
    with pytest.raises(StoreError, match=r"pushes\.jsonl: holds a line"):
        JsonLines(tmp_path, make.zone)


def test_a_new_output_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    prepare_output(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_an_empty_output_folder_is_taken(tmp_path: Path) -> None:
    prepare_output(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_holds_anything_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "old.txt").touch()
    with pytest.raises(OutputError, match=r"is not empty \(it holds old\.txt\)"):
        prepare_output(tmp_path)


def test_a_file_in_place_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        prepare_output(tmp_path / "file")
    with pytest.raises(OutputError, match="is a file"):
        prepare_output(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        prepare_output(tmp_path)
    with pytest.raises(OutputError, match="cannot be created"):
        prepare_output(tmp_path / "below")


def test_a_folder_of_a_read_only_file_system_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot be created"):
        prepare_output(Path("/proc/qianshao"))
    with pytest.raises(OutputError, match=r"is not empty|cannot be"):
        prepare_output(Path("/proc"))


def test_the_summary_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_summary(tmp_path, {"read": 1})
    write_summary(tmp_path, {"read": 2, "说明": "第二次"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"read": 2, "说明": "第二次"}
    assert "第二次" in text


def test_a_summary_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"summary\.json: cannot be written"):
        write_summary(tmp_path / "absent", {"read": 1})
