"""Expected counts of many series at once: level, rhythm of day and week, dispersion; learnt bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qianshao.clock import DAY_MS

Floats = NDArray[np.float64]


class CountModel:
    """Log-linear count model with gamma-distributed factors, one row per series."""

    def __init__(self, bin_ms: int, zone: tzinfo) -> None:
        self.bin_ms = bin_ms
        self._zone = zone
        self.n = 0
        self._slots = 7 if bin_ms >= DAY_MS else 48
        self._level = np.zeros((0, 2))
        self._slot = np.zeros((0, self._slots, 2))
        self._spread = np.zeros((0, 2))
        self._age = np.zeros(0)
        self._quiet = np.zeros(0)

    def ensure(self, n: int, parents: Sequence[int] | None) -> None:
        """Add rows up to `n`."""
        more = n - self.n
        if more <= 0:
            return
        self._level = np.concatenate((self._level, np.full((more, 2), (0.01, 0.1))))
        self._slot = np.concatenate((self._slot, np.full((more, self._slots, 2), 1.0)))
        self._spread = np.concatenate((self._spread, np.full((more, 2), (0.5, 5.0))))
        self._age = np.concatenate((self._age, np.zeros(more)))
        self._quiet = np.concatenate((self._quiet, np.zeros(more)))
        self.n = n

    def _where(self, start_ms: int) -> int:
        moment = datetime.fromtimestamp(start_ms / 1000, tz=self._zone)
        return moment.weekday() if self._slots == 7 else moment.hour + 24 * (moment.weekday() >= 5)

    def expected(self, start_ms: int, holiday: float) -> Floats:
        """Return the expected count of a whole bin for every series."""
        slot = self._slot[:, self._where(start_ms)]
        return np.asarray(self._level[:, 0] / self._level[:, 1] * slot[:, 0] / slot[:, 1] + 1e-4)

    def alpha(self) -> Floats:
        """Return the dispersion of every series: variance = mean + alpha·mean²."""
        return np.asarray(np.maximum(self._spread[:, 0] / self._spread[:, 1], 0.005) + 1 / (self._level[:, 0] + 5))

    def learning(self) -> NDArray[np.bool_]:
        """Return which series have not been seen long enough."""
        return np.asarray(self._age < max(14, DAY_MS // self.bin_ms))

    def learn(self, counts: Floats, start_ms: int, holiday: float, planned: NDArray[np.float32] | float) -> None:
        """Learn one closed bin of every series."""
        mean = self.expected(start_ms, holiday) * planned
        alpha = self.alpha()
        deviation = np.sqrt(mean + alpha * mean * mean)
        y = np.where(self.learning(), counts, np.minimum(counts, mean + 3 * deviation + 1))
        weight = 1 / (1 + alpha * mean)
        where = self._where(start_ms)
        slot = self._slot[:, where, 0] / self._slot[:, where, 1]
        level = self._level[:, 0] / self._level[:, 1]
        keep = 0.995
        self._spread *= keep
        self._spread[:, 0] += ((y - mean) ** 2 - mean) / (mean * mean + 1)
        self._spread[:, 1] += mean * mean / (mean * mean + 1)
        self._level *= 0.99
        self._level[:, 0] += weight * y
        self._level[:, 1] += weight * slot * planned
        self._slot[:, where] *= 0.98
        self._slot[:, where, 0] += weight * y
        self._slot[:, where, 1] += weight * level * planned
        self._age += 1
        self._quiet = np.where(counts > 0, 0, self._quiet + 1)

    def evict(self, silent_bins: int) -> NDArray[np.int64]:
        """Drop rows that were silent for so many bins; return the rows kept."""
        kept = np.flatnonzero(self._quiet < silent_bins)
        for name in ("_level", "_slot", "_spread", "_age", "_quiet"):
            setattr(self, name, getattr(self, name)[kept])
        self.n = len(kept)
        return kept

    def snapshot(self) -> dict[str, Any]:
        """Return the state as bytes and numbers."""
        return {
            "n": self.n,
            **{name: getattr(self, name).tobytes() for name in ("_level", "_slot", "_spread", "_age", "_quiet")},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`."""
        self.n = state["n"]
        for name, shape in (
            ("_level", (2,)),
            ("_slot", (self._slots, 2)),
            ("_spread", (2,)),
            ("_age", ()),
            ("_quiet", ()),
        ):
            setattr(self, name, np.frombuffer(state[name]).reshape((self.n, *shape)).copy())
