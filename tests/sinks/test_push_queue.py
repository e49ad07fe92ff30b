"""The push queue: what may follow what, who holds a lease, and that every change is on record."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from qianshao.clock import DAY_MS, MINUTE_MS
from qianshao.errors import StoreError
from qianshao.outcome import Outcome
from sinks.push_queue import PushQueue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "push.sqlite3"


@pytest.fixture
def queue(path: Path, make: Any) -> Iterator[PushQueue]:
    queue = PushQueue(path, make.zone)
    yield queue
    queue.close()


def ready(queue: PushQueue, make: Any, *names: str, **fields: object) -> int:
    """Put, approve and queue pushes; return a time at which they may be sent."""
    for name in names:
        queue.put(make.push(name, **fields))
        assert queue.approve(name, make.start, "李工")
        assert queue.enqueue(name, make.start)
    return int(make.start + 20 * MINUTE_MS)


def states(queue: PushQueue, push: str) -> list[str]:
    return [change.record.state for change in queue.changes() if change.record.push == push]


def test_a_push_goes_from_proposed_to_delivered_and_every_step_is_on_record(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "p")
    (lease,) = queue.lease(now, 60, 10)
    queue.acknowledge("p", lease.token, now + 1, "msgid 7")
    assert states(queue, "p") == ["proposed", "approved", "queued", "leased", "delivered"]
    last = queue.changes()[-1]
    assert (last.detail, last.record.at) == ("msgid 7", "2025-12-11T00:20:00.001+08:00")
    assert queue.get("p") == make.push("p", state="delivered", at=last.record.at)


def test_a_repeated_put_changes_nothing_even_after_delivery(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "p")
    queue.acknowledge("p", queue.lease(now, 60, 1)[0].token, now)
    assert not queue.put(make.push("p"))
    assert queue.counts() == {"delivered": 1}


def test_nothing_is_leased_that_nobody_approved(queue: PushQueue, make: Any) -> None:
    queue.put(make.push("p"))
    assert not queue.enqueue("p", make.start)
    assert queue.lease(make.start + 20 * MINUTE_MS, 60, 10) == []


def test_nothing_is_leased_before_its_time_or_after_its_end(queue: PushQueue, make: Any) -> None:
    ready(queue, make, "p")
    assert queue.lease(make.start + 10 * MINUTE_MS - 1, 60, 10) == []
    assert queue.lease(make.start + DAY_MS, 60, 10) == []
    assert len(queue.lease(make.start + 10 * MINUTE_MS, 60, 10)) == 1


def test_urgent_pushes_go_first(queue: PushQueue, make: Any) -> None:
    ready(queue, make, "a", priority=3)
    now = ready(queue, make, "b", priority=1)
    assert [lease.push.push for lease in queue.lease(now, 60, 1)] == ["b"]
    assert [lease.push.push for lease in queue.lease(now, 60, 5)] == ["a"]


def test_a_lease_that_ran_out_is_given_to_the_next_worker_and_not_before(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "p")
    (first,) = queue.lease(now, 60, 1)
    assert queue.lease(now + 59_999, 60, 1) == []
    (second,) = queue.lease(now + 60_000, 60, 1)
    assert second.token != first.token
    with pytest.raises(StoreError, match="not held by lease"):
        queue.acknowledge("p", first.token, now + 60_001)
    queue.acknowledge("p", second.token, now + 60_002)
    assert states(queue, "p")[3:] == ["leased", "queued", "leased", "delivered"]


def test_a_late_acknowledgement_counts_while_nobody_else_holds_the_push(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "p")
    (lease,) = queue.lease(now, 60, 1)
    queue.expire(now + 61_000)
    assert queue.counts() == {"queued": 1}
    queue.acknowledge("p", lease.token, now + 62_000)
    assert queue.lease(now + 63_000, 60, 1) == []


def test_acknowledging_twice_is_acknowledging_once(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "p")
    (lease,) = queue.lease(now, 60, 1)
    queue.acknowledge("p", lease.token, now)
    queue.acknowledge("p", lease.token, now + 5)
    assert states(queue, "p").count("delivered") == 1
    with pytest.raises(StoreError, match="already delivered"):
        queue.fail("p", lease.token, now, "refused")


def test_a_refusal_is_final_and_keeps_its_reason(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "p")
    queue.fail("p", queue.lease(now, 60, 1)[0].token, now, "40012 退订")
    assert queue.changes()[-1].detail == "40012 退订"
    assert queue.lease(now + DAY_MS // 2, 60, 1) == []


def test_settling_what_was_never_leased_is_refused(queue: PushQueue, make: Any) -> None:
    queue.put(make.push("p"))
    with pytest.raises(StoreError, match="not held"):
        queue.acknowledge("p", "p#0", make.start)
    with pytest.raises(StoreError, match="unknown"):
        queue.acknowledge("q", "q#1", make.start)


def test_expiry_takes_what_is_past_its_end_and_spares_live_leases(queue: PushQueue, make: Any) -> None:
    end = make.start + DAY_MS
    ready(queue, make, "held")
    (lease,) = queue.lease(end - 1000, 60, 1)
    ready(queue, make, "queued")
    queue.put(make.push("proposed"))
    queue.put(make.push("long", valid_until=make.at(48 * 60)))
    assert queue.expire(end - 1) == []
    assert [push.push for push in queue.expire(end)] == ["proposed", "queued"]
    assert [push.push for push in queue.expire(lease.leased_until)] == ["held"]
    assert queue.counts() == {"expired": 3, "proposed": 1}


def test_cancelling_an_incident_stops_all_that_has_not_ended(queue: PushQueue, make: Any) -> None:
    now = ready(queue, make, "done")
    queue.acknowledge("done", queue.lease(now, 60, 1)[0].token, now)
    ready(queue, make, "leased")
    (lease,) = queue.lease(now, 60, 1)
    ready(queue, make, "queued")
    queue.put(make.push("proposed"))
    queue.put(make.push("other", incident="i2"))
    cancelled = queue.cancel_incident("i1", now)
    assert [(push.push, push.state) for push in cancelled] == [
        (name, "cancelled") for name in ("leased", "proposed", "queued")
    ]
    assert queue.cancel_incident("i1", now) == []
    assert queue.lease(now + DAY_MS // 2, 60, 9) == []
    queue.acknowledge("leased", lease.token, now)
    assert queue.counts() == {"cancelled": 2, "delivered": 2, "proposed": 1}


def test_what_the_desk_approves_waits_for_the_time_that_the_approval_brings(queue: PushQueue, make: Any) -> None:
    later = make.at(30)
    approved = make.push("p", state="approved", at=make.at(8), not_before=later)
    for pushes in ([make.push("p")], [approved], [approved]):
        queue.write(Outcome(sequence=0, watermark=0, pushes=pushes))
    assert states(queue, "p") == ["proposed", "approved"]
    assert queue.changes()[-1].detail == "desk"
    assert queue.enqueue("p", make.start + 9 * MINUTE_MS)
    assert queue.lease(make.start + 30 * MINUTE_MS - 1, 60, 1) == []
    assert [lease.push.not_before for lease in queue.lease(make.start + 30 * MINUTE_MS, 60, 1)] == [later]


def test_an_approval_of_the_desk_that_comes_too_late_changes_nothing(queue: PushQueue, make: Any) -> None:
    ready(queue, make, "queued")
    cancelled = make.push("p", state="cancelled", at=make.at(8))
    late = [make.push(name, state="approved", at=make.at(9), not_before=make.at(60)) for name in ("p", "queued")]
    queue.write(Outcome(sequence=0, watermark=0, pushes=[make.push("p"), cancelled, *late]))
    assert queue.counts() == {"cancelled": 1, "queued": 1}
    assert len(queue.lease(make.start + 20 * MINUTE_MS, 60, 9)) == 1


def test_a_flow_proposes_approves_and_takes_back_but_never_sends(queue: PushQueue, make: Any) -> None:
    cancelled = make.push("p", state="cancelled", at=make.at(8))
    for pushes in ([make.push("p"), make.push("q")], [cancelled], [cancelled]):
        queue.write(Outcome(sequence=0, watermark=0, pushes=pushes))
    assert states(queue, "p") == ["proposed", "cancelled"]
    for state in ("queued", "leased", "delivered", "failed"):
        with pytest.raises(StoreError, match="may only propose"):
            queue.write(Outcome(sequence=1, watermark=0, pushes=[make.push("r"), make.push("q", state=state)]))
    assert queue.counts() == {"cancelled": 1, "proposed": 1}


def test_an_outcome_is_taken_whole_or_not_at_all(queue: PushQueue, make: Any) -> None:
    with pytest.raises(StoreError):
        queue.write(Outcome(sequence=0, watermark=0, pushes=[make.push("p"), make.push("q", state="leased")]))
    assert queue.counts() == {}


def test_the_history_is_read_on_from_where_one_stopped(queue: PushQueue, make: Any) -> None:
    ready(queue, make, "a", "b")
    first = queue.changes(limit=4)
    rest = queue.changes(after=first[-1].sequence)
    assert [change.sequence for change in first + rest] == [1, 2, 3, 4, 5, 6]


def test_two_connections_never_hold_the_same_push(queue: PushQueue, path: Path, make: Any) -> None:
    now = ready(queue, make, *(f"p{number}" for number in range(10)))
    other = PushQueue(path, make.zone)
    taken: list[str] = []
    for step in range(5):
        for worker in (queue, other):
            taken += [lease.push.push for lease in worker.lease(now + step, 60, 1)]
    assert sorted(taken) == [f"p{number}" for number in range(10)]
    other.close()


WORKER = """
import sys
from datetime import UTC
from pathlib import Path
from sinks.push_queue import PushQueue
queue = PushQueue(Path(sys.argv[1]), UTC)
print("ready", flush=True)
sys.stdin.readline()
while leases := queue.lease(int(sys.argv[2]), 60, 3):
    for lease in leases:
        queue.acknowledge(lease.push.push, lease.token, int(sys.argv[2]), sys.argv[3])
        print(lease.push.push)
