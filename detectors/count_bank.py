"""A bank of count series with regular bins: what was expected, how strange each bin is, and when that is an alarm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, tzinfo
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.predictive import CountModel, Expectation
from detectors.series_rows import Floats, SeriesRows
from detectors.shift_scan import Shift, ShiftScan
from detectors.tail_calibration import OwnTail, PooledTail
from qianshao.errors import StoreError

VERSION = 1
DAILY_SHIFTS = ((Shift(1.0, 0.8), Shift(2.0, 0.8)), (Shift(-2.0, 0.8),))
SHORT_SHIFTS = ((Shift(1.0, 0.95),), (Shift(-1.0, 0.95),))
"""Alternatives looked for, rises and drops, in bins of a day and in shorter ones."""
_SURELY_DAILY, _SURELY_SHORT = 0.1, 0.7
"""By so much a score must pass the threshold for the series to be compared with it from then on: what creeps up over
many short bins must not be taken for told before it is."""
MOST_DOUBT = 0.7
"""By how much, in −log10, the threshold may be raised above what the scores themselves promise."""
DAILY_GOAL = 0.9
"""How much of the budget daily bins aim at: a season that is not known yet adds to it for the first years."""
UNSETTLED = np.float32(0.75)
"""What the score of a series counts until it has seen its week (daily bins: sixty days): its rhythm is its parent's."""
_LOG10_E = np.float32(math.log10(math.e))


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


