"""The evidence card: everything a person needs to believe an incident, built once for terminal, JSON and page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from qianshao.app import wording
from qianshao.desk.desk import RESOLVE_MS, WATCH_MS
from qianshao.incident import IncidentChange, Signal, Similar, SuspectRollout


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """How an incident's report compares with the tuned fixed threshold on the same events."""

    minutes: float | None
    """Minutes by which the report came earlier; negative = later; None = the fixed threshold never reported it."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """One signal in people's words: what was counted, where, when, observed against expected."""

    series: str
    name: str
    scope: str
    """Dimensions of the series, '' = everything."""
    kind: str
    window: str
    observed: str
    expected: str
    multiple: str
    """Observed against expected in words, '' when no ratio says anything."""
    chance: str


class PastIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident of the past that this one is like."""

    incident: str
    title: str
    when: str
    """When it was opened, and how long it lasted."""
    why: str
    """In what they are alike."""
    outcome: str
    """What people said of it, '' if nothing."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an evidence card. Every text is Chinese and masked; nothing here is markup."""

    incident: str
    version: int
    severity: str
    severity_name: str
    status: str
    status_name: str
    ongoing: bool
    title: str
    first_seen: str
    opened_at: str | None
    at: str
    since: str
    """One phrase: since when, and how long the report took."""
    customers: int
    messages: int
    devices: int
    dims: list[tuple[str, str]]
    """(name, value), in the order of the house; [] = no dimension explains it."""
    about: list[tuple[str, str]]
    witnesses: list[Witness]
    """Strangest first."""
    keywords: list[str]
    quotes: list[str]
    why: str
    """Why it was opened, or is watched."""
    why_now: str
    """What was being rolled out there, '' when nothing was."""
    latest: str
    """What changed last and why, '' when that was the opening."""
    reason: str
    """Why it changed last, as the machine names it."""
    quiet: str
    """What would silence it, '' when it is over."""
    confidence_percent: int
    evidence_count: int
    parent: str | None
    parent_name: str
    """What the parent is to it, '' without one."""
    maintenance: str
    """The planned work that explains evidence of it, '' without any."""
    similar: list[PastIncident]
    """The most similar first."""
    lead: str
    """Lead over the tuned fixed threshold, '' where it was not measured."""


def lead_text(lead: Lead | None) -> str:
    """Say in one phrase who was earlier.

    >>> lead_text(Lead(minutes=23.4)), lead_text(Lead(minutes=None)), lead_text(Lead(minutes=-2.0)), lead_text(None)
    ('比固定阈值早 23 分钟', '固定阈值始终没有报出', '比固定阈值晚 2 分钟', '')
    """
    if lead is None:
        return ""
    if lead.minutes is None:
        return "固定阈值始终没有报出"
    if abs(lead.minutes) < 0.5:
        return "与固定阈值同时"
    return f"比固定阈值{'早' if lead.minutes > 0 else '晚'} {abs(lead.minutes):.0f} 分钟"


def build_card(history: Sequence[IncidentChange], lead: Lead | None = None) -> Card:
    """Build the card of the newest state of one incident.

    Parameters
    ----------
    history
        Its changes, ascending by version, at least the newest; the texts are masked already. Without the change that
        opened it, the reason of the newest change stands for why it was opened.
    lead
        Comparison with the tuned fixed threshold, where one was made.
    """
    change = history[-1]
    opening = next((one for one in history if one.opened_at is not None), change)
    witnesses = [
        _witness(signal) for signal in sorted(change.signals, key=lambda signal: (-signal.score, signal.series))
    ]
    return Card(
        incident=change.incident,
        version=change.version,
        severity=change.severity,
        severity_name=wording.SEVERITY_NAMES.get(change.severity, change.severity),
        status=change.status,
        status_name=wording.STATUS_NAMES.get(change.status, change.status),
        ongoing=change.status in wording.ONGOING,
        title=wording.plain(change.title),
        first_seen=change.first_seen,
        opened_at=change.opened_at,
        at=change.at,
        since=_since(change),
        customers=change.customers,
        messages=change.messages,
        devices=change.devices,
        dims=wording.dimensions(change.dims),
        about=_about(change),
        witnesses=witnesses,
        keywords=[wording.plain(word) for word in change.keywords],
        quotes=[wording.plain(quote) for quote in change.quotes],
        why=wording.reason_text(opening.reason),
        why_now=_why_now(change.suspect),
        latest="" if opening is change else _latest(change),
        reason=change.reason,
        quiet=_quiet(change),
        confidence_percent=round(100 * change.confidence),
        evidence_count=len(change.evidence),
        parent=change.parent,
        parent_name=wording.parent_name(change.status) if change.parent else "",
        maintenance=wording.plain(change.maintenance) if isinstance(change.maintenance, str) else "",
        similar=[_past(past) for past in change.similar] if isinstance(change.similar, list) else [],
        lead=lead_text(lead),
    )


