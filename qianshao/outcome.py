"""What one step of the dataflow gives to the sinks: everything that leaves, with its accounting."""

from __future__ import annotations

import msgspec

from qianshao.action import ActionOutcome
from qianshao.event import DeadLetter, Observation
from qianshao.incident import IncidentChange
from qianshao.push import Push, Trend
from qianshao.series import Series


class Tally(msgspec.Struct, kw_only=True):
    """Accounting of one source: `read` = `counted` + `late` + `dead` + `duplicate` + `dropped`, always."""

    source: str
    read: int = 0
    counted: int = 0
    late: int = 0
    dead: int = 0
    duplicate: int = 0
    dropped: int = 0
    lost: int = 0
    """Records that the broker had deleted before they were read; they are in none of the other figures."""


class Pulse(msgspec.Struct, kw_only=True):
    """How the pipeline itself is doing at one moment of the wall clock. (`at`, `source`) is its key."""

    at: int
    """Wall clock, epoch milliseconds."""
    source: str
    """One source partition."""
    read: int
    """Records read so far."""
    dead: int
    late: int
    duplicate: int
    lost: int
    waiting: int
    """Records that the source holds and we have not read; 0 where the source does not say."""
    frontier: int
    """Event time that this source has reached, epoch milliseconds; 0 before its first record."""
    watermark: int
    """Event time up to which every decision has fallen, epoch milliseconds; 0 before the first."""
    cpu_seconds: float
    """Processor time of this process since it started."""
    memory_bytes: int
    """Resident memory of this process."""


class Rollup(msgspec.Struct, kw_only=True, gc=False):
    """One closed bin of one series, with the band in which it was expected. (series, bin_start) is its key."""

    series: Series
    bin_start: int
    """Epoch milliseconds."""
    bin_ms: int
    messages: int
    customers: int
    expected: float
    low: float
    high: float
    learning: bool
    """True while the expectation rests on too little history to be trusted."""


class Outcome(msgspec.Struct, kw_only=True):
    """All that one step emits. Outcomes arrive at the sinks in the order of `sequence`, without gaps."""

    sequence: int
    watermark: int
    """Event time up to which every decision has fallen, epoch milliseconds."""
    counted: list[Observation] = []
    late: list[Observation] = []
    deadletters: list[DeadLetter] = []
    rollups: list[Rollup] = []
    incidents: list[IncidentChange] = []
    pushes: list[Push] = []
    trends: list[Trend] = []
    tallies: list[Tally] = []
    """Cumulative, one per source."""
    actions: list[ActionOutcome] = []
    pulses: list[Pulse] = []
    """Added where the outcome is let out: they are of the wall clock, and no decision depends on them."""
    final: bool = False
    """True on the last outcome of a replay."""
