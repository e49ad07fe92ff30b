"""A picture of strange counts as one SVG file: counts over their expected band, alarms marked, light and dark."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise

import numpy as np

from qianshao.app import wording
from qianshao.app.count_grid import CountGrid
from qianshao.app.spells import Detection, Spell
from qianshao.clock import DAY_MS

PANELS = 6
BINS_SHOWN = 240
_WIDTH, _PANEL, _HEAD = 1120, 214, 78
_LEFT, _RIGHT, _TOP, _BASE = 64, 24, 50, 26
_NAME_CHARS = 48
_NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")

_STYLE = """
:root { color-scheme: light dark; --page: #f4f6f7; --surface: #ffffff; --line: #dde3e6; --ink: #14212b; --soft: #52616d;
  --accent: #0f766e; --band: #cfe6e3; --band-learning: #e6eaec; --expected: #5b8f8a; --more: #c22f2f; --less: #2c5f9e; }
@media (prefers-color-scheme: dark) { :root { --page: #0e1519; --surface: #162026; --line: #2a3840; --ink: #e8eef1;
  --soft: #a2b1ba; --accent: #3fbfb0; --band: #1d4643; --band-learning: #27333a; --expected: #6da9a3; --more: #ff7d78;
  --less: #8fbdf5; } }
text { font: 13px "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", system-ui, sans-serif;
  font-variant-numeric: tabular-nums; fill: var(--soft); }
.page { fill: var(--page); } .card { fill: var(--surface); stroke: var(--line); }
.title { font-size: 20px; font-weight: 650; fill: var(--ink); }
.name { font-size: 15px; font-weight: 650; fill: var(--ink); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); opacity: .6; }
.band { fill: var(--band); } .learning { fill: var(--band-learning); }
.expected { fill: none; stroke: var(--expected); stroke-width: 1.2; stroke-dasharray: 3 4; }
.observed { fill: none; stroke: var(--accent); stroke-width: 1.8; stroke-linejoin: round; }
.spell { fill: var(--more); opacity: .12; } .spell.less { fill: var(--less); opacity: .16; }
.more { fill: var(--more); } .less { fill: var(--less); } .alarm { stroke: var(--surface); stroke-width: 1; }
""".strip()


def picture(found: Detection, spells: Sequence[Spell]) -> str:
    """Draw the series with the strangest spells, one panel each, around the strangest bin.

    Parameters
    ----------
    found
        What the bank said.
    spells
        The strangest first.

    Returns
    -------
    str
        One SVG document without script; every text from the file is escaped. Up to six panels of at most 240 bins.
    """
    chosen: dict[int, Spell] = {}
    for spell in spells:
        chosen.setdefault(spell.series, spell)
    panels = list(chosen.values())[:PANELS]
    height = _HEAD + max(1, len(panels)) * (_PANEL + 14) + 10
    series, bins = found.grid.counts.shape
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" lang="zh-CN"><title>最不寻常的计数</title><style>{_STYLE}</style>',
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        '<text class="title" x="24" y="36">最不寻常的计数</text>',
        f'<text x="24" y="60">{series:,} 条序列 × {bins:,} 格 · 报警线 {found.threshold:.1f}</text>',
        *_legend(),
    ]
    if not panels:
        parts.append(f'<text x="24" y="{_HEAD + 40}">没有值得一看的格子：序列太短，或者一切如常</text>')
    for place, spell in enumerate(panels):
        mine = [other for other in spells if other.series == spell.series]
        parts.append(f'<g transform="translate(0 {_HEAD + place * (_PANEL + 14)})">{_panel(found, spell, mine)}</g>')
    parts.append("</svg>\n")
    return "".join(parts)


def expectation(value: float) -> str:
    """Write an expectation; one that rounds to nothing is not called nothing.

    >>> expectation(0.004), expectation(2.26)
    ('< 0.01', '2.3')
    """
    return "< 0.01" if 0 < value < 0.005 else wording.number(value)


def _legend() -> list[str]:
    at, y = _WIDTH - 508, 56
    return [
        f'<polyline class="observed" points="{at},{y - 4} {at + 22},{y - 4}"/><text x="{at + 28}" y="{y}">观测</text>',
        f'<rect class="band" x="{at + 78}" y="{y - 11}" width="22" height="13" rx="2"/>'
        f'<polyline class="expected" points="{at + 78},{y - 4} {at + 100},{y - 4}"/>'
        f'<text x="{at + 106}" y="{y}">预期范围</text>',
        f'<rect class="band learning" x="{at + 182}" y="{y - 11}" width="22" height="13" rx="2"/>'
        f'<text x="{at + 210}" y="{y}">学习中</text>',
        f'<circle class="more" cx="{at + 282}" cy="{y - 4}" r="4.5"/><text x="{at + 292}" y="{y}">报警：偏多</text>',
        f'<path class="less" d="{_triangle(at + 388, y - 4)}"/><text x="{at + 398}" y="{y}">报警：偏少</text>',
    ]


def _triangle(x: float, y: float) -> str:
    return f"M{x - 5:.1f},{y - 4:.1f} h10 l-5,9 z"


def _panel(found: Detection, spell: Spell, spells: Sequence[Spell]) -> str:
    grid = found.grid
    total = grid.counts.shape[1]
    first = max(0, min(spell.peak - BINS_SHOWN * 3 // 4, total - BINS_SHOWN))
    last = min(total, first + BINS_SHOWN)
    row = spell.series
    counts = grid.counts[row, first:last].astype(np.float64)
    expected = found.expected[row, first:last].astype(np.float64)
    upper = found.upper[row, first:last].astype(np.float64)
    lower = np.maximum(2 * expected - upper, 0)
    score, learning = found.score[row, first:last], found.learning[row, first:last]
    # A band that is wide while it learns must not flatten everything else.
    known = upper[~learning]
    top = _nice_top(max(float(counts.max()), float(known.max()) if known.size else 0.0))
    step: float = (_WIDTH - _LEFT - _RIGHT) / (last - first)

    def x(place: float) -> float:
        return _LEFT + (place + 0.5) * step

    def y(value: float) -> float:
        return float(_TOP + (_PANEL - _TOP - _BASE) * (1 - min(max(value, 0.0), top) / top))

    name = _NOT_XML.sub("\ufffd", wording.plain(grid.names[row]))
    shown = name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"
    window = f"{spell.window_bins} 格内" if spell.window_bins > 1 else ""
    fact = (
        f"{grid.when(spell.peak)}　{window}观测 {spell.observed:,}，预期 {expectation(spell.expected)}"
        f"　偶然概率 {wording.chance(abs(spell.score))}"
    )
    parts = [
        f'<rect class="card" x="12.5" y="0.5" width="{_WIDTH - 25}" height="{_PANEL - 1}" rx="12"/>',
        f'<text class="name" x="{_LEFT - 36}" y="28">{escape(shown)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="28" text-anchor="end">{escape(fact)}</text>',
    ]
    for value in (0.0, top / 2, top):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        label = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
        parts.append(f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{label}</text>')
    for flag, begin, end in _stretches(learning):
        over = " ".join(f"{x(place):.1f},{y(upper[place]):.1f}" for place in range(begin, end))
        under = " ".join(f"{x(place):.1f},{y(lower[place]):.1f}" for place in reversed(range(begin, end)))
        parts.append(f'<polygon class="band{" learning" if flag else ""}" points="{over} {under}"/>')
    for each in spells:
        begin, end = max(each.peak - each.window_bins + 1, first), min(each.last + 1, last)
        if begin < end:
            side = "" if each.score > 0 else " less"
            parts.append(
                f'<rect class="spell{side}" x="{x(begin - first - 0.5):.1f}" y="{_TOP - 6}" '
                f'width="{max((end - begin) * step, 3.0):.1f}" height="{_PANEL - _TOP - _BASE + 6}"/>'
            )
    parts.append(_line("expected", [(x(place), y(value)) for place, value in enumerate(expected)]))
    parts.append(_line("observed", [(x(place), y(value)) for place, value in enumerate(counts)]))
    for place in np.flatnonzero((np.abs(score) >= found.threshold) & ~learning).tolist():
        at, height = x(place), y(counts[place])
        told = f"{grid.when(first + place)}　观测 {counts[place]:,.0f}，分数 {abs(score[place]):.1f}"
        note = f"<title>{escape(told)}</title>"
        if score[place] > 0:
            parts.append(f'<circle class="more alarm" cx="{at:.1f}" cy="{height:.1f}" r="4">{note}</circle>')
        else:
            parts.append(f'<path class="less alarm" d="{_triangle(at, height)}">{note}</path>')
    parts += _time_axis(grid, first, last, step)
    parts.append(f"<title>{escape(name)}：{escape(fact)}，{'偏多' if spell.score > 0 else '偏少'}</title>")
    return "".join(parts)


def _line(name: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="{name}" points="{" ".join(f"{at:.1f},{value:.1f}" for at, value in points)}"/>'


def _stretches(learning: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[bool, int, int]]:
    """Cut where the band starts to be trusted; neighbours share the bin at the cut."""
    cuts = [0, *(np.flatnonzero(np.diff(learning.astype(np.int8))) + 1).tolist(), learning.size]
    return [(bool(learning[begin]), begin, min(end + 1, learning.size)) for begin, end in pairwise(cuts)]


def _nice_top(value: float) -> float:
    """Round up to an axis top whose half is whole, too."""
    value = max(value * 1.05, 2.0)
    power = 10.0 ** math.floor(math.log10(value))
    steps = (power * step / 10 for step in (10, 12, 16, 20, 24, 30, 40, 60, 80, 100))
    return next(top for top in steps if top >= value and top % 2 == 0)


def _time_axis(grid: CountGrid, first: int, last: int, step: float) -> list[str]:
    """Tick about every hundred pixels, at round local days or hours."""
    base = _PANEL - _BASE
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>']
    wanted = 100 / step * grid.bin_ms
    spans = (5, 15, 30, 60, 180, 360, 720, 1_440, 2_880, 10_080, 20_160, 40_320, 80_640)
    span = next((minutes * 60_000 for minutes in spans if minutes * 60_000 >= wanted), spans[-1] * 60_000)
    monday = timedelta(days=4)
    for place in range(first, last):
        moment = datetime.fromtimestamp(grid.bin_start(place) / 1000, tz=grid.zone)
        wall = moment.replace(tzinfo=None) - (datetime(1970, 1, 1) + monday)  # noqa: DTZ001 - wall-clock time
        if round(wall.total_seconds() * 1000) % span >= grid.bin_ms:
            continue
        at = _LEFT + (place - first) * step
        if at > _WIDTH - _RIGHT - 30:
            break
        day = f"{moment.month}月{moment.day}日" if grid.dated else f"第 {place * grid.bin_ms // DAY_MS + 1} 天"
        text = day if span >= DAY_MS or moment.hour + moment.minute == 0 else f"{moment:%H:%M}"
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{base}" y2="{base + 4}"/>')
        parts.append(f'<text x="{at:.1f}" y="{base + 17}" text-anchor="middle">{text}</text>')
    return parts
