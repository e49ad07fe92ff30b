"""A new incident names the ones of the past that it is like, in what, and what people said of them."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding

from qianshao.action import Action
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.desk.desk import RESOLVE_MS, Desk
from qianshao.desk.memory import MAX_SAID
from qianshao.finding import Finding
from qianshao.incident import IncidentChange, Similar

LONG_AFTER = NOON + 5 * DAY_MS
LOCK: Dims = {"product": "门锁", "firmware": "2.2.0"}


def code(tick: int = NOON, value: str = "E207", dims: Dims | None = None, first: int = 0) -> Finding:
    return finding(
        customers=range(first, first + 12),
        tick=tick,
        measure="code",
        value=value,
        witness="devices",
        dims=LOCK if dims is None else dims,
    )


def opened(target: Desk, found: Finding) -> IncidentChange:
    changes, _, _ = target.advance([found], found.tick)
    return next(change for change in changes if change.change == "opened")


def past(target: Desk, found: Finding) -> IncidentChange:
    """Open an incident and let it be resolved by itself."""
    change = opened(target, found)
    target.advance([], found.tick + RESOLVE_MS)
    return change


def similar(change: IncidentChange) -> list[Similar]:
    return change.similar if isinstance(change.similar, list) else []


def test_the_first_of_its_kind_names_none() -> None:
    assert opened(desk(), code()).similar is msgspec.UNSET


def test_the_same_code_is_remembered_with_its_times_and_why() -> None:
    target = desk()
    first = past(target, code())
    (alike,) = similar(opened(target, code(LONG_AFTER, first=100)))
    assert (alike.incident, alike.why) == (first.incident, ["same_code", "same_topic", "same_place"])
    assert (alike.opened_at, alike.resolved_at) == ("2025-12-11T12:00:00.000+08:00", "2025-12-11T18:00:00.000+08:00")
    assert alike.title.startswith("门锁 固件 2.2.0 ")


def test_every_later_record_keeps_what_was_named_at_the_opening() -> None:
    target = desk()
    past(target, code())
    change = opened(target, code(LONG_AFTER, first=100))
    (resolved,) = target.advance([], LONG_AFTER + RESOLVE_MS)[0]
    assert resolved.similar == change.similar


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (code(LONG_AFTER, dims={"product": "摄像头"}, first=100), ["same_code", "same_topic"]),
        (code(LONG_AFTER, value="E9", first=100), None),
        (finding(customers=range(100, 112), tick=LONG_AFTER, value="退款售后", product="外卖", dims={}), None),
    ],
)
def test_a_place_and_a_topic_alone_are_no_likeness(now: Finding, why: list[str] | None) -> None:
    target = desk()
    quiet = code()
    quiet.keywords = ("别的",)
    past(target, quiet)
    found = similar(opened(target, now))
    assert [alike.why for alike in found] == ([] if why is None else [why])


def test_a_theme_is_known_by_its_words() -> None:
    target = desk()
    theme = {"measure": "theme", "dims": {}, "product": None}
    past(target, finding(customers=range(12), value="门锁离线·1", **theme))  # type: ignore[arg-type]
    now = finding(customers=range(100, 112), value="门锁离线·3", tick=LONG_AFTER, **theme)  # type: ignore[arg-type]
    assert [alike.why for alike in similar(opened(target, now))] == [["same_theme", "same_topic"]]


def test_common_words_count_beside_the_place() -> None:
    target = desk()
    word = finding(customers=range(12), measure="term", value="连不上")
    past(target, word)
    now = finding(customers=range(100, 112), measure="term", value="连不上", tick=LONG_AFTER)
    assert [alike.why for alike in similar(opened(target, now))] == [["same_terms", "same_topic", "same_place"]]


def test_the_three_most_alike_are_named_the_newest_of_equals_first() -> None:
    target = desk()
    ended = [past(target, code(NOON + days * 3 * DAY_MS, first=days * 20)).incident for days in range(5)]
    other = past(target, code(NOON + 20 * DAY_MS, dims={"product": "摄像头"}, first=900)).incident
    found = similar(opened(target, code(NOON + 30 * DAY_MS, first=500)))
    assert [alike.incident for alike in found] == [ended[4], ended[3], ended[2]]
    assert other not in [alike.incident for alike in found]


def act(target: Desk, tick: int, kind: str, incident: str, **fields: object) -> None:
    action = Action(id=f"{kind}{tick}", action=kind, at=tick, by="李工", incident=incident, **fields)  # type: ignore[arg-type]
    target.advance([], tick, [(tick, action)])


def test_what_people_said_is_remembered() -> None:
    target = desk()
    first = opened(target, code())
    act(target, NOON + MINUTE_MS, "resolve", first.incident, reason="回滚固件" + "。" * 500)
    act(target, NOON + HOUR_MS, "verdict", first.incident, verdict="true")
    (alike,) = similar(opened(target, code(LONG_AFTER, first=100)))
    assert (alike.verdict, alike.said[:4], len(alike.said)) == ("true", "回滚固件", MAX_SAID)


def test_what_a_person_dismissed_is_remembered_as_none() -> None:
    target = desk()
    first = opened(target, code())
    act(target, NOON + MINUTE_MS, "dismiss", first.incident, reason="压测")
    (alike,) = similar(opened(target, code(LONG_AFTER, first=100)))
    assert (alike.verdict, alike.said) == ("false", "压测")


def test_a_watch_that_fades_and_an_incident_that_goes_on_are_not_remembered() -> None:
    target = desk()
    weak = code()
    weak.opens, weak.score = False, 4.5
    target.advance([weak], NOON)
    target.advance([], NOON + RESOLVE_MS)
    going_on = opened(target, code(LONG_AFTER, dims={"product": "摄像头"}))
    assert similar(going_on) == []
    assert similar(opened(target, code(LONG_AFTER + 1, first=100))) == []


def test_a_reopened_incident_is_not_of_the_past() -> None:
    target = desk()
    past(target, code())
    again = NOON + RESOLVE_MS + HOUR_MS
    target.advance([code(again, first=6)], again)
    other = opened(target, code(again + 1, dims={"product": "摄像头"}, first=100))
    assert similar(other) == []


def test_the_memory_is_bounded_and_survives_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qianshao.desk.memory.MAX_PAST", 2)
    target = desk()
    ended = [past(target, code(NOON + days * 3 * DAY_MS, first=days * 20)).incident for days in range(4)]
    restored = desk()
    restored.restore(target.snapshot())
    for each in (target, restored):
        found = similar(opened(each, code(NOON + 30 * DAY_MS, first=500)))
        assert [alike.incident for alike in found] == [ended[3], ended[2]]
