"""Who is ordinarily seen: long-run shares of a dimension's values, from what the baseline has learnt."""

from __future__ import annotations

from collections.abc import Mapping

from detectors.baseline import ShareBaseline
from detectors.counts import CountTable

KNOWN = 5.0
"""Learnt customers below which a cell says nothing of its mix, and a broader one is asked."""
_KEPT_LONGEST = ("firmware", "model", "product", "line")
"""Which dimensions of the base are given up last, when it is not known well enough."""


class LongRunShares:
    """Long-run shares by cell, remembered until the baseline learns again.

    Which combinations are counted is fixed (`cells`); what is asked is answered by the broadest counted combination
    that holds all of it, and by ever less of the base where that has hardly been seen.
    """

    def __init__(self, table: CountTable, baseline: ShareBaseline) -> None:
        self._table = table
        self._baseline = baseline
        self._known: dict[tuple[int, frozenset[tuple[str, str]], str], dict[str, float]] = {}

    def forget(self) -> None:
        """Ask anew: the baseline has learnt."""
        self._known.clear()

    def of(self, measured: int, base: Mapping[str, str], name: str) -> dict[str, float]:
        """Return the share of each value of one dimension among everybody of `base` who states it; {} = not known."""
        key = (measured, frozenset(base.items()), name)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._of(measured, dict(base), name)
        return found

    def _of(self, measured: int, base: dict[str, str], name: str) -> dict[str, float]:
        while True:
            needed = {*base, name}
            groups = [names for names in self._table.groups(measured) if needed.issubset(names)]
            for names in sorted(groups, key=lambda names: (len(names), names)):
                totals = self._totals(measured, names, base, name)
                everybody = sum(totals.values())
                if everybody >= KNOWN:
                    return {value: total / everybody for value, total in totals.items()}
            if not base:
                return {}
            del base[min(base, key=lambda each: (_rank(each), each))]

    def _totals(self, measured: int, names: tuple[str, ...], base: Mapping[str, str], name: str) -> dict[str, float]:
        """Learnt customers by value of one dimension, in the cells that fix exactly these dimensions."""
        totals: dict[str, float] = {}
        for row in self._table.rows_with(measured, names):
            total = float(self._baseline.total[row]) if row < len(self._baseline.total) else 0.0
            pairs = dict(self._table.cells[int(self._table.row_cell[row])])
            if total > 0.0 and all(pairs[key] == value for key, value in base.items()):
                totals[pairs[name]] = totals.get(pairs[name], 0.0) + total
        return totals


def _rank(name: str) -> int:
    return _KEPT_LONGEST.index(name) if name in _KEPT_LONGEST else -1
