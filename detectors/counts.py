"""Counts of distinct customers per series in arrays: five-minute and hourly rings, one row a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.cells import Cell, Signature, cells_of
from qianshao.clock import DAY_MS, HOUR_MS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FINE_MS = 300_000
FINE_BINS = 12
HOURS = 24
_FINE_WINDOWS = (2, 6, 12)
_HOUR_WINDOWS = (3, 8, 24)
WINDOWS = len(_FINE_WINDOWS) + len(_HOUR_WINDOWS)
WINDOW_HOURS = np.array([bins / FINE_BINS for bins in _FINE_WINDOWS] + [float(hours) for hours in _HOUR_WINDOWS])
"""How long each window is."""
DISTINCT_MS = DAY_MS
"""A customer counts once in a series within this time."""

MAX_CACHED = 100_000
"""Row lists that are remembered; only speed depends on it."""
_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

DENOMINATORS = ("contacts", "tickets", "devices")
"""Measures that count everybody: what the share of every other series is taken of."""

DENOMINATOR_OF = {
    "topic": "contacts",
    "term": "contacts",
    "theme": "contacts",
    "negative": "contacts",
    "trouble": "contacts",
    "returned": "contacts",
    "danger": "contacts",
    "ticket_type": "tickets",
    "code": "devices",
    "template": "devices",
    "metric": "devices",
}

Measured = tuple[str, str]
"""A measure and its value, such as ("topic", "设备离线")."""


class CountTable:
    """Rows of series with their recent counts of distinct customers.

    A customer is counted in a series at the first event within 24 hours, so that eighty messages of one angry customer
    are one, and the 24-hour window is exact. Rows appear on sight, parents first; when `maximum` rows are taken, finer
    cells are not opened and `refused` counts them: memory is bounded.

    Cost: one dictionary look-up for an event whose customer has been counted with these dimensions already, otherwise
    one per cell (about 12). About 0.4 KB a row.
    """

    def __init__(self, *, root: bool, maximum: int, maximum_customers: int = 2_000_000) -> None:
        self.root = root
        self.maximum = maximum
        self.maximum_customers = maximum_customers
        self.refused = 0
        self.measured: list[Measured] = []
        self.cells: list[Cell] = []
        self._measured_id: dict[Measured, int] = {}
        self._cell_id: dict[Cell, int] = {}
        self._row_of: dict[tuple[int, int], int] = {}
        self.rows_of_measured: dict[int, list[int]] = {}
        self._rows_by_names: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        self._groups: dict[int, list[tuple[str, ...]]] = {}
        self.n = 0
        self._grow(1024)
        self._signature_id: dict[Signature, int] = {}
        self._signature_cells: list[list[tuple[int, int]]] = []
        self._everybody_cells: list[list[tuple[int, int]]] = []
        self._rows_cache: dict[tuple[int, int], list[int]] = {}
        self.broad: list[int] = []
        """Rows of the broad cells, whose bins the live board shows; device codes also by firmware and region."""
        self._weighed: tuple[int, NDArray[np.float32], NDArray[np.float32]] | None = None
        self._pair_seen: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self.messages: dict[tuple[int, int], int] = {}
        self.bin = 0
        self._uncounted: list[int] = []

    def _grow(self, capacity: int) -> None:
        old = self.n

        def wider(name: str, width: int | None, dtype: Any, fill: float = 0) -> None:
            shape = (capacity,) if width is None else (capacity, width)
            fresh = np.full(shape, fill, dtype=dtype)
            if old:
                fresh[:old] = getattr(self, name)[:old]
            setattr(self, name, fresh)

        self.fine: NDArray[np.float32]
        self.hour: NDArray[np.float32]
        self.row_measured: Ints
        self.row_cell: Ints
        self.parent: Ints
        self.depth: Ints
        self.denominator: Ints
        wider("fine", FINE_BINS, np.float32)
        wider("hour", HOURS, np.float32)
        for name in ("row_measured", "row_cell", "depth"):
            wider(name, None, np.int64)
        wider("parent", None, np.int64, -1)
        wider("denominator", None, np.int64, -1)
        self.capacity = capacity

    # -- naming ------------------------------------------------------------------------------------------------------

    def measured_id(self, measured: Measured) -> int:
        """Return the number of a measure and value, giving the next one on first sight."""
        found = self._measured_id.get(measured)
        if found is None:
            found = len(self.measured)
            self._measured_id[measured] = found
            self.measured.append(measured)
            self.rows_of_measured[found] = []
        return found

    def signature_id(self, signed: Signature) -> int:
        """Return the number of a signature, listing its cells on first sight."""
        found = self._signature_id.get(signed)
        if found is None:
            found = len(self._signature_cells)
            self._signature_id[signed] = found
            self._signature_cells.append(self._number(cells_of(signed, root=self.root)))
            self._everybody_cells.append(self._number(cells_of(signed, root=self.root, everybody=True)))
        return found

    def _number(self, cells: list[tuple[Cell, int]]) -> list[tuple[int, int]]:
        numbered: list[tuple[int, int]] = []
        for cell, parent in cells:
            number = self._cell_id.get(cell)
            if number is None:
                number = len(self.cells)
                self._cell_id[cell] = number
                self.cells.append(cell)
            numbered.append((number, parent))
        return numbered

    @property
    def signatures(self) -> int:
        """How many signatures have been seen."""
        return len(self._signature_cells)

    def knows_signature(self, signed: Signature) -> bool:
        """Return whether a signature has been seen before."""
        return signed in self._signature_id

    def knows(self, measured: Measured) -> bool:
        """Return whether a measure value has been counted before."""
        return measured in self._measured_id

    def rows_of(self, measured: int, signed: int) -> list[int]:
        """Return the open rows of a measure value for the cells of a signature."""
        return self._rows_cache.get((measured, signed)) or self._open_rows(measured, signed)

    def row(self, measured: Measured, cell: Cell) -> int:
        """Return the row of a series, −1 if it has none."""
        measured_number = self._measured_id.get(measured)
        cell_number = self._cell_id.get(cell)
        if measured_number is None or cell_number is None:
            return -1
        return self._row_of.get((measured_number, cell_number), -1)

    def _open_rows(self, measured: int, signed: int) -> list[int]:
        """Open the rows of one measure for every cell of a signature, parents first; return those that exist."""
        rows: list[int] = []
        by_position: list[int] = []
        measure = self.measured[measured][0]
        denominator = DENOMINATOR_OF.get(measure)
        complete = True
        cells = self._everybody_cells if measure in DENOMINATORS else self._signature_cells
        for cell, parent in cells[signed]:
            row = self._row_of.get((measured, cell), -1)
            if row < 0:
                if self.n >= self.maximum:
                    self.refused += 1
                    complete = False
                    by_position.append(-1)
                    continue
                if self.n == self.capacity:
                    self._grow(min(self.capacity * 2, self.maximum))
                row = self.n
                self.n += 1
                self._row_of[(measured, cell)] = row
                self.rows_of_measured[measured].append(row)
                self.row_measured[row] = measured
                self.row_cell[row] = cell
                self._index(row)
                above = by_position[parent] if parent >= 0 else -1
                self.parent[row] = above
                self.depth[row] = self.depth[above] + 1 if above >= 0 else 0
                if denominator is not None:
                    below = self._row_of.get((self.measured_id((denominator, "")), cell), -1)
                    self.denominator[row] = below
            by_position.append(row)
            rows.append(row)
        if len(self._rows_cache) >= MAX_CACHED:
            self._rows_cache.clear()
        if complete:
            self._rows_cache[(measured, signed)] = rows
        return rows

    # -- counting ----------------------------------------------------------------------------------------------------

    def count(self, measured: int, signed: int, customer: int, ts: int) -> Sequence[int]:
        """Count one customer's event in every cell of a signature; return the rows in which the customer was new.

        The rings know of it after `settle`.
        """
        pair = (measured, signed)
        self.messages[pair] = self.messages.get(pair, 0) + 1
        pair_key = (customer ^ ((measured * 1_000_003 + signed + 1) * _MIX)) & _MASK
        last = self._pair_seen.get(pair_key)
        horizon = ts - DISTINCT_MS
        if last is not None and last > horizon:
            return ()
        if last is not None:
            del self._pair_seen[pair_key]
        self._pair_seen[pair_key] = ts
        rows = self.rows_of(measured, signed)
        seen = self._seen
        fresh: list[int] = []
        for row in rows:
            key = (customer ^ ((row + 1) * _MIX)) & _MASK
            last = seen.get(key)
            if last is not None:
                if last > horizon:
                    continue
                del seen[key]
            seen[key] = ts
            fresh.append(row)
        if fresh:
            self._uncounted.extend(fresh)
        return fresh

    def settle(self) -> None:
        """Write into the rings what was counted since the last time: one addition for many events."""
        if self._uncounted:
            rows = np.array(self._uncounted, dtype=np.int64)
            np.add.at(self.fine[:, self.bin % FINE_BINS], rows, 1)
            np.add.at(self.hour[:, (self.bin // 12) % HOURS], rows, 1)
            self._uncounted.clear()

    def roll(self) -> None:
        """Go on to the next five-minute bin, forgetting what leaves the rings."""
        self.settle()
        self.bin += 1
        self.fine[: self.n, self.bin % FINE_BINS] = 0
        self.messages.clear()
        if self.bin % 12 == 0:
            self.hour[: self.n, (self.bin // 12) % HOURS] = 0
            self._forget(self.bin * FINE_MS)

    def _forget(self, now: int) -> None:
        """Drop customers counted longer ago than the horizon; oldest first beyond the maximum."""
        horizon = now - DISTINCT_MS
        for seen in (self._pair_seen, self._seen):
            stale = 0
            surplus = len(seen) - self.maximum_customers
            for ts in seen.values():
                if ts > horizon and stale >= surplus:
                    break
                stale += 1
            for key in [key for key, _ in zip(seen, range(stale), strict=False)]:
                del seen[key]

    def windows(self, rows: Ints) -> Floats:
        """Return distinct customers per row in the last 10 and 30 minutes, 1, 3, 8 and 24 hours: shape (rows, 6)."""
        self.settle()
        fine_weights, hour_weights = self._weights()
        counts = np.empty((len(rows), WINDOWS))
        counts[:, : len(_FINE_WINDOWS)] = self.fine[rows] @ fine_weights
        counts[:, len(_FINE_WINDOWS) :] = self.hour[rows] @ hour_weights
        return counts

    def part_since(self, rows: Ints, ts_ms: int) -> Floats:
        """Return which part of the customers of each window came since a time, 1 where nobody came: shape (rows, 6)."""
        fine_weights, hour_weights = (weights.copy() for weights in self._weights())
        for back in range(FINE_BINS):
            if (self.bin - back) * FINE_MS < ts_ms:
                fine_weights[(self.bin - back) % FINE_BINS] = 0
        for back in range(HOURS):
            if (self.bin // FINE_BINS - back) * HOUR_MS < ts_ms:
                hour_weights[(self.bin // FINE_BINS - back) % HOURS] = 0
        since = np.hstack([self.fine[rows] @ fine_weights, self.hour[rows] @ hour_weights])
        whole = self.windows(rows)
        part: Floats = np.where(whole > 0, since / np.maximum(whole, 1.0), 1.0)
        return part

    def rows_with(self, measured: int, names: tuple[str, ...]) -> list[int]:
        """Return the rows of a measure value whose cells fix exactly these dimensions, given in order."""
        return self._rows_by_names.get((measured, names), [])

    def groups(self, measured: int) -> list[tuple[str, ...]]:
        """Return the combinations of dimensions that the rows of a measure value fix."""
        return self._groups.get(measured, [])

    def _index(self, row: int) -> None:
        names = tuple(name for name, _ in self.cells[int(self.row_cell[row])])
        measured = int(self.row_measured[row])
        rows = self._rows_by_names.get((measured, names))
        if rows is None:
            rows = self._rows_by_names[measured, names] = []
            self._groups.setdefault(measured, []).append(names)
        rows.append(row)
        if names in (((), ("channel",)) if self.root else (("line",), ("line", "product"))) or (
            # Which firmware in which region: few codes are seen at a time, and a bin without one is not written.
            names == ("firmware", "line", "product", "region")
            and self.measured[int(self.row_measured[row])][0] == "code"
        ):
            self.broad.append(row)

    def within(self) -> tuple[list[list[int]], list[list[int]]]:
        """Return which places of the rings each window covers: the fine windows, then the hourly ones."""
        fine = [[(self.bin - back) % FINE_BINS for back in range(bins)] for bins in _FINE_WINDOWS]
        hour = [[(self.bin // FINE_BINS - back) % HOURS for back in range(hours)] for hours in _HOUR_WINDOWS]
        return fine, hour

    def _weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._weighed is not None and self._weighed[0] == self.bin:
            return self._weighed[1:]
        fine = np.zeros((FINE_BINS, len(_FINE_WINDOWS)), dtype=np.float32)
        fine_places, hour_places = self.within()
        for column, places in enumerate(fine_places):
            fine[places, column] = 1
        hour = np.zeros((HOURS, len(_HOUR_WINDOWS)), dtype=np.float32)
        for column, places in enumerate(hour_places):
            hour[places, column] = 1
        self._weighed = (self.bin, fine, hour)
        return fine, hour

    def day(self, rows: Ints) -> Floats:
        """Return distinct customers of the last 24 hours per row: the widest window alone."""
        self.settle()
        customers: Floats = self.hour[rows].sum(axis=1, dtype=np.float64)
        return customers

    def this_hour(self, rows: Ints) -> NDArray[np.float32]:
        """Return distinct customers per row in the current hour so far."""
        self.settle()
        customers: NDArray[np.float32] = self.hour[rows, (self.bin // 12) % HOURS]
        return customers

    def window_start(self, window: int) -> int:
        """Return where window number `window` begins, epoch milliseconds."""
        if window < len(_FINE_WINDOWS):
            return (self.bin - _FINE_WINDOWS[window] + 1) * FINE_MS
        return (self.bin // 12 - _HOUR_WINDOWS[window - len(_FINE_WINDOWS)] + 1) * HOUR_MS

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return the state as numbers, strings and bytes."""
        self.settle()
        n = self.n
        return {
            "measured": self.measured,
            "cells": self.cells,
            "signatures": list(self._signature_id),
            "fine": self.fine[:n].tobytes(),
            "hour": self.hour[:n].tobytes(),
            "columns": {
                name: getattr(self, name)[:n].tobytes()
                for name in ("row_measured", "row_cell", "parent", "depth", "denominator")
            },
            "pair_seen": list(self._pair_seen.items()),
            "seen": list(self._seen.items()),
            "messages": [(*pair, number) for pair, number in self.messages.items()],
            "bin": self.bin,
            "refused": self.refused,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`, in a table that has counted nothing.

        Measure values that have a number already keep it: the table that was written must have begun with them.
        """
        for measure, value in state["measured"]:
            self.measured_id((measure, value))
        for cell in state["cells"]:
            pairs = tuple((name, value) for name, value in cell)
            self._cell_id[pairs] = len(self.cells)
            self.cells.append(pairs)
        for signed in state["signatures"]:
            self.signature_id(tuple((name, value) for name, value in signed))
        n = len(state["fine"]) // (4 * FINE_BINS)
        self._grow(max(1024, n))
        self.n = n
        self.fine[:n] = np.frombuffer(state["fine"], dtype=np.float32).reshape(n, FINE_BINS)
        self.hour[:n] = np.frombuffer(state["hour"], dtype=np.float32).reshape(n, HOURS)
        for name, data in state["columns"].items():
            getattr(self, name)[:n] = np.frombuffer(data, dtype=np.int64)
        for row in range(n):
            measured = int(self.row_measured[row])
            self._row_of[(measured, int(self.row_cell[row]))] = row
            self._index(row)
            self.rows_of_measured[measured].append(row)
        self._pair_seen = dict(state["pair_seen"])
        self._seen = dict(state["seen"])
        self.messages = {(measured, signed): number for measured, signed, number in state["messages"]}
        self.bin = state["bin"]
        self.refused = state["refused"]
