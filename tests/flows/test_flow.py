"""The whole dataflow on its real engine: same decisions for any cut and any number of processes, and clean ends."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from flow_fakes import START, Memory, TickingBank, breaking_stages, homesick_stages, line, plain_stages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.batch import Slab, Step
from flows.pipeline import Counting, shard_of, share_out
from flows.replay import ReplayResult, run_replay
from flows.worker import MakeStages
from qianshao.config import Config, Pipeline
from qianshao.errors import InputError, QianshaoError, StoreError, UnreadableInputError
from qianshao.event import Observation
from qianshao.finding import Finding
from qianshao.outcome import Outcome, Rollup

SECOND = 1_000


def replay(
    path: Path, *, batch_size: int = 1000, workers: int = 1, make_stages: MakeStages = plain_stages
) -> tuple[Memory, ReplayResult]:
    memory = Memory()
    result = run_replay(
        [path],
        config=Config(pipeline=Pipeline(batch_size=batch_size)),
        workers=workers,
        make_sinks=lambda: [memory],
        make_stages=make_stages,
    )
    assert memory.closed
    return memory, result


def write(path: Path, lines: Sequence[bytes]) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


def log(seed: int, size: int) -> list[tuple[int, bytes]]:
    """Records and their times, with repeats and gaps."""
    rng = random.Random(seed)
    records = []
    ts = START
    for number in range(size):
        ts += rng.choice((300, 2 * SECOND, 15 * SECOND))
        ident = rng.randrange(max(0, number - 30), number + 1) if rng.random() < 0.05 else number
        fields = {"line": rng.choice((None, "家居", "出行", "酒店")), "product": rng.choice(("锁", "窗", None))}
        records.append((ts, line(ident, ts, text=str(number), **fields)))
    return records


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_no_batch_size_and_no_order_of_arrival_changes_the_incidents(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    records = log(seed, 800)
    expected, whole = replay(write(tmp_path / "a.jsonl", [raw for _, raw in records]))
    for batch_size in (1, 100, 1000):
        shuffled = sorted(records, key=lambda record: record[0] + rng.randrange(300) * SECOND)
        memory, result = replay(write(tmp_path / "a.jsonl", [raw for _, raw in shuffled]), batch_size=batch_size)
        assert memory.incidents == expected.incidents
        assert result.total == whole.total
        assert result.total.read == result.total.counted + result.total.duplicate == 800


def incident_world(size: int, burst: int) -> list[bytes]:
    """Ordinary contacts for two days, then a burst of one lock's failures, in contacts and in device logs."""
    rng = random.Random(5)
    records = []
    for number in range(size):
        after = number - (size - burst)
        ts = START + min(number, size - burst) * 60 * SECOND + max(0, after) * 3 * SECOND
        fields: dict[str, object] = {"channel": rng.choice(("app", "hotline")), "line": "智能家居"}
        if after > 0 and number % 2:
            device = f"LK{rng.randrange(60):010d}"
            fields |= {"kind": "device", "product": "智能门锁", "device": device, "customer": {"device": device}}
            fields |= {"level": "error", "code": "E999", "message": "motor stalled", "firmware": "2.2.0"}
        else:
            fields |= {"role": "customer", "conversation": f"c{number}", "customer": {"account": f"u{number % 997}"}}
            fields["product"] = "智能门锁" if after > 0 else rng.choice(("智能门锁", "摄像头"))
            fields["text"] = (
                "门锁打不开了" if after > 0 else rng.choice(("你好", "怎么连接网络", "谢谢", "门锁打不开了"))
            )
        records.append(line(number, ts, **fields))
    return records


def test_two_processes_write_the_same_bytes_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", incident_world(2500, 300))

    def product(batch_size: int, workers: int) -> tuple[bytes, bytes, int]:
        memory = Memory()
        result = run_replay(
            [path],
            config=Config(pipeline=Pipeline(batch_size=batch_size)),
            workers=workers,
            make_sinks=lambda: [memory],
        )
        assert result.total.counted == result.total.read == 2500
        pushes = b"\n".join(msgspec.json.encode(push) for outcome in memory.outcomes for push in outcome.pushes)
        return memory.incidents, pushes, sum(len(outcome.counted) for outcome in memory.outcomes)

    one = product(1000, 1)
    assert b'"opened"' in one[0]
    assert product(100, 2) == one
    assert product(37, 1) == one


def test_results_survive_two_files_read_side_by_side(tmp_path: Path) -> None:
    records = log(3, 900)
    paths = [write(tmp_path / f"{part}.jsonl", [raw for _, raw in records[part::2]]) for part in (0, 1)]
    whole = []
    for batch_size in (20, 1000):
        memory = Memory()
        result = run_replay(
            paths,
            config=Config(pipeline=Pipeline(batch_size=batch_size)),
            make_sinks=lambda memory=memory: [memory],
            make_stages=plain_stages,
        )
        assert [tally.source for tally in result.tallies] == [str(path) for path in paths]
        assert [tally.read for tally in result.tallies] == [450, 450]
        whole.append(memory.incidents)
    assert whole[0] == whole[1]


def test_progress_ends_at_the_whole_and_the_last_outcome_is_final(tmp_path: Path) -> None:
    seen: list[tuple[float, Outcome]] = []
    run_replay(
        [write(tmp_path / "a.jsonl", [raw for _, raw in log(1, 500)])],
        config=Config(pipeline=Pipeline(batch_size=50)),
        make_sinks=list,
        make_stages=plain_stages,
        observe=lambda fraction, outcome: seen.append((fraction, outcome)),
    )
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [outcome.final for _, outcome in seen] == [False] * (len(seen) - 1) + [True]


