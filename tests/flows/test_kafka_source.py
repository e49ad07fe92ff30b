"""Topics are read to the last record, in order, from wherever reading stopped, and silence lets time pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from flows.batch import RawBatch
from flows.journal import Journal
from flows.sources import kafka as source
from flows.sources.kafka import KafkaReader
from qianshao.config import Kafka
from qianshao.errors import UnavailableError

NOON = 1_765_425_600_000
DAY = 86_400_000
CALLS = 400
"""Calls of `next` that wait for records; each waits 50 ms at most."""

Open = Callable[..., KafkaReader]


class Hands:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def open_reader(kafka: Kafka, tmp_path: Path, hands: Hands) -> Iterator[Open]:
    """Open a reader on the test's own topics; the journal is the same each time."""
    opened: list[KafkaReader] = []

    def make(
        position: bytes | None = None, *, settings: Kafka = kafka, wall: int = NOON, batch: int = 10
    ) -> KafkaReader:
        reader = KafkaReader(
            settings,
            batch,
            Journal(tmp_path / "clock.journal"),
            wall=lambda: wall + int(hands.seconds * 1_000),
            monotonic=hands,
            discover_seconds=0.5,
        )
        opened.append(reader)
        reader.seek(position)
        return reader

    yield make
    for reader in opened:
        reader.close()


def line(number: int, ts: int = NOON) -> bytes:
    return b'{"id": "e-%d", "kind": "chat", "ts": %d}' % (number, ts)


def produce(kafka: Kafka, records: list[tuple[str, int, bytes]]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "enable.idempotence": True})
    for topic, partition, value in records:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0


def read(reader: KafkaReader, records: int, hands: Hands | None = None) -> list[RawBatch]:
    """Read until so many records have come; a clock that is given goes on by half a second a call."""
    batches: list[RawBatch] = []
    for _ in range(CALLS):
        if hands is not None:
            hands.seconds += 0.5
        batch = reader.next(None)
        if batch is not None:
            batches.append(batch)
            if sum(len(each.lines) for each in batches) >= records:
                return batches
    raise AssertionError(f"{sum(len(each.lines) for each in batches)} of {records} records came")


def by_source(batches: list[RawBatch]) -> dict[str, list[bytes]]:
    lines: dict[str, list[bytes]] = {}
    for batch in batches:
        lines.setdefault(batch.source, []).extend(batch.lines)
    return {name: given for name, given in lines.items() if given}


def test_every_record_is_given_out_once_and_in_the_order_of_its_partition(kafka: Kafka, open_reader: Open) -> None:
    chat, devices = kafka.events[0], kafka.events[3]
    records = [(topic, part, line(n)) for n in range(40) for topic in (chat, devices) for part in (0, 1)]
    produce(kafka, records)
    batches = read(open_reader(), len(records))
    given = by_source(batches)
    assert sorted(given) == sorted(f"{topic}/{part}" for topic in (chat, devices) for part in (0, 1))
    assert all(lines == [line(n) for n in range(40)] for lines in given.values())
    for name in given:
        own = [batch for batch in batches if batch.source == name]
        assert [batch.sequence for batch in own] == list(range(len(own)))
        assert all(len(batch.lines) <= 10 for batch in own)
        assert [batch.first for batch in own] == [sum(len(b.lines) for b in own[:n]) for n in range(len(own))]
    assert {batch.partitions for batch in batches} == {12}


def test_reading_goes_on_exactly_where_a_saved_position_stopped(kafka: Kafka, open_reader: Open) -> None:
    chat = kafka.events[0]
    produce(kafka, [(chat, 0, line(n)) for n in range(45)])
    first = open_reader()
    before = read(first, 20)
    saved = first.position()
    given = sum(len(batch.lines) for batch in before)
    read(first, 45 - given)  # read and not saved: it comes again
    again = read(open_reader(saved), 45 - given)
    assert by_source(before + again)[f"{chat}/0"] == [line(n) for n in range(45)]
    assert again[0].sequence == before[-1].sequence + 1
    assert again[0].first == given