queue.close()
"""


def test_two_processes_racing_deliver_every_push_once(queue: PushQueue, path: Path, make: Any) -> None:
    names = [f"p{number:03d}" for number in range(120)]
    now = ready(queue, make, *names)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(now), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    sent = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(sent[0] + sent[1]) == names
    assert [states(queue, name).count("delivered") for name in names[:3]] == [1, 1, 1]
    assert queue.counts() == {"delivered": 120}


def test_a_file_that_is_no_queue_is_refused_in_words(tmp_path: Path, make: Any) -> None:
    (tmp_path / "file").write_text("this is not a database, not even nearly one" * 50)
    with pytest.raises(StoreError, match="cannot be opened"):
        PushQueue(tmp_path / "file", make.zone)
    with pytest.raises(StoreError, match="cannot be opened"):
        PushQueue(tmp_path / "absent" / "push.sqlite3", make.zone)


NEXT = {
    None: {"proposed"},
    "proposed": {"approved", "cancelled", "expired"},
    "approved": {"queued", "cancelled", "expired"},
    "queued": {"leased", "delivered", "failed", "cancelled", "expired"},
    "leased": {"queued", "delivered", "failed", "cancelled"},
    "cancelled": {"delivered", "failed"},
    "expired": {"delivered", "failed"},
    "delivered": set(),
    "failed": set(),
}


def test_no_course_of_events_breaks_the_order_of_states(tmp_path_factory: pytest.TempPathFactory, make: Any) -> None:
    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.queue = PushQueue(tmp_path_factory.mktemp("life") / "push.sqlite3", make.zone)
            self.now = make.start
            self.held: dict[str, tuple[str, int]] = {}
            self.leases: list[tuple[str, str]] = []

        @rule(push=st.sampled_from("abc"))
        def put(self, push: str) -> None:
            self.queue.put(make.push(push))

        @rule(push=st.sampled_from("abc"))
        def approve(self, push: str) -> None:
            self.queue.approve(push, self.now, "李工")
            self.queue.enqueue(push, self.now)

        @rule(minutes=st.sampled_from([1, 11, 700]))
        def wait(self, minutes: int) -> None:
            self.now += minutes * MINUTE_MS

        @rule(limit=st.integers(1, 3))
        def lease(self, limit: int) -> None:
            for lease in self.queue.lease(self.now, 300, limit):
                _, until = self.held.get(lease.push.push, ("", 0))
                assert until <= self.now, "two workers hold one push"
                self.held[lease.push.push] = (lease.token, lease.leased_until)
                self.leases.append((lease.push.push, lease.token))

        @rule(pick=st.integers(0, 5), good=st.booleans())
        def settle(self, pick: int, good: bool) -> None:
            if self.leases:
                push, token = self.leases[pick % len(self.leases)]
                try:
                    if good:
                        self.queue.acknowledge(push, token, self.now)
                    else:
                        self.queue.fail(push, token, self.now, "refused")
                except StoreError:
                    return
                assert self.held[push][0] == token, "an old lease has settled a push"

        @rule()
        def expire(self) -> None:
            self.queue.expire(self.now)

        @rule()
        def cancel(self) -> None:
            self.queue.cancel_incident("i1", self.now)

        @invariant()
        def history_is_legal_and_complete(self) -> None:
            last: dict[str, str] = {}
            for change in self.queue.changes():
                push = change.record.push
                assert change.record.state in NEXT[last.get(push)]
                last[push] = change.record.state
            counts: dict[str, int] = {}
            for state in last.values():
                counts[state] = counts.get(state, 0) + 1
            assert counts == self.queue.counts()

        def teardown(self) -> None:
            self.queue.close()

    Life.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
    case = Life.TestCase()
    case.runTest()
