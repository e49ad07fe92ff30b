"""Scores one's own counts with the bank of counts: every bin, the strangest ones, and a file for further work."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detectors.count_bank import CountBank, CountSettings
from qianshao.app import wording
from qianshao.app.count_grid import BINS, CountGrid, available_bytes, read_counts
from qianshao.app.detect_picture import expectation, picture
from qianshao.app.spells import Detection, Spell, strangest
from qianshao.clock import DAY_MS, to_rfc3339
from qianshao.errors import OutputError

SPELLS_SHOWN = 15
_TELL_EVERY = 64

Tell = Callable[[float, str], None]


def detect_file(
    path: Path, bin_name: str, out: Path, *, false_alarms_per_day: float, zone: tzinfo, tell: Tell
) -> tuple[Detection, list[Spell], Path]:
    """Score a file of counts; write the scores to `out` and a picture beside it.

    Parameters
    ----------
    path
        Counts, see `read_counts`.
    bin_name
        One of `BINS`.
    out
        New file for the scores (.npz); the picture has the same name with `.svg`.
    false_alarms_per_day
        Budget over all series together.
    zone
        Time zone of days and hours.
    tell
        Called with the share that is done.

    Returns
    -------
    tuple
        What was found, the strangest spells, and where the picture is.

    Raises
    ------
    UsageError
        If the counts are not as they must be, or the output exists or cannot be written; nothing is left behind.
    """
    drawn = out.with_suffix(".svg")
    _check_output(out, drawn)
    grid = read_counts(path, BINS[bin_name], zone, memory_bytes=available_bytes())
    found = detect(grid, false_alarms_per_day, tell)
    spells = strangest(found, SPELLS_SHOWN)
    _write(out, drawn, found, picture(found, spells))
    return found, spells, drawn


def detect(grid: CountGrid, false_alarms_per_day: float, tell: Tell = lambda fraction, note: None) -> Detection:
    """Score every bin of every series in the order of time; a score knows nothing later than its bin.

    Examples
    --------
    Five weeks at ten a day, then one day with thirty:

    >>> import numpy as np
    >>> from datetime import UTC
    >>> counts = np.full((1, 36), 10, np.int32)
    >>> counts[0, 35] = 30
    >>> grid = CountGrid(["门锁"], counts, 345_600_000, BINS["1d"], np.zeros(36), UTC, False)
    >>> int(detect(grid, 0.1).score[0].argmax())
    35
    """
    shape = grid.counts.shape
    bank = CountBank(
        CountSettings(bin_ms=grid.bin_ms, maximum_series=shape[0], false_alarms_per_day=false_alarms_per_day),
        zone=grid.zone,
    )
    bank.ensure(shape[0])
    # Written bin by bin, read series by series: whole rows are written, and handed out the other way round.
    turned = shape[::-1]
    score, expected, upper = (np.empty(turned, np.float32) for _ in range(3))
    window = np.empty(turned, np.uint16)
    learning = np.empty(turned, np.bool_)
    for place in range(shape[1]):
        counts = np.ascontiguousarray(grid.counts[:, place])
        scored = bank.update(counts, grid.bin_start(place), holiday=float(grid.holiday[place]))
        score[place] = np.where(scored.direction < 0, -scored.score, scored.score)
        expected[place] = scored.expected
        upper[place] = scored.upper
        window[place] = np.minimum(scored.window_bins, np.iinfo(np.uint16).max)
        learning[place] = scored.learning
        if place % _TELL_EVERY == 0:
            tell(place / shape[1], "")
    tell(1.0, "")
    return Detection(grid, score.T, expected.T, upper.T, window.T, learning.T, bank.alarm_threshold())


def _check_output(out: Path, drawn: Path) -> None:
    for path in (out, drawn):
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; name a new file, such as scores.npz")
        if os.path.lexists(path):
            raise OutputError(f"{path}: exists already; name a new file or remove it")
    if drawn == out:
        raise OutputError(f"{out}: the picture gets the name with .svg; name the scores .npz")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe = out.with_name(f".{out.name}.partial")
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{out}: cannot be written ({reason}); name a file in a folder you may write") from None


def _write(out: Path, drawn: Path, found: Detection, svg: str) -> None:
    """Write scores and picture whole or not at all."""
    grid = found.grid
    # A drop has a score of its own: who asks for more than expected is not told of the nights that were quieter.
    arrays: dict[str, NDArray[np.generic]] = {
        "score": np.maximum(found.score, 0),
        "drop": np.maximum(-found.score, 0),
        "expected": found.expected,
        "upper": found.upper,
        "learning": found.learning,
        "series": np.array(grid.names),
        "bin_start": np.array([grid.bin_start(place) for place in range(grid.counts.shape[1])], np.int64),
        "threshold": np.array(found.threshold),
    }
    partial = out.with_name(f".{out.name}.partial")
    sketch = drawn.with_name(f".{drawn.name}.partial")
    try:
        with partial.open("wb") as handle:
            np.savez(handle, allow_pickle=False, **arrays)
        sketch.write_text(svg, "utf-8")
        os.replace(partial, out)
        os.replace(sketch, drawn)
    except OSError as error:
        partial.unlink(missing_ok=True)
        sketch.unlink(missing_ok=True)
        raise OutputError(f"{out}: cannot be written ({error.strerror}); free space or name another file") from None


def detection_report(found: Detection, spells: list[Spell], out: Path, drawn: Path) -> RenderableType:
    """Draw what was found: how much was looked at, the strangest spells, where the files are."""
    grid = found.grid
    series, bins = grid.counts.shape
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("计数", f"{series:,} 条序列 × {bins:,} 格，{grid.when(0)} 至 {grid.when(bins - 1)}")
    often = f"平均每天 {spells_per_day(found):.2g} 起"
    facts.add_row("报警线", f"{found.threshold:.1f}，越过的有 {alarming_bins(found):,} 格，{often}")
    learning = float(found.learning.mean())
    if learning > 0:
        facts.add_row("学习中", f"{learning:.0%} 的格子还没有可信的预期，不报警")
    facts.add_row("输出", Text(f"{out}\n{drawn}"))
    if not spells:
        return Group(facts, Text(""), Text("没有值得一看的格子：序列太短，或者一切如常"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("序列", overflow="fold")
    table.add_column("时间", no_wrap=True)
    for name in ("观测", "预期"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("变化", no_wrap=True)
    table.add_column("偶然概率", no_wrap=True)
    table.add_column("分数", justify="right", no_wrap=True)
    for spell in spells:
        more = spell.score > 0
        strange = abs(spell.score) >= found.threshold
        table.add_row(
            Text("●" if strange else "·", style="bold red" if strange else "dim"),
            Text(wording.plain(grid.names[spell.series])),
            spell_time(grid, spell),
            f"{spell.observed:,}",
            band_text(found, spell),
            Text(
                f"{'多' if more else '少'} {wording.multiple(spell.observed, spell.expected)}".strip()
                if more
                else wording.multiple(spell.observed, spell.expected) or "少",
                style="red" if more else "blue",
            ),
            wording.chance(abs(spell.score)),
            f"{abs(spell.score):.1f}",
        )
    return Group(facts, Text(""), table, Text(""), Text("● 越过报警线　· 仅供参考", style="dim"))


def detection_figures(found: Detection, spells: list[Spell]) -> dict[str, object]:
    """Return what was found as the JSON document that others script against."""
    grid = found.grid
    return {
        "series": grid.counts.shape[0],
        "bins": grid.counts.shape[1],
        "threshold": round(found.threshold, 3),
        "alarms": alarming_bins(found),
        "alarm_spells_per_day": round(spells_per_day(found), 4),
        "learning_share": round(float(found.learning.mean()), 4),
        "strangest": [
            {
                "series": grid.names[spell.series],
                "bin_start": to_rfc3339(grid.bin_start(spell.peak), grid.zone),
                "window_bins": spell.window_bins,
                "direction": "more" if spell.score > 0 else "less",
                "observed": spell.observed,
                "expected": round(spell.expected, 3),
                "score": round(abs(spell.score), 3),
                "alarm": abs(spell.score) >= found.threshold,
            }
            for spell in spells
        ],
    }


def alarming_bins(found: Detection) -> int:
    """Count the bins at or above the threshold whose series has learnt enough."""
    return int(((np.abs(found.score) >= found.threshold) & ~found.learning).sum())


def spell_time(grid: CountGrid, spell: Spell) -> str:
    """Say when a spell was strangest, and over how many bins it was looked at."""
    if spell.window_bins == 1:
        return grid.when(spell.peak)
    return f"{grid.when(spell.peak)}（{spell.window_bins} 格）"


def band_text(found: Detection, spell: Spell) -> str:
    """Write what was expected: the band of one bin, or the sum over a window."""
    if spell.window_bins > 1:
        return expectation(spell.expected)
    high = float(found.upper[spell.series, spell.peak])
    return f"{wording.number(max(0.0, 2 * spell.expected - high))} – {wording.number(high)}"


def spells_per_day(found: Detection) -> float:
    """Return how many alarms began a day, all series together: what the budget became, incidents included."""
    alarming = (np.abs(found.score) >= found.threshold) & ~found.learning
    begun = alarming.copy()
    begun[:, 1:] &= ~alarming[:, :-1]
    return float(begun.sum() * DAY_MS / (begun.shape[1] * found.grid.bin_ms))
