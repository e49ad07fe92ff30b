"""The report of a labelled replay: the product beside the rules that managers use today, as table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detectors.rules import RuleEvents, RuleRecord, SeriesHours, fixed_threshold, hourly_z
from qianshao.app.card import Lead
from qianshao.app.scoring import Record, Score, Truth, TruthRow, score, score_records
from qianshao.clock import MINUTE_MS, to_rfc3339
from qianshao.incident import IncidentChange
from sinks.queries import EventColumns

SUMMARY_KEYS: tuple[str, ...] = (
    "precision",
    "recall",
    "severe_recall",
    "duplicate_reports",
    "delay_minutes_p50",
    "delay_minutes_p90",
    "customers_seen_p50",
)
"""The figures that `summary.json` carries when there is a truth."""

FURTHER_KEYS: tuple[str, ...] = (
    "reports",
    "detected",
    "incidents",
    "merged_reports",
    "false_reports",
    "false_reports_per_day",
    "customers_seen_p90",
    "dims_exact",
    "dims_partial",
    "dims_wrong",
)

THRESHOLDS: tuple[int, ...] = (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86, 103, 124, 149)
"""Thresholds that are tried when tuning; finer steps where a customer more or less matters."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Three scores on one truth."""

    product: Score
    fixed: Score
    """The fixed threshold at its best on this very truth, which no manager can have."""
    threshold: int
    hourly: Score


def rule_events(columns: EventColumns) -> RuleEvents:
    """Take from the store's events the columns that the rules look at."""
    return RuleEvents(
        id=columns.id.tolist(),
        ts=columns.ts,
        kind=columns.kind.tolist(),
        role=columns.role.tolist(),
        product=columns.product.tolist(),
        topic=columns.topic.tolist(),
        type=columns.type.tolist(),
        code=columns.code.tolist(),
        customer=columns.customer.tolist(),
    )


def compare(changes: Iterable[IncidentChange], truth: Truth, events: RuleEvents) -> Comparison:
    """Score the product's incidents and both rules on the same events and the same truth.

    Parameters
    ----------
    changes
        The records of `incidents.jsonl`.
    truth
        The labels.
    events
        The counted events of the run, ordered by (`ts`, `id`): `rule_events` of what the store holds.

    Notes
    -----
    The fixed threshold is tuned: it gets the one of `THRESHOLDS` with the highest F1 on this truth; on a tie the lower,
    which alarms earlier. Takes seconds for half a million events.
    """
    times = {event: int(ts) for event, ts in zip(events.id, events.ts, strict=True)}
    customers = {event: str(who) for event, who in zip(events.id, events.customer, strict=True) if who}
    hours = SeriesHours(events)

    def rule_score(records: Iterable[RuleRecord]) -> Score:
        return score_records(map(rule_record, records), truth, customers, times)

    fixed, threshold = rule_score(fixed_threshold(hours, THRESHOLDS[0])), THRESHOLDS[0]
    for candidate in THRESHOLDS[1:]:
        tried = rule_score(fixed_threshold(hours, candidate))
        if tried.f1 > fixed.f1:
            fixed, threshold = tried, candidate
        if not tried.reports:
            break
    return Comparison(
        product=score(changes, truth, customers, times),
        fixed=fixed,
        threshold=threshold,
        hourly=rule_score(hourly_z(hours)),
    )


def rule_record(record: RuleRecord) -> Record:
    """Put a rule's record in the form in which reports are scored; its dimensions are those of its series."""
    return Record(
        incident=record.report,
        version=record.version,
        at=record.at,
        opened_at=record.opened_at,
        evidence=record.evidence,
        dims=dict(record.series.dims),
        title=str(record.series),
    )


def leads(product: Score, fixed: Score) -> dict[str, Lead]:
    """Say for each report how much earlier it was true than the fixed threshold's first true report of the same cause.

    A report that is true of nothing has no lead: it is not in the answer.
    """
    first = {row.incident: row.detected_at for row in fixed.truth_rows}
    answer = {}
    for row in product.report_rows:
        if row.truth is not None and row.true_at is not None:
            theirs = first[row.truth]
            answer[row.incident] = Lead(minutes=None if theirs is None else (theirs - row.true_at) / MINUTE_MS)
    return answer


def summary_figures(product: Score) -> dict[str, float | int | None]:
    """Give the keys of `summary.json` that need a truth; null where nothing stands in the denominator."""
    return {key: _rounded(getattr(product, key)) for key in SUMMARY_KEYS}


