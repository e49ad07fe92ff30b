"""The dashboard of product teams: what rises, what is new, what a fix has settled."""

from __future__ import annotations

from sinks.dashboards.panels import Column, Dashboard, Panel, Variable
from sinks.dashboards.sql import WORD, among, in_words, options
from sinks.dashboards.words import ACCENT, EXPECTED, TREND_STATES, Text

_STATES = ", ".join(f"'{state.value}'" for state in TREND_STATES)
_RANGE = "date >= toDate($__fromTime) AND date <= toDate($__toTime)"
_CHOSEN = " AND ".join(
    (_RANGE, among("line", "line"), among("product", "product"), among("topic", "topic"), among("state", "state"))
)
_ITEM = "concat(if(product = '', line, product), ' · ', topic)"


def _options(column: str) -> str:
    return options(f"SELECT {column} AS word FROM trends WHERE {_RANGE}")


LINE = Variable("line", Text("业务线", "Business line"), _options("line"))
PRODUCT = Variable("product", Text("产品", "Product"), _options("product"))
TOPIC = Variable("topic", Text("主题", "Topic"), _options("topic"))
STATE = Variable("state", Text("动向", "State"), choices=TREND_STATES)

_STATE = Column("state", Text("动向", "state"), choices=TREND_STATES, width=90)
_CUSTOMERS = Column("customers", Text("客户数", "customers"), unit="short", colour=ACCENT, width=90)

TRENDS = Dashboard(
    uid="qianshao-trends",
    title=Text("前哨 · 产品趋势", "Qianshao · Product trends"),
    description=Text(
        "每个产品、每个主题每天有多少客户在说，比预期多还是少，原话是什么。",
        "How many customers speak about each product and topic a day, more or fewer than expected, in their words.",
    ),
    variables=(LINE, PRODUCT, TOPIC, STATE),
    since="now-30d",
    refresh="15m",
    incidents_shown=True,
    panels=(
        Panel(
            1,
            "bargauge",
            Text("最新一天的动向", "Newest day by state"),
            Text(
                "最新一天有多少条在上升、新出现、季节性、下降、已解决。先看“新出现”与“上升”。",
                "How many items of the newest day rise, are new, seasonal, falling or resolved. New and rising first.",
            ),
            in_words(
                TREND_STATES,
                f"""
SELECT {WORD} AS state, countIf(newest.state = name) AS items
FROM (
    SELECT state FROM trends FINAL WHERE {_CHOSEN} AND date = (SELECT max(date) FROM trends WHERE {_RANGE})
) AS newest
RIGHT JOIN (SELECT arrayJoin([{_STATES}]) AS name) AS names ON newest.state = names.name
GROUP BY name ORDER BY indexOf([{_STATES}], name)
""".strip(),
            ),
            "short",
            columns=(
                Column("state", Text("动向", "state")),
                Column("items", Text("条", "items")),
            ),
            place=(0, 0, 8, 9),
            minimum=0,
        ),
        Panel(
            2,
            "timeseries",
            Text("客户最多的十条", "The ten largest"),
            Text(
                "时间范围内客户最多的十个产品主题，每天多少客户。持续走高的交给产品排期。",
                "Customers a day of the ten largest products and topics. What keeps rising belongs on the roadmap.",
            ),
            f"""
WITH large AS (
    SELECT {_ITEM} AS name FROM trends FINAL WHERE {_CHOSEN}
    GROUP BY name ORDER BY sum(customers) DESC, name LIMIT 10
)
SELECT toDateTime(date, 'UTC') AS time, {_ITEM} AS item, sum(customers) AS customers
FROM trends FINAL
WHERE {_CHOSEN} AND {_ITEM} IN (SELECT name FROM large)
GROUP BY time, item ORDER BY time, item
""".strip(),
            "short",
            series="item",
            place=(8, 0, 16, 9),
            interval="1d",
            minimum=0,
        ),
        Panel(
            3,
            "table",
            Text("条目、词与原话", "Items, words and quotes"),
            Text(
                "每个产品主题每天一行：客户数、预期、变化、特有的词、脱敏原话、相关事件；最新在前。原话直接写进需求。",
                "One row a product, topic and day: customers, expected, change, telling words, masked quotes,"
                " incidents; newest first. The quotes can go into a ticket as they are.",
            ),
            f"""
SELECT date, state, line, product, topic, customers, round(expected, 1) AS expected, change,
       arrayStringConcat(JSONExtract(record, 'terms', 'Array(String)'), '、') AS terms,
       arrayStringConcat(JSONExtract(record, 'quotes', 'Array(String)'), '｜') AS quotes,
       arrayStringConcat(JSONExtract(record, 'incidents', 'Array(String)'), ' ') AS incidents
FROM trends FINAL
WHERE {_CHOSEN}
ORDER BY date DESC, indexOf(['new', 'rising', 'resolved', 'falling', 'seasonal'], state), customers DESC, item
LIMIT 500
""".strip(),
            "none",
            columns=(
                Column("date", Text("日期", "date"), width=110),
                _STATE,
                Column("line", Text("业务线", "line"), width=100),
                Column("product", Text("产品", "product"), width=110),
                Column("topic", Text("主题", "topic"), width=100),
                _CUSTOMERS,
                Column("expected", Text("预期", "expected"), unit="short", colour=EXPECTED, width=80),
                Column("change", Text("变化", "change"), unit="percentunit", width=80),
                Column("terms", Text("特有的词", "telling words"), width=200),
                Column("quotes", Text("原话（已脱敏）", "quotes (masked)")),
                Column("incidents", Text("相关事件", "incidents"), width=150),
            ),
            place=(0, 9, 24, 12),
        ),
        Panel(
            4,
            "timeseries",
            Text("修复前后", "Before and after a fix"),
            Text(
                "所选产品与主题每天的客户数与预期之和。修复上线后回到预期线，就是见效；用上方选择框选到那一条。",
                "Customers a day of what is chosen above, beside the expected. Back on the expected line after a fix"
                " means that it worked.",
            ),
            f"""
SELECT toDateTime(date, 'UTC') AS time, sum(customers) AS customers, round(sum(expected), 1) AS expected
FROM trends FINAL
WHERE {_CHOSEN}
GROUP BY time ORDER BY time
""".strip(),
            "short",
            columns=(
                Column("customers", Text("客户数", "customers"), colour=ACCENT),
                Column("expected", Text("预期", "expected"), colour=EXPECTED, style="dashed"),
            ),
            place=(0, 21, 24, 8),
            interval="1d",
            minimum=0,
        ),
    ),
)
