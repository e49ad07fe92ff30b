"""The recorded worlds: small, whole, and made anew byte for byte."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path

import pytest

from flows.sources.world.record import RECIPES, main, record
from qianshao.errors import InputError
from replay_data import world_names, world_path


def test_the_recorded_worlds_are_found_by_name() -> None:
    assert world_names() == tuple(sorted(RECIPES))
    for name in world_names():
        assert {path.name for path in world_path(name).iterdir()} == {
            "PROVENANCE.md",
            "calendar.csv",
            "events.jsonl.gz",
            "truth.json",
        }


def test_an_unknown_world_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match=r"choose one of mixed, smart_lock"):
        world_path("../qianshao")


def test_the_recorded_worlds_are_small() -> None:
    sizes = {path: path.stat().st_size for name in world_names() for path in world_path(name).iterdir()}
    assert sum(sizes.values()) <= 3_000_000
    assert max(sizes.values()) <= 1_000_000


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recorded_world_is_made_anew_byte_for_byte(name: str, tmp_path: Path) -> None:
    record(name, tmp_path)
    for file in ("truth.json", "calendar.csv", "PROVENANCE.md"):
        assert (tmp_path / file).read_bytes() == (world_path(name) / file).read_bytes()
    # Compressors differ from build to build; what they hold may not.
    fresh, kept = (
        gzip.decompress((folder / "events.jsonl.gz").read_bytes()) for folder in (tmp_path, world_path(name))
    )
    assert fresh == kept


def test_the_command_writes_every_recorded_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(RECIPES)
    assert "smart_lock" in capsys.readouterr().out


def test_in_the_founding_case_devices_speak_first_then_contacts_then_tickets() -> None:
    folder = world_path("smart_lock")
    (case,) = (
        i for i in json.loads((folder / "truth.json").read_bytes())["incidents"] if i["kind"] == "firmware_offline"
    )
    assert case["dims"] == {"product": "智能门锁", "model": "K2", "firmware": "3.5.0"}
    assert case["customers"] >= 200
    own = set(case["events"])
    first: dict[str, float] = {}
    for line in gzip.decompress((folder / "events.jsonl.gz").read_bytes()).split(b"\n"):
        identifier = line[7:16].decode("ascii", "replace")
        if identifier in own:
            event = json.loads(line)
            ts = event["ts"] / 1000 if isinstance(event["ts"], int) else datetime.fromisoformat(event["ts"]).timestamp()
            kind = "contact" if event["kind"] in ("chat", "call") else event["kind"]
            first[kind] = min(first.get(kind, ts), ts)
    start = datetime.fromisoformat(case["start"]).timestamp()
    assert first["device"] - start < 240
    assert 60 < first["contact"] - first["device"] < 1_200
    assert first["ticket"] > first["contact"]
