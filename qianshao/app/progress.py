"""Progress of a long run: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

LINE_EVERY = 0.1
"""Share of the work after which a plain line is written where there is no terminal."""


class Gauge:
    """Shows how far a run is.

    Parameters
    ----------
    screen
        Where the bar or the lines go.
    title
        What is being done.
    """

    def __init__(self, screen: Console, title: str) -> None:
        self._screen = screen
        self._title = title
        self._told = 0.0
        self._bar: Progress | None = None
        if screen.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                console=screen,
                transient=True,
            )
            self._task = self._bar.add_task(title, total=1.0, note="")

    def __enter__(self) -> Gauge:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, fraction: float, note: str = "") -> None:
        """Say how far it is, 0–1."""
        if self._bar is not None:
            self._bar.update(self._task, completed=fraction, note=note)
        elif fraction >= self._told + LINE_EVERY:
            self._told = fraction
            self._screen.print(Text(f"{self._title} {fraction:.0%} {note}".rstrip()))
