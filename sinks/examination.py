"""What `qianshao doctor` says about the store."""

from __future__ import annotations

import os
from pathlib import Path

from qianshao.config import ClickHouse
from qianshao.errors import AccessError, QianshaoError, StoreError
from qianshao.examined import Examined
from sinks.clickhouse_schema import MIGRATIONS, Migration, pending
from sinks.engine import Embedded, Engine, Server, store_path

PRIVILEGES = ("SELECT", "INSERT", "CREATE TABLE", "CREATE VIEW", "ALTER TABLE", "DROP TABLE")
"""What writing and migrating need on the database; see deploy/clickhouse/users.sql."""


def examine(config: ClickHouse, default_path: Path) -> list[Examined]:
    """Look at the store without changing it: reachable, allowed, of the right version, migrated. Never raises.

    Parameters
    ----------
    config
        `[clickhouse]`.
    default_path
        Folder of the embedded store where `clickhouse.path` names none.
    """
    try:
        return _embedded(store_path(config, default_path)) if config.url is None else _server(config)
    except QianshaoError as error:
        return [Examined(part="ClickHouse", ok=False, detail=str(error))]


def _embedded(path: Path) -> list[Examined]:
    part = "ClickHouse folder"
    if not path.exists():
        above = next(folder for folder in path.absolute().parents if folder.exists())
        writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        detail = f"{path} is made at the first start"
        if not writable:
            detail = f"{path} cannot be made, {above} is not writable; name another clickhouse.path"
        return [Examined(part=part, ok=writable, detail=detail), _schema(list(MIGRATIONS))]
    try:
        engine = Embedded(path)
    except StoreError as error:
        in_use = "it is open elsewhere" in str(error)
        detail = f"{path} is in use, as it is while the service runs" if in_use else str(error)
        return [
            Examined(part=part, ok=None if in_use else False, detail=detail),
            Examined(part="ClickHouse schema", ok=None, detail="only seen while nobody else has the folder open"),
        ]
    try:
        return [Examined(part=part, ok=True, detail=f"{path} is ours to write"), _examine_schema(engine)]
    finally:
        engine.close()


def _server(config: ClickHouse) -> list[Examined]:
    try:
        server = Server(config, make=False)
    except AccessError as error:
        return [
            Examined(part="ClickHouse server", ok=True, detail=f"{config.url} answers"),
            Examined(part="ClickHouse user", ok=False, detail=str(error)),
        ]
    except QianshaoError as error:
        return [Examined(part="ClickHouse server", ok=False, detail=str(error))]
    try:
        found = [
            Examined(part="ClickHouse server", ok=True, detail=f"{config.url} is version {server.version}"),
            Examined(part="ClickHouse user", ok=True, detail=f"{config.user} is let in"),
        ]
        if server.empty:
            detail = f"{config.database} is not there; `qianshao migrate` makes it if {config.user} may"
            found.append(Examined(part="ClickHouse database", ok=None, detail=detail))
        else:
            found.append(Examined(part="ClickHouse database", ok=True, detail=f"{config.database} is there"))
        found.append(_examine_privileges(server, config))
        found.append(_schema(list(MIGRATIONS)) if server.empty else _examine_schema(server))
        return found
    finally:
        server.close()


def _examine_privileges(server: Server, config: ClickHouse) -> Examined:
    part = "ClickHouse privileges"
    database = config.database.replace("`", "\\`")
    try:
        missing = [name for name in PRIVILEGES if not server.granted(f"{name} ON `{database}`.*")]
    except StoreError as error:
        return Examined(part=part, ok=None, detail=f"the server does not tell ({error})")
    if missing:
        detail = f"{config.user} lacks {', '.join(missing)} on {config.database}; run deploy/clickhouse/users.sql"
        return Examined(part=part, ok=False, detail=detail)
    return Examined(part=part, ok=True, detail=f"{config.user} may write and migrate {config.database}")


def _examine_schema(engine: Engine) -> Examined:
    try:
        return _schema(pending(engine))
    except StoreError as error:
        return Examined(part="ClickHouse schema", ok=False, detail=str(error))


def _schema(steps: list[Migration]) -> Examined:
    if not steps:
        return Examined(part="ClickHouse schema", ok=True, detail=f"version {MIGRATIONS[-1].version}, the newest")
    names = "; ".join(f"{step.version} {step.name}" for step in steps)
    return Examined(
        part="ClickHouse schema",
        ok=None,
        detail=f"{len(steps)} migrations pending ({names}); the next start or `qianshao migrate` runs them",
    )
