"""The terminal: evidence cards and incident lines, drawn with rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from qianshao.app import wording
from qianshao.app.card import Card, impact
from qianshao.app.story import Story
from qianshao.incident import IncidentChange

SEVERITY_STYLES: dict[str, str] = {"P1": "bold red", "P2": "red", "P3": "yellow", "P4": "cyan"}

MAXIMUM_WIDTH = 120
"""Lines longer than this are hard to read, however wide the terminal."""


def card_panel(card: Card) -> RenderableType:
    """Draw one evidence card.

    Texts that come from events are given to rich as plain text: a `[bold]` in a customer's words stays as typed.
    """
    style = SEVERITY_STYLES.get(card.severity, "bold")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("始于", Text(card.since))
    sizes = Text("，").join(Text(f"{name} {size:,}") for name, size in impact(card))
    facts.add_row("影响", sizes if sizes.plain else Text("尚无客户"))
    facts.add_row("范围", Text(" · ".join(f"{name} {value}" for name, value in card.dims) or "没有哪个维度能单独解释"))
    if card.about:
        facts.add_row("关于", Text(" · ".join(f"{name} {value}" for name, value in card.about)))
    if card.keywords:
        facts.add_row("关键词", Text("、".join(card.keywords)))
    certainty = f"可信度 {card.confidence_percent}%，证据 {card.evidence_count} 条"
    facts.add_row("为何立案" if card.opened_at else "为何观察", Text(f"{card.why}（{certainty}）"))
    if card.why_now:
        facts.add_row("为何此时", Text(card.why_now))
    if card.latest:
        facts.add_row("最近变化", Text(card.latest))
    if card.quiet:
        facts.add_row("何时消退", Text(card.quiet))
    if card.parent:
        facts.add_row(card.parent_name, Text(card.parent))
    if card.maintenance:
        facts.add_row("计划维护", Text(card.maintenance))
    for number, past in enumerate(card.similar):
        detail = "；".join(part for part in (past.when, past.why, past.outcome) if part)
        facts.add_row("" if number else "类似的往次", Text.assemble(past.title, (f"（{detail}）", "dim")))
    if card.lead:
        facts.add_row("领先", Text(card.lead, style="bold green"))

    witnesses = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    witnesses.add_column("信号", overflow="fold")
    witnesses.add_column("时段", no_wrap=True)
    witnesses.add_column("观测", justify="right", no_wrap=True)
    witnesses.add_column("预期", justify="right", no_wrap=True)
    witnesses.add_column("变化", no_wrap=True)
    witnesses.add_column("偶然概率", no_wrap=True)
    for witness in card.witnesses:
        name = Text(witness.name)
        if witness.scope:
            name.append(f"  {witness.scope}", style="dim")
        change = f"{witness.kind} {witness.multiple}".strip()
        witnesses.add_row(name, witness.window, witness.observed, witness.expected, change, witness.chance)

    parts: list[RenderableType] = [Text(card.title, style="bold"), Text(""), facts]
    if card.witnesses:
        parts += [Text(""), witnesses]
    if card.quotes:
        parts.append(Text(""))
        parts += [Padding(Text(f"“{quote}”", style="italic"), (0, 0, 0, 2)) for quote in card.quotes]
    heading = Text.assemble((f" {card.severity} {card.severity_name} ", f"{style} reverse"), f" {card.status_name} ")
    return Panel(
        Group(*parts),
        title=heading,
        title_align="left",
        subtitle=Text(f"{card.incident} · 第 {card.version} 版"),
        subtitle_align="right",
        border_style=style,
        padding=(1, 2),
    )


def incident_line(change: IncidentChange) -> Text:
    """Write one change of one incident as a line stamped with event time."""
    style = SEVERITY_STYLES.get(change.severity, "bold")
    text = Text.assemble(
        (wording.day_and_clock(change.at), "dim"),
        f"  {change.severity}  ",
        (wording.change_name(change.change, change.version), style),
        "  ",
        (wording.plain(change.title), "bold"),
    )
    sizes = [f"{name} {size:,}" for name, size in (("客户", change.customers), ("设备", change.devices)) if size > 0]
    if sizes:
        text.append("  " + "，".join(sizes), style="dim")
    return text


def story_lines(story: Story) -> RenderableType:
    """Draw the decision log of one incident: a heading for each decision, under it what was new and why it fell."""
    parts: list[RenderableType] = [Text(story.title, style="bold"), Text(f"{story.incident} · {story.began}", "dim")]
    for chapter in story.chapters:
        style = SEVERITY_STYLES.get(chapter.severity, "bold")
        heading = Text.assemble(
            (chapter.when, "dim"), f"  {chapter.severity}  ", (chapter.change, style), (f"  {chapter.after}", "dim")
        )
        facts = Table.grid(padding=(0, 2))
        facts.add_column(no_wrap=True, style="dim")
        facts.add_column(overflow="fold")
        facts.add_row("为何", Text(f"{chapter.why}（{chapter.by}）" if chapter.by else chapter.why))
        for number, line in enumerate(chapter.news):
            facts.add_row("" if number else "新知", Text(line))
        parts += [Text(""), heading, Padding(facts, (0, 0, 0, 2))]
    parts += [Text(""), Text(story.end)]
    return Group(*parts)


def cards_table(cards: Sequence[Card]) -> RenderableType:
    """Draw one line for each incident."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("事件", "级别", "状态", "立案"):
        table.add_column(name, no_wrap=True)
    table.add_column("客户", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for card in cards:
        opened = wording.day_and_clock(card.opened_at) if card.opened_at else ""
        table.add_row(
            card.incident,
            Text(card.severity, style=SEVERITY_STYLES.get(card.severity, "bold")),
            card.status_name,
            opened,
            f"{card.customers:,}",
            Text(card.title),
        )
    return table


def screen(*, stderr: bool) -> Console:
    """Open the output for people: at most 120 columns, exactly that in a file; customers' words are never coloured."""
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if console.width > MAXIMUM_WIDTH or not console.is_terminal:
        console.width = MAXIMUM_WIDTH
    return console
