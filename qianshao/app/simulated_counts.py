"""Simulated count series with known truth: published daily signals, hourly incidents, quiet series, a known step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qianshao.clock import DAY_MS, HOUR_MS

Counts = NDArray[np.int32]
Floats = NDArray[np.float64]

# --- daily signals after Noufaily et al. ------------------------------------------------------------------------------

YEARS = 7
YEAR_DAYS = 364
TEST_DAYS = 343
SIZES = (2, 3, 5, 10)
"""Outbreak sizes: expected cases are so many standard deviations of a day, times the days of a week."""

_DAYS = YEARS * YEAR_DAYS
_SPREAD = 0.5
"""Standard deviation of the logarithm of a case's delay; the median delay is 1, cut into steps of an interval."""
_OUTBREAK_STEP, _OUTBREAK_STEPS = 0.25, 64
_SEASON_STEP, _SEASON_STEPS = 0.02, 500
_FIVE_DAY_WEIGHTS = np.array([1.5, 1.1, 1.0, 1.0, 1.1])
_SEVEN_DAY_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0])

_HOLIDAYS_OF_YEARS = tuple(
    (0, friday, friday + 3, *rest, 238, 357, 358)
    for friday, rest in zip(
        (95, 109, 95, 88, 109, 95, 102),
        ((126, 147), (116, 126, 147), (126, 154, 155), *[(126, 147)] * 4),
        strict=True,
    )
)
"""Days of each 364-day year: English bank holidays, 2010 to 2016."""


class Curve(NamedTuple):
    """Logarithm of a daily mean: trend, yearly and weekly harmonics; `dispersion` is variance over mean."""

    yearly: int
    """Harmonics of the year, 52 weeks long."""
    weekly: int
    """Harmonics of the week."""
    level: float
    trend: float
    year_cos: float
    year_sin: float
    week_cos: float
    week_sin: float
    dispersion: float
    shift: int
    """Days by which the calendar is moved."""

    def mean(self, days: int, week: int) -> Floats:
        """Return the mean of each of `days` days of a week of `week` days, (days,)."""
        moved = np.arange(1, days + 1) + self.shift
        logarithm = self.level + self.trend * moved
        for count, period, cosine, sine in (
            (self.yearly, 52 * week, self.year_cos, self.year_sin),
            (self.weekly, week, self.week_cos, self.week_sin),
        ):
            for harmonic in range(1, count + 1):
                angle = 2 * np.pi * harmonic * moved / period
                logarithm = logarithm + cosine * np.cos(angle) + sine * np.sin(angle)
        return np.asarray(np.exp(logarithm), dtype=np.float64)


class Season(NamedTuple):
    """A yearly outbreak that belongs to the signal and is not labelled."""

    first_day: int
    """Earliest day of the year, 0-based."""
    days: int
    """Number of days on which it may start."""
    peak: float
    """Cases over the standard deviation of the day on which it starts."""
    curve: Curve


class Signal(NamedTuple):
    """One of the sixteen published signals."""

    number: int
    five_day: bool
    curve: Curve
    divisor: int = 1
    season: Season | None = None
    outbreak_curve: Curve | None = None
    """Whose standard deviation the outbreaks follow; None = the signal's own."""


_GRIPPE = Curve(1, 1, 1.0, 0, 0.1, 2.0, 0.05, 0.05, 1.0, -50)
_FEVER = Curve(1, 1, 6.0, 0, 0.3, 2.0, 0.3, 0.5, 1.5, -50)
_FIRST = Curve(1, 2, 6.0, 0, 0.2, 0.2, 0.5, 0.4, 2.0, 29)
_FOURTEENTH = Curve(1, 2, 2.0, 0.0005, 0.8, 0.8, 0.8, 0.4, 4.0, 57)

