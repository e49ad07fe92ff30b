"""A broader open incident keeps what it explains from being told apart, and nothing that it does not explain."""

from __future__ import annotations

import random

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding, stated
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qianshao.action import Action
from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.desk.desk import RESOLVE_MS, WATCH_MS, Desk
from qianshao.finding import Finding
from qianshao.incident import IncidentChange
from qianshao.push import Push

LINE: Dims = {"line": "数码支付"}
WALLET: Dims = {"line": "数码支付", "product": "钱包"}
LATER = NOON + 10 * MINUTE_MS


def outage(customers: range = range(40), tick: int = NOON, **fields: object) -> Finding:
    """A payment outage of a whole line."""
    stated = {"value": "支付失败", "dims": LINE, "product": None, **fields}
    return finding(customers=customers, tick=tick, **stated)  # type: ignore[arg-type]


def refunds(customers: range = range(36, 52), tick: int = LATER, **fields: object) -> Finding:
    """Refunds of one product of that line, asked by some of the same customers: too few to be the same cause."""
    stated = {"value": "退款售后", "dims": WALLET, "product": "钱包", **fields}
    return finding(customers=customers, tick=tick, **stated)  # type: ignore[arg-type]


def later(found: Finding, minutes: int) -> Finding:
    """The same finding as it would be later, all of its evidence new."""
    shift = minutes * MINUTE_MS
    return msgspec.structs.replace(
        found,
        tick=found.tick + shift,
        window_end=found.window_end + shift,
        evidence=tuple(
            msgspec.structs.replace(event, id=f"{event.id}+{minutes}", ts=event.ts + shift) for event in found.evidence
        ),
    )


def told(changes: list[IncidentChange]) -> list[tuple[str, str, str]]:
    return [(change.change, change.status, change.reason) for change in changes]


def inhibited(target: Desk) -> tuple[str, str]:
    """Open the outage, and let it explain the refunds."""
    parent, _, _ = target.advance([outage()], NOON)
    child, pushes, _ = target.advance([refunds()], LATER)
    assert told(child) == [("watched", "watching", "inhibited_by_parent")]
    assert (child[0].parent, child[0].opened_at, pushes) == (parent[0].incident, None, [])
    return parent[0].incident, child[0].incident


def test_what_a_broader_open_incident_explains_is_watched_as_its_child_and_nobody_is_told() -> None:
    target = desk()
    _, child = inhibited(target)
    more, pushes, _ = target.advance([later(refunds(range(36, 56)), 20)], LATER + 20 * MINUTE_MS)
    assert (more, pushes) == ([], [])
    ended, _, _ = target.advance([], LATER + 20 * MINUTE_MS + WATCH_MS)
    (faded,) = [change for change in ended if change.incident == child]
    assert (faded.change, faded.reason, faded.customers) == ("dismissed", "faded_with_parent", 20)


def test_within_one_tick_the_broader_one_is_judged_first() -> None:
    weak = msgspec.structs.replace(outage(), opens=False)
    target = desk()
    target.advance([weak, refunds(tick=NOON, opens=False, score=4.5)], NOON)
    both = [refunds(score=20.0), outage(tick=LATER)]
    changes, _, _ = target.advance(both, LATER)
    assert sorted(told(changes)) == [
        ("opened", "open", "overwhelming_rise"),
        ("watched", "watching", "inhibited_by_parent"),
    ]


def test_the_same_subject_inside_a_named_place_is_explained_without_common_customers() -> None:
    target = desk()
    target.advance([outage(measure="topic")], NOON)
    child = refunds(range(100, 112), measure="theme", value="付不了款·1")
    child = stated(child, topic="支付失败")
    changes, _, _ = target.advance([child], LATER)
    assert told(changes) == [("watched", "watching", "inhibited_by_parent")]


@pytest.mark.parametrize(("channel", "told_apart"), [("app", True), ("miniapp", False)])
def test_an_incident_of_one_channel_explains_by_its_subject_only_what_comes_over_it(
    channel: str, told_apart: bool
) -> None:
    target = desk()
    broken = stated(outage(measure="topic", dims=LINE | {"channel": "miniapp"}), channel="miniapp")
    for hours in (0, 2, 4, 6):  # it goes on
        target.advance([later(broken, hours * 60)], NOON + hours * HOUR_MS)
    evening = NOON + 6 * HOUR_MS
    charged = refunds(range(100, 112), evening, measure="theme", value="扣了两次·1")
    changes, _, _ = target.advance([stated(charged, channel=channel, topic="支付失败")], evening)
    assert [change for change, _, _ in told(changes)] == ["opened" if told_apart else "watched"]


