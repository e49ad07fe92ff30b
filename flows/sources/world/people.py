"""The invented people: who lives where, owns what, and under which identifiers they turn up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from flows.sources.world.catalog import APP_VERSIONS, DEVICE_PRODUCTS, REGIONS, Product

T = TypeVar("T")

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂玲欣怡子涵浩宇梓萱雨泽一诺建国志远海燕晓东"
MOBILE_PREFIXES = (
    "138",
    "139",
    "150",
    "151",
    "152",
    "158",
    "176",
    "177",
    "182",
    "186",
    "187",
    "188",
    "199",
    "131",
    "135",
)
OPENID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


class Weighted(Generic[T]):
    """Values with weights, ready for a fast choice.

    Parameters
    ----------
    pairs
        (value, weight); the weights need not add up to one.
    """

    __slots__ = ("_edges", "_values")

    def __init__(self, pairs: Iterable[tuple[T, float]]) -> None:
        listed = list(pairs)
        total = sum(weight for _, weight in listed)
        self._values = [value for value, _ in listed]
        self._edges = list(accumulate(weight / total for _, weight in listed))
        self._edges[-1] = 1.0

    def pick(self, rng: Random) -> T:
        """Choose one value."""
        return self._values[bisect_right(self._edges, rng.random())]


def new_phone(rng: Random) -> str:
    """Invent a mainland mobile number."""
    return MOBILE_PREFIXES[int(rng.random() * len(MOBILE_PREFIXES))] + f"{rng.randrange(100_000_000):08d}"


def new_name(rng: Random) -> str:
    """Invent a Chinese name of two or three characters."""
    name = SURNAMES[int(rng.random() * len(SURNAMES))] + GIVEN[int(rng.random() * len(GIVEN))]
    return name + GIVEN[int(rng.random() * len(GIVEN))] if rng.random() < 0.7 else name


class Device:
    """One device in the field."""

    __slots__ = ("firmware", "id", "model", "owner", "product")

    def __init__(
        self, identifier: str, product: Product, model: str | None, firmware: str | None, owner: Person
    ) -> None:
        self.id = identifier
        self.product = product
        self.model = model
        self.firmware = firmware
        self.owner = owner


class Person:
    """One person under all their identifiers."""

    __slots__ = ("account", "app_version", "city", "devices", "key", "name", "openid", "phone", "region")

    def __init__(self, rng: Random, number: int) -> None:
        self.key = f"c{number:06d}"
        self.phone = new_phone(rng)
        self.account = f"qn{rng.getrandbits(36):09x}"
        self.openid = "oQ7_" + "".join(OPENID_ALPHABET[byte & 63] for byte in rng.randbytes(22))
        region, cities = REGION.pick(rng)
        self.region = region
        self.city = cities[int(rng.random() * len(cities))]
        self.name = new_name(rng)
        self.app_version = APP_VERSION.pick(rng)
        self.devices: list[Device] = []


REGION: Weighted[tuple[str, tuple[str, ...]]] = Weighted(((name, cities), share) for name, share, cities in REGIONS)
APP_VERSION: Weighted[str] = Weighted(APP_VERSIONS)
_MODELS = {
    product.name: Weighted(((model.name, Weighted(model.firmwares)), model.share) for model in product.models)
    for product in DEVICE_PRODUCTS
    if product.models
}


class Population:
    """Everybody, with their devices.

    Parameters
    ----------
    rng
        Source of all choices.
    size
        Number of people; memory is about 1 KB each.
    """

    def __init__(self, rng: Random, size: int) -> None:
        self.people: list[Person] = []
        self.devices: dict[str, list[Device]] = {product.name: [] for product in DEVICE_PRODUCTS}
        for number in range(size):
            person = Person(rng, number)
            self.people.append(person)
            for product in DEVICE_PRODUCTS:
                if rng.random() < product.ownership:
                    model: str | None = None
                    firmware: str | None = None
                    if product.models:
                        model, firmwares = _MODELS[product.name].pick(rng)
                        firmware = firmwares.pick(rng)
                    device = Device(f"{product.prefix}{rng.randrange(10**10):010d}", product, model, firmware, person)
                    person.devices.append(device)
                    self.devices[product.name].append(device)

    def anybody(self, rng: Random) -> Person:
        """Choose a person; some people turn up more often than others."""
        return self.people[int(rng.random() ** 1.4 * len(self.people))]

    def owner_device(self, rng: Random, product: Product) -> Device:
        """Choose a device of `product` in the field."""
        devices = self.devices[product.name]
        return devices[int(rng.random() * len(devices))]
