"""Volumes: the band follows the hours, the weekend and what was planned, and a restart changes nothing."""

from __future__ import annotations

import math
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.calendar import Calendar, PlannedDay
from detectors.counts import FINE_MS, CountTable
from detectors.holidays import KNOWN_UNTIL, day_kind
from detectors.volumes import NO_BAND, Volumes
from qianshao.clock import DAY_MS, HOUR_MS

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_772_380_800_000  # a Monday midnight in Shanghai without a holiday near
PROMOTION = datetime.fromtimestamp((START + 16 * DAY_MS) / 1000, tz=ZONE).date().isoformat()


def expected(hour: int, weekend: bool) -> float:
    return (0.5 if weekend else 1.0) * (60 + 50 * math.sin((hour - 9) / 24 * 2 * math.pi))


class OneRow(CountTable):
    """A table of which only the current hour of one row is asked."""

    customers = 0.0

    def this_hour(self, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), self.customers, dtype=np.float32)


def made() -> tuple[OneRow, Volumes, int]:
    table = OneRow(root=True, maximum=1000)
    table.bin = START // FINE_MS
    table.count(table.measured_id(("contacts", "")), table.signature_id(()), 7, START)
    row = table.row(("contacts", ""), ())
    volumes = Volumes(table, Calendar([PlannedDay(PROMOTION, "大促", "", 3.0)], ZONE), ZONE)
    volumes.watch(row)
    return table, volumes, row


def learnt(table: OneRow, volumes: Volumes, days: int, begin: int = 0) -> None:
    chance = np.random.default_rng(begin)
    for hour in range(begin * 24, days * 24):
        table.customers = float(chance.poisson(expected(hour % 24, hour // 24 % 7 >= 5)))
        volumes.close_hour(START + hour * HOUR_MS)


@pytest.mark.parametrize(("day", "hour"), [(14, 9), (14, 15), (19, 15)])
def test_the_band_follows_the_hours_of_weekdays_and_weekends(day: int, hour: int) -> None:
    table, volumes, row = made()
    learnt(table, volumes, day)
    band = volumes.band(row, START + day * DAY_MS + hour * HOUR_MS + HOUR_MS // 2)
    truth = expected(hour, day % 7 >= 5) / 12
    assert band.expected == pytest.approx(truth, rel=0.35)
    assert band.low <= truth <= band.high


def test_a_planned_day_raises_what_is_expected() -> None:
    table, volumes, row = made()
    learnt(table, volumes, 16)
    noon = 12 * HOUR_MS
    planned, ordinary = (volumes.band(row, START + day * DAY_MS + noon).expected for day in (16, 17))
    assert planned > 2.5 * ordinary


def test_a_series_is_learning_until_two_days_of_it_are_known() -> None:
    table, volumes, row = made()
    assert volumes.learning(row)
    learnt(table, volumes, 1)
    assert volumes.learning(row)
    learnt(table, volumes, 2, begin=1)
    assert not volumes.learning(row)


def test_a_row_that_nobody_watches_has_no_band() -> None:
    _, volumes, row = made()
    assert volumes.band(row + 1, START) == NO_BAND
    assert volumes.learning(row + 1)


def test_a_restart_changes_nothing() -> None:
    table, volumes, row = made()
    learnt(table, volumes, 3)
    other_table, other, _ = made()
    other.restore(volumes.snapshot())
    learnt(table, volumes, 5, begin=3)
    learnt(other_table, other, 5, begin=3)
    for hour in range(24):
        at = START + 5 * DAY_MS + hour * HOUR_MS
        assert other.band(row, at) == volumes.band(row, at)


def test_days_off_and_worked_weekends_are_told_apart() -> None:
    kinds = [day_kind(date(2026, 10, day)) for day in (1, 9, 10, 17)]
    assert kinds == ["holiday", "ordinary", "working_weekend", "ordinary"]


def test_when_the_library_ends_the_days_of_a_fixed_date_remain() -> None:
    year = KNOWN_UNTIL.year + 1
    assert [day_kind(date(year, *day)) for day in ((1, 1), (5, 1), (10, 1), (3, 3))] == [
        "holiday",
        "holiday",
        "holiday",
        "ordinary",
    ]
