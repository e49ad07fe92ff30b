"""A replay from files to files: everything is checked first, then run, stored, scored and summed up."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from detectors.calendar import Calendar
from flows.replay import run_replay
from flows.sources.replay import check_inputs
from qianshao.app.card import Lead
from qianshao.app.report import Comparison, as_mapping, compare, leads, rule_events, summary_figures
from qianshao.app.scoring import Truth, read_changes, read_truth
from qianshao.config import Config, load_config, pseudonym_key
from qianshao.errors import OutputError, UnreadableInputError
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome, Tally
from sinks import queries
from sinks.clickhouse import Store
from sinks.files import JsonLines, prepare_output, write_summary
from sinks.push_queue import PushQueue
from sinks.sink import Sink

ACCOUNTS = ("read", "counted", "late", "dead", "duplicate", "dropped")
"""Where every record ends: the first is the sum of the others."""

Observe = Callable[[float, Outcome], None]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that has passed every check that can be made before it starts."""

    paths: tuple[Path, ...]
    out: Path
    store: Path
    config: Config
    calendar: Path | None
    truth: Truth | None
    workers: int
    demonstration_key: bool
    """Whether pseudonyms are made with the published key."""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished replay left behind."""

    order: Order
    total: Tally
    changes: list[IncidentChange]
    watermark: int
    deadletters: dict[str, int]
    pushes_proposed: int
    wall_seconds: float
    comparison: Comparison | None
    leads: dict[str, Lead]
    failure: str
    """Why a source was not read to its end, or that nothing of it could be counted; '' if all went well."""

    @property
    def summary(self) -> dict[str, object]:
        """The content of `summary.json`."""
        summary: dict[str, object] = {
            **{name: getattr(self.total, name) for name in ACCOUNTS},
            "incidents_opened": len(self.opened),
            "pushes_proposed": self.pushes_proposed,
            "deadletters": self.deadletters,
            "wall_seconds": round(self.wall_seconds, 3),
            "events_per_second": round(self.events_per_second, 1),
            "workers": self.order.workers,
            "demonstration_key": self.order.demonstration_key,
        }
        if self.failure:
            summary["failure"] = self.failure
        if self.comparison is not None:
            summary |= {**summary_figures(self.comparison.product), "comparison": as_mapping(self.comparison)}
        return summary

    @property
    def events_per_second(self) -> float:
        """Records read per second of wall clock."""
        return self.total.read / self.wall_seconds if self.wall_seconds > 0 else 0.0

    def history(self, incident: str) -> list[IncidentChange]:
        """All changes of one incident, ascending by version."""
        return sorted((change for change in self.changes if change.incident == incident), key=lambda one: one.version)

    @property
    def opened(self) -> list[IncidentChange]:
        """Newest state of every incident that was opened, in order of opening."""
        newest = {change.incident: change for change in self.changes if change.opened_at is not None}
        return sorted(newest.values(), key=lambda change: (change.opened_at or "", change.incident))


def check(
    paths: Sequence[Path],
    out: Path,
    *,
    truth: Path | None = None,
    calendar: Path | None = None,
    config: Path | None = None,
    workers: int = 1,
) -> Order:
    """Check everything that can be checked before a replay starts; the output folder is made last.

    Raises
    ------
    UsageError
        The first thing that is wrong: a path, the configuration, the calendar, the truth, the output folder.
    """
    settings = Config() if config is None else load_config(config)
    _, demonstration = pseudonym_key(settings)
    check_inputs(paths)
    if calendar is not None:
        Calendar.read(calendar, settings.service.zone)
    labels = None if truth is None else read_truth(truth)
    prepare_output(out)
    store = out / "store" if settings.clickhouse.path is None else Path(settings.clickhouse.path)
    if store.exists() and (not store.is_dir() or any(store.iterdir())):
        raise OutputError(
            f"clickhouse.path {store}: is not empty; a replay needs a store of its own, name a new folder"
        )
    return Order(
        paths=tuple(paths),
        out=out,
        store=store,
        config=settings,
        calendar=calendar,
        truth=labels,
        workers=workers,
        demonstration_key=demonstration,
    )


def rehearse(order: Order, observe: Observe) -> Rehearsal:
    """Run a replay and leave its files, its store, its push queue and `summary.json` in the output folder.

    Parameters
    ----------
    order
        What was checked.
    observe
        Is told after each outcome how much of the input has been read (0–1).

    Returns
    -------
    Rehearsal
        The figures. A source that was stopped is a `failure` here and not an exception: its files are complete.
    """
    last: Outcome | None = None

    def note(fraction: float, outcome: Outcome) -> None:
        nonlocal last
        last = outcome
        observe(fraction, outcome)

    began = time.perf_counter()
    failure = ""
    try:
        run_replay(
            order.paths,
            config=order.config,
            calendar=order.calendar,
            workers=order.workers,
            make_sinks=functools.partial(open_sinks, order),
            observe=note,
        )
    except UnreadableInputError as error:
        failure = str(error)
    seconds = time.perf_counter() - began
    books = total(last.tallies if last is not None else ())
    if not failure and books.read and books.read == books.dead:
        failure = (
            f"{'、'.join(str(path) for path in order.paths)}: none of the {books.read} records could be counted; "
            f"{order.out / 'deadletters.jsonl'} says why for each"
        )
    return _sum_up(order, books, last.watermark if last is not None else 0, seconds, failure)


def open_sinks(order: Order) -> list[Sink]:
    """Open everything that a replay writes."""
    zone = order.config.service.zone
    return [
        JsonLines(order.out, zone),
        Store(order.store, order.config.clickhouse.retention_days),
        PushQueue(order.out / "push_queue.sqlite3", zone),
    ]


def total(tallies: Iterable[Tally]) -> Tally:
    """Add the accounting of all sources.

    >>> total([Tally(source="a", read=2, counted=1, dead=1), Tally(source="b", read=1, late=1)]).read
    3
    """
    added = Tally(source="")
    for tally in tallies:
        for name in ACCOUNTS:
            setattr(added, name, getattr(added, name) + getattr(tally, name))
    return added


def _sum_up(order: Order, books: Tally, watermark: int, seconds: float, failure: str) -> Rehearsal:
    changes = read_changes(order.out / "incidents.jsonl")
    store = Store(order.store, order.config.clickhouse.retention_days)
    try:
        deadletters = queries.deadletters_by_reason(store)
        proposed = queries.push_states(store).get("proposed", 0)
        comparison = None
        if order.truth is not None:
            comparison = compare(changes, order.truth, rule_events(queries.events(store)))
    finally:
        store.close()
    report = Rehearsal(
        order=order,
        total=books,
        changes=changes,
        watermark=watermark,
        deadletters=deadletters,
        pushes_proposed=proposed,
        wall_seconds=seconds,
        comparison=comparison,
        leads={} if comparison is None else leads(comparison.product, comparison.fixed),
        failure=failure,
    )
    write_summary(order.out, report.summary)
    return report
