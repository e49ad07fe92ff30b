"""Whether more customers are unhappy while no more of them come: a shift of mood, not of volume."""

from __future__ import annotations

import math

import numpy as np

from detectors.counts import FINE_MS, CountTable
from detectors.volumes import Volumes

MEASURE = "negative"
SHIFT_LIFT = 1.8
"""How many times its expectation a shift must be: shares of unhappy customers are steadier than topics."""
_ROSE = 1.3
_DEVIATIONS = 2.0


def shifted(table: CountTable, volumes: Volumes, measure: str, row: int, window: int) -> bool:
    """Return whether a rise of unhappy customers in a window is one of their share alone.

    The volume is that of the broadest cell around the series whose hours are known: a product, a line, or everybody.
    When it fails: False while the volume is still learning, and for volumes that rise by less than a third.
    Cost: up to 0.5 ms, asked only of strange series.
    """
    if measure != MEASURE:
        return False
    cell = dict(table.cells[int(table.row_cell[row])])
    broad = ("line", "product") if "line" in cell else ("channel",)
    around = table.row(("contacts", ""), tuple((name, cell[name]) for name in broad if name in cell))
    if around < 0 or volumes.learning(around):
        return False
    start = table.window_start(window)
    end = (table.bin + 1) * FINE_MS
    expected = sum(volumes.band(around, at).expected for at in range(start, end, FINE_MS))
    came = float(table.windows(np.array([around]))[0, window])
    return came <= _ROSE * expected + _DEVIATIONS * math.sqrt(expected)
