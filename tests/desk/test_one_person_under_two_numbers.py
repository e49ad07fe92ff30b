"""Customers who turn out to be one person, or two after all: nobody is told twice, and nobody for somebody else."""

from __future__ import annotations

import pytest
from desk_fakes import NOON, desk, finding

from qianshao.action import Action
from qianshao.clock import MINUTE_MS
from qianshao.config import Config, PushSettings
from qianshao.desk.desk import Desk
from qianshao.event import pseudonym_text
from qianshao.push import Push

LATER = NOON + MINUTE_MS
FAR = 99
ONE, OTHER = (pseudonym_text(number) for number in (1, FAR))
Renamed = list[tuple[int, int, int]]


def find(target: Desk, customers: range, tick: int, renamed: Renamed, measure: str = "topic") -> list[Push]:
    return target.advance([finding(customers=customers, tick=tick, measure=measure)], tick, [], renamed)[1]


def of(pushes: list[Push], *customers: str) -> list[tuple[str, str]]:
    return [(push.customer, push.state) for push in pushes if push.customer in customers]


def act(kind: str, incident: str, number: int = 0) -> tuple[int, Action]:
    action = Action(id=f"{kind}{number}", action=kind, at=LATER, by="李工", incident=incident)  # type: ignore[arg-type]
    return LATER + 2 * MINUTE_MS, action


def test_who_was_told_by_phone_is_not_told_again_by_account() -> None:
    target = desk(maximum_per_customer_per_day=5)
    assert of(find(target, range(10), NOON, []), ONE) == [(ONE, "proposed")]
    again = finding(customers=range(FAR - 1, FAR), tick=LATER)
    _, pushes, _ = target.advance([again], LATER, [], [(LATER, 1, FAR)])
    assert of(pushes, ONE, OTHER) == []


def test_who_is_known_to_be_one_person_before_the_incident_opens_is_told_once() -> None:
    target = desk()
    target.advance([finding(customers=range(1), tick=NOON, opens=False, score=3.0)], NOON)
    again = finding(customers=range(FAR - 1, FAR), tick=LATER, measure="code", value="E1", witness="tickets")
    _, pushes, _ = target.advance([again, finding(customers=range(5), tick=LATER)], LATER, [], [(LATER, 1, FAR)])
    assert len([push for push in pushes if push.customer in (ONE, OTHER)]) == 1


def test_of_two_pushes_that_are_one_persons_the_approved_one_stays() -> None:
    for approved, cancelled in ((ONE, OTHER), (OTHER, ONE)):
        target = desk()
        pushes = find(target, range(FAR), NOON, [])
        (one,) = (push for push in pushes if push.customer == approved)
        tick, action = act("approve_push", one.incident)
        action.push = one.push
        target.advance([], tick, [(tick, action)])
        _, pushes, _ = target.advance([], tick + MINUTE_MS, [], [(tick + MINUTE_MS, 1, FAR)])
        assert [(push.customer, push.state) for push in pushes] == [(cancelled, "cancelled")]


def test_two_proposed_ones_stay_so_and_approving_all_tells_once() -> None:
    target = desk()
    pushes = find(target, range(FAR), NOON, [])
    assert target.advance([], LATER, [], [(LATER, 1, FAR)])[1] == []
    tick, action = act("approve_push", pushes[0].incident)
    _, decided, _ = target.advance([], tick, [(tick, action)])
    assert sorted(state for _, state in of(decided, ONE, OTHER)) == ["approved", "cancelled"]
    assert len(decided) == FAR


def test_the_cap_of_a_day_holds_for_the_person_not_for_the_number() -> None:
    target = desk()
    find(target, range(10), NOON, [])
    other = finding(
        customers=range(FAR - 1, FAR + 9),
        tick=LATER,
        measure="code",
        value="E9",
        dims={"product": "空调"},
        product="空调",
    )
    _, pushes, _ = target.advance([other], LATER, [], [(LATER, 1, FAR)])
    assert len(pushes) == 9
    assert of(pushes, ONE, OTHER) == []


def test_who_turns_out_to_be_two_people_is_told_as_each() -> None:
    target = desk()
    find(target, range(10), NOON, [(NOON, FAR, 1)])
    pushes = find(target, range(FAR - 1, FAR), LATER, [(LATER, FAR, FAR)])
    assert of(pushes, ONE, OTHER) == [(OTHER, "proposed")]


def test_joined_incidents_know_their_customers_by_every_number() -> None:
    target = Desk(Config(push=PushSettings(maximum_per_customer_per_day=5)))
    (first, *_) = find(target, range(1), NOON, [], "danger")
    elsewhere = finding(
        customers=range(FAR - 1, FAR),
        tick=NOON + 10_000,
        measure="code",
        value="E9",
        dims={"product": "空调"},
        product="空调",
    )
    _, (second,), _ = target.advance([elsewhere], NOON + 10_000)
    tick, approve = act("approve_push", first.incident)
    target.advance([], tick, [(tick, approve)], [(tick - 10_000, 1, FAR)])
    merge = Action(id="m", action="merge", at=tick, by="李工", incident=second.incident, into=first.incident)
    _, pushes, _ = target.advance([], tick + 10_000, [(tick + 10_000, merge)])
    assert [(push.push, push.state) for push in pushes] == [(second.push, "cancelled")]


@pytest.mark.parametrize("cut", [LATER, LATER + MINUTE_MS])
def test_how_time_is_cut_changes_no_renaming_and_a_restart_forgets_none(cut: int) -> None:
    renamed = [(LATER, 1, FAR), (LATER + MINUTE_MS, 2, FAR - 1)]
    end = LATER + 3 * MINUTE_MS
    whole, parts = desk(), desk()
    for target in (whole, parts):
        find(target, range(FAR), NOON, [])
    again = finding(customers=range(FAR + 3), tick=end)
    expected = whole.advance([again], end, [], renamed)
    _, early, _ = parts.advance([], cut, [], [each for each in renamed if each[0] <= cut])
    restored = desk()
    restored.restore(parts.snapshot())
    changes, late, _ = restored.advance([again], end, [], [each for each in renamed if each[0] > cut])
    assert (changes, early + late) == expected[:2]
    assert restored.snapshot() == whole.snapshot()
