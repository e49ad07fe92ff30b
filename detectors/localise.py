"""Name the cause by the most specific combination of dimensions that explains an excess."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import comb
from typing import NamedTuple

from scipy.special import betainc

from qianshao.event import Observation

Dims = dict[str, str | list[str]]
Share = Callable[[Mapping[str, str], str, str], float]
"""(base dimensions, name, value) → long-run share of the value among all of the base who state that dimension."""

EXPLAINS = 0.72
"""A value explains the excess when this share of it (of those who state the dimension) carries the value."""
ALREADY = 0.95
"""A value that nearly everybody carries anyway explains nothing."""
CERTAIN = 0.02
"""Chance, over all ways to choose as many values, that the ordinary mix would look as one-sided."""
CERTAIN_BROAD = 0.2
BROAD_FIRST = ("product", "line")
"""Fixed before all others: a firmware or a model means something only within its product."""
MAX_VALUES = 3
SEVERAL_AT_MOST = 0.5
"""Several values together name a cause only when ordinarily they are less than this share."""


class Cause(NamedTuple):
    """Where an excess lies."""

    dims: Dims
    carried: tuple[Observation, ...]
    """The evidence that agrees with `dims`."""


def localise(
    evidence: Sequence[Observation], expected: float, names: Sequence[str], share: Share, *, by_device: bool
) -> Cause:
    """Drill down from everything to the combination that explains the excess, one dimension at a time.

    Parameters
    ----------
    evidence
        The events of the strange series in its window, before any dimension is fixed.
    expected
        Distinct customers that were to be expected among them.
    names
        Dimensions to try; the one that lifts the excess most above its long-run share is fixed first.
    share
        Long-run shares, learnt before the excess.
    by_device
        Count distinct devices instead of customers.

    Notes
    -----
    Events that do not state a dimension neither speak for a value nor against it. With too few customers the answer
    stays coarse: a value must be improbable (binomial) under its long-run share. Cost: one pass over the evidence
    per dimension fixed. Source: the greedy drill-down of Adtributor (Bhagwan et al., NSDI 2014), on excess.
    """
    dims: Dims = {}
    base: dict[str, str] = {}
    left = list(names)
    kept = list(evidence)
    everybody = _distinct(kept, by_device)
    while left:
        scale = min(1.0, len(_distinct(kept, by_device)) / max(1, len(everybody)))
        best: tuple[float, str, list[str]] | None = None
        for name in left:
            found = _explaining(kept, name, expected * scale, base, share, by_device)
            if found is not None and (best is None or found[0] > best[0]):
                best = (found[0], name, found[1])
                if name in BROAD_FIRST:
                    break
        if best is None:
            break
        _, name, values = best
        dims[name] = values[0] if len(values) == 1 else sorted(values)
        if len(values) == 1:
            base[name] = values[0]
        left.remove(name)
        kept = [event for event in kept if (event.dimension(name) or values[0]) in values]
    return Cause(_without_implied(dims), tuple(kept))


def _without_implied(dims: Dims) -> Dims:
    """A product names its line already."""
    if isinstance(dims.get("product"), str):
        dims.pop("line", None)
    return dims


def _distinct(events: Sequence[Observation], by_device: bool) -> set[int]:
    return {event.device or event.customer if by_device else event.customer for event in events}


def _explaining(
    events: Sequence[Observation], name: str, expected: float, base: Mapping[str, str], share: Share, by_device: bool
) -> tuple[float, list[str]] | None:
    """Return (lift, values) of the smallest set of values of one dimension that explains the excess, if one does."""
    customers: dict[str, set[int]] = {}
    for event in events:
        value = event.dimension(name)
        if value:
            customers.setdefault(value, set()).add((event.device or event.customer) if by_device else event.customer)
    stated = len(set().union(*customers.values())) if customers else 0
    if stated < 2:
        return None
    everybody = len(_distinct(events, by_device))
    ordinary = min(expected * stated / max(1, everybody), stated - 1.0)
    excess = stated - ordinary
    values: list[str] = []
    long_run = 0.0
    carried = 0
    ranked = sorted(
        customers.items(), key=lambda item: (-len(item[1]) + ordinary * share(base, name, item[0]), item[0])
    )
    for value, who in ranked[:MAX_VALUES]:
        values.append(value)
        long_run += share(base, name, value)
        carried += len(who)
        explained = (carried - ordinary * long_run) / excess
        if explained >= EXPLAINS:
            if long_run >= ALREADY:
                return None
            several = len(values) > 1
            if several and (long_run > SEVERAL_AT_MOST or min(len(customers[each]) for each in values) < 0.2 * carried):
                return None
            chance = _at_least(min(carried, stated), stated, min(max(long_run, 0.005), 0.999))
            ways = comb(max(len(customers), len(values)), len(values))
            if chance * ways > (CERTAIN / 20 if several else CERTAIN_BROAD if name in BROAD_FIRST else CERTAIN):
                return None
            return (explained / max(long_run, 0.005), list(values))
    return None


def _at_least(successes: int, trials: int, share: float) -> float:
    """Probability of so many successes or more (binomial)."""
    return float(betainc(successes, trials - successes + 1, share)) if successes > 0 else 1.0
