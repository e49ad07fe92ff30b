"""Charts as SVG text drawn on the server: volumes inside their expected band, with incidents marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

import msgspec

from qianshao.clock import DAY_MS, MINUTE_MS
from sinks.queries import VolumeBin

_STEPS_MINUTES = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """One incident on the time axis."""

    at_ms: int
    severity: str
    label: str
    href: str


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Drawing size in CSS pixels; text keeps its size, so that a phone gets a drawing of its own."""

    width: int
    height: int


WIDE = Size(width=1120, height=310)
WIDE_HALF = Size(width=660, height=250)
NARROW = Size(width=360, height=250)

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 44, 28


def volume_chart(
    bins: Sequence[VolumeBin], *, bin_minutes: int, zone: ZoneInfo, markers: Iterable[Marker], size: Size, caption: str
) -> str:
    """Draw observed customers per bin over the band in which they were expected.

    Parameters
    ----------
    bins
        Ascending by start; a missing bin interrupts the line.
    bin_minutes
        Length of a bin.
    zone
        Time zone of the axis.
    markers
        Incidents; those outside the drawn time are left out.
    size
        Drawing size.
    caption
        What the chart says, for those who cannot see it.

    Returns
    -------
    str
        One `<svg>` element without script or inline style; '' without bins. About 100 bytes a bin.
    """
    if not bins:
        return ""
    step_ms = bin_minutes * MINUTE_MS
    start, end = bins[0].bin_start, bins[-1].bin_start + step_ms
    top = _nice_top(max(max(bin_.customers, bin_.high) for bin_ in bins))
    inner_width = size.width - _LEFT - _RIGHT
    inner_height = size.height - _TOP - _BOTTOM

    def x(ts_ms: float) -> float:
        return _LEFT + inner_width * (ts_ms - start) / (end - start)

    def y(value: float) -> float:
        return _TOP + inner_height * (1 - min(value, top) / top)

    parts = [
        f'<svg class="chart" viewBox="0 0 {size.width} {size.height}" role="img" aria-label="{escape(caption)}">',
        f'<text class="unit" x="0" y="12">客户 / {bin_minutes} 分钟</text>',
    ]
    parts += _value_axis(top, y, size)
    parts += _time_axis(start, end, zone, x, size)
    for run in _runs(bins, step_ms):
        middle = [(x(bin_.bin_start + step_ms / 2), bin_) for bin_ in run]
        for learning, stretch in _stretches(middle):
            upper = " ".join(f"{at:.1f},{y(bin_.high):.1f}" for at, bin_ in stretch)
            lower = " ".join(f"{at:.1f},{y(bin_.low):.1f}" for at, bin_ in reversed(stretch))
            parts.append(f'<polygon class="band{" learning" if learning else ""}" points="{upper} {lower}"/>')
        parts.append(_line("expected", [(at, y(bin_.expected)) for at, bin_ in middle]))
        parts.append(_line("observed", [(at, y(bin_.customers)) for at, bin_ in middle]))
        for at, bin_ in middle:
            if not bin_.learning and not bin_.low <= bin_.customers <= bin_.high:
                parts.append(f'<circle class="outside" cx="{at:.1f}" cy="{y(bin_.customers):.1f}" r="2.6"/>')
    width = inner_width * step_ms / (end - start)
    for bin_ in bins:
        when = f"{datetime.fromtimestamp(bin_.bin_start / 1000, tz=zone):%H:%M}"
        note = f"{when}　{bin_.customers} 位客户，预期 {bin_.low:.0f}–{bin_.high:.0f}"
        parts.append(
            f'<rect class="probe" x="{x(bin_.bin_start):.1f}" y="{_TOP}" width="{width:.2f}" height="{inner_height}">'
            f"<title>{note}</title></rect>"
        )
    parts += _markers(markers, start, end, x, size)
    parts.append("</svg>")
    return "".join(parts)


def growth_chart(
    steps: Sequence[tuple[int, int]], end_ms: int, *, unit: str, zone: ZoneInfo, opened: int | None, size: Size
) -> str:
    """Draw a number that only changes at known moments, as steps.

    Parameters
    ----------
    steps
        (epoch milliseconds, number), ascending, at least one.
    end_ms
        Until when the last number holds.
    unit
        Unit of the number.
    zone
        Time zone of the axis.
    opened
        Moment of opening, marked; None = none.
    size
        Drawing size.
    """
    start = steps[0][0]
    end = max(end_ms, steps[-1][0], start + MINUTE_MS)
    top = _nice_top(max(value for _, value in steps))
    inner_width = size.width - _LEFT - _RIGHT
    inner_height = size.height - _TOP - _BOTTOM

    def x(ts_ms: float) -> float:
        return _LEFT + inner_width * (ts_ms - start) / (end - start)

    def y(value: float) -> float:
        return _TOP + inner_height * (1 - value / top)

    caption = f"受影响数量从 0 增长到 {steps[-1][1]} {unit}"
    parts = [
        f'<svg class="chart" viewBox="0 0 {size.width} {size.height}" role="img" aria-label="{escape(caption)}">',
        f'<text class="unit" x="0" y="12">{escape(unit)}</text>',
        *_value_axis(top, y, size),
        *_time_axis(start, end, zone, x, size),
    ]
    corners = [(x(start), y(steps[0][1]))]
    for ts, value in steps[1:]:
        corners += [(x(ts), corners[-1][1]), (x(ts), y(value))]
    corners.append((x(end), corners[-1][1]))
    outline = " ".join(f"{at:.1f},{height:.1f}" for at, height in corners)
    base = f"{x(end):.1f},{y(0):.1f} {x(start):.1f},{y(0):.1f}"
    parts.append(f'<polygon class="band" points="{outline} {base}"/><polyline class="observed" points="{outline}"/>')
    if opened is not None:
        at = x(opened)
        anchor, aside = ("start", at + 4) if at < size.width - 60 else ("end", at - 4)
        parts.append(
            f'<g class="marker p1"><line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 6}" y2="{size.height - _BOTTOM}"/></g>'
            f'<text class="tick" x="{aside:.1f}" y="36" text-anchor="{anchor}">立案</text>'
        )
    parts.append("</svg>")
    return "".join(parts)


