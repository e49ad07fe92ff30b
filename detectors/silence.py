"""A channel of ordinary traffic falls silent: judged against the customers who come elsewhere meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.baseline import ShareBaseline
from detectors.counts import CountTable
from detectors.tail import lower_score
from qianshao.finding import Finding
from qianshao.series import Series

KNOWN_CUSTOMERS = 60.0
"""Customers a channel must have had before its silence means anything."""
SCORE_MARGIN = 1.0
"""A silence must be stranger than a rise by this much, in −log10: nobody stands behind it as evidence."""
ALPHA = 0.05


class SilenceWatch:
    """Compares each channel with its share of the customers of all others, over windows of ten minutes to three hours.

    A night or a holiday empties all channels alike and is no silence. When it fails: all channels fall silent at once,
    or the centre has only one. Cost: constant per channel and five-minute bin.
    """

    def __init__(self, table: CountTable, baseline: ShareBaseline) -> None:
        self._table = table
        self._baseline = baseline
        self._silences: dict[int, int] = {}

    def update(self, end: int, opening: float) -> list[Finding]:
        """Ask, as a bin closes, whether a channel that belongs to ordinary traffic has fallen silent."""
        table = self._table
        contacts = table.measured_id(("contacts", ""))
        whole = table.row(("contacts", ""), ())
        if whole < 0:
            return []
        rows = [row for row in table.broad if row != whole and int(table.row_measured[row]) == contacts]
        if not rows:
            return []
        index = np.array(rows, dtype=np.int64)
        counts = table.windows(index)
        everybody = table.windows(np.array([whole]))
        self._baseline.follow()
        total = self._baseline.total
        findings: list[Finding] = []
        for position, row in enumerate(rows):
            share = float(total[row] / max(total[whole], 1.0))
            if total[row] < KNOWN_CUSTOMERS:
                continue
            others = everybody[0] - counts[position]
            mean = np.maximum(others[:4] * share / max(1.0 - share, 0.05), 1e-6)
            seen = counts[position][:4]
            scores = lower_score(seen, mean, np.full(4, ALPHA))
            window = int(scores.argmax())
            quiet = scores[window] >= opening + SCORE_MARGIN and seen[window] <= 0.1 * mean[window]
            if not quiet:
                if seen[1] >= 0.5 * mean[1]:
                    self._silences.pop(row, None)
                continue
            if row in self._silences:
                continue
            self._silences[row] = end
            self._baseline.alarm(np.array([row], dtype=np.int64), end)
            cell = table.cells[int(table.row_cell[row])]
            findings.append(
                Finding(
                    series=Series("contacts", "", cell),
                    kind="silence" if seen[window] == 0 else "drop",
                    tick=end,
                    window_start=table.window_start(window),
                    window_end=end,
                    observed=float(seen[window]),
                    expected=round(float(mean[window]), 3),
                    score=round(float(scores[window]), 3),
                    witness="contacts",
                    evidence=(),
                    dims=dict(cell),
                    opens=True,
                )
            )
        return findings

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return list(self._silences.items())

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._silences = dict(state)
