"""Why a case opens, opens again after a person's dismissal, or is told of again."""

from __future__ import annotations

from itertools import combinations

from qianshao.desk.case import Case, Witnessed
from qianshao.desk.correlate import ASKED_ANYHOW, contradict
from qianshao.desk.severity import dangerous, grounds_of
from qianshao.event import WIDE_DIMENSIONS
from qianshao.incident import Reason

GROWTH = 1.5
"""An incident is told of again when it has so many times the customers that people know of."""
TWO_WITNESSES = 9.3
"""Scores of two independent witnesses add up, as their probabilities multiply; contacts and tickets come of the same
people, so that they must be somewhat stranger than two that have nothing in common."""
BOTH = 0.2
"""Two words are two witnesses where a smaller share of those who say one says the other too."""
REGRET = 3
"""A case that a person dismissed opens again when so many times as many people are hurt."""

_RISES: tuple[Reason, ...] = (
    "danger_reported",
    "channel_silent",
    "more_customers",
    "growing_faster",
    "mostly_negative",
    "spreading",
)
"""How a rise is named by the ground that brought it, in the order of `severity.Grounds`."""


def growth_of(case: Case) -> Reason | None:
    """Name what has grown since the last record enough to be told; None = nothing."""
    if len(case.customers) >= GROWTH * case.told_customers + 1:
        return "more_customers"
    if case.witnesses() > case.told_witnesses:
        return "another_witness"
    return "place_narrowed" if case.dims != case.told_dims else None


def rise_of(case: Case) -> Reason:
    """Name why the severity rose since the last record: the first ground that weighs more than it did."""
    told = case.told_grounds or (0,) * len(_RISES)
    risen = (reason for reason, now, then in zip(_RISES, grounds_of(case), told, strict=True) if now > then)
    return next(risen, "more_customers")


def regret_of(case: Case) -> Reason | None:
    """Name why a person's dismissal no longer holds; None = it does."""
    if dangerous(case) and not case.told_danger:
        return "danger_after_dismissal"
    return "tripled_after_dismissal" if case.people() >= REGRET * max(case.told_people, 1) else None


def opening_reason(case: Case, *, held: bool = False) -> Reason | None:
    """Name why a case opens now, or would if nothing were held; None = it does not. Nothing holds a danger."""
    held = held or dangerous(case)
    strong = [each for each in case.witnessed.values() if (each.opens if held else each.free_opens)]
    if any(each.kind in ("silence", "drop") for each in strong):
        return "channel_silent"
    if strong and case.dangers and any(key.startswith("danger:") for key in case.witnessed):
        return "danger_reported"
    if any(each.kind == "new" for each in strong):
        return "never_seen_code"
    if strong:
        return "overwhelming_rise"
    if not case.dims.keys() - WIDE_DIMENSIONS:
        return None  # two weak witnesses of a whole line or region have met by chance
    best: dict[str, float] = {}
    for each in case.witnessed.values():
        score = each.score if held else each.free_score
        if score > 0:  # one that is held altogether is no witness
            best[each.witness] = max(best.get(each.witness, 0.0), score)
    if len(best) >= 2 and sum(sorted(best.values())[-2:]) >= TWO_WITNESSES:
        return "two_witnesses"
    return "two_witnesses" if _two_words(case, held=held) else None


def _two_words(case: Case, *, held: bool) -> bool:
    """Strangers say two words of one place, of which at least one names a fault."""
    words = []
    for key, each in case.witnessed.items():
        measure, _, value = key.partition(":")
        score = each.score if held else each.free_score
        names = measure in ("term", "topic") and value not in ASKED_ANYHOW and each.kind != "new"
        # One that is held altogether is no witness, nor one taken in while the case was thought to be wider.
        if names and score > 0 and not contradict(each.dims, case.dims):
            words.append((score, measure, each))
    return any(
        "term" in (measure, other_measure) and score + other_score >= TWO_WITNESSES and _strangers(each, other)
        for (score, measure, each), (other_score, other_measure, other) in combinations(words, 2)
    )


def _strangers(one: Witnessed, other: Witnessed) -> bool:
    """Hardly anybody says both, so that each is strange by itself."""
    return len(set(one.who) & set(other.who)) <= BOTH * min(len(one.who), len(other.who))
