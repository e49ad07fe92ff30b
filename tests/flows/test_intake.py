"""Accounting, repeats, lateness and release: decided by arrival, and within the allowance not even by its order."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from flow_fakes import START, STEP, CopyingLabeller, TickingBank, excerpt, line
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.batch import RawBatch, ReadBatch, Slab
from flows.intake import Intake
from flows.pipeline import understand
from qianshao.config import Service
from qianshao.errors import StoreError
from qianshao.event import Observation
from qianshao.outcome import Tally

SECOND = 1_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def batches(lines: Sequence[bytes], size: int, partition: int = 0) -> list[ReadBatch]:
    cuts = range(0, max(1, len(lines)), size)
    return [
        understand(
            RawBatch(
                source=f"s{partition}",
                partition=partition,
                sequence=sequence,
                first=first + 1,
                lines=list(lines[first : first + size]),
                last=first == cuts[-1],
            ),
            CopyingLabeller(),
            excerpt,
        )
        for sequence, first in enumerate(cuts)
    ]


def fresh(sources: int = 1, **service: int) -> Intake:
    return Intake([f"s{index}" for index in range(sources)], Service(**service), excerpt)


def drive(intake: Intake, read: Sequence[ReadBatch]) -> list[Slab]:
    slabs = []
    for batch in read:
        intake.accept(batch)
        slab = intake.cut()
        if slab is not None:
            slabs.append(slab)
    return slabs


def run(lines: Sequence[bytes], size: int = 1000, **service: int) -> list[Slab]:
    return drive(fresh(**service), batches(lines, size))


def counted(slabs: Sequence[Slab]) -> list[Observation]:
    return [o for slab in slabs for step in slab.steps for o in step.counted]


def decisions(slabs: Sequence[Slab]) -> list[tuple[int, list[tuple[str, int, str | None]]]]:
    """What a bank could know at each tick."""
    bank = TickingBank(root=True)
    return [
        (finding.tick, [(o.id, o.ts, o.line) for o in finding.evidence])
        for slab in slabs
        for step in slab.steps
        for finding in bank.advance(step.counted, step.watermark)[0]
    ]


def fates(slabs: Sequence[Slab]) -> dict[str, int]:
    tally: Tally = slabs[-1].tallies[0]
    return {
        name: value
        for name in ("read", "counted", "late", "dead", "duplicate", "dropped")
        if (value := getattr(tally, name))
    }


def dirty_log(seed: int, size: int) -> list[bytes]:
    """A log with a bit of everything."""
    rng = random.Random(seed)
    lines: list[bytes] = []
    ts = START
    for number in range(size):
        ts += rng.choice((500, 3 * SECOND, 20 * SECOND))
        kind = rng.random()
        if kind < 0.03:
            lines.append(rng.choice([b"junk", b"[1]", b"  ", b"", line(number, 7), b"\xff\xfe"]))
        elif kind < 0.08:
            lines.append(line(rng.randrange(number + 1), ts))
        elif kind < 0.11:
            lines.append(line(number, ts - rng.randrange(6, 40) * MINUTE))
        elif kind < 0.12:
            lines.append(line(number, ts + rng.randrange(20, 40 * 60) * MINUTE))
        else:
            lines.append(line(number, ts, line=rng.choice((None, "家居", "出行")), product=rng.choice("甲乙")))
    return lines


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 900), st.sampled_from([1, 7, 100, 1000]))
def test_every_record_read_ends_in_exactly_one_place(seed: int, length: int, size: int) -> None:
    lines = dirty_log(seed, length)
    slabs = run(lines, size)
    assert [slab.final for slab in slabs] == [False] * (len(slabs) - 1) + [True]
    for slab in slabs:
        tally = slab.tallies[0]
        assert tally.read == tally.counted + tally.late + tally.dead + tally.duplicate + tally.dropped
    tally = slabs[-1].tallies[0]
    assert tally.read == sum(bool(each.strip()) for each in lines)
    assert tally.counted == len(counted(slabs)) + len(slabs[-1].beyond)
    assert tally.late == sum(len(slab.late) for slab in slabs)
    assert tally.dead == sum(len(slab.letters) for slab in slabs)
    assert tally.dropped == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_no_cut_and_no_order_of_the_workers_changes_a_decision(seed: int, data: st.DataObject) -> None:
    lines = dirty_log(seed, 600)
    expected = run(lines, 1000)
    read = batches(lines, data.draw(st.sampled_from([1, 13, 100])))
    random.Random(seed).shuffle(read)
    read.sort(key=lambda batch: batch.sequence // 4)  # workers run ahead of each other by some batches
    slabs = drive(fresh(), read)
    assert decisions(slabs) == decisions(expected)
    assert fates(slabs) == fates(expected)
    assert [o.id for o in slabs[-1].beyond] == [o.id for o in expected[-1].beyond]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_arrival_in_any_order_within_the_allowance_changes_no_decision(seed: int) -> None:
    rng = random.Random(seed)
    times = [START + place * rng.choice((2, 9)) * SECOND for place in range(700)]
    log = [(ts, line(number, ts, text=str(number))) for number, ts in enumerate(times)]
    log += [(ts + 90 * SECOND, line(number, ts + 90 * SECOND, text="again")) for number, ts in enumerate(times[::9])]
    shuffled = sorted(log, key=lambda record: record[0] + rng.randrange(300) * SECOND)
    expected = run([raw for _, raw in sorted(log, key=lambda record: record[0])])
    slabs = run([raw for _, raw in shuffled], 50)
    assert fates(slabs) == fates(expected)
    assert [(o.id, o.text) for o in counted(slabs)] == [(o.id, o.text) for o in counted(expected)]
    assert decisions(slabs) == decisions(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.sampled_from([1, 20, 150]))
def test_going_on_from_a_snapshot_is_the_same_as_never_having_stopped(seed: int, where: float, size: int) -> None:
    read = batches(dirty_log(seed, 500), size)
    if len(read) > 2:
        read[0], read[1] = read[1], read[0]
    place = int(where * len(read))
    first, second, whole = fresh(), fresh(), fresh()
    before = drive(first, read[:place])
    second.restore(first.snapshot())
    assert before + drive(second, read[place:]) == drive(whole, read)
    assert second.snapshot() == whole.snapshot()


def test_a_foreign_snapshot_is_refused() -> None:
    with pytest.raises(StoreError, match="intake"):
        fresh().restore(b"\x93\xa4bank\x01\xc0")
    with pytest.raises(StoreError, match="not readable"):
        fresh().restore(b"nothing")


def test_events_leave_in_order_of_time_then_id_and_below_the_watermark() -> None:
    slabs = run([line(number, START + (number * 7 % 50) * SECOND) for number in range(50)], 10)
    order = [(o.ts, o.id) for o in counted(slabs)]
    assert order == sorted(order)
    assert len(order) == 50
    for slab in slabs:
        assert slab.watermark % STEP == 0
        assert all(o.ts < step.watermark for step in slab.steps for o in step.counted)


def test_one_bad_clock_makes_nothing_late() -> None:
    lines = [line(number, START + number * 30 * SECOND) for number in range(300)]
    lines[100] = line(100, START + 8 * HOUR)
    lines[200] = line(200, START + 300 * HOUR)
    slabs = run(lines)
    assert fates(slabs) == {"read": 300, "counted": 299, "dead": 1}
    assert [(o.position, o.reason) for slab in slabs for o in slab.letters] == [(201, "implausible_timestamp")]
    assert [o.id for o in slabs[-1].beyond] == ["e100"]
    assert slabs[-1].watermark == START + 299 * 30 * SECOND + STEP


def test_in_a_tiny_log_what_comes_long_after_a_leap_is_late() -> None:
    slabs = run([line(1, START), line(2, START + 2 * HOUR), line(3, START + HOUR // 2)])
    assert fates(slabs) == {"read": 3, "counted": 2, "late": 1}
    assert [o.id for slab in slabs for o in slab.late] == ["e3"]


def test_behind_the_watermark_within_the_allowance_is_counted() -> None:
    log = [line(number, START + number * MINUTE) for number in range(60)]
    on_time = line(100, START + 59 * MINUTE - 15 * MINUTE)
    late = line(101, START + 59 * MINUTE - 15 * MINUTE - 1)
    slabs = run([*log, on_time, late])
    assert fates(slabs) == {"read": 62, "counted": 61, "late": 1}


def test_dead_goes_before_duplicate_and_duplicate_before_late() -> None:
    log = [line(number, START + number * MINUTE) for number in range(60)]
    slabs = run([*log, line(5, START), line(6, 3), line(61, START), line(61, START)])
    assert fates(slabs) == {"read": 64, "counted": 60, "dead": 1, "late": 1, "duplicate": 2}


def test_an_id_may_return_after_the_hours_of_memory() -> None:
    log = [line(number, START + number * MINUTE) for number in range(49 * 60)]
    end = START + 49 * HOUR
    slabs = run([*log, line(0, end), line(1 + 60, end)], dedup_hours=48)
    assert fates(slabs) == {"read": 49 * 60 + 2, "counted": 49 * 60 + 1, "duplicate": 1}


def test_of_repeats_still_waiting_the_earliest_is_kept() -> None:
    for order in ((1, 2), (2, 1)):
        (kept,) = counted(run([line(1, START + place * SECOND, text=str(place)) for place in order]))
        assert kept.text == "1"


def test_the_line_of_a_product_is_filled_in_from_its_last_event() -> None:
    slabs = run(
        [line(2, START + SECOND, line=None), line(1, START, line="出行"), line(3, START, product="窗", line=None)]
    )
    assert [(o.id, o.line) for o in counted(slabs)] == [("e1", "出行"), ("e3", None), ("e2", "出行")]


def test_almost_only_invalid_records_stop_a_source_with_everything_accounted() -> None:
    good = [line(number, START + number * SECOND) for number in range(100)]
    slabs = run([*good, *[b"junk"] * 5000], 333)
    assert slabs[-1].final
    assert slabs[-1].stopped == [0]
    assert "s0: 1900 of 2000 records read are invalid" in slabs[-1].failures[0]
    assert fates(slabs) == {"read": 2000, "counted": 100, "dead": 1900}


def test_fewer_invalid_records_than_the_breaker_looks_at_are_dead_letters() -> None:
    slabs = run([b"junk"] * 1999)
    assert fates(slabs) == {"read": 1999, "dead": 1999}
    assert slabs[-1].failures == []


def test_the_slowest_live_source_holds_the_watermark() -> None:
    intake = fresh(sources=2)
    fast = batches([line(number, START + number * MINUTE) for number in range(200)], 1000)
    slow = batches([line(1000 + number, START + number * MINUTE) for number in range(100)], 50, partition=1)
    fast[0].last = False
    assert drive(intake, fast) == []
    (first, second) = drive(intake, slow)
    assert first.watermark == START + (49 - 5) * MINUTE
    assert not second.final
    assert second.watermark == START + 194 * MINUTE


def test_an_empty_source_ends_with_a_final_slab_and_zeros() -> None:
    (slab,) = run([])
    assert slab.final
    assert fates([slab]) == {}
