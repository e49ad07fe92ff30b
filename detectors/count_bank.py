"""A bank of count series with regular bins: what was expected, how strange each bin is, and when that is an alarm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.predictive import CountModel
from detectors.tail import lower_score, upper_score
from qianshao.clock import DAY_MS
from qianshao.errors import StoreError

VERSION = 1


class CountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller decides about a bank: the width of a bin, its bound in memory, and the budget of false alarms."""

    bin_ms: int
    maximum_series: int = 1_000_000
    false_alarms_per_day: float = 1.0


class Scored(NamedTuple):
    """What a bank says about one bin of every series; arrays of shape (series,)."""

    score: NDArray[np.float32]
    """−log10 of the calibrated tail probability; finite; knows nothing later than this bin."""
    expected: NDArray[np.float32]
    upper: NDArray[np.float32]
    """Upper edge of the expected band, for pictures."""
    direction: NDArray[np.int8]
    """+1 more than expected, −1 less."""
    window_bins: NDArray[np.int32]
    """Length of the strangest window that ends with this bin."""
    learning: NDArray[np.bool_]
    """Still learning: shown, but no alarm comes of it."""


class CountBank:
    """Scores counts in regular bins, a minute to a day wide, for all series at once."""

    def __init__(self, settings: CountSettings, *, zone: tzinfo = UTC) -> None:
        self.settings = settings
        self._zone = zone
        self._model = CountModel(settings.bin_ms, zone)

    @property
    def n(self) -> int:
        """Number of live series."""
        return self._model.n

    def ensure(self, n: int, parents: Sequence[int] | None = None) -> None:
        """Make room for `n` series; a new one starts from the level of its parent (−1: none)."""
        if n > self.settings.maximum_series:
            raise StoreError(
                f"bank of counts: {n} series, but at most {self.settings.maximum_series} are configured; "
                "raise detection.maximum_series or evict silent series"
            )
        self._model.ensure(n, parents)

    def score(
        self,
        counts: ArrayLike,
        start_ms: int,
        *,
        elapsed: float = 1.0,
        holiday: float = 0.0,
        planned: NDArray[np.float32] | float = 1.0,
    ) -> Scored:
        """Score the bin that starts at `start_ms`, of which the share `elapsed` in (0, 1] has passed."""
        y = np.asarray(counts, dtype=np.float64)
        mean = self._model.expected(start_ms, holiday) * planned * elapsed
        alpha = self._model.alpha()
        rise = upper_score(np.maximum(y, 1.0), mean, alpha) * (y > mean)
        drop = lower_score(y, mean, alpha) * (y < mean) if elapsed == 1.0 else np.zeros_like(rise)
        return Scored(
            score=np.maximum(rise, 0.0).astype(np.float32),
            expected=mean.astype(np.float32),
            upper=(mean + 3.0 * np.sqrt(mean + alpha * mean * mean)).astype(np.float32),
            direction=np.where(drop > rise, -1, 1).astype(np.int8),
            window_bins=np.ones(self.n, dtype=np.int32),
            learning=self._model.learning(),
        )

    def update(
        self,
        counts: ArrayLike,
        start_ms: int,
        *,
        holiday: float = 0.0,
        planned: NDArray[np.float32] | float = 1.0,
    ) -> Scored:
        """Close a bin: score it, then learn it."""
        scored = self.score(counts, start_ms, holiday=holiday, planned=planned)
        self._model.learn(np.asarray(counts, dtype=np.float64), start_ms, holiday, planned)
        return scored

    def alarm_threshold(self) -> float:
        """Return the score at which the budget of false alarms per day is spent over all live series."""
        looks = max(1, self.n) * DAY_MS / self.settings.bin_ms
        return math.log10(looks / self.settings.false_alarms_per_day)

    def evict_silent(self, silent_bins: int) -> NDArray[np.int64]:
        """Forget series without any count in the last `silent_bins`; return the old numbers of those that stay."""
        return self._model.evict(silent_bins)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as arrays in bytes, numbers and strings, with a version."""
        return {"version": VERSION, "bin_ms": self.settings.bin_ms, "model": self._model.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`; it then goes on as if uninterrupted.

        Raises
        ------
        StoreError
            If another version or a bank with other bins wrote it.
        """
        if state["version"] != VERSION or state["bin_ms"] != self.settings.bin_ms:
            raise StoreError(
                f"snapshot of a bank of counts: version {state['version']}, bins of {state['bin_ms']} ms; this bank "
                f"reads version {VERSION} with {self.settings.bin_ms} ms; start from an empty state"
            )
        self._model.restore(state["model"])
