"""The ClickHouse store: everything that leaves, in tables, on the engine embedded in this process."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from qianshao.action import ActionOutcome
from qianshao.clock import from_rfc3339
from qianshao.errors import StoreError
from qianshao.event import DeadLetter, Observation
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome, Pulse, Rollup, Tally
from qianshao.push import Push, Trend
from sinks.batch import Batch, Columns
from sinks.clickhouse_schema import MIGRATIONS, Migration, apply_retention, migrate, pending

_SETTINGS = {
    # On by default since engine 26: rows would be acknowledged before they are anywhere.
    "async_insert": 0,
    "optimize_on_insert": 0,
}

_encode = msgspec.json.Encoder().encode


class _Engine:
    """One open chDB folder under our own lock; every engine error becomes a `StoreError` that names the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._closed = False
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock_file = (path / "qianshao.lock").open("a")
        except OSError as error:
            raise StoreError(
                f"store {path}: cannot be opened ({error.strerror}); name a writable folder in clickhouse.path"
            ) from None
        try:
            # The engine corrupts or refuses a folder that two processes open, so ask first, and say it in our words.
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise StoreError(
                f"store {path}: it is open elsewhere; one process owns a store, stop that one or name another path"
            ) from None
        try:
            with self._errors("cannot be opened"):
                self._client: Client = clickhouse_connect.get_client(
                    interface="chdb", path=str(path), settings=dict(_SETTINGS)
                )
        except StoreError as error:
            self._lock_file.close()
            if "already initialized with path" in str(error):
                raise StoreError(
                    f"store {path}: this process has another store open; close that one first, the engine holds one"
                ) from None
            raise
        except BaseException:
            self._lock_file.close()
            raise

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ClickHouseError, OSError) as error:
            first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise StoreError(
                f"store {self.path}: {what} ({first_line}); check the disk, or name another clickhouse.path"
            ) from error

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One caller at a time, and none after the end."""
        with self._turn:
            if self._closed:
                raise StoreError(f"store {self.path}: is closed; open a new one before using it")
            yield

    def command(self, statement: str) -> None:
        with self.turn(), self._errors("refused a statement"):
            self._client.command(statement)

    def insert(self, table: str, columns: Columns) -> None:
        with self.turn(), self._errors(f"cannot take rows of {table}"):
            self._client.insert(
                table, list(columns.values()), column_names=list(columns), column_oriented=True, settings=_SETTINGS
            )

    def select(self, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[tuple[object, ...]]:
        columns = self.select_columns(sql, parameters)
        return list(zip(*columns, strict=True))

    def select_columns(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Sequence[object]]:
        with self.turn(), self._errors("cannot answer"):
            result = self._client.query(
                sql, parameters=dict(parameters or {}), column_oriented=True, settings={"readonly": 2}
            )
            return list(result.result_columns)

    def close(self) -> None:
        with self._turn:
            if not self._closed:
                self._closed = True
                try:
                    self._client.close()
                finally:
                    self._lock_file.close()


class Store:
    """The sink into ClickHouse tables and the way back for the page and the scoring (`sinks.queries`).

    Rows are gathered as columns and inserted from 10 000 rows, after 2 s, at `flush`, before any read and at the end:
    a read sees everything written. Rows are keyed by what they are (event id, series and bin, incident and version …):
    the same rows again, in any cut and any order, change no answer.

    One process owns a folder; a second `Store` on it is refused. Methods may be called from several threads.

    Fails when the disk is full: `write` raises and keeps the rows; they are inserted by the next that succeeds.

    Parameters
    ----------
    path
        Folder of the store; made if it is not there.
    retention_days
        Rows are forgotten this many days after they were stored (wall clock of the engine), whatever their event time.
    clock
        Monotonic seconds, for the two seconds above.

    Raises
    ------
    StoreError
        If the folder cannot be opened or written, is open elsewhere, or is of a newer schema.
    """

    def __init__(self, path: Path, retention_days: int = 90, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = _Engine(path)
        self._batch = Batch(clock)
        try:
            migrate(self._engine)
            apply_retention(self._engine, retention_days)
        except BaseException:
            self._engine.close()
            raise

    def write(self, outcome: Outcome) -> None:
        """Take one outcome; insert when enough has gathered."""
        with self._engine.turn():
            batch = self._batch
            if outcome.counted:
                batch.extend("events", _event_columns(outcome.counted, late=False))
            if outcome.late:
                batch.extend("events", _event_columns(outcome.late, late=True))
            if outcome.rollups:
                batch.extend("rollups", _rollup_columns(outcome.rollups, outcome.watermark))
            if outcome.incidents:
                batch.extend("incidents", _incident_columns(outcome.incidents))
            if outcome.pushes:
                batch.extend("pushes", _push_columns(outcome.pushes))
            if outcome.trends:
                batch.extend("trends", _trend_columns(outcome.trends))
            if outcome.deadletters:
                batch.extend("deadletters", _deadletter_columns(outcome.deadletters, outcome.watermark))
            if outcome.tallies:
                batch.extend("tallies", _tally_columns(outcome.tallies))
            if outcome.actions:
                batch.extend("actions", _action_columns(outcome.actions))
            if outcome.pulses:
                batch.extend("pulses", _pulse_columns(outcome.pulses))
            if batch.due():
                self.flush()

    def flush(self) -> None:
        """Insert everything gathered so far."""
        with self._engine.turn():
            self._batch.drain(self._engine.insert)

    def close(self) -> None:
        """Insert what is left, close the engine and free the folder; may be called twice."""
        try:
            if len(self._batch):
                self.flush()
        finally:
            self._engine.close()

    def select(self, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[tuple[object, ...]]:
        """Answer a reading query as rows; `{name:Type}` takes a parameter; a statement that changes is refused."""
        self.flush()
        return self._engine.select(sql, parameters)

    def select_columns(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Sequence[object]]:
        """Answer a reading query as one sequence per column; none at all if there are no rows. See `select`."""
        self.flush()
        return self._engine.select_columns(sql, parameters)


def pending_migrations(path: Path) -> list[Migration]:
    """List the migrations that opening a `Store` on `path` would run, and run none; nothing is made at a new path."""
    if not path.exists():
        return list(MIGRATIONS)
    engine = _Engine(path)
    try:
        return pending(engine)
    finally:
        engine.close()


def _event_columns(events: Sequence[Observation], *, late: bool) -> Columns:
    return {
        "id": [event.id for event in events],
        "ts": [event.ts for event in events],
        "kind": [event.kind for event in events],
        "channel": [event.channel or "" for event in events],
        "line": [event.line or "" for event in events],
        "product": [event.product or "" for event in events],
        "model": [event.model or "" for event in events],
        "firmware": [event.firmware or "" for event in events],
        "region": [event.region or "" for event in events],
        "dims": [event.dims for event in events],
        "customer": [event.customer for event in events],
        "device": [event.device for event in events],
        "conversation": [event.conversation for event in events],
        "role": [event.role or "" for event in events],
        "text": [event.text for event in events],
        "topic": [event.topic for event in events],
        "topic_confidence": [event.topic_confidence for event in events],
        "sentiment": [event.sentiment for event in events],
        "terms": [event.terms for event in events],
        "danger": [event.danger for event in events],
        "type": [event.type for event in events],
        "status": [event.status for event in events],
        "level": [event.level for event in events],
        "code": [event.code for event in events],
        "template": [event.template for event in events],
        "score": [event.score for event in events],
        "metrics": [event.metrics for event in events],
        "extra": [event.extra for event in events],
        "late": [late] * len(events),
    }


def _rollup_columns(rollups: Sequence[Rollup], watermark: int) -> Columns:
    return {
        "series": [str(rollup.series) for rollup in rollups],
        "level": [",".join(name for name, _ in rollup.series.dims) for rollup in rollups],
        "measure": [rollup.series.measure for rollup in rollups],
        "value": [rollup.series.value for rollup in rollups],
        "dims": [dict(rollup.series.dims) for rollup in rollups],
        "bin_start": [rollup.bin_start for rollup in rollups],
        "bin_ms": [rollup.bin_ms for rollup in rollups],
        "messages": [rollup.messages for rollup in rollups],
        "customers": [rollup.customers for rollup in rollups],
        "expected": [rollup.expected for rollup in rollups],
        "low": [rollup.low for rollup in rollups],
        "high": [rollup.high for rollup in rollups],
        "learning": [rollup.learning for rollup in rollups],
        "watermark": [max(watermark, 0)] * len(rollups),
    }


def _incident_columns(changes: Sequence[IncidentChange]) -> Columns:
    return {
        "incident": [change.incident for change in changes],
        "version": [change.version for change in changes],
        "change": [change.change for change in changes],
        "status": [change.status for change in changes],
        "reason": [change.reason for change in changes],
        "at": [from_rfc3339(change.at) for change in changes],
        "opened_at": [None if change.opened_at is None else from_rfc3339(change.opened_at) for change in changes],
        "first_seen": [from_rfc3339(change.first_seen) for change in changes],
        "severity": [change.severity for change in changes],
        "title": [change.title for change in changes],
        "topic": [change.about.topic or "" for change in changes],
        "customers": [change.customers for change in changes],
        "record": [_encode(change).decode() for change in changes],
    }


def _push_columns(pushes: Sequence[Push]) -> Columns:
    return {
        "push": [push.push for push in pushes],
        "state": [push.state for push in pushes],
        "incident": [push.incident for push in pushes],
        "customer": [push.customer for push in pushes],
        "priority": [push.priority for push in pushes],
        "reason": [push.reason for push in pushes],
        "at": [from_rfc3339(push.at) for push in pushes],
        "record": [_encode(push).decode() for push in pushes],
    }


def _trend_columns(trends: Sequence[Trend]) -> Columns:
    return {
        "item": [trend.item for trend in trends],
        "date": [date.fromisoformat(trend.date) for trend in trends],
        "line": [trend.line for trend in trends],
        "product": [trend.product for trend in trends],
        "topic": [trend.topic for trend in trends],
        "customers": [trend.customers for trend in trends],
        "expected": [trend.expected for trend in trends],
        "change": [trend.change for trend in trends],
        "state": [trend.state for trend in trends],
        "record": [_encode(trend).decode() for trend in trends],
    }


def _deadletter_columns(letters: Sequence[DeadLetter], watermark: int) -> Columns:
    return {
        "source": [letter.source for letter in letters],
        "position": [letter.position for letter in letters],
        "reason": [letter.reason for letter in letters],
        "excerpt": [letter.excerpt for letter in letters],
        "kind": [letter.kind for letter in letters],
        "at": [watermark] * len(letters),
    }


def _tally_columns(tallies: Sequence[Tally]) -> Columns:
    return {
        "source": [tally.source for tally in tallies],
        "read": [tally.read for tally in tallies],
        "counted": [tally.counted for tally in tallies],
        "late": [tally.late for tally in tallies],
        "dead": [tally.dead for tally in tallies],
        "duplicate": [tally.duplicate for tally in tallies],
        "dropped": [tally.dropped for tally in tallies],
        "lost": [tally.lost for tally in tallies],
    }


def _action_columns(outcomes: Sequence[ActionOutcome]) -> Columns:
    return {
        "id": [outcome.action.id for outcome in outcomes],
        "action": [outcome.action.action for outcome in outcomes],
        "incident": [outcome.action.incident for outcome in outcomes],
        "by": [outcome.action.by for outcome in outcomes],
        "at": [outcome.action.at for outcome in outcomes],
        "state": [outcome.state for outcome in outcomes],
        "detail": [outcome.detail for outcome in outcomes],
        "tick": [outcome.tick for outcome in outcomes],
        "record": [_encode(outcome).decode() for outcome in outcomes],
    }


def _pulse_columns(pulses: Sequence[Pulse]) -> Columns:
    return {name: [getattr(pulse, name) for pulse in pulses] for name in Pulse.__struct_fields__}
