"""What has been said before, in fixed memory: when each term was first and last heard, and who said it first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

PHRASE_BITS = 20
NAME_BITS = 17
ROWS = 2
"""Cells that remember one term, each at a place of its own."""
NURSERY_BITS = 17
FORGET_DAYS = 14
"""A term that nobody has said for this long is new again."""
YOUNG_HOURS = 24
"""For so long after its birth a term is new."""
SKETCH_BYTES = ROWS * ((1 << PHRASE_BITS) + (1 << NAME_BITS)) * 4 + (1 << NURSERY_BITS) * 32
"""Of both classes of this module together: 13 MiB, however many terms there are."""


class TermSketch:
    """When each of any number of terms was born and when it was last heard.

    A term is remembered in `ROWS` cells. A cell keeps the hour in which the first term at this place was heard, as long
    as any of its terms is heard within `FORGET_DAYS`. The birth of a term is the latest of its cells: a collision can
    only make a term look older than it is, never newer (the one-sided error of the count-min sketch, Cormode and
    Muthukrishnan 2005, J. Algorithms 55(1):58, with the minimum over counts replaced by the maximum over births).

    Names (codes, Latin words, a fault at a place) live in a part of their own, so that free text, of which there is so
    much more, does not age them.

    What is answered within one hour does not depend on order nor on how the calls were cut.

    When it fails: with more than about a million phrases alive every third new phrase looks old; a flood of random
    text ages everything, for `FORGET_DAYS` at most. Cost: about 30 ns a term.
    """

    def __init__(self) -> None:
        self._cells: NDArray[np.uint32] = np.zeros((ROWS, (1 << PHRASE_BITS) + (1 << NAME_BITS)), dtype=np.uint32)
        """Birth in hours since 1970, and in the last eight bits the day when it was last heard; 0 = empty."""
        self._day = 0

    def hear(self, keys: Keys, named: Bools, hour: int) -> Ints:
        """Remember terms heard in `hour` and return in which hour each was born, this one for a new one.

        Hours count from 1970 and never decrease.
        """
        day = hour // 24
        if day > self._day:
            self._forget(day)
        born = np.zeros(len(keys), dtype=np.uint32)
        for row in range(ROWS):
            places = _places(keys, named, row)
            cells = self._cells[row, places] >> np.uint32(8)
            cells[cells == 0] = hour
            np.maximum(born, cells, out=born)
            self._cells[row, places] = (cells << np.uint32(8)) | np.uint32(day & 0xFF)
        return born.astype(np.int64)

    def _forget(self, day: int) -> None:
        """Empty the cells that nobody has heard of for too long."""
        if day - self._day > FORGET_DAYS:
            self._cells[:] = 0
        else:
            unheard = (np.uint32(day & 0xFF) - self._cells) & np.uint32(0xFF)
            self._cells[unheard > FORGET_DAYS] = 0
        self._day = day

    def snapshot(self) -> dict[str, Any]:
        """Return the state as numbers and bytes."""
        return {"cells": self._cells.tobytes(), "day": self._day}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`."""
        self._cells = np.frombuffer(state["cells"], dtype=np.uint32).reshape(self._cells.shape).copy()
        self._day = state["day"]


class Nursery:
    """Who said each young term first, until somebody else says it or another term takes the place.

    Forgetting delays: the next to say the term is then taken for the first. Cost: about 0.2 µs a young term.
    """

    def __init__(self) -> None:
        self._keys: Keys = np.zeros(1 << NURSERY_BITS, dtype=np.uint64)
        self._who: Keys = np.zeros(1 << NURSERY_BITS, dtype=np.uint64)
        self._serial: Ints = np.zeros(1 << NURSERY_BITS, dtype=np.int64)
        self._ts: Ints = np.zeros(1 << NURSERY_BITS, dtype=np.int64)

    def admit(self, keys: Keys, who: Keys, serials: Ints, ts: Ints) -> tuple[Bools, Keys, Ints, Ints]:
        """Take young terms in the order in which they were said.

        Parameters
        ----------
        keys, who, serials, ts
            Each term, its speaker, the number of the event, and its time.

        Returns
        -------
        first, who, serials, ts
            Which were said for the first time; and who had said each first, in which event, and when.
        """
        places = (keys >> np.uint64(20)).astype(np.int64) & ((1 << NURSERY_BITS) - 1)
        order = np.argsort(places, kind="stable")
        keys, places = keys[order], places[order]
        begins = np.ones(len(keys), dtype=np.bool_)
        begins[1:] = places[1:] != places[:-1]
        # Whoever comes to a place leaves the term there: what is found is the term before, or what the table holds.
        found = np.where(begins, self._keys[places], np.roll(keys, 1))
        first = found != keys
        # Who holds the place: whoever said its term first, in this call or before it.
        holder = _last_first(begins, first)
        here = holder >= 0
        said = [
            np.where(here, column[order][np.maximum(holder, 0)], table[places])
            for column, table in ((who, self._who), (serials, self._serial), (ts, self._ts))
        ]
        ends = np.ones(len(keys), dtype=np.bool_)
        ends[:-1] = begins[1:]
        self._keys[places[ends]] = keys[ends]
        for table, column in zip((self._who, self._serial, self._ts), said, strict=True):
            table[places[ends]] = column[ends]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return first[back], said[0][back], said[1][back], said[2][back]

    def snapshot(self) -> dict[str, bytes]:
        """Return the state as bytes."""
        return {
            "keys": self._keys.tobytes(),
            "who": self._who.tobytes(),
            "serial": self._serial.tobytes(),
            "ts": self._ts.tobytes(),
        }

    def restore(self, state: dict[str, bytes]) -> None:
        """Take over a state written by `snapshot`."""
        self._keys = np.frombuffer(state["keys"], dtype=np.uint64).copy()
        self._who = np.frombuffer(state["who"], dtype=np.uint64).copy()
        self._serial = np.frombuffer(state["serial"], dtype=np.int64).copy()
        self._ts = np.frombuffer(state["ts"], dtype=np.int64).copy()


def _places(keys: Keys, named: Bools, row: int) -> Ints:
    """Where a row of the sketch remembers each term."""
    bits = keys >> np.uint64(32 * row)
    phrases, names = bits & np.uint64((1 << PHRASE_BITS) - 1), bits & np.uint64((1 << NAME_BITS) - 1)
    return np.where(named, names + np.uint64(1 << PHRASE_BITS), phrases).astype(np.int64)


def _last_first(begins: Bools, first: Bools) -> Ints:
    """For each entry of runs that begin where `begins`: the place of the run's last `first` so far, −1 = none."""
    numbers = np.arange(len(begins))
    run = np.maximum.accumulate(np.where(begins, numbers, 0))
    last = np.maximum.accumulate(np.where(first, numbers, -1))
    return np.where(last >= run, last, -1)
