"""Rows gathered as columns until an insert is worth its fixed cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

ROWS = 10_000
"""An insert costs 5–33 ms however small it is: below this many rows the cost is all overhead."""

SECONDS = 2.0
"""Nothing waits longer than this for company, as long as outcomes keep coming."""

Columns = dict[str, list[object]]


class Batch:
    """Columns of several tables, due together once they are many enough or old enough.

    Parameters
    ----------
    clock
        Monotonic seconds; only decides when to insert, never what.
    rows, seconds
        Due from this many rows over all tables, or when the first has waited this long.
    """

    def __init__(self, clock: Callable[[], float], rows: int = ROWS, seconds: float = SECONDS) -> None:
        self._clock = clock
        self._rows_limit = rows
        self._seconds = seconds
        self._tables: dict[str, Columns] = {}
        self._rows = 0
        self._since = 0.0

    def __len__(self) -> int:
        return self._rows

    def extend(self, table: str, columns: Mapping[str, list[object]]) -> None:
        """Add rows of one table as columns of equal length, the same names every time."""
        lengths = {len(values) for values in columns.values()}
        assert len(lengths) == 1, f"columns of {table} differ in length: {sorted(lengths)}"
        if self._rows == 0:
            self._since = self._clock()
        self._rows += lengths.pop()
        held = self._tables.setdefault(table, {})
        for name, values in columns.items():
            held.setdefault(name, []).extend(values)

    def due(self) -> bool:
        """Say whether it is time to insert."""
        return self._rows >= self._rows_limit or (self._rows > 0 and self._clock() - self._since >= self._seconds)

    def drain(self, insert: Callable[[str, Columns], None]) -> None:
        """Give each table to `insert`; a table that was not taken (it raised) stays for the next time."""
        while self._tables:
            table, columns = next(iter(self._tables.items()))
            insert(table, columns)
            del self._tables[table]
            self._rows -= len(next(iter(columns.values())))