SIGNALS: tuple[Signal, ...] = (
    Signal(1, False, _FIRST),
    Signal(3, False, Curve(1, 2, 0.5, 0, 1.5, 1.4, 0.5, 0.4, 1.0, -167)),
    Signal(4, False, Curve(0, 2, 5.5, 0, 0, 0, 0.3, 0.25, 1.0, 1)),
    Signal(5, False, Curve(0, 2, 2.0, 0, 0, 0, 0.3, 0.25, 1.0, 1)),
    Signal(6, True, _FEVER, 10, Season(0, 20, 3 * 5 * 80, _FEVER)),
    Signal(7, True, _GRIPPE, 1, Season(0, 20, 3 * 5 * 50, _GRIPPE)),
    Signal(
        8,
        True,
        Curve(0, 1, 6.0, 0.0001, 0, 0, 0.6, 0.9, 1.5, 0),
        10,
        outbreak_curve=Curve(0, 1, 6.0, 0, 0, 0, 0.6, 0.9, 1.5, 0),
    ),
    Signal(9, True, Curve(1, 1, 3.0, 0, 1.5, 0.1, 0.2, 0.3, 1.0, -150)),
    Signal(10, True, Curve(1, 1, 3.0, 0, 0.2, 0.1, 0.05, 0.15, 1.0, -200)),
    Signal(11, True, Curve(1, 1, 5.0, 0, 0.2, 0.1, 0.05, 0.1, 1.0, 0)),
    Signal(12, True, Curve(2, 1, 0.5, 0, 0.4, 0, 0.05, 0.15, 1.0, 0)),
    Signal(13, True, Curve(1, 1, 9.0, 0, 0.5, 0.2, 0.2, 0.5, 1.0, 0), 100),
    # The published programs draw the outbreaks of the next two from other signals' curves; so do all their results.
    Signal(14, False, _FOURTEENTH, outbreak_curve=_FIRST),
    Signal(
        15,
        False,
        Curve(4, 1, 0.05, 0, 0.01, 0.01, 1.8, 0.1, 1.0, -85),
        outbreak_curve=_FOURTEENTH._replace(trend=0),
    ),
    Signal(16, False, Curve(1, 2, 3.0, 0, 0.8, 0.6, 0.8, 0.4, 4.0, 29), 1, Season(209, 21, 3 * 7 * 150, _GRIPPE)),
    Signal(17, False, Curve(0, 2, 6.0, 0, 0, 0, 0.8, 0.4, 4.0, 1)),
)
"""Numbered as the paper does; there is no signal 2."""


class DailyRuns(NamedTuple):
    """Simulated daily signals; bin 0 is a Monday."""

    counts: Counts
    """(signal, size, run, day)."""
    outbreak: Counts
    """(signal, size, run, day of the test period): cases of labelled outbreaks; the test period ends the series."""
    holiday: NDArray[np.int8]
    """(day,) 0/1."""
    five_day: NDArray[np.bool_]
    """(signal,): systems that count nothing on weekends and holidays."""

    @property
    def test_start(self) -> int:
        """First day of the test period."""
        return int(self.counts.shape[-1] - self.outbreak.shape[-1])


def holidays() -> NDArray[np.int8]:
    """Return the bank holidays of the seven simulated years, (day,) 0/1."""
    flags = np.zeros(_DAYS, np.int8)
    for year, days in enumerate(_HOLIDAYS_OF_YEARS):
        flags[np.array(days) + year * YEAR_DAYS] = 1
    return flags


def noufaily(seed: int, runs: int) -> DailyRuns:
    """Simulate daily counts of sixteen syndromic signals with one labelled outbreak each.

    Written after the description and the parameters of Noufaily et al., "Comparison of statistical algorithms for daily
    syndromic surveillance aberration detection", Bioinformatics 35(17):3110, 2019: negative binomial counts around a
    log-linear mean with trend, year and week; systems that are closed on weekends; holidays that double a count or
    close the system and fill the next day; unlabelled seasonal outbreaks in signals 6, 7 and 16; one outbreak of each
    size in the last 49 weeks, lognormally spread over about two weeks.

    Parameters
    ----------
    seed
        The same seed gives the same arrays.
    runs
        Independent runs. The sizes of a run share background and start, so that sizes can be compared.

    Returns
    -------
    DailyRuns
        2 548 days, the last 343 labelled. 0.65 MB and 15 ms a run.
    """
    source = np.random.default_rng(seed)
    holiday = holidays()
    counts = np.zeros((len(SIGNALS), len(SIZES), runs, _DAYS), np.int32)
    outbreak = np.zeros((len(SIGNALS), len(SIZES), runs, TEST_DAYS), np.int32)
    for place, signal in enumerate(SIGNALS):
        total, cases = _signal(source, signal, runs, holiday)
        counts[place], outbreak[place] = total, cases[..., -TEST_DAYS:]
    return DailyRuns(counts, outbreak, holiday, np.array([signal.five_day for signal in SIGNALS]))


