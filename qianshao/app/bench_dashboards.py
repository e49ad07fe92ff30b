"""How long every query of the dashboards takes over ninety days, on the embedded engine and as Grafana would ask it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import RenderableType
from rich.table import Table

from qianshao.clock import DAY_MS, HOUR_MS
from sinks.clickhouse import Store
from sinks.dashboards import DASHBOARDS
from sinks.dashboards.expand import expand
from sinks.dashboards.panels import ALL, query
from sinks.engine import Embedded

LIMIT_MS = 300
"""No query may take longer over `DAYS`."""
DAYS = 90
RUNS = 5
START_MS = 1_785_542_400_000
POINTS = 1_000
"""Steps that a panel of ordinary width asks for."""

# One row a series: measure, value, dimensions, and in how many of 1000 bins somebody was there.
_SERIES = """
SELECT arrayJoin(arrayConcat(
    arrayMap(m -> (m, '', map()::Map(String, String), 1000), ['contacts', 'devices', 'tickets', 'negative', 'repeat']),
    arrayFlatten(arrayMap(m -> arrayMap(l -> (m, '', map('line', concat('line', toString(l))), 1000), range(4)),
        ['contacts', 'devices', 'tickets', 'negative', 'repeat'])),
    arrayMap(c -> ('contacts', '', map('channel', concat('channel', toString(c))), 1000), range(7)),
    arrayMap(p -> ('contacts', '', map('line', concat('line', toString(p % 4)), 'product', concat('product',
        toString(p))), 1000), range(16)),
    arrayMap(p -> ('devices', '', map('line', concat('line', toString(p % 4)), 'product', concat('product',
        toString(p))), 1000), range(16)),
    arrayMap(t -> ('topic', concat('topic', toString(t)), map()::Map(String, String), 1000), range(22)),
    arrayMap(t -> ('topic', concat('topic', toString(t % 22)), map('line', concat('line', toString(t % 4))), 600),
        range(88)),
    arrayMap(t -> ('topic', concat('topic', toString(t % 22)), map('line', concat('line', toString(t % 4)), 'product',
        concat('product', toString(t % 16))), 100), range(352)),
    arrayMap(c -> ('code', concat('E', toString(100 + c)), map()::Map(String, String), 400), range(24)),
    arrayMap(c -> ('code', concat('E', toString(100 + c % 24)), map('line', concat('line', toString(c % 4))), 200),
        range(96)),
    arrayMap(c -> ('code', concat('E', toString(100 + c % 24)), map('firmware', concat('1.', toString(c % 5)), 'line',
        concat('line', toString(c % 4)), 'product', concat('product', toString(c % 16)), 'region',
        concat('region', toString(c % 7))), 50), range(600))
)) AS one
"""


class QueryTime(msgspec.Struct, frozen=True, kw_only=True):
    """One query over one range of time."""

    dashboard: str
    panel: str
    """Title, or `变量` and the name of a variable."""
    days: int
    milliseconds: float
    """Median of `RUNS`."""
    rows: int


def bench_dashboards(
    *, days: int = DAYS, runs: int = RUNS, tell: Callable[[str], None] = lambda _: None
) -> list[QueryTime]:
    """Fill a store with `days` of rollups and everything beside them, and time each query over all of it and a day.

    Queries go through the same door as Grafana's own to the embedded engine: checked, read-only and limited.
    """
    with tempfile.TemporaryDirectory(prefix="qianshao-bench-") as name:
        engine = Embedded(Path(name) / "store")
        store = Store(engine)
        try:
            fill(engine, days)
            ((rows, series),) = store.select("SELECT count(), uniqExact(series) FROM rollups")
            tell(f"{rows:,} rows of {series:,} series over {days} days")
            times = []
            for span in (days, 1):
                times += _timed(store, START_MS + days * DAY_MS, span, runs)
            return times
        finally:
            store.close()


def fill(engine: Embedded, days: int) -> None:
    """Write made-up rows into a new store: about 67 000 rollups a day, some events, incidents, pushes and pulses."""
    start = f"fromUnixTimestamp64Milli({START_MS})"
    record = (
        """concat('{"dims": {"product": "product', toString(number % 16), '"}, "evidence": ["', toString(number), """
        """'"], "signals": [{"series": "topic:1", "kind": "rise", "window_start": "2026-08-01T00:00:00Z", """
        """"window_end": "2026-08-01T01:00:00Z", "observed": 9, "expected": 1, "score": 7}]}')"""
    )
    statements = (
        f"""
        INSERT INTO rollups (measure, level, value, series, dims, bin_start, bin_ms, messages, customers, expected, low,
                             high, learning, watermark)
        SELECT one.1, arrayStringConcat(mapKeys(one.3), ','), one.2,
               concat(one.1, ':', one.2, arrayStringConcat(arrayMap((k, v) -> concat('|', k, '=', v), mapKeys(one.3),
                      mapValues(one.3)))),
               one.3, {start} + toIntervalMinute(5 * bin.number), 300000, 3 + cityHash64(bin.number, one) % 20,
               2 + cityHash64(bin.number, one) % 15, 8.5, 3, 14, 0, 1
        FROM numbers({days * 288}) AS bin CROSS JOIN ({_SERIES}) AS series
        WHERE cityHash64(one, bin.number) % 1000 < one.4
        """,
        f"""
        INSERT INTO events (id, ts, kind, channel, line, product, model, firmware, region, customer, device, role, text,
                            topic, code, level)
        SELECT toString(number), {start} + toIntervalMillisecond(number * {days * DAY_MS // 1_000_000}),
               if(number % 3 = 0, 'device', 'chat'), 'app', concat('line', toString(number % 4)),
               concat('product', toString(number % 16)), 'K2', concat('1.', toString(number % 5)),
               concat('region', toString(number % 7)), number % 200000, number % 200000, 'customer', '门锁离线了',
               concat('topic', toString(number % 22)), if(number % 6 = 0, concat('E', toString(100 + number % 24)), ''),
               'error'
        FROM numbers(1000000)
        """,
        f"""
        INSERT INTO incidents (incident, version, change, status, reason, at, opened_at, first_seen, severity, title,
                               topic, customers, record)
        SELECT leftPad(lower(hex(intDiv(number, 8))), 16, '0'), number % 8 + 1,
               if(number % 8 = 0, 'opened', if(number % 8 = 7, 'resolved', 'updated')),
               if(number % 8 = 7, 'resolved', 'open'), 'more_customers',
               {start} + toIntervalHour(intDiv(number, 8) * 4) + toIntervalMinute(10 * (number % 8 + 1)),
               {start} + toIntervalHour(intDiv(number, 8) * 4) + toIntervalMinute(10),
               {start} + toIntervalHour(intDiv(number, 8) * 4), concat('P', toString(intDiv(number, 8) % 4 + 1)),
               '智能门锁 K2 离线', 'topic1', 10 * (number % 8 + 1), {record}
        FROM numbers({days * 6 * 8})
        """,
        f"""
        INSERT INTO pushes (push, state, incident, customer, priority, reason, at, record)
        SELECT toString(number), 'proposed', leftPad(lower(hex(number % {days * 6})), 16, '0'), toString(number), 1,
               'contacted', {start} + toIntervalMinute(number % {days * 1440}), '{{}}'
        FROM numbers(200000)
        """,
        f"""
        INSERT INTO trends (item, date, line, product, topic, customers, expected, change, state, record)
        SELECT toString(number), toDate({start} + toIntervalDay(intDiv(number, 300))),
               concat('line', toString(number % 4)), concat('product', toString(number % 16)),
               concat('topic', toString(number % 22)), number % 30, 10, 0.5,
               ['rising', 'new', 'seasonal', 'falling', 'resolved'][number % 5 + 1],
               '{{"terms": ["离线"], "quotes": ["门锁离线了"], "incidents": []}}'
        FROM numbers({days * 300})
        """,
        f"""
        INSERT INTO deadletters (source, position, reason, excerpt, kind, at)
        SELECT 'cs.chat/0', number, ['not_json', 'bad_field', 'not_utf8'][number % 3 + 1], '…', 'chat',
               {start} + toIntervalSecond(number * {days * 86_400 // 100_000})
        FROM numbers(100000)
        """,
        f"""
        INSERT INTO pulses (at, source, read, dead, late, duplicate, lost, waiting, frontier, watermark, cpu_seconds,
                            memory_bytes)
        SELECT {start} + toIntervalMinute(intDiv(number, 8)) AS moment, concat('cs.chat/', toString(number % 8)),
               number * 10, number, number, number, 0, 5, moment, moment - toIntervalSecond(5), number / 100, 400000000
        FROM numbers({days * 1440 * 8})
        """,
        "INSERT INTO tallies (source, read, counted) SELECT concat('cs.chat/', toString(number)), 9, 9 FROM numbers(8)",
    )
    for statement in statements:
        engine.command(statement)


