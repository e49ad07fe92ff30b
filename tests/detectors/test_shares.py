"""Who is ordinarily seen where: a warehouse that serves a region is nothing strange in it."""

from __future__ import annotations

import random
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from detectors.bank import Bank
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation

START = 1_765_382_400_000  # a midnight in Shanghai
SERVES = {"华东": "昆山仓", "华南": "番禺仓", "西南": "龙泉仓"}


@cache
def settled(root: bool) -> Bank:
    """Return a bank that has seen three days: four of five customers are served by the warehouse of their region."""
    chance = random.Random(7)
    events = []
    for number in range(72 * 20):
        region = chance.choice(sorted(SERVES))
        hub = SERVES[region] if chance.random() < 0.8 else chance.choice(sorted(SERVES.values()))
        events.append(
            Observation(
                id=str(number),
                kind="chat",
                ts=START + number * 3 * MINUTE_MS,
                line="家居",
                product=chance.choice(("热水器", "门锁")),
                region=region,
                dims={"hub": hub},
                customer=number + 1,
                role="customer",
                text="说了一件事",
            )
        )
    bank = Bank(Detection(), root=root, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    bank.advance(events, START + 72 * HOUR_MS)
    return bank


def share(root: bool, base: dict[str, str], name: str) -> dict[str, float]:
    bank = settled(root)
    return bank.shares.of(bank.table.measured_id(("contacts", "")), base, name)


@pytest.mark.parametrize(
    ("root", "base"),
    [
        (False, {"line": "家居", "region": "华东"}),
        (False, {"line": "家居", "product": "门锁", "region": "华东"}),
        (True, {"region": "华东"}),
        (True, {"product": "门锁", "region": "华东"}),
    ],
)
def test_the_warehouse_of_a_region_is_ordinary_in_it(root: bool, base: dict[str, str]) -> None:
    assert share(root, base, "hub")["昆山仓"] > 0.75


def test_over_all_regions_no_warehouse_is() -> None:
    assert max(share(False, {"line": "家居"}, "hub").values()) < 0.45
