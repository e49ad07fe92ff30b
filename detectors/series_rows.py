"""State of many series in arrays: one float32 column per series, growing by doubling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class SeriesRows:
    """Rows of float32 state with one column per live series; a row is contiguous in memory.

    Parameters
    ----------
    start
        What a new series begins with, one number a row.
    """

    def __init__(self, start: Sequence[float]) -> None:
        self._start = np.array(start, dtype=np.float32).reshape(-1, 1)
        self._whole = np.empty((len(start), 0), dtype=np.float32)
        self.n = 0

    @property
    def live(self) -> Floats:
        """A view of shape (rows, live series)."""
        return self._whole[:, : self.n]

    @property
    def bytes_per_series(self) -> int:
        """Memory of one column."""
        return 4 * len(self._start)

    def grow(self, n: int, maximum: int) -> None:
        """Make room for `n` series; memory doubles, up to `maximum`."""
        if n > self._whole.shape[1]:
            whole = np.empty((len(self._start), max(n, min(2 * self.n, maximum))), dtype=np.float32)
            whole[:, : self.n] = self.live
            self._whole = whole
        self._whole[:, self.n : n] = self._start
        self.n = n

    def inherit(self, row: int, child: int, parent: int) -> None:
        """Give a new series one number of its parent."""
        self._whole[row, child] = self._whole[row, parent]

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Keep only the given series, in this order."""
        self._whole = np.ascontiguousarray(self.live[:, kept])
        self.n = len(kept)

    def snapshot(self) -> bytes:
        """Return the live columns as bytes."""
        return self.live.tobytes()

    def restore(self, data: bytes, n: int) -> None:
        """Take over what `snapshot` returned for `n` series."""
        self._whole = np.frombuffer(data, dtype=np.float32).reshape(len(self._start), n).copy()
        self.n = n
