"""The plan of a world: which incidents and which decoys happen when."""

from __future__ import annotations

from flows.sources.world.setting import Plan, Setting


def make_plan(setting: Setting) -> Plan:
    """Plan a world and put everything special onto its timeline."""
    return Plan()
