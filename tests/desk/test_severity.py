"""How bad an incident is: monotone in every ground, told once for every rise, and never taken back while it goes on."""

from __future__ import annotations

import pytest
from desk_fakes import NOON, desk, finding, stated
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.desk.desk import Desk
from qianshao.desk.push_gate import PRIORITY
from qianshao.desk.severity import level, weigh
from qianshao.finding import Finding
from qianshao.incident import IncidentChange, Severity

CALM = {"danger": False, "silent": False, "people": 0, "growth": 1.0, "negative": 0.0, "spread": 0}


def severity(**grounds: object) -> Severity:
    return level(weigh(**{**CALM, **grounds}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grounds", "wanted"),
    [
        ({}, "P4"),
        ({"people": 10}, "P3"),
        ({"people": 30}, "P2"),
        ({"people": 100}, "P1"),
        ({"danger": True, "people": 2}, "P1"),
        ({"silent": True}, "P2"),
        ({"people": 9, "growth": 2.0}, "P4"),
        ({"people": 9, "growth": 2.0, "negative": 0.5}, "P3"),
        ({"people": 12, "growth": 2.0, "spread": 2}, "P2"),
        ({"people": 12, "growth": 2.0, "spread": 2, "negative": 1.0}, "P2"),
        ({"people": 99, "growth": 9.0, "negative": 1.0, "spread": 4}, "P2"),
        ({"silent": True, "people": 99, "growth": 9.0, "negative": 1.0, "spread": 4}, "P2"),
    ],
)
def test_the_table_is_kept(grounds: dict[str, object], wanted: Severity) -> None:
    assert severity(**grounds) == wanted


GROUNDS = st.fixed_dictionaries(
    {
        "danger": st.booleans(),
        "silent": st.booleans(),
        "people": st.integers(0, 300),
        "growth": st.floats(0, 50),
        "negative": st.floats(0, 1),
        "spread": st.integers(0, 4),
    }
)


@settings(max_examples=300)
@given(one=GROUNDS, other=GROUNDS, name=st.sampled_from(sorted(CALM)))
def test_no_ground_that_rises_makes_an_incident_less_severe(
    one: dict[str, float], other: dict[str, float], name: str
) -> None:
    higher = {**one, name: max(one[name], other[name])}
    assert PRIORITY[severity(**higher)] <= PRIORITY[severity(**one)]


@settings(max_examples=300)
@given(grounds=GROUNDS)
def test_only_danger_and_a_hundred_people_are_of_the_first_severity(grounds: dict[str, float]) -> None:
    assert (severity(**grounds) == "P1") == (bool(grounds["danger"]) or grounds["people"] >= 100)


def spoken(customers: range, tick: int = NOON, **fields: object) -> Finding:
    """Findings whose events state what `fields` says; `sentiment`, `channel` and `region` go to the events."""
    events = {name: fields.pop(name) for name in ("sentiment", "channel", "region") if name in fields}
    return stated(finding(customers=customers, tick=tick, **fields), **events)  # type: ignore[arg-type]


def advance(target: Desk, *found: Finding) -> list[IncidentChange]:
    return target.advance(list(found), max(each.tick for each in found))[0]


def rises(changes: list[IncidentChange]) -> list[tuple[str, str, str]]:
    return [(change.change, change.reason, change.severity) for change in changes]


def test_a_rise_is_one_message_with_its_reason_and_no_update_beside_it() -> None:
    target = desk()
    assert rises(advance(target, spoken(range(12)))) == [("opened", "overwhelming_rise", "P3")]
    assert rises(advance(target, spoken(range(40), NOON + MINUTE_MS))) == [("escalated", "more_customers", "P2")]
    assert rises(advance(target, spoken(range(120), NOON + 2 * MINUTE_MS))) == [("escalated", "more_customers", "P1")]
    assert rises(advance(target, spoken(range(240), NOON + 3 * MINUTE_MS))) == [("updated", "more_customers", "P1")]


def test_danger_that_is_named_later_escalates() -> None:
    target = desk()
    advance(target, spoken(range(12)))
    danger = spoken(range(12), NOON + MINUTE_MS, measure="danger", value="人身安全", danger="人身安全/触电")
    assert rises(advance(target, danger)) == [("escalated", "danger_reported", "P1")]


def test_fast_growth_and_anger_lift_one_level_together() -> None:
    target = desk()
    advance(target, spoken(range(12), sentiment=0.1))
    later = NOON + 3 * HOUR_MS
    assert rises(advance(target, spoken(range(12, 27), later, sentiment=-0.9))) == [
        ("escalated", "growing_faster", "P2")
    ]


def test_anger_alone_lifts_nothing() -> None:
    assert rises(advance(desk(), spoken(range(12), sentiment=-0.9))) == [("opened", "overwhelming_rise", "P3")]


def test_spreading_over_channels_with_a_second_witness_counts_as_one_ground() -> None:
    target = desk()
    advance(target, spoken(range(12), sentiment=-0.9, channel="app"))
    web = spoken(range(12), NOON + MINUTE_MS, value="a", sentiment=-0.9, channel="web")
    hotline = spoken(range(12), NOON + MINUTE_MS, value="b", sentiment=-0.9, channel="hotline")
    assert "escalated" not in [change.change for change in advance(target, web, hotline)]
    ticket = spoken(
        range(12), NOON + 2 * MINUTE_MS, measure="ticket_type", value="故障", witness="tickets", channel="app"
    )
    assert rises(advance(target, ticket)) == [("escalated", "spreading", "P2")]


def test_what_was_told_does_not_become_less_severe_until_it_is_over() -> None:
    target = desk()
    advance(target, spoken(range(12), sentiment=0.1))
    later = NOON + 3 * HOUR_MS
    advance(target, spoken(range(12, 27), later, sentiment=-0.9))
    ticket = spoken(
        range(27, 29), later + 3 * HOUR_MS, measure="ticket_type", value="故障", witness="tickets", sentiment=0.1
    )
    assert rises(advance(target, ticket)) == [("updated", "another_witness", "P2")]
    assert [change.change for change in target.advance([], later + 20 * HOUR_MS)[0]] == ["resolved"]


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 150), st.integers(1, 60), st.integers(1, 120), st.floats(-1, 1), st.sampled_from("abcd")
        ),
        max_size=15,
    )
)
def test_an_incident_escalates_at_most_once_for_every_rise(steps: list[tuple[int, int, int, float, str]]) -> None:
    target, tick = desk(), NOON
    changes = advance(target, spoken(range(12)))
    for first, people, minutes, sentiment, channel in steps:
        tick += minutes * MINUTE_MS
        changes += advance(
            target, spoken(range(first, first + people), tick, sentiment=sentiment, channel=channel, region=channel)
        )
    standing: dict[str, Severity] = {}
    for change in changes:
        before = standing.get(change.incident)
        if before is not None and change.change in ("updated", "escalated"):
            assert (change.change == "escalated") == (PRIORITY[change.severity] < PRIORITY[before])
            assert PRIORITY[change.severity] <= PRIORITY[before]
        standing[change.incident] = change.severity
