"""Planned work keeps what it explains from opening an incident, and no more than that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.config import Maintenance
from qianshao.desk.desk import WATCH_MS, Desk
from qianshao.desk.maintenance import GRACE_MS, explaining
from qianshao.finding import Finding, SignalKind
from qianshao.incident import IncidentChange

INSIDE = NOON + 30 * MINUTE_MS
OVER = NOON + 2 * HOUR_MS + GRACE_MS


def work(**place: str) -> Maintenance:
    """Two hours of work from noon on."""
    start, end = (datetime.fromtimestamp(ms / 1000, tz=UTC) for ms in (NOON, NOON + 2 * HOUR_MS))
    return Maintenance(name="网关升级", start=start, end=end, **place)


def at(tick: int, **fields: object) -> Finding:
    return finding(**{"customers": range(12), "tick": tick, **fields})  # type: ignore[arg-type]


def told(changes: list[IncidentChange]) -> list[tuple[str, str, str]]:
    return [(change.change, change.status, change.reason) for change in changes]


def held(target: Desk) -> str:
    changes, pushes, _ = target.advance([at(INSIDE)], INSIDE)
    assert told(changes) == [("watched", "watching", "maintenance_window")]
    assert (changes[0].maintenance, changes[0].customers, pushes) == ("网关升级", 12, [])
    return changes[0].incident


def test_what_planned_work_explains_is_recorded_and_opens_nothing() -> None:
    target = desk(work(product="门锁"))
    incident = held(target)
    again = INSIDE + 20 * MINUTE_MS
    assert target.advance([at(again, customers=range(30))], again)[:2] == ([], [])
    (faded,) = target.advance([], again + WATCH_MS)[0]
    assert (faded.incident, faded.change, faded.reason, faded.customers) == (
        incident,
        "dismissed",
        "faded_with_maintenance",
        30,
    )


def test_what_goes_on_after_the_work_should_be_over_opens() -> None:
    target = desk(work())
    incident = held(target)
    old = msgspec.structs.replace(at(INSIDE), tick=OVER + MINUTE_MS)
    assert target.advance([old], old.tick)[0] == []
    restored = desk(work())
    restored.restore(target.snapshot())
    late = OVER + 5 * MINUTE_MS
    for each in (target, restored):
        changes, pushes, _ = each.advance([at(late, customers=range(20, 32))], late)
        assert [(change.incident, *told([change])[0]) for change in changes] == [
            (incident, "opened", "open", "maintenance_overran")
        ]
        assert len(pushes) == 24


def test_what_began_before_the_work_opens_as_ever() -> None:
    target = desk(work())
    before = msgspec.structs.replace(at(NOON), tick=INSIDE)
    assert told(target.advance([before], INSIDE)[0]) == [("opened", "open", "overwhelming_rise")]


def test_an_open_incident_goes_on_through_the_work() -> None:
    target = desk(work())
    target.advance([at(NOON)], NOON)
    assert told(target.advance([at(INSIDE, customers=range(28))], INSIDE)[0]) == [("updated", "open", "more_customers")]


def test_a_resolved_incident_is_not_reopened_by_planned_work() -> None:
    target = desk(
        work(),
    )
    early = NOON - 16 * HOUR_MS
    first, _, _ = target.advance([at(early)], early)
    target.advance([], NOON)
    assert target.advance([at(INSIDE)], INSIDE)[0] == []
    changes, _, _ = target.advance([at(OVER + HOUR_MS, customers=range(50, 60))], OVER + HOUR_MS)
    assert [(change.incident, change.reason) for change in changes] == [
        (first[0].incident, "evidence_after_resolution")
    ]


def test_a_danger_opens_through_any_planned_work() -> None:
    target = desk(work())
    held(target)
    danger = at(INSIDE + MINUTE_MS, measure="danger", value="人身安全", danger="人身安全/触电", opens=False, score=3.0)
    assert explaining([work()], danger) is None
    assert told(target.advance([danger], danger.tick)[0]) == [("opened", "open", "danger_reported")]


@pytest.mark.parametrize(
    ("place", "dims", "explained"),
    [
        ({"product": "门锁"}, {"product": "门锁", "region": "华东"}, True),
        ({"product": "门锁", "region": "华东"}, {"product": "门锁", "region": "华东"}, True),
        ({"product": "门锁", "region": "华东"}, {"product": "门锁", "region": ["华东", "华北"]}, False),
        ({"product": "门锁", "region": "华东"}, {"product": "门锁"}, False),
        ({"product": "摄像头"}, {"product": "门锁"}, False),
        ({"product": "门锁"}, {}, True),
        ({"product": "摄像头"}, {}, False),
        ({"channel": "hotline"}, {}, False),
    ],
)
def test_every_dimension_that_the_work_names_must_agree(place: dict[str, str], dims: Dims, explained: bool) -> None:
    # Where no dimension explains it, the events of the finding all state the product 门锁, and no region or channel.
    assert (explaining([work(**place)], at(INSIDE, dims=dims)) is not None) == explained


def test_the_silence_of_a_channel_under_work_is_explained_and_opens_when_it_lasts() -> None:
    def silence(tick: int) -> Finding:
        return msgspec.structs.replace(
            at(tick, measure="contacts", value="", dims={"channel": "hotline"}), kind="silence", evidence=()
        )

    target = desk(work(channel="hotline"))
    assert told(target.advance([silence(INSIDE)], INSIDE)[0]) == [("watched", "watching", "maintenance_window")]
    assert told(target.advance([silence(OVER)], OVER)[0]) == [("opened", "open", "maintenance_overran")]


def test_weak_evidence_is_weak_with_or_without_planned_work() -> None:
    changes, _, _ = desk(work()).advance([at(INSIDE, opens=False, score=4.5)], INSIDE)
    assert told(changes) == [("watched", "watching", "weak_witness")]


def test_a_witness_that_planned_work_explains_is_no_second_witness() -> None:
    target = desk(work())
    weak = {"opens": False, "score": 11.0}
    target.advance([at(INSIDE, measure="ticket_type", value="故障", witness="tickets", **weak)], INSIDE)
    outside = at(OVER + HOUR_MS, **weak)
    assert [change.opened_at for change in target.advance([outside], outside.tick)[0]] == []
    ticket = at(OVER + HOUR_MS + 1, measure="ticket_type", value="故障", witness="tickets", **weak)
    changes, _, _ = target.advance([ticket], ticket.tick)
    assert [change.reason for change in changes] == ["two_witnesses"]


def test_of_two_windows_the_later_end_counts() -> None:
    short = msgspec.structs.replace(work(), name="短", end=datetime.fromtimestamp(INSIDE / 1000, tz=UTC))
    target = desk(short, work())
    held_by_both = at(INSIDE + 16 * MINUTE_MS)
    target.advance([at(INSIDE)], INSIDE)
    changes, _, _ = target.advance([held_by_both], held_by_both.tick)
    assert [change.change for change in changes] == []
    assert told(target.advance([at(OVER - MINUTE_MS)], OVER - MINUTE_MS)[0]) == []


def test_strong_evidence_of_the_work_is_told_though_the_case_was_watched_before_it() -> None:
    target = desk(work())
    target.advance([at(NOON, opens=False, score=4.5)], NOON)
    assert told(target.advance([at(INSIDE, customers=range(20, 40))], INSIDE)[0]) == [
        ("watched", "watching", "maintenance_window")
    ]


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.integers(-180, 300),
    people=st.integers(1, 40),
    kind=st.sampled_from(get_args(SignalKind)),
    product=st.sampled_from(["门锁", "摄像头"]),
)
def test_a_finding_is_explained_exactly_when_its_events_lie_inside_and_agree(
    minutes: int, people: int, kind: SignalKind, product: str
) -> None:
    tick = NOON + minutes * MINUTE_MS
    found = msgspec.structs.replace(at(tick, customers=range(people), product=product, dims={}), kind=kind)
    window = explaining([work(product="门锁")], found)
    inside = all(NOON <= event.ts < OVER for event in found.evidence)
    assert (window is not None) == (inside and product == "门锁")
