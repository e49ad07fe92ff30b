"""A replay: event files through the whole dataflow, as fast as it goes, on one or several processes."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

import msgspec

from flows.batch import Emission, Failed, RawBatch
from flows.pipeline import build_flow
from flows.sources.replay import FilesReader, check_inputs
from flows.stages import product_stages
from flows.worker import READY, Job, MakeStages, run_flow
from qianshao.config import Config
from qianshao.errors import QianshaoError, UnreadableInputError
from qianshao.outcome import Outcome, Tally

PEER_SECONDS = 5.0
"""How long another process may take to end by itself after the flow has."""


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
        self.interrupted = False
        self.failures: Sequence[str] = ()
        self.raised: BaseException | None = None
        self.last: Outcome | None = None

    @property
    def ended(self) -> bool:
        return self._exhausted or self.broken

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


class _Peer:
    """Another process of the cluster; it ends with this one, however that ends."""

    def __init__(self, job: Job) -> None:
        self.index = job.index
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._job = pickle.dumps(job)

    def start(self) -> None:
        """Hand over the job and wait until it is understood."""
        with suppress(BrokenPipeError):  # if it has ended already, the missing answer says so
            self._input.write(self._job)
            self._input.flush()
        if self._output.readline() != READY:
            raise self._failure()

    def check(self, seconds: float) -> None:
        """Give the process time to end.

        Raises
        ------
        QianshaoError
            If it ended badly.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return  # it is well; the caller ends it
        if code != 0:
            raise self._failure()

    def _failure(self) -> QianshaoError:
        code = self._process.wait(PEER_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = next(
            (line for line in reversed(lines) if line.strip() and not line.startswith((" ", "note:"))), "no output"
        )
        return QianshaoError(f"worker process {self.index}: ended with code {code} ({said}); run the replay again")

    def end(self) -> None:
        """End the process now, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._output, self._errors):
            stream.close()
        with suppress(BrokenPipeError):  # it may have ended before it had read everything
            self._input.close()


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
        with _interruptible(outside):
            if workers == 1:
                run_flow(flow, [], 0)
            else:
                addresses = _free_addresses(workers)
                jobs = [Job(i, addresses, sources, config, calendar, make_stages) for i in range(1, workers)]
                _run_cluster(lambda: run_flow(flow, addresses, 0), jobs)
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


@contextmanager
def _interruptible(outside: _Files) -> Iterator[None]:
    """Let Ctrl-C end the input instead of breaking the engine; a second one breaks it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        outside.interrupted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _free_addresses(count: int) -> list[str]:
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in bound:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in bound]


def _run_cluster(run: Callable[[], None], jobs: Sequence[Job]) -> None:
    peers: list[_Peer] = []
    try:
        peers += (_Peer(job) for job in jobs)
        for peer in peers:
            peer.start()
        try:
            run()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the engine panics when a peer is lost; say which
            for peer in peers:
                peer.check(PEER_SECONDS)
            raise QianshaoError(f"the dataflow engine broke off ({error}); run the replay again") from error
        for peer in peers:
            peer.check(PEER_SECONDS)
    finally:
        for peer in peers:
            peer.end()
