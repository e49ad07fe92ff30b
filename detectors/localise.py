"""Name the cause by the most specific combination of dimensions that explains an excess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from math import comb, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qianshao.event import DIMENSIONS, MAX_OWN_DIMS, Observation

Dims = dict[str, str | list[str]]
Shares = Callable[[Mapping[str, str], str], Mapping[str, float]]
"""(base dimensions, name) → long-run share of each value among all of the base who state that dimension."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CERTAIN = 0.25
"""The price of a dimension: the chance accepted that the ordinary mix alone made the evidence as one-sided."""
CERTAIN_WITHIN = 0.4
WITHIN_PRODUCT = ("model", "firmware")
"""They mean something only within their product, and devices of one kind mostly fail for one cause."""
CERTAIN_BROAD = 0.8
BROAD = ("product", "line")
"""Most causes have a product: the least evidence is asked for."""
ORDINARY = (0.5, 1.0, 2.0)
"""How wrong the expectation may be: the evidence is weighed under each of these multiples of it, and averaged."""
STRAY = 0.1
"""At least this share of the evidence is taken to have nothing to do with the cause."""
STRAY_AT_MOST = 0.97
EXPLAINS = 0.72
"""A combination explains the excess when, of those in it who state a dimension, this share carries the value."""
HEARD = 0.15
"""Of the excess at least this share must carry a value: where fewer state a dimension, they do not speak for all."""
RARE = 0.005
"""A value that was hardly ever seen is taken to be this frequent."""
BEAM = 8
MAX_DIMS = 4
LEAST = 2
"""Somebodies who must carry a value of what they have."""
LEAST_OF_PLACE = 3
"""Somebodies who must carry any other: where they live, over what they write, which version of the app they use."""
MOST = 40
"""Values of one dimension that are tried, the most carried first."""
OTHER = ("",)
"""What a group states of a dimension, when it is none of the values that are tried."""
MOSTLY = 0.75
"""A line that is mostly one product is named by that product."""
IMPLIES = 0.95
"""A value that nearly everybody of the others carries anyway is implied by them."""
LEAST_OF_MODEL = 4
"""Somebodies who must state the model of a firmware, or the product of a version, before it is told with it."""
MAX_VALUES = 3
"""Values of one dimension that name a cause together; each must bring a fifth of what they carry."""
LEAST_OF_SEVERAL = 0.2
SEVERAL = 5.0
"""What each further value of one dimension costs, in natural logarithms."""
SEVERAL_AT_MOST = 0.5
"""Several values together name a cause only when ordinarily they are less than this share."""


class Cause(NamedTuple):
    """Where an excess lies."""

    dims: Dims
    carried: tuple[Observation, ...]
    """The evidence that agrees with `dims`."""


class _Choice(NamedTuple):
    """One dimension of a combination, with its values."""

    name: str
    values: tuple[str, ...]


class _Combination(NamedTuple):
    """A conjunction of choices and how well it explains the evidence."""

    worth: float
    """Log likelihood ratio against the ordinary mix, less what its choices cost."""
    choices: tuple[_Choice, ...]
    agrees: Bools
    """Per group: it contradicts none of the choices."""
    usual: Floats
    """Per group: how often what it states of the choices is ordinarily so."""


def dimensions_of(events: Sequence[Observation], common: Collection[str] = DIMENSIONS) -> list[str]:
    """Return the dimensions to try on events, in the order in which they are told: common ones, then the events' own.

    Line and product come first; of the events' own so many as are looked at anywhere, those that most events state.
    """
    stated = Counter(name for event in events for name in event.dims)
    own = sorted(sorted(stated, key=lambda name: (-stated[name], name))[:MAX_OWN_DIMS])
    return [*sorted(common, key=lambda name: name not in ("line", "product")), *own]


