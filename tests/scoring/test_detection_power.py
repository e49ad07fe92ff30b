"""Power at a threshold: what is false, what is detected, and how late, on scores small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.app.detection_power import daily_power, hourly_power
from qianshao.app.simulated_counts import HourlyIncidents


def test_daily_power_is_what_one_counts_by_hand() -> None:
    outbreak = np.zeros((2, 10), int)
    outbreak[0, 3:6] = (2, 0, 5)
    outbreak[1, 8:] = 1
    score = np.zeros((2, 10))
    score[0, 0] = 4  # one false alarm on fifteen quiet days and one gap inside an outbreak
    score[0, 4] = 9  # a day without cases inside an outbreak: a false alarm, too
    score[0, 5] = 3
    power = daily_power(score, outbreak, 2 / 16)
    assert power.false_alarm_days == pytest.approx(2 / 16)
    assert power.threshold < 3
    assert (power.detected, power.delay_days) == (0.5, 2.0)


def test_of_days_only_the_first_alarm_counts_for_the_delay_and_signals_count_alike() -> None:
    outbreak = np.zeros((2, 2, 20), int)
    outbreak[:, :, 5:12] = 1
    score = np.zeros((2, 2, 20))
    score[0, :, 6:12] = 5
    score[1, 0, 9] = 5
    power = daily_power(score, outbreak, 0.01)
    assert power.detected == 0.75
    assert power.delay_days == pytest.approx((1 + 1 + 4) / 3)
    assert power.delay_days_by_signal == pytest.approx((1 + 4) / 2)


def truth(*incidents: tuple[int, int, int], hours: int = 48, before: int = 24) -> HourlyIncidents:
    """Two series with one customer an hour during each incident (series, start, end)."""
    excess = np.zeros((2, before + hours), np.int32)
    for series, start, end in incidents:
        excess[series, start:end] = 1
    columns = np.array(incidents, dtype=np.int64).reshape(-1, 3)
    return HourlyIncidents(
        excess.copy(), excess, before, columns[:, 0], columns[:, 1], columns[:, 2], np.zeros(len(columns), np.int64)
    )


def test_hourly_power_is_what_one_counts_by_hand() -> None:
    known = truth((0, 30, 36), (1, 50, 60))
    score = np.zeros((2, 72))
    score[0, 32:34] = 8  # two hours late
    score[0, 40] = 8  # within six hours of the end: nobody is told twice
    score[1, 70] = 7  # false
    score[1, 10] = 9  # before anything is labelled
    power = hourly_power(score, known, rate=1 / 4)
    assert power.false_episodes == pytest.approx(1 / 4)
    assert (power.detected, power.customers_seen, power.delay_hours) == (0.5, 3.0, 2.0)


def test_an_alarm_that_stood_already_detects_nothing() -> None:
    known = truth((0, 40, 50))
    score = np.zeros((2, 72))
    score[0, 30:60] = 5
    power = hourly_power(score, known, rate=1 / 4)
    assert (power.detected, power.false_episodes) == (0.0, 0.25)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_the_allowed_rate_is_never_exceeded(seed: int, rate: float) -> None:
    known = truth((0, 30, 36), (1, 50, 60))
    source = np.random.default_rng(seed)
    score = source.exponential(1.0, (2, 72)).round(1)
    assert hourly_power(score, known, rate).false_episodes <= rate
    outbreak = source.integers(0, 2, (2, 48))
    assert daily_power(score[:, -48:], outbreak, rate).false_alarm_days <= rate