def _signal(source: np.random.Generator, signal: Signal, runs: int, holiday: NDArray[np.int8]) -> tuple[Counts, Counts]:
    """Return (counts, outbreak cases), each (size, run, day)."""
    week = 5 if signal.five_day else 7
    days = 52 * week * YEARS
    background = _noise(source, signal.curve.mean(days, week), signal.curve.dispersion, runs) / signal.divisor
    if signal.season is not None:
        background = background + _seasons(source, signal.season, runs, days, week)
    curve = signal.outbreak_curve or signal.curve
    spread = np.sqrt(curve.mean(days, week) * curve.dispersion)
    starts = source.integers(days - 49 * week, days, runs)
    weights = _FIVE_DAY_WEIGHTS if signal.five_day else _SEVEN_DAY_WEIGHTS
    cases = np.zeros((len(SIZES), runs, days))
    for place, size in enumerate(SIZES):
        cases[place] = _spread_cases(
            source, starts, spread[starts] * size * week, days, weights, _OUTBREAK_STEP, _OUTBREAK_STEPS
        )
    total = background + cases
    closed = holiday.reshape(-1, 7)[:, :week].ravel() == 1
    if signal.five_day:
        # In order: the second of two holidays in a row is closed, too, and fills the day after it.
        for day in np.flatnonzero(closed):
            total[..., day] = 0
            if day + 1 < days:
                total[..., day + 1] *= 1.5
    else:
        total[..., closed] *= 2
    return _whole_weeks(total, week), _whole_weeks(cases, week)


def _noise(source: np.random.Generator, mean: Floats, dispersion: float, runs: int) -> Floats:
    shape = (runs, mean.size)
    if dispersion == 1:
        return source.poisson(mean, shape).astype(np.float64)
    return source.negative_binomial(mean / (dispersion - 1), 1 / dispersion, shape).astype(np.float64)


def _seasons(source: np.random.Generator, season: Season, runs: int, days: int, week: int) -> Floats:
    spread = np.sqrt(season.curve.mean(days, 5) * season.curve.dispersion)
    cases = np.zeros((runs, days))
    for year in range(YEARS):
        first = season.first_day + year * 52 * week
        starts = source.integers(first, first + season.days, runs)
        cases += _spread_cases(
            source, starts, spread[starts] * season.peak, days, _FIVE_DAY_WEIGHTS, _SEASON_STEP, _SEASON_STEPS
        )
    return cases


def _spread_cases(
    source: np.random.Generator,
    starts: NDArray[np.int64],
    expected: Floats,
    days: int,
    weights: Floats,
    step: float,
    steps: int,
) -> Floats:
    """Draw one outbreak per run, at least two cases, and lay its cases out in time, (run, day)."""
    sizes = source.poisson(expected)
    while (small := sizes < 2).any():
        sizes[small] = source.poisson(expected[small])
    until = np.array([_lognormal_below(step * (place + 1)) for place in range(steps)])
    until[-1] = 1.0
    laid = source.multinomial(sizes, np.diff(until, prepend=0.0))
    at = starts[:, None] + np.arange(steps)
    cases = np.zeros((starts.size, days + steps))
    cases[np.arange(starts.size)[:, None], at] = laid * weights[at % weights.size]
    cases[:, days - 1 :] = 0
    return cases[:, :days]


def _lognormal_below(value: float) -> float:
    return 0.5 * math.erfc(-math.log(value) / (_SPREAD * math.sqrt(2)))


def _whole_weeks(values: Floats, week: int) -> Counts:
    """Round, and put empty weekends after weeks of five days."""
    rounded = np.rint(values).astype(np.int32)
    if week == 7:
        return rounded
    weeks = rounded.reshape(*rounded.shape[:-1], -1, week)
    padded = np.pad(weeks, [(0, 0)] * (weeks.ndim - 1) + [(0, 7 - week)])
    return padded.reshape(*rounded.shape[:-1], -1)


# --- hourly incidents -------------------------------------------------------------------------------------------------

WEEK_HOURS = 168
SHAPES = ("step", "ramp", "pulse")


