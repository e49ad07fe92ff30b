"""A cause does not hide among its own victims: what is expected rests on who ordinarily comes."""

from __future__ import annotations

import random
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.bank import Bank
from detectors.surges import Surges
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000  # a midnight in Shanghai
NOW = START + 74 * HOUR_MS
PRODUCTS = ("门锁", "摄像头", "门铃")
TOPIC = "设备故障"


def says(ts: int, customer: int, product: str, topic: str, firmware: str | None = None) -> Observation:
    return Observation(
        id=f"{customer}-{ts}",
        kind="chat",
        ts=ts,
        line="家居",
        product=product,
        firmware=firmware,
        customer=customer,
        role="customer",
        topic=topic,
        text="说了一件事",
        tokens=("一件事",),
    )


def ordinary(hours: float, *, per_hour: int = 30, start: int = START, seed: int = 1) -> list[Observation]:
    """Customers of three products; every sixth has the fault in question."""
    chance = random.Random(seed)
    return [
        says(
            start + number * HOUR_MS // per_hour,
            chance.getrandbits(50) + 1_000,
            chance.choice(PRODUCTS),
            TOPIC if chance.random() < 1 / 6 else "",
            chance.choice(("1.0", "1.1")),
        )
        for number in range(int(hours * per_hour))
    ]


@cache
def quiet() -> bytes:
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    bank.advance(ordinary(74), NOW)
    return bank.snapshot()


def watching() -> Bank:
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    bank.restore(quiet())
    return bank


def victims(number: int, *, naming: int) -> list[Observation]:
    """Customers of one product within an hour; one in `naming` says what failed."""
    return [
        says(NOW + index * HOUR_MS // number, 100 + index, "门锁", "" if index % naming else TOPIC)
        for index in range(number)
    ]


def opened(events: list[Observation]) -> list[Finding]:
    ordered = sorted(events + ordinary(1, start=NOW, seed=2), key=lambda event: (event.ts, event.id))
    findings, _ = watching().advance(ordered, NOW + HOUR_MS)
    return [each for each in findings if each.opens]


def test_victims_who_name_no_fault_do_not_hide_those_who_do() -> None:
    found = opened(victims(48, naming=4))
    assert [each.series.value for each in found] == [TOPIC]
    assert found[0].dims == {"product": "门锁"}


def test_counted_among_everybody_the_same_victims_would_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Surges, "ordinary", lambda self, rows, everybody: everybody)
    assert opened(victims(48, naming=4)) == []


def test_a_busy_day_of_a_whole_line_alarms_nothing() -> None:
    rush = ordinary(1, per_hour=120, start=NOW, seed=3)
    assert opened(rush) == []


def everybody_in(bank: Bank, **cell: str) -> tuple[float, float]:
    """How many came to a cell in the last hour, and how many of them are ordinary."""
    row = bank.table.row(("contacts", ""), tuple(sorted(cell.items())))
    rows = np.array([row])
    came = bank.table.windows(rows)
    return float(came[0, 2]), float(bank.surges.ordinary(rows, came)[0, 2])


def test_of_a_surge_in_one_product_the_ordinary_number_is_left() -> None:
    bank = watching()
    bank.advance(victims(60, naming=4), NOW + HOUR_MS - MINUTE_MS)
    came, left = everybody_in(bank, line="家居", product="门锁")
    assert came >= 60
    assert left < 20


def test_whoever_has_a_version_is_taken_as_seen_because_versions_roll_out() -> None:
    bank = watching()
    wave = [says(NOW + index * MINUTE_MS, 100 + index, "门锁", "", "1.1") for index in range(50)]
    bank.advance(wave, NOW + HOUR_MS - MINUTE_MS)
    came, left = everybody_in(bank, line="家居", firmware="1.1")
    assert came == left
