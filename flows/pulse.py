"""How the pipeline itself is doing: rows about every source, by the wall clock."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path

from flows.batch import Emission
from qianshao.outcome import Pulse

PULSE_SECONDS = 10.0
"""How often it is written down."""

PAGE_BYTES = resource.getpagesize()


def pulses(emission: Emission, waiting: Mapping[str, int], at: int) -> list[Pulse]:
    """Say how the pipeline is doing: one row for each source.

    Parameters
    ----------
    emission
        The newest, for its accounting and clocks.
    waiting
        Source → records that are there and not read.
    at
        Wall clock, epoch milliseconds.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE_BYTES
    outcome = emission.outcome
    return [
        Pulse(
            at=at,
            source=tally.source,
            read=tally.read,
            dead=tally.dead,
            late=tally.late,
            duplicate=tally.duplicate,
            lost=tally.lost,
            waiting=waiting.get(tally.source, 0),
            frontier=frontier,
            watermark=outcome.watermark,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            memory_bytes=resident,
        )
        for tally, frontier in zip(outcome.tallies, emission.frontiers, strict=True)
    ]
