"""The dashboard of people on call: which incidents there are, how each went, what stands behind it, who is told."""

from __future__ import annotations

from sinks.dashboards.panels import ALL, Column, Dashboard, Panel, Step, Variable
from sinks.dashboards.sql import WORD, among, chosen, in_words, one, options
from sinks.dashboards.words import (
    ACCENT,
    CHANGES,
    OUTSIDE,
    PUSH_STATES,
    SEVERITIES,
    STATUSES,
    WARNING,
    Text,
)

# An incident belongs to a time range when it was alive in it; one not resolved is alive still.
_ALIVE = "status IN ('open', 'acknowledged', 'mitigated')"
_IN_RANGE = f"first_seen <= $__toTime_ms AND (at >= $__fromTime_ms OR {_ALIVE})"
# `dims.product` is one product or a list of them.
_PRODUCTS = (
    "arrayConcat([JSONExtractString(record, 'dims', 'product')], "
    "JSONExtract(record, 'dims', 'product', 'Array(String)'))"
)
_CHOSEN = (
    f"{_IN_RANGE} AND {among('severity', 'severity')} AND {among('status', 'status')} "
    f"AND (has({chosen('product')}, '{ALL}') OR hasAny({chosen('product')}, {_PRODUCTS}))"
)
_PLACE = (
    "arrayStringConcat(arrayMap(pair -> replaceRegexpAll(pair.2, '[\\\\[\\\\]\"]', ''), "
    "arraySort(JSONExtractKeysAndValuesRaw(record, 'dims'))), ' · ')"
)
_STATES = ", ".join(f"'{status.value}'" for status in STATUSES)
_PUSH_STATES = ", ".join(f"'{state.value}'" for state in PUSH_STATES)
_INCIDENT = f"incident = {one('incident')}"
_THIS = "/d/qianshao-incidents?var-incident=${__data.fields.incident}&${__url_time_range}"

PRODUCT = Variable(
    "product",
    Text("产品", "Product"),
    options(f"SELECT arrayJoin({_PRODUCTS}) AS word FROM newest_incidents"),
)
SEVERITY = Variable("severity", Text("级别", "Severity"), choices=SEVERITIES)
STATUS = Variable("status", Text("状态", "Status"), choices=STATUSES)
INCIDENT = Variable(
    "incident",
    Text("事件", "Incident"),
    f"SELECT incident AS value, concat(severity, ' ', title) AS text FROM newest_incidents WHERE {_IN_RANGE}\n"
    "ORDER BY opened_at IS NULL, at DESC, incident LIMIT 500",
    several=False,
)

_SEVERITY = Column("severity", Text("级别", "severity"), choices=SEVERITIES, width=90)
_STATUS = Column("status", Text("状态", "status"), choices=STATUSES, width=100)
_CUSTOMERS = Column("customers", Text("客户数", "customers"), unit="short", width=90)