class HourlyIncidents(NamedTuple):
    """Distinct customers an hour, with incidents; bin 0 is a Monday at 00:00."""

    counts: Counts
    """(series, hour)."""
    excess: Counts
    """(series, hour): customers that a labelled incident brought, contained in `counts`."""
    test_start: int
    """First hour in which incidents are labelled; earlier ones are in the counts but nobody says where."""
    series: NDArray[np.int64]
    """(incident,): place of the series."""
    start: NDArray[np.int64]
    """(incident,): first hour."""
    end: NDArray[np.int64]
    """(incident,): hour after the last one."""
    shape: NDArray[np.int64]
    """(incident,): place in `SHAPES`."""


def hourly_incidents(
    seed: int, *, series: int = 600, history_weeks: int = 9, test_weeks: int = 4, incidents: int = 430
) -> HourlyIncidents:
    """Simulate hourly counts of customers with incidents of two hours to a day.

    Base rates are log-uniform between 0.01 and 20 an hour. Every series has its own rhythm of hour and weekday, drifts
    slowly, and is overdispersed. An incident steps up, ramps up, or jumps up and fades; it brings on average between
    2 and 11 standard deviations of what is expected meanwhile, and at least three customers. History holds incidents
    of the same kind and frequency.

    Parameters
    ----------
    seed
        The same seed gives the same arrays.
    series
        Number of series.
    history_weeks, test_weeks
        Weeks without and with labels.
    incidents
        Labelled incidents. Two of one series are at least a day apart.

    Returns
    -------
    HourlyIncidents
        About 0.2 s for the default size.
    """
    source = np.random.default_rng(seed)
    test_start = history_weeks * WEEK_HOURS
    hours = test_start + test_weeks * WEEK_HOURS
    rates = np.exp(source.uniform(math.log(0.01), math.log(20.0), series))
    quiet = _QuietSeries(source, rates, HOUR_MS, wander=0.03)
    mean = quiet.mean(0, hours)
    counts = quiet.counts(source, mean)
    before = round(incidents * history_weeks / test_weeks)
    unlabelled, *_ = _incidents(source, mean, quiet.dispersion, before, 0, test_start)
    excess, where, start, end, shape = _incidents(source, mean, quiet.dispersion, incidents, test_start, hours)
    return HourlyIncidents(counts + unlabelled + excess, excess, test_start, where, start, end, shape)


