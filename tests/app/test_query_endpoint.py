"""The query port over real HTTP: ClickHouse's own client and Grafana's requests read, nobody writes or reaches out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import httpx
import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.httputil import get_pool_manager

from qianshao.app.query_endpoint import serve_queries
from qianshao.config import ClickHouse
from qianshao.event import Observation
from qianshao.outcome import Outcome, Rollup
from qianshao.series import Series
from sinks.clickhouse import Store

START = 1_765_382_400_000


def observation(number: int) -> Observation:
    return Observation(
        id=f"e{number}", kind="chat", ts=START + number, customer=7, text="门锁离线了'\\\n", topic="设备离线"
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("query") / "store")
    rollup = Rollup(
        series=Series("contacts", "all", ()),
        bin_start=START,
        bin_ms=300_000,
        messages=12,
        customers=9,
        expected=8.0,
        low=3.0,
        high=14.0,
        learning=False,
    )
    store.write(Outcome(sequence=0, watermark=1, counted=[observation(n) for n in range(3)], rollups=[rollup]))
    yield store
    store.close()


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    with serve_queries(store, ClickHouse(query_port=0)) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with connect(address) as client:
        yield client


@contextmanager
def connect(address: str) -> Iterator[Client]:
    pool = get_pool_manager()
    port = httpx.URL(address).port or 0
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, pool_mgr=pool, autogenerate_session_id=False)
    yield client
    client.close()
    pool.clear()


def test_the_official_client_reads_rows_with_parameters_and_chinese(client: Client) -> None:
    assert client.command("SELECT version()") == client.server_version
    rows = client.query(
        "SELECT id, text, ts FROM counted_events "
        "WHERE topic = {topic:String} AND has({ids:Array(String)}, id) ORDER BY id",
        parameters={"topic": "设备离线", "ids": ["e1", "e2"]},
    ).result_rows
    assert [row[:2] for row in rows] == [("e1", "门锁离线了'\\\n"), ("e2", "门锁离线了'\\\n")]
    assert rows[0][2].timestamp() * 1000 == START + 1
    assert client.query("SELECT '引号'' 和 % 号', {x:UInt8}", parameters={"x": 3}).result_rows == [("引号' 和 % 号", 3)]


def test_the_official_client_gets_numpy_arrays_and_streams(client: Client) -> None:
    array = client.query_np("SELECT number AS n, number / 2 AS half FROM numbers(1000)")
    assert array["n"].dtype == np.uint64
    assert float(array["half"][999]) == 499.5
    with client.query_row_block_stream("SELECT number FROM numbers(200000)") as stream:
        assert sum(len(block) for block in stream) == 200_000
    assert client.query("SELECT 1 WHERE 0").result_rows == []


def test_an_error_has_clickhouses_words_and_code(client: Client, address: str) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as error:
        client.query("SELECT * FROM nothing")
    assert error.value.code == 60
    answer = httpx.post(address, content="SELECT * FROM nothing")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "60")
    assert answer.text.startswith("Code: 60. DB::Exception: ")
    assert httpx.post(address, content="SELECT (").status_code == 400


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events (id) VALUES ('x')",
        "INSERT INTO FUNCTION file('x.csv') SELECT 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a Int8)",
        "DROP TABLE events",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "USE system",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE events",
        "SELECT 1 INTO OUTFILE '{secret}.out'",
        "SELECT * FROM file('{secret}')",
        "SELECT * FROM FILE('{secret}', 'CSV')",
        "SELECT file('{secret}')",
        "SELECT * FROM `{secret}`",
        "SELECT 'a' IN `{secret}`",
        "SELECT (SELECT count() FROM file('{secret}'))",
        "WITH x AS (SELECT * FROM file('{secret}')) SELECT * FROM x",
        "SELECT * FROM view(SELECT * FROM file('{secret}'))",
        "SELECT 1 UNION ALL SELECT * FROM file('{secret}')",
        "SELECT arrayMap(x -> file('{secret}'), [1])",
        "SELECT * APPLY(file) FROM (SELECT '{secret}')",
        "SELECT COLUMNS('.*') APPLY(x -> file(x)) FROM (SELECT '{secret}')",
        "SELECT * REPLACE(file('{secret}') AS a) FROM (SELECT '' AS a)",
        "SELECT 1 ORDER BY file('{secret}')",
        "SHOW TABLES INTO OUTFILE '{secret}.out'",
        "DESCRIBE TABLE file('{secret}')",
        "DESC url('http://127.0.0.1:1/')",
        "EXPLAIN SELECT * FROM file('{secret}')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM s3('http://127.0.0.1:1/b/x.csv')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM executable('x', 'CSV', 'a String')",
        "SELECT * FROM Python(store)",
        "SELECT * FROM merge('system', '.*')",
        "SELECT * FROM {{table:Identifier}}",
        "SELECT * FROM system.query_log",
        "SELECT 'x' IN system.users",
        "SELECT addressToLine(1)",
        "SELECT aiGenerate('x')",
        "SELECT sleep(3)",
    ],
)
def test_nothing_but_reading_our_tables_is_answered(statement: str, address: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("planted\n")
    sql = statement.format(secret=secret)
    answer = httpx.post(address, params={"param_table": "events"}, content=sql)
    assert answer.status_code in (400, 403), answer.text
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("62", "164", "497")
    assert "planted" not in answer.text
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_the_engine_itself_would_refuse_what_the_rules_let_through(store: Store) -> None:
    """The second wall: the handle on which others' queries run is read-only and cannot be made otherwise."""
    store.answer("SELECT 1")
    reader = store._engine._reader  # type: ignore[attr-defined]
    for statement in ("SET readonly = 0", "DROP TABLE events", "SELECT 1 FROM file('/etc/hostname', 'LineAsString')"):
        with pytest.raises(DatabaseError, match="READONLY"):
            reader.command(statement)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT *, t.*, COLUMNS('a'), * EXCEPT(a), * REPLACE(1 AS a), * APPLY(toString) "
        "FROM (SELECT 1 AS a, 2 AS b) AS t",
        "SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2",
        "WITH x AS (SELECT 1 AS n), 2 AS y SELECT n + y FROM x WHERE n IN (SELECT n FROM x)",
        "SELECT sumIf(n, n > 1), quantilesIf(0.5, 0.9)(n, 1), uniqExactArray([n]) FROM (SELECT 3 AS n)",
        "SELECT n, sum(n) OVER w FROM (SELECT number AS n FROM numbers(3)) WINDOW w AS (ORDER BY n)",
        "SELECT toStartOfInterval(bin_start, INTERVAL 5 minute) AS time, sum(customers) FROM volumes "
        "WHERE measure = 'contacts' AND level = '' AND bin_start >= fromUnixTimestamp64Milli(1) GROUP BY time "
        "ORDER BY time WITH FILL STEP INTERVAL 1 DAY",
        "SELECT CASE WHEN 1 THEN 2 END, [1, 2][1], (1, 2).1, 1 BETWEEN 0 AND 2, 'a' LIKE '%', EXISTS(SELECT 1)",
        "SELECT e FROM counted_events AS c ARRAY JOIN terms AS e LEFT JOIN incident_changes AS i ON c.id = i.incident",
        "SHOW TABLES FROM default LIKE 'e%'",
        "DESCRIBE TABLE `events`",
        "SELECT name, type FROM system.columns WHERE table = 'events'",
    ],
)
def test_what_boards_ask_is_answered(sql: str, address: str) -> None:
    answer = httpx.post(address, content=sql)
    assert answer.status_code == 200, answer.text


