"""The dashboard of the service manager: volumes inside their band, hotspots, sentiment and repeat contacts."""

from __future__ import annotations

from sinks.dashboards.panels import Column, Dashboard, Panel, Step, Variable
from sinks.dashboards.sql import SHOWN, among, at_level, lines_at, option_of_level
from sinks.dashboards.words import ACCENT, BAND, CALM, EXPECTED, OUTSIDE, WARNING, Text

LINE = Variable("line", Text("业务线", "Business line"), lines_at("contacts"))
TOPIC = Variable("topic", Text("主题", "Topic"), option_of_level("value", "measure = 'topic' AND level = ''"))

_TOPICS = at_level(("topic",), among("value", "topic"))
_CUSTOMERS = Column("customers", Text("来访客户", "customers"), colour=ACCENT)
_TOPIC = Column("topic", Text("主题", "topic"))


def _share(index: str, measure: str, *, over_time: bool) -> str:
    """Return the query of a figure over the customers of a measure and of all contacts, one row or one a bin."""
    return (
        f"SELECT {'$__timeInterval(bin_start) AS time, ' if over_time else ''}{index}\n"
        "FROM rollups FINAL\n"
        f"WHERE {at_level((measure, 'contacts'))} AND {SHOWN}" + ("\nGROUP BY time ORDER BY time" if over_time else "")
    )


_SENTIMENT = (
    "round(100 * (1 - 2 * sumIf(customers, measure = 'negative')"
    " / greatest(sumIf(customers, measure = 'contacts'), 1)), 1) AS sentiment"
)
_REPEATS = (
    "round(sumIf(customers, measure = 'repeat') / greatest(sumIf(customers, measure = 'contacts'), 1), 4) AS repeats"
)

