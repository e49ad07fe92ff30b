"""The plan of a world: which incidents and which decoys happen when."""

from __future__ import annotations

from datetime import datetime
from random import Random

from flows.sources.world.catalog import HOUR_PROFILE, PAY, WEEK_PROFILE
from flows.sources.world.decoys import (
    angry_customer,
    bot_loop,
    echoed_slogan,
    fine_rollout,
    flooding_device,
    heartbeat_storm,
    late_batch,
    promotion_day,
    viral_greeting,
)
from flows.sources.world.incidents import HOUR, KINDS, MINUTE, Case, Incidents, Kind
from flows.sources.world.setting import Plan, Setting
from flows.sources.world.timeline import SHANGHAI

INCIDENTS_PER_HOUR = 26 / 336
"""A fortnight has some twenty-six."""
MINIMUM_HISTORY_MS = 6 * HOUR
HISTORY_SHARE = 0.2


def make_plan(setting: Setting) -> Plan:
    """Draw incidents and decoys by the setting's seed and put them onto its timeline.

    Incidents begin after the first fifth of the world and not before six hours; a world below eight hours has none.
    """
    plan = Plan()
    stage = Incidents(setting, plan)
    _draw_incidents(stage, Random(f"{setting.seed}:incidents"))
    draw_decoys(stage, Random(f"{setting.seed}:decoys"))
    finish(plan)
    return plan


def finish(plan: Plan) -> None:
    """Put what the traffic looks up into the order of time."""
    plan.rollouts.sort(key=lambda rollout: (rollout.ts, rollout.device.id))
    plan.releases.sort(key=lambda release: (release.ts, release.person.key))
    plan.calendar.sort()


def _daytime(rng: Random, begin: int, end: int) -> int:
    """Draw a moment between `begin` and `end`, likelier when people are awake."""
    profile = HOUR_PROFILE[PAY]
    ts = begin
    for _ in range(8):
        ts = begin + int(rng.random() * max(1, end - begin))
        if rng.random() * 12 < profile[(ts // HOUR + 8) % 24]:
            break
    return ts


def _draw_incidents(stage: Incidents, rng: Random) -> None:
    setting = stage.setting
    hours = (setting.end - setting.start) / HOUR
    if hours < 8:
        return
    count = max(3 if hours >= 12 else 1, round(hours * INCIDENTS_PER_HOUR))
    first = setting.start + max(MINIMUM_HISTORY_MS, int((setting.end - setting.start) * HISTORY_SHARE))
    last = setting.end - (3 * HOUR if hours >= 18 else HOUR)
    scale = min(1.4, max(0.4, (setting.rate / 0.3) ** 0.5))
    deck: list[Kind] = []
    for number in range(count):
        if not deck:
            deck = list(KINDS)
            rng.shuffle(deck)
        step = (last - first) / count
        start = _daytime(rng, first + int(number * step), first + int((number + 1) * step))
        fitting = [kind for kind in deck if start + kind.hours[0] * HOUR <= last]
        if not fitting:
            start = min(start, last - HOUR)
            fitting = [kind for kind in KINDS if start + kind.hours[0] * HOUR <= last]
        kind = fitting[0]
        if kind in deck:
            deck.remove(kind)
        low, high = kind.hours
        length = low * (high / low) ** rng.random()
        size = kind.smallest * (kind.largest / kind.smallest) ** rng.random()
        if not kind.severe:
            size = max(5, size * scale)
        # A generator of its own: what an incident says never moves the next one.
        own = Random(f"{setting.seed}:incident:{number}")
        stage.play(own, Case(kind, start, min(last, start + int(length * HOUR)), round(size)))


def draw_decoys(stage: Incidents, rng: Random) -> None:
    """Draw decoys of every kind that the world is long enough for."""
    setting = stage.setting
    start, end = setting.start, setting.end
    hours = (end - start) / HOUR
    midnight = datetime.fromtimestamp(start / 1000, tz=SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    days = range(int(midnight.timestamp() * 1000), end, 24 * HOUR)
    for day in days:
        storm = day + 3 * HOUR + 10 * MINUTE
        if start <= storm < end:
            heartbeat_storm(stage, rng, storm)
        weekday = datetime.fromtimestamp(day / 1000, tz=SHANGHAI).weekday()
        if max(profile[weekday] for profile in WEEK_PROFILE.values()) > 1.12 and start <= day + 9 * HOUR < end:
            stage.plan.decoys.append(("weekly_peak", day + 9 * HOUR, min(end, day + 21 * HOUR)))
    if hours < 12:
        return
    whole = [day for day in days if day >= start + 6 * HOUR and day + 12 * HOUR <= end]
    number = rng.randrange(4)
    for day in sorted(rng.sample(whole, min(len(whole), max(1, round(hours / 168))))):
        promotion_day(setting, stage.plan, rng, day, number)
        number += 1
    for _ in range(max(1, round(hours / 110))):
        for decoy in (
            angry_customer,
            bot_loop,
            echoed_slogan,
            late_batch,
            flooding_device,
            fine_rollout,
            viral_greeting,
        ):
            decoy(stage, rng, _daytime(rng, start + 2 * HOUR, end - 3 * HOUR))