def test_a_result_that_is_too_large_is_refused_and_leaves_nothing_for_the_next_reader(address: str) -> None:
    refused = httpx.post(address, content="SELECT number FROM numbers(1500000)")
    assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (500, "396")
    assert httpx.post(address, content="SELECT 7").text == "7\n"


def test_a_query_as_grafanas_plugin_sends_it_comes_back_in_blocks_of_its_revision(address: str) -> None:
    answer = httpx.post(
        address,
        params={"default_format": "Native", "client_protocol_version": "54460", "database": "qianshao", "limit": "5"},
        headers={"Accept-Encoding": "gzip", "Authorization": "Basic cXVpYW5zaGFvX3JlYWRlcjo="},
        content="SELECT toUInt8(7) AS n, 'é' AS word, [toUInt16(1)] AS list",
    )
    assert (answer.status_code, answer.headers["X-ClickHouse-Format"]) == (200, "Native")
    block = b"\x01\x00\x02\xff\xff\xff\xff\x00" + b"\x03\x01"
    block += b"\x01n\x05UInt8\x00\x07"
    block += b"\x04word\x06String\x00\x02\xc3\xa9"
    block += b"\x04list\x0dArray(UInt16)\x00" + (1).to_bytes(8, "little") + b"\x01\x00"
    assert answer.content == block
    older = httpx.post(
        address,
        params={"default_format": "Native", "client_protocol_version": "54405"},
        content="SELECT toUInt8(7) AS n",
    )
    assert older.content == b"\x01\x00\x02\xff\xff\xff\xff\x00" + b"\x01\x01\x01n\x05UInt8\x07"


