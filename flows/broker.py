"""What is ours on the broker: topics that are written once, created where they are missing, and examined.

Writing and examining stand together because what the broker's errors mean is said once for both, and because its
library enters through two files only: this one and the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from datetime import tzinfo
from time import monotonic
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka import Message as Delivered
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from flows.broker_settings import client_settings
from qianshao.config import Kafka
from qianshao.errors import ConfigError, StoreError, UnavailableError
from qianshao.examined import Examined
from qianshao.outcome import Outcome
from sinks.messages import Message, messages

REMEMBERED_MESSAGES = 200_000
"""How many of the newest messages are known by identity: a retry never reaches further back than one snapshot."""

MAX_MESSAGE_BYTES = 8 << 20
"""What the client hands to the broker; the broker's own limit, one megabyte unless set, decides."""

QUEUE_KILOBYTES = 64 << 10
"""Messages held while the broker is away; beyond it `write` waits and then says so."""


class Topics:
    """The sink into Kafka: incidents, pushes, trends and dead letters, each message once.

    Within one life the idempotent producer keeps order and sends nothing twice, however often the network fails; over
    a restart the messages already there are recognised by their `ce_id`. Where a killed process's last request reaches
    the broker only after the next one has looked, a message can stand twice; its `ce_id` is then the same.

    Parameters
    ----------
    kafka
        Section `[kafka]`.
    zone
        Service time zone, in which timestamps are written.
    since
        What `positions` gave at the snapshot from which the flow goes on: what stands behind it is not written again.
        None = nothing of ours was written before. A partition that it does not name is read from its beginning.
    timeout_seconds
        How long opening, `flush` and a `write` into a full queue wait for the broker.

    Raises
    ------
    ConfigError
        If the settings cannot work.
    UnavailableError
        If the broker does not answer; on `write` and `flush` nothing is lost by it, call again.
    StoreError
        If the broker refuses a message for good: no such topic, no permission, too large. It is kept, and `flush`
        tries it again.

    Notes
    -----
    Resuming costs one pass over what was written after the snapshot, about 100 000 messages a second.
    """

    def __init__(
        self,
        kafka: Kafka,
        zone: tzinfo,
        *,
        since: Mapping[str, int] | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._kafka = kafka
        self._zone = zone
        self._timeout_seconds = timeout_seconds
        self._where = f"Kafka {kafka.bootstrap}"
        self._known: dict[tuple[str, str], None] = {}
        self._refused: list[tuple[Message, KafkaError]] = []
        self._trouble = _Trouble()
        self._closed = False
        self._ends = self._look_behind(since)
        self._producer = Producer(
            {
                **client_settings(kafka),
                "error_cb": self._trouble,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 5,
                # The library tries for as long as we live: after a timeout nobody knows whether a message is there.
                "message.timeout.ms": 0,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.kbytes": QUEUE_KILOBYTES,
                "topic.metadata.propagation.max.ms": 2_000,
            }
        )

    def write(self, outcome: Outcome) -> None:
        """Hand over the messages that are not known yet; they are there for sure after `flush`."""
        if self._closed:
            raise StoreError(f"{self._where}: is closed; open a new sink before writing")
        for message in messages(outcome, self._kafka, self._zone):
            identity = (message.topic, message.identity)
            if identity not in self._known:
                self._produce(message)
                self._remember(identity)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has acknowledged every message, on all its replicas."""
        if self._closed:
            return
        self._retry()
        left = self._producer.flush(self._timeout_seconds)
        if any(error.code() == KafkaError.MSG_SIZE_TOO_LARGE for _, error in self._refused):
            # The broker refuses the whole batch in which one message is too large: only alone they show which.
            self._retry(alone=True)
        if self._refused:
            raise self._refusal(*self._refused[0])
        if left:
            raise UnavailableError(
                f"{self._where}: {left} messages were not acknowledged within {self._timeout_seconds:g} s"
                f"{self._trouble}; they are kept, start the broker or mend the network"
            )

    def _retry(self, alone: bool = False) -> None:
        waiting, self._refused = self._refused, []
        for number, (message, _) in enumerate(waiting):
            try:
                self._produce(message)
            except StoreError:
                self._refused += waiting[number:]
                raise
            if alone:
                self._producer.flush(self._timeout_seconds)

    def positions(self) -> dict[str, int]:
        """Return the end of what was written: `topic/partition` to the offset of the next message.

        It belongs into the snapshot that is taken after `flush`; `since` takes it up again.
        """
        return dict(self._ends)

    def close(self) -> None:
        """Flush and disconnect; what the broker did not take by then is given up, and said."""
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._closed = True
            self._producer.purge()
            self._producer.flush(1.0)

    def _remember(self, identity: tuple[str, str]) -> None:
        self._known[identity] = None
        if len(self._known) > REMEMBERED_MESSAGES:
            del self._known[next(iter(self._known))]

    def _produce(self, message: Message) -> None:
        def delivered(error: KafkaError | None, report: Delivered[Any, Any]) -> None:
            if error is not None:
                self._refused.append((message, error))
                return
            place = f"{report.topic()}/{report.partition()}"
            self._ends[place] = max(self._ends.get(place, 0), (report.offset() or 0) + 1)

        asked = False
        deadline = monotonic() + self._timeout_seconds
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    headers=list(message.headers),
                    on_delivery=delivered,
                )
            except BufferError:
                if monotonic() > deadline:
                    raise UnavailableError(
                        f"{self._where}: the queue is full of messages that nobody takes{self._trouble}; "
                        "they are kept, start the broker or mend the network"
                    ) from None
                self._producer.poll(0.1)
            except KafkaException as error:
                # The library remembers for minutes that a topic was not there: ask once whether it is now.
                if asked or error.args[0].code() not in _NO_TOPIC:
                    raise self._refusal(message, error.args[0]) from None
                asked = True
                self._ask_for(message.topic)
            else:
                return

    def _ask_for(self, topic: str) -> None:
        try:
            self._producer.list_topics(topic, timeout=self._timeout_seconds)
        except KafkaException as error:
            raise _no_answer(self._kafka, self._timeout_seconds, error, self._trouble) from None

    def _refusal(self, message: Message, error: KafkaError) -> StoreError:
        what = f"{self._where}: topic {message.topic} did not take message {message.identity} ({error.str()})"
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return StoreError(
                f"{what}: it has {len(message.value)} bytes; raise the topic's max.message.bytes above that"
            )
        if error.code() in _NO_PERMISSION:
            return StoreError(f"{what}: we may not write; grant WRITE on the topic")
        if error.code() in _NO_TOPIC:
            return UnavailableError(f"{what}: create the topic")
        if error.fatal():
            return StoreError(f"{what}: the session is broken; start again, what is there is not written twice")
        if error.code() in _PASSING:
            return UnavailableError(f"{what}: it is kept and tried again")
        return StoreError(f"{what}: see the broker's log")

    def _look_behind(self, since: Mapping[str, int] | None) -> dict[str, int]:
        """Return the end of every partition, having learnt what stands behind `since`."""
        consumer = _ephemeral_consumer(self._kafka, self._trouble)
        try:
            held = consumer.list_topics(timeout=self._timeout_seconds).topics
            ends: dict[str, int] = {}
            behind = []
            for name in sorted(held.keys() & set(_outputs(self._kafka))):
                for partition in held[name].partitions:
                    low, high = self._bounds(consumer, TopicPartition(name, partition))
                    place = f"{name}/{partition}"
                    ends[place] = high
                    if since is None:
                        continue
                    start = since.get(place, low)
                    # An offset outside is from a topic that was made anew since.
                    if start != high:
                        behind.append(TopicPartition(name, partition, start if low <= start < high else low))
            if behind:
                self._learn(consumer, behind)
            return ends
        except KafkaException as error:
            consumer.poll(0)
            if error.args[0].code() in _NO_PERMISSION:
                raise StoreError(
                    f"{self._where}: we may not read our own topics back ({error.args[0].str()}), and without that a "
                    f"restart writes twice; grant READ on {', '.join(_outputs(self._kafka))}"
                ) from None
            raise _no_answer(self._kafka, self._timeout_seconds, error, self._trouble) from None
        finally:
            consumer.close()

    def _bounds(self, consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
        """Return the first offset and the end of a partition; a new one takes a moment to have a leader."""
        deadline = monotonic() + self._timeout_seconds
        while True:
            try:
                low, high = consumer.get_watermark_offsets(place, timeout=self._timeout_seconds)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or monotonic() > deadline:
                    raise
                consumer.poll(0.05)
            else:
                return low, high

    def _learn(self, consumer: Consumer, behind: list[TopicPartition]) -> None:
        """Remember the identity of every message from each offset to the end of its partition."""
        consumer.assign(behind)
        open_partitions = {(place.topic, place.partition) for place in behind}
        deadline = monotonic() + self._timeout_seconds
        while open_partitions:
            batch = consumer.consume(1_000, timeout=0.1)
            if batch:
                deadline = monotonic() + self._timeout_seconds
            elif monotonic() > deadline:
                raise UnavailableError(
                    f"{self._where}: gives nothing to read from {sorted(open_partitions)}{self._trouble}; "
                    "start again when it does"
                )
            for message in batch:
                error = message.error()
                if error is None:
                    name = dict(message.headers() or ()).get("ce_id")
                    if isinstance(name, bytes):
                        self._remember((str(message.topic()), name.decode("utf-8", "replace")))
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard((str(message.topic()), int(message.partition() or 0)))
                else:
                    raise KafkaException(error)


class _Trouble:
    """The last thing that a client complained about, for the message of an error that it led to."""

    def __init__(self) -> None:
        self.error: KafkaError | None = None
        self.authentication: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self.authentication = error
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.error = error

    def __str__(self) -> str:
        error = self.authentication or self.error
        return "" if error is None else f" ({error.str()})"


_NO_PERMISSION = frozenset((KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED))
_PASSING = frozenset(
    (
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
    )
)
"""What mends itself or is mended outside; `KafkaError.retriable` speaks of transactions alone."""
_NO_TOPIC = frozenset((KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION))


_NO_COORDINATOR = frozenset(
    (
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    )
)


def _ephemeral_consumer(kafka: Kafka, trouble: _Trouble) -> Consumer:
    """A consumer that reads to the ends of partitions and leaves no trace in any group."""
    return Consumer(
        {
            **client_settings(kafka),
            "error_cb": trouble,
            "group.id": f"{kafka.group}-look",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
            "fetch.wait.max.ms": 10,
        }
    )


def ensure_topics(kafka: Kafka, timeout_seconds: float = 30.0) -> list[str]:
    """Create those of our own topics (outputs and actions) that are missing, with the broker's defaults.

    Topics of events are never created: a missing one is a mistake in the configuration.

    Returns
    -------
    list of str
        Names of the topics that were created.

    Raises
    ------
    ConfigError
        If the settings cannot work.
    UnavailableError
        If the broker does not answer.
    StoreError
        If it does not let us create one.
    """
    where, trouble = f"Kafka {kafka.bootstrap}", _Trouble()
    admin = _admin_client(kafka, trouble)
    try:
        held = admin.list_topics(timeout=timeout_seconds).topics
    except KafkaException as error:
        admin.poll(0)
        raise _no_answer(kafka, timeout_seconds, error, trouble) from None
    missing = sorted({kafka.actions, *_outputs(kafka)} - held.keys())
    if not missing:
        return []
    futures = admin.create_topics([NewTopic(name) for name in missing], request_timeout=timeout_seconds)
    created = []
    for name in missing:
        refusal = _refusal_of(futures[name])
        if refusal is None:
            created.append(name)
        elif refusal.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            kind = UnavailableError if refusal.code() in _PASSING else StoreError
            raise kind(
                f"{where}: topic {name} is not there and cannot be created ({refusal.str()}); create it or grant CREATE"
            )
    # The broker knows what it has created a moment later.
    deadline = monotonic() + timeout_seconds
    while not admin.list_topics(timeout=timeout_seconds).topics.keys() >= set(created) and monotonic() < deadline:
        admin.poll(0.05)
    return created


def examine(kafka: Kafka, timeout_seconds: float = 10.0) -> list[Examined]:
    """Look at everything that the service needs of Kafka: broker, topics, permissions, group.

    Parameters
    ----------
    kafka
        Section `[kafka]`.
    timeout_seconds
        For finding the broker, and again for what it says about its topics.

    Returns
    -------
    list of Examined
        One for the broker, one for each topic, one for the group; only the first where the broker does not answer.
        Changes nothing and raises nothing.
    """
    trouble = _Trouble()
    try:
        admin = _admin_client(kafka, trouble)
        answer = _answer(admin, timeout_seconds, trouble)
    except ConfigError as error:
        return [Examined(part=BROKER_PART, ok=False, detail=str(error))]
    except KafkaException as error:
        refusal = trouble.authentication
        if refusal is None:
            detail = str(_no_answer(kafka, timeout_seconds, error, trouble))
        elif refusal.code() == KafkaError._SSL:
            detail = (
                f"{kafka.bootstrap}: no secure connection ({refusal.str()}); correct kafka.security or kafka.ca_file"
            )
        else:
            detail = (
                f"{kafka.bootstrap}: does not accept {kafka.username!r} with {kafka.mechanism} ({refusal.str()}); "
                "correct kafka.username, the password or kafka.mechanism"
            )
        return [Examined(part=BROKER_PART, ok=False, detail=detail)]
    ask = {"include_authorized_operations": True, "request_timeout": timeout_seconds}
    inputs, outputs = (*kafka.events, kafka.actions), _outputs(kafka)
    topics = admin.describe_topics(TopicCollection([*inputs, *outputs]), **ask)
    cluster = admin.describe_cluster(**ask)
    may_create = None if _refusal_of(cluster) else _grants(cluster.result(), "CREATE")
    found = [Examined(part=BROKER_PART, ok=True, detail=f"{kafka.bootstrap}: {answer}")]
    found += [_examined(topic, topics[topic], ("READ",), topic == kafka.actions and may_create) for topic in inputs]
    found += [_examined(topic, topics[topic], ("READ", "WRITE"), may_create) for topic in outputs]
    found.append(_examined_group(admin, kafka.group, timeout_seconds))
    return found


BROKER_PART = "Kafka"


def _outputs(kafka: Kafka) -> tuple[str, ...]:
    return kafka.incidents, kafka.pushes, kafka.trends, kafka.deadletters


def _admin_client(kafka: Kafka, trouble: _Trouble) -> AdminClient:
    settings: dict[str, Any] = {**client_settings(kafka), "error_cb": trouble}
    return AdminClient(settings)


def _answer(admin: AdminClient, timeout_seconds: float, trouble: _Trouble) -> str:
    """Ask who is there until somebody answers; a refused password ends it at once."""
    deadline = monotonic() + timeout_seconds
    while True:
        try:
            metadata = admin.list_topics(timeout=min(1.0, timeout_seconds))
        except KafkaException:
            admin.poll(0)
            if trouble.authentication is not None or monotonic() > deadline:
                raise
        else:
            return f"answers, {len(metadata.brokers)} brokers, cluster {metadata.cluster_id or 'without a name'}"


def _no_answer(kafka: Kafka, timeout_seconds: float, error: KafkaException, trouble: _Trouble) -> UnavailableError:
    said = str(trouble) or f" ({error.args[0].str()})"
    return UnavailableError(
        f"Kafka {kafka.bootstrap}: does not answer within {timeout_seconds:g} s{said}; "
        "start the broker, or correct kafka.bootstrap and kafka.security"
    )


def _refusal_of(future: Future[Any]) -> KafkaError | None:
    try:
        future.result()
    except KafkaException as error:
        refusal: KafkaError = error.args[0]
        return refusal
    return None


def _grants(described: Any, operation: str) -> bool | None:
    """True if the broker lets us do it; None where it does not say."""
    granted = described.authorized_operations
    if granted is None:
        return None
    return any(each.name in (operation, "ALL") for each in granted)


def _examined(topic: str, future: Future[Any], operations: tuple[str, ...], may_create: bool | None) -> Examined:
    part = f"Kafka topic {topic}"
    refusal = _refusal_of(future)
    if refusal is None:
        described = future.result()
        partitions = f"{len(described.partitions)} partitions"
        allowed = {operation: _grants(described, operation) for operation in operations}
        denied = [operation for operation, granted in allowed.items() if granted is False]
        if denied:
            return Examined(
                part=part, ok=False, detail=f"{partitions}, but we may not {'/'.join(denied)}; grant it on the topic"
            )
        if None in allowed.values():
            return Examined(part=part, ok=None, detail=f"{partitions}; the broker does not say what we may do there")
        return Examined(part=part, ok=True, detail=f"{partitions}, we may {'/'.join(operations)}")
    if refusal.code() in _NO_TOPIC:
        if may_create:
            return Examined(part=part, ok=True, detail="is not there yet; `qianshao run` creates it")
        return Examined(part=part, ok=False, detail="is not there; create it, or correct its name in [kafka]")
    if refusal.code() in _NO_PERMISSION:
        return Examined(
            part=part, ok=False, detail=f"is hidden from us; grant DESCRIBE and {'/'.join(operations)} on the topic"
        )
    return Examined(part=part, ok=None, detail=f"cannot tell ({refusal.name()} {refusal.str()})")


def _examined_group(admin: AdminClient, group: str, timeout_seconds: float) -> Examined:
    part = f"Kafka group {group}"
    deadline = monotonic() + timeout_seconds
    while True:
        future = admin.describe_consumer_groups(
            [group], include_authorized_operations=True, request_timeout=timeout_seconds
        )[group]
        refusal = _refusal_of(future)
        # A cluster that never had a group first makes room for them.
        if refusal is None or refusal.code() not in _NO_COORDINATOR or monotonic() > deadline:
            break
        admin.poll(0.1)
    if refusal is not None and refusal.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return Examined(part=part, ok=False, detail="is hidden from us; grant READ on the group")
    if refusal is not None and refusal.code() != KafkaError.GROUP_ID_NOT_FOUND:
        return Examined(part=part, ok=None, detail=f"cannot tell ({refusal.name()} {refusal.str()})")
    granted = None if refusal else _grants(future.result(), "READ")
    if granted is False:
        return Examined(part=part, ok=False, detail="we may not commit offsets to it; grant READ on the group")
    return Examined(part=part, ok=granted, detail="we may commit offsets" if granted else "the broker does not say")
