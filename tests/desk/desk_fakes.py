"""Findings and desks for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.config import Config, Maintenance, PushSettings
from qianshao.desk.desk import Desk
from qianshao.event import Observation
from qianshao.finding import Finding
from qianshao.series import Series

NOON = 1_765_425_600_000  # 2025-12-11 12:00 in Shanghai
Dims = dict[str, str | list[str]]


def finding(
    *,
    customers: Sequence[int],
    tick: int = NOON,
    measure: str = "topic",
    value: str = "设备离线",
    dims: Dims | None = None,
    witness: str = "contacts",
    opens: bool = True,
    score: float = 8.0,
    product: str | None = "门锁",
    danger: str = "",
) -> Finding:
    return Finding(
        series=Series(measure, value, (("product", product or ""),)),
        kind="device" if witness == "devices" else "rise",
        tick=tick,
        window_start=tick - HOUR_MS,
        window_end=tick,
        observed=len(customers),
        expected=0.5,
        score=score,
        witness=witness,
        evidence=tuple(
            Observation(
                id=f"{measure}-{value}-{number}",
                kind="device" if witness == "devices" else "chat",
                ts=tick - MINUTE_MS,
                customer=number + 1,
                device=number + 1 if witness == "devices" else 0,
                product=product,
                topic=value if measure == "topic" else "设备离线",
                danger=danger,
            )
            for number in customers
        ),
        dims={"product": "门锁"} if dims is None else dims,
        keywords=("连不上",),
        quotes=("门锁连不上了",),
        opens=opens,
    )


def stated(found: Finding, **fields: object) -> Finding:
    """The same finding, its events stating other fields."""
    evidence = tuple(msgspec.structs.replace(event, **fields) for event in found.evidence)
    return msgspec.structs.replace(found, evidence=evidence)


def desk(*windows: Maintenance, **push: object) -> Desk:
    return Desk(Config(push=msgspec.convert(push, PushSettings), maintenance=windows))
