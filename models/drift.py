"""Whether a layer that learns got worse than one that does not, on the same labels."""

from __future__ import annotations

import math
from typing import Protocol

_SURE = 4.0
"""Standard errors by which the difference must exceed `_MARGIN`: it is looked at after every label."""
_MARGIN = 0.01
_FEWEST = 60
_LONGEST = 4096
_KEPT = 2048


class _Window(Protocol):
    width: float
    estimation: float
    variance: float

    def update(self, x: float) -> None: ...


def _window() -> _Window:
    # river brings pandas along, nearly a second: a command that learns nothing need not wait for it.
    from river.drift import ADWIN

    window: _Window = ADWIN()
    return window


class Comparison:
    """Errors of a layer less errors of its rival, label by label, over an adaptive window.

    The window is river's ADWIN: as long as the difference stays what it was, it grows; when the difference changes, the
    past is cut off. A change of the world makes both err more: the difference stays, and nothing is reported. That is
    why the difference is watched, and not the layer's error alone.

    Notes
    -----
    ADWIN has no state that could be read and written. What it was told since it was made is kept instead, at most
    `_LONGEST` labels, and told again on restoring; when that is full it is made anew from the younger half. Cost: 1 µs
    a label. It fails to notice a decay slower than `_MARGIN` within `_LONGEST` labels.
    """

    def __init__(self) -> None:
        self._told: list[int] = []
        self._window: _Window | None = None
        """Made with the first label."""

    def update(self, wrong: bool, rival_wrong: bool) -> None:
        """Take one label: whether the layer and whether its rival got it wrong."""
        if len(self._told) >= _LONGEST:
            self.restore(self.snapshot()[-_KEPT:])
        self._tell(int(wrong) - int(rival_wrong))

    def _tell(self, difference: int) -> None:
        self._told.append(difference)
        if self._window is None:
            self._window = _window()
        # Between 0 and 1, as ADWIN's bounds suppose.
        self._window.update((difference + 1) / 2)

    @property
    def labels(self) -> int:
        """Labels inside the window."""
        return 0 if self._window is None else int(self._window.width)

    @property
    def mean(self) -> float:
        """Share of labels by which the layer errs more than its rival; negative = it errs less."""
        return 0.0 if self._window is None else 2.0 * float(self._window.estimation) - 1.0

    @property
    def worse(self) -> bool:
        """Whether the layer errs more beyond doubt."""
        return self.labels >= _FEWEST and self.mean - self._doubt() > _MARGIN

    @property
    def better(self) -> bool:
        """Whether the layer errs less beyond doubt."""
        return self.labels >= _FEWEST and self.mean + self._doubt() < -_MARGIN

    def _doubt(self) -> float:
        assert self._window is not None  # asked of the labels in it
        # river's `variance` is summed over the window, on the scale from 0 to 1.
        return _SURE * 2.0 * math.sqrt(max(float(self._window.variance), 0.0)) / self.labels

    def snapshot(self) -> bytes:
        """Return what was told, one byte a label."""
        return bytes(difference + 1 for difference in self._told)

    def restore(self, told: bytes) -> None:
        """Tell it all again.

        Raises
        ------
        ValueError
            If a byte is none of 0, 1, 2.
        """
        if told and max(told) > 2:
            raise ValueError("differences outside -1 … 1")
        self._told = []
        self._window = None
        for value in told:
            self._tell(value - 1)
