"""The frontier of one partition: how far its event time has come, which no single bad clock can move."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from statistics import median_low
from typing import Generic, TypeVar

from qianshao.clock import DAY_MS, MINUTE_MS

T = TypeVar("T")

FOLLOWERS = 8
"""Timed records read after a leap before it is judged."""

WITNESSES = 3
"""Followers that must contradict a leap to overrule it."""

LONGEST_LEAP_MS = DAY_MS


class Frontier(Generic[T]):
    """Largest believed event time of one partition, in arrival order.

    A record that leaps — its time lies more than the larger of `reorder_ms` and one minute beyond the frontier, or
    there is no frontier yet — is held, with everything after it, until `FOLLOWERS` further timed records have been
    read or the input ends. It is *disbelieved* if at least `WITNESSES` of them lie more than that distance before it
    and they outnumber the others; else it is believed and moves the frontier. A disbelieved record waits in the
    reorder buffer for its time like any other. It is *implausible* — dead — when it lies more than 24 hours ahead of
    the frontier, or, while there is none, of the median of its followers.

    A gap of more than 24 hours in a log is told from a bad clock by what follows: only when all `FOLLOWERS` records are
    there and none contradicts is the record beyond it believed. Records after such a gap with fewer followers are dead.

    Fails when more than `FOLLOWERS` records with equally wrong clocks follow each other without a good one between
    them: they are believed, and the good ones after them may be late.

    Parameters
    ----------
    reorder_ms
        Disorder of arrival that is taken as ordinary.

    Notes
    -----
    Results depend on the order of arrival only, never on how it was cut. O(1) a record; a leap costs O(`FOLLOWERS`).
    """

    def __init__(self, reorder_ms: int) -> None:
        self.leap_ms = max(reorder_ms, MINUTE_MS)
        self.value: int | None = None
        """Epoch milliseconds; None before the first believed record."""
        self.held: deque[tuple[int, T]] = deque()
        """Times and records that wait for their followers, in arrival order."""

    def restore(self, value: int | None, held: Iterable[tuple[int, T]]) -> None:
        """Go on from a `value` and `held` taken before."""
        self.value = value
        self.held = deque(held)

    def offer(self, ts: int, record: T) -> Iterator[tuple[int, T, bool]]:
        """Take one timed record; yield those whose fate is now known as (time, record, plausible).

        While a record is being yielded, `value` is the frontier at its place in the order of arrival: handle each
        before asking for the next.
        """
        self.held.append((ts, record))
        return self._settle(ended=False)

    def finish(self) -> Iterator[tuple[int, T, bool]]:
        """Yield all that is still held, judged by the followers it has."""
        return self._settle(ended=True)

    def reach(self, clock: int) -> Iterator[tuple[int, T, bool]]:
        """Advance to `clock`, which the source is known to have reached without a record that says so.

        Yield what is still held: a record that leaps ahead of `clock` too is disbelieved, every other is believed.
        """
        while self.held:
            ts, record = self.held.popleft()
            plausible = True
            if ts <= clock + self.leap_ms or (self.value is not None and ts <= self.value + self.leap_ms):
                self.value = ts if self.value is None else max(self.value, ts)
            else:
                plausible = ts <= max(clock, self.value or clock) + LONGEST_LEAP_MS
            yield ts, record, plausible
        self.value = clock if self.value is None else max(self.value, clock)

    def _settle(self, *, ended: bool) -> Iterator[tuple[int, T, bool]]:
        held = self.held
        while held:
            ts, record = held[0]
            if self.value is not None and ts <= self.value + self.leap_ms:
                plausible = True
                self.value = max(self.value, ts)
            elif len(held) <= FOLLOWERS and not ended:
                return
            else:
                plausible = self._judge(ts)
            held.popleft()
            yield ts, record, plausible

    def _judge(self, ts: int) -> bool:
        followers = [self.held[place][0] for place in range(1, min(FOLLOWERS, len(self.held) - 1) + 1)]
        against = sum(other < ts - self.leap_ms for other in followers)
        far = self.value is not None and ts > self.value + LONGEST_LEAP_MS
        if against >= WITNESSES and against > len(followers) - against:
            origin = self.value if self.value is not None else median_low(followers)
            return ts <= origin + LONGEST_LEAP_MS
        if far and (against or len(followers) < FOLLOWERS):
            return False
        self.value = ts
        return True
