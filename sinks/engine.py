"""The ClickHouse engine behind the store: embedded in this process, or a server by its address."""

from __future__ import annotations

import fcntl
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager

from qianshao.config import CLICKHOUSE_VARIABLE, ClickHouse, secret
from qianshao.errors import AccessError, ConfigError, QueryError, StoreError, UnavailableError
from sinks.batch import Columns
from sinks.native import at_revision
from sinks.reading import QUERY_LIMITS, Rules

_SETTINGS = {
    # On by default since engine 26: rows would be acknowledged before they are anywhere.
    "async_insert": 0,
    "optimize_on_insert": 0,
    # One batch of an old log may span any number of months.
    "max_partitions_per_insert_block": 0,
}

OLDEST_SERVER = (24, 3)
"""The first long-term release whose FINAL does not merge what cannot repeat: older ones are too slow for the boards."""

CONNECT_SECONDS = 5
READ_SECONDS = 60

_PASSING = frozenset({159, 160, 202, 203, 209, 210, 236, 241, 242, 243, 252, 319, 394, 425, 439, 745, 999})
"""ClickHouse's codes for what may succeed later: time-outs, too much at once, no memory, no disk, no keeper."""

_REFUSED_ACCESS = frozenset({192, 193, 194, 497, 516})


class Answer(NamedTuple):
    """What the engine says to somebody else's query."""

    body: bytes
    format: str


class Engine:
    """One open engine: whoever uses it waits for his turn, and every error of it becomes one of ours.

    Parameters
    ----------
    client
        The engine's client.
    where
        What the messages call it; never holds a secret.
    """

    def __init__(self, client: Client, where: str) -> None:
        self._client = client
        self.where = where
        self._turn = threading.RLock()
        self._closed = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One caller at a time, and none after the end."""
        with self._turn:
            if self._closed:
                raise StoreError(f"store {self.where}: is closed; open a new one before using it")
            yield

    def command(self, statement: str) -> None:
        """Run one statement that changes something."""
        with self.turn(), self._errors("refused a statement"):
            self._client.command(statement)

    def insert(self, table: str, columns: Columns) -> None:
        """Add rows; they are stored when this returns."""
        with self.turn(), self._errors(f"cannot take rows of {table}"):
            self._client.insert(
                table, list(columns.values()), column_names=list(columns), column_oriented=True, settings=_SETTINGS
            )

    def select(self, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[tuple[object, ...]]:
        """Read rows."""
        return list(zip(*self.select_columns(sql, parameters), strict=True))

    def select_columns(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Sequence[object]]:
        """Read rows as one sequence per column; none at all if there are no rows."""
        with self.turn(), self._errors("cannot answer"):
            result = self._client.query(
                sql, parameters=dict(parameters or {}), column_oriented=True, settings={"readonly": 2}
            )
            return list(result.result_columns)

    def answer(self, sql: str, parameters: Mapping[str, str], default_format: str, revision: int) -> Answer:
        """Answer somebody else's query as bytes; see `Embedded.answer`."""
        raise StoreError(f"store {self.where}: answers for itself; ask the server")

    def close(self) -> None:
        """Let go of the engine; may be called twice."""
        with self._turn:
            if not self._closed:
                self._closed = True
                self._let_go()

    def _let_go(self) -> None:
        self._client.close()

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ClickHouseError, OSError) as error:
            self._raise(what, error)

    def _raise(self, what: str, error: Exception) -> NoReturn:
        raise StoreError(
            f"store {self.where}: {what} ({first_line(error)}); check the disk, or name another clickhouse.path"
        ) from error


