"""Outcomes as a flow would give them, for the tests of every sink."""

from __future__ import annotations

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # strict_grafana

from qianshao.action import Action, ActionOutcome
from qianshao.clock import MINUTE_MS, to_rfc3339
from qianshao.event import DeadLetter, Observation
from qianshao.incident import About, IncidentChange, Signal
from qianshao.outcome import Outcome, Pulse, Rollup, Tally
from qianshao.push import Push, Trend
from qianshao.series import Series

START = 1_765_382_400_000  # 2025-12-11T00:00:00+08:00
ZONE = ZoneInfo("Asia/Shanghai")


class Make:
    """Builds valid rows; every argument that a test cares about is named there."""

    start = START
    zone = ZONE

    def at(self, minutes: float) -> str:
        return to_rfc3339(START + int(minutes * MINUTE_MS), ZONE)

    def observation(self, number: int, **fields: object) -> Observation:
        values: dict[str, object] = {
            "id": f"e{number:04d}",
            "kind": "chat",
            "ts": START + number * 1000,
            "line": "智能家居",
            "product": "智能门锁",
            "customer": number % 7 + 1,
            "text": "门锁离线了〔手机〕",
            "topic": "设备离线",
            "terms": ("离线",),
            "dims": {"批次": "A3"},
            "metrics": {"rssi": -71.5},
        }
        return Observation(**{**values, **fields})  # type: ignore[arg-type]

    def incident(self, name: str, version: int, minutes: float = 5, **fields: object) -> IncidentChange:
        values: dict[str, object] = {
            "incident": name,
            "version": version,
            "change": "opened" if version == 1 else "updated",
            "status": "open",
            "reason": "rise",
            "at": self.at(minutes),
            "opened_at": self.at(5),
            "first_seen": self.at(1),
            "severity": "P2",
            "title": "智能门锁 2.2.0 固件离线",
            "dims": {"product": "智能门锁", "firmware": ["2.2.0", "2.2.1"]},
            "about": About(topic="设备离线"),
            "signals": [
                Signal(
                    series="topic:设备离线",
                    kind="rise",
                    window_start=self.at(0),
                    window_end=self.at(5),
                    observed=9.0,
                    expected=1.5,
                    score=6.2,
                )
            ],
            "customers": 9,
            "messages": 14,
            "devices": 2,
            "keywords": ["离线"],
            "quotes": ["门锁离线了"],
            "evidence": ["e0001"],
            "confidence": 0.9,
        }
        return IncidentChange(**{**values, **fields})  # type: ignore[arg-type]

    def push(self, name: str, **fields: object) -> Push:
        values: dict[str, object] = {
            "push": name,
            "incident": "i1",
            "customer": "00000000000000ff",
            "template": "已知故障",
            "params": {"product": "智能门锁"},
            "channel_preference": ["app", "sms"],
            "priority": 2,
            "not_before": self.at(10),
            "valid_until": self.at(24 * 60),
            "reason": "contacted",
            "state": "proposed",
            "at": self.at(6),
        }
        return Push(**{**values, **fields})  # type: ignore[arg-type]

    def trend(self, item: str) -> Trend:
        return Trend(
            item=item,
            date="2025-12-10",
            line="智能家居",
            product="智能门锁",
            topic="设备离线",
            customers=9,
            expected=2.0,
            change=3.5,
            state="rising",
            terms=["离线"],
            quotes=["门锁离线了"],
            incidents=["i1"],
        )

    def rollup(self, minutes: int, **fields: object) -> Rollup:
        values: dict[str, object] = {
            "series": Series("contacts", "all", ()),
            "bin_start": START + minutes * MINUTE_MS,
            "bin_ms": 5 * MINUTE_MS,
            "messages": 12,
            "customers": 9,
            "expected": 8.0,
            "low": 3.0,
            "high": 14.0,
            "learning": False,
        }
        return Rollup(**{**values, **fields})  # type: ignore[arg-type]

    def letter(self, position: int, **fields: object) -> DeadLetter:
        values: dict[str, object] = {"source": "a.jsonl", "position": position, "reason": "not_json", "excerpt": "坏行"}
        return DeadLetter(**{**values, **fields})  # type: ignore[arg-type]

    def action(self, name: str) -> ActionOutcome:
        action = Action(id=name, action="acknowledge", at=START + 6 * MINUTE_MS, by="值班员甲", incident="i1")
        return ActionOutcome(action=action, state="applied", detail="", tick=START + 7 * MINUTE_MS)

    def pulse(self, minutes: int, **fields: object) -> Pulse:
        values: dict[str, object] = {
            "at": START + minutes * MINUTE_MS,
            "source": "cs.chat/0",
            "read": 6,
            "dead": 1,
            "late": 1,
            "duplicate": 0,
            "lost": 0,
            "waiting": 3,
            "frontier": START,
            "watermark": START,
            "cpu_seconds": 1.5,
            "memory_bytes": 300_000_000,
        }
        return Pulse(**{**values, **fields})  # type: ignore[arg-type]

    def outcomes(self) -> list[Outcome]:
        """Three steps with a row of everything in each."""
        return [
            Outcome(
                sequence=step,
                watermark=START + (step + 1) * 5 * MINUTE_MS,
                counted=[self.observation(step * 10 + number) for number in range(4)],
                late=[self.observation(step * 10 + 9)],
                deadletters=[self.letter(step + 1), self.letter(step + 1, source="b.jsonl", kind="call")],
                rollups=[self.rollup(step * 5)],
                incidents=[self.incident("i2", step + 1, 5 * step), self.incident("i1", step + 1, 5 * step)],
                pushes=[self.push(f"p{step}b"), self.push(f"p{step}a")],
                trends=[self.trend(f"t{step}")],
                tallies=[
                    Tally(source="a.jsonl", read=(step + 1) * 6, counted=(step + 1) * 4, late=step + 1, dead=step + 1)
                ],
                actions=[self.action(f"a{step}")],
                pulses=[self.pulse(step), self.pulse(step, source="cs.calls/0")],
                final=step == 2,
            )
            for step in range(3)
        ]


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()
