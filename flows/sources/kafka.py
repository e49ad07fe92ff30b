"""Topics read in batches: partitions found while running, offsets that are ours, idle partitions, retention loss."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.batch import RawBatch
from flows.broker_settings import client_settings
from flows.decode import timestamp_ms
from flows.journal import Beat, Journal
from qianshao.clock import DAY_MS, SECOND_MS
from qianshao.config import Kafka
from qianshao.errors import StoreError, UnavailableError

DISCOVER_SECONDS = 30.0
BEAT_SECONDS = 1.0
ACTIONS_IDLE_SECONDS = 1
"""People's decisions are rare and wait for nobody, so their topic must never hold up the clock for long."""

STALLED_TIMES = 4
"""A partition that has not been read to its end, and yet brings nothing, is waited for so many times longer."""

AWAY_SECONDS = 2.0
"""Whoever was not asked for so long, because a store was away or a model was loading, knows nothing about silence."""

WAIT_SECONDS = 0.05
"""How long a call waits for records when there are none."""

BUFFERED_BATCHES = 8
"""Batches of one partition that may lie here; one that has more is paused until the others have caught up in time."""

ASK_SECONDS = 10.0
"""How long a broker may take to answer a question of ours."""

ASK_TIMES = 25
ASK_PAUSE_SECONDS = 0.2

POSITION_VERSION = 1

_TIME = re.compile(rb'"(?:ts|at)"\s*:\s*(?:"([^"]{1,64})"|([0-9]{1,15}))')

_LEADERLESS = frozenset(
    (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
    )
)

log = logging.getLogger("qianshao.kafka")


class _Place(msgspec.Struct):
    topic: str
    partition: int
    offset: int
    sequence: int


class _Position(msgspec.Struct):
    version: int
    places: list[_Place]


class _Partition:
    """One partition of one topic: what was fetched and not given out yet."""

    def __init__(self, topic: str, number: int, index: int, *, actions: bool) -> None:
        self.topic = topic
        self.number = number
        self.name = f"{topic}/{number}"
        self.index = index
        self.actions = actions
        self.next = 0
        """Offset of the next record to give out."""
        self.sequence = 0
        self.fetched: deque[tuple[int, bytes]] = deque()
        self.again: deque[Beat] = deque()
        self.time = -1
        """Event time that has about been given out, for pacing only."""
        self.at_end = False
        self.paused = False
        self.stalled = False
        self.last_record = 0.0
        self.lost = 0

    def must_beat(self) -> bool:
        """Whether a beat that was given out before a restart stands before the next record."""
        return bool(self.again) and self.again[0].offset <= self.next

    def place(self) -> TopicPartition:
        return TopicPartition(self.topic, self.number, self.next)


@contextmanager
def _commits() -> Iterator[None]:
    """A refused commit is only said: where to go on stands in the flow's own state."""
    try:
        yield
    except KafkaException as error:
        log.warning("offsets could not be committed (%s); only lag tools miss them", error)