def impact(card: Card) -> list[tuple[str, int]]:
    """Name the sizes that are not zero: customers, devices, messages."""
    sizes = [("客户", card.customers), ("设备", card.devices), ("消息", card.messages)]
    return [(name, size) for name, size in sizes if size > 0]


def _witness(signal: Signal) -> Witness:
    name, scope = wording.series_name(signal.series)
    return Witness(
        series=signal.series,
        name=wording.plain(name),
        scope=wording.plain(scope),
        kind=wording.KIND_NAMES.get(signal.kind, signal.kind),
        window=f"{wording.clock(signal.window_start)}–{wording.clock(signal.window_end)}",
        observed=wording.number(signal.observed),
        expected=wording.number(signal.expected),
        multiple=wording.multiple(signal.observed, signal.expected),
        chance=wording.chance(signal.score),
    )


def _since(change: IncidentChange) -> str:
    seen = wording.day_and_clock(change.first_seen)
    if change.opened_at is None:
        return f"{seen} 起有迹象，尚未立案"
    delay = wording.between(change.first_seen, change.opened_at)
    return f"{seen} 起，{wording.clock(change.opened_at)} 立案（首个迹象后 {delay}）"


def _about(change: IncidentChange) -> list[tuple[str, str]]:
    about = change.about
    pairs = [
        ("主题", about.topic),
        ("工单类型", about.ticket_type),
        ("设备代码", about.code),
        ("用语", "、".join(about.terms)),
    ]
    return [(name, wording.plain(value)) for name, value in pairs if value]


def _past(past: Similar) -> PastIncident:
    outcome = [wording.VERDICT_NAMES.get(past.verdict, ""), wording.plain(past.said)]
    return PastIncident(
        incident=past.incident,
        title=wording.plain(past.title),
        when=f"{wording.day_and_clock(past.opened_at)} 立案，历时 {wording.between(past.opened_at, past.resolved_at)}",
        why="、".join(wording.LIKENESS_NAMES.get(likeness, likeness) for likeness in past.why),
        outcome="：".join(part for part in outcome if part),
    )


def _why_now(suspect: SuspectRollout | msgspec.UnsetType) -> str:
    if isinstance(suspect, msgspec.UnsetType):
        return ""
    name = wording.DIMENSION_NAMES.get(suspect.dimension, suspect.dimension)
    reach = f"{100 * suspect.share:.0f}%" if suspect.share >= 0.01 else "不到 1%"
    among = f"{reach} 的 {suspect.among}" if suspect.among else f"{reach} 的客户"
    return wording.plain(f"{name} {suspect.value} 自 {wording.day_and_clock(suspect.since)} 起推送，已覆盖 {among}")


def _latest(change: IncidentChange) -> str:
    name = wording.change_name(change.change, change.version)
    return f"{wording.clock(change.at)} {name}：{wording.reason_text(change.reason)}"


def _quiet(change: IncidentChange) -> str:
    if change.status not in wording.ONGOING and change.status != "watching":
        return ""
    wait = wording.span(timedelta(milliseconds=WATCH_MS if change.opened_at is None else RESOLVE_MS))
    if not change.signals:
        return f"{wait}没有新的证据"
    strongest = min(change.signals, key=lambda signal: (-signal.score, signal.series))
    name, _ = wording.series_name(strongest.series)
    length = wording.between(strongest.window_start, strongest.window_end)
    turn = "回升" if strongest.kind in {"drop", "silence"} else "回落"
    return (
        f"{wording.plain(name)} {turn}到预期（{length}内约 {wording.number(strongest.expected)}），{wait}没有新的证据"
    )
