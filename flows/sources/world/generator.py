"""The generator of worlds: ordinary days, incidents, decoys and dirt, in order of arrival."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from math import exp
from pathlib import Path
from random import Random

import msgspec

from flows.sources.world.catalog import (
    HOUR_PROFILE,
    LINE_PRODUCTS,
    LINES,
    PRODUCTS,
    WEEK_PROFILE,
    Product,
)
from flows.sources.world.contacts import CHANNEL, Party, Script
from flows.sources.world.dirt import Line, soil
from flows.sources.world.people import Device, Weighted
from flows.sources.world.plan import make_plan
from flows.sources.world.setting import Plan, Setting
from flows.sources.world.timeline import SHANGHAI, SLICE_MS, stamp
from flows.sources.world.topics import topics_of
from flows.sources.world.troubles import troubles_of

DEFAULT_START = datetime(2026, 3, 2, tzinfo=SHANGHAI)
"""A Monday without a holiday nearby."""

CONTACTS_PER_EVENT = 0.132
DEVICE_LOGS_PER_EVENT = 0.34
TROUBLE_SHARE = 0.13
"""Share of ordinary contacts that are a single case of what incidents are made of."""
PROMOTED_TOPICS = ("offers", "progress", "paying", "presale", "booking")
"""What the additional contacts of a promotion day are mostly about."""
CONTACT_PROFILES = {
    line: tuple(value * 24 / sum(profile) for value in profile) for line, profile in HOUR_PROFILE.items()
}


class WorldSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `write_world` wrote."""

    lines: int
    """Lines of `events.jsonl.gz`, good and bad, blank ones included."""
    incidents: list[tuple[str, str, int, int]]
    """(id, kind, customers, events) of each incident, by start."""
    decoys: list[tuple[str, int, int]]
    """(kind, start, end) of what looks like an incident and is none; epoch milliseconds."""
    faults: dict[str, int]
    """Damaged lines by kind of damage."""


