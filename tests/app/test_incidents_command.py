"""Incidents by name: the list, the card, and the log of decisions that reads like a story."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console as Screen

from qianshao.app.cli import cli
from qianshao.app.console.pages import Reader, console_app
from qianshao.app.console.server import listen, serving
from qianshao.app.incident_files import ask_cards, ask_history, read_incidents
from qianshao.app.story import MOST_NEWS, build_story
from qianshao.app.terminal import story_lines
from qianshao.config import Console
from qianshao.errors import InputError, QianshaoError, UnavailableError
from qianshao.incident import IncidentChange, Signal, Similar

MakeChange = Callable[..., IncidentChange]

GOLDEN = Path(__file__).parent / "golden" / "story.txt"


def signal(series: str, observed: float, expected: float = 0.1, score: float = 5.0) -> Signal:
    return Signal(
        series=series,
        kind="rise",
        window_start="2026-03-02T14:00:00.000+08:00",
        window_end="2026-03-02T14:10:00.000+08:00",
        observed=observed,
        expected=expected,
        score=score,
    )


@pytest.fixture
def history(make_change: MakeChange) -> list[IncidentChange]:
    """Watched on one weak witness, opened on two, grown, acknowledged by a person, over."""
    weak = signal("code:E207|firmware=2.2.0", 3)
    second = signal("topic:设备离线|product=智能门锁", 7, 2.3, 8.1)
    place = {"product": "智能门锁"}
    first = {"version": 1, "change": "watched", "status": "watching", "reason": "weak_witness", "opened_at": None}
    return [
        make_change(
            **first,
            at="2026-03-02T14:04:00.000+08:00",
            severity="P4",
            dims=place,
            signals=[weak],
            customers=3,
            devices=3,
        ),
        make_change(
            version=2,
            signals=[msgspec.structs.replace(weak, observed=131, score=42.0), second],
            dims={**place, "firmware": "2.2.0"},
        ),
        make_change(
            version=3,
            change="acknowledged",
            status="acknowledged",
            reason="by_person",
            at="2026-03-02T14:09:00.000+08:00",
            signals=[msgspec.structs.replace(weak, observed=131, score=42.0), second],
            dims={**place, "firmware": "2.2.0"},
            by="值班\x1b[2J小李",
        ),
        make_change(
            version=4,
            change="resolved",
            status="resolved",
            reason="no_new_evidence",
            at="2026-03-02T20:09:00.000+08:00",
            signals=[msgspec.structs.replace(weak, observed=131, score=42.0), second],
            dims={**place, "firmware": "2.2.0"},
        ),
    ]


def written(folder: Path, *histories: list[IncidentChange]) -> Path:
    lines = [msgspec.json.encode(change) + b"\n" for history in histories for change in history]
    (folder / "incidents.jsonl").write_bytes(b"".join(lines))
    return folder


def test_the_log_of_decisions_reads_as_it_was_agreed(history: list[IncidentChange]) -> None:
    screen = Screen(file=io.StringIO(), width=100, highlight=False, emoji=False)
    screen.print(story_lines(build_story(history)))
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue() == GOLDEN.read_text("utf-8")


def test_a_case_that_was_held_back_reads_as_it_was_agreed(make_change: MakeChange) -> None:
    base = {"signals": [signal("topic:退款售后|product=钱包", 12, 1.5)], "dims": {"product": "钱包"}, "devices": 0}
    held = {**base, "status": "watching", "opened_at": None, "severity": "P3", "change": "watched"}
    past = Similar(
        incident="inc-1",
        title="钱包 退款售后：已影响 31 位客户",
        opened_at="2026-01-12T09:30:00.000+08:00",
        resolved_at="2026-01-12T21:00:00.000+08:00",
        why=["same_terms", "same_place"],
    )
    told = {**base, "similar": [past], "maintenance": "网关升级", "opened_at": "2026-03-02T18:40:00.000+08:00"}
    story = build_story(
        [
            make_change(
                version=1,
                at="2026-03-02T14:04:00.000+08:00",
                reason="maintenance_window",
                maintenance="网关升级",
                customers=12,
                **held,
            ),
            make_change(
                version=2,
                at="2026-03-02T16:20:00.000+08:00",
                reason="inhibited_by_parent",
                maintenance="网关升级",
                parent="inc-7",
                customers=15,
                **held,
            ),
            make_change(
                version=3,
                at="2026-03-02T18:40:00.000+08:00",
                reason="parent_ended",
                severity="P3",
                customers=19,
                **told,
            ),
            make_change(
                version=4,
                at="2026-03-02T19:10:00.000+08:00",
                change="escalated",
                reason="growing_faster",
                severity="P2",
                customers=29,
                **told,
            ),
        ]
    )
    screen = Screen(file=io.StringIO(), width=100, highlight=False, emoji=False)
    screen.print(story_lines(story))
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue() == GOLDEN.with_name("story_held.txt").read_text("utf-8")


def test_a_decision_tells_only_what_was_not_known_before(history: list[IncidentChange]) -> None:
    told = [chapter.news for chapter in build_story(history).chapters]
    assert any("3 → 131" in line for line in told[1])
    assert any("产品 智能门锁 → 产品 智能门锁 · 固件 2.2.0" in line for line in told[1])
    assert told[2] == told[3] == []


def test_many_signals_are_counted_and_not_all_told(make_change: MakeChange) -> None:
    many = [signal(f"term:词{number}", 5, score=5.0 + number) for number in range(MOST_NEWS + 4)]
    news = build_story([make_change(signals=many)]).chapters[0].news
    assert f"另有 {4} 个信号" in news
    assert f"词{MOST_NEWS + 3}" in news[0]


def test_a_merged_incident_says_into_which(make_change: MakeChange) -> None:
    before, after = make_change(), make_change(version=3, change="merged", status="merged", parent="inc-2")
    assert "并入：inc-2" in build_story([before, after]).chapters[1].news


def test_an_inhibited_case_says_which_incident_explains_it(make_change: MakeChange) -> None:
    held = make_change(
        version=1, change="watched", status="watching", reason="inhibited_by_parent", opened_at=None, parent="inc-1"
    )
    (chapter,) = build_story([held]).chapters
    assert "由其解释：inc-1" in chapter.news
    assert "足以解释" in chapter.why


def test_evidence_under_planned_work_names_the_work_once(make_change: MakeChange) -> None:
    held = make_change(
        version=1,
        change="watched",
        status="watching",
        reason="maintenance_window",
        opened_at=None,
        maintenance="网关\x1b[2J升级",
    )
    overran = make_change(version=2, reason="maintenance_overran", maintenance="网关\x1b[2J升级")
    first, second = build_story([held, overran]).chapters
    assert "计划维护：网关 [2J升级" in first.news
    assert not any("计划维护：" in line for line in second.news)
    assert "应已结束" in second.why


def test_the_opening_names_the_similar_ones_of_the_past_once(make_change: MakeChange) -> None:
    past = Similar(
        incident="inc-1",
        title="门锁离线",
        opened_at="2026-01-12T09:30:00.000+08:00",
        resolved_at="2026-01-12T21:00:00.000+08:00",
        why=["same_code"],
    )
    first, second = build_story([make_change(similar=[past]), make_change(version=3, similar=[past])]).chapters
    assert "类似的往次：1月12日 09:30 门锁离线" in first.news
    assert not any("往次" in line for line in second.news)


def test_nobodys_name_steers_the_terminal(history: list[IncidentChange]) -> None:
    assert "\x1b" not in build_story(history).chapters[2].by


def test_the_commands_read_the_files_of_a_replay(tmp_path: Path, history: list[IncidentChange]) -> None:
    folder = str(written(tmp_path, history))
    listed = CliRunner().invoke(cli, ["incidents", "list", "--from", folder])
    assert history[0].incident in listed.output
    shown = CliRunner().invoke(cli, ["incidents", "show", history[0].incident, "--from", folder])
    assert "已恢复" in shown.output
    why = CliRunner().invoke(cli, ["incidents", "show", history[0].incident, "--why", "--json", "--from", folder])
    assert [chapter["change"] for chapter in json.loads(why.output)["chapters"]] == [
        "开始观察",
        "立案",
        "已接手",
        "恢复",
    ]


def test_a_mere_watch_is_not_listed(tmp_path: Path, history: list[IncidentChange]) -> None:
    listed = CliRunner().invoke(cli, ["incidents", "list", "--from", str(written(tmp_path, history[:1]))])
    assert listed.output == "没有立案的事件\n"


@pytest.mark.parametrize("arguments", [["list"], ["show", "x"]])
def test_without_a_place_the_command_says_what_to_name(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["incidents", *arguments])
    assert result.exit_code == 2
    assert "--from" in result.output


def test_an_unknown_incident_is_wrong_usage(tmp_path: Path, history: list[IncidentChange]) -> None:
    result = CliRunner().invoke(cli, ["incidents", "show", "nothing", "--from", str(written(tmp_path, history))])
    assert isinstance(result.exception, QianshaoError)
    assert result.exception.exit_code == 2


def test_a_broken_line_is_named(tmp_path: Path, history: list[IncidentChange]) -> None:
    folder = written(tmp_path, history)
    with (folder / "incidents.jsonl").open("ab") as handle:
        handle.write(b'{"incident": \xff}\n')
    with pytest.raises(InputError, match="line 5"):
        read_incidents(folder)


@pytest.fixture
def service(reader: Reader) -> Iterator[Console]:
    """The page of a service on a free port."""
    listener = listen("127.0.0.1", 0, search=False)
    with serving(console_app(reader, leads={}, host="127.0.0.1"), listener):
        yield Console(port=listener.getsockname()[1])


def test_the_running_service_is_asked_over_its_page(service: Console, reader: Reader) -> None:
    cards = ask_cards(service)
    assert [card.incident for card in cards] == [change.incident for change in reader.scene().incidents]
    assert ask_history(service, cards[0].incident) == reader.history(cards[0].incident)
    assert ask_history(service, "no/such incident") == []


def test_a_service_that_is_away_is_named_with_what_to_do() -> None:
    listener = listen("127.0.0.1", 0, search=False)
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(UnavailableError, match="qianshao run"):
        ask_cards(Console(port=port))