def test_what_is_read_and_saved_is_committed_for_lag_tools(kafka: Kafka, open_reader: Open) -> None:
    chat = kafka.events[0]
    produce(kafka, [(chat, 0, line(n)) for n in range(30)])
    reader = open_reader()
    read(reader, 30)
    reader.position()
    reader.close()
    tool = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": kafka.group, "log_level": 0})
    (committed,) = tool.committed([TopicPartition(chat, 0)], timeout=20)
    tool.close()
    assert committed.offset == 30


def test_without_a_saved_position_latest_skips_what_was_there_before(kafka: Kafka, open_reader: Open) -> None:
    chat = kafka.events[0]
    produce(kafka, [(chat, 0, line(n)) for n in range(5)])
    reader = open_reader(settings=msgspec.structs.replace(kafka, start="latest"))
    produce(kafka, [(chat, 0, line(5))])
    assert by_source(read(reader, 1)) == {f"{chat}/0": [line(5)]}


def test_partitions_and_topics_that_appear_while_reading_are_read_from_their_beginning(
    real_broker: Any, kafka: Kafka, open_reader: Open, hands: Hands
) -> None:
    chat, late = kafka.events[0], kafka.events[0] + ".late"
    settings = msgspec.structs.replace(kafka, events=(chat, late), start="latest")
    reader = open_reader(settings=settings)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for future in (
        admin.create_topics([NewTopic(late, 1)]) | admin.create_partitions([NewPartitions(chat, 3)])
    ).values():
        future.result()
    produce(kafka, [(chat, 2, line(1)), (late, 0, line(2))])
    # The brokers learn of a topic one after the other: the first look may still miss it, a later one must not.
    batches = read(reader, 2, hands)
    assert by_source(batches) == {f"{chat}/2": [line(1)], f"{late}/0": [line(2)]}
    assert batches[-1].partitions == 6


def test_records_that_the_broker_deleted_unread_are_counted_and_said(
    real_broker: Any, kafka: Kafka, open_reader: Open, caplog: pytest.LogCaptureFixture
) -> None:
    chat = kafka.events[0]
    produce(kafka, [(chat, 0, line(n)) for n in range(30)])
    first = open_reader()
    read(first, 10)
    saved = first.position()
    saved = saved.replace(b'"offset":%d' % msgspec.json.decode(saved)["places"][0]["offset"], b'"offset":4', 1)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(chat, 0, 12)]).values():
        future.result()
    with caplog.at_level(logging.ERROR, "qianshao.kafka"):
        batches = read(open_reader(saved), 18)
    assert by_source(batches)[f"{chat}/0"] == [line(n) for n in range(12, 30)]
    assert [batch.lost for batch in batches if batch.source == f"{chat}/0"][:1] == [8]
    assert "8 records (offsets 4 to 11) were deleted by the broker before they were read" in caplog.text


def idle_beats(reader: KafkaReader, hands: Hands, newest: int, wanted: int) -> dict[str, int]:
    """Turn the clock on by seconds until so many partitions have said how far time has come."""
    clocks: dict[str, int] = {}
    for _ in range(CALLS):
        batch = reader.next(newest)
        if batch is None:
            hands.seconds += 1
        elif batch.clock is not None:
            clocks[batch.source] = batch.clock
            if len(clocks) == wanted:
                return clocks
    raise AssertionError(f"only {sorted(clocks)} beat")


def test_a_partition_with_nothing_to_read_lets_time_pass_after_its_patience(
    kafka: Kafka, open_reader: Open, hands: Hands
) -> None:
    produce(kafka, [(kafka.events[0], 0, line(1, NOON + 1_000_000))])
    reader = open_reader()
    read(reader, 1)
    begun = hands.seconds
    clocks = idle_beats(reader, hands, NOON + 1_000_000, 12)
    patience = 2
    assert hands.seconds - begun >= patience
    for name, clock in clocks.items():
        mine = 1 if name.startswith(kafka.actions) else patience
        assert NOON + 1_000_000 <= clock <= NOON + (hands.seconds - mine) * 1_000, name


