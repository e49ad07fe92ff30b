"""A replay: event files through the whole dataflow, as fast as it goes, on one or several processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from flows.batch import Emission, Failed, RawBatch
from flows.cluster import free_addresses, run_cluster, stopped_by
from flows.engine import build_flow
from flows.pulse import PULSE_SECONDS, pulses
from flows.sources.replay import FilesReader, check_inputs
from flows.stages import product_stages
from flows.worker import Job, MakeStages, run_flow
from qianshao.config import Config
from qianshao.errors import UnreadableInputError
from qianshao.outcome import Outcome, Tally


class OutcomeSink(Protocol):
    """Where outcomes leave the house."""

    def write(self, outcome: Outcome, /) -> None:
        """Take one outcome."""
        ...

    def close(self) -> None:
        """Write out everything and let go; may be called twice."""
        ...


Observe = Callable[[float, Outcome], None]
"""Is told, after each outcome is written, how much of the input has been read (0–1)."""


class ReplayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did."""

    tallies: tuple[Tally, ...]
    """One for each file, in the order given."""
    outcomes: int
    watermark: int
    """Event time up to which every decision has fallen, epoch milliseconds; 0 if no event was read."""
    wall_seconds: float
    workers: int

    @property
    def total(self) -> Tally:
        """All files together, under the source ''."""
        names = ("read", "counted", "late", "dead", "duplicate", "dropped")
        return Tally(source="", **{name: sum(getattr(tally, name) for tally in self.tallies) for name in names})


class _Files:
    """Both ends of a replay: the files it reads and the sinks it writes."""

    def __init__(
        self, reader: FilesReader, make_sinks: Callable[[], Sequence[OutcomeSink]], observe: Observe | None
    ) -> None:
        self._reader = reader
        self._make_sinks = make_sinks
        self._observe = observe
        self._sinks: Sequence[OutcomeSink] | None = None
        self._stopped: Sequence[int] = ()
        self._exhausted = False
        self._pulsed = 0.0
        self.interrupted = False
        self.failures: Sequence[str] = ()
        self.raised: BaseException | None = None
        self.last: Outcome | None = None

    @property
    def ended(self) -> bool:
        return self._exhausted or self.broken

    def interrupt(self) -> None:
        self.interrupted = True

    @property
    def broken(self) -> bool:
        return self.interrupted or self.raised is not None

    def seek(self, position: bytes | None) -> None:
        """A replay always begins at the start."""

    def next(self, newest: int | None) -> RawBatch | None:
        batch = self._reader.next(self._stopped)
        self._exhausted = batch is None
        return batch

    def position(self) -> None:
        return None

    def resume(self, written: bytes | None) -> None:
        """A replay always begins with nothing written."""

    def written(self) -> None:
        return None

    def take(self, emission: Emission | Failed) -> None:
        if self.broken:
            return
        if isinstance(emission, Failed):
            self.raised = emission.exception()
            return
        outcome = emission.outcome
        now = time.monotonic()
        if self.last is None or outcome.final or now - self._pulsed >= PULSE_SECONDS:
            self._pulsed = now
            outcome.pulses = pulses(emission, {}, time.time_ns() // 1_000_000)
        try:
            if self._sinks is None:
                self._sinks = self._make_sinks()
            for sink in self._sinks:
                sink.write(outcome)
            if self._observe is not None:
                self._observe(emission.fraction, outcome)
        except BaseException as error:  # noqa: BLE001 - the engine would panic; the flow ends and it is raised then
            self.raised = error
        self._stopped, self.failures = emission.stopped, emission.failures
        self.last = Outcome(
            sequence=outcome.sequence, watermark=outcome.watermark, tallies=outcome.tallies, final=outcome.final
        )

    def close(self) -> None:
        self._reader.close()
        for sink in self._sinks or ():
            try:
                sink.close()
            except BaseException as error:  # noqa: BLE001 - the others are closed first; then the first error is raised
                self.raised = self.raised or error


def run_replay(
    paths: Sequence[Path],
    *,
    config: Config,
    calendar: Path | None = None,
    workers: int = 1,
    make_sinks: Callable[[], Sequence[OutcomeSink]],
    make_stages: MakeStages = product_stages,
    observe: Observe | None = None,
) -> ReplayResult:
    """Run event files through the whole dataflow in event time.

    Parameters
    ----------
    paths
        Event files, `.jsonl` or `.jsonl.gz`; each is a partition with its own clock and its own tally.
    config
        Settings; `pipeline` and `workers` change speed only, never results.
    calendar
        Planned days as CSV, None = none.
    workers
        Number of processes. This process is the first: it reads, owns all output, and starts the others.
    make_sinks
        Called once, here, when the first outcome is ready.
    make_stages
        Builds the stages in each process: a function at the top of a module, so that other processes can import it.
    observe
        Told of each outcome after it is written.

    Returns
    -------
    ReplayResult
        The accounting; nothing is ever dropped in a replay.

    Raises
    ------
    InputError
        If a path cannot be replayed; nothing was started.
    UnreadableInputError
        If a source was stopped because almost all of it is invalid, or a compressed file breaks off. Everything read
        before was accounted, written and closed; `observe` has seen the final outcome.
    QianshaoError
        If another process failed, or a stage or sink raised one.
    KeyboardInterrupt
        After Ctrl-C: what was decided before is written and closed.
    """
    check_inputs(paths)
    begun = time.perf_counter()
    sources = tuple(str(path) for path in paths)
    outside = _Files(FilesReader(paths, config.pipeline.batch_size), make_sinks, observe)
    try:
        flow = build_flow(outside, sources, make_stages(config, calendar), config, workers=workers, durable=False)
        with stopped_by(outside.interrupt, signal.SIGINT):
            if workers == 1:
                run_flow(flow, [], 0)
            else:
                addresses = free_addresses(workers)
                jobs = [Job(i, addresses, sources, config, calendar, make_stages) for i in range(1, workers)]
                run_cluster(lambda: run_flow(flow, addresses, 0), jobs)
    finally:
        outside.close()
    if outside.raised is not None:
        raise outside.raised
    if outside.interrupted:
        raise KeyboardInterrupt
    if outside.failures:
        raise UnreadableInputError("; ".join(outside.failures))
    last = outside.last
    assert last is not None
    assert last.final
    return ReplayResult(
        tallies=tuple(last.tallies),
        outcomes=last.sequence + 1,
        watermark=last.watermark,
        wall_seconds=time.perf_counter() - begun,
        workers=workers,
    )
