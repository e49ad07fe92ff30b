"""Which versions are being rolled out: devices and customers who state another version than before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scipy.special import betainc

from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.event import Observation
from qianshao.finding import Suspect

MAX_PEOPLE = 200_000
"""Devices and customers whose version is remembered, once for each group; the longest unseen one leaves first."""
MAX_GROUPS = 400
"""Models, products and own dimensions whose versions are followed; the longest unseen one leaves first."""
MAX_VERSIONS = 24
"""Versions of one group; beyond it the one that fewest state leaves."""
UNSEEN_MS = 3 * DAY_MS
"""Who has not been seen for so long is not counted in shares any more."""
FRESH_MS = 3 * DAY_MS
"""A roll-out that began earlier than this is no answer to “why now”."""
SETTLED_MS = DAY_MS // 2
"""How long a group must have been known before a version can be new in it."""
LEAST = 5
"""Devices or customers who must have come to a version."""
BACK = 3
"""At least so many must come to a version for each one who leaves it: who has two devices goes to and fro."""
PAUSE_MS = 6 * HOUR_MS
EARLY = 0.1
"""What came before a pause, and was less than this share, was a trial; the roll-out began after it."""
CHANCE = 0.01
"""A version that the place does not name must be carried by more of the evidence than chance brings this seldom."""

_VERSION = re.compile(r"[A-Za-z]{0,8}[ ._-]?[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}[0-9A-Za-z ._+()-]{0,16}")

_Group = tuple[str, str, str]
"""Dimension, product and model; empty where all products or models are taken together."""


class _Hour(NamedTuple):
    """How many came to a version, and left it, in one hour."""

    first_ts: int
    """When the first one came, 0 = nobody did."""
    came: int
    left: int


class _Version:
    """What is known of one version within its group."""

    def __init__(self, first_ts: int, *, new: bool) -> None:
        self.first_ts = first_ts
        self.new = new
        """The group was known for long enough when it was first stated; otherwise only changes from another count."""
        self.people = 0
        """Who states it now."""
        self.hours: dict[int, _Hour] = {}
        """By the hour's start, ascending."""

    def move(self, ts: int, came: int, left: int) -> None:
        hour = ts - ts % HOUR_MS
        first_ts, before, gone = self.hours.get(hour) or _Hour(0, 0, 0)
        self.hours[hour] = _Hour(first_ts or ts * came, before + came, gone + left)

    def forget(self, now: int) -> None:
        for hour in [hour for hour in self.hours if hour < now - FRESH_MS]:
            del self.hours[hour]

    def since(self, now: int) -> int:
        """Return when its roll-out began, 0 if it is not being rolled out."""
        hours = [(hour, each) for hour, each in self.hours.items() if hour >= now - FRESH_MS]
        came, left = sum(each.came for _, each in hours), sum(each.left for _, each in hours)
        if came - left < LEAST or came < BACK * left:
            return 0
        rising = [(hour, each) for hour, each in hours if each.came]
        start, before = 0, 0
        for place in range(1, len(rising)):
            before += rising[place - 1][1].came
            if rising[place][0] - rising[place - 1][0] > PAUSE_MS and before <= EARLY * came:
                start = place
        return rising[start][1].first_ts