def _timed(store: Store, end_ms: int, days: int, runs: int) -> list[QueryTime]:
    times = []
    interval = max(300, days * DAY_MS // 1000 // POINTS)
    for dashboard in DASHBOARDS:
        chosen: dict[str, str | Sequence[str]] = {each.name: [ALL] for each in dashboard.variables if each.several}
        if "incident" in {each.name for each in dashboard.variables}:
            chosen["incident"] = f"{((end_ms - START_MS) // HOUR_MS // 4) - 2:016x}"
        queries = [(f"变量 {each.name}", each.sql) for each in dashboard.variables if each.sql]
        queries += [(panel.title.zh, query(panel, "zh")) for panel in dashboard.panels]
        for title, sql in queries:
            asked = expand(
                sql, start_ms=end_ms - days * DAY_MS, end_ms=end_ms, interval_seconds=interval, variables=chosen
            )
            taken = []
            for _ in range(runs):
                began = time.perf_counter()
                answer = store.answer(asked, default_format="JSONCompact")
                taken.append(1000 * (time.perf_counter() - began))
            times.append(
                QueryTime(
                    dashboard=dashboard.uid,
                    panel=title,
                    days=days,
                    milliseconds=round(statistics.median(taken), 1),
                    rows=msgspec.json.decode(answer.body, type=_Rows).rows,
                )
            )
    return times


class _Rows(msgspec.Struct):
    rows: int


def too_slow(times: Sequence[QueryTime]) -> list[QueryTime]:
    """Return what took longer than `LIMIT_MS`, slowest first."""
    return sorted((each for each in times if each.milliseconds > LIMIT_MS), key=lambda each: -each.milliseconds)


def figures(times: Sequence[QueryTime]) -> dict[str, object]:
    """Return the measurement as a JSON document."""
    return {
        "limit_milliseconds": LIMIT_MS,
        "slowest_milliseconds": max(each.milliseconds for each in times),
        "queries": msgspec.to_builtins(list(times)),
    }


def dashboards_table(times: Sequence[QueryTime]) -> RenderableType:
    """Draw the times, dashboard by dashboard."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("看板", "图"):
        table.add_column(name)
    spans = sorted({each.days for each in times}, reverse=True)
    for span in spans:
        table.add_column(f"{span} 天 毫秒", justify="right", no_wrap=True)
    rows: dict[tuple[str, str], dict[int, float]] = {}
    for each in times:
        rows.setdefault((each.dashboard, each.panel), {})[each.days] = each.milliseconds
    for (dashboard, panel), taken in rows.items():
        table.add_row(dashboard, panel, *(f"{taken[span]:,.0f}" for span in spans))
    return table
