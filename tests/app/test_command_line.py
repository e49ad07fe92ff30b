"""The commands: messages, exit codes, and never a traceback for what a person can get wrong."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qianshao.app.cli import main
from qianshao.config import KEY_ENVIRONMENT_VARIABLE
from qianshao.errors import StoreError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in this process; return exit code, standard output and standard error."""
    monkeypatch.delenv(KEY_ENVIRONMENT_VARIABLE, raising=False)

    def execute(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return execute


def chat(number: int, text: str = "你好，门锁连不上网") -> dict[str, object]:
    return {
        "id": f"e{number}",
        "kind": "chat",
        "ts": 1_772_431_200_000 + 1000 * number,
        "product": "智能门锁",
        "role": "customer",
        "text": text,
        "customer": {"phone": f"1380013{number:04d}"},
    }


def write_events(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Thirty ordinary contacts."""
    return write_events(tmp_path / "events.jsonl", [chat(number) for number in range(30)])


# -- wrong usage: exit 2, nothing written ------------------------------------------------------------------------------


def test_a_missing_file_is_named(run: Run, tmp_path: Path) -> None:
    code, out, err = run("replay", tmp_path / "none.jsonl", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "none.jsonl" in err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_event_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("a,b\n")
    code, _, err = run("replay", tmp_path / "events.csv", "--out", tmp_path / "out")
    assert code == 2
    assert ".jsonl" in err


def test_an_output_folder_that_holds_something_is_refused_and_left_alone(
    run: Run, events: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    code, _, err = run("replay", events, "--out", out)
    assert code == 2
    assert "not empty" in err
    assert [entry.name for entry in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("out", ["events.jsonl/out", "/proc/qianshao-out"])
@pytest.mark.parametrize("command", ["replay", "world"])
def test_an_output_folder_that_cannot_be_written_is_refused(
    run: Run, events: Path, tmp_path: Path, command: str, out: str
) -> None:
    arguments = {"replay": [events], "world": ["--seed", 1, "--hours", 1, "--rate", 1]}[command]
    code, _, err = run(command, *arguments, "--out", tmp_path / out)
    assert code == 2
    assert "output folder" in err


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[detection]\nfalse_alarm = 1\n", "false_alarm"),
        ("[service]\ndecision_seconds = 0\n", "decision_seconds"),
        ("[service]\ntimezone = 'Mars/Olympus'\n", "service.timezone"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_with_file_and_key(
    run: Run, events: Path, tmp_path: Path, toml: str, named: str
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(toml)
    code, _, err = run("replay", events, "--out", tmp_path / "out", "--config", config)
    assert code == 2
    assert "wrong.toml" in err
    assert named in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("--truth", "{"),
        ("--truth", '{"incidents": [{"incident": 1}]}'),
        ("--calendar", "day\n"),
        ("--calendar", "date,name,line\nsoon,x,\n"),
    ],
)
def test_a_wrong_truth_or_calendar_is_refused_before_anything_starts(
    run: Run, events: Path, tmp_path: Path, option: str, content: str
) -> None:
    side = tmp_path / "side.file"
    side.write_text(content)
    for path in (side, tmp_path / "absent.file"):
        code, _, err = run("replay", events, "--out", tmp_path / "out", option, path)
        assert code == 2
        assert path.name in err
        assert not (tmp_path / "out").exists()


def test_a_store_of_another_run_is_refused(run: Run, events: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data").write_text("x")
    config = tmp_path / "own.toml"
    config.write_text(f"[clickhouse]\npath = '{tmp_path / 'store'}'\n")
    code, _, err = run("replay", events, "--out", tmp_path / "out", "--config", config)
    assert code == 2
    assert "clickhouse.path" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["replay", "x.jsonl"],
        ["nonsense"],
        ["world", "--seed", "x"],
        ["bench", "everything"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_exits_with_two(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error" in err


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_workers_are_at_least_one(run: Run, events: Path, tmp_path: Path, workers: str) -> None:
    assert run("replay", events, "--out", tmp_path / "out", "--workers", workers)[0] == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "value"), [("--hours", "0"), ("--rate", "-1")])
def test_a_world_without_events_is_wrong_usage(run: Run, tmp_path: Path, option: str, value: str) -> None:
    values = {"--seed": "1", "--hours": "1", "--rate": "1", option: value}
    flat = [part for pair in values.items() for part in pair]
    assert run("world", *flat, "--out", tmp_path / "out")[0] == 2


def test_help_answers_without_loading_the_engines() -> None:
    code = "import sys\nfrom qianshao.app.cli import main\nmain(['--help'])\n"
    code += "print([name for name in ('chdb', 'bytewax', 'sklearn', 'rich') if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    for command in ("demo", "replay", "world", "bench"):
        assert command in seen.stdout
    assert seen.stdout.splitlines()[-1] == "[]"


# -- what happens while running ----------------------------------------------------------------------------------------


def test_an_interruption_exits_with_130(monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sinks.files.prepare_output", interrupted)
    assert run("world", "--seed", 1, "--hours", 1, "--rate", 1, "--out", tmp_path / "out")[0] == 130


def test_a_failure_while_running_is_one_line_and_exits_with_one(
    monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path
) -> None:
    def full(path: Path) -> None:
        raise StoreError("store /x: cannot take rows (disk full); free space")

    monkeypatch.setattr("sinks.files.prepare_output", full)
    code, _, err = run("world", "--seed", 1, "--hours", 1, "--rate", 1, "--out", tmp_path / "out")
    assert (code, err) == (1, "qianshao: store /x: cannot take rows (disk full); free space\n")


def test_a_reader_that_leaves_is_not_an_error_message(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "qianshao.app.cli", "world", "--seed", "1", "--hours", "0.1", "--rate", "0.1"]
    with os.fdopen(write, "wb") as closed:
        command += ["--out", str(tmp_path / "out")]
        seen = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert seen.returncode == 1
    assert "Broken" not in seen.stderr
    assert "Traceback" not in seen.stderr


def test_a_world_is_written_whole_and_the_same_for_the_same_seed(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        code, out, _ = run("world", "--seed", 5, "--hours", 0.2, "--rate", 1, "--out", tmp_path / name)
        assert code == 0
        assert "lines" in out
    for file in ("events.jsonl.gz", "truth.json", "calendar.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_replay_leaves_its_files_and_one_json_document(run: Run, events: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, _ = run("replay", events, "--out", out, "--json")
    assert code == 0
    summary = json.loads(text)
    assert summary == json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["read"] == summary["counted"] == 30
    assert summary["demonstration_key"] is True
    assert summary["events_per_second"] > 0
    names = {"incidents.jsonl", "pushes.jsonl", "deadletters.jsonl", "trends.jsonl", "summary.json", "store"}
    assert names <= {entry.name for entry in out.iterdir()}


def test_a_replay_tells_people_its_accounting_and_that_the_key_is_public(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_events(tmp_path / "some.jsonl", [chat(1), chat(1), {"kind": "chat"}])
    code, text, _ = run("replay", path, "--out", tmp_path / "out")
    assert code == 0
    assert "3 条 = 计入 1 + 迟到 0 + 死信 1 + 重复 1 + 丢弃 0" in text
    assert "missing_id" in text
    assert "公开的演示密钥" in text
    monkeypatch.setenv(KEY_ENVIRONMENT_VARIABLE, "a secret of more than sixteen bytes")
    _, text, _ = run("replay", path, "--out", tmp_path / "out2")
    assert "演示密钥" not in text


@pytest.mark.parametrize("content", [b"", b"\n  \n\n"])
def test_an_empty_file_is_done_and_said(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "empty.jsonl").write_bytes(content)
    code, text, _ = run("replay", tmp_path / "empty.jsonl", "--out", tmp_path / "out")
    assert code == 0
    assert "没有记录" in text
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["read"] == 0


@pytest.mark.parametrize("lines", [3, 5_000])
def test_a_binary_file_ends_as_dead_letters_with_a_message(run: Run, tmp_path: Path, lines: int) -> None:
    (tmp_path / "noise.jsonl").write_bytes(b"\x00\xff\xfe\x9f\n" * lines)
    out = tmp_path / "out"
    code, _, err = run("replay", tmp_path / "noise.jsonl", "--out", out)
    assert code == 1
    assert "noise.jsonl" in err
    summary = json.loads((out / "summary.json").read_text())
    assert summary["read"] == summary["dead"] > 0
    assert len((out / "deadletters.jsonl").read_text().splitlines()) == summary["dead"]


def test_a_line_of_a_megabyte_is_one_dead_letter_and_the_rest_is_counted(run: Run, tmp_path: Path) -> None:
    path = write_events(tmp_path / "long.jsonl", [chat(1), chat(2, "锁" * 400_000), chat(3)])
    code, text, _ = run("replay", path, "--out", tmp_path / "out", "--json")
    assert code == 0
    summary = json.loads(text)
    assert (summary["read"], summary["counted"], summary["dead"]) == (3, 2, 1)


def test_a_compressed_file_that_breaks_off_keeps_what_was_read(run: Run, events: Path, tmp_path: Path) -> None:
    whole = gzip.compress(events.read_bytes() * 50)
    (tmp_path / "half.jsonl.gz").write_bytes(whole[: len(whole) - 12])
    code, _, err = run("replay", tmp_path / "half.jsonl.gz", "--out", tmp_path / "out")
    assert code == 1
    assert "half.jsonl.gz" in err
    assert (tmp_path / "out" / "summary.json").exists()