@pytest.mark.parametrize(
    "value",
    [
        "[(1, 'a', [toFloat64(1.5), NULL]), (2, 'bc', [])]",
        "map('ключ', [map(1, toDate('2025-12-11'))])",
        "CAST((1, 'x'), 'Tuple(a UInt16, `b c` Nullable(String))')",
        "toDecimal64(1.25, 2), toFixedString('ab', 3), toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')",
        "CAST('x,(', $$Enum8('x,(' = 1)$$), toIPv6('::1'), toInt256(-5), true, INTERVAL 2 DAY, NULL",
        "repeat('门', 200), toDateTime64('2025-12-11 00:00:00.123', 3, 'UTC'), []",
    ],
)
def test_every_shape_of_a_value_survives_the_reframing(value: str, client: Client, store: Store) -> None:
    sql = f"SELECT number, {value} FROM numbers(3)"
    assert client.query(sql).result_rows == list(store.select(sql))


def test_every_type_of_our_tables_survives_the_reframing(client: Client, store: Store) -> None:
    assert client.protocol_version > 0
    for table in ("events", "rollups", "incidents", "pulses", "actions", "newest_incidents", "volumes"):
        assert client.query(f"SELECT * FROM {table}").result_rows == list(store.select(f"SELECT * FROM {table}")), table


def test_plain_requests_get_their_format_headers_and_compression(address: str) -> None:
    answer = httpx.get(address, params={"query": "SELECT '门锁' AS word FORMAT JSON", "query_id": "mine-1"})
    assert answer.json()["data"] == [{"word": "门锁"}]
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine-1"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert httpx.get(address, params={"query": "SELECT 1, 'a' -- c ;", "default_format": "CSV"}).text == '1,"a"\n'
    packed = httpx.post(
        address,
        params={"enable_http_compression": "1"},
        headers={"Content-Encoding": "gzip", "Accept-Encoding": "gzip"},
        content=gzip.compress(b"SELECT repeat('a', 5)"),
    )
    assert (packed.headers["Content-Encoding"], packed.text) == ("gzip", "aaaaa\n")
    assert httpx.get(f"{address}ping").text == httpx.get(f"{address}replicas_status").text == "Ok.\n"
    assert json.loads(answer.headers["X-ClickHouse-Summary"])


@pytest.mark.parametrize(
    ("parameters", "headers", "content", "status"),
    [
        ({}, {"Host": "evil.example"}, "SELECT 1", 421),
        ({}, {"Origin": "https://evil.example"}, "SELECT 1", 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, "SELECT 1", 403),
        ({"database": "elsewhere"}, {}, "SELECT 1", 404),
        ({"compress": "1"}, {}, "SELECT 1", 500),
        ({"default_format": "CSV\nFORMAT x"}, {}, "SELECT 1", 400),
        ({}, {}, "SELECT '" + "x" * 300_000 + "'", 400),
        ({}, {"Content-Encoding": "gzip"}, "SELECT 1", 400),
    ],
)
def test_what_is_not_for_this_port_is_refused(
    parameters: dict[str, str], headers: dict[str, str], content: str, status: int, address: str
) -> None:
    answer = httpx.post(address, params=parameters, headers=headers, content=content)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_two_clients_read_while_the_store_writes(store: Store, address: str) -> None:
    def read() -> list[int]:
        with connect(address) as reader:
            return [int(reader.query("SELECT count() FROM counted_events").result_rows[0][0]) for _ in range(5)]

    with ThreadPoolExecutor(2) as readers:
        reading = [readers.submit(read) for _ in range(2)]
        for number in range(10, 40):
            store.write(Outcome(sequence=number, watermark=1, counted=[observation(number)]))
        for each in reading:
            counts = each.result()
            assert counts == sorted(counts)
    assert httpx.post(address, content="SELECT count() FROM counted_events").text == "33\n"
