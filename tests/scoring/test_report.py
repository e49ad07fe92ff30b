"""The report: the product and both rules on one truth, and what each earlier minute is measured against."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from rich.console import Console

from detectors.rules import RuleEvents
from qianshao.app.report import (
    SUMMARY_KEYS,
    Comparison,
    as_mapping,
    as_table,
    compare,
    leads,
    rule_events,
    summary_figures,
)
from qianshao.app.scoring import Truth, TruthIncident
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, to_rfc3339
from qianshao.incident import About, IncidentChange
from sinks.queries import EventColumns

ZONE = ZoneInfo("Asia/Shanghai")
T0 = 1_765_382_400_000
FAULT = T0 + 30 * HOUR_MS


def stamp(ts: int) -> str:
    return to_rfc3339(ts, ZONE)


def opened(name: str, at: int, evidence: list[str], title: str = "门锁离线") -> IncidentChange:
    return IncidentChange(
        incident=name,
        version=1,
        change="opened",
        status="open",
        reason="overwhelming",
        at=stamp(at),
        opened_at=stamp(at),
        first_seen=stamp(at),
        severity="P2",
        title=title,
        dims={"product": "门锁"},
        about=About(),
        signals=[],
        customers=len(evidence),
        messages=len(evidence),
        devices=0,
        keywords=[],
        quotes=[],
        evidence=evidence,
        confidence=0.9,
    )


def planted(name: str, start: int, events: list[str]) -> TruthIncident:
    return TruthIncident(
        incident=name,
        kind="outage",
        start=stamp(start),
        end=stamp(start + HOUR_MS),
        severe=True,
        dims={"product": "门锁"},
        events=events,
    )


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    # three customers an hour for two days, twenty in hour 10; from hour 30 one more each minute, for forty minutes
    rows = [
        (T0 + hour * HOUR_MS + n * MINUTE_MS, f"o{hour}-{n}", hour * 20 + n + 1)
        for hour in range(48)
        for n in range(20 if hour == 10 else 3)
    ]
    rows += [(FAULT + n * MINUTE_MS, f"f{n}", 5_000 + n) for n in range(40)]
    rows.sort()
    size = len(rows)
    events = RuleEvents(
        id=[row[1] for row in rows],
        ts=[row[0] for row in rows],
        kind=["chat"] * size,
        role=["customer"] * size,
        product=["门锁"] * size,
        topic=["设备离线"] * size,
        type=[""] * size,
        code=[""] * size,
        customer=[row[2] for row in rows],
    )
    truth = Truth([planted("F", FAULT, [f"f{n}" for n in range(40)]), planted("G", T0, ["nobody"])])
    changes = [
        opened("ours", FAULT + 3 * MINUTE_MS, ["f0", "f1", "f2"]),
        opened("noise", T0 + DAY_MS, ["o1-1"], "[bold]噪声"),
    ]
    return compare(changes, truth, events)


def test_the_fixed_threshold_gets_the_threshold_that_serves_it_best(comparison: Comparison) -> None:
    # the lowest one tried that the busy ordinary hour does not reach
    assert comparison.threshold == 24
    assert (comparison.fixed.precision, comparison.fixed.recall) == (1.0, 0.5)


def test_all_three_are_scored_on_the_same_truth(comparison: Comparison) -> None:
    assert (comparison.product.precision, comparison.product.recall) == (0.5, 0.5)
    assert (comparison.hourly.detected, comparison.hourly.delay_minutes_p50) == (1, 60.0)
    assert comparison.product.customers_seen_p50 == 4.0


def test_the_lead_is_measured_on_the_same_incident_and_only_true_reports_have_one(comparison: Comparison) -> None:
    assert set(leads(comparison.product, comparison.fixed)) == {"ours"}
    # the 24th customer of the hour is the 21st of the fault, at minute 20; ours opened at minute 3
    assert leads(comparison.product, comparison.fixed)["ours"].minutes == 17.0


def test_a_rule_that_never_fires_on_it_leaves_the_lead_open(comparison: Comparison) -> None:
    assert comparison.fixed.truth_rows[1].report is None
    swapped = leads(comparison.hourly, comparison.product)
    assert [lead.minutes for lead in swapped.values()] == [-57.0]
    unheard = compare([], Truth([]), RuleEvents([], [], [], [], [], [], [], [], []))
    assert leads(unheard.product, unheard.fixed) == {}


def test_the_summary_has_exactly_the_contracts_keys(comparison: Comparison) -> None:
    assert tuple(summary_figures(comparison.product)) == SUMMARY_KEYS
    assert summary_figures(comparison.product)["delay_minutes_p50"] == 3.0


def test_the_mapping_is_plain_json_with_a_row_per_truth_incident(comparison: Comparison) -> None:
    data = json.loads(json.dumps(as_mapping(comparison), allow_nan=False))
    assert data["fixed_threshold"]["threshold_customers_per_hour"] == 24
    assert [row["incident"] for row in data["incidents"]] == ["F", "G"]
    assert data["incidents"][0]["fixed_threshold_delay_minutes"] == 20.0
    assert data["incidents"][1]["report"] is None


def test_the_table_shows_figures_incidents_and_what_was_wrong_with_titles_as_typed(comparison: Comparison) -> None:
    out = io.StringIO()
    Console(file=out, width=160, highlight=False).print(as_table(comparison, ZONE))
    text = out.getvalue()
    for part in ("precision", "固定阈值（最优 24 人/小时）", "漏报", "误报", "[bold]噪声", "12-12 06:00"):
        assert part in text


def test_the_rules_see_the_columns_of_the_store_under_their_own_names() -> None:
    columns = {
        field.name: np.array([f"{field.name}-1", f"{field.name}-2"], dtype=object) for field in fields(EventColumns)
    }
    stored = EventColumns(
        **columns | {"ts": np.array([1, 2], dtype=np.int64)} | {"customer": np.array([7, 0], dtype=np.uint64)}
    )
    events = rule_events(stored)
    assert list(events.ts) == [1, 2]
    assert events.customer == [7, 0]
    for name in ("id", "kind", "role", "product", "topic", "type", "code"):
        assert getattr(events, name) == [f"{name}-1", f"{name}-2"]
