"""The project's own benchmark: the real replay beside a plain batch loop, on the same fixed, seeded work."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from flows.pipeline import BankStage, DeskStage, Labeller, LearningStage, Stages, Stateful, TrendStage
from flows.replay import OutcomeSink, run_replay
from flows.sources.world import write_world
from flows.stages import product_stages
from qianshao.action import Action, ActionOutcome
from qianshao.app.rehearsal import check, open_sinks
from qianshao.clock import MINUTE_MS, from_rfc3339
from qianshao.config import Config
from qianshao.errors import QianshaoError
from qianshao.event import Observation, RawEvent
from qianshao.finding import Finding
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome, Rollup
from qianshao.push import Push, Trend

SEED = 20_261_122
HOURS = 12
"""Long enough for incidents: the pipeline is measured while it has something to report."""

BATCH = 1_000

STAGES: tuple[str, ...] = ("understand", "learn", "count_and_detect", "decide", "trends", "store")
"""Stages that are timed on their own: `understand` is everything from normalising to sentiment."""


class ReplayRun(msgspec.Struct, frozen=True, kw_only=True):
    """One replay as the outside sees it."""

    workers: int
    read: int
    counted: int
    events_per_second: float
    """By the replay's own clock, from the first record to the last byte written."""
    process_seconds: float
    """From the start of the command to its end."""
    peak_memory_mb: float
    """Of the largest process."""


class PlainRun(msgspec.Struct, frozen=True, kw_only=True):
    """The plain batch loop."""

    read: int
    texts: int
    minutes: int
    """Entries of minute × topic counted."""
    seconds: float


Replay = Callable[[Path, Path, int], ReplayRun]


def bench_pipeline(
    *, events: int = 60_000, workers: Sequence[int] = (2, 1), replay: Replay | None = None
) -> dict[str, object]:
    """Measure the whole replay with embedded sinks, and a plain loop that only reads, labels and counts.

    Parameters
    ----------
    events
        About so many events of ordinary traffic; incidents and dirt come on top.
    workers
        Process counts to measure.
    replay
        How to run a replay into a new folder; None = the command itself, in processes of its own.

    Returns
    -------
    dict
        `world`, `plain_loop`, `replay` (one entry per worker count, with `times_plain_loop`: events per second against
        the plain loop's, higher = faster), and `stages`: shares of the time of one worker, see `stage_shares`.

    Raises
    ------
    QianshaoError
        If a replay fails, or did not read the same records as the plain loop.
    """
    run = replay_command if replay is None else replay
    with tempfile.TemporaryDirectory(prefix="qianshao-bench-") as name:
        folder = Path(name)
        write_world(SEED, HOURS, events / (HOURS * 3600), folder / "world")
        path = folder / "world" / "events.jsonl.gz"
        runs = [run(path, folder / f"out-{count}", count) for count in workers]
        with gzip.open(path, "rb") as handle:
            lines = [line for line in handle.read().split(b"\n") if line.strip()]
        plain = plain_loop(lines)
        for one in runs:
            if one.read != plain.read:
                raise QianshaoError(
                    f"bench: the replay on {one.workers} workers read {one.read} records, the plain loop {plain.read}; "
                    "the figures cannot be compared, please report this"
                )
        stages = stage_shares(path, folder / "out-stages")
    plain_speed = plain.read / plain.seconds
    return {
        "world": {"seed": SEED, "hours": HOURS, "records": plain.read, "texts": plain.texts},
        "plain_loop": {
            "what": "json, jieba, hashed words, two linear models, counts by minute; one process, batches of 1000",
            "seconds": round(plain.seconds, 3),
            "events_per_second": round(plain_speed, 1),
        },
        "replay": [
            {
                "workers": one.workers,
                "read": one.read,
                "counted": one.counted,
                "events_per_second": round(one.events_per_second, 1),
                "times_plain_loop": round(one.events_per_second / plain_speed, 3),
                "process_seconds": round(one.process_seconds, 3),
                "peak_memory_mb": round(one.peak_memory_mb, 1),
            }
            for one in runs
        ],
        "stages": stages,
    }


def replay_command(path: Path, out: Path, workers: int) -> ReplayRun:
    """Run the replay command in a process of its own, so that memory and start are its own too.

    Raises
    ------
    QianshaoError
        If the command fails; the message carries the end of what it said.
    """
    code = "import sys; from qianshao.app.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "replay", str(path), "--out", str(out), "--workers", str(workers), "--json"]
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603 our own interpreter and arguments
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            end = said.read()[-2_000:].decode(errors="replace").strip()
            raise QianshaoError(f"bench: the replay on {workers} workers ended with code {process.returncode}: {end}")
    summary = json.loads((out / "summary.json").read_bytes())
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return ReplayRun(
        workers=workers,
        read=summary["read"],
        counted=summary["counted"],
        events_per_second=summary["events_per_second"],
        process_seconds=seconds,
        peak_memory_mb=usage.ru_maxrss / scale,
    )


