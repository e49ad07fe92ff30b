"""The dataflow: the order in which reading, understanding, accounting, detecting, deciding and writing happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Protocol, TypeVar
from zlib import crc32

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.actions import decode_actions
from flows.batch import Emission, Failed, RawBatch, ReadBatch, ShardReport, ShardWork, Slab, Step, StepReport
from flows.deadletter import Excerpt
from flows.decode import Rejected, decode
from flows.intake import Intake
from flows.linking import Linking
from flows.state import pack, unpack
from qianshao.action import Action, ActionOutcome
from qianshao.clock import from_rfc3339
from qianshao.config import Config
from qianshao.event import DeadLetter, Observation, RawEvent
from qianshao.finding import Finding
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome, Rollup
from qianshao.push import Push, Trend

CORE_KEY = "core-228"
"""Key of intake, root bank and desk. The engine's hash puts it on worker 0 of 2 to 8 workers, where source and sinks
are: slabs then never travel between processes. Elsewhere only speed would differ."""

LINE_KEYS = "line-593-"
"""Keys of the shards begin with it. The same hash puts the first four on workers other than 0, which has the root."""

READ_KEYS = "read-1041-"
"""Keys under which batches are understood begin with it. The same hash gives worker 0, where root, desk and sinks are,
as many of these `READ_WAYS` keys as the others, give or take one: reading is most of the work, and line shards, which
are elsewhere, weigh what those do."""

READ_WAYS = 8

FLIGHT_LINES = 16_000
"""How far the reader may run ahead of the intake, or 16 batches if that is more."""

ROOT = -1
"""Shard index of the bank that sees everything."""

SNAPSHOT_VERSION = 1


class Labeller(Protocol):
    """Masks and understands events; one observation for each event, in order."""

    def label(self, events: Sequence[RawEvent], /) -> list[Observation]:
        """Return one observation for each event."""
        ...

    def pseudonym(self, value: str, /) -> int:
        """Return the pseudonym of a conversation or a ticket."""
        ...

    def reload(self) -> None:
        """Read models and words again; what is refused goes on as it was."""
        ...


class Stateful(Protocol):
    """A stage whose whole state is bytes."""

    def snapshot(self) -> bytes:
        """Write the state."""
        ...

    def restore(self, data: bytes, /) -> None:
        """Go on from a snapshot."""
        ...


class LearningStage(Stateful, Protocol):
    """Learns from labels, and corrects what was understood before."""

    def adapt(self, observations: Sequence[Observation], actions: Sequence[tuple[int, Action]], /) -> None:
        """Correct observations in place, in order, and learn from them and from what people correct."""
        ...


class BankStage(Stateful, Protocol):
    """Counts ordered observations and compares them."""

    def advance(self, observations: Sequence[Observation], watermark: int, /) -> tuple[list[Finding], list[Rollup]]:
        """Count, and decide every tick up to the watermark."""
        ...


class DeskStage(Stateful, Protocol):
    """Decides what is an incident."""

    def advance(
        self,
        findings: Sequence[Finding],
        watermark: int,
        actions: Sequence[tuple[int, Action]] = (),
        renamed: Sequence[tuple[int, int, int]] = (),
        /,
    ) -> tuple[list[IncidentChange], list[Push], list[ActionOutcome]]:
        """Decide on findings ordered by tick and on people's actions, each with its tick, and let time pass.

        `renamed` says which identifiers count under another number from a tick on: (tick, identifier, number).
        """
        ...


class TrendStage(Stateful, Protocol):
    """Keeps the days of every product."""

    def advance(
        self, observations: Sequence[Observation], watermark: int, incidents: Sequence[IncidentChange], /
    ) -> list[Trend]:
        """Count, and close the days that end before the watermark."""
        ...


class Stages(msgspec.Struct, frozen=True):
    """How each stage is built, in the process where it runs and only there."""

    labeller: Callable[[], Labeller]
    excerpt: Excerpt
    learning: Callable[[], LearningStage]
    bank: Callable[[bool], BankStage]
    """Takes whether the bank is the root."""
    desk: Callable[[], DeskStage]
    trends: Callable[[], TrendStage]


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


def shard_of(line: str, shards: int) -> int:
    """Return the shard of series that a business line belongs to, the same in every process and version."""
    return crc32(line.encode()) % shards


def understand(batch: RawBatch, labeller: Labeller, excerpt: Excerpt) -> ReadBatch:
    """Decode, mask and understand one batch; after this nothing raw is left."""
    events: list[RawEvent] = []
    actions: list[Action] = []
    positions: list[int] = []
    letters: list[DeadLetter] = []
    results = decode_actions(batch.lines, labeller.pseudonym) if batch.actions else decode(batch.lines)
    for position, result in enumerate(results, batch.first):
        if type(result) is RawEvent:
            events.append(result)
            positions.append(position)
        elif type(result) is Action:
            actions.append(result)
        elif type(result) is Rejected:
            letters.append(
                DeadLetter(
                    source=batch.source,
                    position=position,
                    reason=result.reason,
                    excerpt=excerpt(batch.lines[position - batch.first]),
                    kind=result.kind,
                )
            )
    return ReadBatch(
        source=batch.source,
        partition=batch.partition,
        sequence=batch.sequence,
        observations=labeller.label(events) if events else [],
        positions=positions,
        letters=letters,
        actions=actions,
        clock=batch.clock,
        lost=batch.lost,
        partitions=batch.partitions,
        fraction=batch.fraction,
        last=batch.last,
        failure=batch.failure,
    )


def share_out(slab: Slab, shards: int) -> list[ShardWork]:
    """Cut a slab into what each shard of series sees: the observations of its business lines, and every step.

    Meanings are compared within a line: they go to its shard, and only those of no line stay for the root.
    """
    works = [ShardWork(sequence=slab.sequence, shard=index, steps=[]) for index in range(shards)]
    known: dict[str, int] = {}
    for step in slab.steps:
        parts: list[list[Observation]] = [[] for _ in range(shards)]
        for observation in step.counted:
            line = observation.line
            if line is not None:
                shard = known.get(line)
                if shard is None:
                    shard = known[line] = shard_of(line, shards)
                heard = observation
                if observation.meaning:
                    heard, observation.meaning = copy(observation), b""
                parts[shard].append(heard)
        for work, part in zip(works, parts, strict=True):
            work.steps.append(Step(watermark=step.watermark, counted=part))
    return works


class _OrderingState(msgspec.Struct):
    intake: bytes
    learning: bytes
    linking: bytes = b""


class Ordering:
    """Puts what was read into one order, names its customers, and lets labels teach what comes after them."""

    def __init__(self, stages: Stages, sources: Sequence[str], config: Config) -> None:
        self._intake = Intake(sources, config.service, stages.excerpt)
        self._linking = Linking(config)
        self._learning = stages.learning()
        self.reloaded = 0
        """Tick of the newest `reload`, 0 before the first."""

    @property
    def newest(self) -> int | None:
        """The largest event time that any source has reached."""
        return self._intake.newest

    def take(self, batch: ReadBatch) -> Slab | None:
        """Take one batch; give out what may be released now."""
        self._intake.accept(batch)
        slab = self._intake.cut()
        if slab is not None:
            for step in slab.steps:
                step.renamed = self._linking.name(step.counted, step.watermark, step.actions)
                self._learning.adapt(step.counted, step.actions)
                for tick, action in step.actions:
                    if action.action == "reload":
                        self.reloaded = tick
            self._linking.name(slab.beyond, slab.watermark)
        return slab

    def snapshot(self) -> bytes:
        """Write what waits, who is who and what was learnt."""
        state = _OrderingState(self._intake.snapshot(), self._learning.snapshot(), self._linking.snapshot())
        return pack("ordering", SNAPSHOT_VERSION, state)

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot."""
        state = unpack(data, "ordering", SNAPSHOT_VERSION, _OrderingState)
        self._intake.restore(state.intake)
        self._learning.restore(state.learning)
        if state.linking:  # written before there was One-ID, it has none
            self._linking.restore(state.linking)


