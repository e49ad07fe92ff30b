"""Events in order of arrival: encoded once, kept in slices of time, forgotten when they have been written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, NamedTuple

import msgspec

SHANGHAI = timezone(timedelta(hours=8))
SLICE_MS = 900_000
_SCRAMBLE = 0x9E3779B1
"""Odd, so that multiplying by it modulo a power of two gives every number once and betrays no order."""
_PREFIX = {"chat": "m", "call": "h", "ticket": "t", "device": "d", "rating": "r"}


class Cause:
    """One batch incident as it is written into the truth; events add themselves."""

    __slots__ = ("customers", "dims", "end", "events", "id", "kind", "severe", "start")

    def __init__(self, identifier: str, kind: str, start: int, end: int, severe: bool, dims: dict[str, str]) -> None:
        self.id = identifier
        self.kind = kind
        self.start = start
        self.end = end
        self.severe = severe
        self.dims = dims
        self.events: list[str] = []
        self.customers: list[str] = []
        """The customer of each event, by position."""


class Record(NamedTuple):
    """One encoded event at its place in the order of arrival; sorts by arrival, then by creation."""

    arrival: int
    number: int
    data: bytes


def stamp(ts: int, rfc: bool) -> str | int:
    """Write an event time: RFC 3339 with milliseconds in UTC+8, or epoch milliseconds as they are."""
    if rfc:
        return datetime.fromtimestamp(ts / 1000, tz=SHANGHAI).isoformat(timespec="milliseconds")
    return ts


class Timeline:
    """Collects events in any order and gives them back by arrival, slice by slice.

    Parameters
    ----------
    rng
        Source of identifiers and transport delays.
    start, end
        First and last (exclusive) event time, epoch milliseconds; an event outside is not taken.
    """

    def __init__(self, rng: Random, start: int, end: int) -> None:
        self._rng = rng
        self._encode = msgspec.json.Encoder().encode
        self.start = start
        self.end = end
        self._slices: list[list[Record]] = [[] for _ in range((end - start + SLICE_MS - 1) // SLICE_MS)]
        self._number = 0
        self._conversations = 0
        self._salt = rng.getrandbits(32)

    @property
    def slices(self) -> int:
        """Number of slices."""
        return len(self._slices)

    def new_conversation(self, channel: str) -> str:
        """Invent the identifier of a conversation; unique in the world."""
        self._conversations += 1
        return f"{channel[0]}{(self._conversations * _SCRAMBLE + self._salt) & 0xFFFFFFF:07x}"

    def add(
        self,
        kind: str,
        ts: int,
        fields: dict[str, Any],
        *,
        rfc: bool,
        cause: Cause | None = None,
        customer: str = "",
        arrival: int = 0,
    ) -> None:
        """Take one event; `arrival` 0 = shortly after `ts`, with the ordinary transport delays."""
        if not self.start <= ts < self.end:
            return
        rng = self._rng
        self._number += 1
        identifier = f"{_PREFIX[kind]}{(self._number * _SCRAMBLE + self._salt) & 0xFFFFFFFF:08x}"
        u = rng.random()
        if not arrival:
            if u < 0.97:
                arrival = ts + int(u * 4000)
            elif u < 0.9985:
                arrival = ts + int((u - 0.97) / 0.0285 * 240_000)
            else:
                arrival = ts + 900_000 + int(rng.random() * 7_200_000)
        if rng.random() < 0.01:
            fields = {**fields, "src": f"gw{int(rng.random() * 6)}"}
        data = self._encode({"id": identifier, "kind": kind, "ts": stamp(ts, rfc), **fields})
        index = min((arrival - self.start) // SLICE_MS, len(self._slices) - 1)
        self._slices[index].append(Record(arrival, self._number, data))
        if cause is not None:
            cause.events.append(identifier)
            cause.customers.append(customer)

    def take(self, index: int) -> Iterator[Record]:
        """Give back one slice in order of arrival and forget it; nothing may be added to it afterwards."""
        records = self._slices[index]
        self._slices[index] = []
        records.sort()
        return iter(records)
