"""Dangers of a handful of customers: when the bank speaks, and when one angry customer does not make it."""

from __future__ import annotations

import random
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from detectors.bank import Bank
from detectors.held_out import without_window
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000  # a midnight in Shanghai
NOW = START + 72 * HOUR_MS
MODELS = ("H50", "H60", "H70", "H80", "H90")


def told(
    number: int,
    ts: int,
    *,
    danger: str = "",
    customer: int = 0,
    model: str | None = None,
    kind: str = "chat",
    product: str = "热水器",
) -> Observation:
    return Observation(
        id=f"{kind}-{danger}-{number}-{ts}",
        kind=kind,
        ts=ts,
        line="家居",
        product=product,
        model=model,
        customer=customer or 10_000 + number,
        role=None if kind == "ticket" else "customer",
        topic="设备故障",
        danger=danger,
        text="说了一件事",
        tokens=("一件事",),
    )


def ordinary(hours: int, *, dangers: tuple[int, ...] = (), danger: str = "") -> list[Observation]:
    """Thirty customers an hour of five models; at the hours of `dangers` one of them is harmed."""
    chance = random.Random(3)
    return [
        told(
            number,
            START + number * 2 * MINUTE_MS,
            customer=chance.getrandbits(50) + 1_000_000,
            model=chance.choice(MODELS),
            danger=danger if number % 30 == 0 and number // 30 in dangers else "",
            product=chance.choice(("热水器", "门锁")),
        )
        for number in range(hours * 30)
    ]


def empty() -> Bank:
    return Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))


@cache
def quiet() -> bytes:
    """Return the state of a bank that has seen three days without harm."""
    bank = empty()
    found, _ = bank.advance(ordinary(72), NOW)
    assert not found
    return bank.snapshot()


def spoken(events: list[Observation]) -> list[Finding]:
    bank = empty()
    bank.restore(quiet())
    found, _ = bank.advance(events, NOW + 30 * HOUR_MS)
    return [each for each in found if each.series.measure == "danger" and each.opens]


def harmed(
    kinds: tuple[str, ...], *, every_ms: int, model: str | None = None, customer: int = 0, kind: str = "chat"
) -> list[Observation]:
    return [
        told(number, NOW + HOUR_MS + number * every_ms, danger=danger, model=model, customer=customer, kind=kind)
        for number, danger in enumerate(kinds)
    ]


@pytest.mark.parametrize("every_ms", [20 * MINUTE_MS, 2 * HOUR_MS])
def test_the_third_harmed_customer_of_a_product_opens(every_ms: int) -> None:
    events = harmed(("人身安全/冒烟起火",) * 3, every_ms=every_ms)
    findings = spoken(events)
    assert findings
    assert findings[0].tick - events[2].ts <= 10 * SECOND_MS
    assert findings[0].dims["product"] == "热水器"


def test_kinds_of_one_family_are_counted_together() -> None:
    findings = spoken(harmed(("人身安全/冒烟起火", "人身安全/触电", "人身安全/受伤"), every_ms=HOUR_MS))
    assert {each.series.value for each in findings} == {"人身安全"}


def test_two_harmed_on_one_product_and_model_open_and_are_placed_there() -> None:
    events = harmed(("人身安全/冒烟起火", "人身安全/触电"), every_ms=20 * MINUTE_MS, model="H60")
    findings = spoken(events)
    assert findings
    assert findings[0].tick - events[1].ts <= 10 * SECOND_MS
    assert findings[0].dims == {"product": "热水器", "model": "H60"}


@pytest.mark.parametrize("kind", ["人身安全/触电", "资金安全/诈骗"])
def test_two_harmed_who_do_not_name_one_model_do_not_open(kind: str) -> None:
    assert not spoken(harmed((kind,) * 2, every_ms=20 * MINUTE_MS))


def test_two_who_lost_money_do_not_open_on_one_model_either() -> None:
    assert not spoken(harmed(("资金安全/诈骗",) * 2, every_ms=20 * MINUTE_MS, model="H60"))