def localise(
    evidence: Sequence[Observation], expected: float, names: Sequence[str], shares: Shares, *, by_device: bool
) -> Cause:
    """Choose the combination of dimensions that makes the evidence most likely, and no more than it can bear.

    Parameters
    ----------
    evidence
        The events of the strange series in its window, before any dimension is fixed.
    expected
        Distinct customers that were to be expected among them.
    names
        Dimensions to try, in the order in which they are told.
    shares
        Long-run shares, learnt before the excess.
    by_device
        Count distinct devices instead of customers.

    Notes
    -----
    Somebody is either ordinary, stating what is ordinarily stated, or hit by the cause, and then contradicts none of
    its dimensions; who states nothing of a dimension speaks neither for a value nor against it. The likelihood ratio
    of the two against the ordinary mix alone is a bet at fair odds: by chance it exceeds x at most once in x times, so
    that what a choice must bring follows from how many values there were to choose from and how sure one wants to be.
    Weak evidence therefore stays at the coarser combination, and {} is an answer. What the others imply is left out,
    but for the product.

    When it fails: a cause whose customers are far fewer than the ordinary ones is named in part or not at all
    (docs/localisation.md has the curve). Cost: about 10 ms for an ordinary finding, 100 ms for several hundred
    customers; beam search over at most four dimensions.
    Source: the Bernoulli scan statistic (Kulldorff 1997) with missing statements; explanatory power and succinctness as
    in Adtributor (Bhagwan et al., NSDI 2014).
    """
    lattice = _Lattice(evidence, expected, names, shares, by_device)
    nothing = lattice.nothing()
    best = nothing
    beam = [nothing]
    for _ in range(MAX_DIMS):
        found: dict[frozenset[_Choice], _Combination] = {}
        for base in beam:
            for each in lattice.extend(base):
                found.setdefault(frozenset(each.choices), each)
        beam = sorted(found.values(), key=lambda each: (-each.worth, each.choices))[:BEAM]
        if not beam:
            break
        for each in beam:
            if each.worth > best.worth + 1e-9 and lattice.explains(each):
                best = each
                break
    dims = lattice.named(best)
    return Cause(dims, tuple(event for event in evidence if event.agrees(dims)))


