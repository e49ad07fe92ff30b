"""Alert rules for Grafana: what must reach a person even when nobody looks at a dashboard."""

from __future__ import annotations

from typing import NamedTuple

from sinks.dashboards.panels import DATASOURCE_UID, PLUGIN, Json
from sinks.dashboards.words import Language, Text

ALERT_GROUP = "qianshao"
ALERT_INTERVAL_SECONDS = 60


class _Rule(NamedTuple):
    uid: str
    title: Text
    summary: Text
    description: Text
    sql: str
    above: float
    wait: str
    severity: str
    dashboard: str
    panel: int
    silence_alerts: bool = False
    """Whether an answer without rows is itself the alarm."""


_RULES: tuple[_Rule, ...] = (
    _Rule(
        "qianshao-open-incident",
        Text("前哨：有未接手的 P1/P2 事件", "Qianshao: a P1 or P2 incident nobody has taken"),
        Text("{{ $values.A }} 起 P1/P2 事件无人接手", "{{ $values.A }} P1/P2 incidents wait for somebody"),
        Text(
            "打开“事件”看板看证据，接手或排除它。",
            "Open the Incidents dashboard, look at the evidence, then acknowledge or dismiss it.",
        ),
        "SELECT count() AS value FROM newest_incidents WHERE status = 'open' AND severity IN ('P1', 'P2')",
        0,
        "0s",
        "critical",
        "qianshao-incidents",
        3,
    ),
    _Rule(
        "qianshao-pipeline-behind",
        Text("前哨：流水线落后", "Qianshao: the pipeline is behind"),
        Text("决策落后 {{ $values.A }} 秒", "Decisions are {{ $values.A }} seconds behind"),
        Text(
            "看“流水线”看板：有待读记录则加进程或查负载；没有则查上游是否停送。",
            "See the Pipeline dashboard: with records waiting add workers, without any check what feeds the topics.",
        ),
        "SELECT max(dateDiff('second', watermark, at)) AS value FROM pulses FINAL\n"
        "WHERE at >= now() - INTERVAL 5 MINUTE AND toUnixTimestamp64Milli(watermark) > 0",
        300,
        "5m",
        "warning",
        "qianshao-pipeline",
        2,
    ),
    _Rule(
        "qianshao-dead-letters",
        Text("前哨：死信过多", "Qianshao: too many dead letters"),
        Text("最近 30 分钟死信占 {{ $values.A }}%", "{{ $values.A }} % of the last 30 minutes are dead letters"),
        Text(
            "看“流水线”看板的死信原因，多半是上游改了格式。",
            "See the reasons on the Pipeline dashboard; usually a sender has changed its format.",
        ),
        "SELECT 100 * sum(dead) / greatest(sum(read), 1) AS value FROM (\n"
        "  SELECT max(dead) - min(dead) AS dead, max(read) - min(read) AS read FROM pulses FINAL\n"
        "  WHERE at >= now() - INTERVAL 30 MINUTE GROUP BY source)",
        5,
        "5m",
        "warning",
        "qianshao-pipeline",
        5,
    ),
    _Rule(
        "qianshao-silent",
        Text("前哨：前哨自己没有声音", "Qianshao: Qianshao itself is silent"),
        Text("五分钟内没有心跳", "No sign of life for five minutes"),
        Text(
            "预警已经停了：查进程是否在运行（qianshao status），再看它的日志。",
            "Nothing is being watched: see whether the service runs (qianshao status), then its log.",
        ),
        "SELECT if(count() = 0, 1, 0) AS value FROM pulses WHERE at >= now() - INTERVAL 5 MINUTE",
        0,
        "1m",
        "critical",
        "qianshao-pipeline",
        1,
        silence_alerts=True,
    ),
)


def alert_rules(language: Language) -> list[Json]:
    """Return the alert rules in the shape of Grafana's provisioning, for files and for its interface alike.

    Each has `uid`, `title`, `condition`, `data`, `noDataState`, `execErrState`, `for`, `annotations`, `labels` and
    `isPaused`. Where a rule lives is added by who sends it: folder, group (`ALERT_GROUP`) and organisation. The query
    asks the data source `DATASOURCE_UID` for one number; the rule fires when it stays above the threshold.
    """
    return [_rule(rule, language) for rule in _RULES]


def _rule(rule: _Rule, language: Language) -> Json:
    return {
        "uid": rule.uid,
        "title": rule.title.into(language),
        "condition": "B",
        "data": [
            {
                "refId": "A",
                "queryType": "table",
                "relativeTimeRange": {"from": 1800, "to": 0},
                "datasourceUid": DATASOURCE_UID,
                "model": {
                    "datasource": {"type": PLUGIN, "uid": DATASOURCE_UID},
                    "editorType": "sql",
                    "format": 1,
                    "intervalMs": 60_000,
                    "maxDataPoints": 100,
                    "queryType": "table",
                    "rawSql": rule.sql,
                    "refId": "A",
                },
            },
            {
                "refId": "B",
                "queryType": "",
                "relativeTimeRange": {"from": 0, "to": 0},
                "datasourceUid": "__expr__",
                "model": {
                    "conditions": [{"evaluator": {"params": [rule.above], "type": "gt"}}],
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                    "expression": "A",
                    "refId": "B",
                    "type": "threshold",
                },
            },
        ],
        "noDataState": "Alerting" if rule.silence_alerts else "OK",
        "execErrState": "Alerting" if rule.silence_alerts else "Error",
        "for": rule.wait,
        "annotations": {
            "summary": rule.summary.into(language),
            "description": rule.description.into(language),
            "__dashboardUid__": rule.dashboard,
            "__panelId__": str(rule.panel),
        },
        "labels": {"service": "qianshao", "severity": rule.severity},
        "isPaused": False,
    }
