"""Tail probabilities against scipy's own negative binomial, and where that gives up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from detectors.tail import lower_score, upper_score

counts = st.integers(min_value=1, max_value=200)
means = st.floats(min_value=0.01, max_value=100)
alphas = st.floats(min_value=0.02, max_value=3)


def scipy_tail(count: int, mean: float, alpha: float) -> float:
    size = 1 / alpha
    return float(nbinom.sf(count - 1, size, size / (size + mean)))


@settings(max_examples=60, deadline=None)
@given(count=counts, mean=means, alpha=alphas)
def test_the_upper_score_is_the_tail_of_the_negative_binomial(count: int, mean: float, alpha: float) -> None:
    tail = scipy_tail(count, mean, alpha)
    score = upper_score(np.array([float(count)]), np.array([mean]), np.array([alpha]))[0]
    if tail > 1e-250:
        assert score == pytest.approx(-np.log10(tail), rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(count=counts, mean=means, alpha=alphas)
def test_the_lower_score_is_the_distribution_function(count: int, mean: float, alpha: float) -> None:
    size = 1 / alpha
    below = float(nbinom.cdf(count, size, size / (size + mean)))
    score = lower_score(np.array([float(count)]), np.array([mean]), np.array([alpha]))[0]
    assert score == pytest.approx(-np.log10(max(below, 1e-300)), rel=1e-6, abs=1e-6)


def test_beyond_the_smallest_float_the_score_still_grows() -> None:
    count = np.array([500.0, 1000.0, 4000.0])
    score = upper_score(count, np.full(3, 0.01), np.full(3, 0.05))
    assert np.isfinite(score).all()
    assert (np.diff(score) > 0).all()
    assert score[0] > 300