def _incidents(
    source: np.random.Generator, mean: Floats, dispersion: Floats, wanted: int, first: int, last: int
) -> tuple[Counts, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Place incidents without overlap; return (excess, series, start, end, shape)."""
    excess = np.zeros(mean.shape, np.int32)
    taken = np.zeros(mean.shape, np.bool_)
    placed: list[tuple[int, int, int, int]] = []
    while len(placed) < wanted:
        row = int(source.integers(mean.shape[0]))
        length = round(math.exp(source.uniform(math.log(2.0), math.log(24.0))))
        start = int(source.integers(first, last - length))
        shape = int(source.integers(len(SHAPES)))
        if taken[row, max(first, start - 24) : start + length + 24].any():
            continue
        deviation = math.sqrt(float(mean[row, start : start + length].sum()) * dispersion[row])
        size = 3 + source.poisson(max(math.exp(source.uniform(math.log(2.0), math.log(11.0))) * deviation - 1.0, 0.5))
        along = np.arange(length) + 0.5
        form = (np.ones(length), along, np.exp(-4 * along / length))[shape]
        cases = source.multinomial(size, form / form.sum())
        # An incident begins with its first customer: nothing can be seen before.
        begun = int(np.flatnonzero(cases)[0])
        excess[row, start : start + length] = cases
        taken[row, start : start + length] = True
        placed.append((row, start + begun, start + length, shape))
    table = np.array(sorted(placed), dtype=np.int64).reshape(-1, 4)
    return excess, table[:, 0], table[:, 1], table[:, 2], table[:, 3]


# --- series in which nothing happens ----------------------------------------------------------------------------------


class _QuietSeries:
    """Rhythm, drift and overdispersion of series in which nothing happens.

    Parameters
    ----------
    source
        Randomness.
    rates
        (series,) mean count of a bin.
    bin_ms
        Length of a bin.
    wander
        Standard deviation of the logarithm of the level after a day's drift.
    """

    def __init__(self, source: np.random.Generator, rates: Floats, bin_ms: int, wander: float) -> None:
        size = rates.size
        self._bin_ms = bin_ms
        self._level = np.log(rates)
        self._wander = wander
        self._drift_source = np.random.default_rng(source.integers(2**63))
        self._drift = np.zeros((size, 1))
        self.dispersion = source.uniform(1.0, 1.6, size)
        day = source.uniform(0.3, 1.0, size), source.uniform(-0.6, 0.6, size), source.uniform(0.0, 0.4, size)
        hour = np.arange(24) + 0.5
        # Busy in the afternoon, give or take some hours; a second harmonic makes lunch or evening.
        angle = 2 * np.pi * hour / 24
        self._hours = -day[0][:, None] * np.cos(angle - day[1][:, None]) + day[2][:, None] * np.cos(2 * angle - 1.0)
        weekday = source.normal(0.0, 0.08, (size, 7))
        weekday[:, 5:] -= source.uniform(-0.2, 0.8, size)[:, None]
        self._weekdays = weekday - weekday.mean(axis=1, keepdims=True)

    def mean(self, first: int, bins: int) -> Floats:
        """Return the means of the next `bins` bins, (series, bins); calls must follow each other in time."""
        start = np.arange(first, first + bins) * self._bin_ms
        day = start // DAY_MS
        missing = int(day[-1]) + 1 - self._drift.shape[1]
        if missing > 0:
            steps = self._drift_source.normal(0.0, self._wander, (self._level.size, missing))
            path = np.empty((self._level.size, missing))
            last = self._drift[:, -1]
            for place in range(missing):
                last = last * 0.995 + steps[:, place]
                path[:, place] = last
            self._drift = np.concatenate([self._drift, path], axis=1)
        logarithm = self._level[:, None] + self._drift[:, day] + self._weekdays[:, day % 7]
        if self._bin_ms < DAY_MS:
            middle = (start % DAY_MS) / HOUR_MS - 0.5 + self._bin_ms / (2 * HOUR_MS)
            low = np.floor(middle).astype(np.int64)
            share = middle - low
            logarithm += self._hours[:, low % 24] * (1 - share) + self._hours[:, (low + 1) % 24] * share
        return np.asarray(np.exp(logarithm), dtype=np.float64)

    def counts(self, source: np.random.Generator, mean: Floats) -> Counts:
        """Draw counts whose variance is `dispersion` times their mean."""
        more = np.maximum(self.dispersion[:, None] - 1.0, 1e-3)
        return source.poisson(source.standard_gamma(mean / more) * more).astype(np.int32)


def null_series(
    seed: int, n: int, bins: int, bin_ms: int, *, rates: tuple[float, float] = (0.01, 20.0), block_bins: int = 24
) -> Iterator[tuple[int, Counts]]:
    """Simulate series in which nothing happens, some bins at a time.

    Parameters
    ----------
    seed
        The same seed and block length give the same counts.
    n
        Number of series.
    bins
        Number of bins; bin 0 starts on a Monday at 00:00.
    bin_ms
        Length of a bin.
    rates
        Lowest and highest base rate per hour, whatever the bin; rates are log-uniform between.
    block_bins
        Bins of one block: memory is about 60 bytes × n × block_bins.

    Yields
    ------
    tuple
        (first bin of the block, counts (n, bins of the block)). About 0.1 µs a count.
    """
    source = np.random.default_rng(seed)
    hours = bin_ms / HOUR_MS
    base = np.exp(source.uniform(math.log(rates[0] * hours), math.log(rates[1] * hours), n))
    quiet = _QuietSeries(source, base, bin_ms, wander=0.03)
    for first in range(0, bins, block_bins):
        yield first, quiet.counts(source, quiet.mean(first, min(block_bins, bins - first)))


def known_step(seed: int, n: int, *, rate: float, factor: float, before: int, after: int) -> Counts:
    """Simulate Poisson series whose rate changes once: for Lorden's bound on the delay.

    Parameters
    ----------
    seed
        The same seed gives the same counts.
    n
        Number of series.
    rate
        Mean count of a bin before the step.
    factor
        The mean after the step is `rate × factor`.
    before, after
        Bins before and after the step.

    Returns
    -------
    ndarray
        (n, before + after).
    """
    source = np.random.default_rng(seed)
    mean = np.repeat([rate, rate * factor], [before, after])
    return source.poisson(mean, (n, before + after)).astype(np.int32)