class World:
    """One world: a plan, and the lines that follow from it.

    Parameters
    ----------
    seed
        Everything follows from it.
    hours
        Length in hours of event time, > 0.
    rate
        Mean events per second of ordinary traffic, > 0; incidents and decoys come on top (a few per cent).
    start
        First moment; must carry an offset.
    planner
        Decides what is special; the default draws incidents and decoys of every kind.
    """

    def __init__(
        self,
        seed: int,
        hours: float,
        rate: float,
        start: datetime = DEFAULT_START,
        planner: Callable[[Setting], Plan] = make_plan,
    ) -> None:
        begin = int(start.timestamp() * 1000)
        self.setting = Setting(seed, begin, begin + int(hours * 3_600_000), rate)
        self.plan = planner(self.setting)
        self.done = 0.0
        """Share of event time that has been generated, 0–1."""
        self._rollouts = 0
        self._releases = 0
        # Real days are never exactly as busy as the last one: a slow wander of some ten per cent.
        self._mood = dict.fromkeys(LINES, 0.0)
        self._scripts = {product.name: _scripts(product, None) for product in PRODUCTS}
        self._promoted = {product.name: _scripts(product, PROMOTED_TOPICS) for product in PRODUCTS}
        self._single = {
            product.name: Weighted(
                (Script(t.says, t.notes, t.label, t.mood, named=0.75, ticket=0.34), t.ordinary)
                for t in troubles_of(product.name)
            )
            for product in PRODUCTS
        }
        self._products = {
            line: Weighted((product, product.weight) for product in products)
            for line, products in LINE_PRODUCTS.items()
        }

    def lines(self) -> Iterator[Line]:
        """Yield the lines in order of arrival; once only. Holds a quarter of an hour of traffic at a time."""
        setting = self.setting
        rng = Random(f"{setting.seed}:traffic")
        dirt = Random(f"{setting.seed}:dirt")
        timeline = setting.timeline
        for index in range(timeline.slices):
            self._ordinary(rng, setting.start + index * SLICE_MS)
            yield from soil(dirt, timeline.take(index))
            self.done = (index + 1) / timeline.slices

    def _ordinary(self, rng: Random, begin: int) -> None:
        setting, plan = self.setting, self.plan
        self._upgrade(begin)
        local = datetime.fromtimestamp(begin / 1000, tz=SHANGHAI)
        hour = local.hour + local.minute / 60
        mean = setting.rate * SLICE_MS / 1000
        for line, weight in zip(LINES, plan.line_weights, strict=True):
            self._mood[line] = 0.9 * self._mood[line] + rng.gauss(0, 0.05)
            profile = CONTACT_PROFILES[line]
            here, after = profile[local.hour], profile[(local.hour + 1) % 24]
            level = (here + (after - here) * (local.minute / 60)) * WEEK_PROFILE[line][local.weekday()]
            expected = mean * CONTACTS_PER_EVENT * weight * level * exp(self._mood[line])
            for _ in range(_poisson(rng, expected)):
                self._contact(rng, begin + int(rng.random() * SLICE_MS), line, promoted=False)
            for promotion in plan.promotions:
                if promotion.line == line and promotion.start <= begin < promotion.end:
                    for _ in range(_poisson(rng, expected * (promotion.factor - 1))):
                        self._contact(rng, begin + int(rng.random() * SLICE_MS), line, promoted=True)
        for _ in range(_poisson(rng, mean * DEVICE_LOGS_PER_EVENT)):
            setting.logs.ordinary(rng, begin + int(rng.random() * SLICE_MS), hour)

    def _upgrade(self, begin: int) -> None:
        """Let firmwares and app versions take effect that have arrived before `begin`."""
        plan = self.plan
        while self._rollouts < len(plan.rollouts) and plan.rollouts[self._rollouts].ts < begin:
            rollout = plan.rollouts[self._rollouts]
            rollout.device.firmware = rollout.firmware
            self._rollouts += 1
        while self._releases < len(plan.releases) and plan.releases[self._releases].ts < begin:
            release = plan.releases[self._releases]
            release.person.app_version = release.version
            self._releases += 1

    def _contact(self, rng: Random, ts: int, line: str, *, promoted: bool) -> None:
        setting, plan = self.setting, self.plan
        channel = CHANNEL.pick(rng)
        for silence in plan.silences:
            if silence.channel == channel and silence.start <= ts < silence.end:
                if rng.random() < 0.75:
                    return
                channel = "email" if channel != "app" else "web"
        product: Product = self._products[line].pick(rng)
        device: Device | None = None
        if product.models:
            device = setting.population.owner_device(rng, product)
            person = device.owner
        else:
            person = setting.population.anybody(rng)
        firmware = device.firmware if device else None
        party = Party(person, product, channel, device, firmware, person.region, person.app_version)
        if promoted and rng.random() < 0.75:
            script = self._promoted[product.name].pick(rng)
        elif rng.random() < TROUBLE_SHARE:
            script = self._single[product.name].pick(rng)
        else:
            script = self._scripts[product.name].pick(rng)
        for fashion in plan.fashions:
            if fashion.start <= ts < fashion.end and rng.random() < fashion.share:
                script = replace(script, opening=rng.choice(fashion.says))
        release = 0
        for hold in plan.holds:
            if hold.line == line and hold.region == person.region and hold.start <= ts < hold.end:
                release = hold.release
        setting.contacts.play(rng, ts, party, script, hold=release)


def _scripts(product: Product, names: tuple[str, ...] | None) -> Weighted[Script]:
    return Weighted(
        (Script(topic.says, topic.notes, topic.label, topic.mood), topic.weight)
        for topic in topics_of(product.name)
        if names is None or topic.name in names
    )


def _poisson(rng: Random, mean: float) -> int:
    """Draw a Poisson number; by its normal approximation above 60."""
    if mean > 60:
        return max(0, round(rng.gauss(mean, mean**0.5)))
    count, total = 0, rng.expovariate(1.0)
    while total < mean:
        count += 1
        total += rng.expovariate(1.0)
    return count