class Rollouts:
    """Follows which firmware, or version of an own dimension, each device or customer states last.

    It answers “why now”: has the version that these customers carry just been brought out, since when, and how far is
    it? A version is in roll-out when in the last three days five more came to it than left it; of a version that the
    group had before, only changes from another one count. Any event tells, also the heartbeat of a healthy device. The
    share is that among all of the same product and model (an own dimension: among everybody) seen in three days.
    Nothing here opens an incident.

    When it fails: in the first half day every version is as old as the others; customers who state a version only when
    they complain make its share too large; names of versions without a dot are not recognised.
    Cost: 2 µs an event that states a version. Memory is bounded.
    """

    def __init__(self) -> None:
        self._people: dict[tuple[int, _Group], tuple[str, int]] = {}
        """Who, in which group → the version stated last and when, least recently seen first."""
        self._groups: dict[_Group, dict[str, _Version]] = {}

    def see(self, observation: Observation) -> None:
        """Take one event of any kind, in order of time."""
        who = observation.device or observation.customer
        if not who:
            return
        if observation.firmware and (observation.product or observation.model):
            product, model = observation.product or "", observation.model or ""
            for group in {("firmware", product, ""): None, ("firmware", product, model): None}:
                self._state(group, observation.firmware, who, observation.ts)
        for name, value in observation.dims.items():
            if _VERSION.fullmatch(value):
                self._state((name, "", ""), value, who, observation.ts)

    def _state(self, group: _Group, value: str, who: int, ts: int) -> None:
        versions = self._groups.pop(group, None) or {}
        self._groups[group] = versions
        if len(self._groups) > MAX_GROUPS:
            del self._groups[next(iter(self._groups))]
        before = self._people.pop((who, group), None)
        self._people[who, group] = (value, ts)
        if before is not None and before[0] == value:
            return
        version = versions.get(value)
        if version is None:
            known = min((each.first_ts for each in versions.values()), default=ts)
            version = versions[value] = _Version(ts, new=ts - known >= SETTLED_MS)
            if len(versions) > MAX_VERSIONS:
                del versions[min(versions, key=lambda each: (each == value, versions[each].people, each))]
        version.people += 1
        if before is not None or version.new:
            version.move(ts, 1, 0)
        old = versions.get(before[0]) if before is not None else None
        if old is not None:
            old.people = max(0, old.people - 1)
            old.move(ts, 0, 1)
        if len(self._people) > MAX_PEOPLE:
            self._leave(next(iter(self._people)))

    def _leave(self, key: tuple[int, _Group]) -> None:
        value, _ = self._people.pop(key)
        version = self._groups.get(key[1], {}).get(value)
        if version is not None:
            version.people = max(0, version.people - 1)

    def forget(self, now: int) -> None:
        """Let go who was not seen for three days, versions that nobody states, and hours that are over."""
        stale = []
        for key, (_, ts) in self._people.items():
            if ts >= now - UNSEEN_MS:
                break
            stale.append(key)
        for key in stale:
            self._leave(key)
        for versions in self._groups.values():
            for version in versions.values():
                version.forget(now)

    def suspect(self, dims: Mapping[str, str | list[str]], evidence: Sequence[Observation], now: int) -> Suspect | None:
        """Name the version in roll-out that a place names, or that most of its evidence carries; None = there is none.

        Where the place does not name it, the evidence must carry it more often than everybody of its model does: a
        version that all have soon is carried by the customers of any cause.
        """
        own = sorted({name for event in evidence for name in event.dims})
        for name in ("firmware", *own):
            stated: dict[int, str] = {}
            for event in evidence:
                value = event.dimension(name)
                if value:
                    stated[event.device or event.customer] = value
            counted = Counter(stated.values())
            named = dims.get(name)
            values = [named] if isinstance(named, str) else named or []
            value = max(values or counted, key=lambda each: (counted[each], each), default="")
            if not value:
                continue
            found = self._rolling(name, value, dims, evidence, now)
            if found is None:
                continue
            often = betainc(counted[value], len(stated) - counted[value] + 1, found.share) if counted[value] else 1.0
            if values or (2 * counted[value] > len(stated) and often <= CHANCE):
                return found
        return None

    def _rolling(
        self, name: str, value: str, dims: Mapping[str, str | list[str]], evidence: Sequence[Observation], now: int
    ) -> Suspect | None:
        """Return what is known of a roll-out in the narrowest group that the place or most of the evidence names."""
        groups: list[_Group] = [(name, "", "")]
        if name == "firmware":
            product = _said("product", dims, evidence)
            groups = [(name, product, _said("model", dims, evidence)), (name, product, "")]
        for group in groups:
            versions = self._groups.get(group, {})
            version = versions.get(value)
            since = version.since(now) if version is not None else 0
            if version is not None and since:
                everybody = sum(each.people for each in versions.values())
                share = round(version.people / max(everybody, 1), 3)
                return Suspect(dimension=name, value=value, since=since, share=share, among=group[2] or group[1])
        return None

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        number = {group: place for place, group in enumerate(dict.fromkeys(group for _, group in self._people))}
        return {
            "named": list(number),
            "groups": [
                (
                    group,
                    [
                        (value, each.first_ts, each.new, each.people, list(each.hours.items()))
                        for value, each in versions.items()
                    ],
                )
                for group, versions in self._groups.items()
            ],
            "people": [(who, number[group], value, ts) for (who, group), (value, ts) in self._people.items()],
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._groups = {}
        for (name, product, model), versions in state["groups"]:
            group = self._groups[name, product, model] = {}
            for value, first_ts, new, people, hours in versions:
                version = group[value] = _Version(first_ts, new=new)
                version.people = people
                version.hours = {hour: _Hour(*each) for hour, each in hours}
        named = [(name, product, model) for name, product, model in state["named"]]
        self._people = {(who, named[place]): (value, ts) for who, place, value, ts in state["people"]}


def _said(name: str, dims: Mapping[str, str | list[str]], evidence: Sequence[Observation]) -> str:
    """The value that a place gives one dimension; else what more than half of the evidence that states it says."""
    named = dims.get(name)
    if isinstance(named, str):
        return named
    counted = Counter(value for event in evidence for value in (event.dimension(name),) if value)
    value = max(counted, key=lambda each: (counted[each], each), default="")
    return value if 2 * counted[value] > sum(counted.values()) else ""