class _Lattice:
    """The evidence as groups of somebodies that state the same, and what is ordinarily stated."""

    def __init__(
        self, evidence: Sequence[Observation], expected: float, names: Sequence[str], shares: Shares, by_device: bool
    ) -> None:
        stated: dict[int, dict[str, set[str]]] = {}
        for event in evidence:
            who = (event.device or event.customer) if by_device else event.customer
            said = stated.setdefault(who, {})
            for name in names:
                value = event.dimension(name)
                if value:
                    said.setdefault(name, set()).add(value)
        if "product" in names:
            implied: dict[tuple[str, str], str] = {}
            for said in stated.values():
                if "product" not in said:
                    self._imply_product(said, shares, implied)
        self.names = tuple(names)
        self.seen: dict[str, int] = {}
        self.values: dict[str, list[str]] = {}
        for name in names:
            counted = Counter(value for said in stated.values() for value in said.get(name, ()))
            common = sorted((-number, value) for value, number in counted.items() if number >= LEAST)
            self.seen[name] = len(counted)
            self.values[name] = sorted(value for _, value in common[:MOST])
        kept = {name: frozenset(values) for name, values in self.values.items()}
        groups: dict[tuple[tuple[str, ...], ...], int] = {}
        for said in stated.values():
            key = tuple(tuple(sorted(said[name] & kept[name])) or OTHER if name in said else () for name in names)
            groups[key] = groups.get(key, 0) + 1
        self.weights: Floats = np.array(list(groups.values()), dtype=np.float64)
        self.total = float(self.weights.sum())
        self.expected = expected
        ordinary = np.clip(np.array(ORDINARY) * expected / max(self.total, 1.0), STRAY, STRAY_AT_MOST)
        self.ordinary: Floats = np.unique(ordinary)
        self.stated: dict[str, Bools] = {}
        self.carry: dict[str, Bools] = {}
        for column, name in enumerate(names):
            self.stated[name] = np.array([bool(group[column]) for group in groups], dtype=np.bool_)
            self.carry[name] = np.array(
                [[value in group[column] for group in groups] for value in self.values[name]], dtype=np.bool_
            ).reshape(len(self.values[name]), len(groups))
        self._ask = shares
        self._asked: dict[tuple[tuple[_Choice, ...], str], Floats] = {}

    @staticmethod
    def _imply_product(said: dict[str, set[str]], shares: Shares, implied: dict[tuple[str, str], str]) -> None:
        """Who names a model names its product: let what is seen with one product only stand for it."""
        for name, values in said.items():
            if name in ("line", "region", "channel"):
                continue
            for value in sorted(values):
                if (name, value) not in implied:
                    products = shares({name: value}, "product")
                    product = max(products, key=lambda each: (products[each], each), default="")
                    implied[name, value] = product if product and products[product] >= IMPLIES else ""
                if implied[name, value]:
                    said["product"] = {implied[name, value]}
                    return

    def nothing(self) -> _Combination:
        """The combination without a choice."""
        return _Combination(0.0, (), np.ones(len(self.weights), dtype=np.bool_), np.ones(len(self.weights)))

    def extend(self, base: _Combination) -> list[_Combination]:
        """Every combination with one choice more that enough agree with, each with its worth."""
        found: list[_Combination] = []
        taken = {choice.name for choice in base.choices}
        alive = self.weights * base.agrees
        paid = sum(map(self._cost, base.choices))
        heard = HEARD * (self.total - self.expected)
        for name in self.names:
            carry = self.carry[name]
            customers = (carry * alive).sum(axis=1)
            if name in taken or (name == "line" and "product" in taken):
                continue
            if name in WITHIN_PRODUCT and "product" not in taken and self.values.get("product"):
                continue
            least = max(LEAST if name in BROAD or name in WITHIN_PRODUCT else LEAST_OF_PLACE, heard)
            if not (customers >= least).any():
                continue
            share = self._share(base.choices, name, careful=True)
            sets: list[tuple[int, ...]] = [(index,) for index in np.flatnonzero(customers >= least).tolist()]
            sets.extend(self._several(customers, alive, share))
            agrees = np.stack([carry[list(each)].any(axis=0) for each in sets]) | ~self.stated[name]
            frequent = np.clip(np.stack([share[list(each)].sum(axis=0) for each in sets]), RARE, 1.0)
            usual = np.where(self.stated[name], frequent, 1.0) * base.usual
            agrees &= base.agrees
            weighed = self._weigh(agrees / usual)
            for index, each in enumerate(sets):
                choice = _Choice(name, tuple(self.values[name][value] for value in each))
                worth = float(weighed[index]) - paid - self._cost(choice)
                choices = tuple(sorted((*base.choices, choice)))
                found.append(_Combination(worth, choices, agrees[index], usual[index]))
        return found

    def explains(self, combination: _Combination) -> bool:
        """Return whether each choice holds for most of the excess that the others leave."""
        part = min(1.0, self.expected / max(self.total, 1.0))
        for choice in combination.choices:
            others = tuple(each for each in combination.choices if each is not choice)
            rows = [self.values[choice.name].index(value) for value in choice.values]
            stated, holds = self.stated[choice.name], self.carry[choice.name][rows].any(axis=0)
            base = self._fixed(others)
            told = np.any([self.stated[each.name] for each in others], axis=0) if others else np.True_
            share = np.clip(self._share(others, choice.name, careful=False)[rows].sum(axis=0), RARE, 1.0)
            ordinary = part * self.weights * (stated & told) * base.usual
            alive = self.weights * (stated & told & base.agrees)
            beside = float((alive * ~holds - ordinary * (1.0 - share)).sum())
            within = float((alive * holds - ordinary * share).sum())
            if beside > (1.0 - EXPLAINS) * max(beside + within, 1.0):
                return False
        return True

    def _fixed(self, choices: tuple[_Choice, ...]) -> _Combination:
        """The combination of these choices, unweighed."""
        agrees, usual = np.ones(len(self.weights), dtype=np.bool_), np.ones(len(self.weights))
        for number, choice in enumerate(choices):
            rows = [self.values[choice.name].index(value) for value in choice.values]
            usual *= np.where(self.stated[choice.name], self._frequency(choices[:number], choice), 1.0)
            agrees &= self.carry[choice.name][rows].any(axis=0) | ~self.stated[choice.name]
        return _Combination(0.0, choices, agrees, usual)

    def _frequency(self, base: tuple[_Choice, ...], choice: _Choice) -> float:
        """How frequent a choice ordinarily is among everybody of the base."""
        rows = [self.values[choice.name].index(value) for value in choice.values]
        return min(max(float(self._shares(base, choice.name)[rows].sum()), RARE), 1.0)

    def _cost(self, choice: _Choice) -> float:
        """What a choice must bring: the more values there are and the more it names, the more."""
        number, of = len(choice.values), max(self.seen[choice.name], 2)
        within = CERTAIN_WITHIN if choice.name in WITHIN_PRODUCT else CERTAIN
        certain = CERTAIN_BROAD if choice.name in BROAD else within
        return log(comb(max(of, number), number) / certain) + SEVERAL * (number - 1)

    def _several(self, customers: Floats, alive: Floats, share: Floats) -> list[tuple[int, ...]]:
        """Sets of the values that stand out most, as far as each of them brings its part."""
        usual = (share * alive).sum(axis=1) * min(1.0, self.expected / max(self.total, 1.0))
        ranked = np.argsort(usual - customers, kind="stable")[:MAX_VALUES].tolist()
        found: list[tuple[int, ...]] = []
        for number in range(2, len(ranked) + 1):
            several = sorted(ranked[:number])
            excess = (customers - usual)[several]
            if customers[several].min() < 3 or excess.min() < LEAST_OF_SEVERAL * excess.sum():
                break
            if (share[several].sum(axis=0) * alive).sum() <= SEVERAL_AT_MOST * alive.sum():
                found.append(tuple(several))
        return found

    def _weigh(self, ratio: Floats) -> Floats:
        """Log likelihood ratio of each row against the ordinary mix, averaged over how many are ordinary."""
        # Sums without BLAS: they must not depend on its threads.
        each = np.stack([(np.log(part + (1.0 - part) * ratio) * self.weights).sum(axis=1) for part in self.ordinary])
        top = each.max(axis=0)
        averaged: Floats = top + np.log(np.exp(each - top).mean(axis=0))
        return averaged

    def _share(self, base: tuple[_Choice, ...], name: str, *, careful: bool) -> Floats:
        """Long-run shares of a dimension's values for each group, by what it states of the base: values × groups.

        Who does not state all of the base may ordinarily be of it or not. Careful is the greater share of the two: that
        among those of whom as much is known, and that among everybody of the base.
        """
        code = np.zeros(len(self.weights), dtype=np.int64)
        for bit, choice in enumerate(base):
            code += self.stated[choice.name].astype(np.int64) << bit
        codes, pattern = np.unique(code, return_inverse=True)
        known = [tuple(each for bit, each in enumerate(base) if one >> bit & 1) for one in codes.tolist()]
        columns = [self._shares(each, name) for each in known]
        if careful:
            whole = self._shares(base, name)
            columns = [np.maximum(each, whole) for each in columns]
        return np.stack(columns, axis=1)[:, pattern]

    def _shares(self, base: tuple[_Choice, ...], name: str) -> Floats:
        """Long-run shares of a dimension's values among everybody of the base; of several values the greatest."""
        key = (base, name)
        found = self._asked.get(key)
        if found is None:
            found = np.zeros(len(self.values[name]))
            for values in product(*(choice.values for choice in base)):
                shares = self._ask(dict(zip((choice.name for choice in base), values, strict=True)), name)
                unknown = 0.0 if shares else 1.0
                np.maximum(found, [shares.get(value, unknown) for value in self.values[name]], out=found)
            self._asked[key] = found
        return found

    def named(self, best: _Combination) -> Dims:
        """Write a combination as dimensions: a model or firmware with its product, a product without its line."""
        choices = best.choices
        for choice in best.choices:
            others = tuple(each for each in choices if each is not choice)
            if choice.name != "product" and others and self._frequency(others, choice) >= IMPLIES:
                choices = others
        dims: Dims = {each.name: list(each.values) if len(each.values) > 1 else each.values[0] for each in choices}
        line = next((each for each in choices if each.name == "line" and len(each.values) == 1), None)
        if line is not None and "product" not in dims and self.values.get("product"):
            shares = self._shares((line,), "product")
            carried = (self.carry["product"] * self.weights * best.agrees).sum(axis=1)
            if carried.argmax() == shares.argmax() and shares.max() >= MOSTLY and shares.sum() < 1.0 + 1e-6:
                dims["product"] = self.values["product"][int(shares.argmax())]
        if isinstance(dims.get("product"), str):
            dims.pop("line", None)
        if "firmware" in dims and "model" not in dims and "model" in self.names:
            model = self._only_model(best)
            if model:
                dims["model"] = model
        if dims.keys() - set(DIMENSIONS) and not dims.keys() & set(BROAD):
            product = self._only("product", best)
            if product:
                dims["product"] = product
            elif only := self._only_line(best):
                dims["line"] = only
        return {name: dims[name] for name in self.names if name in dims}

    def _only_model(self, best: _Combination) -> str:
        """The model that all of a firmware's victims have, '' if several or the product has no other.

        A new firmware that only one model has got says the model by itself, so that the model brings no evidence of its
        own; people look for it all the same.
        """
        model = self._only("model", best)
        if not model:
            return ""
        product = tuple(each for each in best.choices if each.name in BROAD)
        top = self.values["model"].index(model)
        return model if self._shares(product, "model")[top] < IMPLIES else ""

    def _only_line(self, best: _Combination) -> str:
        """The line to which all belong who ordinarily have what a combination names, '' if there are several.

        It brings no evidence; but where no product is named, people look for the line.
        """
        others = tuple(each for each in best.choices if each.name != "line")
        line = self._only("line", best)
        return line if line and self._frequency(others, _Choice("line", (line,))) >= IMPLIES else ""

    def _only(self, name: str, best: _Combination) -> str:
        """The value of a dimension that nearly all carry who agree with a combination and state one, '' if several.

        Of a version of the events' own, such as that of an application, people look for the product also where all who
        have it ordinarily report from one product, so that the product brings no evidence.
        """
        if not self.values.get(name):
            return ""
        carried = (self.carry[name] * self.weights * best.agrees).sum(axis=1)
        stated = float((self.stated[name] * self.weights * best.agrees).sum())
        enough = stated >= LEAST_OF_MODEL and carried.max() >= IMPLIES * stated
        return self.values[name][int(carried.argmax())] if enough else ""