class KafkaReader:
    """Reads all partitions of the event topics and of the topic of actions, always the one furthest behind in time.

    Offsets are part of the flow's own state (`position`, `seek`); they are committed to the group only so that lag
    tools see them. A partition that has been read to its end and stays there says so by a batch with a clock
    (`RawBatch`): the wall clock less its patience while the world read is of today, else the newest event time that
    anybody knows. Each such beat is in the journal before it is given out, so that reading again after a crash gives
    the same.

    When the broker has deleted records before they were read, reading goes on at the oldest there is, and the next
    batch says how many are lost.

    Fails when a broker cannot be reached at the start; later it waits for it and says so.

    Parameters
    ----------
    settings
        `[kafka]` of the configuration.
    batch_size
        Records in a batch.
    journal
        Of the beats.
    wall
        Wall clock, epoch milliseconds.
    monotonic
        Seconds; for patience and pacing.
    discover_seconds
        How often new partitions are looked for.

    Raises
    ------
    UnavailableError
        If no broker answers.
    """

    def __init__(
        self,
        settings: Kafka,
        batch_size: int,
        journal: Journal,
        *,
        wall: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        discover_seconds: float = DISCOVER_SECONDS,
    ) -> None:
        self._settings = settings
        self._batch_size = batch_size
        self._journal = journal
        self._wall = wall
        self._monotonic = monotonic
        self._discover_seconds = discover_seconds
        self._partitions: list[_Partition] = []
        self._by_place: dict[tuple[str, int], _Partition] = {}
        self._due: deque[tuple[_Partition, int]] = deque()
        """Beats that are journalled and not given out yet: the partition, and the time it has reached."""
        self._discovered = 0.0
        self._beaten = 0.0
        self._asked = 0.0
        self._missing: set[str] = set()
        self._silent = False
        self._closed = False
        self._committed: list[TopicPartition] = []
        self._consumer = Consumer(
            {
                **client_settings(settings),
                "group.id": settings.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": 32_768,
                "error_cb": self._note_error,
            }
        )

    # -- what the flow asks -------------------------------------------------------------------------------------------

    def seek(self, position: bytes | None) -> None:
        """Go on from a saved position; without one, begin where `kafka.start` says."""
        if position is not None:
            saved = msgspec.json.decode(position, type=_Position)
            if saved.version != POSITION_VERSION:
                raise StoreError(
                    f"saved position of version {saved.version}: this program reads version {POSITION_VERSION}; "
                    "resume with the program that wrote it, or name another run.state"
                )
            for place in saved.places:
                partition = self._add(place.topic, place.partition)
                partition.next, partition.sequence = place.offset, place.sequence
        known = len(self._partitions)
        self._discover(fresh=position is None)
        again = self._journal.after({each.name: each.next for each in self._partitions})
        for partition in self._partitions:
            partition.again.extend(again.get(partition.name, ()))
        self._consumer.incremental_assign([each.place() for each in self._partitions[:known]])

    def next(self, newest: int | None) -> RawBatch | None:
        """Read one batch, None if nothing is there now; `newest` is the largest event time that the flow knows."""
        now = self._monotonic()
        if now - self._asked >= AWAY_SECONDS:
            for each in self._partitions:
                each.at_end, each.last_record = False, now
        self._asked = now
        if now - self._discovered >= self._discover_seconds:
            self._discover(fresh=False)
        if not self._due and now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self._beat(newest, now)
        if self._due:
            idle, clock = self._due.popleft()
            # Counted from the last of a round: many idle partitions must not crowd out the one that has records.
            self._beaten = now
            return self._batch(idle, clock=clock)
        partition = self._choose(now)
        if partition is None:
            self._fetch(WAIT_SECONDS)
            partition = self._choose(self._monotonic())
        elif len(self._partitions) > 1:
            self._fetch(0.0)
        return None if partition is None else self._cut(partition)

    def position(self) -> bytes:
        """Say how far has been given out, and commit the position before it to the group for lag tools."""
        places = [_Place(each.topic, each.number, each.next, each.sequence) for each in self._partitions]
        if self._committed:
            with _commits():
                self._consumer.commit(offsets=self._committed, asynchronous=True)
        self._committed = [each.place() for each in self._partitions]
        return msgspec.json.encode(_Position(POSITION_VERSION, places))

    def waiting(self) -> dict[str, int]:
        """Return how many records of each partition are there and not given out yet, as far as the client knows."""
        behind = {}
        for each in self._partitions:
            _, high = self._consumer.get_watermark_offsets(each.place(), cached=True)
            behind[each.name] = max(0, high - each.next)
        return behind

    def close(self) -> None:
        """Leave the broker; may be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._committed:
            with _commits():
                self._consumer.commit(offsets=self._committed, asynchronous=False)
        self._consumer.close()
        self._journal.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _add(self, topic: str, number: int) -> _Partition:
        partition = _Partition(topic, number, len(self._partitions), actions=topic == self._settings.actions)
        partition.last_record = self._monotonic()
        self._partitions.append(partition)
        self._by_place[topic, number] = partition
        return partition

    def _discover(self, *, fresh: bool) -> None:
        """Find partitions that are not read yet; `fresh` = nothing was ever read: begin where `kafka.start` says."""
        first = not self._partitions or self._discovered == 0.0
        self._discovered = self._monotonic()
        try:
            there = self._consumer.list_topics(timeout=ASK_SECONDS).topics
        except KafkaException as error:
            if first:
                raise UnavailableError(
                    f"kafka.bootstrap {self._settings.bootstrap}: no broker answers ({error.args[0].str()}); "
                    "start one, or correct the address"
                ) from None
            log.warning("topics could not be listed (%s); trying again in %d s", error, self._discover_seconds)
            return
        found: list[_Partition] = []
        for topic in (*self._settings.events, self._settings.actions):
            metadata = there.get(topic)
            if metadata is None or metadata.error is not None:
                if topic not in self._missing:
                    self._missing.add(topic)
                    log.warning("topic %s is not there or may not be read; waiting for it", topic)
                continue
            self._missing.discard(topic)
            found += (
                self._add(topic, number)
                for number in sorted(metadata.partitions)
                if (topic, number) not in self._by_place
            )
        for partition in found:
            low, high = self._edges(partition)
            partition.next = high if fresh and self._settings.start == "latest" else low
        if found:
            log.info("reading %s", ", ".join(each.name for each in found))
            self._consumer.incremental_assign([each.place() for each in found])

    def _edges(self, partition: _Partition) -> tuple[int, int]:
        """Offsets of the oldest record that is there and of the next one to come."""
        for attempt in range(1, ASK_TIMES + 1):
            try:
                low, high = self._consumer.get_watermark_offsets(partition.place(), timeout=ASK_SECONDS)
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                # A partition that was only just made or moved may not have a leader yet.
                if attempt < ASK_TIMES and (reason.retriable() or reason.code() in _LEADERLESS):
                    time.sleep(ASK_PAUSE_SECONDS)
                    continue
                raise UnavailableError(
                    f"{partition.name}: its broker does not answer ({reason.str()}); start it, then start again"
                ) from None
            return low, high
        raise AssertionError("the last attempt returns or raises")

    def _fetch(self, seconds: float) -> None:
        limit = BUFFERED_BATCHES * self._batch_size
        for message in self._consumer.consume(num_messages=min(self._batch_size, 10_000), timeout=seconds):
            partition = self._by_place.get((message.topic() or "", message.partition() or 0))
            error = message.error()
            if error is not None:
                self._trouble(partition, error)
            elif partition is not None:
                self._keep(partition, message)
        for partition in self._partitions:
            if not partition.fetched:
                continue
            self._look_for_end(partition, partition.fetched[-1][0] + 1)
            if not partition.paused and len(partition.fetched) > limit:
                partition.paused = True
                self._consumer.pause([partition.place()])

    def _look_for_end(self, partition: _Partition, reached: int) -> None:
        """Ask what the client knows: the broker itself says so only when it has waited for more in vain."""
        if not partition.at_end:
            _, high = self._consumer.get_watermark_offsets(partition.place(), cached=True)
            partition.at_end = reached >= high >= 0

    def _keep(self, partition: _Partition, message: Message) -> None:
        offset = message.offset()
        assert offset is not None
        partition.at_end = partition.stalled = False
        partition.last_record = self._monotonic()
        self._silent = False
        if offset > (partition.fetched[-1][0] if partition.fetched else partition.next - 1):
            partition.fetched.append((offset, message.value() or b""))

    def _trouble(self, partition: _Partition | None, error: KafkaError) -> None:
        code = error.code()
        if partition is None:
            log.warning("broker: %s", error.str())
        elif code == KafkaError._PARTITION_EOF:
            partition.at_end = True
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            self._skip_lost(partition)
        else:
            log.warning("%s: %s; waiting for it", partition.name, error.str())

    def _skip_lost(self, partition: _Partition) -> None:
        """Go on at the oldest record there is, and count what is gone."""
        reached = partition.fetched[-1][0] + 1 if partition.fetched else partition.next
        low, high = self._edges(partition)
        if reached < low:
            lost = low - reached
            log.error(
                "%s: %d records (offsets %d to %d) were deleted by the broker before they were read; going on at %d. "
                "Keep topics longer, or read faster",
                *(partition.name, lost, reached, low - 1, low),
            )
        else:
            lost = 0
            log.error(
                "%s: offset %d is not there, the topic ends at %d; it was made anew or cut off. Going on at %d",
                *(partition.name, reached, high, low),
            )
            partition.fetched.clear()
            partition.again.clear()
            partition.next = low
        partition.lost += lost
        if not partition.fetched:
            partition.next = low
        self._consumer.incremental_unassign([partition.place()])
        self._consumer.incremental_assign([TopicPartition(partition.topic, partition.number, low)])

    def _choose(self, now: float) -> _Partition | None:
        """The partition furthest behind in time, unless one still further behind is only waiting for its broker."""
        ready = min(
            (each for each in self._partitions if each.fetched or each.must_beat()),
            key=lambda each: (not each.must_beat(), each.time, each.index),
            default=None,
        )
        if ready is None or ready.must_beat():
            return ready
        for each in self._partitions:
            patience = STALLED_TIMES * self._settings.idle_seconds
            awaited = not each.fetched and not each.at_end and now - each.last_record < patience
            if awaited and each.time < ready.time:
                return None
        return ready

    def _cut(self, partition: _Partition) -> RawBatch:
        """Give out records with consecutive offsets, or a beat that stood between them before a restart."""
        fetched, again = partition.fetched, partition.again
        if partition.must_beat():
            return self._batch(partition, clock=again.popleft().clock)
        until = again[0].offset if again else None
        first = fetched[0][0]
        lines: list[bytes] = []
        while (
            fetched
            and len(lines) < self._batch_size
            and fetched[0][0] == first + len(lines)
            and (until is None or fetched[0][0] < until)
        ):
            lines.append(fetched.popleft()[1])
        partition.next = first + len(lines)
        if lines:
            self._peek(partition, lines[-1])
        if partition.paused and len(fetched) <= BUFFERED_BATCHES * self._batch_size // 2:
            partition.paused = False
            self._consumer.resume([partition.place()])
        return self._batch(partition, first=first, lines=lines)

    def _batch(
        self, partition: _Partition, *, first: int | None = None, lines: Sequence[bytes] = (), clock: int | None = None
    ) -> RawBatch:
        batch = RawBatch(
            source=partition.name,
            partition=partition.index,
            sequence=partition.sequence,
            first=partition.next if first is None else first,
            lines=list(lines),
            actions=partition.actions,
            clock=clock,
            lost=partition.lost,
            partitions=len(self._partitions),
        )
        partition.sequence += 1
        partition.lost = 0
        return batch

    def _beat(self, newest: int | None, now: float) -> None:
        """Let the clocks of idle partitions go on."""
        newest = max((each.time for each in self._partitions), default=-1) if newest is None else newest
        if newest < 0:
            return
        wall = self._wall()
        today = abs(wall - newest) <= DAY_MS
        beats: list[tuple[_Partition, Beat]] = []
        for partition in self._partitions:
            patience = ACTIONS_IDLE_SECONDS if partition.actions else self._settings.idle_seconds
            if partition.fetched or partition.again:
                continue
            self._look_for_end(partition, partition.next)
            waited = now - partition.last_record
            if waited < (patience if partition.at_end else STALLED_TIMES * self._settings.idle_seconds):
                continue
            if not partition.at_end and not partition.stalled:
                partition.stalled = True
                log.warning("%s: its broker sends nothing; not waiting for it any longer", partition.name)
            clock = wall - patience * SECOND_MS if today else newest
            beats.append((partition, Beat(partition.name, partition.next, clock, wall)))
        if beats:
            self._journal.write(beat for _, beat in beats)
            self._due.extend((partition, beat.clock) for partition, beat in beats)

    def _peek(self, partition: _Partition, line: bytes) -> None:
        found = _TIME.search(line)
        if found is None:
            return
        try:
            partition.time = int(found[2]) if found[2] else timestamp_ms(found[1].decode())
        except (ValueError, OverflowError):
            return

    def _note_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._silent:
            self._silent = True
            log.warning("no broker answers (%s); waiting for one", self._settings.bootstrap)
