"""Panels, variables and dashboards as typed values, and the classic dashboard JSON that Grafana reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sinks.dashboards.words import CALM, SEVERITIES, Choice, Language, Text

Json = dict[str, object]

PLUGIN = "grafana-clickhouse-datasource"
DATASOURCE_UID = "qianshao-clickhouse"
"""The data source that we provision; every dashboard lets people choose another."""
SCHEMA_VERSION = 39
TAG = "qianshao"
"""On every dashboard and every incident annotation."""
CHOSEN_SOURCE: Json = {"type": PLUGIN, "uid": "${datasource}"}
ALL = "__all"
"""What the "All" entry of a variable puts into a query; no value of ours begins with underscores."""

_NOTHING = Text("", "")
Shape = Literal["timeseries", "table", "stat", "bargauge", "state-timeline"]


@dataclass(frozen=True)
class Column:
    """How one column of a query is shown."""

    name: str
    title: Text
    unit: str = ""
    colour: str = ""
    choices: tuple[Choice, ...] = ()
    """Stored words that are shown in both languages and in colour."""
    link: str = ""
    """Address a value leads to."""
    link_title: Text = _NOTHING
    width: int = 0
    style: Literal["", "line", "dashed", "edge", "band", "bars", "hidden"] = ""
    """Time series only: `edge` is the lower end of a band, `band` the upper one, filled down to the edge."""
    down_to: str = ""
    """With `band`: name of the column that is the lower end."""


@dataclass(frozen=True)
class Step:
    """From `value` on, the panel takes this colour."""

    value: float
    colour: str


@dataclass(frozen=True)
class Panel:
    """One picture with its question.

    `number` is its stable id inside the dashboard: links and alert rules point at it, so it is never given again.
    """

    number: int
    shape: Shape
    title: Text
    description: Text
    """What it answers, and what to do about it."""
    sql: str | Text
    """The query; a pair where its answer holds words for people."""
    unit: str
    columns: tuple[Column, ...] = ()
    place: tuple[int, int, int, int] = (0, 0, 0, 0)
    """x, y, width, height on the 24-column grid."""
    steps: tuple[Step, ...] = ()
    decimals: int | None = None
    series: str = ""
    """Time series in long form: the column that names the series."""
    stacked: bool = False
    choices: tuple[Choice, ...] = ()
    """Number i stands for choice i: what a state timeline shows."""
    minimum: float | None = None
    maximum: float | None = None
    interval: str = ""
    """Finest step of time worth asking for."""


@dataclass(frozen=True)
class Variable:
    """A drop-down that narrows every panel."""

    name: str
    label: Text
    sql: str = ""
    choices: tuple[Choice, ...] = ()
    """A fixed list instead of a query."""
    several: bool = True
    """Several values may be chosen, and all of them; otherwise exactly one."""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: Text
    description: Text
    variables: tuple[Variable, ...]
    panels: tuple[Panel, ...]
    refresh: str = "1m"
    since: str = "now-24h"
    incidents_shown: bool = True
    """Whether incidents are drawn over the time series."""


def dashboard_json(dashboard: Dashboard, language: Language, siblings: Sequence[Dashboard]) -> Json:
    """Return the dashboard as Grafana reads it, the same on every call: no id, no version, no time of making."""
    return {
        "annotations": {"list": _annotations(dashboard, language)},
        "description": dashboard.description.into(language),
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [
            {
                "asDropdown": False,
                "icon": "dashboard",
                "includeVars": False,
                "keepTime": True,
                "tags": [],
                "targetBlank": False,
                "title": other.title.into(language),
                "tooltip": "",
                "type": "link",
                "url": f"/d/{other.uid}",
            }
            for other in siblings
            if other.uid != dashboard.uid
        ],
        "panels": [_panel(panel, language) for panel in dashboard.panels],
        "refresh": dashboard.refresh,
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": [_source(), *(_variable(variable, language) for variable in dashboard.variables)]},
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": dashboard.title.into(language),
        "uid": dashboard.uid,
        "weekStart": "monday",
    }


def query(panel: Panel, language: Language) -> str:
    """Return a panel's query as it stands in the dashboard, with its macros and variables."""
    return panel.sql.into(language) if isinstance(panel.sql, Text) else panel.sql


def target(sql: str, *, time_series: bool) -> Json:
    """Return one query in the plugin's own model."""
    return {
        "datasource": CHOSEN_SOURCE,
        "editorType": "sql",
        "format": 0 if time_series else 1,
        "queryType": "timeseries" if time_series else "table",
        "rawSql": sql,
        "refId": "A",
    }


def _annotations(dashboard: Dashboard, language: Language) -> list[Json]:
    listed: list[Json] = [
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        }
    ]
    if not dashboard.incidents_shown:
        return listed
    listed.extend(
        {
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": False,
            "iconColor": severity.colour,
            "name": f"{Text('事件', 'Incident').into(language)} {severity.value}",
            "target": {"limit": 200, "matchAny": False, "tags": [TAG, severity.value], "type": "tags"},
        }
        for severity in SEVERITIES
    )
    return listed


