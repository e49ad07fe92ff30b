"""Localisation on simulated lattices of known cause: named whole where it can be, and by nothing false elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import sqrt
from random import Random

import pytest

from detectors.localise import Dims, localise
from qianshao.event import DIMENSIONS, Observation

NAMES = ("product", "line", "model", "firmware", "region", "channel", "app_version", "shop")
MOST_ORDINARY = 1_500
"""Ordinary customers in one window; causes so small beside more of them are drawn anew."""

DRAWS = 40
"""A small lattice may have no cause that is wide enough for a large number of customers: it is left out then."""


class Lattice:
    """A customer base: uneven shares, models of one product, firmwares of several models, statements left out.

    Products have models with one to three firmwares each, or shops; versions of the app are known in the app only.
    """

    def __init__(self, seed: int, people: int = 3_000) -> None:
        self.chance = Random(seed)
        chance = self.chance
        lines = [f"line {number}" for number in range(chance.randint(1, 4))]
        products = [f"P{number}" for number in range(chance.randint(4, 9))]
        self.line = {product: lines[number % len(lines)] for number, product in enumerate(products)}
        self.product = self._uneven(products)
        self.model: dict[str, dict[str, float]] = {}
        self.firmware: dict[str, dict[str, float]] = {}
        for number, product in enumerate(products):
            if chance.random() < 0.6:
                self.model[product] = self._uneven(f"M{number}{each}" for each in range(chance.randint(2, 4)))
                pool = [f"{number if chance.random() < 0.7 else 1}.{each}" for each in range(chance.randint(2, 5))]
                for model in self.model[product]:
                    self.firmware[model] = self._uneven(chance.sample(pool, min(len(pool), chance.randint(1, 3))))
        self.region = self._uneven(f"R{number}" for number in range(7))
        self.channel = self._uneven(("app", "web", "hotline", "wechat"))
        self.app = self._uneven(("9.1", "9.2", "9.3", "9.4"))
        self.shop = self._uneven(f"S{number}" for number in range(12))
        self.left_out = {name: chance.uniform(0.1, 0.5) for name in NAMES}
        self.people = [self._person() for _ in range(people)]
        self.shares = cache(lambda base, name: self._shares(dict(base), name))

    def _uneven(self, names: Iterable[str]) -> dict[str, float]:
        return {name: self.chance.gammavariate(2.0, 1.0) / sqrt(rank + 1) + 0.05 for rank, name in enumerate(names)}

    def _one(self, weights: Mapping[str, float]) -> str:
        return self.chance.choices(list(weights), list(weights.values()))[0]

    def _person(self) -> dict[str, str]:
        product = self._one(self.product)
        person = {"product": product, "line": self.line[product]}
        if product in self.model:
            person["model"] = self._one(self.model[product])
            person["firmware"] = self._one(self.firmware[person["model"]])
        elif self.chance.random() < 0.7:
            person["shop"] = self._one(self.shop)
        person["region"] = self._one(self.region)
        person["channel"] = self._one(self.channel)
        if person["channel"] == "app":
            person["app_version"] = self._one(self.app)
        return person

    def long_run(self, base: Mapping[str, str], name: str) -> Mapping[str, float]:
        found: Mapping[str, float] = self.shares(tuple(sorted(base.items())), name)
        return found

    def _shares(self, base: dict[str, str], name: str) -> dict[str, float]:
        counted = Counter(person[name] for person in self._fitting(base) if name in person)
        total = counted.total()
        return {value: number / total for value, number in counted.items()} if total >= 5 else {}

    def _fitting(self, dims: Mapping[str, str]) -> list[dict[str, str]]:
        return [person for person in self.people if all(person.get(key) == value for key, value in dims.items())]

    def cause(self, number: int) -> dict[str, str]:
        """Draw a cause each of whose dimensions at least halves what the others leave."""
        while True:
            person = self.chance.choice(self.people)
            names = self.chance.sample([name for name in person if name != "line"], number)
            if {"model", "firmware"}.intersection(names) and "product" not in names:
                continue
            dims = {name: person[name] for name in names}
            fitting = len(self._fitting(dims))
            wider = [len(self._fitting({name: dims[name] for name in dims if name != each})) for each in dims]
            if fitting >= 6 and all(2 * fitting <= each for each in wider):
                return dims

    def evidence(self, dims: Mapping[str, str], hit: int, excess: float) -> tuple[list[Observation], float] | None:
        """The events of `hit` customers of the cause, `excess` times what it ordinarily has, among ordinary ones."""
        fitting = self._fitting(dims)
        expected = hit / ((excess - 1.0) * len(fitting) / len(self.people))
        if expected > MOST_ORDINARY:
            return None
        ordinary = max(0, round(self.chance.gauss(expected, sqrt(expected))))
        people = [*self.chance.choices(self.people, k=ordinary), *self.chance.choices(fitting, k=hit)]
        return [self._event(who, each) for each, who in enumerate(people) for _ in range(self._number())], expected

    def _number(self) -> int:
        return self.chance.choice((1, 1, 2, 3))

    def _event(self, person: Mapping[str, str], customer: int) -> Observation:
        said = {name: value for name, value in person.items() if self.chance.random() >= self.left_out[name]}
        common = {name: said.pop(name) for name in DIMENSIONS if name in said}
        return Observation(id=str(customer), kind="chat", ts=customer, customer=customer + 1, dims=said, **common)  # type: ignore[arg-type]


class Tally:
    """Pairs of dimension and value, named or true."""

    def __init__(self) -> None:
        self.right = self.false = self.missed = 0

    def add(self, named: Dims, true: Mapping[str, str]) -> None:
        ours = {(name, value) for name, each in named.items() for value in ([each] if isinstance(each, str) else each)}
        self.right += len(ours & set(true.items()))
        self.false += len(ours - set(true.items()))
        self.missed += len(set(true.items()) - ours)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.false + self.missed)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.false)


def play(seeds: Iterable[int], customers: Sequence[int], excesses: Sequence[float]) -> dict[tuple[int, float], Tally]:
    """Localise a cause of one, two and three dimensions on each lattice for each number of customers and excess."""
    tallies = {(hit, excess): Tally() for hit in customers for excess in excesses}
    for seed in seeds:
        lattice = Lattice(seed)
        for hit, excess in tallies:
            for number in (1, 2, 3):
                for _ in range(DRAWS):
                    dims = lattice.cause(number)
                    drawn = lattice.evidence(dims, hit, excess)
                    if drawn is not None:
                        cause = localise(drawn[0], drawn[1], NAMES, lattice.long_run, by_device=False)
                        tallies[hit, excess].add(cause.dims, dims)
                        break
    return tallies


def pooled(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for each in tallies:
        total.right += each.right
        total.false += each.false
        total.missed += each.missed
    return total


def test_causes_of_one_to_three_dimensions_are_named() -> None:
    assert pooled(play((1, 2), (20, 60), (5, 15)).values()).f1 >= 0.9


def test_few_customers_are_named_in_part_rather_than_falsely() -> None:
    few = pooled(play((3, 4), (6,), (5, 12)).values())
    assert few.precision >= 0.7
    assert few.missed > few.false


def test_ordinary_customers_alone_are_named_by_nothing() -> None:
    named = 0
    for seed in (6, 7):
        lattice = Lattice(seed)
        for _ in range(10):
            people = lattice.chance.choices(lattice.people, k=40)
            events = [lattice._event(person, each) for each, person in enumerate(people)]
            named += bool(localise(events, 8.0, NAMES, lattice.long_run, by_device=False).dims)
    assert named <= 4


@pytest.mark.slow
def test_the_whole_curve_stays_above_nine_tenths_from_fifteen_customers_on() -> None:
    assert pooled(play(range(20, 28), (15, 30, 60, 200), (5, 10, 20)).values()).f1 >= 0.9