def test_an_empty_file_is_a_replay_of_nothing(tmp_path: Path) -> None:
    memory, result = replay(write(tmp_path / "a.jsonl", []))
    assert result.total.read == 0
    assert [outcome.final for outcome in memory.outcomes] == [True]


def test_an_unreadable_source_stops_with_everything_written(tmp_path: Path) -> None:
    memory = Memory()
    path = write(tmp_path / "a.jsonl", [*(raw for _, raw in log(1, 60)), *[os.urandom(9).hex().encode()] * 60_000])
    with pytest.raises(UnreadableInputError, match=r"a\.jsonl: 1940 of 2000 records read are invalid"):
        run_replay([path], config=Config(), make_sinks=lambda: [memory], make_stages=plain_stages)
    assert memory.closed
    last = memory.outcomes[-1]
    assert last.final
    assert last.tallies[0].read == 2000
    assert sum(len(outcome.deadletters) for outcome in memory.outcomes) == last.tallies[0].dead == 1940


def test_a_broken_archive_ends_in_an_error_with_everything_written(tmp_path: Path) -> None:
    memory = Memory()
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(raw for _, raw in log(1, 5000)))[:-9])
    with pytest.raises(UnreadableInputError, match="cannot be read to its end"):
        run_replay([path], config=Config(), make_sinks=lambda: [memory], make_stages=plain_stages)
    assert memory.closed
    assert memory.outcomes[-1].final
    assert memory.outcomes[-1].tallies[0].read >= 4999


def test_a_missing_file_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl"):
        replay(tmp_path / "gone.jsonl")


class FullDisk(Memory):
    """Refuses the second outcome."""

    def write(self, outcome: Outcome) -> None:
        if outcome.sequence == 1:
            raise StoreError("events: the disk is full; make room")
        super().write(outcome)


def test_a_sink_that_refuses_ends_the_replay_with_its_own_error_and_no_panic(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = FullDisk()
    path = write(tmp_path / "a.jsonl", [raw for _, raw in log(1, 2000)])
    with pytest.raises(StoreError, match="the disk is full"):
        run_replay(
            [path],
            config=Config(pipeline=Pipeline(batch_size=100)),
            make_sinks=lambda: [sink],
            make_stages=plain_stages,
        )
    assert sink.closed
    assert len(sink.outcomes) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_that_raises_ends_the_replay_with_its_cause(
    tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [line(n, START + n * SECOND, text="break" if n >= 900 else "") for n in range(1000)]
    with pytest.raises(RuntimeError, match="ZeroDivisionError: the planted fault"):
        replay(write(tmp_path / "a.jsonl", lines), batch_size=50, workers=workers, make_stages=breaking_stages)
    assert capfd.readouterr().err == ""


def test_a_worker_process_that_cannot_start_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [line(1, START)])
    with pytest.raises(QianshaoError, match=r"worker process 1: ended with code 1 \(LookupError: not here\)"):
        replay(path, workers=2, make_stages=homesick_stages)


def test_ctrl_c_ends_the_input_and_closes_the_sinks(tmp_path: Path) -> None:
    memory = Memory()
    path = write(tmp_path / "a.jsonl", [raw for _, raw in log(1, 3000)])
    with pytest.raises(KeyboardInterrupt):
        run_replay(
            [path],
            config=Config(pipeline=Pipeline(batch_size=10)),
            make_sinks=lambda: [memory],
            make_stages=plain_stages,
            observe=lambda fraction, outcome: os.kill(os.getpid(), signal.SIGINT) if fraction > 0.3 else None,
        )
    assert memory.closed
    assert not memory.outcomes[-1].final


def test_the_shard_of_a_line_is_the_same_everywhere() -> None:
    assert [shard_of(name, 4) for name in ("智能家居", "数码支付", "到家配送", "酒店旅行")] == [1, 1, 0, 3]


def test_what_a_text_means_goes_to_the_shard_of_its_line_and_is_carried_no_further_than_its_bank() -> None:
    heard: dict[bool, list[tuple[str, bytes]]] = {True: [], False: []}

    class HearingBank(TickingBank):
        def advance(self, observations: Sequence[Observation], watermark: int) -> tuple[list[Finding], list[Rollup]]:
            heard[self.root] += [(each.id, each.meaning) for each in observations]
            return super().advance(observations, watermark)

    stages = msgspec.structs.replace(plain_stages(Config(), None), bank=HearingBank)
    said = [
        Observation(id="lined", kind="chat", ts=START, line="家居", meaning=b"m"),
        Observation(id="stray", kind="chat", ts=START, meaning=b"n"),
    ]
    slab = Slab(sequence=0, watermark=START + 10_000, steps=[Step(watermark=START + 10_000, counted=said)])
    (work,) = share_out(slab, 1)
    reports = [Counting(stages).advance(each) for each in (slab, work)]
    assert heard == {True: [("lined", b""), ("stray", b"n")], False: [("lined", b"m")]}
    told = [
        event for report in reports for step in report.steps for finding in step.findings for event in finding.evidence
    ]
    assert [(event.id, event.meaning) for event in told] == [("lined", b""), ("stray", b""), ("lined", b"")]


def test_a_late_event_is_given_out_but_not_counted(tmp_path: Path) -> None:
    lines = [line(n, START + n * 60 * SECOND) for n in range(60)]
    memory, result = replay(write(tmp_path / "a.jsonl", [*lines, line(99, START)]), batch_size=7)
    assert (result.total.counted, result.total.late) == (60, 1)
    assert [o.id for outcome in memory.outcomes for o in outcome.late] == ["e99"]
    told = [json.loads(row)["evidence"] for row in memory.incidents.split(b"\n")]
    assert not any(item.startswith("e99 ") for items in told for item in items)
