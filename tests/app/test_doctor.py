"""The doctor names every part that is missing or wrong, on one screen, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from flows.live import StateFolder
from qianshao.app.cli import main
from qianshao.app.doctor import diagnose, diagnosis_table
from qianshao.config import GRAFANA_VARIABLE, KEY_ENVIRONMENT_VARIABLE, Kafka
from qianshao.examined import Examined

LINES_OF_A_SCREEN = 40
TODAY = date(2026, 11, 23)


def write(folder: Path, kafka: Kafka, **sections: dict[str, object]) -> Path:
    given = {name: value for name, value in msgspec.to_builtins(kafka).items() if value is not None}
    parts: dict[str, dict[str, object]] = {"run": {"state": str(folder / "state")}, "kafka": given, **sections}
    lines = []
    for name, keys in parts.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    path = folder / "qianshao.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENVIRONMENT_VARIABLE, "a key for these tests")
    monkeypatch.delenv(GRAFANA_VARIABLE, raising=False)


def drawn(found: list[Examined]) -> list[str]:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(diagnosis_table(found))
    return console.export_text().splitlines()


def by_part(found: list[Examined]) -> dict[str, Examined]:
    return {each.part: each for each in found}


def test_a_service_that_can_start_is_all_well_and_nothing_was_made(
    real_broker: Any, kafka: Any, tmp_path: Path
) -> None:
    found = diagnose(write(tmp_path, kafka), TODAY)
    assert [each for each in found if each.ok is False] == []
    assert {f"Kafka topic {topic}" for topic in (*kafka.events, kafka.incidents)} <= by_part(found).keys()
    lines = drawn(found)
    assert len(lines) <= LINES_OF_A_SCREEN
    assert lines[-1].strip() == f"all {len(found)} parts are well"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["qianshao.toml"]


def test_each_wrong_part_is_named_with_what_to_do(real_broker: Any, kafka: Any, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file", "utf-8")
    config = write(
        tmp_path,
        msgspec.structs.replace(kafka, events=(*kafka.events, "no.such.topic")),
        run={"state": str(tmp_path / "state"), "calendar": str(tmp_path / "none.csv")},
        clickhouse={"path": str(tmp_path / "store")},
        grafana={"url": "http://127.0.0.1:1"},
    )
    found = by_part(diagnose(config, TODAY))
    wrong = {part: each.detail for part, each in found.items() if each.ok is False}
    assert wrong.keys() >= {"Kafka topic no.such.topic", "calendar", "Grafana"}
    assert any(part.startswith("ClickHouse") for part in wrong)
    assert "create it" in wrong["Kafka topic no.such.topic"]
    assert "grafana.token_file" in wrong["Grafana"]
    lines = drawn(list(found.values()))
    assert len(lines) <= LINES_OF_A_SCREEN
    assert lines[-1].strip() == f"{len(wrong)} of {len(found)} parts need attention"


def test_a_grafana_that_does_not_answer_is_named(kafka: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GRAFANA_VARIABLE, "glsa_token")
    grafana = by_part(diagnose(write(tmp_path, kafka, grafana={"url": "http://127.0.0.1:1"}), TODAY))["Grafana"]
    assert grafana.ok is False
    assert "127.0.0.1:1" in grafana.detail
    assert "glsa_token" not in grafana.detail


def test_a_running_service_is_not_mistaken_for_a_fault(kafka: Any, tmp_path: Path) -> None:
    config = write(tmp_path, kafka)
    state = StateFolder(tmp_path / "state", 4)
    try:
        assert by_part(diagnose(config, TODAY))["state folder"].ok is None
    finally:
        state.close()


def test_the_published_key_is_named(kafka: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_ENVIRONMENT_VARIABLE)
    assert by_part(diagnose(write(tmp_path, kafka), TODAY))["pseudonym key"].ok is False


def test_without_a_broker_the_rest_is_still_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.broker.examine.__defaults__", (0.5,))
    found = by_part(diagnose(write(tmp_path, Kafka(bootstrap="127.0.0.1:1")), TODAY))
    assert found["Kafka"].ok is False
    assert "127.0.0.1:1" in found["Kafka"].detail
    assert found["ClickHouse folder"].ok is True


def test_a_year_whose_holidays_are_not_known_yet_is_said(tmp_path: Path) -> None:
    config = tmp_path / "qianshao.toml"
    config.write_text("", "utf-8")
    assert by_part(diagnose(config, TODAY))["calendar"].ok is True
    late = by_part(diagnose(config, date(2050, 1, 1)))["calendar"]
    assert late.ok is None
    assert "chinesecalendar" in late.detail


def test_planned_work_that_is_over_is_said_and_what_is_to_come_is_shown(tmp_path: Path) -> None:
    config = tmp_path / "qianshao.toml"
    window = '[[maintenance]]\nname = "网关升级"\nstart = {0}T00:30:00+08:00\nend = {0}T03:00:00+08:00\n'
    config.write_text(window.format("2026-11-22") + window.format("2026-11-23"), "utf-8")
    past, near = (each for each in diagnose(config, TODAY) if each.part == "maintenance")
    assert (past.ok, near.ok) == (None, True)
    assert "网关升级: 2026-11-22T00:30+08:00 to 2026-11-22T03:00+08:00 lies in the past; take" in past.detail


def test_a_configuration_that_cannot_be_read_is_the_only_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "qianshao.toml"
    path.write_text("[kafka]\nbootstrp = 'x'\n", "utf-8")
    assert main(["doctor", "--config", str(path), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert "bootstrp" in found["detail"]


def test_the_command_exits_with_one_when_anything_is_wrong(kafka: Any, tmp_path: Path) -> None:
    config = write(tmp_path, kafka, run={"state": str(tmp_path / "state"), "calendar": "none.csv"})
    run = subprocess.run(
        [sys.executable, "-m", "qianshao.app.cli", "doctor", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 1
    assert "calendar" in run.stdout
    assert "Traceback" not in run.stderr
