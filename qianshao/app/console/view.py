"""What the templates are given: a scene turned into figures, rows and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from markupsafe import Markup

from qianshao.app import wording
from qianshao.app.card import Card, Lead, build_card, impact
from qianshao.app.console.chart import NARROW, WIDE, WIDE_HALF, Marker, Size, growth_chart, volume_chart
from qianshao.app.console.headline import headline
from qianshao.app.console.scene import Scene
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, from_rfc3339
from qianshao.incident import IncidentChange
from sinks.queries import TopicVolume, VolumeBin

SHOWN_MS = DAY_MS
SHOWN_NARROW_MS = 8 * HOUR_MS
"""The chart shows at most the last day; on a phone the last eight hours, where a bin still has a width, and more only
where something that goes on began earlier."""

SHOWN_HOTSPOTS = 8

HOT_DEVIATIONS = 3.0
HOT_CUSTOMERS = 5
"""A topic is drawn as hot when it stands so far above its expectation, in Poisson deviations, by this many customers.
Only colour depends on it: reports come from the desk."""

RECENT_CHANGES = 8

GROWTH_TAIL_MS = 30 * MINUTE_MS
"""The growth of an incident is drawn this far beyond its last change, or half its length, so that it levels out."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One large number of the page."""

    name: str
    value: str
    unit: str
    note: str


def overview(scene: Scene, leads: Mapping[str, Lead]) -> dict[str, object]:
    """Everything the overview's template shows."""
    cards = [build_card([change], leads.get(change.incident)) for change in scene.incidents]
    ongoing = [card for card in cards if card.ongoing]
    past = [card for card in cards if not card.ongoing]
    shown = [bin_ for bin_ in scene.volumes if bin_.bin_start >= scene.now_ms - SHOWN_MS]
    begun = [from_rfc3339(card.first_seen) - HOUR_MS for card in ongoing]
    latest = [bin_ for bin_ in shown if bin_.bin_start >= min([scene.now_ms - SHOWN_NARROW_MS, *begun])]
    head = headline(scene.incidents, scene.watching)
    return {
        "asof": asof(scene),
        "head": head,
        "figures": _figures(scene, ongoing),
        "wide": _chart(scene, shown, WIDE, head.text),
        "narrow": _chart(scene, latest, NARROW, head.text),
        "learning": any(bin_.learning for bin_ in shown),
        "trusted": any(not bin_.learning for bin_ in shown),
        "outside": any(not bin_.learning and not bin_.low <= bin_.customers <= bin_.high for bin_ in shown),
        "ongoing": [_row(card) for card in ongoing],
        "past": [_row(card) for card in past],
        "recent": [_move(change) for change in scene.recent[:RECENT_CHANGES]],
        "hotspots": _hotspots(scene.hotspots),
        "scene": _foot(scene),
    }


def incident_page(scene: Scene, history: Sequence[IncidentChange], lead: Lead | None) -> dict[str, object]:
    """Everything the page of one incident shows; `history` ascends by version and is not empty."""
    card = build_card(history, lead)
    figures = [
        Figure(name="客户", value=f"{card.customers:,}", unit="位", note="受影响，去重"),
        Figure(name="设备", value=f"{card.devices:,}", unit="台", note="上报异常"),
        Figure(name="消息", value=f"{card.messages:,}", unit="条", note="相关来访与日志"),
        Figure(name="可信度", value=f"{card.confidence_percent}", unit="%", note=f"证据 {card.evidence_count} 条"),
    ]
    return {
        "asof": asof(scene),
        "card": card,
        "figures": figures,
        "growth": [_growth(scene, history, size) for size in (WIDE_HALF, NARROW)],
        "timeline": [_step(change) for change in reversed(history)],
        "updated": wording.day_and_clock(card.at),
    }


def asof(scene: Scene) -> list[str]:
    """Say in phrases which moment the page shows, and whether the world goes on."""
    if scene.now_ms <= 0:
        return ["还没有数据"]
    at = datetime.fromtimestamp(scene.now_ms / 1000, tz=scene.zone)
    text = f"{at.year}年{at.month}月{at.day}日 {at:%H:%M}"
    return ["回放已结束，停在录制世界的终点", text] if scene.finished else ["截至", text]


