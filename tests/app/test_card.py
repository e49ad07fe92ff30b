"""The evidence card: one content for terminal, JSON and page."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from qianshao.app.card import Card, Lead, build_card
from qianshao.app.terminal import card_panel, incident_line
from qianshao.incident import About, IncidentChange, Similar, SuspectRollout

GOLDEN = Path(__file__).parent / "golden"

MakeChange = Callable[..., IncidentChange]


def drawn(card: Card, width: int) -> str:
    screen = Console(file=io.StringIO(), width=width, highlight=False, emoji=False)
    screen.print(card_panel(card))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_card_reads_as_it_was_agreed(opened: IncidentChange, width: int) -> None:
    assert drawn(build_card([opened], Lead(minutes=23.4)), width) == (GOLDEN / f"card_{width}.txt").read_text("utf-8")


LIKE = [
    Similar(
        incident="inc-1",
        title="智能门锁 L2 设备离线，代码 E207：已影响 88 位客户",
        opened_at="2026-01-12T09:30:00.000+08:00",
        resolved_at="2026-01-12T21:00:00.000+08:00",
        why=["same_code", "same_place"],
        verdict="true",
        said="回滚到 2.1.9",
    ),
    Similar(
        incident="inc-0",
        title="<b>智能门锁</b>\x1b[2J 设备离线：已影响 12 位客户",
        opened_at="2025-12-01T10:00:00.000+08:00",
        resolved_at="2025-12-01T16:00:00.000+08:00",
        why=["same_terms", "same_topic"],
    ),
]


def test_the_card_names_what_it_is_like_as_it_was_agreed(make_change: MakeChange) -> None:
    card = build_card([make_change(similar=LIKE, maintenance="基站割接")])
    assert drawn(card, 100) == (GOLDEN / "card_similar.txt").read_text("utf-8")


def test_a_card_without_a_past_says_nothing_of_it(opened: IncidentChange) -> None:
    assert build_card([opened]).similar == []
    assert "类似的往次" not in drawn(build_card([opened]), 120)


@pytest.mark.parametrize("width", [80, 120])
def test_every_line_of_a_card_fills_its_frame_though_chinese_is_two_columns_wide(
    opened: IncidentChange, width: int
) -> None:
    assert {cell_len(line) for line in drawn(build_card([opened]), width).splitlines()} == {width}


def test_a_customers_words_cannot_steer_the_terminal(opened: IncidentChange) -> None:
    text = drawn(build_card([opened]), 120)
    assert "\x1b" not in text
    assert "[bold]" in text


def test_a_title_cannot_steer_the_terminal(make_change: MakeChange) -> None:
    screen = Console(file=io.StringIO(), width=120)
    screen.print(incident_line(make_change(title="坏\x1b]0;x\x07标题 [red]")))
    assert isinstance(screen.file, io.StringIO)
    assert "\x1b" not in screen.file.getvalue()
    assert "[red]" in screen.file.getvalue()


def test_the_strangest_signal_stands_first(opened: IncidentChange) -> None:
    assert [witness.name for witness in build_card([opened]).witnesses] == ["设备代码 E207", "主题「设备离线」"]


def test_dimensions_stand_in_the_order_of_the_house_and_own_ones_last(make_change: MakeChange) -> None:
    card = build_card([make_change(dims={"batch": "B7", "region": ["华东", "华南"], "product": "智能门锁"})])
    assert card.dims == [("产品", "智能门锁"), ("地区", "华东、华南"), ("batch", "B7")]


def test_a_watched_trace_says_that_nobody_was_told(make_change: MakeChange) -> None:
    assert "尚未立案" in build_card([make_change(status="watching", opened_at=None)]).since


def test_a_silence_ends_by_rising_again(make_change: MakeChange, opened: IncidentChange) -> None:
    quiet = msgspec.structs.replace(opened.signals[0], kind="silence", observed=0, expected=40)
    assert "回升到预期" in build_card([make_change(signals=[quiet])]).quiet
    assert "回落到预期" in build_card([opened]).quiet


def test_a_card_without_any_evidence_is_still_a_card(make_change: MakeChange) -> None:
    bare = make_change(signals=[], dims={}, about=About(), keywords=[], quotes=[], customers=0, messages=0, devices=0)
    text = drawn(build_card([bare]), 80)
    assert "没有哪个维度能单独解释" in text
    assert "尚无客户" in text


def test_a_card_is_json(opened: IncidentChange) -> None:
    card = build_card([opened], Lead(minutes=None))
    assert msgspec.json.decode(msgspec.json.encode(card), type=Card) == card


def test_a_card_says_why_it_was_opened_and_what_changed_last(make_change: MakeChange, opened: IncidentChange) -> None:
    later = make_change(version=3, change="updated", reason="more_customers", at="2026-03-02T14:20:00.000+08:00")
    card = build_card([opened, later])
    assert card.why == "两个独立来源相互印证"
    assert card.latest == "14:20 更新：受影响的客户继续增加"
    assert build_card([opened]).latest == ""


def test_a_version_in_roll_out_is_told_with_start_and_reach(make_change: MakeChange, opened: IncidentChange) -> None:
    pushed = SuspectRollout(
        dimension="firmware", value="2.2.0", since="2026-03-02T10:20:00.000+08:00", share=0.12, among="L2"
    )
    card = build_card([make_change(suspect=pushed)])
    assert card.why_now == "固件 2.2.0 自 3月2日 10:20 起推送，已覆盖 12% 的 L2"
    assert "为何此时  固件 2.2.0 自 3月2日 10:20 起推送" in drawn(card, 120)
    assert build_card([opened]).why_now == ""
    app = msgspec.structs.replace(pushed, dimension="app_version", value="8.5.0", share=0.004, among="")
    assert build_card([make_change(suspect=app)]).why_now.endswith("已覆盖 不到 1% 的客户")


def test_what_is_over_needs_nothing_to_silence_it(make_change: MakeChange) -> None:
    assert build_card([make_change(status="resolved", change="resolved")]).quiet == ""