def _source() -> Json:
    return {
        "current": {"selected": True, "text": DATASOURCE_UID, "value": DATASOURCE_UID},
        "hide": 0,
        "includeAll": False,
        "label": "ClickHouse",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": PLUGIN,
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def _variable(variable: Variable, language: Language) -> Json:
    body: Json = {
        "hide": 0,
        "includeAll": variable.several,
        "label": variable.label.into(language),
        "multi": variable.several,
        "name": variable.name,
        "skipUrlSync": False,
    }
    everything = Text("全部", "All").into(language)
    if variable.several:
        body["allValue"] = ALL
        body["current"] = {"selected": True, "text": [everything], "value": ["$__all"]}
    else:
        body["current"] = {}
    if variable.choices:
        body["type"] = "custom"
        body["query"] = ",".join(f"{each.text.into(language)} : {each.value}" for each in variable.choices)
        body["options"] = [
            {"selected": False, "text": each.text.into(language), "value": each.value} for each in variable.choices
        ]
        return body
    return body | {
        "type": "query",
        "datasource": CHOSEN_SOURCE,
        "definition": variable.sql,
        "options": [],
        "query": {"editorType": "sql", "queryType": "table", "rawSql": variable.sql, "refId": variable.name},
        # 1 = when the dashboard is opened, 2 = also when its time range changes.
        "refresh": 2,
        "regex": "",
        "sort": 0,
    }


def _panel(panel: Panel, language: Language) -> Json:
    x, y, width, height = panel.place
    body: Json = {
        "datasource": CHOSEN_SOURCE,
        "description": panel.description.into(language),
        "fieldConfig": {
            "defaults": _defaults(panel, language),
            "overrides": [_override(column, panel, language) for column in panel.columns],
        },
        "gridPos": {"h": height, "w": width, "x": x, "y": y},
        "id": panel.number,
        "options": _options(panel),
        "targets": [target(query(panel, language), time_series=panel.shape in ("timeseries", "state-timeline"))],
        "title": panel.title.into(language),
        "transparent": False,
        "type": panel.shape,
    }
    if panel.interval:
        body["interval"] = panel.interval
    return body


def _defaults(panel: Panel, language: Language) -> Json:
    steps: list[Json] = [{"color": CALM, "value": None}]
    steps.extend({"color": step.colour, "value": step.value} for step in panel.steps)
    body: Json = {
        "color": {"mode": "thresholds" if panel.steps or panel.shape != "timeseries" else "palette-classic"},
        "custom": _custom(panel),
        "mappings": _numbered(panel.choices, language),
        "noValue": Text("无", "none").into(language),
        "thresholds": {"mode": "absolute", "steps": steps},
        "unit": panel.unit,
    }
    if panel.shape == "timeseries":
        body["color"] = {"mode": "palette-classic"}
    if panel.series:
        body["displayName"] = f"${{__field.labels.{panel.series}}}"
    for name, value in (("decimals", panel.decimals), ("min", panel.minimum), ("max", panel.maximum)):
        if value is not None:
            body[name] = value
    return body


def _custom(panel: Panel) -> Json:
    if panel.shape == "table":
        return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True, "inspect": True}
    if panel.shape == "state-timeline":
        return {"fillOpacity": 75, "lineWidth": 0, "spanNulls": True}
    if panel.shape != "timeseries":
        return {}
    return {
        "axisSoftMin": 0,
        "drawStyle": "bars" if panel.stacked else "line",
        "fillOpacity": 60 if panel.stacked else 8,
        "lineInterpolation": "linear",
        "lineWidth": 1 if panel.stacked else 2,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
    }


def _options(panel: Panel) -> Json:
    reduce: Json = {"calcs": ["lastNotNull"], "fields": "", "values": panel.shape == "bargauge"}
    if panel.shape == "table":
        return {
            "cellHeight": "sm",
            "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
            "showHeader": True,
        }
    if panel.shape == "stat":
        return {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": reduce,
            "textMode": "auto",
            "wideLayout": True,
        }
    if panel.shape == "bargauge":
        return {
            "displayMode": "basic",
            "namePlacement": "left",
            "orientation": "horizontal",
            "reduceOptions": reduce,
            "showUnfilled": True,
            "sizing": "auto",
            "valueMode": "text",
        }
    if panel.shape == "state-timeline":
        return {
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        }
    return {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _override(column: Column, panel: Panel, language: Language) -> Json:
    properties: list[Json] = [{"id": "displayName", "value": column.title.into(language)}]

    def put(name: str, value: object) -> None:
        properties.append({"id": name, "value": value})

    if column.unit:
        put("unit", column.unit)
    if column.width:
        put("custom.width", column.width)
    if column.choices:
        put("mappings", _named(column.choices, language))
        put("custom.cellOptions", {"type": "color-text"})
    if column.colour:
        put("color", {"fixedColor": column.colour, "mode": "fixed"})
    if column.link:
        put("links", [{"targetBlank": False, "title": column.link_title.into(language), "url": column.link}])
    if column.style == "dashed":
        put("custom.lineStyle", {"dash": [8, 6], "fill": "dash"})
        put("custom.fillOpacity", 0)
    elif column.style in ("edge", "band"):
        put("custom.lineWidth", 0)
        put("custom.fillOpacity", 25 if column.style == "band" else 0)
        put("custom.showPoints", "never")
        if column.down_to:
            lower = next(each for each in panel.columns if each.name == column.down_to)
            put("custom.fillBelowTo", lower.title.into(language))
    elif column.style == "bars":
        put("custom.drawStyle", "bars")
        put("custom.fillOpacity", 60)
    elif column.style == "hidden":
        put("custom.hidden", True)
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _named(choices: Sequence[Choice], language: Language) -> list[Json]:
    return [
        {
            "options": {
                each.value: {"color": each.colour, "index": index, "text": each.text.into(language)}
                for index, each in enumerate(choices)
            },
            "type": "value",
        }
    ]


def _numbered(choices: Sequence[Choice], language: Language) -> list[Json]:
    if not choices:
        return []
    return [
        {
            "options": {
                str(index): {"color": each.colour, "index": index, "text": each.text.into(language)}
                for index, each in enumerate(choices)
            },
            "type": "value",
        }
    ]