class _Side:
    """One direction: its alternatives, and what their evidence means."""

    def __init__(self, shifts: Sequence[Shift], memory: float, pooled_memory: float, most: float) -> None:
        self.scan = ShiftScan(shifts)
        self.own = OwnTail(memory, most)
        self.pooled = PooledTail(pooled_memory)
        self._up = shifts[0].deviations > 0

    def rows(self, name: str) -> dict[str, SeriesRows]:
        return {f"{name}.scan": self.scan.rows, f"{name}.own": self.own.rows, f"{name}.last": self.pooled.last}

    def look(self, counts: Floats, mean: Floats, ratio: Floats, ordinary: Floats) -> _Look:
        evidence, bins = self.scan.look(counts, mean, ratio)
        best = evidence.argmax(axis=0)
        every = np.arange(len(counts))
        # Old evidence is told only with a bin that adds to it: when a spell is over, so is its alarm.
        now = (counts > mean) if self._up else (counts < mean)
        raw = now * evidence[best, every] * _LOG10_E
        return _Look(evidence, bins, raw, self.own.calibrated(raw, ordinary), bins[best, every])

    def update(self, look: _Look, ordinary: Floats, settled: NDArray[np.bool_], mature: NDArray[np.bool_]) -> None:
        self.scan.update(look.evidence, look.bins)
        self.own.update(look.raw, ordinary, settled)
        self.pooled.update(look.score, mature)

    def snapshot(self) -> dict[str, Any]:
        return {"rate": self.own.common_rate, "excess": self.own.common_excess, "pooled": self.pooled.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self.own.common_rate, self.own.common_excess = state["rate"], state["excess"]
        self.pooled.restore(state["pooled"])


class _Look(NamedTuple):
    """One direction at one bin."""

    evidence: Floats
    bins: Floats
    raw: Floats
    """Evidence of the strangest alternative, in −log10."""
    score: Floats
    """The same, calibrated."""
    window: Floats


class CountBank:
    """Scores counts in regular bins, a minute to a day wide, for all series at once.

    It answers, for every series and at every moment of a bin, how rarely quiet series look as strange as this. What is
    expected comes from `CountModel`; what deviates gathers evidence in `ShiftScan`; what that means is read from each
    series' own tail and from that of all (`OwnTail`, `PooledTail`). After an alarm a series is compared with what it
    was at the alarm, fading over six hours (daily bins: four days), so that it speaks anew only when it grows.

    A day on which many series drop at once, unannounced, is taken for a holiday (daily bins only): the drop in other
    series explains this one's, and the day after is expected to catch up. A rise never explains anything away.

    When it fails: see `CountModel` and `ShiftScan`. A cause that closes many series for a day looks like a holiday.
    Cost: about 0.1 µs per series for a score after the first of a bin, 1.5 µs for an update; under 1 KB of state.

    Parameters
    ----------
    settings
        Bins, bound and budget.
    zone
        Where days and hours begin.
    worked
        Whether a day of a weekend is worked to make up for a holiday.

    Examples
    --------
    Sixty days at ten a day, then one at thirty:

    >>> bank = CountBank(CountSettings(bin_ms=86_400_000))
    >>> bank.ensure(1)
    >>> for day in range(60):
    ...     quiet = bank.update([9 + day % 3], day * 86_400_000)
    >>> strange = bank.score([30], 60 * 86_400_000)
    >>> bool(strange.score[0] > bank.alarm_threshold()), round(float(strange.expected[0]))
    (True, 10)
    """

    def __init__(
        self, settings: CountSettings, *, zone: tzinfo = UTC, worked: Callable[[date], bool] = lambda day: False
    ) -> None:
        self.settings = settings
        self.model = CountModel(settings.bin_ms, zone, worked)
        per_day = self.model.per_day
        # Over hours an incident has many bins, from which its own tail must not learn to be calm; over years a season
        # has few, from which it should.
        memory, pooled_memory, most = (800.0, 60.0, 20.0) if self.model.daily else (30.0 * per_day, 14.0 * per_day, 4.0)
        rises, drops = DAILY_SHIFTS if self.model.daily else SHORT_SHIFTS
        self._rise, self._drop = (_Side(shifts, memory, pooled_memory, most) for shifts in (rises, drops))
        self._echo = SeriesRows([0.0])
        """By how much, relative to what is expected, the last alarm exceeded it."""
        self._goal = DAILY_GOAL if self.model.daily else 1.0
        self._echo_keep = np.float32(0.85 if self.model.daily else 0.5 ** (4 / per_day))
        self._surely = _SURELY_DAILY if self.model.daily else _SURELY_SHORT
        self._rows = {
            **self.model.rows(),
            **self._rise.rows("rise"),
            **self._drop.rows("drop"),
            "echo": self._echo,
        }
        self._known: tuple[int, float] | None = None
        self._expected: Expectation | None = None

    @property
    def n(self) -> int:
        """Number of live series."""
        return self.model.n

    @property
    def bytes_per_series(self) -> int:
        """Memory that one more series takes."""
        return sum(rows.bytes_per_series for rows in self._rows.values())

    def ensure(self, n: int, parents: Sequence[int] | None = None) -> None:
        """Make room for `n` series.

        Parameters
        ----------
        n
            Number of series from now on; fewer than there are changes nothing.
        parents
            For each new series the number of the one whose level and rhythm it starts from; −1 = none.

        Raises
        ------
        StoreError
            If `n` is more than the configured maximum.
        """
        first = self.n
        if n <= first:
            return
        if n > self.settings.maximum_series:
            raise StoreError(
                f"bank of counts: {n} series, but at most {self.settings.maximum_series} are configured; "
                "evict silent series or configure more"
            )
        for rows in self._rows.values():
            rows.grow(n, self.settings.maximum_series)
        self.model.begin(first, parents)
        self._known = None

    def score(
        self,
        counts: ArrayLike,
        start_ms: int,
        *,
        elapsed: float = 1.0,
        holiday: float = 0.0,
        planned: NDArray[np.float32] | float = 1.0,
    ) -> Scored:
        """Score the bin that starts at `start_ms`; nothing is learnt.

        Parameters
        ----------
        counts
            (series,) What was counted in the bin so far.
        start_ms
            Start of the bin; bins are scored and closed in the order of time.
        elapsed
            Share of the bin that has passed, above 0, at most 1.
        holiday
            1 on a public holiday, 0 otherwise.
        planned
            How many times what is expected was planned, one number or (series,).
        """
        rise, drop, expected, _ = self._look(np.asarray(counts, dtype=np.float32), start_ms, elapsed, holiday, planned)
        return self._scored(rise, drop, expected, elapsed)

    def update(
        self,
        counts: ArrayLike,
        start_ms: int,
        *,
        holiday: float = 0.0,
        planned: NDArray[np.float32] | float = 1.0,
    ) -> Scored:
        """Close a bin: score it whole, then learn it. Parameters as in `score`."""
        seen = np.asarray(counts, dtype=np.float32)
        rise, drop, expected, holiday = self._look(seen, start_ms, 1.0, holiday, planned)
        scored = self._scored(rise, drop, expected, 1.0)
        mean = expected.mean
        settled = self.model.settled()
        # Own tails take two weeks more to know their width; until then the threshold is the score's own word.
        mature = self.model.settled(22.0)
        self._rise.update(rise, mean, settled, mature)
        self._drop.update(drop, mean, settled, mature)
        echo = self._echo.live[0]
        above = seen > mean + 2.6 * np.sqrt(expected.variance)
        alarming = ~scored.learning & (rise.score >= self._speaking() + self._surely) | (above & (echo > 0))
        echo *= self._echo_keep
        echo[:] = np.where(alarming, np.maximum(echo, np.clip((seen - mean) / (mean + 1), 0, 200)), echo)
        echo[echo < 0.02] = 0
        self.model.learn(seen, expected, start_ms, holiday, alarming & above)
        self._known = None
        return scored

    def alarm_threshold(self) -> float:
        """Return the score at which the budget of false alarms per day is spent over all live series.

        It is where all series together have passed the budget so far, but at most `MOST_DOUBT` above what it would be
        if scores were exactly what they say: where incidents are frequent, they themselves are the tail. Never below 2:
        who watches ten series a day and asks for one false alarm a day does not want every tenth day told.
        """
        rate = 10 ** -self._rise.pooled.depth() + 10 ** -self._drop.pooled.depth()
        wanted = self._promised()
        realised = float(np.interp(wanted, -np.log10(rate), PooledTail.levels()))
        # Ten quiet exceedances must have been due before it is believed that scores promise too much.
        seen = min(1.0, self._rise.pooled.looks / (10 * 10**wanted))
        return max(2.0, min(realised, wanted + MOST_DOUBT * seen))

    def _promised(self) -> float:
        """Return the threshold if scores were exactly what they say."""
        return math.log10(max(1, self.n) * self.model.per_day / (self._goal * self.settings.false_alarms_per_day))

    def _speaking(self) -> float:
        """Return the score from which a series is in its own alarm state.

        Never above what scores promise: where frequent incidents raise the threshold, they must not be learnt as quiet.
        """
        return max(2.0, min(self.alarm_threshold(), self._promised()))

    def evict_silent(self, silent_bins: int) -> NDArray[np.int64]:
        """Forget series without any count in the last `silent_bins`; return the old numbers of those that stay."""
        kept = np.flatnonzero(self.model.age.live[1] < silent_bins)
        for rows in self._rows.values():
            rows.keep(kept)
        self._known = None
        return kept

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as arrays in bytes, numbers and strings, with a version."""
        return {
            "version": VERSION,
            "bin_ms": self.settings.bin_ms,
            "n": self.n,
            "rows": {name: rows.snapshot() for name, rows in self._rows.items()},
            "model": self.model.snapshot(),
            "rise": self._rise.snapshot(),
            "drop": self._drop.snapshot(),
        }

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
                f"reads version {VERSION} with bins of {self.settings.bin_ms} ms; start from an empty state"
            )
        for name, rows in self._rows.items():
            rows.restore(state["rows"][name], state["n"])
        self.model.restore(state["model"])
        self._rise.restore(state["rise"])
        self._drop.restore(state["drop"])
        self._known = None

    def _expect(self, start_ms: int, holiday: float) -> Expectation:
        if self._known != (start_ms, holiday) or self._expected is None:
            self._expected = self.model.expect(start_ms, holiday)
            self._known = (start_ms, holiday)
        return self._expected

    def _look(
        self, seen: Floats, start_ms: int, elapsed: float, holiday: float, planned: NDArray[np.float32] | float
    ) -> tuple[_Look, _Look, Expectation, float]:
        expected = self._expect(start_ms, holiday)
        if self.model.daily and elapsed == 1.0 and not holiday and self._closed(seen, expected):
            holiday = 1.0
            expected = self._expect(start_ms, holiday)
        times = np.asarray(planned, dtype=np.float32)
        mean = expected.mean * times
        # What is not known of the mean grows with the square of what was planned, the dispersion of counts with it.
        unknown = expected.mean * expected.mean / expected.shape
        variance = times * np.maximum(expected.variance - unknown, 0) + times * times * unknown
        ratio = np.maximum(variance / mean, np.float32(1.001))
        part = np.float32(elapsed)
        rise = self._rise.look(seen, mean * (1 + self._echo.live[0]) * part, ratio, mean)
        drop = self._drop.look(seen, mean * part, ratio, mean)
        return rise, drop, expected._replace(mean=mean, variance=mean * ratio), holiday

    def _closed(self, seen: Floats, expected: Expectation) -> bool:
        """Return whether so many series dropped on the same day that it must have been a holiday."""
        mean, variance, *_ = expected
        telling = (mean > 3) & ~self.model.learning()
        dropped = telling & (seen < 0.25 * mean) & (seen < mean - 1.5 * np.sqrt(variance))
        few = int(dropped.sum())
        return few >= 5 and few > 0.15 * int(telling.sum())

    def _scored(self, rise: _Look, drop: _Look, expected: Expectation, elapsed: float) -> Scored:
        more = rise.score >= drop.score
        mean = expected.mean * np.float32(elapsed)
        known = np.where(self.model.settled(), np.float32(1), UNSETTLED)
        return Scored(
            score=(known * np.where(more, rise.score, drop.score)).astype(np.float32),
            expected=mean,
            upper=mean + 3 * np.sqrt(expected.variance * np.float32(elapsed)),
            direction=np.where(more, 1, -1).astype(np.int8),
            window_bins=np.maximum(np.where(more, rise.window, drop.window), 1).astype(np.int32),
            learning=self.model.learning(),
        )
