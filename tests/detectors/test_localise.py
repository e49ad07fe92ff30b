"""Localisation: the most specific combination that explains an excess, and no more than the evidence allows."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

from detectors.localise import dimensions_of, localise
from qianshao.event import Observation

NAMES = ("product", "line", "model", "firmware", "region", "channel")
SHARES = {
    "line": {"家居": 0.5, "到家": 0.5},
    "product": {"门锁": 0.3, "摄像头": 0.2, "外卖": 0.5},
    "model": {"L1": 0.5, "L2": 0.5},
    "firmware": {"2.1.0": 0.8, "2.2.0": 0.2},
    "region": {"华东": 0.3, "华南": 0.3, "华北": 0.2, "西南": 0.2},
    "channel": {"app": 0.6, "hotline": 0.4},
}


def long_run(_base: Mapping[str, str], name: str) -> Mapping[str, float]:
    return SHARES.get(name, {})


def events(number: int, fixed: dict[str, str], *, stated: float = 1.0, seed: int = 1) -> list[Observation]:
    chance = random.Random(seed)
    found = []
    for index in range(number):
        values: dict[str, str | None] = {
            name: fixed.get(name) or chance.choices(list(shares), weights=list(shares.values()))[0]
            for name, shares in SHARES.items()
        }
        for name in values:
            if chance.random() > stated:
                values[name] = None
        found.append(
            Observation(id=f"{seed}-{index}", kind="chat", ts=index, customer=seed * 10_000 + index + 1, **values)
        )  # type: ignore[arg-type]
    return found


def test_a_single_cause_is_named() -> None:
    cause = localise(events(30, {"product": "门锁", "firmware": "2.2.0"}), 0.5, NAMES, long_run, by_device=False)
    assert cause.dims == {"product": "门锁", "firmware": "2.2.0"}


def test_dimensions_that_most_customers_leave_out_are_still_named() -> None:
    sparse = events(60, {"product": "门锁", "region": "西南"}, stated=0.5)
    assert localise(sparse, 0.5, NAMES, long_run, by_device=False).dims == {"product": "门锁", "region": "西南"}


def test_a_cause_without_a_dimension_is_named_by_none() -> None:
    assert localise(events(60, {}), 1.0, NAMES, long_run, by_device=False).dims == {}


def test_ordinary_customers_among_the_evidence_do_not_hide_the_cause() -> None:
    mixed = events(24, {"product": "门锁", "region": "华北"}) + events(10, {}, seed=2)
    assert localise(mixed, 10.0, NAMES, long_run, by_device=False).dims == {"product": "门锁", "region": "华北"}


def test_three_customers_are_too_few_to_name_a_common_value() -> None:
    few = events(3, {"channel": "app"})
    assert "channel" not in localise(few, 0.1, ("channel",), long_run, by_device=False).dims


def test_two_values_together_are_a_list_in_order() -> None:
    both = events(25, {"product": "门锁", "region": "西南"}) + events(25, {"product": "门锁", "region": "华北"}, seed=2)
    assert localise(both, 0.5, NAMES, long_run, by_device=False).dims == {"product": "门锁", "region": ["华北", "西南"]}


def test_the_evidence_that_contradicts_the_cause_is_left_out() -> None:
    mixed = events(24, {"product": "门锁", "region": "华北"}) + events(6, {"product": "外卖"}, seed=2)
    cause = localise(mixed, 6.0, NAMES, long_run, by_device=False)
    assert all(event.product == "门锁" for event in cause.carried)


def test_one_device_with_many_logs_counts_once() -> None:
    flood = [
        Observation(id=f"f{index}", kind="device", ts=index, device=1, customer=1, region="华东")
        for index in range(500)
    ]
    spread = [
        Observation(id=f"s{index}", kind="device", ts=index, device=index + 2, customer=index + 2, region=region)
        for index, region in enumerate(("华南", "华北", "西南", "华南", "华北", "西南"))
    ]
    assert localise(flood + spread, 0.1, ("region",), long_run, by_device=True).dims == {}


def one_model_has_it(base: Mapping[str, str], name: str) -> Mapping[str, float]:
    """The ordinary mix, where only L1 has got firmware 2.2.0."""
    return {"L1": 1.0} if name == "model" and base.get("firmware") == "2.2.0" else long_run(base, name)


def test_a_firmware_that_only_one_model_has_is_named_with_the_model() -> None:
    found = events(20, {"product": "门锁", "model": "L1", "firmware": "2.2.0"})
    dims = localise(found, 0.2, NAMES, one_model_has_it, by_device=False).dims
    assert dims == {"product": "门锁", "model": "L1", "firmware": "2.2.0"}


def test_a_firmware_of_several_models_is_named_without_one() -> None:
    found = events(20, {"product": "门锁", "firmware": "2.2.0"})
    assert "model" not in localise(found, 0.2, NAMES, long_run, by_device=False).dims


def of_a_version(product: Mapping[int, str]) -> list[Observation]:
    """Devices that all have one version of the application, each of its product; other products have others."""
    return [
        Observation(id=f"v{each}", kind="device", ts=each, device=each + 1, product=name, dims={"app_version": "9.1"})
        for each, name in product.items()
    ]


def of_one_product(_base: Mapping[str, str], name: str) -> Mapping[str, float]:
    """Nearly all who report anything are wallets, so that the product brings no evidence."""
    shares = {"product": {"钱包": 0.96, "门锁": 0.02, "平板": 0.02}, "app_version": {"9.1": 0.2, "9.0": 0.8}}
    return shares.get(name, {})


def test_a_version_that_only_one_product_reports_is_named_with_the_product() -> None:
    found = of_a_version(dict.fromkeys(range(12), "钱包"))
    cause = localise(found, 0.5, ("product", "line", "app_version"), of_one_product, by_device=True)
    assert cause.dims == {"product": "钱包", "app_version": "9.1"}


def in_a_city(number: int, **dims: str) -> list[Observation]:
    """Customers in 武汉 of two products of a line of three, who state further dimensions of their own."""
    return [
        Observation(
            id=f"c{each}",
            kind="chat",
            ts=each,
            customer=each + 1,
            line="到家",
            product=("外卖", "生鲜", "食品")[each % 3],
            dims={"city": "武汉", **dims},
        )
        for each in range(number)
    ]


def of_cities(base: Mapping[str, str], name: str) -> Mapping[str, float]:
    """One city in twenty; 武汉 is served by one line alone, and each city has five shops."""
    shares = {
        "line": {"到家": 1.0} if base.get("city") == "武汉" else {"到家": 0.5, "家居": 0.5},
        "product": {"外卖": 0.4, "生鲜": 0.3, "食品": 0.3},
        "city": {"武汉": 0.05, "其他": 0.95},
        "store": {f"武汉{each}店": 0.2 if base.get("city") == "武汉" else 0.01 for each in range(5)},
    }
    return shares.get(name, {})


def test_a_place_that_only_one_line_serves_is_named_with_the_line() -> None:
    cause = localise(in_a_city(12), 0.5, ("product", "line", "city"), of_cities, by_device=False)
    assert cause.dims == {"line": "到家", "city": "武汉"}


def test_what_few_of_them_state_does_not_name_a_cause() -> None:
    found = [
        *in_a_city(40),
        *(
            msgspec.structs.replace(each, id=f"s{each.id}", customer=each.customer + 100)
            for each in in_a_city(4, store="武汉3店")
        ),
    ]
    cause = localise(found, 0.5, ("product", "line", "city", "store"), of_cities, by_device=False)
    assert cause.dims == {"line": "到家", "city": "武汉"}


def test_of_many_own_dimensions_those_are_tried_that_most_events_state() -> None:
    own = dict.fromkeys(("alpha", "beta", "gamma", "delta"), "x")
    found = [*in_a_city(9, zone="z"), *in_a_city(1, **own)]
    assert dimensions_of(found, ("line",))[1:] == ["alpha", "beta", "city", "zone"]


def test_a_version_of_several_products_is_named_without_one() -> None:
    found = of_a_version({each: ("钱包", "门锁", "平板")[each % 3] for each in range(12)})
    assert localise(found, 0.5, ("product", "line", "app_version"), long_run_versions, by_device=True).dims == {
        "app_version": "9.1"
    }


def long_run_versions(_base: Mapping[str, str], name: str) -> Mapping[str, float]:
    shares = {"product": {"钱包": 0.3, "门锁": 0.4, "平板": 0.3}, "app_version": {"9.1": 0.2, "9.0": 0.8}}
    return shares.get(name, {})
