"""Sources that are silent, people who decide, partitions that join: what only a running service has to account."""

from __future__ import annotations

import random
from collections.abc import Sequence

from flow_fakes import START, CopyingLabeller, TickingBank, excerpt, line
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.batch import RawBatch, ReadBatch, Slab
from flows.intake import Intake
from flows.pipeline import understand
from qianshao.clock import to_rfc3339
from qianshao.config import Service

SECOND = 1_000
MINUTE = 60_000
REORDER = 5 * SECOND
ZONE = Service().zone


class Source:
    """Writes the batches of one partition."""

    def __init__(self, index: int, partitions: int, *, actions: bool = False) -> None:
        self._index = index
        self._partitions = partitions
        self._actions = actions
        self._sequence = 0
        self._first = 0

    def give(
        self, lines: Sequence[bytes] = (), *, clock: int | None = None, lost: int = 0, last: bool = False
    ) -> ReadBatch:
        batch = RawBatch(
            source=f"topic/{self._index}",
            partition=self._index,
            sequence=self._sequence,
            first=self._first,
            lines=list(lines),
            actions=self._actions,
            clock=clock,
            lost=lost,
            partitions=self._partitions,
            last=last,
        )
        self._sequence += 1
        self._first += len(lines)
        return understand(batch, CopyingLabeller(), excerpt)


def fresh() -> Intake:
    return Intake((), Service(reorder_seconds=5), excerpt)


def action(number: int, at: int) -> bytes:
    body = f'"action": "acknowledge", "incident": "i", "by": "王班长", "at": "{to_rfc3339(at, ZONE)}"'
    return f'{{"id": "a-{number}", {body}}}'.encode()


def drive(intake: Intake, read: Sequence[ReadBatch]) -> list[Slab]:
    slabs = []
    for batch in read:
        intake.accept(batch)
        slab = intake.cut()
        if slab is not None:
            slabs.append(slab)
    return slabs


def decisions(slabs: Sequence[Slab]) -> list[tuple[int, list[str]]]:
    """What a bank could know at each tick, and at which tick people decided what."""
    bank = TickingBank(root=True)
    known: list[tuple[int, list[str]]] = []
    for slab in slabs:
        for step in slab.steps:
            findings = bank.advance(step.counted, step.watermark)[0]
            known += [(finding.tick, [event.id for event in finding.evidence]) for finding in findings]
            known += [(tick, [action.id]) for tick, action in step.actions]
    return sorted(known)


def ids(slabs: Sequence[Slab]) -> list[str]:
    return [event.id for slab in slabs for step in slab.steps for event in step.counted]


def test_a_silent_source_holds_the_clock_until_it_says_how_far_time_has_come() -> None:
    busy, silent = Source(0, 2), Source(1, 2)
    intake = fresh()
    events = [line(n, START + n * SECOND) for n in range(60)]
    assert ids(drive(intake, [busy.give(events)])) == []
    released = ids(drive(intake, [silent.give(clock=START + 30 * SECOND)]))
    # What lies before the last grid tick that 30 s less the reordering has passed.
    assert released == [f"e{n}" for n in range(20)]


def test_what_waits_for_followers_is_decided_when_its_source_falls_silent() -> None:
    source = Source(0, 1)
    intake = fresh()
    assert drive(intake, [source.give([line(1, START)])]) == []
    slabs = drive(intake, [source.give(clock=START + 20 * SECOND)])
    assert len(ids(slabs)) == 1
    assert slabs[-1].watermark == START + 10 * SECOND


def test_a_clock_ahead_of_everybody_is_not_believed_when_its_source_falls_silent() -> None:
    source = Source(0, 1)
    intake = fresh()
    ordinary = [line(n, START + n * SECOND) for n in range(20)]
    ahead, after = line(20, START + 180 * MINUTE), line(21, START + 61 * SECOND)
    slabs = drive(
        intake,
        [
            source.give([*ordinary, ahead]),
            source.give(clock=START + MINUTE),
            source.give([after], clock=START + 90 * SECOND),
        ],
    )
    tally = slabs[-1].tallies[0]
    assert (tally.read, tally.counted, tally.late, tally.dead) == (22, 22, 0, 0)
    assert len(ids(slabs)) == 21  # the one from the future waits for its time


