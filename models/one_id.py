"""One-ID: which pseudonyms are one person, from what is seen together, with evidence and doubt."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.event import Observation

K = TypeVar("K")
V = TypeVar("V")


class Kind(NamedTuple):
    """What one kind of identifier says about people."""

    per_person: int
    """How many of them one person has at most."""
    seen_with: int
    """Identifiers of this kind that another one is seen with before it belongs to nobody: it is shared."""
    typed: bool = False
    """Whether people write it by hand: what was seen on one occasion only may be a slip of the pen."""


KINDS: dict[str, Kind] = {
    "account": Kind(per_person=1, seen_with=3),
    "openid": Kind(per_person=1, seen_with=3),
    "phone": Kind(per_person=2, seen_with=4, typed=True),
    "email": Kind(per_person=2, seen_with=4, typed=True),
    "device": Kind(per_person=16, seen_with=16),
}
"""The kinds that link, the preferred first. Whether any other tells people apart, nobody knows (a name does not)."""

WINDOW_MS = 90 * DAY_MS
"""What was not seen together for so long is forgotten when something new is: numbers are given to other people."""

STRONG = 2
"""Points of one record that names both."""
WEAK = 1
"""Points where one of them is a device, or where two records of one conversation or ticket name one each."""
ENOUGH = 2
"""Points from which two are one person."""
SECOND = 4
"""The same where the other side is already seen with another of the kind: a slip of the pen comes once."""
DOMINATES = 3
"""How many times the points of a rival outweigh it."""
MOST = 63
"""Points do not add up further, so that what was true for years can still be outweighed."""

_LEVELS = (2, 4, 8, 16, 32)
_PERSONS = tuple(kind for kind in KINDS if kind != "device")
_MAX_APART = 10_000
_MAX_IN_PLACE = 6
_BATCH = 64


class Link(msgspec.Struct, gc=False):
    """Two identifiers that were seen together."""

    points: int
    occasion: int
    """The conversation, ticket or hour that gave the newest points: it gives none twice."""
    seen: int
    accepted: int = 0
    """1 = by the smaller number, 2 = by the larger: it stands when both have no better choice."""


class Node(msgspec.Struct, gc=False):
    """One identifier that was seen with another."""

    kind: str
    root: int
    since: int
    """Its place in the order of first sight."""
    seen: int
    queued: int
    """What `seen` was when it was last put at the end of the queue of those to forget."""
    born: int
    """When it was first seen, 0 = it was seen again an hour later, or was known before."""
    links: dict[int, Link]
    group: tuple[int, ...]
    """Everything that is the same person, without devices, in order of first sight."""


class OneIdState(msgspec.Struct, array_like=True):
    """All that is known, in order."""

    ordinal: int
    numbers: list[int]
    kinds: list[str]
    nodes: list[int]
    """Of each number its root, since, seen, queued and born."""
    links: list[int]
    """Of each link its smaller and its larger number, points, occasion, seen and accepted."""
    shared: list[tuple[int, int]]
    places: list[tuple[int, dict[int, str]]]
    met: bytes
    apart: list[tuple[int, int]]


class OneId:
    """Links identifiers of one person, and names each person by the identifier of it that was seen first.

    Evidence
        One record that names two identifiers gives their link two points, or one if either is a device; so do, one
        point, two records of one conversation or ticket that name one each. One conversation, ticket or (without
        either) hour gives points once. Two points are enough; see `SECOND` where there is a rival. A phone or an e-mail
        address must have been seen before, or an hour later again: a slip of the pen does not come back, and who does
        not come back is not counted twice. Only customers' own turns, tickets, ratings and device logs are evidence:
        what agents and bots write may name themselves.
    Doubt
        An identifier seen with more of one kind than `Kind.seen_with` is *shared* (a hotline, a store's tablet, a
        courier): it links nobody, and what it had linked comes apart. One that is seen with two accounts takes the
        first only where that outweighs the second three times (a family's phone). A group that would hold more of a
        kind than a person has is cut at its weakest links, all of equal weight alike, until no group does. A device
        never joins two persons: it belongs to the one that it is seen with most, if that outweighs the others.
    Undo
        What people separate is never one again.

    Groups depend only on links, their points and what is shared; never on the order in which they came.

    Parameters
    ----------
    maximum
        Identifiers that are remembered; of shared ones an eighth, of conversations and tickets half as many. What was
        not seen for the longest time is forgotten first.

    Notes
    -----
    **Fails** where one phone serves one account of one person and one openid of another, and nothing else is seen:
    they become one. What was counted under two numbers before they were linked stays counted so. About 0.5 µs an event,
    20 µs one that changes a link.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._nodes: dict[int, Node] = {}
        self._shared: dict[int, int] = {}
        self._places: dict[int, dict[int, str]] = {}
        self._met = _Met(maximum)
        self._apart: dict[tuple[int, int], None] = {}
        self._foes: dict[int, set[int]] = {}
        self._ordinal = 0
        self.renamed: dict[int, int] = {}
        """Identifiers whose root has changed, with their roots; whoever reads it empties it."""

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def shared(self) -> int:
        """Identifiers known to be shared."""
        return len(self._shared)

    def root(self, number: int) -> int:
        """Return the number that stands for a person, the number itself where nothing is linked with it."""
        node = self._nodes.get(number)
        return number if node is None else node.root

    def identifiers_of(self, number: int) -> tuple[int, ...]:
        """Return every identifier of the same person that is not a device, in order of first sight."""
        node = self._nodes.get(self.root(number))
        return (number,) if node is None else node.group

    def name(self, observation: Observation) -> None:
        """Learn from one observation, and put the person's number in the place of its customer."""
        identifiers = observation.identifiers
        who = observation.customer
        ts = observation.ts
        place = observation.conversation or observation.ticket
        if identifiers:
            occasion = place or ts // HOUR_MS
            known = self._places.get(place) if place else None
            news = known is None or not identifiers.keys() <= known.keys()
            if news and observation.role in (None, "customer"):
                self._learn(identifiers, known, place, occasion, ts)
            if len(identifiers) > 1 and who in self._shared:
                who = next((number for number in identifiers if number not in self._shared), who)
        elif place and who == observation.conversation:
            named = self._places.get(place)
            if named:
                who = next(iter(named))
        else:
            return
        node = self._nodes.get(who)
        if node is not None:
            node.seen = ts
            if node.born and ts - node.born >= HOUR_MS:
                self._come_back(who, node)
            who = node.root
        observation.customer = who

    def _learn(
        self, identifiers: dict[int, str], known: dict[int, str] | None, place: int, occasion: int, ts: int
    ) -> None:
        """Take the evidence of a record that says something new about its conversation, ticket or hour."""
        if place and not self._gather(place, known, identifiers):
            return
        before = [
            number
            for number, kind in identifiers.items()
            if KINDS[kind].typed and (not known or number not in known) and self._met.again(number)
        ]
        if len(identifiers) == 1 and not known:
            return
        pairs = list(identifiers.items())
        for end, (other, other_kind) in enumerate(pairs):
            for one, kind in pairs[:end]:
                points = WEAK if kind == "device" or other_kind == "device" else STRONG
                self._see_pair(one, kind, other, other_kind, points, occasion, ts, before)
        if known:
            for one, kind in known.items():
                for other, other_kind in identifiers.items():
                    if one not in identifiers and other not in known:
                        self._see_pair(one, kind, other, other_kind, WEAK, occasion, ts, before)

    def _gather(self, place: int, known: dict[int, str] | None, identifiers: dict[int, str]) -> bool:
        """Note who is named in a conversation or a ticket; whether that may be one person."""
        if known is None:
            if len(self._places) >= max(1, self._maximum // 2):
                _drop_oldest(self._places)
            self._places[place] = identifiers
            return True
        if not known:
            return False  # too many were named here
        everybody = known | identifiers
        kinds = list(everybody.values())
        if len(kinds) > _MAX_IN_PLACE or any(kinds.count(kind) > KINDS[kind].per_person for kind in _PERSONS):
            self._places[place] = {}
            return False
        self._places[place] = everybody
        return True

    def _see_pair(
        self,
        one: int,
        kind: str,
        other: int,
        other_kind: str,
        points: int,
        occasion: int,
        ts: int,
        before: list[int],
    ) -> None:
        nodes = self._nodes
        if len(nodes) > self._maximum - 2:
            self._make_room()
        a, b = nodes.get(one), nodes.get(other)
        link = None if a is None else a.links.get(other)
        if link is not None and link.occasion == occasion:
            return
        if link is None and (kind == other_kind or self._is_shared(one, ts) or self._is_shared(other, ts)):
            return
        a = a or self._add(one, kind, ts, 0 if one in before else ts)
        b = b or self._add(other, other_kind, ts, 0 if other in before else ts)
        a.seen = b.seen = ts
        for number, node in ((one, a), (other, b)):
            if node.born and ts - node.born >= HOUR_MS:
                self._come_back(number, node)
        if link is None:
            a.links[other] = b.links[one] = Link(points, occasion, ts)
            self._change(one, other, ts)
            return
        link.seen, link.occasion = ts, occasion
        if link.points < MOST:
            one_person = a.root == b.root
            link.points = min(link.points + points, MOST)
            if kind == "device" or other_kind == "device":
                if not one_person:
                    self._give_owner(one if kind == "device" else other)
            elif not (one_person and link.accepted == 3):  # more of what stands already changes nothing
                self._change(one, other, ts)

    def _come_back(self, number: int, node: Node) -> None:
        """Note that an identifier is no slip of the pen: now its links can stand."""
        node.born = 0
        if KINDS[node.kind].typed:
            self._regroup((number,))

    def _is_shared(self, number: int, ts: int) -> bool:
        seen = self._shared.get(number)
        if seen is None:
            return False
        del self._shared[number]
        if ts - seen > WINDOW_MS:
            return False
        self._shared[number] = ts
        return True

    def _add(self, number: int, kind: str, ts: int, born: int) -> Node:
        self._ordinal += 1
        node = Node(kind, number, self._ordinal, ts, ts, born, {}, (number,))
        self._nodes[number] = node
        return node

    def _change(self, one: int, other: int, ts: int) -> None:
        """Judge the two ends of a link anew, and regroup everybody whom that can concern."""
        touched: dict[int, None] = {}
        for number in (one, other):
            node = self._nodes.get(number)
            if node is None:
                continue  # it was shared with the other end, a moment ago
            for stale in [each for each, link in node.links.items() if ts - link.seen > WINDOW_MS]:
                self._part(number, stale)
                touched[stale] = None
            if self._is_too_common(node):
                touched.update(dict.fromkeys(node.group))
                touched.update(dict.fromkeys(node.links))
                self._share(number, ts)
        device = next((number for number in (one, other) if self._is_device(number)), None)
        if device is None or touched:
            self._regroup([*touched, one, other])
        else:
            self._give_owner(device)  # a device changes nobody else

    def _is_device(self, number: int) -> bool:
        node = self._nodes.get(number)
        return node is not None and node.kind == "device"

    def _is_too_common(self, node: Node) -> bool:
        if len(node.links) <= 3:
            return False
        seen: dict[str, int] = {}
        for other in node.links:
            kind = self._nodes[other].kind
            seen[kind] = seen.get(kind, 0) + 1
        return any(count > KINDS[kind].seen_with for kind, count in seen.items())

    def _share(self, number: int, ts: int) -> None:
        self._forget(number)
        if len(self._shared) >= max(1, self._maximum // 8):
            _drop_oldest(self._shared)
        self._shared[number] = ts

    def _forget(self, number: int) -> None:
        node = self._nodes[number]
        for other in list(node.links):
            self._part(number, other)
        del self._nodes[number]
        if node.root != number:
            self.renamed[number] = number

    def _part(self, one: int, other: int) -> None:
        del self._nodes[one].links[other]
        del self._nodes[other].links[one]

    def _regroup(self, touched: Iterable[int]) -> None:
        """Find the groups of what was touched, of its neighbours, and of everybody who was or is in one with them."""
        nodes = self._nodes
        concerned: dict[int, None] = {}
        for number in touched:
            node = nodes.get(number)
            if node is None:
                continue
            concerned[number] = None
            if node.kind != "device":
                self._judge(number, node)
            for other in node.links:
                concerned[other] = None
        members = dict.fromkeys(member for number in concerned for member in nodes[number].group if member in nodes)
        devices: dict[int, None] = {}
        done: set[int] = set()
        for member in members:
            if nodes[member].kind == "device":
                devices[member] = None
            elif member not in done:
                done.update(self._settle(member, devices))
        for number in devices:
            self._give_owner(number)

    def _settle(self, number: int, devices: dict[int, None]) -> tuple[int, ...]:
        """Give one person's identifiers their group and root; note the devices to look at again."""
        group = self._group(number)
        root = group[0]
        for member in group:
            node = self._nodes[member]
            node.group = group
            self._rename(member, node, root)
            for other in node.links:
                if self._nodes[other].kind == "device":
                    devices[other] = None
        return group

    def _rename(self, number: int, node: Node, root: int) -> None:
        if node.root != root:
            node.root = root
            self.renamed[number] = root

    def _judge(self, number: int, node: Node) -> None:
        """Decide which links a person's identifier accepts: those that no rival makes doubtful."""
        points: dict[str, list[int]] = {}
        kinds: dict[int, str] = {}
        foes = self._foes.get(number, ())
        for other, link in node.links.items():
            kind = self._nodes[other].kind
            if kind != "device" and other not in foes:
                kinds[other] = kind
                points.setdefault(kind, []).append(link.points)
        doubtful = node.born != 0 and KINDS[node.kind].typed
        rival = 0
        for kind, each in points.items():
            each.sort(reverse=True)
            for place, others in enumerate(each[1:], 1):
                if place >= KINDS[kind].per_person or others < SECOND:
                    rival = max(rival, others)
                    break
        for other, link in node.links.items():
            known = kinds.get(other)
            accepts = False
            if known is not None:
                enough = ENOUGH if len(points[known]) == 1 else SECOND
                accepts = not doubtful and link.points >= max(enough, DOMINATES * rival)
            side = 1 if number < other else 2
            link.accepted = link.accepted | side if accepts else link.accepted & ~side

    def _group(self, number: int) -> tuple[int, ...]:
        """Return everything linked with an identifier, cut as high as needed for it to be one person."""
        for level in _LEVELS:
            group = self._reach(number, level)
            if group is not None:
                return group
        return (number,)

    def _reach(self, number: int, level: int) -> tuple[int, ...] | None:
        """Return what hangs together by links of so many points, None if it cannot be one person."""
        nodes = self._nodes
        reached = {number: nodes[number].since}
        held = {nodes[number].kind: 1}
        waiting = [number]
        while waiting:
            for other, link in nodes[waiting.pop()].links.items():
                if link.accepted == 3 and link.points >= level and other not in reached:
                    node = nodes[other]
                    held[node.kind] = held.get(node.kind, 0) + 1
                    if held[node.kind] > (KINDS[node.kind].per_person if level >= SECOND else 1):
                        return None
                    if other in self._foes and not self._foes[other].isdisjoint(reached):
                        return None
                    reached[other] = node.since
                    waiting.append(other)
        return tuple(sorted(reached, key=reached.__getitem__))

    def _give_owner(self, device: int) -> None:
        """Let a device belong to the person that it is seen with most, to itself if that is in doubt."""
        node = self._nodes[device]
        foes = self._foes.get(device, set())
        points: dict[int, int] = {}
        for other, link in node.links.items():
            person = self._nodes[other]
            if foes.isdisjoint(person.group):
                points[person.root] = points.get(person.root, 0) + link.points
        (owner, most), (_, second) = [*sorted(points.items(), key=lambda each: -each[1]), (device, 0), (device, 0)][:2]
        self._rename(device, node, owner if most >= max(ENOUGH, DOMINATES * second) else device)

    def separate(self, one: int, other: int) -> None:
        """Part two identifiers for good, because a person says that they are two people."""
        if one == other or not one or not other:
            return
        pair = min(one, other), max(one, other)
        if pair in self._apart:
            return
        if len(self._apart) >= _MAX_APART:
            for low, high in _drop_oldest(self._apart):
                self._foes[low].discard(high)
                self._foes[high].discard(low)
        self._set_apart(*pair)
        self._regroup(number for number in pair if number in self._nodes)

    def _make_room(self) -> None:
        """Forget the identifiers that were not seen since they were queued, a few at a time."""
        wanted = max(1, self._maximum // _BATCH)
        old: list[int] = []
        sample = list(islice(self._nodes.items(), 4 * wanted))
        for number, node in sample:
            newest = max((self._nodes[member].seen for member in node.group), default=node.seen)
            if newest > node.queued:
                node.queued = newest
                self._nodes[number] = self._nodes.pop(number)
            elif len(old) < wanted:
                old.append(number)
        touched: dict[int, None] = {}
        for number in old or [number for number, _ in sample[:wanted]]:
            node = self._nodes[number]
            touched.update(dict.fromkeys(node.group))
            touched.update(dict.fromkeys(node.links))
            self._forget(number)
        self._regroup(touched)

    def snapshot(self) -> OneIdState:
        """Return the state. About 3 µs an identifier."""
        nodes: list[int] = []
        links: list[int] = []
        for number, node in self._nodes.items():
            nodes += (node.root, node.since, node.seen, node.queued, node.born)
            for other in sorted(node.links):
                if other > number:
                    link = node.links[other]
                    links += (number, other, link.points, link.occasion, link.seen, link.accepted)
        return OneIdState(
            self._ordinal,
            list(self._nodes),
            [node.kind for node in self._nodes.values()],
            nodes,
            links,
            list(self._shared.items()),
            list(self._places.items()),
            self._met.snapshot(),
            list(self._apart),
        )

    def restore(self, state: OneIdState) -> None:
        """Go on from a snapshot.

        Raises
        ------
        ValueError
            If a link names an identifier that is not there, or a kind is unknown, or it is of another `maximum`.
        """
        if not (
            len(state.numbers) == len(state.kinds) == len(state.nodes) / 5
            and KINDS.keys() >= set(state.kinds)
            and set(state.numbers).issuperset(state.links[0::6] + state.links[1::6])
        ):
            raise ValueError("an identifier has an unknown kind or is linked with one that is not there")
        rows = zip(*(state.nodes[column::5] for column in range(5)), strict=True)
        self._nodes = {
            number: Node(kind, root, since, seen, queued, born, {}, (number,))
            for number, kind, (root, since, seen, queued, born) in zip(state.numbers, state.kinds, rows, strict=True)
        }
        for one, other, *rest in zip(*(state.links[column::6] for column in range(6)), strict=True):
            self._nodes[one].links[other] = self._nodes[other].links[one] = Link(*rest)
        groups: dict[int, list[int]] = {}
        for number, node in self._nodes.items():
            if node.kind != "device":
                groups.setdefault(node.root, []).append(number)
        for members in groups.values():
            group = tuple(sorted(members, key=lambda number: self._nodes[number].since))
            for number in group:
                self._nodes[number].group = group
        self._ordinal = state.ordinal
        self._shared = dict(state.shared)
        self._places = dict(state.places)
        self._met.restore(state.met)
        self._apart, self._foes = {}, {}
        for one, other in state.apart:
            self._set_apart(one, other)
        self.renamed = {}

    def _set_apart(self, one: int, other: int) -> None:
        self._apart[one, other] = None
        self._foes.setdefault(one, set()).add(other)
        self._foes.setdefault(other, set()).add(one)


class _Met:
    """Which identifiers were seen on an earlier occasion, in fixed memory; a few strangers pass for known.

    One byte for each place of a table, addressed by the pseudonym itself, which is as good as random. When an eighth is
    taken, everything is forgotten.
    """

    def __init__(self, maximum: int) -> None:
        self._mask = (1 << (8 * maximum - 1).bit_length()) - 1
        self._table = bytearray(self._mask + 1)
        self._taken = 0

    def again(self, number: int) -> bool:
        """Note one identifier; return whether it was noted before."""
        place = number & self._mask
        if self._table[place]:
            return True
        if self._taken > self._mask // 8:
            self._table = bytearray(self._mask + 1)
            self._taken = 0
        self._table[place] = 1
        self._taken += 1
        return False

    def snapshot(self) -> bytes:
        """Return the table, eight places a byte."""
        return np.packbits(np.frombuffer(self._table, np.uint8)).tobytes()

    def restore(self, state: bytes) -> None:
        """Take over a table of the same size.

        Raises
        ------
        ValueError
            If it has another size.
        """
        table = np.unpackbits(np.frombuffer(state, np.uint8))
        if len(table) != self._mask + 1:
            raise ValueError("it remembers another number of identifiers")
        self._table, self._taken = bytearray(table.tobytes()), int(table.sum())


def _drop_oldest(known: dict[K, V]) -> list[K]:
    """Forget some of the oldest at once: one by one each would walk over the gaps that those before it left."""
    dropped = list(islice(known, max(1, len(known) // _BATCH)))
    for key in dropped:
        del known[key]
    return dropped
