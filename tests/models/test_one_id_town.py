"""An invented town whose people turn up under several identifiers, and share, lend and mistype them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import pytest

from models.one_id import OneId
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.event import Observation

START = 1_765_382_400_000


class Person(NamedTuple):
    """Somebody, and what only this person has."""

    own: dict[str, list[int]]
    """Kind → identifiers."""
    family: dict[str, list[int]]
    """The same, of the family: each member has them."""
    office: list[int]
    """Phones of everybody who works there."""


class Town:
    """People with one to four identifiers of their own each, and everything that is not theirs.

    One in eight lives in a family of two to four with one phone and one device; one in fifteen uses an office's phone.
    Hotlines, couriers, a shop's tablets, test accounts and agents' own ids stand in the records of people who have
    nothing to do with each other. One phone in a hundred is mistyped, sometimes into somebody else's.
    """

    def __init__(self, people: int, seed: int) -> None:
        self._rng = rng = random.Random(seed)
        self._taken: set[int] = set()
        self.people = [self._person() for _ in range(people)]
        place = 0
        while place < people * 12 // 100:
            size = rng.randint(2, 4)
            phone, device = self._new(), self._new()
            for person in self.people[place : place + size]:
                person.family.update(phone=[phone], device=[device])
            place += size
        self.offices = [self._new() for _ in range(people // 400)]
        for person in self.people[place : place + people // 15]:
            person.office.append(rng.choice(self.offices))
        self.hotlines = [self._new() for _ in range(4)]
        self.couriers = [self._new() for _ in range(people // 500)]
        self.tablets = [self._new() for _ in range(people // 1000)]
        self.tests = [self._new() for _ in range(3)]
        self.agents = [self._new() for _ in range(people // 800)]

    def _new(self) -> int:
        while (number := self._rng.getrandbits(64)) in self._taken or not number:
            pass
        self._taken.add(number)
        return number

    def _person(self) -> Person:
        rng = self._rng
        own: dict[str, list[int]] = {}
        for kind, share in (("phone", 0.85), ("account", 0.75), ("openid", 0.5), ("device", 0.4)):
            if rng.random() < share:
                own[kind] = [self._new()]
        if not own:
            own["phone"] = [self._new()]
        if "phone" in own and len(own) < 4 and rng.random() < 0.08:
            own["phone"].append(self._new())
        return Person(own, {}, [])

    def _phone(self, person: Person) -> int | None:
        rng = self._rng
        lent = [*person.family.get("phone", []), *person.office]
        if lent and rng.random() < 0.25:
            return rng.choice(lent)
        own = person.own.get("phone")
        if own is None:
            return None
        if rng.random() < 0.01:  # mistyped
            other = rng.choice(self.people).own.get("phone") if rng.random() < 0.1 else None
            return self._new() if other is None else other[0]
        return own[0] if len(own) == 1 or rng.random() < 0.6 else own[1]

    def events(self, contacts: float, days: int = 30) -> Iterator[Observation]:
        """Tell what happens, in order of time: so many contacts a person on average."""
        rng = self._rng
        moments = sorted(rng.randrange(days * DAY_MS) for _ in range(int(len(self.people) * contacts)))
        for number, moment in enumerate(moments):
            yield from self._contact(rng.choice(self.people), START + moment, number)

    def _contact(self, person: Person, ts: int, number: int) -> Iterator[Observation]:
        rng, own = self._rng, person.own
        phone, place = self._phone(person), rng.getrandbits(63) | 1
        named: dict[int, str] = {}
        if "device" in own and rng.random() < 0.3:  # logs of two hours, which name the account that is signed in
            device = {own["device"][0]: "device"}
            account = {own["account"][0]: "account"} if "account" in own else {}
            for hour in range(2):
                yield _event(f"d{number}-{hour}", "device", ts + hour, account | device, hour_of=ts + hour * HOUR_MS)
            return
        start = rng.choice([kind for kind in ("account", "openid", "phone") if kind in own] or ["phone"])
        if start == "phone" and phone is not None:
            named[phone] = "phone"
        elif start in own:
            named[own[start][0]] = start
        yield _event(f"c{number}", "chat", ts, named, place)
        if rng.random() < 0.15:
            yield _event(f"a{number}", "chat", ts, {rng.choice(self.agents): "account"}, place, "agent")
        if rng.random() < 0.5:  # asked for what else there is
            for kind in rng.sample(["account", "phone", "device"], 2):
                if kind == "phone" and phone is not None and "phone" not in named.values():
                    named = named | {phone: "phone"}
                elif kind in own and kind not in named.values():
                    named = named | {own[kind][0]: kind}
                elif kind == "device" and "device" in person.family:
                    named = named | {person.family["device"][0]: "device"}
            yield _event(f"f{number}", "chat", ts, named, place)
        if rng.random() < 0.3:
            ticket = dict(named)
            chance = rng.random()
            if chance < 0.06:
                ticket[rng.choice(self.couriers)] = "phone"
            elif chance < 0.10:
                ticket[rng.choice(self.hotlines)] = "phone"
            elif chance < 0.12:
                ticket[rng.choice(self.tests)] = "account"
            elif chance < 0.14:
                ticket[rng.choice(self.tablets)] = "device"
            elif chance < 0.15:
                ticket[rng.choice(self.agents)] = "account"
            elif phone is not None and "phone" not in ticket.values():
                ticket = {phone: "phone"}
            yield _event(f"t{number}", "ticket", ts, ticket, place if rng.random() < 0.8 else 0, ticket=place ^ 2)


def _event(
    name: str,
    kind: str,
    ts: int,
    named: dict[int, str],
    conversation: int = 0,
    role: str | None = None,
    ticket: int = 0,
    hour_of: int | None = None,
) -> Observation:
    who = next(iter(named), conversation)
    when = ts if hour_of is None else hour_of
    return Observation(
        id=name,
        kind=kind,
        ts=when,
        customer=who,
        identifiers=dict(named),
        conversation=conversation,
        role=role,
        ticket=ticket,
    )


class Agreement(NamedTuple):
    """How pairs that were linked agree with pairs that are one person's."""

    linked: int
    right: int
    possible: int


