"""`qianshao migrate`: lists, then does, then has nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from qianshao.app.cli import main
from sinks.clickhouse_schema import MIGRATIONS


def test_a_dry_run_lists_everything_and_makes_nothing_then_it_is_done_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "qianshao.toml"
    config.write_text(f'[run]\nstate = "{tmp_path / "state"}"\n', "utf-8")
    assert main(["migrate", "--config", str(config), "--dry-run"]) == 0
    steps = [f"{step.version} {step.name}" for step in MIGRATIONS]
    assert capsys.readouterr().out.splitlines() == [f"pending: {step}" for step in steps]
    assert not (tmp_path / "state").exists()
    assert main(["migrate", "--config", str(config)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"done: {step}" for step in steps]
    assert main(["migrate", "--config", str(config), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("nothing to do")


def test_a_server_that_is_away_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "qianshao.toml"
    config.write_text('[clickhouse]\nurl = "http://127.0.0.1:1"\n', "utf-8")
    assert main(["migrate", "--config", str(config)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "qianshao: store http://127.0.0.1:1 database qianshao: cannot be reached (Connection refused)"
    )
    assert said.count("\n") == 1
