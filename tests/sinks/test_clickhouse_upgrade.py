"""Stores of earlier versions, the users' file, and what the doctor says about a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from qianshao.config import ClickHouse
from qianshao.outcome import Outcome
from qianshao.series import Series
from sinks.clickhouse import Store
from sinks.clickhouse_schema import MIGRATIONS
from sinks.engine import Embedded
from sinks.examination import examine

USERS = Path(__file__).parents[2] / "deploy" / "clickhouse" / "users.sql"


@pytest.mark.parametrize("interrupted_after", range(8))
def test_counts_of_an_earlier_version_are_kept_wherever_the_upgrade_stops(
    interrupted_after: int, tmp_path: Path
) -> None:
    engine = Embedded(tmp_path / "store")
    for statement in (*MIGRATIONS[0].statements, *MIGRATIONS[1].statements):
        engine.command(statement)
    engine.command(
        "CREATE TABLE schema_version (version UInt32, name String) ENGINE = ReplacingMergeTree ORDER BY version"
    )
    engine.insert("schema_version", {"version": [1, 2], "name": ["", ""]})
    engine.command("""
        INSERT INTO rollups (series, measure, value, dims, bin_start, bin_ms, customers, watermark)
        SELECT 'contacts:all|line=a', 'contacts', 'all', map('line', 'a'), toDateTime64('2025-12-11', 3) + number * 300,
               300000, number, 1
        FROM numbers(50) UNION ALL
        SELECT 'topic:x', 'topic', 'x', map(), '2024-01-01', 300000, 7, 1
    """)
    for statement in MIGRATIONS[2].statements[:interrupted_after]:
        engine.command(statement)
    engine.close()
    store = Store(tmp_path / "store")
    rows = store.select("SELECT level, line, count(), sum(customers) FROM volumes GROUP BY level, line ORDER BY level")
    assert rows == [("", "", 1, 7), ("line", "a", 50, 1225)]
    assert store.select("SELECT count() FROM system.tables WHERE name = 'rollups_by_level'") == [(0,)]
    store.close()


def test_an_old_log_may_span_any_number_of_months_in_one_insert(tmp_path: Path, make: Any) -> None:
    store = Store(tmp_path / "store")
    month = 31 * 24 * 60
    rollups = [make.rollup(-number * month, series=Series("contacts", "all", ())) for number in range(150)]
    store.write(Outcome(sequence=0, watermark=1, rollups=rollups))
    assert store.select("SELECT count() FROM volumes") == [(150,)]
    store.close()


def test_every_statement_of_the_users_file_is_understood_by_the_engine(tmp_path: Path) -> None:
    text = re.sub(r"^\s*--.*$", "", USERS.read_text("utf-8"), flags=re.MULTILINE)
    statements = [statement.strip() for statement in text.split(";") if statement.strip()]
    store = Store(tmp_path / "store")
    written = [
        str(store.select("SELECT formatQuerySingleLine({sql:String})", {"sql": each})[0][0]) for each in statements
    ]
    store.close()
    grants = {line.split(" TO ")[1]: line for line in written if line.startswith("GRANT")}
    assert grants.keys() == {"qianshao_writer", "qianshao_reader"}
    assert all(" ON qianshao.* " in line for line in grants.values())
    reader = re.match(r"GRANT (.*) ON ", grants["qianshao_reader"])
    assert reader is not None
    assert all(name.strip().startswith(("SELECT", "SHOW")) for name in reader[1].split(","))


def test_the_doctor_tells_a_new_a_used_and_a_busy_folder_apart(tmp_path: Path) -> None:
    def seen() -> list[tuple[str, bool | None]]:
        return [(each.part, each.ok) for each in examine(ClickHouse(), tmp_path / "state" / "store")]

    assert seen() == [("ClickHouse folder", True), ("ClickHouse schema", None)]
    assert list(tmp_path.iterdir()) == []
    store = Store(tmp_path / "state" / "store")
    assert seen() == [("ClickHouse folder", None), ("ClickHouse schema", None)]
    store.close()
    assert seen() == [("ClickHouse folder", True), ("ClickHouse schema", True)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_the_doctor_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert examine(ClickHouse(), tmp_path / "store")[0].ok is False


def test_the_doctor_names_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    found = examine(ClickHouse(path=str(tmp_path / "store")), tmp_path / "unused")[0]
    assert found.ok is False
    assert "clickhouse.path" in found.detail
