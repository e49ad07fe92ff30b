"""What a person can hand over by mistake: one line that names it, the right exit code, and the books kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qianshao.app.cli import main
from qianshao.app.rehearsal import ACCOUNTS

GOOD = b'{"id":"e1","kind":"chat","ts":1772431200000,"role":"customer","text":"hello"}\n'


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """One ordinary record."""
    path = tmp_path / "good.jsonl"
    path.write_bytes(GOOD)
    return path


def refused(capfd: pytest.CaptureFixture[str], out: Path, *arguments: object) -> str:
    """Run a replay that must not start; return its one line."""
    assert main(["replay", *map(str, arguments), "--out", str(out)]) == 2
    told, message = capfd.readouterr()
    assert told == ""
    assert message.startswith("qianshao: ")
    assert message.count("\n") == 1
    assert not out.exists()
    return message


@pytest.mark.parametrize("name", ["folder", "folder.jsonl"])
def test_a_folder_is_no_event_file(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / name).mkdir()
    message = refused(capfd, tmp_path / "out", tmp_path / name)
    assert f"{name}: is a folder; name the event files in it" in message


def test_one_missing_file_among_good_ones_is_the_one_named(
    tmp_path: Path, good: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refused(capfd, tmp_path / "out", good, tmp_path / "gone.jsonl")
    assert "gone.jsonl" in message
    assert "good.jsonl" not in message


@pytest.mark.parametrize("option", ["--truth", "--calendar", "--config"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_side_file_that_is_no_text_is_named(
    tmp_path: Path, good: Path, capfd: pytest.CaptureFixture[str], option: str, content: bytes | None
) -> None:
    side = tmp_path / "side.file"
    if content is None:
        side.mkdir()
    else:
        side.write_bytes(content)
    assert "side.file" in refused(capfd, tmp_path / "out", good, option, side)


@pytest.mark.parametrize("multiplier", ["many", "-1", "nan"])
def test_a_wrong_multiplier_is_named_with_its_row(
    tmp_path: Path, good: Path, capfd: pytest.CaptureFixture[str], multiplier: str
) -> None:
    calendar = tmp_path / "calendar.csv"
    calendar.write_text(f"date,name,line,expected_multiplier\n2026-03-01,x,,1\n2026-03-02,x,,{multiplier}\n")
    message = refused(capfd, tmp_path / "out", good, "--calendar", calendar)
    assert "calendar.csv, row 3" in message


def test_text_under_a_name_of_a_compressed_file_is_said_and_the_other_file_is_counted(
    tmp_path: Path, good: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_bytes(GOOD)
    out = tmp_path / "out"
    assert main(["replay", str(plain), str(good), "--out", str(out)]) == 1
    message = capfd.readouterr().err
    assert "Traceback" not in message
    assert "plain.jsonl.gz: cannot be read to its end" in message.splitlines()[-1]
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert {name: summary[name] for name in ACCOUNTS if summary[name]} == {"read": 1, "counted": 1}
    assert "plain.jsonl.gz" in summary["failure"]
