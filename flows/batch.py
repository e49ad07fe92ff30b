"""What travels between the stages: batches of lines, read batches, slabs of event time, reports of shards."""

from __future__ import annotations

import traceback
from typing import Any, Self

import msgspec

from qianshao import errors
from qianshao.action import Action
from qianshao.event import DeadLetter, Observation
from qianshao.finding import Finding
from qianshao.outcome import Outcome, Rollup, Tally


class Parcel(msgspec.Struct, kw_only=True):
    """Base of everything that crosses a stage: within a process the object, between processes MessagePack."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Let the engine's transport carry bytes of known types instead of object graphs."""
        return _unwrap, (type(self), msgspec.msgpack.encode(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `__reduce__` wrote."""
        return msgspec.msgpack.decode(data, type=cls)


def _unwrap(kind: type[Parcel], data: bytes) -> Parcel:
    return kind.from_bytes(data)


class RawBatch(Parcel):
    """Consecutive records of one source, as they were read. It never enters a snapshot."""

    source: str
    partition: int
    """Index of the source among the sources of the flow."""
    sequence: int
    """0, 1, … within the partition, without gaps."""
    first: int
    """Position of the first line: its number in a file, from 1, or its offset in a topic."""
    lines: list[bytes]
    actions: bool = False
    """Whether the lines are people's actions and not events."""
    clock: int | None = None
    """Event time, epoch milliseconds, that the source is known to have reached after these lines, though no record says
    so: it has nothing to read. None where only the records tell."""
    lost: int = 0
    """Records before the first line that the broker had deleted before they were read."""
    partitions: int = 0
    """How many partitions the reader knows; the clock waits for all of them."""
    models: int = 0
    """Tick of the newest `reload` that had taken effect when it was read; 0 before the first."""
    fraction: float = 0.0
    """How much of all input has been read with this batch, 0–1."""
    last: bool = False
    """True on the last batch of the partition, which may be empty."""
    failure: str = ""
    """Why reading ended before the end of the source, '' if it did not."""


class ReadBatch(Parcel):
    """A `RawBatch` understood: masked observations and dead letters, each with its position."""

    source: str
    partition: int
    sequence: int
    observations: list[Observation]
    positions: list[int]
    """Position of each observation."""
    letters: list[DeadLetter]
    actions: list[Action] = []
    clock: int | None = None
    lost: int = 0
    partitions: int = 0
    fraction: float = 0.0
    last: bool = False
    failure: str = ""


class Step(msgspec.Struct, kw_only=True):
    """Part of a slab within which only the decision grid matters."""

    watermark: int
    """Every decision up to this tick may now fall."""
    counted: list[Observation]
    """In (`ts`, `id`) order; all below `watermark`."""
    actions: list[tuple[int, Action]] = []
    """What people decided, each with the tick at which it takes effect, in order."""
    renamed: list[tuple[int, int, int]] = []
    """Identifiers that count under another number from a tick on: (tick, identifier, number), in order."""


class Slab(Parcel):
    """Everything released between two boundaries of event time, with the accounting so far."""

    sequence: int
    watermark: int
    """The boundary up to which this slab goes; 0 before the first."""
    steps: list[Step]
    """In order; none before the first counted event, nor when only letters go out. A new step begins wherever an
    allowed-late observation joins, so that results never depend on where slabs were cut."""
    beyond: list[Observation] = []
    """Only in the final slab: events whose own clocks stand after the end of everything. Counted and stored, but no
    decision is made for a time that never came."""
    late: list[Observation] = []
    letters: list[DeadLetter] = []
    tallies: list[Tally] = []
    frontiers: list[int] = []
    """Event time that each source has reached, in the order of the tallies; 0 before its first record."""
    fraction: float = 0.0
    stopped: list[int] = []
    """Partitions that must not be read on."""
    failures: list[str] = []
    """Why sources were stopped; the run ends with them."""
    final: bool = False


class ShardWork(Parcel):
    """The part of a slab that one shard of series sees."""

    sequence: int
    shard: int
    steps: list[Step]


class StepReport(msgspec.Struct, kw_only=True):
    """What one bank says about one step."""

    findings: list[Finding]
    rollups: list[Rollup]


class ShardReport(Parcel):
    """What one bank says about one slab; the root's report brings the slab itself along."""

    sequence: int
    shard: int
    """−1 for the root."""
    steps: list[StepReport]
    slab: Slab | None = None


class Emission(Parcel):
    """One outcome on its way to the sinks, with what the owner of the outside must know."""

    outcome: Outcome
    frontiers: list[int] = []
    fraction: float = 0.0
    stopped: list[int] = []
    failures: list[str] = []


class Failed(Parcel):
    """A stage raised. The engine would answer an exception with a panic, so it travels to the end like a result."""

    kind: str
    """Class of the exception."""
    message: str
    details: str
    """Where it was raised, for those who mend it."""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Write down an exception."""
        return cls(kind=type(error).__name__, message=str(error), details="".join(traceback.format_exception(error)))

    def exception(self) -> Exception:
        """Return it as the error of ours that it was, or as an internal one with its origin."""
        kind = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, errors.QianshaoError):
            return kind(self.message)
        return RuntimeError(f"{self.kind}: {self.message}\n{self.details}")
