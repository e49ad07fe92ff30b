"""The published detectors: right on counts whose answer is known, blind to the future, silent where nothing happens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize

from detectors.river_parts import gaussian_scores
from qianshao.app.comparators import (
    _design,
    _fit,
    cusum,
    ears,
    farrington_flexible,
    hourly_farrington,
)

DAYS = 7 * 320
FIRST = 7 * 300
HOURS = 168 * 10


@pytest.fixture(scope="module")
def daily() -> np.ndarray:
    """Thirty Poisson series with week and year."""
    day = np.arange(DAYS)
    mean = 20 * np.exp(0.3 * np.cos(2 * np.pi * day / 364)) * (1 + 0.3 * (day % 7 < 5))
    return np.random.default_rng(1).poisson(mean, (30, DAYS)).astype(np.int32)


def test_ears_c2_leaves_two_days_between_and_c3_remembers_three_days() -> None:
    counts = np.array([[3, 5, 4, 3, 5, 4, 4, 4, 9, 4, 4, 4, 4, 4]])
    c1, c2 = (ears(counts, method)[0] for method in (1, 2))
    assert c1[8] == pytest.approx((9 - counts[0, 1:8].mean()) / np.std(counts[0, 1:8], ddof=1))
    assert c2[8] == 0  # seven days and two between are not there yet
    assert c2[9] == pytest.approx((4 - counts[0, :7].mean()) / np.std(counts[0, :7], ddof=1))
    burst = np.concatenate([counts, [[30, 4, 4, 4]]], axis=1)
    assert ears(burst, 3)[0, -4] == pytest.approx(ears(burst, 2)[0, -4] - 1)
    assert ears(burst, 3)[0, -2] >= ears(burst, 3)[0, -4] > ears(burst, 3)[0, -1]


def test_the_regression_of_all_series_at_once_is_the_maximum_of_each_likelihood() -> None:
    source = np.random.default_rng(3)
    rows = np.column_stack([np.ones(60), source.integers(0, 2, 60), np.linspace(-1, 1, 60)])
    counts = source.poisson(np.exp(rows @ np.array([[1.5, 0.4, -0.3], [0.2, -0.5, 0.6]]).T)).T.astype(float)
    weights = source.uniform(0.5, 1.5, counts.shape)
    *_, found = _fit(rows, counts, weights)
    for place in range(2):

        def loss(beta: np.ndarray, place: int = place) -> float:
            linear = rows @ beta
            return float((weights[place] * (np.exp(linear) - counts[place] * linear)).sum())

        best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-7})
        assert found[place] == pytest.approx(best.x, abs=1e-3)


def test_the_design_has_five_windows_of_seven_weeks_and_leaves_half_a_year_out() -> None:
    design = _design()
    assert design.lags.min() == 27
    assert design.lags.max() == 263
    current = design.rows[:, 1:-1].sum(axis=1) == 0
    assert sorted(design.lags[current].tolist()) == [
        lag for year in range(1, 6) for lag in range(52 * year - 3, 52 * year + 4)
    ]
    others = design.rows[:, 1:-1].sum(axis=0)
    assert others.min() >= 20


def test_farrington_is_calibrated_where_its_model_is_true(daily: np.ndarray) -> None:
    score = farrington_flexible(daily, FIRST)
    assert score.shape == (30, DAYS - FIRST)
    # Sums of seven days overlap: one week in seven is independent.
    assert (score > 1).mean() == pytest.approx(0.1, abs=0.04)
    assert (score > 4).mean() < 0.002


def test_farrington_sees_an_outbreak_and_is_not_blinded_by_last_years(daily: np.ndarray) -> None:
    counts = daily.copy()
    counts[0, FIRST + 50 : FIRST + 57] += 40
    plain = farrington_flexible(counts, FIRST)[0, 50:57].max()
    counts[0, FIRST + 50 - 364 : FIRST + 57 - 364] += 60
    assert plain > 10
    assert farrington_flexible(counts, FIRST)[0, 50:57].max() > 0.6 * plain


def test_farrington_says_nothing_of_series_of_zeros() -> None:
    assert farrington_flexible(np.zeros((2, DAYS), int), DAYS - 3).max() == 0


@pytest.mark.parametrize(
    "score",
    [
        lambda counts: ears(counts, 1),
        lambda counts: ears(counts, 3),
        hourly_farrington,
        cusum,
        lambda counts: gaussian_scores(counts, 7),
    ],
)
def test_what_comes_later_changes_no_score(score: Callable[[np.ndarray], np.ndarray]) -> None:
    counts = np.random.default_rng(5).poisson(3.0, (2, HOURS))
    changed = counts.copy()
    changed[:, HOURS - 50 :] = 90
    assert np.array_equal(score(counts)[:, : HOURS - 50], score(changed)[:, : HOURS - 50])
    assert (score(changed)[:, HOURS - 50] > score(counts)[:, HOURS - 50]).all()


def test_hours_are_compared_with_the_same_hour_of_the_week() -> None:
    rhythm = np.tile(np.where(np.arange(168) == 9, 30, 1), 10)[None]
    assert hourly_farrington(rhythm)[0, 168 * 9 + 9] < 3
    other = rhythm.copy()
    other[0, 168 * 9 + 12] = 30
    assert hourly_farrington(other)[0, 168 * 9 + 12] > 15


def test_a_cusum_adds_up_what_no_single_hour_shows() -> None:
    counts = np.full((1, HOURS), 4)
    counts[0, -8:] = 7
    score = cusum(counts)[0]
    assert np.all(np.diff(score[-8:]) > 0)
    assert score[-9] == 0
