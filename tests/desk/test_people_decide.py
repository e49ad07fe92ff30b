"""People's decisions at the desk: what each does, what is refused and why, and what can never happen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from desk_fakes import NOON, desk, finding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qianshao.action import Action, ActionKind, ActionOutcome
from qianshao.clock import AWAKE_FROM, AWAKE_UNTIL, DAY_MS, HOUR_MS, MINUTE_MS, from_rfc3339
from qianshao.desk.correlate import COMES_BACK_MS
from qianshao.desk.desk import ABSORB_MS, MAX_ACTIONS, RESOLVE_MS, Desk
from qianshao.finding import Finding
from qianshao.incident import IncidentChange
from qianshao.push import Push

NUMBER = count()


def act(kind: ActionKind, incident: str = "", **fields: object) -> Action:
    name = fields.pop("id", None) or f"a{next(NUMBER)}"
    return Action(id=name, action=kind, at=NOON, by="李工", incident=incident, **fields)  # type: ignore[arg-type]


def do(target: Desk, tick: int, *actions: Action) -> tuple[list[IncidentChange], list[Push], list[ActionOutcome]]:
    return target.advance([], tick, [(tick, action) for action in actions])


def opened(target: Desk, customers: range = range(10), tick: int = NOON, **fields: object) -> tuple[str, list[Push]]:
    changes, pushes, _ = target.advance([finding(customers=customers, tick=tick, **fields)], tick)  # type: ignore[arg-type]
    return changes[0].incident, pushes


def refused(outcomes: Sequence[ActionOutcome]) -> list[str]:
    assert all(outcome.state == "refused" for outcome in outcomes)
    return [outcome.detail for outcome in outcomes]


LATER = NOON + MINUTE_MS


def test_an_acknowledgement_is_a_change_that_names_its_person() -> None:
    target = desk()
    incident, _ = opened(target)
    (change,), _, (outcome,) = do(target, LATER, act("acknowledge", incident))
    assert (change.change, change.status, change.reason, change.by) == (
        "acknowledged",
        "acknowledged",
        "by_person",
        "李工",
    )
    assert (change.version, change.at) == (2, "2025-12-11T12:01:00.000+08:00")
    assert (outcome.state, outcome.detail, outcome.tick) == ("applied", "", LATER)


def test_an_acknowledged_incident_is_still_updated_and_resolves_by_itself() -> None:
    target = desk()
    incident, _ = opened(target)
    do(target, LATER, act("acknowledge", incident))
    grown, _, _ = target.advance([finding(customers=range(28), tick=LATER + 10_000)], LATER + 10_000)
    assert [(change.change, change.status) for change in grown] == [("updated", "acknowledged")]
    assert not isinstance(grown[0].by, str)
    quiet, _, _ = target.advance([], LATER + 10_000 + RESOLVE_MS)
    assert [change.reason for change in quiet] == ["no_new_evidence"]


def test_an_action_comes_before_the_findings_of_its_tick_and_after_the_time_that_passed() -> None:
    target = desk()
    incident, _ = opened(target)
    tick = NOON + RESOLVE_MS
    changes, _, outcomes = target.advance(
        [finding(customers=range(30), tick=tick)], tick, [(tick, act("acknowledge", incident))]
    )
    assert refused(outcomes) == ["already_resolved"]
    assert [change.change for change in changes] == ["resolved", "reopened"]


def test_actions_of_one_tick_are_taken_in_order_of_their_ids() -> None:
    target = desk()
    incident, _ = opened(target)
    changes, _, _ = do(target, LATER, act("reopen", incident, id="b"), act("resolve", incident, id="a"))
    assert [change.change for change in changes] == ["resolved", "reopened"]


def test_an_action_that_arrives_twice_counts_once() -> None:
    target = desk()
    incident, _ = opened(target)
    action = act("acknowledge", incident)
    do(target, LATER, action)
    restored = desk()
    restored.restore(target.snapshot())
    for again in (target, restored):
        assert do(again, LATER + 10_000, action) == ([], [], [])


def test_the_memory_of_actions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ACTIONS >= 1_000
    monkeypatch.setattr("qianshao.desk.desk.MAX_ACTIONS", 3)
    target = desk()
    for number in range(10):
        do(target, NOON + number, act("reload", id=f"r{number}"))
    assert do(target, LATER, act("reload", id="r9"))[2] == []
    assert len(do(target, LATER, act("reload", id="r6"))[2]) == 1


def test_what_cannot_be_done_is_refused_with_its_reason() -> None:
    target = desk()
    incident, _ = opened(target)
    watched = target.advance(
        [finding(customers=range(50, 55), value="退款售后", product="外卖", dims={"product": "外卖"}, opens=False)],
        NOON,
    )[0][0].incident
    attempts = {
        "unknown_incident": act("acknowledge", "nobody"),
        "not_open": act("resolve", watched),
        "already_open": act("reopen", incident),
        "until_missing": act("silence", incident),
        "until_passed": act("silence", incident, until=LATER),
        "verdict_missing": act("verdict", incident),
        "into_itself": act("merge", incident, into=incident),
        "unknown_into": act("merge", incident, into="nobody"),
        "unknown_push": act("approve_push", incident, push=f"{incident}-nobody"),
        "no_push_to_cancel": act("cancel_push", watched),
        "no_push_to_approve": act("approve_push", watched),
    }
    for reason, action in attempts.items():
        changes, pushes, outcomes = do(target, LATER, action)
        assert (changes, pushes, refused(outcomes)) == ([], [], [reason])


def test_doing_again_what_is_already_so_is_refused() -> None:
    target = desk()
    incident, _ = opened(target)
    kinds: tuple[ActionKind, ...] = ("acknowledge", "acknowledge", "resolve", "resolve", "dismiss", "dismiss")
    details = [do(target, LATER, act(kind, incident))[2][0].detail for kind in kinds]
    assert details == ["", "already_acknowledged", "", "already_resolved", "", "already_dismissed"]


def test_what_others_use_is_recorded_and_changes_nothing_here() -> None:
    target = desk()
    incident, _ = opened(target)
    changes, pushes, outcomes = do(
        target, LATER, act("relabel"), act("reload"), act("verdict", incident, verdict="false")
    )
    assert (changes, pushes) == ([], [])
    assert [(outcome.state, outcome.detail) for outcome in outcomes] == [("recorded", "")] * 3


def test_dismissing_cancels_every_push_that_has_not_ended() -> None:
    target = desk()
    incident, pushes = opened(target)
    do(target, LATER, act("approve_push", incident, push=pushes[0].push))
    do(target, LATER, act("cancel_push", incident, push=pushes[1].push))
    (change,), cancelled, _ = do(target, LATER + 10_000, act("dismiss", incident))
    assert (change.change, change.status, change.reason) == ("dismissed", "dismissed", "by_person")
    assert {push.push for push in cancelled} == {push.push for push in pushes} - {pushes[1].push}
    assert {(push.state, push.at) for push in cancelled} == {("cancelled", "2025-12-11T12:01:10.000+08:00")}


def test_a_dismissed_incident_swallows_further_evidence_of_its_cause_for_a_day() -> None:
    target = desk()
    incident, _ = opened(target)
    do(target, LATER, act("dismiss", incident))
    for hours in range(1, 24, 4):
        tick = NOON + hours * HOUR_MS
        assert target.advance([finding(customers=range(hours, hours + 4), tick=tick)], tick)[:2] == ([], [])
    tick = LATER + ABSORB_MS
    changes, _, _ = target.advance([finding(customers=range(10), tick=tick)], tick)
    assert [change.change for change in changes] == ["opened"]
    assert changes[0].incident != incident


def test_a_dismissed_incident_does_not_swallow_another_trouble_of_its_product() -> None:
    target = desk()
    incident, _ = opened(target)
    do(target, LATER, act("dismiss", incident))
    other = finding(customers=range(100, 112), measure="term", value="扣费", tick=LATER + 10_000)
    changes, _, _ = target.advance([other], LATER + 10_000)
    assert [change.change for change in changes] == ["opened"]
    assert changes[0].incident != incident


def test_danger_after_a_dismissal_opens_the_incident_again() -> None:
    target = desk()
    incident, _ = opened(target)
    do(target, LATER, act("dismiss", incident))
    smoke = finding(customers=range(5), measure="danger", value="冒烟", danger="冒烟", tick=LATER + 10_000)
    (change,), _, _ = target.advance([smoke], LATER + 10_000)
    assert (change.incident, change.change, change.reason) == (incident, "reopened", "danger_after_dismissal")


def test_three_times_as_many_customers_after_a_dismissal_open_the_incident_again() -> None:
    target = desk()
    incident, pushes = opened(target)
    do(target, LATER, act("dismiss", incident))
    assert target.advance([finding(customers=range(29), tick=LATER + 10_000)], LATER + 10_000)[0] == []
    (change,), more, _ = target.advance([finding(customers=range(30), tick=LATER + 20_000)], LATER + 20_000)
    assert (change.incident, change.change, change.reason) == (incident, "reopened", "tripled_after_dismissal")
    assert len(more) == 20
    assert {push.push for push in more}.isdisjoint(push.push for push in pushes)


def test_a_reopened_incident_stays_open_as_long_as_after_new_evidence() -> None:
    target = desk()
    incident, _ = opened(target)
    tick = NOON + RESOLVE_MS + HOUR_MS
    changes, _, _ = do(target, tick, act("reopen", incident))
    assert [change.change for change in changes] == ["resolved", "reopened"]
    night = AWAKE_FROM + 24 * HOUR_MS - AWAKE_UNTIL
    assert target.advance([], tick + RESOLVE_MS + night - 1)[0] == []
    ended = target.advance([], tick + RESOLVE_MS + night)[0]
    assert ended[0].at == changes[1].at.replace("T19", "T09").replace("11T", "12T")


def test_an_incident_resolved_by_a_person_reopens_on_new_evidence() -> None:
    target = desk()
    incident, _ = opened(target)
    do(target, LATER, act("resolve", incident))
    changes, _, _ = target.advance([finding(customers=range(14), tick=LATER + 10_000)], LATER + 10_000)
    assert [(change.incident, change.reason) for change in changes] == [(incident, "evidence_after_resolution")]


def test_merging_ends_one_incident_in_the_other_and_a_customer_of_both_is_told_once() -> None:
    target = desk(maximum_per_customer_per_day=9)
    one, first = opened(target)
    other, second = opened(
        target, range(5, 15), LATER, value="退款售后", product="外卖", dims={"product": "外卖"}, measure="ticket_type"
    )
    assert one != other
    do(target, LATER, act("approve_push", other, push=second[0].push))
    changes, cancelled, _ = do(target, LATER + 10_000, act("merge", other, into=one))
    merged = next(change for change in changes if change.incident == other)
    assert (merged.change, merged.status, merged.reason, merged.parent, merged.by) == (
        "merged",
        "merged",
        "by_person",
        one,
        "李工",
    )
    assert [(push.customer, push.incident) for push in cancelled] == [(second[0].customer, one)]
    _, pushes, _ = do(target, LATER + 20_000, act("approve_push", one))
    told = [push.customer for push in pushes if push.state == "approved"]
    assert sorted([*told, second[0].customer]) == sorted({push.customer for push in [*first, *second]})
    assert refused(do(target, LATER + 30_000, act("merge", one, into=other))[2]) == ["into_merged"]
    assert refused(do(target, LATER + 30_000, act("reopen", other))[2]) == ["already_merged"]
    assert len(do(target, LATER + 40_000, act("dismiss", one))[1]) == 15


def test_pushes_of_a_merged_incident_are_approved_by_its_own_name_or_by_that_of_the_one_that_remains() -> None:
    target = desk()
    one, first = opened(target)
    other, second = opened(target, range(50, 60), LATER, value="退款售后", product="外卖", dims={"product": "外卖"})
    do(target, LATER + 10_000, act("merge", other, into=one))
    assert len(do(target, LATER + 20_000, act("approve_push", one, push=second[9].push))[1]) == 1
    assert len(do(target, LATER + 20_000, act("approve_push", other))[1]) == 9
    assert refused(do(target, LATER + 20_000, act("approve_push", other, push=first[0].push))[2]) == ["unknown_push"]


def test_nothing_is_merged_into_what_a_person_dismissed() -> None:
    target = desk()
    one, _ = opened(target)
    do(target, LATER, act("dismiss", one))
    other, _ = opened(target, range(50, 60), LATER, value="退款售后", product="外卖", dims={"product": "外卖"})
    assert refused(do(target, LATER + 10_000, act("merge", other, into=one))[2]) == ["into_dismissed"]


def test_what_remains_of_a_merge_is_open_as_long_as_either_would_have_been() -> None:
    target = desk()
    one, _ = opened(target)
    tick = NOON + 5 * HOUR_MS
    other, _ = opened(target, range(50, 60), tick, value="退款售后", product="外卖", dims={"product": "外卖"})
    do(target, tick + 10_000, act("merge", other, into=one))
    assert target.advance([], tick + RESOLVE_MS - 1)[0] == []
    assert [change.incident for change in target.advance([], tick + RESOLVE_MS)[0]] == [one]


def test_an_incident_long_forgotten_is_unknown_however_much_time_passes_at_once() -> None:
    target = desk()
    incident, _ = opened(target)
    changes, _, outcomes = do(target, NOON + RESOLVE_MS + COMES_BACK_MS, act("reopen", incident))
    assert [change.change for change in changes] == ["resolved"]
    assert refused(outcomes) == ["unknown_incident"]


def test_the_largest_pseudonym_survives_a_restart() -> None:
    target = desk()
    largest = 2**64 - 2
    incident, (push,) = opened(target, range(largest, largest + 1), measure="danger", value="冒烟", danger="冒烟")
    restored = desk()
    restored.restore(target.snapshot())
    assert [each.push for each in do(restored, LATER, act("approve_push", incident, push=push.push))[1]] == [push.push]


def test_an_open_incident_merged_into_a_resolved_one_opens_it_again() -> None:
    target = desk()
    one, _ = opened(target)
    do(target, LATER, act("resolve", one))
    other, _ = opened(target, range(50, 60), LATER, value="退款售后", product="外卖", dims={"product": "外卖"})
    changes, _, _ = do(target, LATER + 10_000, act("merge", other, into=one))
    assert {(change.incident, change.status) for change in changes} >= {(one, "open"), (other, "merged")}


def test_a_silenced_incident_tells_of_its_growth_when_the_silence_ends() -> None:
    target = desk()
    incident, _ = opened(target, range(10))
    until = NOON + HOUR_MS
    do(target, LATER, act("silence", incident, until=until))
    changes, pushes, _ = target.advance([finding(customers=range(25), tick=LATER + 10_000)], LATER + 10_000)
    assert changes == []
    assert len(pushes) == 15
    (change,), _, _ = target.advance([], until + HOUR_MS)
    assert (change.change, change.reason, change.at) == ("updated", "silence_ended", "2025-12-11T13:00:00.000+08:00")
    assert change.customers == 25


def test_a_silenced_incident_whose_severity_rises_is_escalated_once() -> None:
    target = desk()
    incident, _ = opened(target, range(10))
    do(target, LATER, act("silence", incident, until=NOON + HOUR_MS))
    told = []
    for step, customers in enumerate((25, 31, 60)):
        tick = LATER + 10_000 * (step + 1)
        told += target.advance([finding(customers=range(customers), tick=tick)], tick)[0]
    assert [(change.change, change.reason, change.severity, change.customers) for change in told] == [
        ("escalated", "severity_rose_while_silenced", "P2", 31)
    ]


def test_one_push_or_all_of_an_incident_are_approved_and_none_twice() -> None:
    target = desk()
    incident, pushes = opened(target)
    _, one, _ = do(target, LATER, act("approve_push", incident, push=pushes[3].push))
    assert [(push.push, push.state, push.at) for push in one] == [
        (pushes[3].push, "approved", "2025-12-11T12:01:00.000+08:00")
    ]
    _, rest, _ = do(target, LATER, act("approve_push", incident))
    assert {push.push for push in rest} == {push.push for push in pushes} - {pushes[3].push}
    again = do(target, LATER, act("approve_push", incident, push=pushes[3].push), act("approve_push", incident))
    assert refused(again[2]) == ["already_approved", "no_push_to_approve"]


def test_an_ended_push_is_not_approved() -> None:
    target = desk(valid_hours=2)
    incident, pushes = opened(target)
    do(target, LATER, act("cancel_push", incident, push=pushes[0].push))
    end = NOON + 2 * HOUR_MS
    outcomes = do(
        target,
        end,
        act("approve_push", incident, push=pushes[0].push, id="z1"),
        act("approve_push", incident, push=pushes[1].push, id="z2"),
        act("cancel_push", incident, push=pushes[1].push, id="z3"),
    )[2]
    assert refused(outcomes) == ["already_cancelled", "push_expired", "push_expired"]


def test_a_push_approved_in_the_quiet_hours_waits_for_their_end() -> None:
    target = desk(quiet_start="13:00", quiet_end="14:00")
    incident, pushes = opened(target)
    night = NOON + HOUR_MS + MINUTE_MS
    _, (approved,), _ = do(target, night, act("approve_push", incident, push=pushes[0].push))
    assert pushes[0].not_before == "2025-12-11T12:00:00.000+08:00"
    assert approved.not_before == "2025-12-11T14:00:00.000+08:00"
    assert approved.valid_until == pushes[0].valid_until


def test_an_approval_does_not_break_the_cap_of_a_customer() -> None:
    target = desk(valid_hours=72)
    one, _ = opened(target)
    next_day = NOON + DAY_MS + MINUTE_MS
    do(target, next_day - 2 * HOUR_MS, act("reopen", one))
    other, _ = opened(target, range(10), next_day, value="退款售后", product="外卖", dims={"product": "外卖"})
    assert other != one
    assert len(do(target, next_day, act("approve_push", other))[1]) == 10
    restored = desk(valid_hours=72)
    restored.restore(target.snapshot())
    assert refused(do(restored, next_day + 10_000, act("approve_push", one))[2]) == ["cap_reached"]
    assert do(restored, next_day + DAY_MS, act("approve_push", one))[2][0].state == "applied"


LEGAL = {
    None: {"watching", "open", "merged"},
    "watching": {"watching", "open", "dismissed", "merged"},  # again: it would open, and an open one explains it
    "open": {"open", "acknowledged", "resolved", "dismissed", "merged"},
    "acknowledged": {"acknowledged", "resolved", "dismissed", "merged"},
    "resolved": {"open", "dismissed", "merged"},
    "dismissed": {"open"},
    "merged": set[str](),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 60, 300, 1500]),
        st.one_of(
            st.tuples(
                st.integers(0, 30),
                st.integers(3, 12),
                st.sampled_from(["设备离线", "退款售后", "账号登录"]),
                st.booleans(),
                st.sampled_from([None, "门锁", "外卖"]),
            ),
            st.tuples(
                st.sampled_from(
                    ["acknowledge", "resolve", "dismiss", "reopen", "merge", "silence", "approve_push", "cancel_push"]
                ),
                st.integers(0, 5),
                st.integers(0, 5),
            ),
        ),
    ),
    min_size=6,
    max_size=24,
)


def plan_of(steps: list[tuple[int, tuple[object, ...]]]) -> tuple[list[Finding], list[tuple[int, Action]], int]:
    """Findings and actions with their ticks; incidents are those that the findings alone would make."""
    tick = NOON
    findings: list[Finding] = []
    wanted: list[tuple[int, int, tuple[object, ...]]] = []
    for number, (minutes, step) in enumerate(steps):
        tick += minutes * MINUTE_MS
        if len(step) == 5:
            first, many, value, opens, product = step
            findings.append(
                finding(
                    customers=range(first, first + many),  # type: ignore[operator,arg-type]
                    value=value,  # type: ignore[arg-type]
                    opens=opens,  # type: ignore[arg-type]
                    product=product,  # type: ignore[arg-type]
                    dims={"product": product} if product else {},  # type: ignore[dict-item]
                    tick=tick,
                    score=6.0,
                )
            )
        else:
            wanted.append((tick, number, step))
    changes, pushes, _ = desk().advance(findings, tick)
    incidents = list(dict.fromkeys(change.incident for change in changes)) or ["nobody"]
    named = [push.push for push in pushes]
    actions = [
        (
            at,
            act(
                kind,  # type: ignore[arg-type]
                incidents[which % len(incidents)],  # type: ignore[operator]
                id=f"p{number:02}",
                into=incidents[other % len(incidents)],  # type: ignore[operator]
                until=at + HOUR_MS,
                push=named[other % len(named)] if named and other % 2 else "",  # type: ignore[operator]
            ),
        )
        for at, number, (kind, which, other) in wanted
    ]
    return findings, actions, tick


EXPLAINED_LATER: list[tuple[int, tuple[object, ...]]] = [
    *[(0, (0, 3, "设备离线", False, None))] * 8,
    (0, (0, 3, "设备离线", True, None)),
    (0, (9, 6, "退款售后", False, None)),
    (1, (1, 3, "退款售后", True, None)),
    (0, (2, 7, "设备离线", False, None)),
]
"""What is watched for weak reasons would open, and is explained by then."""


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, cuts=st.lists(st.integers(0, 24), max_size=3))
@example(steps=EXPLAINED_LATER, cuts=[])
def test_no_course_of_findings_and_actions_breaks_what_must_hold_and_neither_cuts_nor_restarts_change_it(
    steps: list[tuple[int, tuple[object, ...]]], cuts: list[int]
) -> None:
    findings, actions, tick = plan_of(steps)
    end = tick + RESOLVE_MS + COMES_BACK_MS
    changes, pushes, outcomes = whole = desk().advance(findings, end, actions)
    assert [outcome.action for outcome in outcomes] == [action for _, action in sorted(actions, key=lambda a: a[1].id)]
    status: dict[str, str] = {}
    version: dict[str, int] = {}
    moments: dict[str, int] = {}
    parent: dict[str, str] = {}
    for change in changes:
        name = change.incident
        assert change.status in LEGAL[status.get(name)], (status.get(name), change.change)
        assert change.version == version.get(name, 0) + 1
        assert from_rfc3339(change.at) >= moments.get(name, 0)
        assert (change.reason == "by_person") <= (change.by == "李工")
        status[name], version[name], moments[name] = change.status, change.version, from_rfc3339(change.at)
        if change.parent:
            parent[name] = change.parent

    def root(incident: str) -> str:
        while incident in parent:
            incident = parent[incident]
        return incident

    standing: dict[str, Push] = {}
    for push in pushes:
        before = standing.get(push.push)
        allowed = {None: {"proposed"}, "proposed": {"approved", "cancelled"}, "approved": {"cancelled"}}
        assert push.state in allowed.get(before and before.state, set())
        standing[push.push] = push
    approved = [(root(push.incident), push.customer) for push in standing.values() if push.state == "approved"]
    assert len(approved) == len(set(approved))

    ticks = sorted({each.tick for each in findings} | {at for at, _ in actions})
    assert in_pieces(findings, actions, [*sorted({ticks[cut % len(ticks)] for cut in cuts}), end]) == whole
    assert in_pieces(findings, actions, [*ticks, end]) == whole


def in_pieces(findings: list[Finding], actions: list[tuple[int, Action]], bounds: list[int]) -> tuple[object, ...]:
    """Advance to each bound with a restart after it; no dismissed incident may have a live push at any of them."""
    changes: list[IncidentChange] = []
    pushes: list[Push] = []
    outcomes: list[ActionOutcome] = []
    target = desk()
    since = 0
    for bound in bounds:
        piece = target.advance(
            [each for each in findings if since < each.tick <= bound],
            bound,
            [each for each in actions if since < each[0] <= bound],
        )
        changes += piece[0]
        pushes += piece[1]
        outcomes += piece[2]
        newest = {change.incident: change for change in changes}
        for push in {push.push: push for push in pushes}.values():
            if push.state in ("proposed", "approved") and from_rfc3339(push.valid_until) > bound:
                incident = newest[push.incident]
                while incident.parent:
                    incident = newest[incident.parent]
                assert incident.status != "dismissed"
        since = bound
        restored = desk()
        restored.restore(target.snapshot())
        target = restored
    return changes, pushes, outcomes
