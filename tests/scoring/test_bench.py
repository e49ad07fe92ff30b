"""The benchmark: its shape, and that both sides did the same work. No timings are judged here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from flows.decode import Rejected, decode
from qianshao.app.bench import STAGES, ReplayRun, bench_pipeline, plain_loop, replay_command, stage_shares
from qianshao.errors import QianshaoError


def pretended(path: Path, out: Path, workers: int) -> ReplayRun:
    with gzip.open(path, "rb") as handle:
        records = [line for line in handle.read().split(b"\n") if line.strip()]
    events = [event for event in decode(records) if event is not None and not isinstance(event, Rejected)]
    return ReplayRun(
        workers=workers,
        read=len(records),
        counted=len({event.id for event in events}),
        events_per_second=1_000.0 * workers,
        process_seconds=1.0,
        peak_memory_mb=100.0,
    )


def test_the_benchmark_reports_both_sides_on_the_same_records() -> None:
    figures = bench_pipeline(events=1_500, workers=(2, 1), replay=pretended)
    data = json.loads(json.dumps(figures, allow_nan=False))
    assert set(data) == {"world", "plain_loop", "replay", "stages"}
    assert [run["workers"] for run in data["replay"]] == [2, 1]
    assert {run["read"] for run in data["replay"]} == {data["world"]["records"]}
    assert 0 < data["world"]["texts"] < data["world"]["records"]
    assert data["replay"][0]["times_plain_loop"] > data["replay"][1]["times_plain_loop"] > 0
    assert set(data["stages"]) == {*STAGES, "read_and_order"}
    assert sum(data["stages"].values()) == pytest.approx(1.0, abs=0.01)


def test_a_replay_that_read_something_else_is_no_comparison() -> None:
    def forgetful(path: Path, out: Path, workers: int) -> ReplayRun:
        return ReplayRun(
            workers=workers, read=1, counted=1, events_per_second=1.0, process_seconds=1.0, peak_memory_mb=1.0
        )

    with pytest.raises(QianshaoError, match="read 1 records"):
        bench_pipeline(events=300, workers=(1,), replay=forgetful)


def test_the_plain_loop_reads_customers_words_and_tickets_and_survives_broken_lines() -> None:
    said = {"id": "1", "kind": "chat", "ts": 60_000, "role": "customer", "text": "门锁又离线了"}
    lines = [
        json.dumps(said).encode(),
        json.dumps(said | {"ts": "1970-01-01T08:01:30+08:00"}).encode(),
        json.dumps(said | {"role": "agent"}).encode(),
        json.dumps({"id": "2", "kind": "ticket", "ts": 180_000, "text": "退款"}).encode(),
        json.dumps({"id": "3", "kind": "device", "ts": 180_000, "message": "heartbeat"}).encode(),
        b'{"id": "4", ',
        b"[1]",
        b'{"id": "5", "kind": "chat", "ts": null, "role": "customer", "text": "x"}',
    ]
    run = plain_loop(lines)
    assert (run.read, run.texts, run.minutes) == (8, 3, 2)


def test_every_stage_takes_its_time(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"id": "1", "kind": "chat", "ts": 1765382400000, "role": "customer", "text": "x"}\n')
    assert all(share >= 0 for share in stage_shares(path, tmp_path / "out").values())
    assert (tmp_path / "out" / "incidents.jsonl").exists()


def test_a_replay_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(QianshaoError, match=r"on 1 workers ended with code \d"):
        replay_command(tmp_path / "absent.jsonl", tmp_path / "out", 1)
