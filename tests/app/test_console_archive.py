"""The page over a real store: what a replay wrote is what is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from qianshao.app.console.archive import Archive
from qianshao.app.console.view import incident_page, overview
from qianshao.clock import HOUR_MS, MINUTE_MS, from_rfc3339
from qianshao.event import DeadLetter
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome, Rollup, Tally
from qianshao.series import Series
from sinks.clickhouse import Store

NOW = from_rfc3339("2026-03-02T14:40:00.000+08:00")


def rollup(measure: str, value: str, start: int, bin_ms: int, customers: int) -> Rollup:
    return Rollup(
        series=Series(measure, value, ()),
        bin_start=start,
        bin_ms=bin_ms,
        messages=customers,
        customers=customers,
        expected=4.0,
        low=1.0,
        high=9.0,
        learning=False,
    )


@pytest.fixture
def store(tmp_path: Path, make_change: Callable[..., IncidentChange]) -> Iterator[Store]:
    """Three hours of one finished world."""
    store = Store(tmp_path / "store")
    bins = range(NOW - 3 * HOUR_MS, NOW, 5 * MINUTE_MS)
    watched = make_change(version=1, change="watched", status="watching", opened_at=None, reason="weak_witness")
    trace = make_change(incident="inc-trace", version=1, change="watched", status="watching", opened_at=None)
    old = make_change(
        incident="inc-old", version=1, change="resolved", status="resolved", opened_at="2026-03-02T15:00:00.000+08:00"
    )
    store.write(
        Outcome(
            sequence=0,
            watermark=NOW,
            rollups=[
                *(rollup("contacts", "", start, 5 * MINUTE_MS, 5) for start in bins),
                *(rollup("topic", "设备离线", start, 5 * MINUTE_MS, 9) for start in bins),
            ],
            incidents=[watched, make_change(), trace, old],
            deadletters=[DeadLetter(source="a", position=1, reason="not_json", excerpt="x")],
            tallies=[Tally(source="a", read=10, counted=9, dead=1), Tally(source="b", read=5, counted=5)],
            final=True,
        )
    )
    yield store
    store.close()


def test_the_overview_is_what_the_store_holds(store: Store) -> None:
    scene = Archive(store, ZoneInfo("Asia/Shanghai"), lambda: NOW, finished=True).scene()
    assert [change.incident for change in scene.incidents] == ["inc-3f9a12c0", "inc-old"], "ongoing ones stand first"
    assert scene.watching == 1
    assert len(scene.volumes) == 36
    assert [(spot.topic, spot.customers, spot.expected) for spot in scene.hotspots] == [("设备离线", 108, 48.0)]
    assert scene.deadletters == {"not_json": 1}
    assert (scene.accounting.read, scene.accounting.counted, scene.accounting.dead) == (15, 14, 1)
    values = overview(scene, {})
    assert values["outside"] is False
    assert '<a class="marker p1" href="/incidents/inc-3f9a12c0">' in str(values["wide"])


def test_the_history_of_an_incident_is_told_step_by_step(store: Store) -> None:
    archive = Archive(store, ZoneInfo("Asia/Shanghai"), lambda: NOW, finished=True)
    history = archive.history("inc-3f9a12c0")
    timeline = incident_page(archive.scene(), history, None)["timeline"]
    assert isinstance(timeline, list)
    assert [step["change"] for step in timeline] == ["立案", "开始观察"]
    assert archive.history("' OR 1=1 --") == []


def test_a_world_in_which_nothing_happened_is_a_calm_page(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    try:
        values = overview(Archive(store, ZoneInfo("Asia/Shanghai"), lambda: 0, finished=True).scene(), {})
    finally:
        store.close()
    assert values["wide"] == ""
    assert getattr(values["head"], "tone", "") == "calm"
