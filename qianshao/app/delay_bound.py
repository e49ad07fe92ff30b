"""How late a known step is seen, against Lorden's bound on how early anybody could: table and picture of the docs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.count_bank import CountBank, CountSettings
from qianshao.app.detection_power import lowest_threshold
from qianshao.app.simulated_counts import known_step
from qianshao.clock import DAY_MS, HOUR_MS

SEED = 20_261_123
SERIES = 1_000
RATES = (2.0, 20.0)
FACTORS = (1.5, 2.0, 3.0, 5.0)
SPACINGS = (1e2, 1e3, 1e4, 1e5)
"""Hours between false alarms of one series; one a year is 8 760."""

_WARM_BINS = 8 * 168
_NULL_BINS = 18 * 168
_AFTER_BINS = 300
_CALM_BINS = 24
_MONDAY_MS = 4 * DAY_MS

Tell = Callable[[float, str], None]


class Delay(NamedTuple):
    """Mean delay at one step size and one spacing of false alarms."""

    rate: float
    """Customers an hour before the step."""
    factor: float
    spacing: float
    """Bins between false alarms of one series."""
    bins: float
    """Mean delay: 1 = seen at the end of the first changed bin."""
    bound: float
    """Lorden's bound in bins, at least 1."""

    @property
    def times_bound(self) -> float:
        """How many times the bound the delay is."""
        return self.bins / self.bound


def lorden_bound(rate: float, factor: float, spacing: float) -> float:
    """Return the fewest bins in which a step can be seen on average, whatever the method.

    Lorden, "Procedures for reacting to a change in distribution", Annals of Mathematical Statistics 42, 1971: with a
    mean spacing of false alarms γ the worst mean delay is at least log γ ÷ I, asymptotically, where I is the
    information of one bin after the change; for Poisson counts I = λ₁ log(λ₁/λ₀) − λ₁ + λ₀. It holds for those who know
    the size of the step; who does not know it needs more. Delays come in whole bins, of which one is the least.

    >>> round(lorden_bound(2.0, 3.0, 1000.0), 2)
    2.67
    """
    information = rate * (factor * math.log(factor) - factor + 1)
    return max(1.0, math.log(spacing) / information)


def delays(rate: float, factors: Sequence[float], tell: Tell = lambda fraction, note: None) -> list[Delay]:
    """Measure mean delays after a known step, at thresholds with known spacing of false alarms.

    For each spacing a bank with the budget that belongs to it learns a thousand series over eight weeks of hours;
    eighteen quiet weeks give the threshold with exactly this spacing; then, from the end of the eight weeks, the rate
    steps. As delays are defined, only series count that did not alarm by chance before: here, in the last day. A series
    that is not seen within 300 bins counts as seen then.
    """
    quiet = known_step(SEED, SERIES, rate=rate, factor=1.0, before=_WARM_BINS, after=_NULL_BINS)
    found: list[Delay] = []
    for done, spacing in enumerate(SPACINGS):
        budget = SERIES * DAY_MS / HOUR_MS / spacing
        settings = CountSettings(bin_ms=HOUR_MS, maximum_series=SERIES, false_alarms_per_day=budget)
        bank = CountBank(settings)
        bank.ensure(SERIES)
        before = _rises(bank, quiet[:, :_WARM_BINS], 0)[:, -_CALM_BINS:]
        learnt = bank.snapshot()
        null = _rises(bank, quiet[:, _WARM_BINS:], _WARM_BINS)
        threshold = lowest_threshold(null, np.ones(null.shape, np.bool_), null.size / spacing)
        calm = before.max(axis=1) <= threshold
        for factor in factors:
            bank = CountBank(settings)
            bank.ensure(SERIES)
            bank.restore(learnt)
            counts = known_step(SEED + 1, SERIES, rate=rate, factor=factor, before=0, after=_AFTER_BINS)
            alarm = _rises(bank, counts, _WARM_BINS)[calm] > threshold
            first = np.where(alarm.any(axis=1), alarm.argmax(axis=1) + 1, _AFTER_BINS)
            found.append(Delay(rate, factor, spacing, float(first.mean()), lorden_bound(rate, factor, spacing)))
        tell((done + 1) / len(SPACINGS), f"{rate:g}")
    return found


def _rises(bank: CountBank, counts: NDArray[np.int32], first: int) -> NDArray[np.float32]:
    """Return the scores of the bins from `first` on, (series, bin); 0 for less than expected."""
    score = np.empty(counts.shape, np.float32)
    for place in range(counts.shape[1]):
        scored = bank.update(counts[:, place], _MONDAY_MS + (first + place) * HOUR_MS)
        score[:, place] = np.where(scored.direction > 0, scored.score, 0)
    return score


