"""The decision log of one incident as a story: what was known at each decision, what was new, and why it fell."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qianshao.app import wording
from qianshao.app.card import build_card
from qianshao.incident import IncidentChange, Signal

MOST_NEWS = 6
"""Lines told under one decision; what remains is counted."""


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. Every text is Chinese and masked; nothing here is markup."""

    version: int
    at: str
    when: str
    after: str
    """How long after the first evidence, '' where that says nothing."""
    change: str
    severity: str
    why: str
    by: str
    """The person who decided it, '' where none did."""
    news: list[str]
    """What was known now and not at the decision before, the strangest first."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """An incident from its first evidence to its newest state."""

    incident: str
    title: str
    began: str
    chapters: list[Chapter]
    end: str
    """What would silence it, or that it is over."""


def build_story(history: Sequence[IncidentChange]) -> Story:
    """Tell one incident.

    Parameters
    ----------
    history
        Its changes, ascending by version, at least one; what is missing between two versions is told with the later.
    """
    last = history[-1]
    card = build_card(history)
    before: IncidentChange | None = None
    chapters: list[Chapter] = []
    for change in history:
        after = wording.between(change.first_seen, change.at) if before is None or change.change == "opened" else ""
        chapters.append(
            Chapter(
                version=change.version,
                at=change.at,
                when=wording.day_and_clock(change.at),
                after=f"首个迹象后 {after}" if after else "",
                change=wording.change_name(change.change, change.version),
                severity=change.severity,
                why=wording.reason_text(change.reason),
                by=wording.plain(change.by) if isinstance(change.by, str) else "",
                news=_news(before, change),
            )
        )
        before = change
    return Story(
        incident=last.incident,
        title=wording.plain(last.title),
        began=f"{wording.day_and_clock(last.first_seen)} 出现首个迹象",
        chapters=chapters,
        end=f"何时消退：{card.quiet}" if card.quiet else f"现在：{card.status_name}",
    )


def _news(before: IncidentChange | None, change: IncidentChange) -> list[str]:
    """Name what a change knows that the one before did not."""
    known = {} if before is None else {signal.series: signal for signal in before.signals}
    signals = sorted(change.signals, key=lambda signal: (signal.series in known, -signal.score, signal.series))
    news = [line for signal in signals for line in (_told(signal, known.get(signal.series)),) if line]
    if len(news) > MOST_NEWS:
        news = [*news[:MOST_NEWS], f"另有 {len(news) - MOST_NEWS} 个信号"]
    sizes = [
        f"{name} {'' if before is None else f'{old:,} → '}{new:,}"
        for name, old, new in (
            ("客户", before.customers if before else 0, change.customers),
            ("设备", before.devices if before else 0, change.devices),
        )
        if new != old
    ]
    if sizes:
        news.append("受影响：" + "，".join(sizes))
    place = _place(change)
    if before is None or _place(before) != place:
        turned = "" if before is None else f"{_place(before)} → "
        news.append(f"范围：{turned}{place}")
    if before is not None and before.severity != change.severity:
        news.append(f"级别：{before.severity} → {change.severity}")
    if change.parent is not None and (before is None or before.parent != change.parent):
        news.append(f"{wording.parent_name(change.status)}：{change.parent}")
    if isinstance(change.similar, list) and (before is None or not isinstance(before.similar, list)):
        news += [
            f"类似的往次：{wording.day_and_clock(past.opened_at)} {wording.plain(past.title)}"
            for past in change.similar
        ]
    if isinstance(change.maintenance, str) and (before is None or before.maintenance != change.maintenance):
        news.append(f"计划维护：{wording.plain(change.maintenance)}")
    return news


def _told(signal: Signal, known: Signal | None) -> str:
    """Tell a signal that is new or has grown; '' for one that says nothing new."""
    if known is not None and signal.observed <= known.observed:
        return ""
    name, scope = wording.series_name(signal.series)
    where = f"（{scope}）" if scope else ""
    kind = wording.KIND_NAMES.get(signal.kind, signal.kind)
    grown = "" if known is None else f"{wording.number(known.observed)} → "
    length = wording.between(signal.window_start, signal.window_end)
    return wording.plain(
        f"{name}{where}{kind}：{length}内 {grown}{wording.number(signal.observed)}，"
        f"预期 {wording.number(signal.expected)}，偶然概率 {wording.chance(signal.score)}"
    )


def _place(change: IncidentChange) -> str:
    pairs = wording.dimensions(change.dims)
    return " · ".join(f"{name} {value}" for name, value in pairs) or "没有哪个维度能单独解释"
