"""The ClickHouse store on the real engine: retries, reads, migrations, retention, and who owns the folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.clock import MINUTE_MS
from qianshao.config import ClickHouse
from qianshao.errors import StoreError
from qianshao.outcome import Outcome, Tally
from qianshao.series import Series
from sinks import queries
from sinks.clickhouse import Store, pending_migrations
from sinks.clickhouse_schema import KEPT_FOR_A_WHILE, MIGRATIONS

LISTS = ("counted", "late", "deadletters", "rollups", "incidents", "pushes", "trends", "tallies", "actions", "pulses")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


def answers(store: Store, make: Any) -> list[object]:
    """Everything that the page and the scoring can ask."""
    columns = queries.events(store)
    end = make.start + 60 * MINUTE_MS
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
        store.select("SELECT count() FROM trends FINAL"),
        store.select("SELECT * EXCEPT stored_on FROM actions FINAL ORDER BY id"),
        store.select("SELECT * EXCEPT stored_on FROM pulses FINAL ORDER BY at, source"),
        store.select("SELECT count() FROM events FINAL WHERE late"),
    ]


def test_any_split_and_any_repetition_of_outcomes_gives_the_same_answers(store: Store, make: Any) -> None:
    whole = make.outcomes()
    for outcome in whole:
        store.write(outcome)
    expected = answers(store, make)

    # One store emptied per example: opening one each time would be the whole cost.
    @settings(max_examples=15, deadline=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        for table in (*KEPT_FOR_A_WHILE, "tallies"):
            store._engine.command(f"TRUNCATE TABLE {table}")
        parts = []
        for outcome in whole:
            cut = data.draw(st.integers(0, 4), label="cut")
            for piece in (slice(0, cut), slice(cut, None)):
                lists = {name: getattr(outcome, name)[piece] for name in LISTS}
                parts.append(Outcome(sequence=len(parts), watermark=outcome.watermark, **lists))
        repeats = data.draw(st.lists(st.sampled_from(parts), max_size=6), label="repeats")
        for outcome in data.draw(st.permutations(parts + repeats), label="order"):
            store.write(outcome)
            if data.draw(st.booleans(), label="flush"):
                store.flush()
        assert answers(store, make) == expected

    check()


def test_a_tally_given_late_does_not_undo_a_newer_one(store: Store) -> None:
    for read in (5, 9, 5):
        store.write(Outcome(sequence=0, watermark=0, tallies=[Tally(source="a", read=read, counted=read)]))
        store.flush()
    assert queries.tallies(store) == [Tally(source="a", read=9, counted=9)]


def test_a_reopened_bin_replaces_the_one_before(store: Store, make: Any) -> None:
    for watermark, customers in ((1, 9), (2, 11), (1, 9)):
        rollup = make.rollup(0, customers=customers)
        store.write(Outcome(sequence=0, watermark=watermark, rollups=[rollup]))
        store.flush()
    assert [bin_.customers for bin_ in queries.volumes(store, make.start, make.start + 1)] == [11]


def test_volumes_join_small_bins_and_keep_lines_apart(store: Store, make: Any) -> None:
    line = Series("contacts", "all", (("line", "生鲜"),))
    deeper = Series("contacts", "all", (("line", "生鲜"), ("product", "草莓")))
    rollups = [make.rollup(minute, bin_ms=MINUTE_MS, customers=2, low=1.0) for minute in range(7)]
    rollups += [make.rollup(0, series=line, customers=5), make.rollup(0, series=deeper, customers=4)]
    store.write(Outcome(sequence=0, watermark=1, rollups=rollups))
    end = make.start + 10 * MINUTE_MS
    everything = queries.volumes(store, make.start, end)
    assert [(v.bin_start - make.start, v.customers, v.low) for v in everything] == [(0, 10, 5.0), (300_000, 4, 2.0)]
    assert [v.customers for v in queries.volumes(store, make.start, end, "生鲜")] == [5]
    assert queries.volumes(store, make.start, end, "没有") == []
    assert queries.lines(store) == ["生鲜"]


def test_topics_are_listed_by_their_excess(store: Store, make: Any) -> None:
    rollups = [
        make.rollup(minute, series=Series("topic", topic, ()), customers=customers, expected=expected)
        for minute in (0, 5)
        for topic, customers, expected in (("物流", 20, 19.0), ("设备离线", 9, 1.0), ("退款", 2, 3.0))
    ]
    store.write(Outcome(sequence=0, watermark=1, rollups=rollups))
    listed = queries.topic_volumes(store, make.start, make.start + 5 * MINUTE_MS)
    assert [(topic.topic, topic.customers, topic.expected) for topic in listed] == [
        ("设备离线", 9, 1.0),
        ("物流", 20, 19.0),
        ("退款", 2, 3.0),
    ]


def test_incidents_come_back_whole_and_newest_first(store: Store, make: Any) -> None:
    watch = make.incident("w", 1, 30, status="watching", opened_at=None, change="watched")
    changes = [make.incident("a", 1, 5), make.incident("b", 1, 7), make.incident("a", 2, 9), watch]
    store.write(Outcome(sequence=0, watermark=1, incidents=changes))
    assert queries.newest_incidents(store) == [changes[3], changes[2], changes[1]]
    assert queries.newest_incidents(store, 1, reported=True) == [changes[2]]
    assert queries.incident_history(store, "a") == [changes[0], changes[2]]
    assert queries.incident_history(store, "none") == []


def test_a_push_counts_in_its_latest_state(store: Store, make: Any) -> None:
    pushes = [
        make.push("p1"),
        make.push("p2"),
        make.push("p1", state="cancelled", at=make.at(9)),
        make.push("p3", state="approved"),
        make.push("p3", state="proposed"),
    ]
    store.write(Outcome(sequence=0, watermark=1, pushes=pushes))
    assert queries.push_states(store) == {"proposed": 1, "approved": 1, "cancelled": 1}


def test_events_come_as_columns_in_order_without_late_ones(store: Store, make: Any) -> None:
    same_time = [make.observation(2, ts=make.start, id="b"), make.observation(1, ts=make.start, id="a", terms=())]
    later = make.observation(3, code="E207", customer=2**64 - 1, line=None)
    store.write(Outcome(sequence=0, watermark=1, counted=[later, *same_time], late=[make.observation(4)]))
    columns = queries.events(store)
    assert columns.id.tolist() == ["a", "b", "e0003"]
    assert columns.ts.dtype == np.int64
    assert columns.ts.tolist() == [make.start, make.start, make.start + 3000]
    assert columns.customer.tolist()[2] == 2**64 - 1
    assert columns.terms.tolist() == [(), ("离线",), ("离线",)]
    assert (columns.line[2], columns.code[2]) == ("", "E207")


def test_an_empty_store_answers_everything_with_nothing(store: Store, make: Any) -> None:
    assert answers(store, make) == [[[]] * 6, [], [], [], [], [], [], {}, {}, [(0,)], [], [], [(0,)]]


def test_every_field_of_an_event_is_stored(store: Store, make: Any) -> None:
    event = make.observation(1)
    store.write(Outcome(sequence=0, watermark=1, counted=[event]))
    inner = ("tokens", "identifiers", "meaning", "trouble", "ts")  # words, links and meanings are for the flow alone
    names = [name for name in event.__struct_fields__ if name not in inner]
    row = dict(zip(names, store.select(f"SELECT {', '.join(names)} FROM events FINAL")[0], strict=True))
    for name in names:
        expected = getattr(event, name)
        assert row[name] == ("" if expected is None else list(expected) if name == "terms" else expected), name


def test_rows_wait_for_company_or_for_two_seconds(tmp_path: Path, make: Any) -> None:
    now = [0.0]
    store = Store(tmp_path / "store", clock=lambda: now[0])

    def stored() -> object:
        return store._engine.select("SELECT count() FROM events")[0][0]

    store.write(Outcome(sequence=0, watermark=1, counted=[make.observation(1)]))
    now[0] = 1.9
    store.write(Outcome(sequence=1, watermark=1, counted=[make.observation(2)]))
    assert stored() == 0
    now[0] = 2.0
    store.write(Outcome(sequence=2, watermark=1))
    assert stored() == 2
    store.write(Outcome(sequence=3, watermark=1, counted=[make.observation(number) for number in range(10_000)]))
    assert stored() == 10_002
    store.close()


def test_reading_cannot_change_the_store(store: Store, make: Any) -> None:
    store.write(make.outcomes()[0])
    for statement in (
        "DROP TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
    ):
        with pytest.raises(StoreError, match=r"cannot answer.*readonly"):
            store.select(statement)
    assert len(queries.events(store).id) == 4


def test_a_new_path_lists_every_migration_and_is_not_made(tmp_path: Path) -> None:
    assert pending_migrations(ClickHouse(), tmp_path / "store") == list(MIGRATIONS)
    assert not (tmp_path / "store").exists()


def test_an_opened_store_has_no_migration_pending(tmp_path: Path) -> None:
    Store(tmp_path / "store").close()
    assert pending_migrations(ClickHouse(), tmp_path / "store") == []


def test_an_interrupted_migration_starts_over(tmp_path: Path, make: Any) -> None:
    store = Store(tmp_path / "store")
    store.write(make.outcomes()[0])
    store.flush()
    store._engine.command("TRUNCATE TABLE schema_version")
    store._engine.command("DROP TABLE tallies")
    store.close()
    assert pending_migrations(ClickHouse(), tmp_path / "store") == list(MIGRATIONS)
    store = Store(tmp_path / "store")
    assert len(queries.events(store).id) == 4
    assert queries.tallies(store) == []
    store.close()


def test_a_store_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store._engine.insert("schema_version", {"version": [99], "name": ["from the future"]})
    store.close()
    with pytest.raises(StoreError, match=r"version 99, newer than this program's"):
        Store(tmp_path / "store")


def test_rows_are_forgotten_by_the_day_of_storing_not_by_event_time(tmp_path: Path, make: Any) -> None:
    store = Store(tmp_path / "store", retention_days=30)
    old_log = make.observation(1, ts=make.start - 3650 * 86_400_000)
    store.write(Outcome(sequence=0, watermark=1, counted=[old_log]))
    store.flush()
    store._engine.command(
        "INSERT INTO events (id, ts, stored_on) VALUES ('expired', '2025-12-11 00:00:00', today() - 31)"
    )
    store._engine.command("OPTIMIZE TABLE events FINAL")
    assert queries.events(store).id.tolist() == [old_log.id]
    store.close()


def test_a_changed_retention_reaches_every_table_at_the_next_opening(tmp_path: Path) -> None:
    Store(tmp_path / "store", retention_days=30).close()
    store = Store(tmp_path / "store", retention_days=7)
    kept = store.select("SELECT name FROM system.tables WHERE engine_full LIKE '%toIntervalDay(7)%' ORDER BY name")
    assert [row[0] for row in kept] == sorted(KEPT_FOR_A_WHILE)
    store.close()


def test_a_second_opening_of_a_folder_is_refused_in_words(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is open elsewhere"):
        Store(tmp_path / "store")
    program = f"from pathlib import Path; from sinks.clickhouse import Store; Store(Path({str(tmp_path / 'store')!r}))"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "it is open elsewhere; one process owns a store" in other.stderr


KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from qianshao.outcome import Outcome
from sinks.clickhouse import Store
store = Store(Path(sys.argv[1]))
outcomes = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[Outcome])
store.write(outcomes[0])
store.flush()
store.write(outcomes[1])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_flushed_survives_a_kill_and_the_retry_adds_nothing(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "store"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], input=msgspec.msgpack.encode(make.outcomes()), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    store = Store(path)
    assert queries.events(store).id.tolist() == [event.id for event in make.outcomes()[0].counted]
    for outcome in make.outcomes():
        store.write(outcome)
    assert store.select("SELECT count(), uniqExact(id) FROM events FINAL") == [(15, 15)]
    assert [tally.read for tally in queries.tallies(store)] == [18]
    store.close()


def test_one_thread_reads_while_another_writes(store: Store, make: Any) -> None:
    def write() -> None:
        for number in range(50):
            store.write(Outcome(sequence=number, watermark=1, counted=[make.observation(number)]))

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(write)
        lengths = [len(queries.events(store).id) for _ in range(5)]
        writing.result()
    assert lengths == sorted(lengths)
    assert len(queries.events(store).id) == 50


def test_one_process_opens_one_store_at_a_time_and_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="this process has another store open"):
        Store(tmp_path / "another")


def test_a_path_that_cannot_be_a_store_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a store")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file")


def test_inserts_wait_for_the_engine(store: Store) -> None:
    held = store.select("SELECT value FROM system.settings WHERE name = 'async_insert'")
    assert held == [("0",)]


def test_rows_that_could_not_be_inserted_are_kept_for_the_next_flush(store: Store, make: Any) -> None:
    store._engine.command("RENAME TABLE pushes TO elsewhere")
    store.write(make.outcomes()[0])
    with pytest.raises(StoreError, match="cannot take rows of pushes"):
        store.flush()
    store._engine.command("RENAME TABLE elsewhere TO pushes")
    store.flush()
    assert queries.push_states(store) == {"proposed": 2}
    assert len(queries.newest_incidents(store)) == 2