def test_a_single_angry_customer_never_opens() -> None:
    assert not spoken(harmed(("人身安全/冒烟起火",) * 40, every_ms=MINUTE_MS, model="H60", customer=77))


def test_agents_words_in_tickets_count_as_the_customers() -> None:
    assert spoken(harmed(("人身安全/食物中毒",) * 3, every_ms=HOUR_MS, kind="ticket"))


def test_a_story_that_is_copied_from_day_to_day_harms_nobody_anew() -> None:
    story = "孩子吃完你们家的蛋糕吐了一整夜"
    first = msgspec.structs.replace(told(0, NOW - 30 * HOUR_MS, danger="人身安全/食物中毒"), text=story)
    victims = harmed(("人身安全/食物中毒",) * 3, every_ms=HOUR_MS)
    copies = [msgspec.structs.replace(event, text=story) for event in victims]
    own_words = [msgspec.structs.replace(event, text=story + str(at)) for at, event in enumerate(victims)]

    def opened(events: list[Observation]) -> bool:
        bank = empty()
        before = sorted([*ordinary(72), first], key=lambda each: each.ts)
        bank.advance(before, NOW)
        found, _ = bank.advance(events, NOW + 30 * HOUR_MS)
        return any(each.series.measure == "danger" and each.opens for each in found)

    assert not opened(copies)
    assert opened(own_words)


def test_suspicious_calls_need_more_than_harm_done() -> None:
    def needed(danger: str) -> int:
        return next((n for n in range(2, 12) if spoken(harmed((danger,) * n, every_ms=HOUR_MS))), 12)

    assert needed("资金安全/诈骗") == 3 <= needed("资金安全/可疑来电")


def test_where_such_words_are_ordinary_three_of_a_day_say_nothing() -> None:
    bank = empty()
    usual = ordinary(72, dangers=tuple(range(0, 72, 6)), danger="人身安全/食物中毒")
    found, _ = bank.advance(usual, NOW)
    events = harmed(("人身安全/食物中毒",) * 3, every_ms=5 * HOUR_MS)
    found += bank.advance(events, NOW + 30 * HOUR_MS)[0]
    assert not [each for each in found if each.series.measure == "danger" and each.opens]


@pytest.mark.parametrize(("products", "opens"), [(("热水器", "热水器", None, None), True), ((None,) * 4, False)])
def test_harm_counted_over_a_line_opens_where_those_who_name_a_thing_name_one(
    products: tuple[str | None, ...], opens: bool
) -> None:
    bank = empty()
    found, _ = bank.advance(ordinary(72, dangers=(5, 20, 35, 50, 65), danger="人身安全/食物中毒"), NOW)
    events = [
        msgspec.structs.replace(event, product=product)
        for event, product in zip(harmed(("人身安全/食物中毒",) * 4, every_ms=90 * MINUTE_MS), products, strict=True)
    ]
    found += bank.advance(events, NOW + 30 * HOUR_MS)[0]
    told = [each for each in found if each.series.measure == "danger"]
    assert any(each.opens and each.dims.get("product") == "热水器" for each in told) == opens


def test_of_a_danger_that_was_never_seen_all_places_together_expect_no_more_than_the_whole() -> None:
    bank = empty()
    bank.restore(quiet())
    events = [
        told(number, NOW + number * MINUTE_MS, danger="人身安全/触电", model=model)
        for number, model in enumerate(MODELS)
    ]
    bank.advance(events, NOW + HOUR_MS)
    table = bank.table
    rows = np.array(table.rows_of_measured[table.measured_id(("danger", "人身安全/触电"))], dtype=np.int64)
    rows = rows[table.denominator[rows] >= 0]
    share, _, _ = without_window(table, bank.baseline, rows)
    expected = (share * table.windows(table.denominator[rows]))[:, -1]
    cells = [dict(table.cells[cell]) for cell in table.row_cell[rows].tolist()]
    whole = next(mean for cell, mean in zip(cells, expected, strict=True) if cell == {"line": "家居"})
    models = [mean for cell, mean in zip(cells, expected, strict=True) if cell.keys() == {"line", "product", "model"}]
    assert len(models) == len(MODELS)
    assert sum(models) <= 1.2 * whole
