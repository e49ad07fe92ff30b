"""Recorded worlds: `python -m flows.sources.world.record [FOLDER]` writes them anew, byte for byte."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random

from flows.sources.world.catalog import PRODUCT
from flows.sources.world.decoys import (
    angry_customer,
    bot_loop,
    echoed_slogan,
    fine_rollout,
    flooding_device,
    heartbeat_storm,
    late_batch,
    viral_greeting,
)
from flows.sources.world.generator import WorldSummary, write_world
from flows.sources.world.incidents import HOUR, KIND, MINUTE, Case, Incidents
from flows.sources.world.plan import draw_decoys, finish
from flows.sources.world.setting import Plan, Setting
from flows.sources.world.timeline import SHANGHAI


@dataclass(frozen=True)
class Recipe:
    """How a recorded world is made."""

    seed: int
    hours: float
    rate: float
    start: datetime
    planner: Callable[[Setting], Plan]
    story: str
    """What happens in it, for its provenance."""


def _smart_lock(setting: Setting) -> Plan:
    """Plan the founding case: on the second morning a firmware for one lock model breaks its connections."""
    plan = Plan(line_weights=(0.62, 0.16, 0.14, 0.08))
    stage = Incidents(setting, plan)
    rng = Random(f"{setting.seed}:story")
    begin = setting.start

    def at(day: int, hour: int, minute: int) -> int:
        return begin + (24 * day + hour - 6) * HOUR + minute * MINUTE

    charged = Case(KIND["double_charge"], at(0, 18, 5), at(0, 20, 0), 34, product=PRODUCT["会员订阅"])
    locks = Case(
        KIND["firmware_offline"],
        at(1, 10, 20),
        at(1, 14, 30),
        230,
        product=PRODUCT["智能门锁"],
        model="K2",
        firmware="3.5.0",
    )
    heaters = Case(KIND["smoke"], at(1, 15, 40), at(1, 19, 0), 8, product=PRODUCT["速热水器"], model="R60")
    for case in (charged, locks, heaters):
        stage.play(rng, case)
    echoed_slogan(stage, rng, at(0, 11, 0))
    fine_rollout(stage, rng, at(0, 13, 30))
    angry_customer(stage, rng, at(0, 20, 30))
    bot_loop(stage, rng, at(0, 22, 15))
    heartbeat_storm(stage, rng, at(1, 3, 10))
    flooding_device(stage, rng, at(1, 7, 45))
    viral_greeting(stage, rng, at(1, 8, 0))
    late_batch(stage, rng, at(1, 8, 30))
    finish(plan)
    return plan


def _mixed(setting: Setting) -> Plan:
    """Plan five incidents of different kinds and the usual decoys within two days."""
    plan = Plan()
    stage = Incidents(setting, plan)
    rng = Random(f"{setting.seed}:story")
    begin = setting.start
    for name, hour, length, size in (
        ("delivery_stuck", 15.5, 4.0, 42),
        ("login_broken", 19.5, 3.0, 46),
        ("unseen_code", 33.0, 4.0, 18),
        ("illness", 35.5, 3.0, 8),
        ("payment_outage", 42.0, 1.0, 60),
    ):
        start = begin + int(hour * HOUR)
        stage.play(rng, Case(KIND[name], start, start + int(length * HOUR), size))
    draw_decoys(stage, Random(f"{setting.seed}:decoys"))
    finish(plan)
    return plan


RECIPES: dict[str, Recipe] = {
    "smart_lock": Recipe(
        seed=20260310,
        hours=40,
        rate=0.116,
        start=datetime(2026, 3, 10, 6, tzinfo=SHANGHAI),
        planner=_smart_lock,
        story=(
            "Forty hours of a smart-home centre. On the second morning, at 10:20, firmware 3.5.0 for the lock K2\n"
            "breaks connections: the locks write E411 first, the first chats and calls come minutes later, the\n"
            "tickets after that. On the first evening a billing run charges some members twice; on the second\n"
            "afternoon a few R60 heaters smoke. Decoys: a pasted slogan, a firmware that is fine, an angry customer,\n"
            "a bot loop, the nightly heartbeats, a flooding device, a joke of the day, a gateway that delivers late."
        ),
    ),
    "mixed": Recipe(
        seed=7,
        hours=48,
        rate=0.097,
        start=datetime(2026, 3, 12, tzinfo=SHANGHAI),
        planner=_mixed,
        story=(
            "Two days of a mixed centre with five incidents: deliveries stuck in one region, an app version that\n"
            "cannot log in, a code that nobody has seen, a kitchen that makes people ill, a payment gateway that is\n"
            "down; with a promotion day and the other decoys."
        ),
    ),
}


def record(name: str, out: Path) -> WorldSummary:
    """Write one recorded world with its provenance into `out`.

    Parameters
    ----------
    name
        A key of `RECIPES`.
    out
        Folder of this world, made if it is missing; its files are replaced.

    Returns
    -------
    WorldSummary
        What was written.
    """
    recipe = RECIPES[name]
    summary = write_world(recipe.seed, recipe.hours, recipe.rate, out, start=recipe.start, planner=recipe.planner)
    (out / "PROVENANCE.md").write_text(_provenance(name, recipe, summary), encoding="utf-8")
    return summary


def _provenance(name: str, recipe: Recipe, summary: WorldSummary) -> str:
    rows = "".join(f"| {i} | {kind} | {people} | {events} |\n" for i, kind, people, events in summary.incidents)
    decoys = ", ".join(sorted({kind for kind, _, _ in summary.decoys}))
    return (
        f"# {name}\n\n{recipe.story}\n\n"
        "Everything in it is invented: people, identifiers, products and words come from the grammar in\n"
        "`flows/sources/world/`, seeded; nothing was taken from a real centre or a collection of texts.\n\n"
        "Made anew, byte for byte, by `python -m flows.sources.world.record`: "
        f"seed {recipe.seed}, {recipe.hours:g} hours from {recipe.start.isoformat()}, "
        f"{recipe.rate:g} ordinary events a second, {summary.lines} lines.\n\n"
        f"| incident | kind | customers | events |\n|---|---|---|---|\n{rows}\n"
        f"Decoys: {decoys}.\n"
    )


def main(arguments: list[str]) -> int:
    """Write every recorded world below the folder that is named, or below `replay_data/`."""
    root = Path(arguments[0]) if arguments else Path(__file__).parents[3] / "replay_data"
    for name in RECIPES:
        summary = record(name, root / name)
        sys.stdout.write(f"{root / name}: {summary.lines} lines, {len(summary.incidents)} incidents\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
