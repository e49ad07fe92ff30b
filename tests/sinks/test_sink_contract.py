"""One contract for everything that takes outcomes, over every sink in the room."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clickhouse_server import PASSWORD, Front
from strict_grafana import ADMIN, StrictGrafana

import sinks
from qianshao.clock import MINUTE_MS
from qianshao.config import CLICKHOUSE_VARIABLE, ClickHouse, Grafana
from qianshao.errors import StoreError
from sinks.annotations import Annotations
from sinks.clickhouse import Store, open_store
from sinks.files import JsonLines
from sinks.grafana import GrafanaPort
from sinks.push_queue import PushQueue


@dataclass(frozen=True)
class Kind:
    """How to open a sink in a folder, and how to read back the ids that it holds, in its order."""

    open: Callable[[Path, Any], Any]
    read: Callable[[Path, Any], list[str]]
    where: Callable[[Path], str] = str
    """What a message calls the place behind the sink."""


def read_files(folder: Path, make: Any) -> list[str]:
    rows = []
    for name, keys in (
        ("incidents", ("incident", "version")),
        ("pushes", ("push", "state")),
        ("deadletters", ("source", "position")),
        ("trends", ("item",)),
    ):
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows += [name + ":" + "/".join(str(json.loads(line)[key]) for key in keys) for line in lines]
    return rows


class StoreOnServer(Store):
    """The same sink with the other engine behind it."""


DATABASES: dict[Path, ClickHouse] = {}
FRONTS: list[Front] = []


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLICKHOUSE_VARIABLE, PASSWORD)


@pytest.fixture(scope="module", autouse=True)
def fronts() -> Iterator[None]:
    """Stop the server that the first test of a `StoreOnServer` started."""
    yield
    while FRONTS:
        FRONTS.pop().stop()


def database_of(folder: Path) -> ClickHouse:
    """The database that stands for a folder."""
    if not FRONTS:
        FRONTS.append(Front(folder / "front"))
    if folder not in DATABASES:
        DATABASES[folder] = FRONTS[0].config
    return DATABASES[folder]


def read_server(folder: Path, make: Any) -> list[str]:
    return rows_of(open_store(database_of(folder), folder))


def read_store(folder: Path, make: Any) -> list[str]:
    return rows_of(Store(folder / "store"))


def rows_of(store: Store) -> list[str]:
    try:
        rows = []
        for table, key in (
            ("incidents", "concat(incident, '/', toString(version)) AS key FROM incidents FINAL ORDER BY at, incident"),
            ("pushes", "push AS key FROM pushes FINAL ORDER BY push"),
            ("events", "id AS key FROM events FINAL ORDER BY ts, id"),
            ("deadletters", "concat(source, '/', toString(position)) FROM deadletters FINAL ORDER BY position, source"),
            ("trends", "item FROM trends FINAL ORDER BY item"),
            ("rollups", "toString(bin_start) FROM rollups FINAL ORDER BY bin_start"),
            ("tallies", "toString(read) FROM tallies FINAL"),
        ):
            rows += [f"{table}:{row[0]}" for row in store.select("SELECT " + key)]
        return rows
    finally:
        store.close()


def read_queue(folder: Path, make: Any) -> list[str]:
    queue = PushQueue(folder / "push.sqlite3", make.zone)
    try:
        return [f"{change.record.push}/{change.record.state}" for change in queue.changes()]
    finally:
        queue.close()


GRAFANAS: dict[Path, StrictGrafana] = {}


def grafana_of(folder: Path) -> StrictGrafana:
    """The Grafana that stands for a folder, started with its first use."""
    if folder not in GRAFANAS:
        GRAFANAS[folder] = StrictGrafana()
        GRAFANAS[folder].start()
    return GRAFANAS[folder]


@pytest.fixture(autouse=True)
def grafanas() -> Iterator[None]:
    """Stop what a test started."""
    yield
    while GRAFANAS:
        GRAFANAS.popitem()[1].stop()


def open_annotations(folder: Path, make: Any) -> Annotations:
    token = folder / "grafana.token"
    token.write_text(ADMIN)
    return Annotations(GrafanaPort(Grafana(url=grafana_of(folder).url, token_file=str(token))), threaded=False)


def read_annotations(folder: Path, make: Any) -> list[str]:
    return [f"{note['tags'][1]}/{note['timeEnd']}" for note in grafana_of(folder).notes.values()]


KINDS: dict[type, Kind] = {
    Annotations: Kind(open_annotations, read_annotations, lambda folder: grafana_of(folder).url),
    JsonLines: Kind(lambda folder, make: JsonLines(folder, make.zone), read_files),
    Store: Kind(lambda folder, make: Store(folder / "store"), read_store),
    StoreOnServer: Kind(
        lambda folder, make: open_store(database_of(folder), folder),
        read_server,
        lambda folder: database_of(folder).database,
    ),
    PushQueue: Kind(lambda folder, make: PushQueue(folder / "push.sqlite3", make.zone), read_queue),
}


def every_sink() -> list[type]:
    """Classes of the room that have the three verbs of a sink."""
    found = []
    for module_info in pkgutil.walk_packages(sinks.__path__, "sinks."):
        module = importlib.import_module(module_info.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            if (
                value.__module__ == module.__name__
                and not getattr(value, "_is_protocol", False)
                and hasattr(value, "write")
            ):
                found.append(value)
    return sorted(found, key=lambda value: value.__name__)


SINKS = every_sink()
contract = pytest.mark.parametrize("sink_class", [*SINKS, StoreOnServer], ids=lambda value: value.__name__)


def test_every_sink_of_the_room_is_under_the_contract() -> None:
    assert len(SINKS) == 4
    assert {*SINKS, StoreOnServer} == set(KINDS)


@contract
def test_rows_are_kept_in_the_order_given(sink_class: type, tmp_path: Path, make: Any) -> None:
    kind = KINDS[sink_class]
    sink = kind.open(tmp_path, make)
    for outcome in make.outcomes():
        sink.write(outcome)
    sink.close()
    held = kind.read(tmp_path, make)
    if sink_class is JsonLines:
        assert held[:6] == [f"incidents:{name}/{version}" for version in (1, 2, 3) for name in ("i2", "i1")]
        assert held[6:12] == [f"pushes:p{step}{letter}/proposed" for step in range(3) for letter in "ba"]
    elif sink_class is PushQueue:
        assert held == [f"p{step}{letter}/proposed" for step in range(3) for letter in "ba"]
    elif sink_class is Annotations:
        assert held == [f"incident:{name}/{make.start + 10 * MINUTE_MS}" for name in ("i2", "i1")]
    else:
        events = [row for row in held if row.startswith("events:")]
        assert events == sorted(events)
        assert len(events) == 15


@contract
def test_the_same_outcomes_given_again_write_nothing_twice(sink_class: type, tmp_path: Path, make: Any) -> None:
    kind = KINDS[sink_class]
    once, again = tmp_path / "once", tmp_path / "again"
    for folder, order in ((once, (0, 1, 2)), (again, (0, 0, 1, 0, 1, 2, 2))):
        folder.mkdir()
        sink = kind.open(folder, make)
        for step in order:
            sink.write(make.outcomes()[step])
        sink.close()
    assert kind.read(again, make) == kind.read(once, make)


@contract
def test_a_retry_after_reopening_writes_nothing_twice(sink_class: type, tmp_path: Path, make: Any) -> None:
    kind = KINDS[sink_class]
    for order in ((0, 1), (1, 2)):
        sink = kind.open(tmp_path, make)
        for step in order:
            sink.write(make.outcomes()[step])
        sink.close()
    held = kind.read(tmp_path, make)
    assert len(held) == len(set(held))
    whole = tmp_path / "whole"
    whole.mkdir()
    sink = kind.open(whole, make)
    for outcome in make.outcomes():
        sink.write(outcome)
    sink.close()
    assert held == kind.read(whole, make)


@contract
def test_what_was_flushed_is_there_before_close(sink_class: type, tmp_path: Path, make: Any) -> None:
    kind = KINDS[sink_class]
    sink = kind.open(tmp_path, make)
    sink.write(make.outcomes()[0])
    sink.flush()
    if issubclass(sink_class, Store):
        assert sink._engine.select("SELECT count() FROM events FINAL") == [(5,)]
    else:
        assert kind.read(tmp_path, make)
    sink.close()


@contract
def test_close_twice_is_close_once(sink_class: type, tmp_path: Path, make: Any) -> None:
    sink = KINDS[sink_class].open(tmp_path, make)
    sink.write(make.outcomes()[0])
    sink.close()
    held = KINDS[sink_class].read(tmp_path, make)
    sink.close()
    assert KINDS[sink_class].read(tmp_path, make) == held


@contract
def test_write_after_close_says_so_and_where(sink_class: type, tmp_path: Path, make: Any) -> None:
    sink = KINDS[sink_class].open(tmp_path, make)
    sink.close()
    with pytest.raises(StoreError, match="is closed") as error:
        sink.write(make.outcomes()[0])
    assert KINDS[sink_class].where(tmp_path) in str(error.value)