def _figures(scene: Scene, ongoing: Sequence[Card]) -> list[Figure]:
    hour = [bin_ for bin_ in scene.volumes if bin_.bin_start >= scene.now_ms - HOUR_MS]
    visits = sum(bin_.customers for bin_ in hour)
    expected = sum(bin_.expected for bin_ in hour)
    worst = f"最高 {min(card.severity for card in ongoing)}" if ongoing else "平静"
    hit = sum(card.customers for card in ongoing)
    return [
        Figure(name="正在发生", value=f"{len(ongoing)}", unit="起", note=worst),
        Figure(name="受影响客户", value=f"{hit:,}", unit="位", note="正在发生的合计"),
        Figure(name="最近 1 小时来访", value=f"{visits:,}", unit="人次", note=f"预期约 {wording.number(expected)}"),
        Figure(
            name="待批准的主动告知",
            value=f"{scene.pushes_proposed:,}",
            unit="条",
            note="回放只提议，不发送" if scene.finished else "没有人批准就不发送",
        ),
    ]


def _chart(scene: Scene, shown: Sequence[VolumeBin], size: Size, caption: str) -> Markup:
    markers = [
        Marker(
            at_ms=from_rfc3339(change.opened_at),
            severity=change.severity,
            label=f"{wording.clock(change.opened_at)} {wording.plain(change.title)}",
            href=f"/incidents/{change.incident}",
        )
        for change in scene.incidents
        if change.opened_at is not None
    ]
    svg = volume_chart(
        shown,
        bin_minutes=scene.bin_minutes,
        zone=scene.zone,
        markers=markers,
        size=size,
        caption=f"来访客户数与正常范围。{caption}",
    )
    # The drawing escapes every text it takes in; nothing else in the templates is marked safe.
    return Markup(svg)  # noqa: S704


def _growth(scene: Scene, history: Sequence[IncidentChange], size: Size) -> Markup:
    """Draw how many people were known to be hit, from the first trace to now or to the end of the incident."""
    newest = history[-1]
    by_device = newest.customers == 0
    steps = [(from_rfc3339(newest.first_seen), 0)]
    steps += [(from_rfc3339(change.at), change.devices if by_device else change.customers) for change in history]
    first, last = steps[0][0], steps[-1][0]
    end = min(scene.now_ms, last + max(GROWTH_TAIL_MS, (last - first) // 2))
    opened = None if newest.opened_at is None else from_rfc3339(newest.opened_at)
    svg = growth_chart(steps, end, unit="台" if by_device else "位", zone=scene.zone, opened=opened, size=size)
    # As above: numbers and our own words only.
    return Markup(svg)  # noqa: S704


def _row(card: Card) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(card),
        "opened": wording.day_and_clock(card.opened_at or card.first_seen),
        "impact": impact(card),
    }


def _hotspots(spots: Sequence[TopicVolume]) -> list[dict[str, object]]:
    shown = spots[:SHOWN_HOTSPOTS]
    top = max((max(spot.customers, spot.expected) for spot in shown), default=1) or 1
    return [
        {
            "name": wording.plain(spot.topic or "未归类"),
            "observed": f"{spot.customers:,}",
            "expected": wording.number(spot.expected),
            "multiple": wording.multiple(spot.customers, spot.expected) or "持平",
            "percent": f"{100 * spot.customers / top:.1f}",
            "mark": f"{min(99.0, 100 * spot.expected / top):.1f}",
            "hot": spot.customers >= HOT_CUSTOMERS
            and spot.customers >= spot.expected + HOT_DEVIATIONS * math.sqrt(spot.expected + 1),
        }
        for spot in shown
    ]


def _foot(scene: Scene) -> dict[str, object]:
    books = scene.accounting
    return {
        "accounting_rows": [
            ("读入", books.read),
            ("计入", books.counted),
            ("迟到", books.late),
            ("死信", books.dead),
            ("重复", books.duplicate),
            ("丢弃", books.dropped),
        ],
        "deadletters": [
            (reason, wording.DEAD_LETTER_NAMES.get(reason, ""), count)
            for reason, count in sorted(scene.deadletters.items(), key=lambda item: (-item[1], item[0]))
        ],
        "dead_total": sum(scene.deadletters.values()),
        "note": "读入 = 计入 + 迟到 + 死信 + 重复 + 丢弃。客户均为假名，文本已脱敏。",
    }


def _move(change: IncidentChange) -> dict[str, str]:
    return {
        **_step(change),
        "when": wording.day_and_clock(change.at),
        "title": wording.plain(change.title),
        "href": f"/incidents/{change.incident}",
    }


def _step(change: IncidentChange) -> dict[str, str]:
    sizes = [("客户", change.customers), ("设备", change.devices)]
    tones = {"opened": "alarm", "reopened": "alarm", "escalated": "alarm", "mitigated": "calm", "resolved": "calm"}
    return {
        "at": change.at,
        "when": wording.clock(change.at),
        "change": wording.change_name(change.change, change.version),
        "why": wording.reason_text(change.reason),
        "sizes": "，".join(f"{name} {size:,}" for name, size in sizes if size),
        "tone": tones.get(change.change, ""),
    }
