"""The ClickHouse store: everything that leaves, in tables, on the embedded engine or on a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qianshao.config import ClickHouse
from qianshao.outcome import Outcome
from sinks import clickhouse_rows as rows
from sinks.batch import Batch
from sinks.clickhouse_schema import MIGRATIONS, Migration, apply_retention, migrate, pending
from sinks.engine import Answer, Embedded, Engine, Server, open_engine, store_path


class Store:
    """The sink into ClickHouse tables and the way back for the page and the scoring (`sinks.queries`).

    Rows are gathered as columns and inserted from 10 000 rows, after 2 s, at `flush`, before any read and at the end:
    a read sees everything written. Rows are keyed by what they are (event id, series and bin, incident and version …):
    the same rows again, in any cut and any order, change no answer.

    One process owns a folder; a second `Store` on it is refused. Methods may be called from several threads.

    Fails when the disk is full or the server away: `write` and `flush` raise and keep the rows; they are inserted by
    the next that succeeds. `UnavailableError` says that trying again may help.

    Parameters
    ----------
    place
        An open engine (see `open_store`), which the store closes at its end; or the folder of an embedded one, made if
        it is not there.
    retention_days
        Rows are forgotten this many days after they were stored (wall clock of the engine), whatever their event time.
    clock
        Monotonic seconds, for the two seconds above.

    Raises
    ------
    StoreError
        If the folder cannot be opened or written, is open elsewhere, or is of a newer schema; or the server refuses us.
    """

    def __init__(
        self, place: Path | Engine, retention_days: int = 90, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = Embedded(place) if isinstance(place, Path) else place
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
                batch.extend("events", rows.event_columns(outcome.counted, late=False))
            if outcome.late:
                batch.extend("events", rows.event_columns(outcome.late, late=True))
            if outcome.rollups:
                batch.extend("rollups", rows.rollup_columns(outcome.rollups, outcome.watermark))
            if outcome.incidents:
                batch.extend("incidents", rows.incident_columns(outcome.incidents))
            if outcome.pushes:
                batch.extend("pushes", rows.push_columns(outcome.pushes))
            if outcome.trends:
                batch.extend("trends", rows.trend_columns(outcome.trends))
            if outcome.deadletters:
                batch.extend("deadletters", rows.deadletter_columns(outcome.deadletters, outcome.watermark))
            if outcome.tallies:
                batch.extend("tallies", rows.tally_columns(outcome.tallies))
            if outcome.actions:
                batch.extend("actions", rows.action_columns(outcome.actions))
            if outcome.pulses:
                batch.extend("pulses", rows.pulse_columns(outcome.pulses))
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

    def answer(
        self,
        sql: str,
        parameters: Mapping[str, str] | None = None,
        default_format: str = "TabSeparated",
        revision: int = 0,
    ) -> Answer:
        """Answer a query of somebody who may only read, as bytes; see `sinks.engine.Embedded.answer`."""
        self.flush()
        return self._engine.answer(sql, parameters or {}, default_format, revision)


def open_store(config: ClickHouse, default_path: Path, *, clock: Callable[[], float] = time.monotonic) -> Store:
    """Open the store that `config` names, migrated: on the server of `clickhouse.url`, else embedded.

    Parameters
    ----------
    config
        `[clickhouse]`.
    default_path
        Folder of the embedded store where `clickhouse.path` names none.
    clock
        Monotonic seconds.

    Raises
    ------
    UnavailableError
        If the server does not answer now.
    StoreError, ConfigError
        See `Store` and `sinks.engine.Server`.
    """
    return Store(open_engine(config, default_path), config.retention_days, clock=clock)


def pending_migrations(config: ClickHouse, default_path: Path) -> list[Migration]:
    """List the migrations that opening the store would run, and run none; no folder and no database is made."""
    engine: Engine
    if config.url is not None:
        engine = server = Server(config, make=False)
        if server.empty:
            server.close()
            return list(MIGRATIONS)
    else:
        path = store_path(config, default_path)
        if not path.exists():
            return list(MIGRATIONS)
        engine = Embedded(path)
    try:
        return pending(engine)
    finally:
        engine.close()
