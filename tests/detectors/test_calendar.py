"""Planned days: what a calendar file says, what it may not say, and what it changes."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.bank import Bank
from detectors.calendar import Calendar, PlannedDay
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.config import Detection
from qianshao.errors import InputError
from qianshao.event import Observation
from qianshao.finding import Finding

ZONE = ZoneInfo("Asia/Shanghai")
NOON = 1_765_425_600_000  # 2025-12-11 12:00 in Shanghai


def calendar(tmp_path: Path, text: str) -> Calendar:
    path = tmp_path / "calendar.csv"
    path.write_text(text, encoding="utf-8")
    return Calendar.read(path, ZONE)


def test_a_planned_day_is_cut_in_the_time_zone_of_the_service(tmp_path: Path) -> None:
    planned = calendar(tmp_path, "date,name,line,expected_multiplier\n2025-12-11,大促,到家,3\n")
    assert planned.multiplier(NOON, "到家") == 3.0
    assert planned.multiplier(NOON - 12 * HOUR_MS, "到家") == 3.0
    assert planned.multiplier(NOON - 12 * HOUR_MS - 1, "到家") == 1.0
    assert planned.multiplier(NOON, "家居") == 1.0
    assert planned.planned(NOON)
    assert not planned.planned(NOON + DAY_MS)


def test_an_empty_line_means_all_and_the_multiplier_may_be_left_out(tmp_path: Path) -> None:
    planned = calendar(tmp_path, "date,name,line\n2025-12-11,元旦,\n")
    assert planned.multiplier(NOON, "到家") == planned.multiplier(NOON, "") == 1.5


@pytest.mark.parametrize(
    "row", ["11.12.2025,大促,,2", "2025-12-11,大促,,-1", "2025-12-11,大促,,viel", "2025-13-41,大促,,2"]
)
def test_a_wrong_row_is_named_with_its_file_and_number(tmp_path: Path, row: str) -> None:
    with pytest.raises(InputError, match=r"calendar\.csv, row 2"):
        calendar(tmp_path, f"date,name,line,expected_multiplier\n{row}\n")


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="first row must be"):
        calendar(tmp_path, "day;what\n")


def coupons(planned: Calendar) -> list[Finding]:
    """Two days of traffic in which the delivery questions of one line rise four times on the third day."""
    chance = np.random.default_rng(3)
    bank = Bank(Detection(), root=False, decision_ms=10_000, zone=ZONE, calendar=planned)
    events = []
    start = NOON - 60 * HOUR_MS
    for minute in range(60 * 72):
        ts = start + minute * 60_000
        promotion = ts >= NOON - 2 * HOUR_MS
        topic = "物流配送" if chance.random() < (0.62 if promotion else 0.1) else "商品质量"
        events.append(
            Observation(
                id=str(minute), kind="chat", ts=ts, line="到家", customer=minute + 1, role="customer", topic=topic
            )
        )
    return [finding for finding in bank.advance(events, start + 72 * HOUR_MS)[0] if finding.opens]


def test_what_a_promotion_was_planned_to_bring_does_not_alarm() -> None:
    assert coupons(Calendar.empty(ZONE))
    assert coupons(Calendar([PlannedDay("2025-12-11", "大促", "到家", 7.0)], ZONE)) == []


def outages(*planned: PlannedDay) -> list[Finding]:
    """Two days of heartbeats of one product, after which many of its devices cannot reach the platform for an hour."""
    bank = Bank(Detection(), root=False, decision_ms=10_000, zone=ZONE, calendar=Calendar(list(planned), ZONE))
    events = []
    start = NOON - 60 * HOUR_MS
    for minute in range(60 * 61):
        ts = start + minute * 60_000
        away = ts >= NOON and minute % 2 == 0
        events.append(
            Observation(
                id=str(minute),
                kind="device",
                ts=ts,
                line="家居",
                product="净化器",
                device=minute % 400 + 1,
                customer=minute % 400 + 1,
                level="error" if away else "info",
                template="broker dial timeout" if away else "heartbeat ok",
            )
        )
    return [finding for finding in bank.advance(events, start + 61 * HOUR_MS)[0] if finding.opens]


def test_devices_that_are_away_on_a_day_of_planned_work_open_nothing() -> None:
    assert outages()
    assert outages(PlannedDay("2025-12-11", "净化器云平台计划维护", "家居", 1.5)) == []
    assert outages(PlannedDay("2025-12-11", "系统维护", "", 1.5)) == []


def test_work_is_named_by_a_part_of_a_products_name() -> None:
    assert outages(PlannedDay("2025-12-11", "净化系统维护", "家居", 1.1)) == []


@pytest.mark.parametrize(
    "planned",
    [
        PlannedDay("2025-12-11", "门锁云平台维护", "家居", 1.5),
        PlannedDay("2025-12-11", "净化器云平台维护", "到家", 1.5),
        PlannedDay("2025-12-10", "净化器云平台维护", "家居", 1.5),
        PlannedDay("2025-12-11", "净化器大促", "家居", 1.5),
    ],
    ids=["another product", "another line", "another day", "no work"],
)
def test_work_on_something_else_explains_no_outage(planned: PlannedDay) -> None:
    assert outages(planned)


WORK = PlannedDay("2025-12-11", "钱包系统维护", "数码", 1.1)


def complaints(hour: int, *planned: PlannedDay) -> list[Finding]:
    """Three days of customers of two products; on the third, from an hour on, those of one say that they cannot pay."""
    bank = Bank(Detection(), root=False, decision_ms=10_000, zone=ZONE, calendar=Calendar(list(planned), ZONE))
    begin = NOON + (hour - 12) * 3_600_000
    start = begin - 60 * 3_600_000
    events = []
    for number in range(61 * 20):
        ts = start + number * 180_000
        fails = ts >= begin and number % 2 == 0
        events.append(
            Observation(
                id=str(number),
                kind="chat",
                role="customer",
                ts=ts,
                line="数码",
                product="钱包支付" if number % 2 == 0 else "平板",
                customer=number + 1,
                text=f"付不了款{number}" if fails else f"怎么用{number}",
                topic="支付扣款" if fails else "使用咨询",
                terms=("支付失败",) if fails else (),
                sentiment=-0.6 if fails else 0.0,
            )
        )
    return [finding for finding in bank.advance(events, start + 61 * 3_600_000)[0] if finding.opens]


def test_what_people_say_at_night_of_planned_work_opens_nothing() -> None:
    assert complaints(2)
    assert complaints(2, WORK) == []


def test_what_people_say_by_day_opens_although_work_was_planned() -> None:
    assert complaints(10, WORK)


def test_work_on_another_product_explains_nothing_that_people_say() -> None:
    assert complaints(2, WORK._replace(name="门锁平台维护"))
