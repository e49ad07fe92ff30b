"""A small hand-made world for cards and pages, and commands run in this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from qianshao.app.cli import main
from qianshao.app.console.scene import Scene
from qianshao.clock import HOUR_MS, MINUTE_MS, from_rfc3339
from qianshao.incident import About, IncidentChange, Signal
from qianshao.outcome import Tally
from sinks.queries import TopicVolume, VolumeBin

HOSTILE = '<script>alert("x")</script> 锁又连不上了 [bold]\x1b[2J'


def changed(**fields: object) -> IncidentChange:
    """One state of the smart-lock incident, with single fields replaced."""
    values: dict[str, object] = {
        "incident": "inc-3f9a12c0",
        "version": 2,
        "change": "opened",
        "status": "open",
        "reason": "two_witnesses",
        "at": "2026-03-02T14:06:30.000+08:00",
        "opened_at": "2026-03-02T14:06:30.000+08:00",
        "first_seen": "2026-03-02T14:02:05.000+08:00",
        "severity": "P1",
        "title": "智能门锁 L2 固件 2.2.0 设备离线，代码 E207：已影响 143 位客户",
        "dims": {"firmware": "2.2.0", "product": "智能门锁", "model": "L2", "region": ["华东", "华南"]},
        "about": About(topic="设备离线", code="E207", terms=["连不上", "离线"]),
        "signals": [
            Signal(
                series="topic:设备离线|product=智能门锁",
                kind="rise",
                window_start="2026-03-02T13:51:30.000+08:00",
                window_end="2026-03-02T14:06:30.000+08:00",
                observed=37,
                expected=2.26,
                score=8.1,
            ),
            Signal(
                series="code:E207|firmware=2.2.0|product=智能门锁",
                kind="device",
                window_start="2026-03-02T14:01:30.000+08:00",
                window_end="2026-03-02T14:06:30.000+08:00",
                observed=131,
                expected=0.04,
                score=42.3,
            ),
        ],
        "customers": 143,
        "messages": 412,
        "devices": 131,
        "keywords": ["离线", "连不上", "E207", "重启"],
        "quotes": ["昨晚升级以后门锁一直离线，打 〔手机〕 也没人接", HOSTILE],
        "evidence": ["e1", "e2", "e3"],
        "confidence": 0.93,
    }
    return IncidentChange(**{**values, **fields})  # type: ignore[arg-type]


class FixedReader:
    """A reader whose world stands still."""

    def __init__(self, scene: Scene, histories: dict[str, list[IncidentChange]]) -> None:
        self._scene = scene
        self._histories = histories

    def scene(self) -> Scene:
        """The whole overview."""
        return self._scene

    def history(self, incident: str) -> list[IncidentChange]:
        """All versions of one incident."""
        return self._histories.get(incident, [])


def make_scene(incidents: list[IncidentChange], *, hours: int = 14) -> Scene:
    """An afternoon with one surge, the incidents as given."""
    now = from_rfc3339("2026-03-02T14:40:00.000+08:00")
    volumes = []
    for index in range(hours * 12):
        start = now - hours * HOUR_MS + index * 5 * MINUTE_MS
        expected = 22 + 16 * math.sin((start / HOUR_MS + 8 - 9) / 24 * 2 * math.pi)
        surge = 44 if start >= from_rfc3339("2026-03-02T14:00:00.000+08:00") else 0
        customers = round(expected + 4 * math.sin(index * 1.7) + 2 * math.cos(index * 0.9) + surge)
        volumes.append(
            VolumeBin(
                bin_start=start,
                customers=customers,
                messages=3 * customers,
                expected=expected,
                low=max(0.0, expected - 9),
                high=expected + 10,
                learning=index < 12,
            )
        )
    return Scene(
        zone=ZoneInfo("Asia/Shanghai"),
        now_ms=now,
        finished=True,
        bin_minutes=5,
        volumes=volumes,
        hotspots=[
            TopicVolume(topic=topic, messages=2 * customers, customers=customers, expected=expected)
            for topic, customers, expected in (
                ("设备离线", 96, 7.4),
                ("物流配送", 41, 38.2),
                ("安装调试", 12, 10.1),
                ("退换货", 9, 14.0),
            )
        ],
        incidents=incidents,
        recent=sorted(incidents, key=lambda change: change.at, reverse=True),
        watching=1,
        pushes_proposed=143,
        deadletters={"not_json": 12, "implausible_timestamp": 3},
        accounting=Tally(source="all", read=48_213, counted=48_120, late=18, dead=15, duplicate=60),
    )


@pytest.fixture
def make_change() -> Callable[..., IncidentChange]:
    """Makes a state of the smart-lock incident, with single fields replaced."""
    return changed


@pytest.fixture
def opened() -> IncidentChange:
    """The incident as it opens."""
    return changed()


@pytest.fixture(scope="session")
def reader() -> FixedReader:
    """One ongoing incident with a history, one that is over."""
    watched = changed(
        version=1,
        change="watched",
        status="watching",
        reason="weak_witness",
        opened_at=None,
        at="2026-03-02T14:03:00.000+08:00",
        customers=4,
    )
    updated = changed(
        version=3,
        change="updated",
        reason="more_customers",
        title="智能门锁 L2 固件 2.2.0 设备离线，代码 E207：已影响 201 位客户",
        at="2026-03-02T14:20:00.000+08:00",
        customers=201,
    )
    over = changed(
        incident="inc-77aa",
        version=5,
        change="resolved",
        status="resolved",
        reason="no_new_evidence",
        severity="P3",
        title="华北 渠道 热线 来访中断：应有约 40 位客户，实到 3 位",
        opened_at="2026-03-02T09:11:00.000+08:00",
        first_seen="2026-03-02T09:02:00.000+08:00",
        dims={"region": "华北"},
        customers=22,
        devices=0,
    )
    history = [watched, changed(), updated]
    return FixedReader(make_scene([updated, over]), {"inc-3f9a12c0": history, "inc-77aa": [over]})


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run one command in this process; return exit code, standard output and standard error."""

    def execute(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return execute