def as_mapping(comparison: Comparison) -> dict[str, object]:
    """Give the whole comparison as plain JSON values: figures of all three, and one row per truth incident."""
    return {
        "product": _figures(comparison.product),
        "fixed_threshold": {"threshold_customers_per_hour": comparison.threshold, **_figures(comparison.fixed)},
        "hourly_z_score": _figures(comparison.hourly),
        "incidents": [
            {
                "incident": row.incident,
                "kind": row.kind,
                "severe": row.severe,
                "start": row.start,
                "report": row.report,
                "delay_minutes": _rounded(row.delay_minutes),
                "customers_seen": row.customers_seen,
                "dims": row.dims_report,
                "dims_truth": row.dims_truth,
                "dims_verdict": row.dims_verdict,
                "duplicates": row.duplicates,
                "fixed_threshold_delay_minutes": _rounded(fixed.delay_minutes),
                "hourly_z_score_delay_minutes": _rounded(hourly.delay_minutes),
            }
            for row, fixed, hourly in _rows(comparison)
        ],
    }


def as_table(comparison: Comparison, zone: ZoneInfo) -> RenderableType:
    """Draw the comparison for a terminal: the figures side by side, every truth incident, every false report."""
    figures = Table(title="与现行规则比较")
    figures.add_column("指标", no_wrap=True)
    for name in ("前哨", f"固定阈值（最优 {comparison.threshold} 人/小时）", "每小时 z 分数"):
        figures.add_column(name, justify="right")
    columns = (comparison.product, comparison.fixed, comparison.hourly)
    figures.add_row("报告 / 命中 / 真实事件", *(f"{one.reports} / {one.detected} / {one.incidents}" for one in columns))
    for label, key, percent in _LINES:
        figures.add_row(label, *(_shown(getattr(one, key), percent) for one in columns))

    incidents = Table(title="逐个事件")
    for name in (
        "事件",
        "类型",
        "严重",
        "开始",
        "延迟（分）",
        "已见客户",
        "维度",
        "重复",
        "固定阈值（分）",
        "z 分数（分）",
    ):
        incidents.add_column(name, overflow="fold")
    for row, fixed, hourly in _rows(comparison):
        incidents.add_row(
            Text(row.incident),
            Text(row.kind),
            "是" if row.severe else "",
            row.start[5:16].replace("T", " "),
            "漏报" if row.report is None else _shown(row.delay_minutes),
            _shown(row.customers_seen),
            "" if row.dims_verdict is None else _DIMS[row.dims_verdict],
            str(row.duplicates or ""),
            "漏报" if fixed.report is None else _shown(fixed.delay_minutes),
            "漏报" if hourly.report is None else _shown(hourly.delay_minutes),
        )

    wrong = [row for row in comparison.product.report_rows if row.verdict in ("false", "duplicate")]
    parts: list[RenderableType] = [figures, incidents]
    if wrong:
        reports = Table(title="误报与重复")
        for name in ("报告", "时间", "判定", "标题"):
            reports.add_column(name, overflow="fold")
        for report in wrong:
            when = to_rfc3339(report.opened_at, zone)[5:16].replace("T", " ")
            judged = "误报" if report.verdict == "false" else f"重复：{report.truth}"
            reports.add_row(Text(report.incident), when, Text(judged), Text(report.title))
        parts.append(reports)
    return Group(*parts)


_DIMS = {"exact": "准确", "partial": "部分", "wrong": "错误"}

_LINES: tuple[tuple[str, str, bool], ...] = (
    ("精确率 precision", "precision", True),
    ("召回率 recall", "recall", True),
    ("严重事件召回率 severe_recall", "severe_recall", True),
    ("重复报告 duplicate_reports", "duplicate_reports", False),
    ("误报 false_reports", "false_reports", False),
    ("每天误报 false_reports_per_day", "false_reports_per_day", False),
    ("延迟中位数（分） delay_minutes_p50", "delay_minutes_p50", False),
    ("延迟 P90（分） delay_minutes_p90", "delay_minutes_p90", False),
    ("已见客户中位数 customers_seen_p50", "customers_seen_p50", False),
    ("维度准确 dims_exact", "dims_exact", True),
    ("维度部分 dims_partial", "dims_partial", True),
    ("维度错误 dims_wrong", "dims_wrong", True),
)


def _rows(comparison: Comparison) -> Iterable[tuple[TruthRow, TruthRow, TruthRow]]:
    columns = (comparison.product, comparison.fixed, comparison.hourly)
    return zip(*(one.truth_rows for one in columns), strict=True)


def _figures(one: Score) -> dict[str, float | int | None]:
    return {key: _rounded(getattr(one, key)) for key in (*SUMMARY_KEYS, *FURTHER_KEYS)}


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 4) if isinstance(value, float) else value


def _shown(value: float | int | None, percent: bool = False) -> str:
    if value is None:
        return "—"
    if percent:
        return f"{value:.0%}"
    return str(value) if isinstance(value, int) else f"{value:.1f}"