def test_another_subject_without_common_customers_is_another_cause() -> None:
    target = desk()
    target.advance([outage()], NOON)
    changes, _, _ = target.advance([refunds(range(100, 112))], LATER)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]


def test_a_place_outside_the_parents_is_another_cause() -> None:
    target = desk()
    target.advance([outage()], NOON)
    changes, _, _ = target.advance([refunds(dims={"line": "到家", "product": "钱包"})], LATER)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]


def test_a_code_of_its_own_is_another_cause_in_the_same_product() -> None:
    target = desk()
    target.advance([outage()], NOON)
    changes, _, _ = target.advance([refunds(measure="code", value="E9", witness="devices")], LATER)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]


def test_devices_of_the_same_release_are_explained_though_their_code_is_their_own() -> None:
    target = desk()
    weak = refunds(
        range(100, 110), tick=NOON, measure="code", value="E9", witness="devices", opens=False, dims={"shop": "A7"}
    )
    target.advance([weak], NOON)
    target.advance([outage(value="登不上", tick=LATER, dims={"shop": "A7"}, measure="term")], LATER)
    strong = later(msgspec.structs.replace(weak, opens=True), 20)
    changes, _, _ = target.advance([strong], strong.tick)
    assert ("opened", "open", "overwhelming_rise") not in told(changes)


def test_a_danger_is_never_inhibited_by_a_harmless_incident() -> None:
    target = desk()
    target.advance([outage()], NOON)
    changes, _, _ = target.advance([refunds(measure="danger", value="资金安全", danger="资金安全/诈骗")], LATER)
    assert told(changes) == [("opened", "open", "danger_reported")]


def test_a_danger_that_appears_in_a_child_opens_it_at_once() -> None:
    target = desk()
    inhibited(target)
    danger = refunds(measure="danger", value="资金安全", danger="资金安全/诈骗", tick=LATER + MINUTE_MS)
    changes, pushes, _ = target.advance([danger], danger.tick)
    assert told(changes) == [("opened", "open", "danger_reported")]
    assert changes[0].parent is None
    assert pushes


def test_another_danger_is_not_explained_by_a_danger() -> None:
    target = desk()
    target.advance([outage(measure="danger", value="资金安全", danger="资金安全/诈骗")], NOON)
    changes, _, _ = target.advance([refunds(measure="danger", value="人身安全", danger="人身安全/触电")], LATER)
    assert told(changes) == [("opened", "open", "danger_reported")]


def test_who_says_that_the_swindler_knew_the_order_is_explained_by_the_swindle() -> None:
    def about(topic: str, found: Finding) -> Finding:
        evidence = tuple(msgspec.structs.replace(event, topic=topic) for event in found.evidence)
        return msgspec.structs.replace(found, evidence=evidence)

    target, hours = desk(), NOON + 4 * HOUR_MS
    swindle = outage(dims=WALLET, product="钱包", measure="danger", value="资金安全", danger="资金安全/诈骗")
    swindle = about("诈骗信息", swindle)
    target.advance([swindle, later(swindle, 220)], hours)
    leak = refunds(range(60, 66), tick=hours, measure="danger", value="信息安全", danger="信息安全/隐私泄露")
    changes, pushes, _ = target.advance([about("信息隐私", leak)], hours)
    assert told(changes) == [("watched", "watching", "inhibited_by_parent")]
    assert pushes == []


def test_a_silent_channel_neither_explains_nor_is_explained() -> None:
    target = desk()
    target.advance([msgspec.structs.replace(outage(measure="contacts"), kind="silence")], NOON)
    changes, _, _ = target.advance([refunds()], LATER)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]


def test_a_child_that_outgrows_its_parent_opens() -> None:
    target = desk()
    inhibited(target)
    grown = later(refunds(range(38, 90)), 20)
    changes, _, _ = target.advance([grown], grown.tick)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]
    assert changes[0].parent is None


def test_an_explanation_holds_although_the_place_of_the_parent_moves() -> None:
    target = desk()
    inhibited(target)
    narrower = later(outage(range(37), dims={**LINE, "region": "华东"}), 20)
    target.advance([narrower], narrower.tick)
    again = later(refunds(range(36, 56)), 30)
    assert target.advance([again], again.tick)[0] == []


