"""The dataflow on the engine: reading, understanding, accounting, detecting, deciding and writing, in this order.

What each stage does stands in `flows.pipeline`. Here are the keys that put it into a process, what lends it to the
engine, and both ends of the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.batch import Emission, Failed, RawBatch, ReadBatch, ShardReport, ShardWork, Slab
from flows.pipeline import Counting, Deciding, Labeller, Ordering, Stages, share_out, understand
from qianshao.config import Config

CORE_KEY = "core-228"
"""Key of intake, root bank and desk. The engine's hash puts it on worker 0 of 2 to 8 workers, where source and sinks
are: slabs then never travel between processes. Elsewhere only speed would differ."""

LINE_KEYS = "line-593-"
"""Keys of the shards begin with it. The same hash puts the first four on workers other than 0, which has the root."""

READ_KEYS = "read-1287-"
"""Keys under which batches are understood begin with it. Of these `READ_WAYS` keys the same hash gives worker 0 of two
workers three, of three one, of more hardly any: it has intake, root, desk and sinks, which weigh somewhat more than the
line shards, which are elsewhere."""

READ_WAYS = 8

FLIGHT_LINES = 16_000
"""How far the reader may run ahead of the intake, or 16 batches if that is more."""

V = TypeVar("V")
W = TypeVar("W")


class Outside(Protocol):
    """Both ends of the flow, on the one worker that owns them.

    A flow that is saved asks for `position` and `written` whenever it takes a snapshot, and gives them back to `seek`
    and `resume` when it goes on from one.
    """

    @property
    def ended(self) -> bool:
        """Whether nothing more will be read."""
        ...

    def seek(self, position: bytes | None, /) -> None:
        """Go on reading where `position` says, from the start if it is None; called once, before anything is read."""
        ...

    def next(self, newest: int | None, /) -> RawBatch | None:
        """Read the next batch, None if there is none now; `newest` is the largest event time that the intake knows."""
        ...

    def position(self) -> bytes | None:
        """Say how far has been read, None if it is not worth knowing."""
        ...

    def resume(self, written: bytes | None, /) -> None:
        """Prepare for outcomes of which everything up to `written` has been let out, and perhaps some after it."""
        ...

    def take(self, emission: Emission | Failed, /) -> None:
        """Write one outcome to every sink. Never raises: the engine would answer with a panic."""
        ...

    def written(self) -> bytes | None:
        """Force out everything taken; raises if that fails, so that the snapshot is not taken."""
        ...


def guarded(handle: Callable[[V], Iterable[W]]) -> Callable[[V | Failed], list[W | Failed]]:
    """Pass failures on, and turn what `handle` raises into one."""

    def run(value: V | Failed) -> list[W | Failed]:
        if isinstance(value, Failed):
            return [value]
        try:
            return list(handle(value))
        except Exception as error:  # noqa: BLE001 - the engine would panic; the owner of the outside raises it instead
            return [Failed.of(error)]

    return run


class _Stage(op.StatefulBatchLogic[V | Failed, W | Failed, bytes | None]):
    """Lends a stage to the engine: values in, values out, bytes as state."""

    def __init__(self, handle: Callable[[V], Iterable[W]], snapshot: Callable[[], bytes] | None) -> None:
        self._handle = guarded(handle)
        self._snapshot = snapshot

    def on_batch(self, values: list[V | Failed]) -> tuple[Iterable[W | Failed], bool]:
        return [result for value in values for result in self._handle(value)], op.StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes | None:
        return None if self._snapshot is None else self._snapshot()


class _Flight:
    """What the intake lets the reader know: how many batches are on their way, how far time has come, when to reload.

    The engine itself holds a reader back only at the end of an epoch, and makes it spin there.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.batches = 0
        self.newest: int | None = None
        self.reloaded = 0

    def full(self) -> bool:
        return self.limit is not None and self.batches >= self.limit


class _Partition(StatefulSourcePartition[RawBatch, bytes | None]):
    def __init__(self, outside: Outside, batches: int, flight: _Flight) -> None:
        self._outside = outside
        self._batches = batches
        self._flight = flight

    def next_batch(self) -> list[RawBatch]:
        outside, flight = self._outside, self._flight
        read: list[RawBatch] = []
        while len(read) < self._batches and not outside.ended and not flight.full():
            batch = outside.next(flight.newest)
            if batch is None:
                break
            batch.models = flight.reloaded
            read.append(batch)
            flight.batches += 1
        if not read and outside.ended:
            raise StopIteration
        return read  # if it is empty, the engine asks again in a millisecond

    def snapshot(self) -> bytes | None:
        return self._outside.position()


class _Input(FixedPartitionedSource[RawBatch, bytes | None]):
    """One reader, on the worker that owns the outside."""

    def __init__(self, outside: Outside | None, batches: int, flight: _Flight) -> None:
        self._outside = outside
        self._batches = batches
        self._flight = flight

    def list_parts(self) -> list[str]:
        return [] if self._outside is None else ["input"]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> _Partition:
        assert self._outside is not None  # only its owner lists the part
        self._outside.seek(resume_state)
        return _Partition(self._outside, self._batches, self._flight)