def world_lines(seed: int, hours: float, rate: float, *, start: datetime = DEFAULT_START) -> Iterator[Line]:
    """Yield the lines of a world in order of arrival; the same arguments give the same bytes.

    Parameters
    ----------
    seed, hours, rate, start
        As for `write_world`.
    """
    return World(seed, hours, rate, start).lines()


def write_world(
    seed: int,
    hours: float,
    rate: float,
    out: Path,
    *,
    start: datetime = DEFAULT_START,
    progress: Callable[[float], None] | None = None,
    planner: Callable[[Setting], Plan] = make_plan,
) -> WorldSummary:
    """Write `events.jsonl.gz`, `truth.json` and `calendar.csv` of a synthetic world into `out`.

    Parameters
    ----------
    seed
        The same seed, hours, rate and start give the same bytes.
    hours
        Length in hours of event time. Incidents happen in worlds of at least eight hours, after the first fifth
        and not before the seventh hour.
    rate
        Mean events per second of ordinary traffic; incidents, decoys and dirt come on top.
    out
        Folder, made if it is missing.
    start
        First moment; must carry an offset.
    progress
        Called now and then with the share done, 0–1.
    planner
        Decides what is special about the world.

    Returns
    -------
    WorldSummary
        What was written.

    Raises
    ------
    OSError
        If the folder or a file cannot be written.
    ValueError
        If hours or rate are not positive.
    """
    if not hours > 0 or not rate > 0:
        raise ValueError(f"a world of {hours} hours at {rate} events per second has no events; both must be above 0")
    out.mkdir(parents=True, exist_ok=True)
    world = World(seed, hours, rate, start, planner)
    faults: Counter[str] = Counter()
    lines, told = 0, 0.0
    with (
        (out / "events.jsonl.gz").open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as packed,
    ):
        block: list[bytes] = []
        for line in world.lines():
            block.append(line.data)
            if line.fault:
                faults[line.fault] += 1
            if len(block) >= 2_000:
                packed.write(b"\n".join(block) + b"\n")
                lines += len(block)
                block.clear()
                if progress is not None and world.done - told >= 0.01:
                    told = world.done
                    progress(told)
        packed.write(b"".join(data + b"\n" for data in block))
        lines += len(block)
    if progress is not None:
        progress(1.0)
    (out / "truth.json").write_bytes(_truth(world.plan, lines))
    (out / "calendar.csv").write_text(
        "date,name,line,expected_multiplier\n" + "".join(",".join(row) + "\n" for row in world.plan.calendar),
        encoding="utf-8",
    )
    causes = sorted(world.plan.causes, key=lambda cause: (cause.start, cause.id))
    return WorldSummary(
        lines=lines,
        incidents=[(cause.id, cause.kind, len(set(cause.customers)), len(cause.events)) for cause in causes],
        decoys=sorted(world.plan.decoys, key=lambda decoy: (decoy[1], decoy[0])),
        faults=dict(sorted(faults.items())),
    )


def _truth(plan: Plan, lines: int) -> bytes:
    """Write the truth as CONTRACTS.md §4 wants it."""
    causes = sorted(plan.causes, key=lambda cause: (cause.start, cause.id))
    truth = {
        "incidents": [
            {
                "incident": cause.id,
                "kind": cause.kind,
                "start": stamp(cause.start, True),
                "end": stamp(cause.end, True),
                "severe": cause.severe,
                "dims": cause.dims,
                "customers": len(set(cause.customers)),
                "events": cause.events,
            }
            for cause in causes
        ],
        "events": lines,
        "event_customers": {
            event: customer for cause in causes for event, customer in zip(cause.events, cause.customers, strict=True)
        },
    }
    return msgspec.json.encode(truth) + b"\n"


__all__ = ["DEFAULT_START", "Line", "World", "WorldSummary", "world_lines", "write_world"]
