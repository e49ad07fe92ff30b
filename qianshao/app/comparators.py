"""Published detectors of count surveillance, written from their papers, to stand beside our own on the same counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.tail import upper_score

Floats = NDArray[np.float64]
Tell = Callable[[float, str], None]

# --- EARS -------------------------------------------------------------------------------------------------------------

EARS_DAYS = 7
_SMALLEST_DEVIATION = 0.2


def ears(counts: NDArray[np.integer], method: int) -> Floats:
    """Score days with the Early Aberration Reporting System's C1, C2 or C3.

    Hutwagner et al., "The bioterrorism preparedness and response Early Aberration Reporting System (EARS)", Journal of
    Urban Health 80, 2003. C1 compares a day with the mean and the standard deviation of the seven days before it, C2
    leaves two days between, C3 sums what C2 exceeded one by on three days.

    When it fails: it knows no weekday, season or holiday, and a week of zeros makes everything strange; the deviation
    is taken as at least 0.2.

    Parameters
    ----------
    counts
        (series, day).
    method
        1, 2 or 3.

    Returns
    -------
    ndarray
        (series, day) standard deviations above the mean; 0 where there are not enough days before.

    Examples
    --------
    >>> counts = np.array([[4, 6, 4, 6, 4, 6, 5, 5, 5, 11]])
    >>> ears(counts, 2).round(1).tolist()[0][-1]
    6.0
    """
    lag = 0 if method == 1 else 2
    values = np.asarray(counts, dtype=np.float64)
    score = np.zeros(values.shape)
    if values.shape[-1] <= EARS_DAYS + lag:
        return score
    windows = np.lib.stride_tricks.sliding_window_view(values, EARS_DAYS, axis=-1)[..., : -1 - lag, :]
    deviation = np.maximum(windows.std(axis=-1, ddof=1), _SMALLEST_DEVIATION)
    score[..., EARS_DAYS + lag :] = (values[..., EARS_DAYS + lag :] - windows.mean(axis=-1)) / deviation
    if method < 3:
        return score
    above = np.maximum(score - 1, 0)
    return np.asarray(above + _earlier(above, 1) + _earlier(above, 2), dtype=np.float64)


def _earlier(values: Floats, days: int) -> Floats:
    moved = np.zeros(values.shape)
    moved[..., days:] = values[..., :-days]
    return moved


# --- Farrington Flexible ----------------------------------------------------------------------------------------------

YEARS_BACK = 5
HALF_WINDOW_WEEKS = 3
PERIODS = 10
WEEKS_LEFT_OUT = 26
_YEAR_WEEKS = 52
_RESIDUAL_LIMIT = 2.58
_STEPS = 12
_CLOSE_ENOUGH = 1e-5


class _Design(NamedTuple):
    lags: NDArray[np.int64]
    """(row,) weeks back."""
    rows: Floats
    """(row, column): intercept, the other nine periods of the year, trend last."""
    today: Floats
    """(column,) of the week that is judged."""


def farrington_flexible(
    counts: NDArray[np.integer], first_day: int, tell: Tell = lambda fraction, note: None
) -> Floats:
    """Score days with the improved Farrington algorithm, refitted for every series and day.

    Noufaily et al., "An improved algorithm for outbreak detection in multiple surveillance systems", Statistics in
    Medicine 32, 2013: a quasi-Poisson regression on the weeks of the last five years with a trend and ten periods of
    the year, the current one seven weeks wide; the last 26 weeks are left out; earlier outbreaks are down-weighted by
    their Anscombe residuals (above 2.58) and the model is fitted again; the week is judged by a negative binomial of
    the expected mean and the fitted dispersion. A trend that leads above everything seen is dropped. As it is used on
    daily data (Noufaily et al. 2019), weeks are the seven days that end with the judged one.

    When it fails: short outbreaks are diluted in seven days, a week alarms until the outbreak has left it, and the
    tail is that of the fitted model, not of the series.

    Parameters
    ----------
    counts
        (series, day); years are 52 weeks long; days before `first_day` are only learnt from.
    first_day
        First day to score; at least five years and four weeks must lie before it.
    tell
        Called with the share that is done.

    Returns
    -------
    ndarray
        (series, days from `first_day`) −log10 of the tail probability; 0 for less than expected.

    Notes
    -----
    Cost: about 70 µs a series and day; all series of one day are fitted together.
    """
    sums = np.zeros(counts.shape)
    total = np.cumsum(counts, axis=1, dtype=np.float64)
    sums[:, 6] = total[:, 6]
    sums[:, 7:] = total[:, 7:] - total[:, :-7]
    design = _design()
    days = counts.shape[1] - first_day
    score = np.zeros((counts.shape[0], days))
    for place in range(days):
        day = first_day + place
        score[:, place] = _judge(design, sums[:, day - 7 * design.lags], sums[:, day])
        tell((place + 1) / days, "")
    return score


def _design() -> _Design:
    lags = np.arange(WEEKS_LEFT_OUT + 1, YEARS_BACK * _YEAR_WEEKS + HALF_WINDOW_WEEKS + 1)
    # Weeks after the beginning of the current period of their year; the period itself is the first of the ten.
    after = (HALF_WINDOW_WEEKS - lags) % _YEAR_WEEKS
    window = 2 * HALF_WINDOW_WEEKS + 1
    width = (_YEAR_WEEKS - window) / (PERIODS - 1)
    period = np.where(after < window, 0, 1 + ((after - window) // width).astype(np.int64))
    levels = (period[:, None] == np.arange(1, PERIODS)).astype(np.float64)
    # The trend is measured in years around the middle, so that the equations are well conditioned.
    middle = lags.mean()
    rows = np.column_stack([np.ones(lags.size), levels, (middle - lags) / _YEAR_WEEKS])
    today = np.concatenate([[1.0], np.zeros(PERIODS - 1), [middle / _YEAR_WEEKS]])
    return _Design(lags, rows, today)


def _judge(design: _Design, past: Floats, now: Floats) -> Floats:
    """Return the score of one week of every series, given (series, row) of the past."""
    mean, dispersion = _forecast(design, past)
    # A trend is believed only as far as the counts have been.
    steep = mean > past.max(axis=1)
    if steep.any():
        flat = _Design(design.lags, design.rows[:, :-1], design.today[:-1])
        mean[steep], dispersion[steep] = _forecast(flat, past[steep])
    mean = np.maximum(mean, 1e-3)
    alpha = np.maximum((dispersion - 1) / mean, 1e-6)
    return upper_score(np.maximum(now, 1), mean, alpha) * (now > mean)


def _forecast(design: _Design, past: Floats) -> tuple[Floats, Floats]:
    """Fit, weigh earlier outbreaks down, fit again; return (mean of today, dispersion)."""
    rows = design.rows
    weights = np.ones(past.shape)
    fitted, leverage, dispersion, _ = _fit(rows, past, weights)
    residual = 1.5 * (np.cbrt(past) ** 2 - np.cbrt(fitted) ** 2) / np.cbrt(np.sqrt(fitted))
    residual /= np.sqrt(dispersion[:, None] * np.maximum(1 - leverage, 1e-3))
    weights = np.where(residual > _RESIDUAL_LIMIT, np.maximum(residual, 1) ** -2, 1.0)
    weights *= rows.shape[0] / weights.sum(axis=1, keepdims=True)
    _, _, dispersion, coefficients = _fit(rows, past, weights)
    return np.exp(np.clip(coefficients @ design.today, -12, 25)), dispersion


def _fit(rows: Floats, past: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Fit a Poisson regression to every series at once; return (fitted, leverage, dispersion, coefficients)."""
    count, columns = rows.shape
    products = (rows[:, :, None] * rows[:, None, :]).reshape(count, -1)
    ridge = 1e-6 * np.eye(columns)
    linear = np.log(np.maximum(past, 0.1) * 0.5 + 0.5 * np.maximum(past.mean(axis=1, keepdims=True), 0.1))
    last = np.zeros((past.shape[0], columns))
    for _ in range(_STEPS):
        fitted = np.exp(linear)
        work = weights * fitted
        normal = (work @ products).reshape(-1, columns, columns) + ridge
        target = (work * linear + weights * (past - fitted)) @ rows
        coefficients = np.linalg.solve(normal, target[:, :, None])[:, :, 0]
        linear = np.clip(coefficients @ rows.T, -12, 25)
        moved = np.abs(coefficients - last).max()
        last = coefficients
        if moved < _CLOSE_ENOUGH:
            break
    fitted = np.exp(linear)
    work = weights * fitted
    inverse = np.linalg.inv((work @ products).reshape(-1, columns, columns) + ridge)
    leverage = work * (inverse.reshape(-1, columns * columns) @ products.T)
    dispersion = np.maximum((weights * (past - fitted) ** 2 / fitted).sum(axis=1) / (count - columns), 1.0)
    return fitted, leverage, dispersion, coefficients