class _BankState(msgspec.Struct):
    shard: int
    bank: bytes


class Counting:
    """One bank behind its shard."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._shard = ROOT
        self._bank: BankStage | None = None

    def advance(self, work: Slab | ShardWork) -> ShardReport:
        """Let the bank of this shard see one slab."""
        shard = work.shard if isinstance(work, ShardWork) else ROOT
        bank = self._bank
        if bank is None:
            self._shard = shard
            bank = self._bank = self._stages.bank(shard == ROOT)
        reports = []
        for step in work.steps:
            findings, rollups = bank.advance(step.counted, step.watermark)
            for observation in step.counted:
                observation.meaning = b""  # compared once; what is remembered and told of need not carry it
            reports.append(StepReport(findings=findings, rollups=rollups))
        return ShardReport(
            sequence=work.sequence, shard=shard, steps=reports, slab=None if isinstance(work, ShardWork) else work
        )

    def snapshot(self) -> bytes:
        """Write which shard this is, and its bank."""
        bank = b"" if self._bank is None else self._bank.snapshot()
        return pack("counting", SNAPSHOT_VERSION, _BankState(self._shard, bank))

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot."""
        state = unpack(data, "counting", SNAPSHOT_VERSION, _BankState)
        self._shard = state.shard
        self._bank = self._stages.bank(state.shard == ROOT)
        if state.bank:
            self._bank.restore(state.bank)