def delay_table(found: Sequence[Delay]) -> str:
    """Write delays as a Markdown table: hours, and in brackets how many times the bound."""
    lines = [
        "| customers an hour | step | "
        + " | ".join(f"one false alarm in {spacing:,.0f} h" for spacing in SPACINGS)
        + " |",
        "|---|---|" + "---|" * len(SPACINGS),
    ]
    for rate in sorted({each.rate for each in found}):
        for factor in sorted({each.factor for each in found}):
            row = [each for each in found if (each.rate, each.factor) == (rate, factor)]
            cells = [
                f"{each.bins:.1f} ({each.times_bound:.2f}×)" for each in sorted(row, key=lambda each: each.spacing)
            ]
            lines.append(f"| {rate:g} | ×{factor:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_WIDTH, _HEIGHT, _PANEL = 1000, 430, 440
_TOP, _BASE = 64, 360
_STYLE = """
:root { color-scheme: light dark; --surface: #ffffff; --line: #dde3e6; --ink: #14212b; --soft: #52616d;
  --c0: #0f766e; --c1: #2c5f9e; --c2: #86600a; --c3: #b3202c; }
@media (prefers-color-scheme: dark) { :root { --surface: #162026; --line: #2a3840; --ink: #e8eef1; --soft: #a2b1ba;
  --c0: #3fbfb0; --c1: #8fbdf5; --c2: #eac35a; --c3: #ff8b88; } }
text { font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums; fill: var(--soft); }
.surface { fill: var(--surface); } .grid { stroke: var(--line); } .title { font-weight: 650; fill: var(--ink); }
.line { fill: none; stroke-width: 2; } .bound { fill: none; stroke-width: 1.4; stroke-dasharray: 4 4; }
""".strip()


def delay_picture(found: Sequence[Delay]) -> str:
    """Draw delay over the spacing of false alarms as SVG, a panel for each rate: solid = measured, dashed = bound."""
    rates = sorted({each.rate for each in found})
    factors = sorted({each.factor for each in found})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img"><title>Delay after a step against Lorden’s bound</title><style>{_STYLE}</style>'
        f'<rect class="surface" width="{_WIDTH}" height="{_HEIGHT}" rx="12"/>'
    ]
    for place, rate in enumerate(rates):
        mine = [each for each in found if each.rate == rate]
        parts.append(f'<g transform="translate({40 + place * (_PANEL + 40)} 0)">{_panel(mine, factors)}</g>')
    for place, factor in enumerate(factors):
        at = 84 + place * 90
        parts.append(
            f'<line class="line" style="stroke: var(--c{place})" x1="{at}" x2="{at + 24}" y1="410" y2="410"/>'
            f'<text x="{at + 32}" y="414">×{factor:g}</text>'
        )
    parts.append(
        '<line class="line" style="stroke: var(--soft)" x1="560" x2="584" y1="410" y2="410"/>'
        '<text x="592" y="414">measured</text>'
        '<line class="bound" style="stroke: var(--soft)" x1="690" x2="714" y1="410" y2="410"/>'
        '<text x="722" y="414">Lorden’s bound</text></svg>\n'
    )
    return "".join(parts)


def _panel(found: Sequence[Delay], factors: Sequence[float]) -> str:
    left, right = 44, _PANEL - 10
    highest = 10 ** math.ceil(math.log10(max(each.bins for each in found)))

    def x(spacing: float) -> float:
        first, last = math.log10(SPACINGS[0]), math.log10(SPACINGS[-1])
        return left + (right - left) * (math.log10(spacing) - first) / (last - first)

    def y(bins: float) -> float:
        return _BASE - (_BASE - _TOP) * math.log10(max(bins, 1.0)) / math.log10(highest)

    parts = [f'<text class="title" x="{left}" y="32">{found[0].rate:g} customers an hour</text>']
    parts.append(f'<text x="{left}" y="52">mean delay, hours</text>')
    for power in range(round(math.log10(highest)) + 1):
        for bins in (10.0**power, 3 * 10.0**power):
            if bins <= highest:
                parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(bins):.1f}" y2="{y(bins):.1f}"/>')
                parts.append(f'<text x="{left - 8}" y="{y(bins) + 4:.1f}" text-anchor="end">{bins:g}</text>')
    parts += [
        f'<text x="{x(spacing):.1f}" y="{_BASE + 20}" text-anchor="middle">{spacing:,.0f} h</text>'
        for spacing in SPACINGS
    ]
    for place, factor in enumerate(factors):
        row = sorted((each for each in found if each.factor == factor), key=lambda each: each.spacing)
        for name, points in (
            ("line", [(x(each.spacing), y(each.bins)) for each in row]),
            ("bound", [(x(each.spacing), y(each.bound)) for each in row]),
        ):
            path = " ".join(f"{at:.1f},{height:.1f}" for at, height in points)
            parts.append(f'<polyline class="{name}" style="stroke: var(--c{place})" points="{path}"/>')
    return "".join(parts)


if __name__ == "__main__":
    measured = [each for rate in RATES for each in delays(rate, FACTORS)]
    sys.stdout.write(delay_table(measured))
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/detection_delay.svg").write_text(delay_picture(measured), "utf-8")
