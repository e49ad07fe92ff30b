"""One-ID: who is one person, on which evidence, and when in doubt nobody."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.identity import Pseudonyms
from models.one_id import OneId, OneIdState
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.event import Observation

START = 1_765_382_400_000
NUMBERS = {"account": 1000, "openid": 2000, "phone": 3000, "email": 4000, "device": 5000}
_clock = itertools.count()


def kind_of(number: int) -> str:
    return next(kind for kind, base in NUMBERS.items() if base <= number < base + 1000)


def record(
    *numbers: int, conversation: int = 0, role: str | None = None, ticket: int = 0, ts: int | None = None
) -> Observation:
    """One record that names these identifiers, of an hour of its own."""
    return Observation(
        id="e",
        kind="chat",
        ts=START + next(_clock) * HOUR_MS if ts is None else ts,
        customer=numbers[0] if numbers else conversation,
        identifiers={number: kind_of(number) for number in numbers},
        conversation=conversation,
        role=role,
        ticket=ticket,
    )


def tell(one_id: OneId, *records: Observation) -> list[int]:
    """Let it name some records; return the customers."""
    for each in records:
        one_id.name(each)
    return [each.customer for each in records]


def fresh() -> OneId:
    return OneId(10_000)


def groups(one_id: OneId, numbers: Iterable[int]) -> set[frozenset[int]]:
    found: dict[int, set[int]] = {}
    for number in numbers:
        found.setdefault(one_id.root(number), set()).add(number)
    return {frozenset(group) for group in found.values()}


ACCOUNT, OTHER_ACCOUNT, OPENID, PHONE, DEVICE = 1001, 1002, 2001, 3001, 5001


def test_who_chats_by_account_and_calls_by_phone_is_one_customer() -> None:
    told = tell(fresh(), record(PHONE), record(ACCOUNT, PHONE), record(PHONE), record(OPENID, PHONE), record(OPENID))
    assert told == [PHONE, ACCOUNT, ACCOUNT, ACCOUNT, ACCOUNT]


def test_an_account_and_an_openid_of_one_record_are_one_at_once() -> None:
    assert tell(fresh(), record(OPENID, ACCOUNT), record(ACCOUNT)) == [OPENID, OPENID]


def test_a_phone_that_was_written_once_links_nobody_until_it_comes_back() -> None:
    one_id = fresh()
    tell(one_id, record(ACCOUNT, PHONE))
    assert one_id.root(PHONE) == PHONE
    assert tell(one_id, record(PHONE)) == [ACCOUNT]


def test_the_turns_of_one_conversation_do_not_vouch_for_a_phone() -> None:
    one_id = fresh()
    tell(one_id, *(record(ACCOUNT, PHONE, conversation=7, ts=START + turn) for turn in range(5)))
    assert one_id.root(PHONE) == PHONE


def test_a_device_is_somebodys_from_the_second_occasion_on() -> None:
    one_id = fresh()
    tell(one_id, record(ACCOUNT, DEVICE, ts=START), record(ACCOUNT, DEVICE, ts=START + 1))
    assert one_id.root(DEVICE) == DEVICE
    tell(one_id, record(ACCOUNT, DEVICE, ts=START + HOUR_MS))
    assert one_id.root(DEVICE) == ACCOUNT


def test_a_familys_device_joins_no_two_of_them() -> None:
    one_id = fresh()
    tell(one_id, *(record(ACCOUNT, DEVICE) for _ in range(9)), *(record(3002, DEVICE) for _ in range(8)))
    assert len(groups(one_id, [ACCOUNT, 3002, DEVICE])) == 3
    tell(one_id, *(record(ACCOUNT, DEVICE) for _ in range(20)))
    assert groups(one_id, [ACCOUNT, 3002, DEVICE]) == {frozenset((ACCOUNT, DEVICE)), frozenset((3002,))}


def test_a_hotline_merges_no_city_and_what_it_had_linked_comes_apart() -> None:
    one_id = fresh()
    hotline = PHONE
    tell(one_id, record(hotline), record(1001, hotline))
    assert one_id.root(hotline) == 1001
    one_id.renamed.clear()
    tell(one_id, *(record(account, hotline) for account in range(1002, 1100)))
    assert one_id.shared == 1
    assert len(groups(one_id, [hotline, *range(1001, 1100)])) == 100
    assert one_id.renamed[hotline] == hotline


def test_a_record_that_names_a_shared_number_first_is_counted_for_the_other() -> None:
    one_id = fresh()
    tell(one_id, *(record(ACCOUNT, phone) for phone in range(3001, 3010)))
    assert tell(one_id, record(ACCOUNT, 3050)) == [3050]


def test_a_shared_number_that_was_silent_for_a_season_is_a_number_like_any_other() -> None:
    one_id = fresh()
    tell(one_id, *(record(account, PHONE, ts=START) for account in range(1001, 1010)))
    later = START + 91 * DAY_MS
    tell(one_id, record(1050, PHONE, ts=later))
    assert (one_id.shared, one_id.root(PHONE)) == (0, 1050)


def test_a_phone_that_was_given_to_somebody_else_follows() -> None:
    one_id = fresh()
    tell(one_id, *(record(ACCOUNT, PHONE, ts=START + hour * HOUR_MS) for hour in range(50)))
    later = START + 100 * DAY_MS
    tell(one_id, record(OTHER_ACCOUNT, PHONE, ts=later), record(OTHER_ACCOUNT, PHONE, ts=later + HOUR_MS))
    assert groups(one_id, [ACCOUNT, OTHER_ACCOUNT, PHONE]) == {
        frozenset((ACCOUNT,)),
        frozenset((OTHER_ACCOUNT, PHONE)),
    }


def test_a_phone_of_two_accounts_is_neithers_unless_one_outweighs_the_other_three_times() -> None:
    one_id = fresh()
    tell(one_id, record(PHONE), record(ACCOUNT, PHONE), record(OTHER_ACCOUNT, PHONE))
    assert len(groups(one_id, [ACCOUNT, OTHER_ACCOUNT, PHONE])) == 3
    tell(one_id, record(ACCOUNT, PHONE), record(ACCOUNT, PHONE))
    assert one_id.root(PHONE) == one_id.root(ACCOUNT) != one_id.root(OTHER_ACCOUNT)


def test_two_people_who_meet_in_one_record_stay_two() -> None:
    one_id = fresh()
    phones = 3001, 3002
    for _ in range(5):
        tell(one_id, record(ACCOUNT, phones[0]), record(OTHER_ACCOUNT, phones[1]))
    tell(one_id, record(ACCOUNT, phones[1]), record(OPENID, phones[0]), record(OPENID, phones[1]))
    assert one_id.root(phones[0]) == one_id.root(ACCOUNT)
    assert one_id.root(phones[1]) == one_id.root(OTHER_ACCOUNT)
    assert one_id.root(ACCOUNT) != one_id.root(OTHER_ACCOUNT)


def test_one_person_has_two_phones_when_both_were_seen_twice() -> None:
    one_id = fresh()
    tell(one_id, record(ACCOUNT, 3001), record(ACCOUNT, 3001), record(ACCOUNT, 3002))
    assert one_id.root(3002) == 3002
    tell(one_id, record(ACCOUNT, 3001), record(ACCOUNT, 3002))
    assert groups(one_id, [ACCOUNT, 3001, 3002]) == {frozenset((ACCOUNT, 3001, 3002))}


def test_two_conversations_that_name_the_one_and_the_other_are_evidence_and_one_is_not() -> None:
    one_id = fresh()
    tell(one_id, record(OPENID, conversation=7), record(ACCOUNT, conversation=7))
    assert one_id.root(ACCOUNT) == ACCOUNT
    tell(one_id, record(OPENID, conversation=8), record(ACCOUNT, conversation=8))
    assert one_id.root(ACCOUNT) == OPENID


def test_a_conversation_in_which_two_accounts_speak_says_nothing_more() -> None:
    one_id = fresh()
    tell(one_id, record(ACCOUNT, conversation=7), record(OTHER_ACCOUNT, conversation=7))
    tell(one_id, *(record(OPENID, ACCOUNT, conversation=7) for _ in range(3)))
    assert one_id.root(ACCOUNT) == ACCOUNT


def test_the_turns_of_a_conversation_that_name_nobody_belong_to_who_was_named_in_it() -> None:
    told = tell(
        fresh(),
        record(conversation=7),
        record(OPENID, ACCOUNT, conversation=7),
        record(conversation=7, role="agent"),
        record(conversation=8),
    )
    assert told == [7, OPENID, OPENID, 8]


@pytest.mark.parametrize("role", ["agent", "bot"])
def test_what_agents_and_bots_name_is_no_evidence(role: str) -> None:
    one_id = fresh()
    tell(one_id, *(record(OPENID, ACCOUNT, conversation=number, role=role) for number in range(1, 9)))
    assert one_id.root(ACCOUNT) == ACCOUNT


def test_what_people_separate_stays_apart_and_the_rest_together() -> None:
    one_id = fresh()
    again = [record(PHONE), *(record(ACCOUNT, PHONE) for _ in range(9)), *(record(OPENID, PHONE) for _ in range(9))]
    tell(one_id, *again)
    assert one_id.root(OPENID) == one_id.root(ACCOUNT)
    one_id.renamed.clear()
    one_id.separate(ACCOUNT, PHONE)
    assert groups(one_id, [ACCOUNT, PHONE, OPENID]) == {frozenset((ACCOUNT,)), frozenset((PHONE, OPENID))}
    assert one_id.renamed
    tell(one_id, *(record(ACCOUNT, PHONE) for _ in range(70)), *(record(ACCOUNT, OPENID) for _ in range(3)))
    assert one_id.root(ACCOUNT) != one_id.root(PHONE)


def test_what_was_separated_before_it_ever_met_is_never_linked() -> None:
    one_id = fresh()
    one_id.separate(DEVICE, ACCOUNT)
    one_id.separate(OPENID, ACCOUNT)
    tell(one_id, *(record(ACCOUNT, OPENID, DEVICE) for _ in range(9)))
    assert len(groups(one_id, [ACCOUNT, OPENID])) == 2
    assert one_id.root(DEVICE) != one_id.root(ACCOUNT)


def test_the_number_of_a_person_stays_that_of_the_identifier_seen_first() -> None:
    told = tell(fresh(), record(OPENID, 4001), record(OPENID, 4001), record(ACCOUNT, 4001), record(ACCOUNT))
    assert told == [OPENID] * 4


def test_a_masked_value_and_an_unknown_kind_link_nobody() -> None:
    pseudonyms = Pseudonyms(b"k" * 16)
    device = pseudonyms.of("LK1")
    named = {"phone": "138****8000", "name": "王伟", "account": "u1", "openid": " "}
    assert pseudonyms.linkable(named, device) == {pseudonyms.of("u1"): "account", device: "device"}
    assert pseudonyms.linkable({"name": "王伟"}, device) == {}


Told = list[tuple[int, list[int], int, bool]]
NAMED = st.lists(
    st.sampled_from([base + number for base in NUMBERS.values() for number in range(3)]),
    max_size=3,
    unique_by=kind_of,
)
STREAMS: st.SearchStrategy[Told] = st.lists(
    st.tuples(st.integers(0, 3), NAMED, st.integers(0, 4), st.booleans()), max_size=60
)


def records(told: Told) -> list[Observation]:
    ts, made = START, []
    for hours, numbers, conversation, agent in told:
        ts += hours * HOUR_MS * 9
        made.append(record(*numbers, conversation=conversation, role="agent" if agent else None, ts=ts))
    return made


@settings(max_examples=60, deadline=None)
@given(STREAMS, st.integers(0, 60), st.sampled_from([4, 10_000]))
def test_a_restored_state_goes_on_bit_for_bit(told: Told, cut: int, maximum: int) -> None:
    whole, before, after = (OneId(maximum) for _ in range(3))
    stream = records(told)
    expected = tell(whole, *map(msgspec.structs.replace, stream))
    begun = tell(before, *map(msgspec.structs.replace, stream[:cut]))
    before.separate(1001, 3001)
    after.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(before.snapshot()), type=OneIdState))
    assert after.snapshot() == before.snapshot()
    if cut >= len(stream):
        assert begun == expected
    rest = stream[cut:]
    assert tell(after, *map(msgspec.structs.replace, rest)) == tell(before, *map(msgspec.structs.replace, rest))
    assert after.snapshot() == before.snapshot()


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMED, max_size=40), st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_in_which_links_came(named: Sequence[list[int]], luck: object) -> None:
    everybody = [base + number for base in NUMBERS.values() for number in range(3)]
    found = []
    for stream in (named, luck.sample(named, len(named))):  # type: ignore[attr-defined]
        one_id = fresh()
        tell(one_id, *(record(number) for number in everybody))
        tell(one_id, *(record(*numbers) for numbers in stream))
        found.append(groups(one_id, everybody) if not one_id.shared else set())
    assert found[0] == found[1] or not all(found)


@settings(max_examples=60, deadline=None)
@given(STREAMS)
def test_no_group_holds_what_two_people_have(told: Told) -> None:
    one_id = fresh()
    tell(one_id, *records(told))
    for group in groups(one_id, [base + number for base in NUMBERS.values() for number in range(3)]):
        kinds = [kind_of(number) for number in group]
        assert kinds.count("account") <= 1
        assert kinds.count("openid") <= 1
        assert kinds.count("phone") <= 2


def test_memory_is_bounded_whatever_comes() -> None:
    one_id = OneId(100)
    for number in range(3_000):
        tell(
            one_id,
            record(1000 + number % 1000, 2000 + number * 7 % 1000, 3000 + number * 3 % 1000, conversation=number),
            record(1000 + number % 1000, 5000 + number % 3, ticket=10_000 + number),
        )
        assert len(one_id) <= 100
    state = one_id.snapshot()
    assert len(state.shared) <= 12
    assert len(state.places) <= 50
    assert len(msgspec.msgpack.encode(state)) < 60_000


def test_who_is_seen_again_and_again_is_not_forgotten() -> None:
    one_id = OneId(100)
    tell(one_id, record(ACCOUNT, OPENID))
    for number in range(500):
        tell(one_id, record(OPENID), record(1100 + number, 2100 + number))
    assert one_id.root(OPENID) == ACCOUNT


def test_links_to_nobody_are_refused_when_a_state_is_restored() -> None:
    one_id = fresh()
    tell(one_id, record(ACCOUNT, OPENID))
    state = one_id.snapshot()
    state.links[1] += 1
    with pytest.raises(ValueError, match="not there"):
        fresh().restore(state)
    with pytest.raises(ValueError, match="another number"):
        OneId(50_000).restore(one_id.snapshot())
