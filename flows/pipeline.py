"""What each stage of the pipeline does with a batch, and what it is built from; the engine is not known here.

Understand a batch, put what was read in order, share it out among the shards, count, decide. A test or a plain loop can
call each of them; in a flow the engine does (`flows.engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Protocol
from zlib import crc32

import msgspec

from flows.actions import decode_actions
from flows.batch import Emission, RawBatch, ReadBatch, ShardReport, ShardWork, Slab, Step, StepReport
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
