"""Evidence that adds up: false alarms are as rare as promised, and a shift is seen as early as can be."""

from __future__ import annotations

import numpy as np

from detectors.series_rows import Floats
from detectors.shift_scan import Shift, ShiftScan


def scan(counts: Floats, mean: float, ratio: float, shifts: list[Shift]) -> Floats:
    """Return the greatest evidence of every bin, (series, bin)."""
    found = ShiftScan(shifts)
    found.rows.grow(len(counts), len(counts))
    evidence = np.empty(counts.shape, dtype=np.float32)
    every = np.full(len(counts), mean, dtype=np.float32)
    for place in range(counts.shape[1]):
        seen, bins = found.look(counts[:, place].astype(np.float32), every, np.full_like(every, ratio))
        found.update(seen, bins)
        evidence[:, place] = seen.max(axis=0)
    return evidence


def test_chance_rarely_gathers_much_evidence() -> None:
    source = np.random.default_rng(1)
    counts = source.negative_binomial(10.0, 10 / 15, (400, 500))  # mean 5, variance 1.5 times that
    evidence = scan(counts, 5.0, 1.5, [Shift(1.0, 0.95)])
    for nats in (3.0, 5.0):
        assert (evidence > nats).mean() < np.exp(-nats)
    assert (evidence > 3.0).any()


def test_a_shift_of_the_size_looked_for_is_seen_nearly_as_early_as_can_be() -> None:
    counts = np.random.default_rng(2).poisson(9.0, (500, 100))  # one standard deviation above 4·1.25
    evidence = scan(counts, 5.0, 1.001, [Shift(4 / np.sqrt(5.0), 1.0)])
    nats = np.log(1e4)
    delay = 1 + (evidence > nats).argmax(axis=1).mean()
    information = 9 * np.log(9 / 5) - 4
    assert delay < 1.5 * nats / information


def test_less_than_expected_is_evidence_of_a_drop_only() -> None:
    counts = np.zeros((1, 5))
    assert scan(counts, 5.0, 1.2, [Shift(-1.0, 0.95)])[0, -1] > 5
    assert scan(counts, 5.0, 1.2, [Shift(1.0, 0.95)])[0, -1] == 0


def test_the_window_is_as_long_as_the_evidence() -> None:
    found = ShiftScan([Shift(1.0, 0.95)])
    found.rows.grow(1, 1)
    one = np.ones(1, dtype=np.float32)
    lengths = []
    for count in (0, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0):
        evidence, bins = found.look(one * count, one * 4, one * 1.1)
        found.update(evidence, bins)
        lengths.append(int(bins[0, 0]))
    assert lengths[:4] == [0, 1, 2, 3]
    assert lengths[-1] == 0
