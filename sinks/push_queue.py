"""The proactive-push queue: durable, local, leased, so that no customer is told twice and none is forgotten."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import cast

import msgspec

from qianshao.clock import from_rfc3339, to_rfc3339
from qianshao.errors import StoreError
from qianshao.outcome import Outcome
from qianshao.push import Push, PushState

BUSY_TIMEOUT_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS push (
    push TEXT PRIMARY KEY,
    incident TEXT NOT NULL,
    record BLOB NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS push_by_state ON push (state, priority, not_before, push);
CREATE INDEX IF NOT EXISTS push_by_incident ON push (incident);
CREATE TABLE IF NOT EXISTS change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    push TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"""

_OPEN_STATES = ("proposed", "approved", "queued", "leased")


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right of one worker to send one push until `leased_until` (epoch milliseconds)."""

    push: Push
    token: str
    leased_until: int


class PushChange(msgspec.Struct, frozen=True, kw_only=True):
    """One state change as recorded: `record` is the push in its new state, `detail` says why or carries the receipt."""

    sequence: int
    record: Push
    detail: str


class PushQueue:
    """Pushes in one SQLite file (WAL), shared by any number of processes; time is passed in.

    ::

        proposed ──▶ approved ──▶ queued ──▶ leased ──▶ delivered
            │            │          │ ▲        │ ├────▶ failed
            │            │          │ └────────┘ │       (a lease that runs out goes back to queued)
            └────────────┴──────────┴────────────┴────▶ cancelled, expired

    Every change is one row of the history, written in the same transaction as the state. As a sink it takes `proposed`
    (a repeated put is a no-op) and the desk's `approved`, `cancelled` and `expired`; nothing is sent unless somebody
    approves, here or through the desk.

    Fails when a worker sends and dies before it acknowledges: the lease runs out and the push is sent again. Receivers
    see the push id as idempotency key for that.

    Parameters
    ----------
    path
        The SQLite file; made if it is not there.
    zone
        Service time zone, in which `at` is written.

    Raises
    ------
    StoreError
        If the file cannot be opened, is not ours, or stays locked for ten seconds.
    """

    def __init__(self, path: Path, zone: tzinfo) -> None:
        self._path = path
        self._zone = zone
        self._closed = False
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._trouble("cannot be opened", error) from None
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise self._trouble("cannot be opened", error) from None

    # -- the sink's face ---------------------------------------------------------------------------------------------

    def write(self, outcome: Outcome) -> None:
        """Put what the desk proposes, approve what it approves, take back what it takes back, in one transaction.

        An approval brings the time before which the push must not go: it may have fallen in quiet hours. One that
        comes too late, for a push that has ended or is on its way, changes nothing.

        Raises
        ------
        StoreError
            For any other state: only workers queue, lease and deliver.
        """
        self._check_open()
        if not outcome.pushes:
            return
        with self._transaction() as connection:
            for push in outcome.pushes:
                if push.state == "proposed":
                    self._put(connection, push)
                elif push.state == "approved":
                    self._approve(connection, push)
                elif push.state in ("cancelled", "expired"):
                    self._move(connection, push.push, _OPEN_STATES, push.state, from_rfc3339(push.at), "desk")
                else:
                    raise StoreError(
                        f"push queue {self._path}: the flow gave push {push.push} in state {push.state}; "
                        "a flow may only propose, approve, cancel and expire"
                    )

    def flush(self) -> None:
        """Nothing is held back: every `write` is a committed transaction."""

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    # -- the life of a push ------------------------------------------------------------------------------------------

    def put(self, push: Push) -> bool:
        """Take a proposed push; False if its id is known already, whatever its state (then nothing changes)."""
        if push.state != "proposed":
            raise StoreError(f"push queue {self._path}: push {push.push} enters as {push.state}; it must be proposed")
        with self._transaction() as connection:
            return self._put(connection, push)

    def approve(self, push: str, now: int, by: str) -> bool:
        """Proposed → approved, recording who; False if it is not proposed (any more)."""
        with self._transaction() as connection:
            return self._move(connection, push, ("proposed",), "approved", now, by)

    def enqueue(self, push: str, now: int) -> bool:
        """Approved → queued: a worker may lease it; False if it is not approved."""
        with self._transaction() as connection:
            return self._move(connection, push, ("approved",), "queued", now, "")

    def lease(self, now: int, lease_seconds: int, limit: int) -> list[Lease]:
        """Give this worker at most `limit` pushes that nobody else holds, smallest `priority` first, then oldest.

        Leases that ran out by `now` go back to queued first. Only pushes with `not_before` ≤ now < `valid_until` are
        given. One transaction: two workers never hold the same push.
        """
        until = now + lease_seconds * 1000
        leases: list[Lease] = []
        with self._transaction() as connection:
            self._return_run_out(connection, now)
            rows = connection.execute(
                "SELECT push, attempt + 1 FROM push WHERE state = 'queued' AND not_before <= ? AND valid_until > ? "
                "ORDER BY priority, not_before, push LIMIT ?",
                (now, now, limit),
            ).fetchall()
            for push, attempt in rows:
                connection.execute(
                    "UPDATE push SET attempt = ?, leased_until = ? WHERE push = ?", (attempt, until, push)
                )
                self._move(connection, push, ("queued",), "leased", now, f"attempt {attempt}")
                record = self._get(connection, push)
                assert record is not None
                leases.append(Lease(push=record, token=_token(push, attempt), leased_until=until))
        return leases

    def acknowledge(self, push: str, token: str, now: int, receipt: str = "") -> None:
        """Record that the receiver has answered yes: → delivered; a repeated acknowledgement is a no-op.

        The newest lease may still say so after it ran out or the push was cancelled meanwhile: a delivery is a fact.

        Raises
        ------
        StoreError
            If the push is unknown, or another worker has leased it since: `token` is not its newest lease.
        """
        self._settle(push, token, now, "delivered", receipt)

    def fail(self, push: str, token: str, now: int, reason: str) -> None:
        """Record that the receiver has refused for good: → failed, with the reason. Errors as `acknowledge`."""
        self._settle(push, token, now, "failed", reason)

    def expire(self, now: int) -> list[Push]:
        """Expire what no live lease holds and whose `valid_until` has passed; return them as they now stand."""
        with self._transaction() as connection:
            self._return_run_out(connection, now)
            rows = connection.execute(
                "SELECT push FROM push WHERE state IN ('proposed', 'approved', 'queued') AND valid_until <= ? "
                "ORDER BY push",
                (now,),
            ).fetchall()
            return self._move_all(connection, [row[0] for row in rows], "expired", now, "valid_until passed")

    def cancel_incident(self, incident: str, now: int, reason: str = "incident dismissed") -> list[Push]:
        """Cancel every push of `incident` that has not ended, leased ones too; return them as they now stand."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT push FROM push WHERE incident = ? AND state IN ('proposed', 'approved', 'queued', 'leased') "
                "ORDER BY push",
                (incident,),
            ).fetchall()
            return self._move_all(connection, [row[0] for row in rows], "cancelled", now, reason)

    # -- what people and dashboards ask -------------------------------------------------------------------------------

    def get(self, push: str) -> Push | None:
        """Return one push as it now stands, None if unknown."""
        with self._lock, self._errors("read"):
            self._check_open()
            return self._get(self._connection, push)

    def counts(self) -> dict[str, int]:
        """Return state → number of pushes in it."""
        with self._lock, self._errors("read"):
            self._check_open()
            return dict(self._connection.execute("SELECT state, count(*) FROM push GROUP BY state ORDER BY state"))

    def changes(self, after: int = 0, limit: int = 1_000) -> list[PushChange]:
        """Return at most `limit` state changes with a sequence above `after`, in the order in which they fell."""
        with self._lock, self._errors("read"):
            self._check_open()
            rows = self._connection.execute(
                "SELECT change.sequence, push.record, change.state, change.at, change.detail "
                "FROM change JOIN push ON push.push = change.push WHERE change.sequence > ? "
                "ORDER BY change.sequence LIMIT ?",
                (after, limit),
            ).fetchall()
        return [
            PushChange(sequence=sequence, record=self._as_it_stood(record, state, at), detail=detail)
            for sequence, record, state, at, detail in rows
        ]

    # -- inside -----------------------------------------------------------------------------------------------------

    def _put(self, connection: sqlite3.Connection, push: Push) -> bool:
        inserted = connection.execute(
            "INSERT INTO push (push, incident, record, state, priority, not_before, valid_until) "
            "VALUES (?, ?, ?, 'proposed', ?, ?, ?) ON CONFLICT (push) DO NOTHING",
            (
                push.push,
                push.incident,
                msgspec.json.encode(push),
                push.priority,
                from_rfc3339(push.not_before),
                from_rfc3339(push.valid_until),
            ),
        ).rowcount
        if inserted:
            self._record(connection, push.push, "proposed", from_rfc3339(push.at), push.reason)
        return bool(inserted)

    def _approve(self, connection: sqlite3.Connection, push: Push) -> None:
        if self._move(connection, push.push, ("proposed",), "approved", from_rfc3339(push.at), "desk"):
            connection.execute(
                "UPDATE push SET record = ?, not_before = ? WHERE push = ?",
                (msgspec.json.encode(push), from_rfc3339(push.not_before), push.push),
            )

    def _move(
        self,
        connection: sqlite3.Connection,
        push: str,
        sources: tuple[str, ...],
        target: PushState,
        now: int,
        detail: str,
    ) -> bool:
        row = connection.execute("SELECT state FROM push WHERE push = ?", (push,)).fetchone()
        if row is None or row[0] not in sources:
            return False
        connection.execute("UPDATE push SET state = ? WHERE push = ?", (target, push))
        self._record(connection, push, target, now, detail)
        return True

    def _move_all(
        self, connection: sqlite3.Connection, pushes: list[str], target: PushState, now: int, detail: str
    ) -> list[Push]:
        for push in pushes:
            self._move(connection, push, _OPEN_STATES, target, now, detail)
        return [record for push in pushes if (record := self._get(connection, push)) is not None]

    def _record(self, connection: sqlite3.Connection, push: str, state: str, at: int, detail: str) -> None:
        connection.execute(
            "INSERT INTO change (push, state, at, detail) VALUES (?, ?, ?, ?)", (push, state, at, detail)
        )

    def _return_run_out(self, connection: sqlite3.Connection, now: int) -> None:
        rows = connection.execute(
            "SELECT push FROM push WHERE state = 'leased' AND leased_until <= ? ORDER BY push", (now,)
        ).fetchall()
        for (push,) in rows:
            self._move(connection, push, ("leased",), "queued", now, "lease ran out")

    def _settle(self, push: str, token: str, now: int, target: PushState, detail: str) -> None:
        with self._transaction() as connection:
            row = connection.execute("SELECT state, attempt FROM push WHERE push = ?", (push,)).fetchone()
            if row is None:
                raise StoreError(f"push queue {self._path}: push {push} is unknown; settle only what was leased here")
            state, attempt = row
            if attempt == 0 or token != _token(push, attempt):
                raise StoreError(
                    f"push queue {self._path}: push {push} is not held by lease {token} any more; "
                    "do not send it again, its newest lease decides"
                )
            if state in ("delivered", "failed"):
                if state == target:
                    return
                raise StoreError(f"push queue {self._path}: push {push} is already {state}; it cannot become {target}")
            self._move(connection, push, (state,), target, now, detail)

    def _get(self, connection: sqlite3.Connection, push: str) -> Push | None:
        row = connection.execute(
            "SELECT record, state, "
            "(SELECT at FROM change WHERE change.push = push.push ORDER BY sequence DESC LIMIT 1) "
            "FROM push WHERE push = ?",
            (push,),
        ).fetchone()
        return None if row is None else self._as_it_stood(*row)

    def _as_it_stood(self, record: bytes, state: str, at: int) -> Push:
        push = msgspec.json.decode(record, type=Push)
        push.state = cast("PushState", state)
        push.at = to_rfc3339(at, self._zone)
        return push

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors("written"):
            self._check_open()
            # IMMEDIATE takes the write lock before reading: what a lease has seen nobody else can take.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._trouble(f"cannot be {verb}", error) from None

    def _trouble(self, what: str, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"push queue {self._path}: {what} ({error}); check the disk and that no other program holds the file"
        )

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"push queue {self._path}: is closed; open a new one before using it")


def _token(push: str, attempt: int) -> str:
    return f"{push}#{attempt}"