def test_an_incident_that_people_were_told_of_is_not_taken_back() -> None:
    target = desk()
    target.advance([refunds(tick=NOON)], NOON)
    hours_later = NOON + 4 * HOUR_MS
    changes, _, _ = target.advance([outage(tick=hours_later)], hours_later)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]


def test_a_child_opens_when_its_parent_has_ended_and_its_own_evidence_goes_on() -> None:
    target = desk()
    parent, child = inhibited(target)
    tick = LATER + MINUTE_MS
    resolved = Action(id="a", action="resolve", at=tick, by="李工", incident=parent)
    target.advance([], tick, [(tick, resolved)])
    old = msgspec.structs.replace(refunds(), tick=tick + 10_000)
    assert target.advance([old], old.tick)[0] == []
    restored = desk()
    restored.restore(target.snapshot())
    new = later(refunds(), 30)
    for each in (target, restored):
        changes, pushes, _ = each.advance([new], new.tick)
        assert [(change.incident, *told([change])[0]) for change in changes] == [
            (child, "opened", "open", "parent_ended")
        ]
        assert changes[0].parent is None
        assert pushes


def test_a_parent_that_is_resolved_by_itself_frees_its_child_too() -> None:
    target = desk()
    _, child = inhibited(target)
    changes: list[IncidentChange] = []
    for minutes in range(60, 480, 60):
        new = later(refunds(), minutes)
        changes += target.advance([new], new.tick)[0]
    assert [(change.incident, change.reason) for change in changes if change.change == "opened"] == [
        (child, "parent_ended")
    ]
    (opened,) = [change for change in changes if change.change == "opened"]
    assert opened.at > "2025-12-11T18:00"  # the outage was resolved six hours after its last evidence


def test_a_child_is_merged_into_the_told_incident_and_not_the_other_way_round() -> None:
    target = desk()
    older, _, _ = target.advance([refunds(range(36, 42), tick=NOON, opens=False, score=4.5)], NOON)
    parent, _, _ = target.advance([outage(range(38), tick=LATER)], LATER)
    assert told(parent) == [("opened", "open", "overwhelming_rise")]
    changes, _, _ = target.advance([outage(range(28, 39), tick=LATER + MINUTE_MS)], LATER + MINUTE_MS)
    (merged,) = [change for change in changes if change.change == "merged"]
    assert (merged.incident, merged.parent) == (older[0].incident, parent[0].incident)


def test_a_push_of_an_inhibited_case_is_not_its_parents() -> None:
    target = desk()
    _, child = inhibited(target)
    approve = Action(id="a", action="approve_push", at=LATER, by="李工", incident=child)
    _, pushes, (outcome,) = target.advance([], LATER + 1, [(LATER + 1, approve)])
    assert (pushes, outcome.detail) == ([], "no_push_to_approve")


def test_two_causes_of_one_product_do_not_join_because_a_release_of_several_products_hit_it_most() -> None:
    target = desk()
    release = finding(
        customers=range(20), measure="code", value="E640", witness="devices", dims={"app": "9.4"}, product="钱包"
    )
    target.advance([release], NOON)
    double = finding(
        customers=range(50, 60), measure="term", value="重复扣款", dims={"product": "钱包"}, product="钱包", tick=LATER
    )
    double = stated(double, topic="账单费用")
    changes, _, _ = target.advance([double], LATER)
    assert told(changes) == [("opened", "open", "overwhelming_rise")]


def test_a_word_of_a_release_goes_to_the_case_that_knows_it_rather_than_to_the_older_of_that_release() -> None:
    target = desk()
    device = finding(
        customers=range(20), measure="code", value="E640", witness="devices", dims={"app": "9.4"}, product="钱包"
    )
    people = finding(customers=range(40, 60), measure="term", value="登不上", dims={}, product=None)
    first, _, _ = target.advance([device], NOON)
    people = stated(people, topic="账号登录")
    second, _, _ = target.advance([later(people, 10)], LATER)
    named = msgspec.structs.replace(later(people, 20), dims={"app": "9.4"})
    changes, _, _ = target.advance([named], named.tick)
    assert first[0].incident != second[0].incident
    ended = target.advance([], named.tick + RESOLVE_MS)[0]
    assert {change.incident for change in changes} == {second[0].incident}
    assert {change.incident: change.messages for change in ended} == {first[0].incident: 20, second[0].incident: 40}


