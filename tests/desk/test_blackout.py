"""Devices of several products that fail in one place at once: one incident, named by the place."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, Dims, desk, finding

from qianshao.clock import MINUTE_MS
from qianshao.finding import Finding
from qianshao.incident import IncidentChange


def failing(code: str, product: str, dims: Dims, *, after: int = 0, line: str = "家居", first: int = 0) -> Finding:
    """Twelve devices of one product that log a code of their own."""
    found = finding(
        customers=range(first, first + 12),
        tick=NOON + after * MINUTE_MS,
        measure="code",
        value=code,
        dims=dims,
        witness="devices",
        product=product,
    )
    evidence = tuple(msgspec.structs.replace(each, line=line, region="华中") for each in found.evidence)
    return msgspec.structs.replace(found, evidence=evidence)


def last_of_each(*findings: Finding) -> list[IncidentChange]:
    newest: dict[str, IncidentChange] = {}
    at_work = desk()
    for each in findings:
        for change in at_work.advance([each], each.tick)[0]:
            newest[change.incident] = change
    return list(newest.values())


LOCKS = failing("E201", "门锁", {"product": "门锁", "region": "华中"})


def test_two_products_that_fail_in_one_region_are_one_incident_of_the_region() -> None:
    cameras = failing("E502", "摄像头", {"product": "摄像头", "region": "华中"}, after=4, first=50)
    kept, merged = last_of_each(LOCKS, cameras)
    assert (kept.status, kept.dims) == ("open", {"line": "家居", "region": "华中"})
    assert (merged.status, merged.parent, merged.reason) == ("merged", kept.incident, "same_cause")


def test_a_third_product_joins_them_and_the_name_stays() -> None:
    cameras = failing("E502", "摄像头", {"product": "摄像头", "region": "华中"}, after=4, first=50)
    heaters = failing("E9", "热水器", {"product": "热水器", "region": "华中"}, after=9, first=100)
    kept, *merged = last_of_each(LOCKS, cameras, heaters)
    assert kept.dims == {"line": "家居", "region": "华中"}
    assert [each.parent for each in merged] == 2 * [kept.incident]


def test_where_a_place_fails_a_third_product_may_follow_for_hours() -> None:
    cameras = failing("E502", "摄像头", {"product": "摄像头", "region": "华中"}, after=4, first=50)
    heaters = failing("E9", "热水器", {"product": "热水器", "region": "华中"}, after=150, first=100)
    kept, *merged = last_of_each(LOCKS, cameras, heaters)
    assert [each.parent for each in merged] == 2 * [kept.incident]


@pytest.mark.parametrize(
    "other",
    [
        failing("E502", "摄像头", {"product": "摄像头", "region": "华东"}, first=50),
        failing("E502", "摄像头", {"product": "摄像头", "region": "华中", "firmware": "2.0"}, first=50),
        failing("E502", "摄像头", {"product": "摄像头"}, first=50),
        failing("E502", "摄像头", {"product": "摄像头", "region": "华中"}, after=31, first=50),
        failing("E502", "餐箱", {"product": "餐箱", "region": "华中"}, line="到家", first=50),
    ],
    ids=["another region", "a version is named", "no region", "half an hour later", "another line"],
)
def test_otherwise_two_products_that_fail_are_two_incidents(other: Finding) -> None:
    assert [each.status for each in last_of_each(LOCKS, other)] == ["open", "open"]


def test_what_customers_say_is_no_failing_device() -> None:
    said = finding(
        customers=range(50, 62), value="设备故障", dims={"product": "摄像头", "region": "华中"}, product="摄像头"
    )
    assert len([each for each in last_of_each(LOCKS, said) if each.status == "open"]) == 2


def test_a_desk_that_is_restored_still_knows_that_the_place_fails() -> None:
    cameras = failing("E502", "摄像头", {"product": "摄像头", "region": "华中"}, after=4, first=50)
    before, after = desk(), desk()
    before.advance([LOCKS, cameras], cameras.tick)
    after.restore(before.snapshot())
    more = msgspec.structs.replace(cameras, tick=cameras.tick + 5 * MINUTE_MS, observed=30.0)
    assert before.advance([more], more.tick) == after.advance([more], more.tick)
