"""Coming back: the same customer, the same topic, another conversation within three days."""

from __future__ import annotations

import msgspec
import pytest

from detectors.repeats import WITHIN_MS, RepeatContacts
from qianshao.clock import HOUR_MS
from qianshao.event import Observation

START = 1_773_100_800_000


def contact(
    ts: int, *, customer: int = 7, conversation: int = 1, topic: str = "物流配送", line: str = "家居"
) -> Observation:
    return Observation(
        id=f"{ts}-{customer}",
        kind="chat",
        ts=ts,
        line=line or None,
        product="门锁",
        customer=customer,
        conversation=conversation,
        topic=topic,
    )


def returned(repeats: RepeatContacts) -> dict[str, tuple[int, int]]:
    return {str(each.series): (each.customers, each.messages) for each in repeats.close_bin(START)}


def test_another_conversation_about_the_same_topic_is_a_repeat() -> None:
    repeats = RepeatContacts(root=False)
    repeats.see(contact(START))
    repeats.see(contact(START + HOUR_MS, conversation=2))
    assert returned(repeats) == {"repeat:|line=家居": (1, 1), "repeat:|line=家居|product=门锁": (1, 1)}


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"ts": START + HOUR_MS}, id="the same conversation"),
        pytest.param({"ts": START + HOUR_MS, "conversation": 2, "topic": "发票"}, id="another topic"),
        pytest.param({"ts": START + HOUR_MS, "conversation": 2, "customer": 8}, id="somebody else"),
        pytest.param({"ts": START + WITHIN_MS + 1, "conversation": 2}, id="after three days"),
        pytest.param({"ts": START + HOUR_MS, "conversation": 0}, id="no conversation"),
    ],
)
def test_nothing_else_is_a_repeat(later: dict[str, object]) -> None:
    repeats = RepeatContacts(root=True)
    repeats.see(contact(START))
    repeats.see(contact(**later))  # type: ignore[arg-type]
    assert returned(repeats) == {}


def test_a_customer_who_returns_twice_in_a_bin_is_one_customer() -> None:
    repeats = RepeatContacts(root=True)
    for number in range(3):
        repeats.see(contact(START + number, conversation=number + 1))
    assert returned(repeats) == {"repeat:": (1, 2)}


def test_memory_is_bounded_and_the_least_recent_leave_first() -> None:
    repeats = RepeatContacts(root=True, maximum=2)
    for customer in (1, 2, 3):
        repeats.see(contact(START + customer, customer=customer))
    for customer in (1, 3):
        repeats.see(contact(START + HOUR_MS + customer, customer=customer, conversation=2))
    assert returned(repeats) == {"repeat:": (1, 1)}


def test_a_restored_memory_goes_on_as_if_uninterrupted() -> None:
    whole, first, second = (RepeatContacts(root=False) for _ in range(3))
    events = [contact(START + n * HOUR_MS, customer=n % 3 + 1, conversation=n + 1) for n in range(12)]
    for event in events[:7]:
        whole.see(event)
        first.see(event)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot()), strict=False))
    for event in events[7:]:
        whole.see(event)
        second.see(event)
    whole.forget(START + 80 * HOUR_MS)
    second.forget(START + 80 * HOUR_MS)
    assert whole.snapshot() == second.snapshot() == msgspec.to_builtins(second.snapshot())
    assert returned(whole) == returned(second) != {}
