"""One-ID in the flow: the same customers whatever the order of arrival, the cuts and the restarts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import msgspec
import pytest
from flow_fakes import START, STEP, excerpt, line, plain_stages
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.actions import decode_actions
from flows.batch import RawBatch
from flows.linking import Linking
from flows.pipeline import Ordering, Stages, understand
from flows.stages import Reading
from models.own_files import OwnFiles
from qianshao.action import Action
from qianshao.config import Config, Identity, Models, Service
from qianshao.errors import StoreError
from qianshao.event import Observation

HOUR = 3_600_000
CONFIG = Config(service=Service(reorder_seconds=300))
KINDS = ("account", "openid", "phone", "email", "device")
READING = Reading(b"k" * 16, OwnFiles(Models()))
STAGES: Stages = msgspec.structs.replace(plain_stages(CONFIG, None), labeller=lambda: READING)


def identifier(kind: str, number: int) -> str:
    return {"phone": f"1380013800{number}", "email": f"mail{number}@example.com"}.get(kind, f"{kind}-{number}")


def number(kind: str, which: int) -> int:
    return READING.pseudonym(identifier(kind, which))


def said(place: int, ts: int, conversation: str | None = None, **named: int) -> bytes:
    """A record that names some identifiers."""
    customer = {kind: identifier(kind, which) for kind, which in named.items()}
    return line(place, ts, customer=customer, role="customer", text="门锁离线", conversation=conversation)


def run(lines: Sequence[bytes], size: int, restart: int | None = None) -> list[tuple[str, int]]:
    """Put lines through reading and ordering in batches; return who each event is, and who counts differently when."""
    ordering = Ordering(STAGES, ["s"], CONFIG)
    named: list[tuple[str, int]] = []
    renamed: list[tuple[int, int, int]] = []
    cuts = range(0, max(1, len(lines)), size)
    for sequence, first in enumerate(cuts):
        if sequence == restart:
            data = ordering.snapshot()
            ordering = Ordering(STAGES, ["s"], CONFIG)
            ordering.restore(data)
            assert ordering.snapshot() == data
        raw = RawBatch(
            source="s",
            partition=0,
            sequence=sequence,
            first=first + 1,
            lines=list(lines[first : first + size]),
            last=first == cuts[-1],
        )
        slab = ordering.take(understand(raw, READING, excerpt))
        for step in slab.steps if slab is not None else ():
            assert all(not each.identifiers for each in step.counted)
            named += [(each.id, each.customer) for each in step.counted]
            renamed += step.renamed
        named += [(each.id, each.customer) for each in (slab.beyond if slab is not None else ())]
    return named + [(f"{tick} {who}", name) for tick, who, name in renamed]


def world(seed: int, people: int = 8) -> list[bytes]:
    rng = random.Random(seed)
    ts, lines = START, []
    for place in range(300):
        ts += rng.choice((1_000, 20_000, 200_000, HOUR))
        who = rng.randrange(people)
        kinds = rng.sample(KINDS, rng.randrange(3))
        shared = {"phone": 9} if rng.random() < 0.1 else {}
        conversation = f"c{who}-{place // 20}" if rng.random() < 0.5 else None
        lines.append(said(place, ts, conversation, **dict.fromkeys(kinds, who) | shared))
    return lines


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((1, 7, 60, 1000)), st.integers(0, 40))
def test_arrival_within_the_allowance_cuts_and_restarts_change_nobody(seed: int, size: int, restart: int) -> None:
    lines = world(seed)
    expected = run(lines, 1000)
    rng = random.Random(seed)
    shuffled = sorted(lines, key=lambda each: json.loads(each)["ts"] + rng.uniform(0, 299_000))
    assert run(shuffled, size, restart) == expected
    assert len({name for _, name in expected}) > 5


def test_a_person_is_one_customer_from_the_record_on_that_says_so() -> None:
    lines = [
        said(0, START, phone=1),
        said(1, START + HOUR, account=1, phone=1),
        said(2, START + 2 * HOUR, phone=1),
        said(3, START + 2 * HOUR + 1, device=1),
    ]
    named = dict(run(lines, 10))
    account, phone = number("account", 1), number("phone", 1)
    assert [named[f"e{place}"] for place in range(4)] == [phone, account, account, number("device", 1)]
    assert named[f"{START + HOUR + STEP} {phone}"] == account


def test_an_unlink_parts_two_identifiers_from_its_tick_on() -> None:
    linking = Linking(CONFIG)

    def seen(ts: int, *kinds: str) -> Observation:
        identifiers = {number(kind, 1): kind for kind in kinds}
        return Observation(id="e", kind="chat", ts=ts, customer=next(iter(identifiers)), identifiers=identifiers)

    account, openid = number("account", 1), number("openid", 1)
    linking.name([seen(START, "account", "openid")], START + STEP)
    before, after = seen(START + STEP, "openid"), seen(START + 2 * STEP, "openid")
    line_ = {
        "id": "a1",
        "action": "unlink",
        "by": "王班长",
        "at": START,
        "customer": identifier("openid", 1),
        "other": f"{account:016x}",
    }
    (action,) = decode_actions([json.dumps(line_).encode()], READING.pseudonym)
    assert isinstance(action, Action)
    renamed = linking.name([before, after], START + 3 * STEP, [(START + 2 * STEP, action)])
    assert [before.customer, after.customer] == [account, openid]
    assert renamed == [(START + 2 * STEP, openid, openid)]
    again = [seen(START + hours * HOUR, "account", "openid") for hours in range(1, 9)]
    linking.name(again, START + 9 * HOUR)
    assert linking.name([last := seen(START + 9 * HOUR, "openid")], START + 10 * HOUR) == []
    assert last.customer == openid


def test_what_joins_late_renames_at_the_next_decision_not_in_the_past() -> None:
    linking = Linking(CONFIG)
    identifiers = {number("account", 1): "account", number("openid", 1): "openid"}
    late = Observation(id="e", kind="chat", ts=START, customer=min(identifiers), identifiers=identifiers)
    linking.name([], START + 6 * STEP)
    assert [tick for tick, _, _ in linking.name([late], START + 7 * STEP)] == [START + 7 * STEP]


def test_without_linking_every_identifier_is_a_customer_of_its_own() -> None:
    linking = Linking(msgspec.structs.replace(CONFIG, identity=Identity(link=False)))
    identifiers = {number("account", 1): "account", number("openid", 1): "openid"}
    told = [
        Observation(id="e", kind="chat", ts=START, customer=who, identifiers=dict(identifiers)) for who in identifiers
    ]
    assert linking.name(told, START + STEP) == []
    assert [each.customer for each in told] == list(identifiers)
    assert not any(each.identifiers for each in told)


def test_no_raw_identifier_is_in_the_state() -> None:
    ordering = Ordering(STAGES, ["s"], CONFIG)
    lines = [*world(1), said(999, START + 900 * HOUR)]
    raw = RawBatch(source="s", partition=0, sequence=0, first=1, lines=lines)
    ordering.take(understand(raw, READING, excerpt))
    state = ordering.snapshot()
    assert number("account", 1).to_bytes(8, "big") in state
    for kind in KINDS:
        for which in range(10):
            assert identifier(kind, which).encode() not in state


@pytest.mark.parametrize("data", [b"", b"\x93\xa7linking\x01\xc0"])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        Linking(CONFIG).restore(data)


def test_a_state_for_another_memory_is_refused() -> None:
    small = Linking(msgspec.structs.replace(CONFIG, identity=Identity(maximum=1_000)))
    with pytest.raises(StoreError, match="not consistent"):
        Linking(CONFIG).restore(small.snapshot())
