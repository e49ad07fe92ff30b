"""Benchmark of the bank of counts: its cost, and what it detects beside published detectors on the same counts."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detectors.count_bank import CountBank, CountSettings
from detectors.river_parts import gaussian_scores
from qianshao.app.comparators import cusum, ears, farrington_flexible, hourly_farrington
from qianshao.app.count_grid import BINS, CountGrid
from qianshao.app.detect import detect
from qianshao.app.detection_power import DailyPower, HourlyPower, daily_power, hourly_power
from qianshao.app.progress import Gauge
from qianshao.app.simulated_counts import DailyRuns, HourlyIncidents, hourly_incidents, noufaily, null_series
from qianshao.app.terminal import screen
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.errors import InputError, QianshaoError

SEED = 20_261_123
DAILY_RUNS = 4
RATES = (0.01, 0.001)
EPISODES = 0.01
TICK_SERIES = 100_000
TICK_BIN_MS = BINS["5min"]
MONDAY_MS = 4 * DAY_MS

_WARM_UP, _TICKS = 30, 10
_MILLION = 1_000_000
_MILLION_PROGRAM = "from qianshao.app.bench_detect import peak_of_a_million; print(peak_of_a_million())"

Tell = Callable[[float, str], None]
Scores = NDArray[np.floating]


class Tick(NamedTuple):
    """Cost of one core."""

    update_seconds: float
    """To close a bin of all series: score it and learn it."""
    score_seconds: float
    """To score a bin of all series that is still filling."""
    bytes_per_series: float
    """Of the state that is kept."""
    million_series_mb: float
    """Largest memory of a process with a million series, everything included."""


class DailyRow(NamedTuple):
    """One detector on daily outbreaks, at each of `RATES`."""

    name: str
    powers: Sequence[DailyPower]


class HourlyRow(NamedTuple):
    """One detector on hourly incidents."""

    name: str
    power: HourlyPower


def rises(counts: NDArray[np.integer], bin_ms: int, holiday: NDArray[np.number] | None, tell: Tell) -> Scores:
    """Return our score of every bin of every series, 0 where there was less than expected."""
    flags = np.zeros(counts.shape[1]) if holiday is None else np.asarray(holiday, dtype=np.float64)
    names = [str(place) for place in range(counts.shape[0])]
    grid = CountGrid(names, counts.astype(np.int32), MONDAY_MS, bin_ms, flags, UTC, False)
    return np.maximum(detect(grid, 1.0, tell).score, 0)


def daily_row(name: str, runs: DailyRuns, score: Scores) -> DailyRow:
    """Judge scores (series, day of the whole time or of the test period) of daily runs."""
    tested = score[:, -runs.outbreak.shape[-1] :].reshape(runs.outbreak.shape)
    return DailyRow(name, [daily_power(tested, runs.outbreak, rate) for rate in RATES])


def bench_detect(tell: Tell = lambda fraction, note: None) -> dict[str, object]:
    """Measure cost and power of the bank on fixed, seeded work.

    Parameters
    ----------
    tell
        Called with the share that is done.

    Returns
    -------
    dict
        `tick`: seconds and bytes, see `Tick`. `daily`: share of simulated outbreaks detected and mean delay in days at
        1 % and 0.1 % false-alarm days, with and without the holidays. `hourly`: share of incidents detected at 0.01
        false episodes per series and day, and the customers seen by then. About a minute on one core.

    Raises
    ------
    QianshaoError
        If the process with a million series fails.
    """
    cost = tick_cost()
    tell(0.25, "daily")
    runs = noufaily(SEED, DAILY_RUNS)
    flat = runs.counts.reshape(-1, runs.counts.shape[-1])
    plain = daily_row("", runs, rises(flat, DAY_MS, None, lambda part, note: tell(0.25 + 0.3 * part, "daily")))
    informed = daily_row(
        "", runs, rises(flat, DAY_MS, runs.holiday, lambda part, note: tell(0.55 + 0.3 * part, "daily"))
    )
    truth = hourly_incidents(SEED)
    score = rises(truth.counts, HOUR_MS, None, lambda part, note: tell(0.85 + 0.15 * part, "hourly"))
    power = hourly_power(score, truth, EPISODES)
    return {
        "tick": {
            "series": TICK_SERIES,
            "bin": "5min",
            "update_seconds": round(cost.update_seconds, 4),
            "score_seconds": round(cost.score_seconds, 4),
            "bytes_per_series": round(cost.bytes_per_series, 1),
            "million_series_mb": round(cost.million_series_mb, 1),
        },
        "daily": {
            "seed": SEED,
            "series": flat.shape[0],
            "days": flat.shape[1],
            "without_holidays": _daily_figures(plain),
            "with_holidays": _daily_figures(informed),
        },
        "hourly": {"seed": SEED, "series": len(truth.counts), "incidents": len(truth.series), **_hourly_figures(power)},
    }


def _daily_figures(row: DailyRow) -> dict[str, object]:
    return {
        f"at_{rate:g}": {"detected": round(power.detected, 4), "delay_days": _known(power.delay_days)}
        for rate, power in zip(RATES, row.powers, strict=True)
    }


def _hourly_figures(power: HourlyPower) -> dict[str, object]:
    return {
        "false_episodes_per_series_day": round(power.false_episodes, 5),
        "detected": round(power.detected, 4),
        "customers_seen_p50": _known(power.customers_seen),
        "delay_hours": _known(power.delay_hours),
    }


def _known(value: float) -> float | None:
    """Nothing detected has no delay: JSON knows no NaN."""
    return None if math.isnan(value) else round(value, 3)


# --- cost -------------------------------------------------------------------------------------------------------------


def tick_cost(series: int = TICK_SERIES) -> Tick:
    """Measure one tick of a warm bank, and the memory of a million series in a process of its own."""
    bank = CountBank(CountSettings(bin_ms=TICK_BIN_MS, maximum_series=series))
    bank.ensure(series)
    updates: list[float] = []
    looks: list[float] = []
    for first, block in null_series(SEED, series, _WARM_UP + _TICKS, TICK_BIN_MS, block_bins=10):
        for place in range(block.shape[1]):
            counts = np.ascontiguousarray(block[:, place])
            start_ms = MONDAY_MS + (first + place) * TICK_BIN_MS
            began = time.process_time()
            bank.score(counts, start_ms, elapsed=0.5)
            looked = time.process_time()
            bank.update(counts, start_ms)
            looks.append(looked - began)
            updates.append(time.process_time() - looked)
    kept = state_bytes(bank.snapshot())
    return Tick(
        float(np.median(updates[_WARM_UP:])), float(np.median(looks[_WARM_UP:])), kept / series, _million_series_mb()
    )


def state_bytes(state: object) -> int:
    """Count the bytes of a snapshot: arrays, bytes and strings, however deep."""
    if isinstance(state, Mapping):
        return sum(state_bytes(each) for each in state.values())
    if isinstance(state, np.ndarray):
        return state.nbytes
    if isinstance(state, bytes | bytearray | str):
        return len(state)
    if isinstance(state, Sequence):
        return sum(state_bytes(each) for each in state)
    return 8


def peak_of_a_million() -> int:
    """Run a few bins of a million series; return the largest memory of this process in kilobytes."""
    import resource

    bank = CountBank(CountSettings(bin_ms=TICK_BIN_MS, maximum_series=_MILLION))
    bank.ensure(_MILLION)
    source = np.random.default_rng(SEED)
    for place in range(3):
        bank.update(source.poisson(0.2, _MILLION).astype(np.int32), MONDAY_MS + place * TICK_BIN_MS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


def _million_series_mb() -> float:
    process = subprocess.run(  # noqa: S603 - our own interpreter and arguments
        [sys.executable, "-c", _MILLION_PROGRAM],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        last = process.stderr.strip().splitlines()[-1:] or ["no message"]
        raise QianshaoError(f"bench detect: a bank of a million series failed ({last[0]}); is there too little memory?")
    return int(process.stdout) / 1024


def bench_detect_table(figures: Mapping[str, object]) -> RenderableType:
    """Draw what `bench_detect` measured."""
    tick, daily, hourly = figures["tick"], figures["daily"], figures["hourly"]
    assert isinstance(tick, Mapping)
    assert isinstance(daily, Mapping)
    assert isinstance(hourly, Mapping)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row(
        "一格的开销",
        f"{tick['series']:,} 条序列：收口 {tick['update_seconds']:.3f} 秒，中途打分 {tick['score_seconds']:.3f} 秒",
    )
    facts.add_row(
        "内存", f"每条序列 {tick['bytes_per_series']:,.0f} 字节；一百万条序列的进程 {tick['million_series_mb']:,.0f} MB"
    )
    for name, key in (("按天，不知节假日", "without_holidays"), ("按天，知道节假日", "with_holidays")):
        row = daily[key]
        parts = [
            f"误报日 {rate:.1%}：检出 {cell['detected']:.1%}，晚 {cell['delay_days'] or 0:.1f} 天"
            for rate, cell in ((rate, row[f"at_{rate:g}"]) for rate in RATES)
        ]
        facts.add_row(name, "；".join(parts))
    facts.add_row(
        "按小时",
        f"每条序列每天 {EPISODES} 次误报：检出 {hourly['detected']:.1%}，"
        f"报警时见过 {hourly['customers_seen_p50'] or 0:.0f} 位客户（中位数）",
    )
    return facts


# --- beside others ----------------------------------------------------------------------------------------------------


def daily_rows(runs: DailyRuns, tell: Tell) -> list[DailyRow]:
    """Run every detector over the same days; about 45 ms a series."""
    counts = runs.counts.reshape(-1, runs.counts.shape[-1])
    test_start = runs.test_start
    work: list[tuple[str, float, Callable[[Tell], Scores]]] = [
        ("EARS C1", 0.01, lambda told: ears(counts, 1)),
        ("EARS C2", 0.01, lambda told: ears(counts, 2)),
        ("EARS C3", 0.01, lambda told: ears(counts, 3)),
        ("Farrington Flexible", 0.5, lambda told: farrington_flexible(counts, test_start, told)),
        ("river GaussianScorer", 0.1, lambda told: gaussian_scores(counts, 1, told)),
        ("river GaussianScorer，每个星期几一个", 0.1, lambda told: gaussian_scores(counts, 7, told)),
        ("前哨", 0.135, lambda told: rises(counts, DAY_MS, None, told)),
        ("前哨，知道节假日", 0.135, lambda told: rises(counts, DAY_MS, runs.holiday, told)),
    ]
    rows: list[DailyRow] = []
    done = 0.0
    for name, share, score in work:

        def told(part: float, note: str, *, begun: float = done, share: float = share, name: str = name) -> None:
            tell(begun + part * share, name)

        rows.append(daily_row(name, runs, score(told)))
        done += share
    return rows


def hourly_rows(truth: HourlyIncidents, tell: Tell) -> list[HourlyRow]:
    """Run every detector that makes sense for hours over the same hours."""
    work: list[tuple[str, Callable[[], Scores]]] = [
        ("Farrington，按小时", lambda: hourly_farrington(truth.counts)),
        ("CUSUM", lambda: cusum(truth.counts)),
        ("river GaussianScorer，每个钟点一个", lambda: gaussian_scores(truth.counts, 24)),
        ("前哨", lambda: rises(truth.counts, HOUR_MS, None, lambda part, note: None)),
    ]
    rows: list[HourlyRow] = []
    for place, (name, score) in enumerate(work):
        tell(place / len(work), name)
        rows.append(HourlyRow(name, hourly_power(score(), truth, EPISODES)))
    tell(1.0, "")
    return rows


def load_runs(path: Path) -> DailyRuns:
    """Read daily runs that somebody else simulated.

    Parameters
    ----------
    path
        ``.npz`` with `counts` (signal, size, run, day), `outbreak` (signal, size, run, day of the test period),
        `holiday` (day,) and `five_day` (signal,).

    Raises
    ------
    InputError
        If it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            runs = DailyRuns(*(archive[name] for name in DailyRuns._fields))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: is no archive of daily runs ({error}); see `load_runs`") from None
    if runs.counts.ndim != 4 or runs.outbreak.shape[:3] != runs.counts.shape[:3]:
        raise InputError(f"{path}: counts {runs.counts.shape} and outbreak {runs.outbreak.shape} do not fit together")
    return runs