class _OutputPartition(StatefulSinkPartition[Emission | Failed, bytes | None]):
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def write_batch(self, values: list[Emission | Failed]) -> None:
        for value in values:
            self._outside.take(value)

    def snapshot(self) -> bytes | None:
        return self._outside.written()


class _Output(FixedPartitionedSink[Emission | Failed, bytes | None]):
    """One writer, on the worker that owns the outside."""

    def __init__(self, outside: Outside | None) -> None:
        self._outside = outside

    def list_parts(self) -> list[str]:
        return [] if self._outside is None else ["output"]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> _OutputPartition:
        assert self._outside is not None  # only its owner lists the part
        self._outside.resume(resume_state)
        return _OutputPartition(self._outside)


def build_flow(
    outside: Outside | None, sources: Sequence[str], stages: Stages, config: Config, *, workers: int, durable: bool
) -> Dataflow:
    """Put the dataflow together.

    Parameters
    ----------
    outside
        Input and sinks on the worker that owns them; None on every other.
    sources
        Names of the partitions of the input, the same on every worker; those found while running come with a batch.
    stages
        How the stages are built.
    config
        Settings; `pipeline` changes speed and memory only.
    workers
        Number of workers in all. With one, nothing is ever copied.
    durable
        Whether stages are asked for snapshots. The engine asks at every epoch even when it keeps none, so a replay,
        which starts over anyway, says False.

    Notes
    -----
    Built in every process of a cluster alike; stages are made lazily where their key lives.

    A `reload` takes effect at its tick of event time, as every action does: when the intake passes that tick, the
    reader writes it on each batch from then on, and every process reads its files again before it understands the first
    such batch. What was understood earlier and waits to be put in order, `reorder_seconds` at most, stays as it is: its
    raw text is gone. The files themselves stand outside of the log, so the moment is reproducible and the content is
    not; after a restart the files that are there then serve from the start.
    """
    shards = config.pipeline.shards
    labellers: list[tuple[int, Labeller]] = []
    batch_size = config.pipeline.batch_size
    # beyond 8 workers the core may not be where the reader is, and only the epochs hold the reader back
    flight = _Flight(max(16, FLIGHT_LINES // batch_size) if workers <= 8 else None)

    def read(batch: RawBatch) -> list[ReadBatch]:
        if not labellers:
            labellers.append((0, stages.labeller()))
        newest, labeller = labellers[0]
        if batch.models > newest:
            labeller.reload()
            labellers[0] = batch.models, labeller
        return [understand(batch, labeller, stages.excerpt)]

    def deal(batch: RawBatch) -> tuple[str, RawBatch | Failed]:
        return f"{READ_KEYS}{batch.sequence % READ_WAYS}", batch

    def reading(_: bytes | None) -> _Stage[RawBatch, ReadBatch]:
        return _Stage(read, None)

    def intake(resumed: bytes | None) -> _Stage[ReadBatch, Slab]:
        stage = Ordering(stages, sources, config)
        if resumed is not None:
            stage.restore(resumed)

        def handle(batch: ReadBatch) -> list[Slab]:
            flight.batches -= 1
            slab = stage.take(batch)
            flight.newest = stage.newest
            flight.reloaded = stage.reloaded
            return [] if slab is None else [slab]

        return _Stage(handle, stage.snapshot if durable else None)

    def fan_out(item: tuple[str, Slab | Failed]) -> list[tuple[str, Slab | ShardWork | Failed]]:
        slab = item[1]
        if isinstance(slab, Failed):
            return [item]
        return [(CORE_KEY, slab), *((f"{LINE_KEYS}{work.shard}", work) for work in share_out(slab, shards))]

    def bank(resumed: bytes | None) -> _Stage[Slab | ShardWork, ShardReport]:
        stage = Counting(stages)
        if resumed is not None:
            stage.restore(resumed)
        return _Stage(lambda work: [stage.advance(work)], stage.snapshot if durable else None)

    def desk(resumed: bytes | None) -> _Stage[ShardReport, Emission]:
        stage = Deciding(stages, shards)
        if resumed is not None:
            stage.restore(resumed)
        return _Stage(stage.gather, stage.snapshot if durable else None)

    flow = Dataflow("qianshao")
    batches_at_once = max(1, 256 // batch_size)
    lines = op.input("read", flow, _Input(outside, batches_at_once, flight))
    if workers == 1:
        read_here = guarded(read)
        understood = op.flat_map("understand", lines, lambda batch: [(CORE_KEY, each) for each in read_here(batch)])
    else:
        dealt = op.map("deal", lines, deal)
        labelled = op.stateful_batch("understand", dealt, reading)
        understood = op.map("understood", labelled, lambda item: (CORE_KEY, item[1]))
    slabs = op.stateful_batch("intake", understood, intake)
    work = op.flat_map("share", slabs, fan_out)
    reports = op.stateful_batch("bank", work, bank)
    gathered = op.map("gather", reports, lambda item: (CORE_KEY, item[1]))
    emissions = op.stateful_batch("desk", gathered, desk)
    op.output("write", emissions, _Output(outside))
    return flow
