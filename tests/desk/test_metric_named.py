"""The card says which metric of the devices deviates, and how."""

from __future__ import annotations

import msgspec
from desk_fakes import NOON, desk, finding


def test_the_title_says_which_metric_deviates_from_what_is_usual() -> None:
    strange = finding(customers=range(24), measure="metric", value="battery", witness="devices")
    told = "battery 通常 80，现为 9"
    evidence = tuple(msgspec.structs.replace(event, topic="") for event in strange.evidence)
    changes, _, _ = desk().advance([msgspec.structs.replace(strange, keywords=(told,), evidence=evidence)], NOON)
    assert changes[0].title == f"门锁 设备指标 {told}：已影响 24 台设备"
    assert changes[0].keywords == [told]