def rows_table(daily: Sequence[DailyRow], hourly: Sequence[HourlyRow], heading: str) -> RenderableType:
    """Draw the detectors beside each other."""
    days = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    days.add_column(heading)
    for rate in RATES:
        for name in (f"检出（误报日 {rate:.1%}）", "晚几天"):
            days.add_column(name, justify="right", no_wrap=True)
    for row in daily:
        cells = [cell for power in row.powers for cell in (f"{power.detected:.1%}", f"{power.delay_days:.1f}")]
        days.add_row(row.name, *cells, style="bold" if row.name.startswith("前哨") else "")
    hours = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    hours.add_column(f"按小时，每条序列每天 {EPISODES} 次误报")
    for name in ("检出", "见过的客户", "晚几小时"):
        hours.add_column(name, justify="right", no_wrap=True)
    for each in hourly:
        power = each.power
        hours.add_row(
            each.name,
            f"{power.detected:.1%}",
            f"{power.customers_seen:.0f}" if power.detected else "–",
            f"{power.delay_hours:.1f}" if power.detected else "–",
            style="bold" if each.name.startswith("前哨") else "",
        )
    return Group(days, Text(""), hours)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Daily runs (.npz) in place of simulated ones.")
@click.option(
    "--runs", type=click.IntRange(1, 1_000), default=5, show_default=True, help="Simulated runs of 64 series."
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="The same seed gives the same counts.")
def beside_others(data: Path | None, runs: int, seed: int) -> None:
    """Run the bank beside published detectors on the same counts."""
    simulated = load_runs(data) if data is not None else noufaily(seed, runs)
    with Gauge(screen(stderr=True), "bench-detect") as shown:
        daily = daily_rows(simulated, lambda part, note: shown.show(0.95 * part, note))
        hourly = hourly_rows(hourly_incidents(seed), lambda part, note: shown.show(0.95 + 0.05 * part, note))
    series = simulated.counts[..., 0].size
    heading = f"按天，{series:,} 条序列（{data.name if data is not None else f'种子 {seed}'}）"
    screen(stderr=False).print(rows_table(daily, hourly, heading))


if __name__ == "__main__":
    try:
        beside_others()
    except QianshaoError as error:
        sys.exit(f"bench-detect: {error}")