class _DecidingState(msgspec.Struct):
    waiting: list[ShardReport]
    expected: int
    desk: bytes
    trends: bytes


class Deciding:
    """Gathers what every shard says about a slab, and lets the desk decide on all of it at once."""

    def __init__(self, stages: Stages, shards: int) -> None:
        self._reports_per_slab = shards + 1
        self._waiting: dict[int, list[ShardReport]] = {}
        self._expected = 0
        self._desk = stages.desk()
        self._trends = stages.trends()

    def gather(self, report: ShardReport) -> list[Emission]:
        """Take one report; return the outcomes that are now complete, in order."""
        self._waiting.setdefault(report.sequence, []).append(report)
        emissions = []
        while len(self._waiting.get(self._expected, ())) == self._reports_per_slab:
            emissions.append(self._decide(self._waiting.pop(self._expected)))
            self._expected += 1
        return emissions

    def _decide(self, reports: list[ShardReport]) -> Emission:
        reports.sort(key=lambda report: report.shard)
        slab = reports[0].slab
        assert slab is not None  # the root sorts first and brings the slab
        outcome = Outcome(
            sequence=slab.sequence,
            watermark=slab.watermark,
            late=slab.late,
            deadletters=slab.letters,
            tallies=slab.tallies,
            final=slab.final,
        )
        for place, step in enumerate(slab.steps):
            parts = [report.steps[place] for report in reports]
            findings = [finding for part in parts for finding in part.findings]
            findings.sort(key=_finding_order)
            incidents, pushes, actions = self._desk.advance(findings, step.watermark, step.actions, step.renamed)
            incidents.sort(key=_change_order)
            outcome.counted += step.counted
            outcome.rollups += [rollup for part in parts for rollup in part.rollups]
            outcome.incidents += incidents
            outcome.pushes += pushes
            outcome.actions += actions
            outcome.trends += self._trends.advance(step.counted, step.watermark, incidents)
        outcome.counted += slab.beyond
        return Emission(
            outcome=outcome,
            frontiers=slab.frontiers,
            fraction=slab.fraction,
            stopped=slab.stopped,
            failures=slab.failures,
        )

    def snapshot(self) -> bytes:
        """Write desk, trends and the reports that still wait for others."""
        waiting = [report for reports in self._waiting.values() for report in reports]
        state = _DecidingState(waiting, self._expected, self._desk.snapshot(), self._trends.snapshot())
        return pack("deciding", SNAPSHOT_VERSION, state)

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot."""
        state = unpack(data, "deciding", SNAPSHOT_VERSION, _DecidingState)
        self._expected = state.expected
        for report in state.waiting:
            self._waiting.setdefault(report.sequence, []).append(report)
        self._desk.restore(state.desk)
        self._trends.restore(state.trends)


def _finding_order(finding: Finding) -> tuple[int, object, str]:
    return finding.tick, finding.series, finding.kind


def _change_order(change: IncidentChange) -> tuple[int, str, int]:
    return from_rfc3339(change.at), change.incident, change.version


V = TypeVar("V")
W = TypeVar("W")


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