class Embedded(Engine):
    """chDB on a folder, under our own lock.

    Parameters
    ----------
    path
        Folder; made if it is not there.

    Raises
    ------
    StoreError
        If the folder cannot be opened or written, or is open elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: Client | None = None
        self._rules: Rules | None = None
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
            client = clickhouse_connect.get_client(interface="chdb", path=str(path), settings=dict(_SETTINGS))
        except (ClickHouseError, OSError) as error:
            self._lock_file.close()
            if "already initialized with path" in str(error):
                raise StoreError(
                    f"store {path}: this process has another store open; close that one first, the engine holds one"
                ) from None
            raise StoreError(
                f"store {path}: cannot be opened ({first_line(error)}); check the disk, or name another clickhouse.path"
            ) from error
        except BaseException:
            self._lock_file.close()
            raise
        super().__init__(client, str(path))

    def answer(self, sql: str, parameters: Mapping[str, str], default_format: str, revision: int) -> Answer:
        """Answer a query of somebody who may only read our tables.

        The query is taken apart by the engine's own parser first: one SELECT (or SHOW TABLES, DESCRIBE), only tables of
        this store and harmless system tables, only functions that compute. What the engine would still refuse in
        read-only mode it refuses then. Time, memory and size of the result are limited.

        Parameters
        ----------
        sql
            One statement; its own FORMAT goes before `default_format`.
        parameters
            Values of `{name:Type}`, as text escaped like TabSeparated, which is how they come over HTTP.
        default_format
            One of ClickHouse's output formats.
        revision
            Protocol revision that a reader of `Native` expects; 0 = none.

        Raises
        ------
        QueryError
            If the query is wrong, asks for more than it may, or takes too long; `code` is ClickHouse's.
        """
        with self.turn():
            try:
                if self._rules is None:
                    self._rules = Rules(self)
                statement = self._rules.check(sql)
            except QueryError:
                raise
            except StoreError as error:
                raise _query_error(error.__cause__ or error) from None
            given = {name: _Raw(parameters[name]) for name in statement.parameters if name in parameters}
            reader = self._for_others()
            try:
                body = reader.raw_query(
                    statement.sql, parameters=given, fmt=None if statement.format else default_format
                )
            except (ClickHouseError, OSError) as error:
                # What a failed query had written already would stand before the next one's answer.
                self._reader = None
                reader.close()
                raise _query_error(error) from None
            output = statement.format or default_format
            return Answer(at_revision(body, revision) if output.lower() == "native" else body, output)

    def _for_others(self) -> Client:
        if self._reader is None:
            # A handle of its own: read-only mode cannot be left again, and no query can lift the limits set before it.
            reader = clickhouse_connect.get_client(interface="chdb", path=str(self._path))
            for name, value in {**QUERY_LIMITS, "readonly": 1}.items():
                reader.set_client_setting(name, value)
            self._reader = reader
        return self._reader

    def _let_go(self) -> None:
        try:
            if self._reader is not None:
                self._reader.close()
            self._client.close()
        finally:
            self._lock_file.close()


class Server(Engine):
    """A ClickHouse server over HTTP; the database is made if it is not there and we may.

    Parameters
    ----------
    config
        `[clickhouse]` with its `url`.
    make
        Whether to make a missing database.

    Raises
    ------
    UnavailableError
        If the server does not answer now.
    ConfigError
        If the address or the password file is wrong.
    StoreError
        If the server is too old, refuses us, or lacks the database and does not let us make it.
    """

    def __init__(self, config: ClickHouse, *, make: bool = True) -> None:
        self._database = config.database
        self.empty = False
        """True where the database is not there and was not to be made."""
        self.where = f"{server_address(config)} database {config.database}"
        # A pool of our own, closed by us: the client's way of closing one needs a certain build of urllib3.
        self._pool = get_pool_manager(ca_cert=config.ca_file)
        try:
            client = self._connected(config, "")
        except BaseException:
            self._pool.clear()
            raise
        super().__init__(client, self.where)
        try:
            self._check_version()
            self._make_database(make)
            if not self.empty:
                self._client = self._connected(config, config.database)
        except BaseException:
            self.close()
            raise

    def _connected(self, config: ClickHouse, database: str) -> Client:
        parts = urlsplit(server_address(config))
        password = secret(CLICKHOUSE_VARIABLE, "clickhouse.password_file", config.password_file)
        with self._errors("cannot be reached"):
            return clickhouse_connect.get_client(
                interface=parts.scheme,
                host=parts.hostname or "",
                port=parts.port or (8443 if parts.scheme == "https" else 8123),
                proxy_path=parts.path.rstrip("/"),
                username=config.user,
                password=password or "",
                # None: the user's own database; ours may have to be made first.
                database=database or None,
                pool_mgr=self._pool,
                compress="lz4",
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=READ_SECONDS,
                # A session refuses a second query while the first, perhaps timed out, still runs.
                autogenerate_session_id=False,
                client_name="qianshao",
                settings=dict(_SETTINGS),
            )

    @property
    def version(self) -> str:
        """What the server calls its version."""
        return str(self._client.server_version)

    def granted(self, what: str) -> bool:
        """Ask whether our user holds a grant such as ``SELECT ON `db`.*``; an old server cannot tell: `StoreError`."""
        with self.turn(), self._errors("does not know CHECK GRANT"):
            return str(self._client.command(f"CHECK GRANT {what}")) == "1"

    def _check_version(self) -> None:
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.version)[:2])
        if numbers < OLDEST_SERVER:
            oldest = ".".join(map(str, OLDEST_SERVER))
            raise StoreError(
                f"store {self.where}: the server is version {self.version}; {oldest} or newer is needed, upgrade it"
            )

    def _let_go(self) -> None:
        try:
            self._client.close()
        finally:
            self._pool.clear()

    def _make_database(self, make: bool) -> None:
        known = self.select("SELECT count() FROM system.databases WHERE name = {name:String}", {"name": self._database})
        if known[0][0] != 0:
            return
        if not make:
            self.empty = True
        else:
            name = "`" + self._database.replace("\\", "\\\\").replace("`", "\\`") + "`"
            self.command(f"CREATE DATABASE IF NOT EXISTS {name}")

    def _raise(self, what: str, error: Exception) -> NoReturn:
        code = getattr(error, "code", None)
        line = first_line(error)
        if code in _PASSING or (code is None and _passing(error)):
            raise UnavailableError(
                f"store {self.where}: {what} ({line}); it is tried again, see that the server runs and has room"
            ) from error
        if code in _REFUSED_ACCESS:
            raise AccessError(
                f"store {self.where}: {what} ({line}); "
                "check clickhouse.user, its password and its grants (deploy/clickhouse/users.sql)"
            ) from error
        raise StoreError(f"store {self.where}: {what} ({line}); see the server's log") from error


def server_address(config: ClickHouse) -> str:
    """Return the address of the server without anything else.

    Raises
    ------
    ConfigError
        If it is no http:// or https:// address, or holds a name and password.
    """
    try:
        parts = urlsplit(config.url or "")
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"clickhouse.url: {error}; write http://host:8123 or https://host:8443") from None
    if "@" in parts.netloc:
        raise ConfigError("clickhouse.url: holds a user; set clickhouse.user, and clickhouse.password_file beside it")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError("clickhouse.url: is no address; write http://host:8123 or https://host:8443")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def store_path(config: ClickHouse, default_path: Path) -> Path:
    """Return the folder of the embedded store: `clickhouse.path`, or else `default_path`."""
    return Path(config.path) if config.path else default_path


def open_engine(config: ClickHouse, default_path: Path) -> Engine:
    """Open the server that `config` names or, without one, the embedded engine."""
    return Embedded(store_path(config, default_path)) if config.url is None else Server(config)


def first_line(error: BaseException) -> str:
    """Return what an error of the client says, on one line: the system's own words where no answer came."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _query_error(error: BaseException) -> QueryError:
    """Turn a refusal by the engine into ours, keeping its code and its own words."""
    text = str(error).strip()
    begin = text.rfind("Code: ")
    text = text[begin:] if begin >= 0 else text
    found = re.match(r"Code: (\d+)", text)
    return QueryError(text, code=int(found[1]) if found else 0)


class _Raw:
    """A parameter that is escaped already; the client would escape a string once more."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def _passing(error: Exception) -> bool:
    """No answer at all, or one from a proxy that says later."""
    status = re.search(r"HTTP status (\d+)", str(error))
    return status is None or int(status[1]) in (429, 502, 503, 504)