def _value_axis(top: float, y: Callable[[float], float], size: Size) -> list[str]:
    """Grid lines with their values."""
    parts = []
    for value in _ticks(top):
        at = y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{size.width - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
    return parts


def _nice_top(value: float) -> float:
    """Round up to a top of the axis that divides into four or five whole steps."""
    value = max(value * 1.05, 4.0)
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 2.5, 4, 5, 8, 10) if power * step >= value)


def _ticks(top: float) -> list[float]:
    pieces = 5 if top / 5 == int(top / 5) and top / 4 != int(top / 4) else 4
    return [top * piece / pieces for piece in range(pieces + 1)]


def _time_axis(start: int, end: int, zone: ZoneInfo, x: Callable[[float], float], size: Size) -> list[str]:
    """Ticks at round local times, about one per 80 pixels; midnight shows its date."""
    wanted = max(2, size.width // 80)
    minutes = next(
        (step for step in _STEPS_MINUTES if (end - start) / (step * MINUTE_MS) <= wanted), _STEPS_MINUTES[-1]
    )
    offset = datetime.fromtimestamp(start / 1000, tz=zone).utcoffset() or timedelta(0)
    shift = int(offset.total_seconds() * 1000)
    step = minutes * MINUTE_MS
    base = size.height - _BOTTOM
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{size.width - _RIGHT}" y1="{base}" y2="{base}"/>']
    for local in range(-(-(start + shift) // step) * step, end + shift + 1, step):
        moment = datetime.fromtimestamp((local - shift) / 1000, tz=zone)
        text = f"{moment.month}/{moment.day}" if local % DAY_MS == 0 else f"{moment:%H:%M}"
        at = x(local - shift)
        anchor = "end" if at > size.width - _RIGHT - 16 else "middle"
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{base}" y2="{base + 4}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{size.height - 8}" text-anchor="{anchor}">{text}</text>')
    return parts


def _runs(bins: Sequence[VolumeBin], step_ms: int) -> list[list[VolumeBin]]:
    """Cut at missing bins, so that no line is drawn over what was not seen."""
    runs: list[list[VolumeBin]] = []
    for bin_ in bins:
        if runs and bin_.bin_start - runs[-1][-1].bin_start == step_ms:
            runs[-1].append(bin_)
        else:
            runs.append([bin_])
    return runs


def _stretches(points: Sequence[tuple[float, VolumeBin]]) -> list[tuple[bool, list[tuple[float, VolumeBin]]]]:
    """Cut where the band starts or stops being trusted; neighbours share the point at the cut."""
    stretches: list[tuple[bool, list[tuple[float, VolumeBin]]]] = []
    for point in points:
        learning = point[1].learning
        if stretches and stretches[-1][0] == learning:
            stretches[-1][1].append(point)
        else:
            stretches.append((learning, [stretches[-1][1][-1], point] if stretches else [point]))
    return stretches


def _line(name: str, points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        return f'<circle class="{name} single" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2"/>'
    return f'<polyline class="{name}" points="{" ".join(f"{at:.1f},{value:.1f}" for at, value in points)}"/>'


def _markers(markers: Iterable[Marker], start: int, end: int, x: Callable[[float], float], size: Size) -> list[str]:
    parts = []
    for marker in sorted(markers, key=lambda marker: marker.at_ms):
        if not start <= marker.at_ms <= end:
            continue
        at = x(marker.at_ms)
        flag = min(at, size.width - _RIGHT - 22)
        parts.append(
            f'<a class="marker {escape(marker.severity.lower())}" href="{escape(marker.href)}">'
            f"<title>{escape(marker.label)}</title>"
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 6}" y2="{size.height - _BOTTOM}"/>'
            f'<rect x="{flag - 2:.1f}" y="20" width="24" height="18" rx="3"/>'
            f'<text x="{flag + 10:.1f}" y="33" text-anchor="middle">{escape(marker.severity)}</text></a>'
        )
    return parts
