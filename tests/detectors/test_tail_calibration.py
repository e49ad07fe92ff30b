"""What a score means: own tails bring unlike series to one scale, the common tail spends a budget."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.tail_calibration import OwnTail, PooledTail


def test_a_heavy_tail_exceeds_a_score_no_more_often_than_the_score_says() -> None:
    source = np.random.default_rng(1)
    scale = np.repeat([0.5, 1.0, 2.0], 40).astype(np.float32)
    tail = OwnTail(memory=1000.0, most=20.0)
    tail.rows.grow(120, 120)
    busy = np.full(120, 20.0, dtype=np.float32)
    rates = np.zeros(120)
    for day in range(3000):
        score = (source.exponential(1.0, 120) / np.log(10) * scale).astype(np.float32)
        if day >= 1000:
            rates += tail.calibrated(score, busy) > 2
        tail.update(score, busy, np.ones(120, dtype=np.bool_))
    each = rates.reshape(3, 40).mean(axis=1) / 2000
    assert (each < 0.0135).all()
    np.testing.assert_allclose(each[1:], 0.01, rtol=0.35)


def test_a_series_with_few_counts_keeps_the_score_of_the_model() -> None:
    tail = OwnTail(memory=1000.0, most=20.0)
    tail.rows.grow(1, 1)
    score = np.array([5.0], dtype=np.float32)
    for _ in range(500):
        tail.update(score, np.array([0.01], dtype=np.float32), np.ones(1, dtype=np.bool_))
    assert tail.calibrated(score, np.array([0.01], dtype=np.float32))[0] == pytest.approx(5.0, rel=0.02)


def fed(spells: float, rate: float) -> PooledTail:
    """Feed scores whose tail is e^(−rate·ln10·score); a share of bins repeats the bin before."""
    source = np.random.default_rng(2)
    tail = PooledTail(memory=1e9)
    tail.last.grow(5000, 5000)
    score = np.zeros(5000, dtype=np.float32)
    for _ in range(200):
        new = (source.exponential(1.0, 5000) / np.log(10) / rate).astype(np.float32)
        score = np.where(source.random(5000) < spells, score, new)
        tail.update(score, np.ones(5000, dtype=np.bool_))
    return tail


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.4])
def test_the_depth_is_the_logarithm_of_the_rate_also_beyond_what_was_seen(rate: float) -> None:
    depth = fed(0.0, rate).depth()
    levels = PooledTail.levels()
    for wanted in (3.0, 4.0, 7.0):
        assert np.interp(wanted / rate, levels, depth) == pytest.approx(wanted, abs=0.35)


def test_a_spell_of_exceedances_counts_once() -> None:
    at = int(2.5 / PooledTail.STEP)
    assert fed(0.8, 1.0).depth()[at] - fed(0.0, 1.0).depth()[at] == pytest.approx(np.log10(5), abs=0.12)
