"""The dashboard of device people: which codes, on which firmware, in which region."""

from __future__ import annotations

from sinks.dashboards.panels import Column, Dashboard, Panel, Step, Variable
from sinks.dashboards.sql import SHOWN, among, at_level, lines_at, option_of_level
from sinks.dashboards.words import ACCENT, BAND, EXPECTED, OUTSIDE, WARNING, Text

_FINE = "measure = 'code' AND level = 'firmware,line,product,region'"
_CODES = at_level(("code",), among("value", "code"))
_PLACES = " AND ".join(
    (
        _FINE,
        among("value", "code"),
        *(among(f"dims['{name}']", name) for name in ("line", "product", "firmware", "region")),
        SHOWN,
    )
)

LINE = Variable("line", Text("业务线", "Business line"), lines_at("devices"))
PRODUCT = Variable("product", Text("产品", "Product"), option_of_level("dims['product']", _FINE))
CODE = Variable("code", Text("代码", "Code"), option_of_level("value", "measure = 'code' AND level = ''"))
FIRMWARE = Variable("firmware", Text("固件", "Firmware"), option_of_level("dims['firmware']", _FINE))
REGION = Variable("region", Text("地区", "Region"), option_of_level("dims['region']", _FINE))

_DEVICES = Column("devices", Text("设备数", "devices"), colour=ACCENT)
_EXPECTED = Column("expected", Text("预期", "expected"), colour=EXPECTED)


def _bars(dimension: str) -> str:
    return (
        f"SELECT dims['{dimension}'] AS {dimension}, sum(customers) AS devices\nFROM rollups FINAL\nWHERE {_PLACES}\n"
        f"GROUP BY {dimension} ORDER BY devices DESC, {dimension} LIMIT 15"
    )


