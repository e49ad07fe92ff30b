"""The setting in which everything plays, and the plan of what is special about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from flows.sources.world.catalog import LINE_WEIGHTS
from flows.sources.world.contacts import Contacts
from flows.sources.world.devices import DeviceLogs
from flows.sources.world.people import Device, Person, Population
from flows.sources.world.timeline import Cause, Timeline


@dataclass(frozen=True)
class Promotion:
    """A planned day on which one line has more traffic."""

    line: str
    start: int
    end: int
    factor: float


@dataclass(frozen=True)
class Silence:
    """A channel that takes no contacts for a while."""

    channel: str
    start: int
    end: int


@dataclass(frozen=True)
class Hold:
    """A gateway that holds one region's events of one line back and lets them go hours later."""

    line: str
    region: str
    start: int
    end: int
    release: int


@dataclass(frozen=True)
class Fashion:
    """Words that many customers happen to use for a while: a greeting, a slogan."""

    start: int
    end: int
    share: float
    says: tuple[str, ...]


@dataclass(frozen=True)
class Rollout:
    """A firmware that reaches a device at a moment."""

    ts: int
    device: Device
    firmware: str


@dataclass(frozen=True)
class AppRelease:
    """A version of the app that reaches a person at a moment."""

    ts: int
    person: Person
    version: str


@dataclass
class Plan:
    """What is special about a world."""

    causes: list[Cause] = field(default_factory=list)
    decoys: list[tuple[str, int, int]] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    fashions: list[Fashion] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    releases: list[AppRelease] = field(default_factory=list)
    calendar: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Rows date, name, line, expected_multiplier."""
    line_weights: tuple[float, ...] = LINE_WEIGHTS
    """Share of each business line among contacts."""


class Setting:
    """The stage: time, people, and what writes events.

    Parameters
    ----------
    seed
        Everything follows from it.
    start, end
        First and last (exclusive) moment, epoch milliseconds.
    rate
        Mean events per second of ordinary traffic.
    """

    def __init__(self, seed: int, start: int, end: int, rate: float) -> None:
        self.seed = seed
        self.start = start
        self.end = end
        self.rate = rate
        self.population = Population(Random(f"{seed}:people"), max(4_000, min(60_000, int(rate * 100_000))))
        self.timeline = Timeline(Random(f"{seed}:timeline"), start, end)
        self.contacts = Contacts(self.timeline)
        self.logs = DeviceLogs(self.timeline, self.population)
