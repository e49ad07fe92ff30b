"""How good scores are against known truth: false alarms, detected outbreaks and delay at one global threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qianshao.app.simulated_counts import HourlyIncidents

HOURS_A_DAY = 24
EPISODE_HOURS = 6
"""Alarms of one series that are at most so far apart are one episode: somebody is told once."""


class DailyPower(NamedTuple):
    """What one threshold over all series reaches on daily outbreaks."""

    threshold: float
    false_alarm_days: float
    """Share of the days without outbreak that alarm."""
    detected: float
    """Share of outbreaks with an alarm on a day with outbreak cases (POD)."""
    delay_days: float
    """Mean over detected outbreaks: days from the first case's day to the first alarm; the same day is 0."""
    delay_days_by_signal: float
    """The same, averaged within each signal first: rarely detected signals count as much as others."""


def daily_power(score: NDArray[np.floating], outbreak: NDArray[np.integer], rate: float) -> DailyPower:
    """Judge daily scores at the threshold that lets at most `rate` of the days without outbreak alarm.

    Parameters
    ----------
    score, outbreak
        (signal, …, day) of the test period; `outbreak` holds cases.
    rate
        False-alarm days over days without outbreak, one threshold over everything. A day alarms above the threshold.
    """
    case: NDArray[np.bool_] = np.greater(outbreak, 0)
    quiet = score[~case]
    allowed = min(int(rate * quiet.size), quiet.size - 1)
    threshold = float(np.partition(quiet, quiet.size - 1 - allowed)[quiet.size - 1 - allowed])
    alarm = (score > threshold) & case
    exists: NDArray[np.bool_] = np.logical_or.reduce(case, axis=-1)
    found: NDArray[np.bool_] = np.logical_or.reduce(alarm, axis=-1)
    delay = (alarm.argmax(axis=-1) - case.argmax(axis=-1)).astype(np.float64)
    by_signal = [float(delay[place][found[place]].mean()) for place in range(len(score)) if found[place].any()]
    return DailyPower(
        threshold,
        float((quiet > threshold).mean()),
        float(found.sum() / exists.sum()),
        float(delay[found].mean()) if found.any() else float("nan"),
        float(np.mean(by_signal)) if by_signal else float("nan"),
    )


class HourlyPower(NamedTuple):
    """What one threshold over all series reaches on hourly incidents."""

    threshold: float
    false_episodes: float
    """False episodes per series and day."""
    detected: float
    """Share of incidents with an alarm while they last (POD)."""
    customers_seen: float
    """Median over detected incidents of the customers that the incident had brought by the end of the alarming hour."""
    delay_hours: float
    """Mean over detected incidents: hours from the first customer's hour to the alarm; the same hour is 0."""


def hourly_power(score: NDArray[np.floating], truth: HourlyIncidents, rate: float) -> HourlyPower:
    """Judge hourly scores at the lowest threshold with at most `rate` false episodes per series and day.

    Alarms of one series that are at most six hours apart are one episode: somebody is told when it begins. An episode
    that begins while an incident lasts detects it; one that begins within six hours after is not false either, since
    the windows that saw the incident still hold it; any other is false, also if it lasts until an incident comes.

    Parameters
    ----------
    score
        (series, hour) over the whole time or the test period only.
    truth
        What was simulated.
    rate
        False episodes per series and day that are allowed.
    """
    hours = truth.counts.shape[1] - truth.test_start
    tested = np.asarray(score[:, -hours:], dtype=np.float64)
    incidents = list(
        zip(
            truth.series.tolist(),
            (truth.start - truth.test_start).tolist(),
            (truth.end - truth.test_start).tolist(),
            strict=True,
        )
    )
    near = np.zeros(tested.shape, np.bool_)
    for series, start, end in incidents:
        near[series, start : end + EPISODE_HOURS] = True
    allowed = rate * tested.shape[0] * hours / HOURS_A_DAY
    threshold = lowest_threshold(tested, ~near, allowed)
    told = beginnings(tested > threshold)
    customers = np.cumsum(truth.excess[:, truth.test_start :], axis=1)
    seen: list[float] = []
    delays: list[int] = []
    for series, start, end in incidents:
        hits = np.flatnonzero(told[series, start:end])
        if hits.size:
            first = int(hits[0])
            before = customers[series, start - 1] if start else 0
            seen.append(float(customers[series, start + first] - before))
            delays.append(first)
    return HourlyPower(
        threshold,
        float((told & ~near).sum()) * HOURS_A_DAY / tested.size,
        len(seen) / len(truth.series),
        float(np.median(seen)) if seen else float("nan"),
        float(np.mean(delays)) if delays else float("nan"),
    )


def beginnings(alarm: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the alarms (series, bin) before which the series was quiet for more than six bins."""
    before = np.cumsum(np.pad(alarm, ((0, 0), (EPISODE_HOURS + 1, 0))), axis=1, dtype=np.int32)
    quiet: NDArray[np.bool_] = before[:, EPISODE_HOURS:-1] == before[:, : -EPISODE_HOURS - 1]
    return alarm & quiet


def lowest_threshold(score: NDArray[np.floating], where: NDArray[np.bool_], allowed: float) -> float:
    """Return the lowest score above which at most `allowed` episodes begin at the bins of `where`, (series, bin)."""
    steps = np.unique(score)
    low, high = 0, steps.size - 1
    while low < high:
        middle = (low + high) // 2
        if (beginnings(score > steps[middle]) & where).sum() <= allowed:
            high = middle
        else:
            low = middle + 1
    return float(steps[low])
