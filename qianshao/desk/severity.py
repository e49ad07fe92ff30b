"""How bad an incident is, from who is hurt and how many."""

from __future__ import annotations

from qianshao.desk.case import Case
from qianshao.incident import Severity


def severity_of(case: Case) -> Severity:
    """Return P1 for danger or a hundred people, P2 from thirty, P3 from ten, else P4; silence of a channel is P2."""
    people = max(len(case.customers), len(case.devices) // 2)
    if dangerous(case):
        return "P1"
    if people >= 100:
        return "P1"
    if people >= 30 or any(each.kind in ("silence", "drop") for each in case.witnessed.values()):
        return "P2"
    return "P3" if people >= 10 else "P4"


def dangerous(case: Case) -> bool:
    """Say whether people are in danger: a detector of dangers speaks, and an event names one."""
    return bool(case.dangers) and any(key.startswith("danger:") for key in case.witnessed)


def confidence_of(case: Case) -> float:
    """Return 0–1: how far the strongest witness stands out, more with every further independent one."""
    strongest = max(each.score for each in case.witnessed.values())
    doubt = 10.0 ** (-strongest / 8.0) / case.witnesses()
    return float(round(max(0.0, min(0.99, 1.0 - doubt)), 3))