def agreement(one_id: OneId, town: Town, met: set[int]) -> Agreement:
    """Compare every two identifiers that were met with the people who have both: a family's phone is each member's."""
    has: dict[int, set[int]] = defaultdict(set)
    for number, person in enumerate(town.people):
        for kind in (*person.own.values(), *person.family.values()):
            for identifier in kind:
                has[identifier].add(number)
    groups: dict[int, list[int]] = defaultdict(list)
    people: dict[int, int] = defaultdict(int)
    for identifier in met:
        groups[one_id.root(identifier)].append(identifier)
        if len(has[identifier]) == 1:
            people[min(has[identifier])] += 1
    pairs = [pair for group in groups.values() for pair in combinations(group, 2)]
    return Agreement(
        linked=len(pairs),
        right=sum(not has[one].isdisjoint(has[other]) for one, other in pairs),
        possible=sum(count * (count - 1) // 2 for count in people.values()),
    )


@pytest.fixture(scope="module")
def lived() -> tuple[Town, OneId, set[int]]:
    """A town of 20 000 after a month, who knows whom, and which identifiers turned up."""
    town, one_id, met = Town(20_000, seed=20), OneId(500_000), set[int]()
    for event in town.events(4.0):
        met.update(event.identifiers)
        one_id.name(event)
    return town, one_id, met


def test_of_a_thousand_linked_pairs_not_more_than_one_is_two_peoples(lived: tuple[Town, OneId, set[int]]) -> None:
    town, one_id, met = lived
    found = agreement(one_id, town, met)
    assert found.linked > 18_000
    assert found.right / found.linked >= 0.999
    assert found.right / found.possible > 0.5


def test_nothing_that_a_town_shares_is_anybodys(lived: tuple[Town, OneId, set[int]]) -> None:
    town, one_id, met = lived
    shared = met.intersection((*town.hotlines, *town.couriers, *town.tablets, *town.tests, *town.agents, *town.offices))
    assert len(shared) > 50
    alone = [identifier for identifier in shared if one_id.root(identifier) == identifier]
    assert len(shared) - len(alone) <= 1