SERVICE = Dashboard(
    uid="qianshao-service",
    title=Text("前哨 · 服务总览", "Qianshao · Service"),
    description=Text(
        "来访量是否在预期之内、热点在哪里、客户情绪如何、有多少人为同一件事再次来访。",
        "Whether volumes are as expected, where the hotspots are, how customers feel, who comes back about the same.",
    ),
    variables=(LINE, TOPIC),
    panels=(
        Panel(
            1,
            "stat",
            Text("未结事件", "Incidents not resolved"),
            Text(
                "现在还没有恢复的事件有多少起。大于 0 时打开“事件”看板。",
                "How many incidents are not resolved now. Above 0, open the Incidents dashboard.",
            ),
            "SELECT count() AS incidents FROM newest_incidents WHERE status IN ('open', 'acknowledged', 'mitigated')",
            "short",
            columns=(
                Column(
                    "incidents",
                    Text("起", "incidents"),
                    link="/d/qianshao-incidents?${__url_time_range}",
                    link_title=Text("打开事件看板", "Open the Incidents dashboard"),
                ),
            ),
            place=(0, 0, 4, 4),
            steps=(Step(1, OUTSIDE),),
        ),
        Panel(
            2,
            "stat",
            Text("最近一小时来访客户", "Customers in the last hour"),
            Text(
                "所选时间末尾一小时的来访客户与预期。高出预期一半以上时看“热点主题”。",
                "Customers in the last hour of the range beside the expected. If far above, see the hotspots.",
            ),
            f"""
SELECT sum(customers) AS customers, round(sum(expected)) AS expected
FROM rollups FINAL
WHERE {at_level(("contacts",))} AND bin_start >= $__toTime - INTERVAL 1 HOUR AND bin_start < $__toTime
""".strip(),
            "short",
            columns=(_CUSTOMERS, Column("expected", Text("预期", "expected"), colour=EXPECTED)),
            place=(4, 0, 8, 4),
        ),
        Panel(
            3,
            "stat",
            Text("情绪指数", "Sentiment index"),
            Text(
                "100 = 没有客户不满，0 = 一半不满，−100 = 人人不满。低于 0 时看下方走势从何时开始。",
                "100 = nobody is unhappy, 0 = half are, −100 = everybody. Below 0, see when it began.",
            ),
            _share(_SENTIMENT, "negative", over_time=False),
            "short",
            columns=(Column("sentiment", Text("情绪指数", "sentiment index")),),
            place=(12, 0, 6, 4),
            steps=(Step(-100, OUTSIDE), Step(0, CALM)),
            minimum=-100,
            maximum=100,
            decimals=1,
        ),
        Panel(
            4,
            "stat",
            Text("重复来访率", "Repeat contacts"),
            Text(
                "72 小时内为同一主题另开会话的客户占来访客户的比例。升高说明上一次没有解决。",
                "Share of customers who came back about the same topic in another conversation within 72 hours.",
            ),
            _share(_REPEATS, "repeat", over_time=False),
            "percentunit",
            columns=(Column("repeats", Text("重复来访率", "repeat contacts")),),
            place=(18, 0, 6, 4),
            steps=(Step(0.15, WARNING), Step(0.3, OUTSIDE)),
            decimals=1,
        ),
        Panel(
            5,
            "timeseries",
            Text("来访客户与预期区间", "Customers and the expected band"),
            Text(
                "来访客户是否在预期区间内；区间由以往的日节律得出，长时间范围里由各时间格相加而偏宽。"
                "线高出区间时看热点主题与事件。",
                "Whether customers stay inside the band learnt from earlier days. Over long ranges the band is the"
                " sum of its bins and therefore wide. Above it, see hotspots and incidents.",
            ),
            f"""
SELECT $__timeInterval(bin_start) AS time, sum(customers) AS customers, round(sum(expected), 1) AS expected,
       round(sum(low), 1) AS low, round(sum(high), 1) AS high
FROM rollups FINAL
WHERE {at_level(("contacts",))} AND {SHOWN}
GROUP BY time ORDER BY time
""".strip(),
            "short",
            columns=(
                _CUSTOMERS,
                Column("expected", Text("预期", "expected"), colour=EXPECTED, style="dashed"),
                Column("low", Text("预期下限", "low"), colour=BAND, style="edge"),
                Column("high", Text("预期上限", "high"), colour=BAND, style="band", down_to="low"),
            ),
            place=(0, 4, 24, 9),
            interval="5m",
            minimum=0,
        ),
        Panel(
            6,
            "table",
            Text("热点主题（最近三小时）", "Hotspots (last three hours)"),
            Text(
                "所选时间末尾三小时里，各主题的来访客户比预期多多少，超出最多的在前。超出大而没有事件时，值得人工看一眼。",
                "How many more customers than expected each topic had in the last three hours of the range, largest"
                " excess first. A large excess without an incident deserves a look.",
            ),
            f"""
SELECT value AS topic, sum(customers) AS customers, round(sum(expected), 1) AS expected,
       round(customers - expected, 1) AS excess, round(customers / greatest(expected, 1), 2) AS times
FROM rollups FINAL
WHERE {_TOPICS}
  AND bin_start >= $__toTime - INTERVAL 3 HOUR AND bin_start < $__toTime
GROUP BY topic ORDER BY excess DESC, topic LIMIT 50
""".strip(),
            "short",
            columns=(
                _TOPIC,
                _CUSTOMERS,
                Column("expected", Text("预期", "expected")),
                Column("excess", Text("超出", "excess")),
                Column("times", Text("倍数", "times expected"), unit="none"),
            ),
            place=(0, 13, 10, 10),
        ),
        Panel(
            7,
            "timeseries",
            Text("各主题来访客户", "Customers by topic"),
            Text(
                "哪些主题在变多；时间范围内客户最多的八个主题。点图例只看一个。",
                "Which topics grow; the eight with most customers in the range. Click the legend to see one alone.",
            ),
            f"""
WITH large AS (
    SELECT value FROM rollups FINAL WHERE {_TOPICS} AND {SHOWN}
    GROUP BY value ORDER BY sum(customers) DESC, value LIMIT 8
)
SELECT $__timeInterval(bin_start) AS time, value AS topic, sum(customers) AS customers
FROM rollups FINAL
WHERE {_TOPICS} AND {SHOWN} AND value IN (SELECT value FROM large)
GROUP BY time, topic ORDER BY time, topic
""".strip(),
            "short",
            series="topic",
            stacked=True,
            place=(10, 13, 14, 10),
            interval="5m",
        ),
        Panel(
            8,
            "timeseries",
            Text("情绪指数走势", "Sentiment index over time"),
            Text(
                "情绪从何时开始变差：100 ×（1 − 2 × 不满客户 ÷ 来访客户）。"
                "与上方来访量对照，量没变而情绪变差多半是新问题。",
                "Since when customers are unhappier: 100 × (1 − 2 × unhappy customers ÷ customers). Worse at the same"
                " volume is often something new.",
            ),
            _share(_SENTIMENT, "negative", over_time=True),
            "short",
            columns=(Column("sentiment", Text("情绪指数", "sentiment index"), colour=ACCENT),),
            place=(0, 23, 12, 8),
            interval="15m",
            minimum=-100,
            maximum=100,
        ),
        Panel(
            9,
            "timeseries",
            Text("重复来访率走势", "Repeat contacts over time"),
            Text(
                "72 小时内为同一主题另开会话的客户占来访客户的比例。持续升高时，抽查答复与工单处理。",
                "Share of customers who came back about the same topic within 72 hours. If it keeps rising, check"
                " answers and tickets.",
            ),
            _share(_REPEATS, "repeat", over_time=True),
            "percentunit",
            columns=(Column("repeats", Text("重复来访率", "repeat contacts"), colour=WARNING),),
            place=(12, 23, 12, 8),
            interval="15m",
            minimum=0,
        ),
        Panel(
            10,
            "timeseries",
            Text("各渠道来访客户", "Customers by channel"),
            Text(
                "每个渠道的来访客户，不受业务线选择影响。某个渠道突然归零时，先查这个渠道是否中断。",
                "Customers of each channel, whatever line is chosen. If one falls to zero, check that channel first.",
            ),
            f"""
SELECT $__timeInterval(bin_start) AS time, dims['channel'] AS channel, sum(customers) AS customers
FROM rollups FINAL
WHERE measure = 'contacts' AND level = 'channel' AND {SHOWN}
GROUP BY time, channel ORDER BY time, channel
""".strip(),
            "short",
            series="channel",
            stacked=True,
            place=(0, 31, 24, 8),
            interval="5m",
        ),
    ),
)
