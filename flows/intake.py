"""The one place where records are accounted: order of arrival, clock, repeats, lateness, and release in event time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

import msgspec

from flows.batch import ReadBatch, Slab, Step
from flows.deadletter import Breaker, Excerpt, letter_of
from flows.state import pack, unpack
from flows.watermark import Frontier
from qianshao.action import Action
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS, grid_tick
from qianshao.config import Service
from qianshao.event import DeadLetter, Observation
from qianshao.outcome import Tally

T = TypeVar("T")

REPLAY_REORDER_SECONDS = 300

MAXIMUM_IDS = 2_000_000
"""Ids in one generation of the memory of repeats; if `dedup_hours` bring more, the oldest are forgotten early."""

MAXIMUM_PRODUCTS = 10_000
"""Products whose line is remembered."""

PENDING_ROWS = 1_000
"""Late events and dead letters that are given out even when the boundary does not move."""

SNAPSHOT_VERSION = 2


def id_hash(identity: str) -> int:
    """Hash an event id to 64 bits, equal in every process; two of a million ids meet with probability 3 × 10⁻⁸."""
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest())


def content_order(observation: Observation) -> tuple[int, bytes]:
    """Order in which the first of several records with one id is the one that stays."""
    return observation.ts, msgspec.json.encode(observation)


class _Held(msgspec.Struct, array_like=True):
    ts: int
    position: int
    observation: Observation


class _PartitionState(msgspec.Struct):
    frontier: int | None
    held: list[_Held]
    tally: Tally
    recent: list[bool]
    expected: int
    early: list[ReadBatch]
    live: bool


class _State(msgspec.Struct):
    partitions: list[_PartitionState]
    older: dict[int, int]
    newer: dict[int, int]
    turned: int | None
    ordinary: dict[int, list[Observation]]
    joining: dict[int, list[Observation]]
    acting: dict[int, list[Action]]
    lines: dict[str, str]
    boundary: int | None
    begun: bool
    sequence: int
    late: list[Observation]
    letters: list[DeadLetter]
    stopped: list[int]
    failures: list[str]
    fraction: float


class _Partition:
    """What is known of one source."""

    def __init__(self, source: str, reorder_ms: int) -> None:
        self.tally = Tally(source=source)
        self.frontier: Frontier[tuple[int, Observation]] = Frontier(reorder_ms)
        self.breaker = Breaker()
        self.expected = 0
        self.early: dict[int, ReadBatch] = {}
        self.live = True


class Intake:
    """Turns read batches, in whatever order they come from the workers, into slabs of event time.

    Each record ends in exactly one place, in this order of precedence: dead, duplicate, late, counted. An event is a
    *duplicate* if its id was accounted while the frontier stood at most `dedup_hours` lower; where both still wait for
    release, the one with the smallest time, then the smallest content, is kept, so that the order of arrival does not
    matter. It is *late* if it lies more than `allowed_lateness_minutes` behind the watermark of its own partition:
    stored, not counted. If it lies behind by less, it joins the next decisions: its place in the order of release
    depends only on the order of arrival within its partition. Dead records never touch frontier or memory.

    Counted events are released in (`ts`, `id`) order once the watermark — the smallest, over the sources still live, of
    frontier less `reorder_seconds` — has passed them, up to the last tick of the decision grid. An event that names a
    product but no business line is given, on release, the line with which the product was last released.

    A source that has nothing to read says so by a batch with a `clock`: its frontier then advances as if a record of
    that time had come. People's actions take effect at the first tick of the grid after their time, or at the next one
    if that has passed; they are never late.

    A partition found while others run joins them at the watermark: what lies behind it joins the next decisions.

    Parameters
    ----------
    sources
        Names of the partitions, in order; more may come with their first batches.
    service
        Clock and accounting settings.
    excerpt
        Masks a raw record for a dead letter.

    Notes
    -----
    About 5 µs an event. Memory: two generations of `MAXIMUM_IDS` hashes, and the events between the watermark and the
    frontier. Not thread-safe.
    """

    def __init__(self, sources: Sequence[str], service: Service, excerpt: Excerpt) -> None:
        seconds = REPLAY_REORDER_SECONDS if service.reorder_seconds is None else service.reorder_seconds
        self._reorder_ms = seconds * SECOND_MS
        self._lateness_ms = service.allowed_lateness_minutes * MINUTE_MS
        self._step_ms = service.decision_seconds * SECOND_MS
        self._remember_ms = service.dedup_hours * HOUR_MS
        self._excerpt = excerpt
        self._partitions = [_Partition(source, self._reorder_ms) for source in sources]
        self._older: dict[int, int] = {}
        self._newer: dict[int, int] = {}
        self._turned: int | None = None
        self._ordinary: dict[int, list[Observation]] = {}
        self._joining: dict[int, list[Observation]] = {}
        self._acting: dict[int, list[Action]] = {}
        self._ticks: list[int] = []
        self._waiting: dict[str, Observation] = {}
        self._lines: dict[str, str] = {}
        self._boundary: int | None = None
        self._begun = False
        self._sequence = 0
        self._late: list[Observation] = []
        self._letters: list[DeadLetter] = []
        self._stopped: list[int] = []
        self._failures: list[str] = []
        self._fraction = 0.0

    def accept(self, batch: ReadBatch) -> None:
        """Take one batch; those before it that are still on their way are waited for."""
        while len(self._partitions) < max(batch.partitions, batch.partition + 1):
            self._partitions.append(_Partition("", self._reorder_ms))
        partition = self._partitions[batch.partition]
        partition.tally.source = partition.tally.source or batch.source
        if not partition.live:
            return
        partition.early[batch.sequence] = batch
        while partition.live and (following := partition.early.pop(partition.expected, None)) is not None:
            partition.expected += 1
            self._fraction = max(self._fraction, following.fraction)
            self._read(partition, following)

    @property
    def newest(self) -> int | None:
        """The largest event time that any source has reached, None before the first believed record."""
        return max((p.frontier.value for p in self._partitions if p.frontier.value is not None), default=None)

    def _read(self, partition: _Partition, batch: ReadBatch) -> None:
        tally, breaker, frontier = partition.tally, partition.breaker, partition.frontier
        tally.lost += batch.lost
        letters, positions = batch.letters, batch.positions
        next_letter = 0
        for place, observation in enumerate(batch.observations):
            position = positions[place]
            while next_letter < len(letters) and letters[next_letter].position < position:
                if self._bury(partition, letters[next_letter]):
                    self._stop(batch.partition)
                    return
                next_letter += 1
            ts = observation.ts
            value = frontier.value
            if value is not None and not frontier.held and ts <= value + frontier.leap_ms:
                if ts > value:
                    frontier.value = value = ts
                breaker.update(dead=False)
                self._place(tally, value, observation)
            else:
                for _, (at, settled), plausible in frontier.offer(ts, (position, observation)):
                    if self._settle(partition, at, settled, plausible=plausible):
                        self._stop(batch.partition)
                        return
        for letter in letters[next_letter:]:
            if self._bury(partition, letter):
                self._stop(batch.partition)
                return
        for action in batch.actions:
            self._act(partition, action)
        if batch.clock is not None:
            for _, (at, settled), plausible in frontier.reach(batch.clock):
                if self._settle(partition, at, settled, plausible=plausible):
                    self._stop(batch.partition)
                    return
        if batch.failure:
            self._failures.append(batch.failure)
        if batch.last:
            self._end(partition)

    def _act(self, partition: _Partition, action: Action) -> None:
        partition.tally.read += 1
        partition.tally.counted += 1
        passed = self._passed_by(partition.frontier.value)
        tick = action.at if passed is None else max(action.at, passed)
        tick //= self._step_ms
        self._bucket(self._acting, tick).append(action)

    def _passed_by(self, frontier: int | None) -> int | None:
        """Event time that can no longer be waited for by a source that stands at `frontier`."""
        passed = None if frontier is None else frontier - self._reorder_ms
        # Only a partition that joined while others ran can stand behind what was decided.
        if self._boundary is not None and (passed is None or passed < self._boundary):
            return self._boundary
        return passed

    def _settle(self, partition: _Partition, position: int, observation: Observation, *, plausible: bool) -> bool:
        if plausible:
            partition.breaker.update(dead=False)
            self._place(partition.tally, partition.frontier.value, observation)
            return False
        return self._bury(
            partition,
            letter_of(
                observation,
                source=partition.tally.source,
                position=position,
                reason="implausible_timestamp",
                excerpt=self._excerpt,
            ),
        )

    def _bury(self, partition: _Partition, letter: DeadLetter) -> bool:
        partition.tally.read += 1
        partition.tally.dead += 1
        self._letters.append(letter)
        return partition.breaker.update(dead=True)

    def _place(self, tally: Tally, frontier: int | None, observation: Observation) -> None:
        """Decide between duplicate, late and counted; `frontier` is None only while none is believed yet."""
        tally.read += 1
        ts = observation.ts
        key = id_hash(observation.id)
        now = frontier if frontier is not None else ts
        passed = self._passed_by(frontier)
        seen = self._newer.get(key)
        if seen is None:
            seen = self._older.get(key)
        if seen is not None and now - seen <= self._remember_ms:
            tally.duplicate += 1
            rival = self._waiting.get(observation.id)
            if rival is not None and (passed is None or ts >= passed):
                self._keep_first(rival, observation)
            return
        self._remember(key, now)
        if passed is not None and ts < passed:
            if ts < passed - self._lateness_ms:
                tally.late += 1
                self._late.append(observation)
                return
            joins = passed // self._step_ms
            if ts < joins * self._step_ms:
                tally.counted += 1
                self._bucket(self._joining, joins).append(observation)
                return
        tally.counted += 1
        self._waiting[observation.id] = observation
        self._bucket(self._ordinary, ts // self._step_ms).append(observation)

    def _bucket(self, buckets: dict[int, list[T]], tick: int) -> list[T]:
        bucket = buckets.get(tick)
        if bucket is None:
            if tick not in self._ordinary and tick not in self._joining and tick not in self._acting:
                heapq.heappush(self._ticks, tick)
            bucket = buckets[tick] = []
        return bucket

    def _keep_first(self, kept: Observation, repeat: Observation) -> None:
        if content_order(repeat) >= content_order(kept):
            return
        bucket = self._ordinary[kept.ts // self._step_ms]
        del bucket[next(place for place, other in enumerate(bucket) if other is kept)]
        self._waiting[repeat.id] = repeat
        self._bucket(self._ordinary, repeat.ts // self._step_ms).append(repeat)

    def _remember(self, key: int, now: int) -> None:
        if self._turned is None:
            self._turned = now
        elif now - self._turned > self._remember_ms or len(self._newer) >= MAXIMUM_IDS:
            self._older, self._newer, self._turned = self._newer, {}, now
        self._newer[key] = now

    def _end(self, partition: _Partition) -> None:
        for _, (position, observation), plausible in partition.frontier.finish():
            self._settle(partition, position, observation, plausible=plausible)
        partition.live = False
        partition.early.clear()

    def _stop(self, index: int) -> None:
        partition = self._partitions[index]
        tally = partition.tally
        self._end(partition)
        self._stopped.append(index)
        self._failures.append(
            f"{tally.source}: {tally.dead} of {tally.read} records read are invalid, so it was not read on; "
            "look at the reasons in deadletters.jsonl and check that the file holds events"
        )

    def cut(self) -> Slab | None:
        """Give out what may be released now; None if nothing is ready, and always None after the final slab."""
        if self._sequence < 0:
            return None
        final = not any(partition.live for partition in self._partitions)
        target = self._last_boundary() if final else self._passed()
        moved = target is not None and (self._boundary is None or target > self._boundary)
        if not (final or moved or len(self._late) + len(self._letters) >= PENDING_ROWS):
            return None
        steps: list[Step] = []
        if target is not None and moved:
            steps = self._release(target)
            self._boundary = target
        slab = Slab(
            sequence=self._sequence,
            watermark=self._boundary or 0,
            steps=steps,
            beyond=self._take_beyond() if final else [],
            late=self._late,
            letters=self._letters,
            tallies=[msgspec.structs.replace(partition.tally) for partition in self._partitions],
            frontiers=[partition.frontier.value or 0 for partition in self._partitions],
            fraction=1.0 if final else self._fraction,
            stopped=list(self._stopped),
            failures=list(self._failures),
            final=final,
        )
        self._late, self._letters = [], []
        self._sequence = -1 if final else self._sequence + 1
        return slab

    def _passed(self) -> int | None:
        frontiers = [partition.frontier.value for partition in self._partitions if partition.live]
        known = [value for value in frontiers if value is not None]
        if len(known) < len(frontiers):
            return None
        return (min(known) - self._reorder_ms) // self._step_ms * self._step_ms

    def _last_boundary(self) -> int | None:
        known = [p.frontier.value for p in self._partitions if p.frontier.value is not None]
        return grid_tick(max(known), self._step_ms) if known else None

    def _release(self, target: int) -> list[Step]:
        """Cut wherever an allowed-late observation joins, so that the ticks it is too late for never know of it."""
        steps: list[Step] = []
        counted: list[Observation] = []
        actions: list[tuple[int, Action]] = []
        reached = self._boundary
        while self._ticks and self._ticks[0] * self._step_ms < target:
            tick = heapq.heappop(self._ticks)
            joining = self._joining.pop(tick, None)
            if joining is not None and reached != tick * self._step_ms:
                reached = tick * self._step_ms
                steps.append(Step(watermark=reached, counted=counted, actions=actions))
                counted, actions = [], []
            released = self._ordinary.pop(tick, [])
            for observation in released:
                del self._waiting[observation.id]
            if joining is not None:
                released += joining
            released.sort(key=_release_order)
            for observation in released:
                self._name_line(observation)
            counted += released
            acting = sorted(self._acting.pop(tick, []), key=lambda action: (action.at, action.id))
            actions += (((tick + 1) * self._step_ms, action) for action in acting)
        steps.append(Step(watermark=target, counted=counted, actions=actions))
        while steps and not self._begun:
            self._begun = bool(steps[0].counted or steps[0].actions)
            if not self._begun:
                del steps[0]
        return steps

    def _name_line(self, observation: Observation) -> None:
        product = observation.product
        if product is None:
            return
        if observation.line is None:
            observation.line = self._lines.get(product)
        elif self._lines.get(product) != observation.line:
            if product not in self._lines and len(self._lines) >= MAXIMUM_PRODUCTS:
                del self._lines[next(iter(self._lines))]
            self._lines[product] = observation.line

    def _take_beyond(self) -> list[Observation]:
        rest = [o for bucket in (*self._ordinary.values(), *self._joining.values()) for o in bucket]
        rest.sort(key=_release_order)
        for observation in rest:
            self._name_line(observation)
        self._ordinary, self._joining, self._ticks, self._waiting = {}, {}, [], {}
        return rest

    def snapshot(self) -> bytes:
        """Write the whole state; nothing in it was ever unmasked."""
        return pack(
            "intake",
            SNAPSHOT_VERSION,
            _State(
                partitions=[
                    _PartitionState(
                        frontier=partition.frontier.value,
                        held=[_Held(ts, position, o) for ts, (position, o) in partition.frontier.held],
                        tally=partition.tally,
                        recent=list(partition.breaker.recent),
                        expected=partition.expected,
                        early=list(partition.early.values()),
                        live=partition.live,
                    )
                    for partition in self._partitions
                ],
                older=self._older,
                newer=self._newer,
                turned=self._turned,
                ordinary=self._ordinary,
                joining=self._joining,
                acting=self._acting,
                lines=self._lines,
                boundary=self._boundary,
                begun=self._begun,
                sequence=self._sequence,
                late=self._late,
                letters=self._letters,
                stopped=self._stopped,
                failures=self._failures,
                fraction=self._fraction,
            ),
        )

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot of an intake with the same sources and settings.

        Raises
        ------
        StoreError
            If the bytes are not such a snapshot.
        """
        state = unpack(data, "intake", SNAPSHOT_VERSION, _State)
        self._partitions = [_Partition(kept.tally.source, self._reorder_ms) for kept in state.partitions]
        for partition, kept in zip(self._partitions, state.partitions, strict=True):
            partition.frontier.restore(kept.frontier, [(h.ts, (h.position, h.observation)) for h in kept.held])
            partition.tally = kept.tally
            partition.breaker = Breaker(kept.recent)
            partition.expected = kept.expected
            partition.early = {batch.sequence: batch for batch in kept.early}
            partition.live = kept.live
        self._older, self._newer, self._turned = state.older, state.newer, state.turned
        self._ordinary, self._joining, self._acting = state.ordinary, state.joining, state.acting
        self._ticks = sorted({*state.ordinary, *state.joining, *state.acting})
        self._waiting = {o.id: o for bucket in state.ordinary.values() for o in bucket}
        self._lines = state.lines
        self._boundary, self._begun, self._sequence = state.boundary, state.begun, state.sequence
        self._late, self._letters = state.late, state.letters
        self._stopped, self._failures, self._fraction = state.stopped, state.failures, state.fraction


def _release_order(observation: Observation) -> tuple[int, str]:
    return observation.ts, observation.id