DEVICES = Dashboard(
    uid="qianshao-devices",
    title=Text("前哨 · 设备", "Qianshao · Devices"),
    description=Text(
        "哪些设备代码在增多，落在哪个产品、固件、地区。",
        "Which device codes grow, and on which product, firmware and region they fall.",
    ),
    variables=(LINE, PRODUCT, CODE, FIRMWARE, REGION),
    panels=(
        Panel(
            1,
            "stat",
            Text("最近一小时上报设备", "Devices in the last hour"),
            Text(
                "所选时间末尾一小时上报日志的设备数与预期。远低于预期时，查设备接入是否中断。",
                "Devices that logged in the last hour of the range beside the expected. Far below, check the intake.",
            ),
            f"""
SELECT sum(customers) AS devices, round(sum(expected)) AS expected
FROM rollups FINAL
WHERE {at_level(("devices",))} AND bin_start >= $__toTime - INTERVAL 1 HOUR AND bin_start < $__toTime
""".strip(),
            "short",
            columns=(_DEVICES, _EXPECTED),
            place=(0, 0, 8, 4),
        ),
        Panel(
            2,
            "stat",
            Text("报代码的设备", "Devices with a code"),
            Text(
                "时间范围内报过代码的设备（同一代码每台每天计一次）。突增时看下方走势。",
                "Devices that logged a code in the range (once a day per code). If it jumps, see the codes over time.",
            ),
            f"SELECT sum(customers) AS devices FROM rollups FINAL WHERE {_CODES} AND {SHOWN}",
            "short",
            columns=(_DEVICES,),
            place=(8, 0, 8, 4),
        ),
        Panel(
            3,
            "stat",
            Text("新代码", "New codes"),
            Text(
                "时间范围内第一次出现的代码个数，与保留期内全部记录相比。新代码多半跟着新固件。",
                "Codes seen for the first time in the range, compared with everything kept. New codes often follow a"
                " new firmware.",
            ),
            """
SELECT count() AS codes FROM (
    SELECT value FROM rollups WHERE measure = 'code' AND level = '' GROUP BY value
    HAVING min(bin_start) >= $__fromTime AND min(bin_start) <= $__toTime
)
""".strip(),
            "short",
            columns=(Column("codes", Text("个", "codes")),),
            place=(16, 0, 8, 4),
            steps=(Step(1, WARNING),),
        ),
        Panel(
            4,
            "timeseries",
            Text("各代码的设备数", "Devices by code"),
            Text(
                "时间范围内设备最多的十个代码。某个代码陡升时，点图例只看它，再看下方分布。",
                "The ten codes with most devices in the range. If one jumps, click it, then see below where.",
            ),
            f"""
WITH large AS (
    SELECT value FROM rollups FINAL WHERE {_CODES} AND {SHOWN}
    GROUP BY value ORDER BY sum(customers) DESC, value LIMIT 10
)
SELECT $__timeInterval(bin_start) AS time, value AS code, sum(customers) AS devices
FROM rollups FINAL
WHERE {_CODES} AND {SHOWN} AND value IN (SELECT value FROM large)
GROUP BY time, code ORDER BY time, code
""".strip(),
            "short",
            series="code",
            stacked=True,
            place=(0, 4, 24, 9),
            interval="5m",
        ),
        Panel(
            5,
            "table",
            Text("代码 × 产品 × 固件 × 地区", "Code × product × firmware × region"),
            Text(
                "每种组合的设备数与预期，超出最多的在前；只含四个维度都有的日志。集中在一个固件上就回退或暂停推送它。",
                "Devices of every combination beside the expected, largest excess first; only logs that carry all four."
                " All on one firmware: hold or roll it back.",
            ),
            f"""
SELECT value AS code, dims['product'] AS product, dims['firmware'] AS firmware, dims['region'] AS region,
       sum(customers) AS devices, round(sum(expected), 1) AS expected, round(devices - expected, 1) AS excess,
       min(bin_start) AS first, max(bin_start) AS last
FROM rollups FINAL
WHERE {_PLACES}
GROUP BY code, product, firmware, region ORDER BY excess DESC, code, product, firmware, region LIMIT 200
""".strip(),
            "short",
            columns=(
                Column("code", Text("代码", "code"), unit="none"),
                Column("product", Text("产品", "product"), unit="none"),
                Column("firmware", Text("固件", "firmware"), unit="none"),
                Column("region", Text("地区", "region"), unit="none"),
                _DEVICES,
                Column("expected", Text("预期", "expected")),
                Column("excess", Text("超出", "excess")),
                Column("first", Text("最早", "first"), unit="dateTimeAsIso", width=165),
                Column("last", Text("最近", "last"), unit="dateTimeAsIso", width=165),
            ),
            place=(0, 13, 24, 10),
        ),
        Panel(
            6,
            "bargauge",
            Text("按固件", "By firmware"),
            Text(
                "所选代码的设备落在哪些固件上。一个固件独大时先查它的发布。",
                "On which firmware the chosen codes fall. If one stands out, look at its release.",
            ),
            _bars("firmware"),
            "short",
            columns=(Column("firmware", Text("固件", "firmware")), _DEVICES),
            place=(0, 23, 8, 9),
            minimum=0,
        ),
        Panel(
            7,
            "bargauge",
            Text("按地区", "By region"),
            Text(
                "所选代码的设备落在哪些地区。一个地区独大时查当地网络与机房。",
                "In which regions the chosen codes fall. If one stands out, check the network there.",
            ),
            _bars("region"),
            "short",
            columns=(Column("region", Text("地区", "region")), _DEVICES),
            place=(8, 23, 8, 9),
            minimum=0,
        ),
        Panel(
            8,
            "timeseries",
            Text("上报设备与预期区间", "Devices and the expected band"),
            Text(
                "上报日志的设备是否在预期区间内。跌出下限多半是接入中断，不是设备变好。",
                "Whether the devices that log stay inside their band. Below it the intake is often broken.",
            ),
            f"""
SELECT $__timeInterval(bin_start) AS time, sum(customers) AS devices, round(sum(expected), 1) AS expected,
       round(sum(low), 1) AS low, round(sum(high), 1) AS high
FROM rollups FINAL
WHERE {at_level(("devices",))} AND {SHOWN}
GROUP BY time ORDER BY time
""".strip(),
            "short",
            columns=(
                _DEVICES,
                Column("expected", Text("预期", "expected"), colour=EXPECTED, style="dashed"),
                Column("low", Text("预期下限", "low"), colour=BAND, style="edge"),
                Column("high", Text("预期上限", "high"), colour=BAND, style="band", down_to="low"),
            ),
            place=(16, 23, 8, 9),
            interval="5m",
            minimum=0,
        ),
        Panel(
            9,
            "table",
            Text("最近的设备日志", "Newest device logs"),
            Text(
                "所选时间末尾一天里带代码的设备日志，已脱敏，最新一百条。看原文判断是报错还是告警。",
                "Device logs with a code in the last day of the range, masked, the newest hundred. The text tells"
                " errors from warnings.",
            ),
            f"""
SELECT ts, code, level, product, model, firmware, region, text
FROM events FINAL
WHERE ts >= greatest($__fromTime, $__toTime - INTERVAL 1 DAY) AND ts <= $__toTime AND kind = 'device' AND code != ''
  AND {among("code", "code")} AND {among("line", "line")} AND {among("product", "product")}
  AND {among("firmware", "firmware")} AND {among("region", "region")}
ORDER BY ts DESC, id LIMIT 100
""".strip(),
            "none",
            columns=(
                Column("ts", Text("时刻", "at"), width=165),
                Column("code", Text("代码", "code"), width=80, colour=OUTSIDE),
                Column("level", Text("级别", "level"), width=70),
                Column("product", Text("产品", "product"), width=110),
                Column("model", Text("型号", "model"), width=80),
                Column("firmware", Text("固件", "firmware"), width=80),
                Column("region", Text("地区", "region"), width=80),
                Column("text", Text("原文（已脱敏）", "text (masked)")),
            ),
            place=(0, 32, 24, 9),
        ),
    ),
)
