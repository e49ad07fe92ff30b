"""How much of the store a dashboard's query reads: what it shows, not what there is."""

from __future__ import annotations

import json
from pathlib import Path

from qianshao.app.bench_dashboards import DAYS, LIMIT_MS, QueryTime, figures, fill, too_slow
from qianshao.app.bench_dashboards import START_MS as START
from qianshao.clock import DAY_MS
from sinks.clickhouse import Store
from sinks.dashboards import DASHBOARDS
from sinks.dashboards.expand import expand
from sinks.dashboards.panels import ALL, query
from sinks.engine import Embedded


def test_a_day_of_volumes_reads_a_small_part_of_a_fortnight(tmp_path: Path) -> None:
    engine = Embedded(tmp_path / "store")
    store = Store(engine)
    try:
        fill(engine, days=14)
        ((rows,),) = store.select("SELECT count() FROM rollups")
        asked = expand(
            query(next(panel for panel in DASHBOARDS[0].panels if panel.number == 5), "zh"),
            start_ms=START + 13 * DAY_MS,
            end_ms=START + 14 * DAY_MS,
            interval_seconds=300,
            variables={"line": [ALL], "topic": [ALL]},
        )
        answer = json.loads(store.answer(asked, default_format="JSONCompact").body)
    finally:
        store.close()
    assert answer["rows"] == 288
    assert isinstance(rows, int)
    assert answer["statistics"]["rows_read"] < 0.05 * rows


def test_the_bench_names_what_is_too_slow() -> None:
    def taken(panel: str, milliseconds: float) -> QueryTime:
        return QueryTime(dashboard="d", panel=panel, days=DAYS, milliseconds=milliseconds, rows=1)

    times = [taken("a", LIMIT_MS), taken("b", LIMIT_MS + 1), taken("c", LIMIT_MS + 5)]
    assert [each.panel for each in too_slow(times)] == ["c", "b"]
    assert figures(times)["slowest_milliseconds"] == LIMIT_MS + 5
