"""A release is judged by what its product reports, not by the day on which every device reports that it has it."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import pytest

from detectors.bank import Bank
from detectors.releases import Releases
from qianshao.clock import DAY_MS, HOUR_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000  # a midnight in Shanghai
ROLLED_OUT = START + 4 * DAY_MS
DAYS = 7


def writes(ts: int, device: int, firmware: str, code: str, *, product: str = "扫地机器人") -> Observation:
    return Observation(
        id=f"{device}-{ts}-{code}",
        kind="device",
        ts=ts,
        line="智慧生活",
        product=product,
        firmware=firmware,
        device=device,
        level="info" if code == "UP" else "warn",
        code=code,
        text="log",
    )


def fleet(*, failing: float = 0.0, seed: int = 1) -> list[Observation]:
    """A week of robots, of whose errors every twelfth is a stuck brush; most take the release on the fifth day.

    Of those that have it, `failing` of an hour's devices have a stuck brush from the second day after it on.
    """
    chance = random.Random(seed)
    events = []
    for number in range(DAYS * 24 * 30):
        ts = START + number * HOUR_MS // 30
        new = ts > ROLLED_OUT and chance.random() < 0.6
        stuck = chance.random() < (failing if new and ts > ROLLED_OUT + 2 * DAY_MS + 10 * HOUR_MS else 0.0)
        code = "R04" if stuck or chance.random() < 1 / 12 else chance.choice(("R01", "R02", "R03"))
        events.append(writes(ts, chance.getrandbits(40) + 1, "2.0" if new else "1.0", code))
        if number % 2:
            events.append(writes(ts, chance.getrandbits(40) + 1, "7.1", "W01", product="净水器"))
    taken = [writes(ROLLED_OUT + n * 15 * SECOND_MS, chance.getrandbits(40) + 1, "2.0", "UP") for n in range(2_400)]
    return sorted(events + taken, key=lambda event: (event.ts, event.id))


def opened(events: list[Observation]) -> list[Finding]:
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    findings, _ = bank.advance(events, START + DAYS * DAY_MS)
    return [each for each in findings if each.opens]


def test_the_ordinary_codes_of_a_product_are_no_fault_of_its_new_release() -> None:
    assert opened(fleet()) == []


def test_judged_by_the_day_of_the_roll_out_they_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Releases, "least", lambda self, rows: 0.0)
    assert opened(fleet()) != []


def test_a_release_that_breaks_what_its_product_seldom_breaks_is_found() -> None:
    found = opened(fleet(failing=0.5))
    assert {each.series.value for each in found} == {"R04"}
    assert found[-1].dims == {"product": "扫地机器人", "firmware": "2.0"}
