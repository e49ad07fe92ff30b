"""Expected counts of many series at once: level, rhythm, season, holidays and dispersion, learnt bin by bin."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from detectors.series_rows import Floats, SeriesRows
from qianshao.clock import DAY_MS, HOUR_MS

YEAR_DAYS = 364
"""A year of the season is 52 weeks; the day by which it falls short each year is forgotten faster than it adds up."""
HARMONICS = 4
FRIDAY = 4
_SMALLEST_MEAN = np.float32(1e-4)
_WINSOR = np.float32(2.6)
"""Counts further above their expectation than this many standard deviations teach no more than this."""


_LEVEL_OF_A_CHILD = 0.3
"""Variance of a new series' log level around that of its parent."""


class LogLinear:
    """Coefficients of log-linear expectations, one column per series, with the update of West, Harrison and Migon.

    The mean f and variance q of the linear predictor are matched by a gamma distribution of the rate; a count updates
    that exactly (it is conjugate), and the change of f and q is carried back to all coefficients by linear Bayes. A
    zero therefore teaches as it should, where a Gaussian (extended Kalman) step on the logarithm fails.

    Parameters
    ----------
    prior
        Prior variance of each coefficient.
    noise
        Variance by which each coefficient wanders per bin.

    Notes
    -----
    Cost: size²/2 row operations a bin. Source: West, Harrison, Migon, JASA 80 (1985) 73–83.
    """

    def __init__(self, prior: Sequence[float], noise: Sequence[float]) -> None:
        self.size = len(prior)
        self._pairs = [(i, j) for i in range(self.size) for j in range(i + 1)]
        self.mean = SeriesRows([0.0] * self.size)
        self.covariance = SeriesRows([prior[i] if i == j else 0.0 for i, j in self._pairs])
        self._noise = noise

    def _covariance(self, i: int, j: int) -> Floats:
        low, high = min(i, j), max(i, j)
        row: Floats = self.covariance.live[high * (high + 1) // 2 + low]
        return row

    def predict(self, x: Sequence[float]) -> tuple[Floats, Floats]:
        """Return mean and variance of the linear predictor for the design vector `x`, each (series,)."""
        used = [i for i, value in enumerate(x) if value]
        f, q = np.zeros((2, self.mean.n), dtype=np.float32)
        for i in used:
            f += np.float32(x[i]) * self.mean.live[i]
            for j in used:
                if j <= i:
                    q += np.float32(x[i] * x[j] * (1 if i == j else 2)) * self._covariance(i, j)
        return f, np.maximum(q, np.float32(1e-6))

    def learn(self, x: Sequence[float], shift: Floats, shrink: Floats) -> None:
        """Carry back what was learnt of the predictor: the shift of its mean and the loss of its variance, per q."""
        used = [i for i, value in enumerate(x) if value]
        gain = np.empty((self.size, self.mean.n), dtype=np.float32)
        for i in range(self.size):
            gain[i] = np.float32(x[used[0]]) * self._covariance(i, used[0])
            for j in used[1:]:
                gain[i] += np.float32(x[j]) * self._covariance(i, j)
        self.mean.live[:] += gain * shift
        covariance = self.covariance.live
        for number, (i, j) in enumerate(self._pairs):
            covariance[number] -= gain[i] * gain[j] * shrink
        for i, noise in enumerate(self._noise):
            self._covariance(i, i)[:] += np.float32(noise)

    def doubt(self, i: int, variance: Floats) -> None:
        """Add to the variance of one coefficient: the intervention after which it is learnt anew."""
        self._covariance(i, i)[:] += variance


class HourProfile:
    """How the hours of weekdays and of weekends differ, as gamma-distributed factors around the log-linear part.

    For a Poisson count with mean `without · f` and f ~ Gamma(a, b), the posterior is Gamma(a + count, b + without). An
    hour leans on its neighbours, and they on the profile that all series have in common; an hour of the weekend leans
    on the same hour of weekdays. `STRENGTH` is how many counts each of them is worth against the series' own.
    """

    HOURS = 24
    STRENGTH = np.float32(15.0)

    def __init__(self, memory: float) -> None:
        self.state = SeriesRows([0.0] * (4 * self.HOURS))
        self._keep = np.float32(1 - 1 / memory)
        self.common = np.ones(2 * self.HOURS)

    def value(self, moment: datetime, bin_ms: int) -> Floats:
        """Return the factor in the middle of a bin, between the middles of two hours."""
        middle = moment.minute / 60 + bin_ms / (2 * HOUR_MS) - 0.5
        first = self._slot(moment) if middle >= 0 else self._step(self._slot(moment), -1)
        share = np.float32(middle % 1.0)
        if share == 0.0:
            return self._hour(first)
        return np.asarray((1 - share) * self._hour(first) + share * self._hour(self._step(first, 1)))

    def learn(self, moment: datetime, counts: Floats, without: Floats, settled: NDArray[np.bool_]) -> None:
        """Add what was counted in an hour against what was expected without its factor.

        In its first week the level of a series still runs after the hours: what was learnt then is soon forgotten.
        """
        slot = self._slot(moment)
        a, b = self.state.live[slot], self.state.live[2 * self.HOURS + slot]
        keep = np.where(settled, self._keep, np.float32(0.6))
        a *= keep
        b *= keep
        a += counts
        b += without
        heavy = np.minimum(b, 50)
        own = (a + self.STRENGTH) / (b + self.STRENGTH)
        # A sum in double precision over series in their order: the same after a restart.
        total = float(heavy.sum(dtype=np.float64))
        self.common[slot] = (float((own * heavy).sum(dtype=np.float64)) + 50) / (total + 50)

    def _hour(self, slot: int) -> Floats:
        live, k = self.state.live, self.STRENGTH
        if slot >= self.HOURS:
            lean = self._hour(slot - self.HOURS)  # of weekends less is seen, and most is as on other days
        else:
            near = [(self._step(slot, -1), 0.5), (slot, 1.0), (self._step(slot, 1), 0.5)]
            common = k * sum(weight * self.common[each] for each, weight in near) / 2
            a = np.full(self.state.n, common, dtype=np.float32)
            b = np.full(self.state.n, k, dtype=np.float32)
            for each, weight in near:
                a += np.float32(weight) * live[each]
                b += np.float32(weight) * live[2 * self.HOURS + each]
            lean = a / b
        return np.asarray((live[slot] + k * lean) / (live[2 * self.HOURS + slot] + k))

    def _slot(self, moment: datetime) -> int:
        return moment.hour + (self.HOURS if moment.weekday() >= 5 else 0)

    def _step(self, slot: int, by: int) -> int:
        return slot // self.HOURS * self.HOURS + (slot + by) % self.HOURS


class Expectation(NamedTuple):
    """What is expected of one bin of every series, each (series,)."""

    mean: Floats
    variance: Floats
    """Predictive: of the counts and of what is not known of the mean."""
    shape: Floats
    """Of the gamma distribution of the rate: how many counts the knowledge is worth."""
    predictor: Floats
    """Variance of the linear predictor."""


class CountModel:
    """Predictive negative-binomial model of counts in regular bins, for all series at once.

    It answers how many are expected in the next bin, and how far from that ordinary bins fall. The logarithm of the
    expectation is a sum of level, weekday, holiday, day after a holiday, and — for bins of a day or more — harmonics of
    the year, all learnt jointly; shorter bins have a profile of hours. Strange counts are learnt winsorised; bins in
    which the series alarms not at all, until the strain shows that the level has moved for good.

    When it fails: rhythms that are neither of the day, the week nor the year; weekday patterns that change with the
    season; a level that multiplies within days is followed only after `STRAIN_DAYS`.
    Cost: about 1 µs per series and bin for learning; 4 bytes × `bytes_per_series` of memory.
    Source: West, Harrison, Migon (1985); Noufaily et al., Bioinformatics 35 (2019) 3110 for daily signals.

    Parameters
    ----------
    bin_ms
        Width of a bin, from a minute to a day.
    zone
        Where days and hours begin.
    worked
        Whether a day of a weekend is worked to make up for a holiday; it is expected like a Friday.
    """

    STRAIN_LIMIT = 0.6

    def __init__(self, bin_ms: int, zone: tzinfo, worked: Callable[[date], bool] = lambda day: False) -> None:
        self.bin_ms = bin_ms
        self._zone = zone
        self._worked = worked
        self.daily = bin_ms >= DAY_MS
        self.per_day = per_day = DAY_MS / bin_ms
        season = 2 * HARMONICS if self.daily else 0
        # Daily series are watched for years, hourly ones for weeks: what wanders 3 ‰ a day is a season to the one, and
        # 3 % a day an ordinary Tuesday to the other.
        wander = 1e-5 if self.daily else 1e-3
        self.linear = LogLinear(
            prior=[9.0] + [0.3 if self.daily else 0.1] * 7 + [0.5] * 2 + [0.5] * season,
            noise=[wander / per_day] + [1e-6 / per_day] * 7 + [1e-4 / per_day] * 2 + [1e-6 / per_day] * season,
        )
        self.hours = None if self.daily else HourProfile(60 * per_day / 24)
        self._memory = np.float32(max(400.0, 60.0 * per_day))
        # How many telling bins the dispersion that all series have in common is worth against a series' own.
        self._common = np.float32(20.0 if self.daily else 60.0)
        self.spread = SeriesRows([0.0, 0.0, 0.0, 2.0])
        """Sums of squared error over mean, of bins; dispersion alpha; how much better alpha predicts than phi."""
        self.strain = SeriesRows([0.0])
        self._strain_bins = 14.0 if self.daily else 3.0 * per_day
        self.age = SeriesRows([0.0, 0.0])
        """Bins since birth; bins since anything was counted."""
        self.after_holiday = 0.0
        self.common_phi = 1.0

    @property
    def n(self) -> int:
        """Number of live series."""
        return self.age.n

    def rows(self) -> dict[str, SeriesRows]:
        """Return all state that has a column per series, by name."""
        rows = {
            "mean": self.linear.mean,
            "covariance": self.linear.covariance,
            "spread": self.spread,
            "strain": self.strain,
            "age": self.age,
        }
        return rows if self.hours is None else {**rows, "hours": self.hours.state}

    def begin(self, first: int, parents: Sequence[int] | None) -> None:
        """Start new series from `first` on: with the coefficients of their parents, or of the average series."""
        mean = self.linear.mean.live
        grown = np.flatnonzero(self.age.live[0, :first] > 7 * self.per_day)
        if len(grown):
            mean[1:, first:] = mean[1:, grown].mean(axis=1, dtype=np.float64)[:, None]
        mean[0, first:] = -2.0
        inherited = [self.linear.mean, self.linear.covariance, *([] if self.hours is None else [self.hours.state])]
        for child, parent in enumerate(parents or ()):
            if 0 <= parent < first + child:
                for rows in inherited:
                    rows.live[:, first + child] = rows.live[:, parent]
                self.linear.covariance.live[0, first + child] += _LEVEL_OF_A_CHILD

    def expect(self, start_ms: int, holiday: float) -> Expectation:
        """Predict the bin that starts at `start_ms`; `holiday` 0 to 1."""
        f, q = self.linear.predict(self._design(start_ms, holiday))
        if self.hours is not None:
            f += np.log(self.hours.value(self._moment(start_ms), self.bin_ms))
        shape = 1 / q + np.float32(0.5)  # trigamma(shape) = q, to a few per cent
        mean = np.maximum(shape * np.exp(np.minimum(f - digamma(shape), 30)), _SMALLEST_MEAN).astype(np.float32)
        variance = (self._variance(mean) + mean * mean / shape).astype(np.float32)
        return Expectation(mean, variance, shape.astype(np.float32), q)

    def learning(self) -> NDArray[np.bool_]:
        """Return which series have not been seen long enough for an alarm."""
        return np.asarray(self.age.live[0] < (28 if self.daily else 2 * self.per_day))

    def settled(self, short_days: float = 8.0) -> NDArray[np.bool_]:
        """Return which series know their rhythm so well that what they deviate by is chance.

        After sixty bins of a day, or `short_days` of shorter ones.
        """
        return np.asarray(self.age.live[0] >= (60 if self.daily else short_days * self.per_day))

    def learn(
        self, counts: Floats, expected: Expectation, start_ms: int, holiday: float, alarming: NDArray[np.bool_]
    ) -> None:
        """Learn one closed bin of every series from what had been expected of it.

        Parameters
        ----------
        counts
            (series,)
        expected
            What `expect` said, times what was planned.
        start_ms, holiday
            The bin.
        alarming
            (series,) Which series are in their own alarm state and still high.
        """
        mean, variance, shape, q = expected
        # Counts vary at least as Poisson's do: what is left of a difference of large numbers may say less.
        own = np.maximum(variance - mean * mean / shape, mean)
        deviation = np.sqrt(variance)
        edge = mean + _WINSOR * deviation + 1
        # A young series believes what it sees: its first expectations are too poor to doubt the counts by.
        young = self.learning()
        strain = self.strain.live[0]
        strain += (np.clip((counts - mean) / deviation, -3, 3) - strain) / np.float32(self._strain_bins)
        strained = np.abs(strain) > self.STRAIN_LIMIT
        weight = mean / own
        weight[alarming & ~strained] = 0
        if holiday or self.after_holiday:
            # Who does not know his ordinary days yet would learn the holiday as one.
            weight[young] = 0
        seen = np.where(strained | young, counts, np.minimum(counts, edge)) * weight
        # Gamma(shape, shape/mean) of the rate becomes Gamma(shape + seen, shape/mean + weight).
        after = shape + seen
        shift = digamma(after) - digamma(shape) - np.log1p(weight * mean / shape)
        left = polygamma(1, after) / polygamma(1, shape)
        x = self._design(start_ms, holiday)
        self.linear.learn(
            x, np.asarray(shift / q, dtype=np.float32), np.asarray(np.maximum(1 - left, 0) / q, dtype=np.float32)
        )
        if strained.any():
            self.linear.doubt(0, np.where(strained, np.float32(0.05), np.float32(0)))
            strain[strained] *= np.float32(0.8)
        if self.hours is not None:
            moment = self._moment(start_ms)
            ordinary = np.float32((1 - holiday) * (1 - self.after_holiday))
            without = weight * mean / self.hours.value(moment, self.bin_ms) * ordinary
            self.hours.learn(moment, np.asarray(seen * ordinary), np.asarray(without), self.settled())
        # What was not known of the mean is no dispersion of the counts.
        squared = (np.minimum(counts, mean + 4 * deviation + 2) - mean) ** 2 - mean * mean / shape
        self._learn_spread(squared, mean, (weight > 0) & (shape > 4))
        if self._local(start_ms).date() != self._local(start_ms + self.bin_ms).date():
            self.after_holiday = holiday
        age = self.age.live
        age[0] += 1
        age[1] = np.where(counts > 0, 0, age[1] + 1)

    def _local(self, start_ms: int) -> datetime:
        return datetime.fromtimestamp(start_ms / 1000, tz=self._zone)

    def _moment(self, start_ms: int) -> datetime:
        """Return the local time whose rhythm a bin has: its own, or that of the Friday before."""
        moment = self._local(start_ms)
        beyond = moment.weekday() - FRIDAY
        return moment - timedelta(days=beyond) if beyond > 0 and self._worked(moment.date()) else moment

    def _design(self, start_ms: int, holiday: float) -> list[float]:
        """Level, seven weekdays, holiday, day after a holiday, harmonics of the year."""
        moment = self._moment(start_ms)
        x = [1.0] + [0.0] * 9
        x[1 + moment.weekday()] = 1.0
        x[8] = holiday
        x[9] = self.after_holiday * (1 - holiday)
        if self.daily:
            angle = 2 * math.pi * (moment.toordinal() % YEAR_DAYS) / YEAR_DAYS
            for k in range(1, HARMONICS + 1):
                x += [math.sin(k * angle), math.cos(k * angle)]
        return x

    def _variance(self, mean: Floats) -> Floats:
        """Return the variance of counts at a known mean: proportional to it, or growing with its square."""
        errors, bins, alpha, better = self.spread.live
        phi = np.maximum((errors + self._common * np.float32(self.common_phi)) / (bins + self._common), 1)
        share = 1 / (1 + np.exp(np.clip(-better, -30, 30)))
        return np.asarray(share * phi * mean + (1 - share) * (mean + alpha * mean * mean) + np.float32(0.01) * mean)

    def _learn_spread(self, squared: Floats, mean: Floats, learnt: NDArray[np.bool_]) -> None:
        errors, bins, alpha, better = self.spread.live
        one = np.maximum(errors / np.maximum(bins, 1), 1) * mean
        two = mean + alpha * mean * mean
        # Rare counts tell little of dispersion: what is not zero is an outlier to either form.
        telling = np.minimum(mean / np.float32(0.3), 1) * learnt
        better *= np.float32(0.995)
        better += 0.5 * telling * (np.log(two / one) + np.minimum(squared / two, 9) - np.minimum(squared / one, 9))
        # The errors of the first week are those of an unknown rhythm.
        keep = 1 - 1 / np.where(self.settled(), self._memory, np.float32(min(float(self._memory), 60.0)))
        errors *= keep
        bins *= keep
        errors += telling * squared / mean
        bins += telling
        alpha += (
            learnt
            * ((squared - mean) - alpha * mean * mean)
            / ((mean * mean + 1) * (np.minimum(self.age.live[0], self._memory) + 20))
        )
        np.maximum(alpha, 0, out=alpha)
        known = np.minimum(bins, 50)
        each = np.clip(errors / np.maximum(bins, 1), 0, 3) * known
        total = float(known.sum(dtype=np.float64))
        self.common_phi = max(1.0, (float(each.sum(dtype=np.float64)) + 50) / (total + 50))

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in rows."""
        return {
            "after_holiday": self.after_holiday,
            "common_phi": self.common_phi,
            "common_hours": b"" if self.hours is None else self.hours.common.tobytes(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `snapshot` returned."""
        self.after_holiday = state["after_holiday"]
        self.common_phi = state["common_phi"]
        if self.hours is not None:
            self.hours.common = np.frombuffer(state["common_hours"]).copy()
