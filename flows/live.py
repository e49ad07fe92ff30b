"""The running service: topics in, decisions out, state that survives whatever happens to the process."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from flows.batch import Emission, Failed, RawBatch
from flows.broker import Topics
from flows.cluster import free_addresses, run_cluster, stopped_by
from flows.engine import build_flow
from flows.journal import Journal
from flows.pulse import PULSE_SECONDS, pulses
from flows.sources.kafka import KafkaReader
from flows.stages import product_stages
from flows.worker import Job, MakeStages, Saving, run_flow
from qianshao.config import Config
from qianshao.errors import ConfigError, QianshaoError, StoreError
from qianshao.outcome import Outcome
from sinks.sink import Sink

LIVE_REORDER_SECONDS = 5

LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries to write to a store that does not answer."""

Observe = Callable[[Outcome], None]
"""Is told of each outcome after it is written."""

log = logging.getLogger("qianshao.live")


class _Begun(msgspec.Struct):
    """What was true when the state was empty: needed when the process dies before its first snapshot."""

    shards: int
    read: bytes | None = None
    written: bytes | None = None


class StateFolder:
    """The folder of one service: snapshots, the journal of the clock, and how it all began. One process owns it.

    Parameters
    ----------
    path
        Made if it is not there, readable by its owner only.
    shards
        `pipeline.shards`; the state is cut by it.

    Raises
    ------
    ConfigError
        If it cannot be made, or was made with another number of shards.
    StoreError
        If another process owns it.
    """

    def __init__(self, path: Path, shards: int) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The engine reads its snapshots back as objects, so nobody else may put one there.
            strangers = [each for each in (path, *path.rglob("*")) if each.lstat().st_uid != os.geteuid()]
            if strangers:
                raise ConfigError(
                    f"run.state {path}: {strangers[0]} belongs to another user, who could run code through it; "
                    "name a folder of your own"
                )
            path.chmod(0o700)
            self._lock = (path / "lock").open("a")
        except OSError as error:
            raise ConfigError(
                f"run.state {path}: cannot be used ({error.strerror}); name a folder that you may write"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise StoreError(
                f"run.state {path}: another process runs on it; stop that one, or name another folder"
            ) from None
        self._file = path / "begun.json"
        try:
            self.begun = self._read(shards)
        except BaseException:
            self._lock.close()
            raise

    def _read(self, shards: int) -> _Begun:
        if not self._file.exists():
            return _Begun(shards)
        try:
            begun = msgspec.json.decode(self._file.read_bytes(), type=_Begun)
        except msgspec.MsgspecError as error:
            raise StoreError(f"{self._file}: is not ours ({error}); name another run.state") from None
        if begun.shards != shards:
            raise ConfigError(
                f"pipeline.shards: is {shards}, but the state in {self.path} was made with {begun.shards}; "
                "set it back, or name another run.state"
            )
        return begun

    def begin(self, read: bytes, written: bytes) -> None:
        """Note where reading and writing began, once."""
        self.begun = _Begun(self.begun.shards, read, written)
        temporary = self._file.with_suffix(".part")
        with temporary.open("wb") as handle:
            handle.write(msgspec.json.encode(self.begun))
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(self._file)

    def close(self) -> None:
        """Let others have the folder."""
        self._lock.close()


class _Service:
    """Both ends of the running flow: topics to read, and every sink."""

    def __init__(
        self,
        config: Config,
        state: StateFolder,
        reader: KafkaReader,
        sinks: Sequence[Sink],
        observe: Observe,
        wall: Callable[[], int],
    ) -> None:
        self._config = config
        self._state = state
        self._reader = reader
        self._given = sinks
        self._observe = observe
        self._wall = wall
        self._topics: Topics | None = None
        self._stop = threading.Event()
        self._last: Emission | None = None
        self._pulsed = time.monotonic()
        self.raised: BaseException | None = None

    @property
    def ended(self) -> bool:
        return self._stop.is_set() or self.raised is not None

    def stop(self) -> None:
        self._stop.set()

    def seek(self, position: bytes | None) -> None:
        begun = self._state.begun
        self._reader.seek(position or begun.read)
        if begun.read is None:
            begun.read = self._reader.position()
            self._begin()

    def next(self, newest: int | None) -> RawBatch | None:
        try:
            self._pulse()
            return self._reader.next(newest)
        except BaseException as error:  # noqa: BLE001 - as in `take`
            self.raised = error
            return None

    def position(self) -> bytes:
        return self._reader.position()

    def resume(self, written: bytes | None) -> None:
        begun = self._state.begun
        since = written or begun.written
        self._topics = Topics(
            self._config.kafka,
            self._config.service.zone,
            since=None if since is None else msgspec.json.decode(since, type=dict[str, int]),
        )
        if begun.written is None:
            begun.written = msgspec.json.encode(self._topics.positions())
            self._begin()

    def _begin(self) -> None:
        """The engine prepares both ends in an order of its own; all is known when the second one is ready."""
        begun = self._state.begun
        if begun.read is not None and begun.written is not None:
            self._state.begin(begun.read, begun.written)

    @property
    def _sinks(self) -> Iterator[Sink]:
        yield from self._given
        if self._topics is not None:
            yield self._topics

    def take(self, emission: Emission | Failed) -> None:
        if self.raised is not None:
            return
        if isinstance(emission, Failed):
            self.raised = emission.exception()
            return
        try:
            self._write(emission.outcome)
            self._observe(emission.outcome)
        except BaseException as error:  # noqa: BLE001 - the engine would panic; the flow ends and it is raised then
            self.raised = error
        outcome = emission.outcome
        self._last = Emission(
            outcome=Outcome(sequence=outcome.sequence, watermark=outcome.watermark, tallies=outcome.tallies),
            frontiers=emission.frontiers,
        )

    def written(self) -> bytes:
        if self.raised is not None:
            raise self.raised
        assert self._topics is not None  # the engine prepares the output before it asks
        for sink in self._sinks:
            self._insist(sink.flush)
        return msgspec.json.encode(self._topics.positions())

    def _write(self, outcome: Outcome) -> None:
        for sink in self._sinks:
            self._insist(lambda sink=sink: sink.write(outcome))  # type: ignore[misc]

    def _insist(self, action: Callable[[], None]) -> None:
        """Try until the store behind answers: what is not written is not read on either, so nothing is lost."""
        pause = 0.5
        while True:
            try:
                return action()
            except QianshaoError as error:
                if not error.retryable or self._stop.is_set():
                    raise
                log.warning("%s; trying again in %g s", error, pause)
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _pulse(self) -> None:
        now = time.monotonic()
        last = self._last
        if last is None or now - self._pulsed < PULSE_SECONDS:
            return
        self._pulsed = now
        self._write(
            Outcome(
                sequence=last.outcome.sequence,
                watermark=last.outcome.watermark,
                pulses=pulses(last, self._reader.waiting(), self._wall()),
            )
        )

    def close(self) -> None:
        for sink in self._sinks:
            try:
                sink.close()
            except BaseException as error:  # noqa: BLE001 - the others are closed first; then the first error is raised
                self.raised = self.raised or error
        self._reader.close()


def run_live(
    config: Config,
    state: StateFolder,
    sinks: Sequence[Sink],
    *,
    observe: Observe = lambda outcome: None,
    make_stages: MakeStages = product_stages,
    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    started: Callable[[Callable[[], None]], None] = lambda stop: None,
) -> None:
    """Read topics, decide, and write until Ctrl-C or SIGTERM; then save the state and return.

    Parameters
    ----------
    config
        Settings; `kafka.bootstrap` must be there.
    state
        Folder of the state. Killed anywhere and started again on it, the service decides the same, and writes nothing
        twice.
    sinks
        Where outcomes go besides the topics; closed at the end.
    observe
        Told of each outcome after it is written.
    make_stages
        Builds the stages in each process: a function at the top of a module, so that other processes can import it.
    wall
        Wall clock, epoch milliseconds. Only the clocks of idle sources and the figures about the pipeline look at it.
    started
        Is given a function that ends the service from another thread.

    Raises
    ------
    ConfigError
        If the settings cannot work.
    UnavailableError
        If no broker answers at the start.
    QianshaoError
        If a stage, a sink or another process failed; the state is that of the last snapshot.
    """
    if config.service.reorder_seconds is None:
        service_settings = msgspec.structs.replace(config.service, reorder_seconds=LIVE_REORDER_SECONDS)
        config = msgspec.structs.replace(config, service=service_settings)
    calendar = None if config.run.calendar is None else Path(config.run.calendar)
    journal = Journal(state.path / "clock.journal")
    reader = KafkaReader(config.kafka, config.pipeline.batch_size, journal, wall=wall)
    service = _Service(config, state, reader, sinks, observe, wall)
    started(service.stop)
    saving = Saving(state.path / "snapshots", config.run.snapshot_seconds)
    saving.prepare()
    workers = config.run.workers
    with closing(service), stopped_by(service.stop, signal.SIGINT, signal.SIGTERM):
        flow = build_flow(service, (), make_stages(config, calendar), config, workers=workers, durable=True)
        try:
            if workers == 1:
                run_flow(flow, [], 0, saving)
            else:
                addresses = free_addresses(workers)
                jobs = [Job(i, addresses, (), config, calendar, make_stages, saving) for i in range(1, workers)]
                run_cluster(lambda: run_flow(flow, addresses, 0, saving), jobs)
        except BaseException as error:
            if service.raised is not None:
                raise service.raised from error
            raise
    if service.raised is not None:
        raise service.raised
