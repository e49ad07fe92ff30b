"""May a person do this to this case now? A named refusal, or None."""

from __future__ import annotations

from collections.abc import Mapping

from qianshao.action import Action, ActionKind
from qianshao.desk.case import Case
from qianshao.incident import Status

_FROM: dict[ActionKind, tuple[Status, ...]] = {
    "acknowledge": ("open",),
    "resolve": ("open", "acknowledged", "mitigated"),
    "dismiss": ("watching", "open", "acknowledged", "mitigated", "resolved"),
    "reopen": ("resolved", "dismissed"),
    "merge": ("watching", "open", "acknowledged", "mitigated", "resolved"),
    "silence": ("watching", "open", "acknowledged", "mitigated"),
}
"""Statuses that an action leads away from; an action that is not here is allowed in every one."""


def refusal(action: Action, tick: int, cases: Mapping[str, Case]) -> str | None:
    """Name why an action cannot be applied at this tick, None = it can.

    Pushes are not looked at: the push gate refuses those one by one.
    """
    if action.action in ("relabel", "reload", "unlink"):
        return None
    case = cases.get(action.incident)
    if case is None:
        return "unknown_incident"
    if action.action in _FROM and case.status not in _FROM[action.action]:
        return "not_open" if case.status == "watching" and action.action != "reopen" else f"already_{case.status}"
    if action.action == "verdict":
        return None if action.verdict else "verdict_missing"
    if action.action == "silence":
        return _silence_refusal(action, tick, case)
    if action.action == "merge":
        return _merge_refusal(action, cases)
    return None


def _silence_refusal(action: Action, tick: int, case: Case) -> str | None:
    if action.until is None:
        return "until_missing"
    if action.until <= tick:
        return "until_passed"
    return "already_silenced" if action.until == case.silenced_until else None


def _merge_refusal(action: Action, cases: Mapping[str, Case]) -> str | None:
    """What remains must be there and not have ended in another itself: chains and circles cannot come about."""
    if action.into == action.incident:
        return "into_itself"
    into = cases.get(action.into)
    if into is None:
        return "unknown_into"
    return f"into_{into.status}" if into.status in ("merged", "dismissed") else None
