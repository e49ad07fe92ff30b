"""Silences at the desk: which are one case, what they are called, and when they end."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.finding import Finding
from qianshao.incident import IncidentChange
from qianshao.series import Series


def silence(
    measure: str = "contacts",
    dims: Dims | None = None,
    *,
    tick: int = NOON,
    opens: bool = True,
    over: bool = False,
    expected: float = 40.0,
) -> Finding:
    dims = {"channel": "wechat"} if dims is None else dims
    return Finding(
        series=Series(measure, "", tuple((name, str(value)) for name, value in dims.items())),
        kind="silence",
        tick=tick,
        window_start=tick - HOUR_MS,
        window_end=tick,
        observed=0.0,
        expected=expected,
        score=6.0,
        witness="contacts",
        evidence=(),
        dims=dims,
        opens=opens,
        over=over,
    )


def steps(changes: list[IncidentChange]) -> list[tuple[str, str]]:
    return [(change.change, change.reason) for change in changes]


def test_a_silence_that_is_over_ends_its_incident_at_once() -> None:
    over = silence(tick=NOON + HOUR_MS, over=True)
    changes, _, _ = desk().advance([silence(), over], over.tick)
    assert steps(changes) == [("opened", "channel_silent"), ("resolved", "came_back")]


def test_a_watched_silence_that_is_over_is_dismissed() -> None:
    over = silence(tick=NOON + HOUR_MS, over=True)
    changes, _, _ = desk().advance([silence(opens=False), over], over.tick)
    assert steps(changes) == [("watched", "weak_witness"), ("dismissed", "came_back")]


def test_a_silence_that_is_only_watched_reopens_nothing() -> None:
    over = silence(tick=NOON + HOUR_MS, over=True)
    later = silence(tick=NOON + 3 * HOUR_MS, opens=False)
    changes, _, _ = desk().advance([silence(), over, later], later.tick)
    assert [change.change for change in changes] == ["opened", "resolved", "watched"]


def test_an_end_without_a_silence_changes_nothing() -> None:
    changes, _, _ = desk().advance([finding(customers=range(9)), silence(over=True)], NOON)
    assert steps(changes) == [("opened", "overwhelming_rise")]


def test_two_channels_that_fall_silent_are_two_incidents() -> None:
    changes, _, _ = desk().advance([silence(), silence(dims={"channel": "hotline"})], NOON)
    assert [change.change for change in changes] == ["opened", "opened"]


def test_what_falls_silent_in_one_line_is_one_incident_and_ends_when_all_of_it_is_back() -> None:
    line: Dims = {"line": "家居"}
    later = NOON + HOUR_MS
    half = [silence("devices", line), silence("tickets", line), silence("tickets", line, tick=later, over=True)]
    whole = silence("devices", line, tick=later + MINUTE_MS, over=True)
    changes, _, _ = desk().advance([*half, whole], whole.tick)
    assert len({change.incident for change in changes}) == 1
    assert [each for each in steps(changes) if each[0] == "resolved"] == [("resolved", "came_back")]
    assert changes[-1].at.startswith("2025-12-11T13:01")


@pytest.mark.parametrize(
    ("measure", "dims", "title"),
    [
        ("contacts", {"channel": "wechat"}, "渠道 wechat 来访中断：应有约 40 位客户，实到 0 位"),
        ("devices", {"line": "家居"}, "家居 设备上报中断：应有约 40 台设备，实到 0 台"),
        ("tickets", {"line": "家居"}, "家居 工单中断：应有约 40 张工单，实到 0 张"),
        ("ratings", {}, "全部业务 评分中断：应有约 40 条评分，实到 0 条"),
        ("calls", {}, "全部业务 来电中断：应有约 40 通来电，实到 0 通"),
        ("chats", {}, "全部业务 在线会话中断：应有约 40 个会话，实到 0 个"),
    ],
)
def test_the_title_says_in_chinese_what_stays_away(measure: str, dims: Dims, title: str) -> None:
    changes, _, _ = desk().advance([silence(measure, dims)], NOON)
    assert changes[0].title == title


def test_a_restored_desk_knows_which_silences_are_over() -> None:
    line: Dims = {"line": "家居"}
    later = NOON + HOUR_MS
    first = [silence("devices", line), silence("tickets", line), silence("tickets", line, tick=later, over=True)]
    last = silence("devices", line, tick=later + MINUTE_MS, over=True)
    whole, restored = desk(), desk()
    whole.advance(first, later)
    restored.restore(whole.snapshot())
    ends = [each.advance([last], last.tick)[0] for each in (whole, restored)]
    assert msgspec.json.encode(ends[0]) == msgspec.json.encode(ends[1])
    assert ends[0][-1].reason == "came_back"


def unheard(value: str, tick: int) -> Finding:
    """Customers of one product say in other channels what they could not say in theirs."""
    return finding(customers=range(10), measure="theme", value=value, dims={"product": "门锁"}, tick=tick)


def test_customers_who_do_not_get_through_belong_to_the_silence_of_their_channel() -> None:
    target, words = desk(), unheard("客户称热线电话联系不上，已记录", NOON + 30 * MINUTE_MS)
    first = target.advance([silence()], NOON)[0]
    changes = first + target.advance([words], words.tick)[0]
    assert {change.incident for change in changes} == {first[0].incident}
    assert changes[-1].dims == {"channel": "wechat"}
    assert changes[-1].customers == 10


def test_what_else_customers_say_during_a_silence_is_a_cause_of_its_own() -> None:
    target, words = desk(), unheard("门锁离线，已报修", NOON + 30 * MINUTE_MS)
    changes = target.advance([silence()], NOON)[0] + target.advance([words], words.tick)[0]
    assert len({change.incident for change in changes}) == 2


def test_customers_who_do_not_get_through_after_a_silence_are_a_cause_of_their_own() -> None:
    target, words = desk(), unheard("客户称热线电话联系不上，已记录", NOON + 3 * HOUR_MS)
    over = silence(tick=NOON + HOUR_MS, over=True)
    changes = target.advance([silence(), over], over.tick)[0] + target.advance([words], words.tick)[0]
    assert len({change.incident for change in changes}) == 2
