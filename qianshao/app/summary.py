"""The summary of a run for people: accounting, incidents, speed, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qianshao.app import wording
from qianshao.app.rehearsal import Rehearsal
from qianshao.app.report import as_table
from qianshao.app.terminal import SEVERITY_STYLES
from qianshao.config import KEY_ENVIRONMENT_VARIABLE
from qianshao.outcome import Tally

DEMONSTRATION_KEY_NOTE = (
    "使用的是公开的演示密钥，任何人都能重算这些假名；"
    f"正式使用请设置 {KEY_ENVIRONMENT_VARIABLE} 或 privacy.pseudonym_key_file"
)


def summary_table(report: Rehearsal) -> RenderableType:
    """Draw what a replay did: accounting, incidents, speed, dead letters, and the scores where there was a truth."""
    books = report.total
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("读入", Text(accounting_text(books)))
    if books.read == 0:
        facts.add_row("", Text("输入里没有记录：文件是空的，或只有空行"))
    facts.add_row("立案", Text(f"{len(report.opened)} 起，提议主动告知 {report.pushes_proposed:,} 条"))
    speed = f"{report.events_per_second:,.0f} 条/秒，历时 {report.wall_seconds:.1f} 秒，{report.order.workers} 个进程"
    facts.add_row("速度", Text(speed))
    for place, (reason, count) in enumerate(report.deadletters.items()):
        name = wording.DEAD_LETTER_NAMES.get(reason, "")
        facts.add_row("" if place else "死信", Text(f"{count:>7,}  {reason}  {name}".rstrip()))
    facts.add_row("输出", Text(str(report.order.out)))
    if report.order.demonstration_key:
        facts.add_row("假名", Text(DEMONSTRATION_KEY_NOTE, style="yellow"))
    parts: list[RenderableType] = [facts]
    opened = report.opened
    if opened:
        incidents = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for name in ("立案", "级别", "现状"):
            incidents.add_column(name, no_wrap=True)
        incidents.add_column("标题", overflow="fold")
        for change in opened:
            incidents.add_row(
                wording.day_and_clock(change.opened_at or change.at),
                Text(change.severity, style=SEVERITY_STYLES.get(change.severity, "bold")),
                wording.STATUS_NAMES.get(change.status, change.status),
                Text(wording.plain(change.title)),
            )
        parts += [Text(""), incidents]
    if report.comparison is not None:
        parts += [Text(""), as_table(report.comparison, report.order.config.service.zone)]
    return Group(*parts)


def accounting_text(books: Tally) -> str:
    """Write the accounting as the sum it is.

    >>> accounting_text(Tally(source="", read=5, counted=3, dead=2))
    '5 条 = 计入 3 + 迟到 0 + 死信 2 + 重复 0 + 丢弃 0'
    """
    return (
        f"{books.read:,} 条 = 计入 {books.counted:,} + 迟到 {books.late:,} + 死信 {books.dead:,}"
        f" + 重复 {books.duplicate:,} + 丢弃 {books.dropped:,}"
    )


def bench_table(figures: Mapping[str, object]) -> RenderableType:
    """Draw what `bench pipeline` measured, the plain loop first."""
    plain, runs = figures["plain_loop"], figures["replay"]
    assert isinstance(plain, Mapping)
    assert isinstance(runs, Sequence)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    for name in ("条/秒", "相对朴素循环", "内存 MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("朴素循环（jieba + scikit-learn，一个进程）", f"{plain['events_per_second']:,.0f}", "1", "")
    for run in runs:
        speed, times, memory = run["events_per_second"], run["times_plain_loop"], run["peak_memory_mb"]
        table.add_row(f"replay，{run['workers']} 个进程", f"{speed:,.0f}", f"{times:.2f}", f"{memory:,.0f}")
    return table
