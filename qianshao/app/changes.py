"""What a push of dashboards changed, for the operator who pushed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sinks.grafana_push import Action, Change

MARKS: dict[Action, tuple[str, str]] = {
    "created": ("+", "green"),
    "updated": ("~", "yellow"),
    "unchanged": ("=", "dim"),
    "removed": ("-", "red"),
}
LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def changes_table(changes: Sequence[Change], *, dry_run: bool, diffs: bool) -> RenderableType:
    """Draw one line for each thing in Grafana, the diffs where they are asked for, and the sum."""
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for change in changes:
        mark, style = MARKS[change.action]
        lines = change.diff.splitlines()[2:]
        size = f"+{sum(line[0] == '+' for line in lines)} -{sum(line[0] == '-' for line in lines)}" if lines else ""
        note = "  not ours any more; left alone, delete it in Grafana" if change.action == "removed" else ""
        table.add_row(
            Text(mark, style=style), change.what, Text(change.action, style=style), size, Text(f"{change.title}{note}")
        )
    parts: list[RenderableType] = [table]
    if diffs:
        lines = [line for change in changes for line in change.diff.splitlines()]
        parts += [Text(line, style=LINE_STYLES.get(line[:1], "")) for line in lines]
    counts = Counter(change.action for change in changes)
    total = ", ".join(f"{counts[action]} {action}" for action in MARKS if counts[action])
    parts += [Text(), Text(f"would be: {total}; nothing was written" if dry_run else total, style="bold")]
    return Group(*parts)
