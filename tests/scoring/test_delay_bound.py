"""Lorden's bound, and delays measured at a known spacing of false alarms."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from qianshao.app import delay_bound
from qianshao.app.delay_bound import Delay, delay_picture, delay_table, delays, lorden_bound


def test_the_bound_is_the_spacing_in_nats_over_the_information_of_a_bin() -> None:
    source = np.random.default_rng(1)
    counts = source.poisson(6.0, 400_000)
    information = (counts * math.log(3) - 6.0 + 2.0).mean()
    assert lorden_bound(2.0, 3.0, 1e5) == pytest.approx(math.log(1e5) / information, rel=0.01)
    assert lorden_bound(20.0, 5.0, 100.0) == 1.0


def test_delays_fall_with_the_step_and_grow_with_the_spacing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay_bound, "SERIES", 40)
    monkeypatch.setattr(delay_bound, "SPACINGS", (30.0, 300.0))
    monkeypatch.setattr(delay_bound, "_CALM_BINS", 3)
    monkeypatch.setattr(delay_bound, "_WARM_BINS", 3 * 168)
    monkeypatch.setattr(delay_bound, "_NULL_BINS", 168)
    monkeypatch.setattr(delay_bound, "_AFTER_BINS", 20)
    found = {(each.factor, each.spacing): each for each in delays(5.0, (2.0, 8.0))}
    assert set(found) == {(2.0, 30.0), (2.0, 300.0), (8.0, 30.0), (8.0, 300.0)}
    for spacing in (30.0, 300.0):
        assert 1 <= found[8.0, spacing].bins <= found[2.0, spacing].bins <= 20
    for factor in (2.0, 8.0):
        assert found[factor, 30.0].bins <= found[factor, 300.0].bins


def test_the_table_and_the_picture_hold_every_measurement() -> None:
    found = [
        Delay(rate, factor, spacing, 2.0 * lorden_bound(rate, factor, spacing), lorden_bound(rate, factor, spacing))
        for rate in delay_bound.RATES
        for factor in delay_bound.FACTORS
        for spacing in delay_bound.SPACINGS
    ]
    table = delay_table(found)
    assert table.count("(2.00×)") == len(found)
    assert len({line.count("|") for line in table.splitlines()}) == 1
    root = ElementTree.fromstring(delay_picture(found))
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(lines) == 2 * len(delay_bound.RATES) * len(delay_bound.FACTORS)
