"""The store on a server: the same answers as embedded, over HTTP, whatever the server does meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clickhouse_server import PASSWORD, Front, new_database

from qianshao.clock import MINUTE_MS
from qianshao.config import CLICKHOUSE_VARIABLE, ClickHouse
from qianshao.errors import AccessError, ConfigError, StoreError, UnavailableError
from qianshao.outcome import Outcome
from sinks import queries
from sinks.clickhouse import Store, open_store, pending_migrations
from sinks.clickhouse_schema import KEPT_FOR_A_WHILE, MIGRATIONS
from sinks.examination import examine

NOWHERE = Path("/nonexistent/never-used")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    front = Front(tmp_path_factory.mktemp("front") / "store")
    yield front
    front.stop()


@pytest.fixture
def config(front: Front, monkeypatch: pytest.MonkeyPatch) -> ClickHouse:
    """A new database on a real server where QIANSHAO_CLICKHOUSE_URL names one, else on ours."""
    if url := os.environ.get("QIANSHAO_CLICKHOUSE_URL"):
        return ClickHouse(url=url, database=new_database(), user=os.environ.get("QIANSHAO_CLICKHOUSE_USER", "default"))
    monkeypatch.setenv(CLICKHOUSE_VARIABLE, PASSWORD)
    return front.config


@pytest.fixture
def ours(front: Front, monkeypatch: pytest.MonkeyPatch) -> ClickHouse:
    """A new database on our own server."""
    monkeypatch.setenv(CLICKHOUSE_VARIABLE, PASSWORD)
    return front.config


def answers(store: Store, make: Any) -> list[object]:
    end = make.start + 60 * MINUTE_MS
    columns = queries.events(store)
    return [
        [list(getattr(columns, name)) for name in ("id", "ts", "terms", "customer", "type", "role")],
        queries.newest_incidents(store),
        queries.incident_history(store, "i1"),
        queries.lines(store),
        queries.volumes(store, make.start, end),
        queries.topic_volumes(store, make.start, end),
        queries.tallies(store),
        queries.push_states(store),
        queries.deadletters_by_reason(store),
        *(list(store.select(f"SELECT * FROM {view} ORDER BY ALL")) for view in ("pipeline_pulses", "decisions")),
        list(store.select("SELECT * EXCEPT stored_on FROM events FINAL ORDER BY id")),
    ]


def test_a_server_gives_the_answers_of_the_embedded_engine_also_after_retries(
    config: ClickHouse, tmp_path: Path, make: Any
) -> None:
    embedded = Store(tmp_path / "store")
    server = open_store(config, NOWHERE)
    for outcome in make.outcomes():
        embedded.write(outcome)
        server.write(outcome)
    expected = answers(embedded, make)
    embedded.close()
    assert answers(server, make) == expected
    for outcome in reversed(make.outcomes()):
        server.write(outcome)
        server.flush()
    assert answers(server, make) == expected
    server.close()


def test_closing_flushes_may_be_repeated_and_ends_the_store(config: ClickHouse, make: Any) -> None:
    store = open_store(config, NOWHERE)
    store.write(make.outcomes()[0])
    store.close()
    store.close()
    with pytest.raises(StoreError, match=r"is closed") as error:
        store.write(make.outcomes()[1])
    assert config.database in str(error.value)
    again = open_store(config, NOWHERE)
    assert len(queries.events(again).id) == 4
    again.close()


def test_reading_cannot_change_a_server(config: ClickHouse) -> None:
    store = open_store(config, NOWHERE)
    with pytest.raises(StoreError, match=r"cannot answer.*READONLY"):
        store.select("DROP TABLE events")
    store.close()


def test_migrations_are_listed_first_and_run_once_and_retention_reaches_every_table(config: ClickHouse) -> None:
    assert pending_migrations(config, NOWHERE) == list(MIGRATIONS)
    assert pending_migrations(config, NOWHERE) == list(MIGRATIONS), "listing made something"
    store = open_store(msgspec.structs.replace(config, retention_days=7), NOWHERE)
    kept = store.select(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine_full LIKE '%toIntervalDay(7)%'"
    )
    assert {row[0] for row in kept} == set(KEPT_FOR_A_WHILE)
    store.close()
    assert pending_migrations(config, NOWHERE) == []


def test_inserts_wait_for_the_server_and_come_in_columns(front: Front, ours: ClickHouse, make: Any) -> None:
    store = open_store(ours, NOWHERE)
    before = len(front.inserts())
    store.write(Outcome(sequence=0, watermark=1, counted=[make.observation(number) for number in range(500)]))
    store.close()
    (insert,) = front.inserts()[before:]
    assert (insert["async_insert"], insert["database"]) == ("0", ours.database)


def test_rows_wait_for_a_server_that_went_away_and_are_written_once(front: Front, ours: ClickHouse, make: Any) -> None:
    store = open_store(ours, NOWHERE)
    store.write(make.outcomes()[0])
    store.flush()
    front.stop()
    store.write(make.outcomes()[1])
    for _ in range(2):
        with pytest.raises(UnavailableError, match="cannot take rows") as error:
            store.flush()
        assert error.value.retryable
        assert PASSWORD not in str(error.value)
    front.start()
    store.write(make.outcomes()[2])
    assert store.select("SELECT count(), uniqExact(id) FROM events") == [(15, 15)]
    assert len(queries.incident_history(store, "i1")) == 3
    store.close()


def test_a_server_that_is_not_there_can_be_tried_again(ours: ClickHouse) -> None:
    gone = msgspec.structs.replace(ours, url="http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:1 database"):
        open_store(gone, NOWHERE)
    (found,) = examine(gone, NOWHERE)
    assert found.ok is False


def test_a_refused_password_is_named_but_never_shown(
    front: Front, ours: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLICKHOUSE_VARIABLE, "planted-secret")
    with pytest.raises(AccessError, match=r"check clickhouse\.user") as error:
        open_store(ours, NOWHERE)
    assert "planted-secret" not in str(error.value)
    assert [(each.part, each.ok) for each in examine(ours, NOWHERE)] == [
        ("ClickHouse server", True),
        ("ClickHouse user", False),
    ]


def test_a_server_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLICKHOUSE_VARIABLE, PASSWORD)
    old = Front(tmp_path / "old", "23.8.1.1")
    try:
        with pytest.raises(StoreError, match=r"version 23\.8\.1\.1; 24\.3 or newer is needed"):
            open_store(old.config, NOWHERE)
    finally:
        old.stop()


def test_the_examination_sees_a_missing_database_and_pending_migrations(config: ClickHouse) -> None:
    before = {each.part: each for each in examine(config, NOWHERE)}
    assert before["ClickHouse database"].ok is None
    assert f"{len(MIGRATIONS)} migrations pending" in before["ClickHouse schema"].detail
    open_store(config, NOWHERE).close()
    after = {each.part: each.ok for each in examine(config, NOWHERE)}
    assert (after["ClickHouse database"], after["ClickHouse schema"]) == (True, True)


@pytest.mark.parametrize("url", ["http://me:secret@host:8123", "ftp://host", "http://", "http://host:x", "host:8123"])
def test_a_wrong_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError, match=r"clickhouse\.url") as error:
        open_store(ClickHouse(url=url), NOWHERE)
    assert "secret" not in str(error.value)