# --- hourly counts ----------------------------------------------------------------------------------------------------

_WEEK_HOURS = 168
_WEEKS = 8


def hourly_reference(counts: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Expect of every hour what the same hour of the last eight weeks and its two neighbours had.

    Parameters
    ----------
    counts
        (series, hour).

    Returns
    -------
    tuple
        (mean, dispersion), each (series, hour); before eight weeks have passed, mean 0.
    """
    values = np.asarray(counts, dtype=np.float64)
    mean, square = np.zeros(values.shape), np.zeros(values.shape)
    first = _WEEKS * _WEEK_HOURS + 1
    for week in range(1, _WEEKS + 1):
        for beside in (-1, 0, 1):
            back = week * _WEEK_HOURS + beside
            part = values[:, first - back : values.shape[1] - back]
            mean[:, first:] += part
            square[:, first:] += part * part
    looks = 3 * _WEEKS
    mean /= looks
    variance = (square / looks - mean**2) * looks / (looks - 1)
    return mean, np.maximum(variance / np.maximum(mean, 1e-9), 1.0)


def hourly_farrington(counts: NDArray[np.integer]) -> Floats:
    """Score hours by the tail of a negative binomial around the same hours of the last weeks.

    The way of Farrington et al., "A statistical algorithm for the early detection of outbreaks", JRSS A 159, 1996,
    with comparable hours for comparable weeks, and without its trend. Fails where the last eight weeks held incidents,
    and on counts too small for their dispersion to be known.

    Returns
    -------
    ndarray
        (series, hour) −log10 of the tail probability; 0 where nothing is expected yet, or less came than expected.
    """
    mean, dispersion = hourly_reference(counts)
    # Half a count in all those hours: a series that was silent does not expect nothing.
    mean = mean + 0.5 / (3 * _WEEKS)
    score = upper_score(np.maximum(counts, 1), mean, np.maximum((dispersion - 1) / mean, 1e-6)) * (counts > mean)
    score[:, : _WEEKS * _WEEK_HOURS + 1] = 0
    return score


def cusum(counts: NDArray[np.integer]) -> Floats:
    """Score hours with a Poisson CUSUM for a rise by two standard deviations.

    Lucas, "Counted data CUSUM's", Technometrics 27, 1985, in its log-likelihood form, around the same expectation as
    `hourly_farrington`. Fails where the expectation is wrong: a small error adds up for as long as it lasts.

    Returns
    -------
    ndarray
        (series, hour) the cumulative log-likelihood ratio, at least 0.

    Examples
    --------
    >>> counts = np.full((1, 1400), 4)
    >>> counts[0, -2:] = 12
    >>> cusum(counts)[0, -3:].round(1).tolist()
    [0.0, 4.3, 8.6]
    """
    mean, dispersion = hourly_reference(counts)
    mean = mean + 0.5 / (3 * _WEEKS)
    ratio = np.minimum(1 + 2 / np.sqrt(mean), 20.0)
    gain = (counts * np.log(ratio) - mean * (ratio - 1)) / dispersion
    gain[:, : _WEEKS * _WEEK_HOURS + 1] = 0
    score = np.zeros(gain.shape)
    level = np.zeros(gain.shape[0])
    for hour in range(gain.shape[1]):
        level = np.maximum(level + gain[:, hour], 0)
        score[:, hour] = level
    return score