def test_whoever_was_not_asked_for_a_while_knows_nothing_about_silence(
    kafka: Kafka, open_reader: Open, hands: Hands
) -> None:
    chat = kafka.events[0]
    produce(kafka, [(chat, 0, line(1, NOON + 1_000_000))])
    reader = open_reader()
    read(reader, 1)
    idle_beats(reader, hands, NOON + 1_000_000, 12)
    # A store was away for ten minutes; meanwhile somebody wrote.
    produce(kafka, [(chat, 0, line(2, NOON + 1_200_000))])
    hands.seconds += 600
    said = []
    for _ in range(CALLS):
        batch = reader.next(NOON + 1_000_000)
        if batch is not None and batch.source == f"{chat}/0":
            said.append((batch.clock, batch.lines))
            if batch.lines:
                break
        hands.seconds += 0.1
    assert said == [(None, [line(2, NOON + 1_200_000)])]


def test_time_does_not_leap_to_today_while_an_old_world_is_read(kafka: Kafka, open_reader: Open, hands: Hands) -> None:
    produce(kafka, [(kafka.events[0], 0, line(1, NOON - 300 * DAY))])
    reader = open_reader()
    read(reader, 1)
    assert set(idle_beats(reader, hands, NOON - 300 * DAY, 12).values()) == {NOON - 300 * DAY}


def test_after_a_restart_the_same_beats_stand_between_the_same_records(
    kafka: Kafka, open_reader: Open, hands: Hands
) -> None:
    chat = kafka.events[0]
    name = f"{chat}/0"
    produce(kafka, [(chat, 0, line(1, NOON + 1_000_000))])
    first = open_reader()
    saved = first.position()
    before = read(first, 1)
    clocks = idle_beats(first, hands, NOON + 1_000_000, 12)
    produce(kafka, [(chat, 0, line(2, NOON + 1_100_000))])
    before += read(first, 1)

    again = [batch for batch in read(open_reader(saved), 2) if batch.source == name]
    said = [(batch.clock, batch.lines) for batch in again]
    assert said[0] == (None, [line(1, NOON + 1_000_000)])
    assert said[-1] == (None, [line(2, NOON + 1_100_000)])
    assert clocks[name] in [clock for clock, _ in said[1:-1]]
    assert all(clock is not None and not lines for clock, lines in said[1:-1])


def test_a_broker_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hands: Hands) -> None:
    monkeypatch.setattr(source, "ASK_SECONDS", 0.5)
    settings = Kafka(bootstrap="127.0.0.1:1")
    reader = KafkaReader(settings, 10, Journal(tmp_path / "clock.journal"), wall=lambda: NOON, monotonic=hands)
    with pytest.raises(UnavailableError, match=r"kafka\.bootstrap 127\.0\.0\.1:1: no broker answers"):
        reader.seek(None)
    reader.close()


def test_a_missing_topic_is_waited_for_and_named(
    kafka: Kafka, open_reader: Open, caplog: pytest.LogCaptureFixture
) -> None:
    settings = msgspec.structs.replace(kafka, events=(kafka.events[0], "not.there"))
    with caplog.at_level(logging.WARNING, "qianshao.kafka"):
        open_reader(settings=settings)
    assert "topic not.there is not there or may not be read; waiting for it" in caplog.text


def test_the_partition_that_is_behind_in_time_goes_first(kafka: Kafka, open_reader: Open) -> None:
    chat, devices = kafka.events[0], kafka.events[3]
    old = [(chat, 0, line(n, NOON + n * 1_000)) for n in range(100)]
    new = [(devices, 0, line(n, NOON + 1_000_000 + n * 1_000)) for n in range(100)]
    produce(kafka, new + old)
    batches = read(open_reader(), 200)
    lead = [batch.source.split("/")[0] for batch in batches if batch.lines]
    # One batch of the new ones may be needed to learn their time; the others come after the old ones.
    assert lead[-9:] == [devices] * 9


def test_the_waiting_records_of_every_partition_are_told(kafka: Kafka, open_reader: Open) -> None:
    chat = kafka.events[0]
    produce(kafka, [(chat, 0, line(n)) for n in range(30)])
    reader = open_reader()
    given = sum(len(batch.lines) for batch in read(reader, 10))
    assert given < 30
    assert reader.waiting()[f"{chat}/0"] == 30 - given