PLACES: list[Dims] = [{}, LINE, WALLET, {"product": "钱包"}, {"line": "到家"}, {"shop": "A7"}]
PLANS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(3, 30),
        st.sampled_from(["topic:支付失败", "topic:退款售后", "term:付不了", "code:E9", "danger:资金安全"]),
        st.booleans(),
        st.sampled_from(PLACES),
        st.sampled_from([0, 0, 1, 30, 400]),
    ),
    max_size=14,
)


def findings_of(plan: list[tuple[int, int, str, bool, Dims, int]]) -> list[Finding]:
    tick = NOON
    found = []
    for number, (first, people, key, opens, dims, minutes) in enumerate(plan):
        tick += minutes * MINUTE_MS
        measure, _, value = key.partition(":")
        product = dims.get("product")
        each = finding(
            customers=range(first, first + people),
            measure=measure,
            value=value,
            opens=opens,
            dims=dims,
            tick=tick,
            score=6.0 + number / 100,
            product=product if isinstance(product, str) else None,
            witness="devices" if measure == "code" else "contacts",
            danger="资金安全/诈骗" if measure == "danger" else "",
        )
        found.append(each)
    return found


@settings(max_examples=60, deadline=None)
@given(plan=PLANS, seed=st.integers(0, 5))
@example(
    plan=[
        (0, 3, "topic:支付失败", False, {}, 0),
        (0, 3, "topic:支付失败", False, {}, 0),
        (0, 3, "topic:支付失败", False, {}, 1),
        (6, 3, "topic:支付失败", True, {}, 0),
        (0, 3, "topic:支付失败", False, {}, 400),
        (0, 9, "topic:退款售后", True, {}, 0),
        (0, 6, "topic:支付失败", True, {}, 0),
    ],
    seed=0,
)
def test_nobody_is_told_of_what_is_watched_and_the_order_within_a_tick_changes_nothing(
    plan: list[tuple[int, int, str, bool, Dims, int]], seed: int
) -> None:
    found = findings_of(plan)
    end = NOON + 40 * HOUR_MS + sum(minutes for *_, minutes in plan) * MINUTE_MS
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    target, other = desk(), desk()
    changes: list[IncidentChange] = []
    pushes: list[Push] = []
    for tick in sorted({each.tick for each in found}):
        now = target.advance([each for each in found if each.tick == tick], tick)
        assert now == other.advance([each for each in shuffled if each.tick == tick], tick)
        changes += now[0]
        pushes += now[1]
        standing = {change.incident: change for change in changes}
        for push in now[1]:
            assert standing[push.incident].opened_at is not None
    changes += target.advance([], end)[0]
    standing = {}
    for change in changes:
        before = standing.get(change.incident)
        standing[change.incident] = change
        if change.reason == "inhibited_by_parent":
            # Of one tick the changes stand in order of incidents: the parent may have been opened again in it.
            of_parent = [each for each in changes if each.incident == change.parent and each.at <= change.at]
            parent = of_parent[-1]
            assert parent.opened_at is not None
            assert parent.status in ("open", "acknowledged", "mitigated")
            assert before is None or before.status == "watching"
            assert change.opened_at is None
        if change.status == "watching":
            assert not any(push.incident == change.incident and push.at <= change.at for push in pushes)
    for incident in standing:
        opened = [change for change in changes if change.incident == incident and change.change == "opened"]
        assert len(opened) <= 1


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["退款售后", "账单费用", "客服态度"])), max_size=10)
)
def test_however_many_consequences_an_outage_has_one_incident_of_it_is_open(steps: list[tuple[int, str]]) -> None:
    target = desk()
    first, _, _ = target.advance([outage()], NOON)
    tick, opened = NOON, []
    for minutes, value in steps:
        tick += minutes * MINUTE_MS
        fed = outage(tick=tick)
        consequence = msgspec.structs.replace(
            refunds(range(30, 30 + 12), tick=tick, value=value, product=None), dims=dict(WALLET)
        )
        changes, _, _ = target.advance([fed, consequence], tick)
        opened += [change.incident for change in changes if change.opened_at and change.status != "merged"]
    assert set(opened) <= {first[0].incident}
