"""Tables of the ClickHouse store: numbered migrations, their version table, and retention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from qianshao.errors import StoreError
from sinks.batch import Columns


class Statements(Protocol):
    """The three things that a migration asks of a store."""

    def command(self, statement: str) -> None:
        """Run one statement that changes something."""
        ...

    def insert(self, table: str, columns: Columns) -> None:
        """Add rows."""
        ...

    def select(self, sql: str) -> Sequence[tuple[object, ...]]:
        """Read rows."""
        ...


class Migration(NamedTuple):
    """One step of the schema. Statements can be run again: a step that was interrupted starts over."""

    version: int
    name: str
    statements: tuple[str, ...]


_COUNTS = "bin_start, value, series, bin_ms, dims, messages, customers, expected, low, high, learning, watermark"


# Every table is a ReplacingMergeTree whose sorting key is the row's idempotency key, and is read with FINAL: a retry,
# even one cut into other batches, replaces and never adds. Where one key may come again with other values (a bin that
# late events reopened, a tally that grew) the version column says which is newest, whatever the order of arrival.
# `stored_on` serves retention only: counted from the day of storing, so that replaying an old log does not store
# rows that are expired already. No query reads it.
#
# Others read the views, which are these tables without their repeated rows: `volumes` for counts (name a measure and a
# level: the levels of one measure count the same customers again, so they are never added), `counted_events`,
# `newest_incidents`, `incident_changes`, `newest_pushes`, `daily_trends`, `dead_records`, `accounts`,
# `pipeline_pulses`, `decisions`.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        "events, rollups, incidents, pushes, trends, dead letters, tallies",
        (
            """
            CREATE TABLE IF NOT EXISTS events (
                id String,
                ts DateTime64(3, 'UTC'),
                kind LowCardinality(String),
                channel LowCardinality(String),
                line LowCardinality(String),
                product LowCardinality(String),
                model LowCardinality(String),
                firmware LowCardinality(String),
                region LowCardinality(String),
                dims Map(LowCardinality(String), String),
                customer UInt64,
                device UInt64,
                conversation UInt64,
                role LowCardinality(String),
                text String,
                topic LowCardinality(String),
                topic_confidence Float32,
                sentiment Float32,
                terms Array(LowCardinality(String)),
                danger LowCardinality(String),
                type LowCardinality(String),
                status LowCardinality(String),
                level LowCardinality(String),
                code LowCardinality(String),
                template String,
                score Int32,
                metrics Map(LowCardinality(String), Float64),
                extra String,
                late Bool,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY (ts, id)
            """,
            """
            CREATE TABLE IF NOT EXISTS rollups (
                series String,
                measure LowCardinality(String),
                value String,
                dims Map(LowCardinality(String), String),
                bin_start DateTime64(3, 'UTC'),
                bin_ms UInt32,
                messages UInt64,
                customers UInt64,
                expected Float64,
                low Float64,
                high Float64,
                learning Bool,
                watermark UInt64,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree(watermark) ORDER BY (series, bin_ms, bin_start)
            """,
            """
            CREATE TABLE IF NOT EXISTS incidents (
                incident String,
                version UInt32,
                change LowCardinality(String),
                status LowCardinality(String),
                reason LowCardinality(String),
                at DateTime64(3, 'UTC'),
                opened_at Nullable(DateTime64(3, 'UTC')),
                first_seen DateTime64(3, 'UTC'),
                severity LowCardinality(String),
                title String,
                topic LowCardinality(String),
                customers UInt32,
                record String,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY (incident, version)
            """,
            """
            CREATE VIEW IF NOT EXISTS newest_incidents AS
            SELECT * FROM incidents FINAL ORDER BY incident, version DESC LIMIT 1 BY incident
            """,
            """
            CREATE TABLE IF NOT EXISTS pushes (
                push String,
                state LowCardinality(String),
                incident String,
                customer String,
                priority Int32,
                reason LowCardinality(String),
                at DateTime64(3, 'UTC'),
                record String,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY (push, state)
            """,
            """
            CREATE TABLE IF NOT EXISTS trends (
                item String,
                date Date,
                line LowCardinality(String),
                product LowCardinality(String),
                topic LowCardinality(String),
                customers UInt32,
                expected Float64,
                change Float64,
                state LowCardinality(String),
                record String,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY item
            """,
            """
            CREATE TABLE IF NOT EXISTS deadletters (
                source String,
                position UInt64,
                reason LowCardinality(String),
                excerpt String,
                kind LowCardinality(String),
                at DateTime64(3, 'UTC'),
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY (source, position)
            """,
            """
            CREATE TABLE IF NOT EXISTS tallies (
                source String,
                read UInt64,
                counted UInt64,
                late UInt64,
                dead UInt64,
                duplicate UInt64,
                dropped UInt64
            ) ENGINE = ReplacingMergeTree(read) ORDER BY source
            """,
        ),
    ),
    Migration(
        2,
        "lost records, pulses of the pipeline, people's actions",
        (
            "ALTER TABLE tallies ADD COLUMN IF NOT EXISTS lost UInt64",
            """
            CREATE TABLE IF NOT EXISTS pulses (
                at DateTime64(3, 'UTC'),
                source LowCardinality(String),
                read UInt64,
                dead UInt64,
                late UInt64,
                duplicate UInt64,
                lost UInt64,
                waiting UInt64,
                frontier DateTime64(3, 'UTC'),
                watermark DateTime64(3, 'UTC'),
                cpu_seconds Float64,
                memory_bytes UInt64,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY (at, source)
            """,
            """
            CREATE TABLE IF NOT EXISTS actions (
                id String,
                action LowCardinality(String),
                incident String,
                by String,
                at DateTime64(3, 'UTC'),
                state LowCardinality(String),
                detail LowCardinality(String),
                tick DateTime64(3, 'UTC'),
                record String,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree ORDER BY id
            """,
        ),
    ),
    Migration(
        3,
        "counts ordered as they are read, views for those who read",
        (
            # A board asks for one measure at one level (everybody, by line, by line and product …) over some time:
            # that is one contiguous range here. By series, as before, the same questions read everything. A month that
            # is over becomes one part, which FINAL reads as fast as any table.
            "DROP TABLE IF EXISTS rollups_by_level",
            """
            CREATE TABLE rollups_by_level (
                measure LowCardinality(String),
                level LowCardinality(String),
                bin_start DateTime64(3, 'UTC'),
                value String,
                series String,
                bin_ms UInt32,
                dims Map(LowCardinality(String), String),
                messages UInt64,
                customers UInt64,
                expected Float64,
                low Float64,
                high Float64,
                learning Bool,
                watermark UInt64,
                stored_on Date DEFAULT today()
            ) ENGINE = ReplacingMergeTree(watermark)
            PARTITION BY toYYYYMM(bin_start) ORDER BY (measure, level, bin_start, value, series, bin_ms)
            SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1
            """,
            # Copied and exchanged, so that this step can start over wherever it was interrupted.
            f"""
            INSERT INTO rollups_by_level (measure, level, {_COUNTS}, stored_on)
            SELECT measure, arrayStringConcat(mapKeys(dims), ','), {_COUNTS}, stored_on FROM rollups FINAL
            """,  # noqa: S608 - nothing in it comes from outside
            "EXCHANGE TABLES rollups_by_level AND rollups",
            "DROP TABLE rollups_by_level",
            """
            CREATE VIEW IF NOT EXISTS volumes AS
            SELECT measure, level, value, dims['line'] AS line, dims['product'] AS product, dims['channel'] AS channel,
                   bin_start, bin_ms, messages, customers, expected, low, high, learning
            FROM rollups FINAL
            """,
            """
            CREATE VIEW IF NOT EXISTS counted_events AS
            SELECT * EXCEPT (stored_on, late) FROM events FINAL WHERE NOT late
            """,
            "CREATE VIEW IF NOT EXISTS incident_changes AS SELECT * EXCEPT stored_on FROM incidents FINAL",
            """
            CREATE VIEW IF NOT EXISTS newest_pushes AS
            SELECT * EXCEPT stored_on FROM pushes FINAL
            ORDER BY push, at DESC, indexOf(
                ['proposed', 'approved', 'queued', 'leased', 'delivered', 'failed', 'cancelled', 'expired'], state
            ) DESC
            LIMIT 1 BY push
            """,
            "CREATE VIEW IF NOT EXISTS daily_trends AS SELECT * EXCEPT stored_on FROM trends FINAL",
            "CREATE VIEW IF NOT EXISTS dead_records AS SELECT * EXCEPT stored_on FROM deadletters FINAL",
            "CREATE VIEW IF NOT EXISTS accounts AS SELECT * FROM tallies FINAL",
            "CREATE VIEW IF NOT EXISTS pipeline_pulses AS SELECT * EXCEPT stored_on FROM pulses FINAL",
            "CREATE VIEW IF NOT EXISTS decisions AS SELECT * EXCEPT stored_on FROM actions FINAL",
        ),
    ),
    Migration(
        4,
        "customers' own spelling, and the ticket type that their words would be given",
        (
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS shown String AFTER text",
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS guess LowCardinality(String) AFTER danger",
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS guess_confidence Float32 AFTER guess",
            """
            CREATE OR REPLACE VIEW counted_events AS
            SELECT * EXCEPT (stored_on, late) FROM events FINAL WHERE NOT late
            """,
        ),
    ),
    Migration(
        5,
        "the fault that is meant, finer than the topic, and the ticket by which people correct it",
        (
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS ticket UInt64 AFTER conversation",
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS theme LowCardinality(String) AFTER guess_confidence",
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS theme_confidence Float32 AFTER theme",
            """
            CREATE OR REPLACE VIEW counted_events AS
            SELECT * EXCEPT (stored_on, late) FROM events FINAL WHERE NOT late
            """,
        ),
    ),
)

KEPT_FOR_A_WHILE = ("events", "rollups", "incidents", "pushes", "trends", "deadletters", "pulses", "actions")
"""Tables under retention; tallies are one row per source and stay."""

_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_version (version UInt32, name String)
ENGINE = ReplacingMergeTree ORDER BY version
"""


def pending(store: Statements) -> list[Migration]:
    """Return the migrations that `store` has not seen, in order, without changing it: the dry run.

    Raises
    ------
    StoreError
        If the store was written by a newer version of the schema than this one knows.
    """
    known = store.select(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_version'"
    )
    if known[0][0] == 0:
        return list(MIGRATIONS)
    versions = {row[0] for row in store.select("SELECT DISTINCT version FROM schema_version")}
    foreign = sorted(str(version) for version in versions - {migration.version for migration in MIGRATIONS})
    if foreign:
        raise StoreError(
            f"the store's schema holds version {', '.join(foreign)}, newer than this program's "
            f"{MIGRATIONS[-1].version}; upgrade qianshao or name another clickhouse.path"
        )
    return [migration for migration in MIGRATIONS if migration.version not in versions]


def migrate(store: Statements) -> list[Migration]:
    """Run what is pending and note each step after its last statement; return what was run."""
    steps = pending(store)
    if steps:
        store.command(_VERSIONS)
    for step in steps:
        for statement in step.statements:
            store.command(statement)
        store.insert("schema_version", {"version": [step.version], "name": [step.name]})
    return steps


def apply_retention(store: Statements, retention_days: int) -> None:
    """Let the engine forget rows `retention_days` after they were stored; asks nothing of tables that do so already."""
    rule = f"TTL stored_on + toIntervalDay({retention_days}) "
    engines = {
        row[0]: str(row[1])
        for row in store.select("SELECT name, engine_full || ' ' FROM system.tables WHERE database = currentDatabase()")
    }
    for table in KEPT_FOR_A_WHILE:
        if rule not in engines[table]:
            store.command(f"ALTER TABLE {table} MODIFY TTL stored_on + toIntervalDay({retention_days})")