def test_people_decide_at_the_tick_after_their_time_and_are_never_late() -> None:
    events, people = Source(0, 2), Source(1, 2, actions=True)
    slabs = drive(
        fresh(),
        [
            people.give(clock=START),
            events.give([line(n, START + n * SECOND) for n in range(60)]),
            people.give([action(1, START + 12 * SECOND)]),
            people.give(clock=START + 60 * SECOND),
            people.give([action(2, START - 90 * MINUTE)]),
            events.give([line(n, START + n * SECOND) for n in range(60, 120)]),
            people.give(clock=START + 120 * SECOND),
        ],
    )
    took_effect = {each.id: tick for slab in slabs for step in slab.steps for tick, each in step.actions}
    assert took_effect["a-1"] == START + 20 * SECOND
    assert took_effect["a-2"] == START + 60 * SECOND
    tally = slabs[-1].tallies[1]
    assert (tally.read, tally.counted, tally.late) == (2, 2, 0)


def test_a_partition_that_joins_is_waited_for_and_adds_to_the_next_decisions() -> None:
    first, joined = Source(0, 1), Source(1, 2)
    intake = fresh()
    before = drive(intake, [first.give([line(n, START + n * SECOND) for n in range(120)])])
    passed = before[-1].watermark
    behind = [line(n, START + (n - 600) * SECOND) for n in range(600, 700)]
    assert drive(intake, [joined.give(behind), first.give([line(900, START + 400 * SECOND)])]) == []
    slabs = drive(intake, [first.give(clock=START + 400 * SECOND), joined.give(clock=START + 300 * SECOND)])
    assert {f"e{n}" for n in range(600, 700)} <= set(ids(slabs))
    known = decisions(before + slabs)
    assert all(tick > passed for tick, found in known if set(found) & {f"e{n}" for n in range(600, 700)})
    assert [tally.source for tally in slabs[-1].tallies] == ["topic/0", "topic/1"]


def test_what_a_joining_partition_brings_too_late_is_late() -> None:
    first, joined = Source(0, 1), Source(1, 2)
    intake = fresh()
    drive(intake, [first.give([line(n, START + n * SECOND) for n in range(120)])])
    old = [line(n, START - 60 * MINUTE + (n - 600) * SECOND) for n in range(600, 620)]
    slabs = drive(
        intake, [joined.give(old), first.give(clock=START + MINUTE * 9), joined.give(clock=START + MINUTE * 9)]
    )
    assert slabs[-1].tallies[1].late == 20


def test_time_never_goes_back_for_a_source_that_says_less_than_its_records() -> None:
    source = Source(0, 1)
    intake = fresh()
    drive(intake, [source.give([line(n, START + n * SECOND) for n in range(60)]), source.give(clock=START)])
    assert intake.newest == START + 59 * SECOND


def test_records_lost_before_they_were_read_are_counted_apart() -> None:
    source = Source(0, 1)
    events = [line(n, START + n * SECOND) for n in range(60)]
    (slab,) = drive(fresh(), [source.give(events, lost=7)])
    assert (slab.tallies[0].lost, slab.tallies[0].read) == (7, 60)


def log(seed: int) -> list[list[ReadBatch]]:
    """Three partitions, one of them people's, with silences; the batches of each in order."""
    rng = random.Random(seed)
    sources = [Source(0, 3), Source(1, 3), Source(2, 3, actions=True)]
    parts: list[list[ReadBatch]] = []
    for index, source in enumerate(sources):
        batches = []
        now = START
        for turn in range(12):
            now += rng.randrange(1, 40) * SECOND
            if index == 2:
                given = [action(turn * 10 + n, now - rng.randrange(20 * 60) * SECOND) for n in range(rng.randrange(2))]
                batches.append(source.give(given, clock=now))
            elif rng.random() < 0.3:
                batches.append(source.give(clock=now))
            else:
                count = rng.randrange(1, 12)
                numbers = [100_000 * index + 1_000 * turn + n for n in range(count)]
                batches.append(source.give([line(n, now - rng.randrange(12 * 60) * SECOND // 4) for n in numbers]))
        batches.append(source.give(clock=START + 20 * MINUTE))
        parts.append(batches)
    return parts


def interleaved(parts: Sequence[Sequence[ReadBatch]], rng: random.Random) -> list[ReadBatch]:
    rest = [list(part) for part in parts]
    order = []
    while any(rest):
        order.append(rng.choice([part for part in rest if part]).pop(0))
    return order


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 30))
def test_how_partitions_take_turns_and_where_reading_was_resumed_changes_no_decision(
    seed: int, turns: int, cut: int
) -> None:
    parts = log(seed)
    expected = decisions(drive(fresh(), interleaved(parts, random.Random(0))))
    order = interleaved(parts, random.Random(turns))
    intake = fresh()
    slabs = drive(intake, order[:cut])
    resumed = fresh()
    resumed.restore(intake.snapshot())
    slabs += drive(resumed, order[cut:])
    assert decisions(slabs) == expected
    assert expected[-1][0] <= START + 20 * MINUTE
