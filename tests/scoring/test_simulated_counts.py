"""Simulated counts: the same seed gives the same truth, labels stand where the excess is, quiet series are as said."""

from __future__ import annotations

import numpy as np
import pytest

from qianshao.app.simulated_counts import (
    SIGNALS,
    SIZES,
    DailyRuns,
    HourlyIncidents,
    hourly_incidents,
    known_step,
    noufaily,
    null_series,
)
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS


@pytest.fixture(scope="module")
def daily() -> DailyRuns:
    return noufaily(3, 4)


@pytest.fixture(scope="module")
def hourly() -> HourlyIncidents:
    return hourly_incidents(3, series=200, incidents=120)


def test_the_same_seed_gives_the_same_days_and_another_seed_others(daily: DailyRuns) -> None:
    again = noufaily(3, 4)
    assert np.array_equal(daily.counts, again.counts)
    assert np.array_equal(daily.outbreak, again.outbreak)
    assert not np.array_equal(daily.counts, noufaily(4, 4).counts)


def test_daily_signals_have_the_published_shape(daily: DailyRuns) -> None:
    assert daily.counts.shape == (16, 4, 4, 2548)
    assert daily.outbreak.shape == (16, 4, 4, 343)
    assert daily.test_start == 2205
    assert daily.counts.min() == 0


def test_systems_of_five_days_count_nothing_on_weekends_and_holidays(daily: DailyRuns) -> None:
    closed = (np.arange(2548) % 7 >= 5) | (daily.holiday == 1)
    assert daily.counts[daily.five_day][..., closed].max() == 0
    assert daily.counts[~daily.five_day][..., closed].mean() > 10


def test_there_is_one_outbreak_of_each_size_and_larger_ones_have_more_cases(daily: DailyRuns) -> None:
    cases = daily.outbreak.sum(axis=-1).astype(float)
    assert (daily.outbreak.max(axis=-1) > 0).mean() > 0.95
    totals = cases.sum(axis=(0, 2))
    assert totals / totals[0] == pytest.approx(np.array(SIZES) / SIZES[0], rel=0.1)


def test_before_the_outbreak_all_sizes_of_a_run_are_the_same_series(daily: DailyRuns) -> None:
    background = daily.counts[:, :, :, : daily.test_start]
    assert (background == background[:, :1]).all()


@pytest.mark.parametrize("place", [0, 2, 15])
def test_an_ordinary_day_has_the_mean_and_dispersion_of_its_signal(place: int) -> None:
    """Signals without seasons, over forty runs, on days without holidays."""
    signal = SIGNALS[place]
    runs = noufaily(11, 40)
    counts = runs.counts[place, 0, :, : runs.test_start].astype(float)
    expected = signal.curve.mean(2548, 7)[: runs.test_start]
    plain = runs.holiday[: runs.test_start] == 0
    assert counts.mean(axis=0)[plain] / expected[plain] == pytest.approx(1.0, abs=0.4)
    assert counts[:, plain].mean() == pytest.approx(expected[plain].mean(), rel=0.01)
    spread = (counts.var(axis=0, ddof=1) / expected)[plain].mean()
    assert spread == pytest.approx(signal.curve.dispersion, rel=0.05)


def test_labels_of_incidents_are_exactly_where_the_excess_is(hourly: HourlyIncidents) -> None:
    outside = hourly.excess.copy()
    for series, start, end in zip(hourly.series, hourly.start, hourly.end, strict=True):
        assert hourly.excess[series, start] > 0
        assert hourly.excess[series, start:end].sum() >= 3
        assert 1 <= end - start <= 24
        outside[series, start:end] = 0
    assert outside.max() == 0
    assert hourly.start.min() >= hourly.test_start
    assert (hourly.counts >= hourly.excess).all()
    assert len(hourly.series) == 120


def test_hourly_rates_span_three_orders_of_magnitude(hourly: HourlyIncidents) -> None:
    rates = hourly.counts[:, : hourly.test_start].mean(axis=1)
    assert np.quantile(rates, 0.05) < 0.05
    assert np.quantile(rates, 0.95) > 8


@pytest.mark.parametrize("bin_ms", [5 * MINUTE_MS, HOUR_MS, DAY_MS])
def test_a_rate_is_meant_per_hour_whatever_the_bin(bin_ms: int) -> None:
    bins = 14 * DAY_MS // bin_ms
    total = sum(int(counts.sum()) for _, counts in null_series(5, 300, bins, bin_ms, rates=(4.0, 4.0)))
    # A rhythm adds to the mean of an exponential; drift moves it.
    assert 3.6 < total / 300 / (14 * 24) < 6.0


def test_blocks_follow_each_other_without_gap_and_repeat_with_the_seed() -> None:
    blocks = list(null_series(5, 40, 50, HOUR_MS, block_bins=24))
    assert [(first, counts.shape) for first, counts in blocks] == [(0, (40, 24)), (24, (40, 24)), (48, (40, 2))]
    again = list(null_series(5, 40, 50, HOUR_MS, block_bins=24))
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(blocks, again, strict=True))


def test_a_step_doubles_the_mean_where_it_says() -> None:
    counts = known_step(2, 5_000, rate=3.0, factor=2.0, before=4, after=3)
    assert counts.mean(axis=0) == pytest.approx([3, 3, 3, 3, 6, 6, 6], abs=0.2)