def plain_loop(lines: Sequence[bytes]) -> PlainRun:
    """Do the plain job: parse, cut words, predict topic and sentiment in batches, count minutes in a dictionary.

    What everybody would write first. It masks nothing, knows no customers, detects nothing and stores nothing. Loading
    the dictionary and fitting the models are not timed.
    """
    from qianshao.app.usual import usual_reading

    read = usual_reading().words
    counts: Counter[tuple[int, int]] = Counter()
    texts_read = 0
    began = time.perf_counter()
    for start in range(0, len(lines), BATCH):
        texts, minutes = [], []
        for line in lines[start : start + BATCH]:
            spoken = _customers_words(line)
            if spoken is not None:
                minutes.append(spoken[0])
                texts.append(spoken[1])
        if texts:
            topics, _ = read(texts)
            counts.update(zip(minutes, topics.tolist(), strict=True))
            texts_read += len(texts)
    return PlainRun(read=len(lines), texts=texts_read, minutes=len(counts), seconds=time.perf_counter() - began)


def _customers_words(line: bytes) -> tuple[int, str] | None:
    """Give minute and text of a customer's turn or a ticket, None for anything else, also for a broken line."""
    try:
        event: Any = json.loads(line)
        text, ts = event["text"], event["ts"]
        if not text or (event["kind"] != "ticket" and event.get("role") != "customer"):
            return None
        return (from_rfc3339(ts) if isinstance(ts, str) else int(ts)) // MINUTE_MS, str(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


class _Clock:
    """Adds up how long each stage has worked."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - began


class _TimedLabeller:
    def __init__(self, stage: Labeller, clock: _Clock) -> None:
        self._stage, self._clock = stage, clock

    def label(self, events: Sequence[RawEvent], /) -> list[Observation]:
        with self._clock.running("understand"):
            return self._stage.label(events)

    def pseudonym(self, value: str, /) -> int:
        return self._stage.pseudonym(value)

    def reload(self) -> None:
        self._stage.reload()


class _TimedState:
    def __init__(self, stage: Stateful) -> None:
        self._state = stage

    def snapshot(self) -> bytes:
        return self._state.snapshot()

    def restore(self, data: bytes, /) -> None:
        self._state.restore(data)


class _TimedLearning(_TimedState):
    def __init__(self, stage: LearningStage, clock: _Clock) -> None:
        super().__init__(stage)
        self._stage, self._clock = stage, clock

    def adapt(self, observations: Sequence[Observation], actions: Sequence[tuple[int, Action]], /) -> None:
        with self._clock.running("learn"):
            self._stage.adapt(observations, actions)


class _TimedBank(_TimedState):
    def __init__(self, stage: BankStage, clock: _Clock) -> None:
        super().__init__(stage)
        self._stage, self._clock = stage, clock

    def advance(self, observations: Sequence[Observation], watermark: int, /) -> tuple[list[Finding], list[Rollup]]:
        with self._clock.running("count_and_detect"):
            return self._stage.advance(observations, watermark)


class _TimedDesk(_TimedState):
    def __init__(self, stage: DeskStage, clock: _Clock) -> None:
        super().__init__(stage)
        self._stage, self._clock = stage, clock

    def advance(
        self,
        findings: Sequence[Finding],
        watermark: int,
        actions: Sequence[tuple[int, Action]] = (),
        renamed: Sequence[tuple[int, int, int]] = (),
        /,
    ) -> tuple[list[IncidentChange], list[Push], list[ActionOutcome]]:
        with self._clock.running("decide"):
            return self._stage.advance(findings, watermark, actions, renamed)


class _TimedTrends(_TimedState):
    def __init__(self, stage: TrendStage, clock: _Clock) -> None:
        super().__init__(stage)
        self._stage, self._clock = stage, clock

    def advance(
        self, observations: Sequence[Observation], watermark: int, incidents: Sequence[IncidentChange], /
    ) -> list[Trend]:
        with self._clock.running("trends"):
            return self._stage.advance(observations, watermark, incidents)


class _TimedSink:
    def __init__(self, sink: OutcomeSink, clock: _Clock) -> None:
        self._sink, self._clock = sink, clock

    def write(self, outcome: Outcome, /) -> None:
        with self._clock.running("store"):
            self._sink.write(outcome)

    def close(self) -> None:
        with self._clock.running("store"):
            self._sink.close()


def stage_shares(path: Path, out: Path) -> dict[str, float]:
    """Replay once more on one worker in this process, with a clock around each stage.

    Returns
    -------
    dict
        Share of the whole time by stage; `read_and_order` is what is left over: reading, decoding, accounting, event
        time and the engine.
    """
    order = check([path], out)
    clock = _Clock()

    def timed(config: Config, calendar: Path | None) -> Stages:
        stages = product_stages(config, calendar)
        return Stages(
            labeller=lambda: _TimedLabeller(stages.labeller(), clock),
            excerpt=stages.excerpt,
            learning=lambda: _TimedLearning(stages.learning(), clock),
            bank=lambda root: _TimedBank(stages.bank(root), clock),
            desk=lambda: _TimedDesk(stages.desk(), clock),
            trends=lambda: _TimedTrends(stages.trends(), clock),
        )

    result = run_replay(
        order.paths,
        config=order.config,
        make_sinks=lambda: [_TimedSink(sink, clock) for sink in open_sinks(order)],
        make_stages=timed,
    )
    shares = {stage: round(seconds / result.wall_seconds, 3) for stage, seconds in clock.seconds.items()}
    return {**shares, "read_and_order": round(1.0 - sum(shares.values()), 3)}
