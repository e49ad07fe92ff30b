"""The benchmark of the bank: every detector stands in the table, and what it says is what was measured."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from qianshao.app import bench_detect
from qianshao.app.bench_detect import (
    RATES,
    daily_rows,
    hourly_rows,
    load_runs,
    rises,
    rows_table,
    state_bytes,
)
from qianshao.app.count_grid import BINS
from qianshao.app.detection_power import daily_power
from qianshao.app.simulated_counts import DailyRuns, hourly_incidents, noufaily
from qianshao.errors import InputError


@pytest.fixture(scope="module")
def few() -> DailyRuns:
    """Two signals, one run."""
    runs = noufaily(9, 1)
    return runs._replace(counts=runs.counts[[1, 9]], outbreak=runs.outbreak[[1, 9]], five_day=runs.five_day[[1, 9]])


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand bins one after the other take a while: here a count is its own score."""

    def counts_themselves(
        counts: np.ndarray, bin_ms: int, holiday: np.ndarray | None, tell: Callable[[float, str], None]
    ) -> np.ndarray:
        tell(1.0, "")
        return counts.astype(np.float32)

    monkeypatch.setattr(bench_detect, "rises", counts_themselves)


@pytest.mark.usefixtures("cheap")
def test_every_detector_is_judged_on_the_same_days_and_hours(few: DailyRuns) -> None:
    shares: list[float] = []
    daily = daily_rows(few, lambda part, note: shares.append(part))
    truth = hourly_incidents(9, series=30, incidents=20)
    hourly = hourly_rows(truth, lambda part, note: None)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.02)
    assert [row.name.split("，")[0] for row in daily] == [
        "EARS C1",
        "EARS C2",
        "EARS C3",
        "Farrington Flexible",
        "river GaussianScorer",
        "river GaussianScorer",
        "前哨",
        "前哨",
    ]
    for row in daily:
        assert all(power.false_alarm_days <= rate for power, rate in zip(row.powers, RATES, strict=True))
    assert all(each.power.false_episodes <= bench_detect.EPISODES for each in hourly)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(rows_table(daily, hourly, "按天"))
    text = console.export_text()
    assert all(row.name in text for row in (*daily, *hourly))


def test_runs_of_others_are_read_and_judged_as_ours(few: DailyRuns, tmp_path: Path) -> None:
    np.savez(tmp_path / "runs.npz", **few._asdict(), size=np.array([2, 3, 5, 10]))
    read = load_runs(tmp_path / "runs.npz")
    score = np.random.default_rng(1).random(few.outbreak.shape)
    assert daily_power(score, read.outbreak, 0.3) == daily_power(score, few.outbreak, 0.3)
    assert read.test_start == 2205


@pytest.mark.parametrize("missing", ["counts", "holiday"])
def test_an_archive_without_its_arrays_is_refused(few: DailyRuns, tmp_path: Path, missing: str) -> None:
    np.savez(tmp_path / "runs.npz", **{name: array for name, array in few._asdict().items() if name != missing})
    with pytest.raises(InputError, match=rf"runs\.npz: is no archive of daily runs .*{missing}"):
        load_runs(tmp_path / "runs.npz")


def test_our_score_rises_with_the_burst_and_not_with_the_gap() -> None:
    counts = np.random.default_rng(2).poisson(10.0, (2, 70))
    counts[0, 69], counts[1, 69] = 60, 0
    score = rises(counts, BINS["1d"], None, lambda part, note: None)
    assert score[0].argmax() == 69
    assert score[1, 69] == 0


def test_the_bytes_of_a_state_are_those_of_its_arrays() -> None:
    assert state_bytes({"a": np.zeros(10), "b": [b"12345", "xy", 7], "c": {"d": 1.5}}) == 80 + 5 + 2 + 8 + 8


@pytest.mark.usefixtures("cheap")
def test_the_figures_are_the_ones_that_others_script_against(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_detect, "tick_cost", lambda: bench_detect.Tick(0.1, 0.05, 512.0, 900.0))
    monkeypatch.setattr(bench_detect, "noufaily", lambda seed, runs: noufaily(seed, 1))
    monkeypatch.setattr(bench_detect, "hourly_incidents", lambda seed: hourly_incidents(seed, series=30, incidents=20))
    figures = bench_detect.bench_detect()
    assert figures["tick"] == {
        "series": 100_000,
        "bin": "5min",
        "update_seconds": 0.1,
        "score_seconds": 0.05,
        "bytes_per_series": 512.0,
        "million_series_mb": 900.0,
    }
    daily, hourly = figures["daily"], figures["hourly"]
    assert isinstance(daily, dict)
    assert isinstance(hourly, dict)
    for key in ("without_holidays", "with_holidays"):
        for rate in ("at_0.01", "at_0.001"):
            assert 0 <= daily[key][rate]["detected"] <= 1
    assert hourly["incidents"] == 20
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(bench_detect.bench_detect_table(figures))
    assert "0.100 秒" in console.export_text()