INCIDENTS = Dashboard(
    uid="qianshao-incidents",
    title=Text("前哨 · 事件", "Qianshao · Incidents"),
    description=Text(
        "有哪些事件、现在怎样、凭什么、告知了谁。先在清单里点一起事件。",
        "Which incidents there are, how they stand, on what evidence, and who is told. Click one in the list first.",
    ),
    variables=(PRODUCT, SEVERITY, STATUS, INCIDENT),
    since="now-7d",
    panels=(
        Panel(
            1,
            "stat",
            Text("未结事件", "Not resolved"),
            Text(
                "现在没有恢复的事件起数，不受时间范围影响。",
                "Incidents not resolved now, whatever the time range.",
            ),
            f"SELECT count() AS incidents FROM newest_incidents WHERE {_ALIVE}",
            "short",
            columns=(Column("incidents", Text("起", "incidents")),),
            place=(0, 0, 5, 4),
            steps=(Step(1, WARNING),),
        ),
        Panel(
            2,
            "stat",
            Text("时间范围内立案", "Opened in the range"),
            Text(
                "时间范围内立案的事件起数。比平时多时，看是否同一原因。",
                "Incidents opened in the range. If more than usual, see whether they share a cause.",
            ),
            "SELECT count() AS incidents FROM newest_incidents\n"
            "WHERE opened_at >= $__fromTime_ms AND opened_at <= $__toTime_ms",
            "short",
            columns=(Column("incidents", Text("起", "incidents")),),
            place=(5, 0, 5, 4),
        ),
        Panel(
            3,
            "stat",
            Text("未接手的 P1/P2", "P1 and P2 nobody has taken"),
            Text(
                "还没有人接手的 P1、P2 事件起数。大于 0 时立即接手。",
                "P1 and P2 incidents that nobody has acknowledged. Above 0, take them now.",
            ),
            "SELECT count() AS incidents FROM newest_incidents WHERE status = 'open' AND severity IN ('P1', 'P2')",
            "short",
            columns=(Column("incidents", Text("起", "incidents")),),
            place=(10, 0, 5, 4),
            steps=(Step(1, OUTSIDE),),
        ),
        Panel(
            4,
            "stat",
            Text("发现用时（中位）", "Time to open (median)"),
            Text(
                "从第一条证据到立案的时间，时间范围内事件的中位数。变长时看流水线是否落后。",
                "From the first evidence to the opening, median of the range. If it grows, see whether the pipeline is"
                " behind.",
            ),
            "SELECT quantileExact(dateDiff('second', first_seen, opened_at)) AS seconds FROM newest_incidents\n"
            "WHERE opened_at >= $__fromTime_ms AND opened_at <= $__toTime_ms",
            "s",
            columns=(Column("seconds", Text("发现用时", "time to open")),),
            place=(15, 0, 9, 4),
        ),
        Panel(
            5,
            "table",
            Text("事件清单", "Incidents"),
            Text(
                "时间范围内存在过的事件，每起一行，取最新一版。点标题看这一起的全部。",
                "Incidents that were alive in the range, one row each, as they stand now. Click a title.",
            ),
            f"""
SELECT severity, status, title, customers, {_PLACE} AS place, first_seen, opened_at, at, incident
FROM newest_incidents
WHERE {_CHOSEN}
ORDER BY severity, at DESC, incident LIMIT 200
""".strip(),
            "none",
            columns=(
                _SEVERITY,
                _STATUS,
                Column(
                    "title",
                    Text("标题", "title"),
                    link=_THIS,
                    link_title=Text("看这一起", "See this one"),
                ),
                _CUSTOMERS,
                Column("place", Text("定位", "where"), width=260),
                Column("first_seen", Text("最早证据", "first evidence"), width=165),
                Column("opened_at", Text("立案", "opened"), width=165),
                Column("at", Text("最近变化", "last change"), width=165),
                Column("incident", Text("事件号", "incident"), width=150),
            ),
            place=(0, 4, 24, 9),
        ),
        Panel(
            6,
            "state-timeline",
            Text("事件时间线", "Timeline"),
            Text(
                "每起事件何时立案、接手、缓解、恢复；最近的十二起。长时间停在“进行中”的优先跟进。",
                "When each was opened, taken, mitigated and resolved; the twelve newest. Those long open come first.",
            ),
            f"""
WITH shown AS (
    SELECT incident, concat(severity, ' ', title, ' #', substring(incident, 1, 4)) AS label,
           indexOf([{_STATES}], status) - 1 AS state, at AS changed
    FROM newest_incidents WHERE {_CHOSEN} ORDER BY at DESC, incident LIMIT 12
)
SELECT time, label, argMax(state, at) AS state
FROM (
    SELECT incident, greatest(at, $__fromTime_ms) AS time, at, indexOf([{_STATES}], status) - 1 AS state
    FROM incidents FINAL WHERE incident IN (SELECT incident FROM shown) AND at <= $__toTime_ms
    UNION ALL
    SELECT incident, greatest(changed, least(now64(3), $__toTime_ms)) AS time, changed AS at, state FROM shown
) AS steps
INNER JOIN (SELECT incident, label FROM shown) AS names USING (incident)
GROUP BY time, label ORDER BY time, label
""".strip(),
            "none",
            series="label",
            choices=STATUSES,
            place=(0, 13, 24, 8),
        ),
        Panel(
            7,
            "table",
            Text("这一起的经过", "History of the chosen incident"),
            Text(
                "所选事件的每一版：何时、变了什么、为什么。对照它复盘。",
                "Every version of the chosen incident: when, what changed, why. Review it with this.",
            ),
            f"""
SELECT version, at, change, status, severity, customers, reason, title
FROM incidents FINAL WHERE {_INCIDENT} ORDER BY version DESC
""".strip(),
            "none",
            columns=(
                Column("version", Text("版本", "version"), width=70),
                Column("at", Text("时刻", "at"), width=165),
                Column("change", Text("变化", "change"), choices=CHANGES, width=90),
                _STATUS,
                _SEVERITY,
                _CUSTOMERS,
                Column("reason", Text("原因", "reason"), width=160),
                Column("title", Text("标题", "title")),
            ),
            place=(0, 21, 15, 9),
        ),
        Panel(
            8,
            "timeseries",
            Text("这一起的客户数", "Customers of the chosen incident"),
            Text(
                "所选事件已知影响的客户数怎样增长。还在变陡说明没有止住。",
                "How the known customers of the chosen incident grew. Still steeper means it has not been stopped.",
            ),
            f"SELECT at AS time, customers FROM incidents FINAL WHERE {_INCIDENT} ORDER BY time",
            "short",
            columns=(Column("customers", Text("客户数", "customers"), colour=OUTSIDE),),
            place=(15, 21, 9, 9),
            minimum=0,
        ),
        Panel(
            9,
            "table",
            Text("这一起的佐证", "Witnesses of the chosen incident"),
            Text(
                "所选事件由哪些序列说话：实际与预期的客户数，异常分 6 是百万分之一。佐证越多越可信。",
                "Which series speak for the chosen incident: observed against expected; a score of 6 is one in a"
                " million. The more witnesses, the surer.",
            ),
            f"""
SELECT signal.1 AS series, signal.2 AS kind, parseDateTime64BestEffort(signal.3, 3) AS window_start,
       parseDateTime64BestEffort(signal.4, 3) AS window_end, signal.5 AS observed, round(signal.6, 2) AS expected,
       round(signal.7, 1) AS score
FROM (
    SELECT arrayJoin(JSONExtract(record, 'signals', 'Array(Tuple(series String, kind String, window_start String, \
window_end String, observed Float64, expected Float64, score Float64))')) AS signal
    FROM newest_incidents WHERE {_INCIDENT}
)
ORDER BY score DESC, series
""".strip(),
            "short",
            columns=(
                Column("series", Text("序列", "series"), unit="none"),
                Column("kind", Text("种类", "kind"), unit="none", width=80),
                Column("window_start", Text("从", "from"), unit="dateTimeAsIso", width=165),
                Column("window_end", Text("到", "to"), unit="dateTimeAsIso", width=165),
                Column("observed", Text("实际", "observed"), width=80),
                Column("expected", Text("预期", "expected"), width=80),
                Column("score", Text("异常分", "score"), width=80),
            ),
            place=(0, 30, 16, 8),
        ),
        Panel(
            10,
            "bargauge",
            Text("这一起的主动告知", "Messages about the chosen incident"),
            Text(
                "为所选事件给客户的主动告知各处在哪一步。停在“待批准”就去批准，有“失败”就查渠道。",
                "How far the messages to customers about the chosen incident have come. Approve what is proposed; with"
                " failures, check the channel.",
            ),
            in_words(
                PUSH_STATES,
                f"""
SELECT {WORD} AS state, countIf(newest = name) AS pushes
FROM (
    SELECT argMax(state, (at, indexOf([{_PUSH_STATES}], state))) AS newest
    FROM pushes FINAL WHERE {_INCIDENT} GROUP BY push
) AS told
RIGHT JOIN (SELECT arrayJoin([{_PUSH_STATES}]) AS name) AS names ON told.newest = names.name
GROUP BY name ORDER BY indexOf([{_PUSH_STATES}], name)
""".strip(),
            ),
            "short",
            columns=(
                Column("state", Text("状态", "state")),
                Column("pushes", Text("条", "messages"), colour=ACCENT),
            ),
            place=(16, 30, 8, 8),
            minimum=0,
        ),
        Panel(
            11,
            "table",
            Text("这一起的证据", "Evidence of the chosen incident"),
            Text(
                "立案所凭的原始记录，已脱敏，最新的在前。读十条就知道是不是真的；点主题或代码看它在别处的情形。",
                "The masked records behind the chosen incident, newest first. Ten of them tell whether it is real;"
                " click a topic or a code to see it elsewhere.",
            ),
            f"""
SELECT ts, kind, channel, product, model, firmware, region, topic, code, text, id
FROM events FINAL
WHERE ts >= (SELECT min(first_seen) - INTERVAL 1 DAY FROM incidents WHERE {_INCIDENT})
  AND ts <= (SELECT max(at) FROM incidents WHERE {_INCIDENT})
  AND id IN (
    SELECT arrayJoin(JSONExtract(record, 'evidence', 'Array(String)')) FROM newest_incidents WHERE {_INCIDENT}
  )
ORDER BY ts DESC, id LIMIT 500
""".strip(),
            "none",
            columns=(
                Column("ts", Text("时刻", "at"), width=165),
                Column("kind", Text("来源", "kind"), width=80),
                Column("channel", Text("渠道", "channel"), width=80),
                Column("product", Text("产品", "product"), width=110),
                Column("model", Text("型号", "model"), width=80),
                Column("firmware", Text("固件", "firmware"), width=80),
                Column("region", Text("地区", "region"), width=80),
                Column(
                    "topic",
                    Text("主题", "topic"),
                    width=100,
                    link="/d/qianshao-service?var-topic=${__value.raw:percentencode}&${__url_time_range}",
                    link_title=Text("这个主题的走势", "This topic over time"),
                ),
                Column(
                    "code",
                    Text("代码", "code"),
                    width=80,
                    link="/d/qianshao-devices?var-code=${__value.raw:percentencode}&${__url_time_range}",
                    link_title=Text("这个代码的分布", "Where this code is seen"),
                ),
                Column("text", Text("原文（已脱敏）", "text (masked)")),
                Column("id", Text("记录号", "event"), width=150),
            ),
            place=(0, 38, 24, 12),
        ),
        Panel(
            12,
            "timeseries",
            Text("各级别立案数", "Opened by severity"),
            Text(
                "每天立案多少起、什么级别。长期增多时看误报预算与判定记录。",
                "How many are opened a day, and how severe. If they grow for long, see the false-alarm budget.",
            ),
            """
SELECT toStartOfInterval(assumeNotNull(opened_at), INTERVAL greatest($__interval_s, 3600) second) AS time,
       countIf(severity = 'P1') AS p1, countIf(severity = 'P2') AS p2, countIf(severity = 'P3') AS p3,
       countIf(severity = 'P4') AS p4
FROM newest_incidents
WHERE opened_at >= $__fromTime_ms AND opened_at <= $__toTime_ms
GROUP BY time ORDER BY time
""".strip(),
            "short",
            columns=tuple(
                Column(each.value.lower(), each.text, colour=each.colour, style="bars") for each in SEVERITIES
            ),
            place=(0, 50, 24, 7),
            interval="1h",
            stacked=True,
        ),
    ),
)
