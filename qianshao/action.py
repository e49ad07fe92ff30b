"""What people decide: acknowledgements, verdicts and approvals, which enter through a source like every event."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ActionKind = Literal[
    "acknowledge",
    "silence",
    "resolve",
    "dismiss",
    "merge",
    "reopen",
    "verdict",
    "approve_push",
    "cancel_push",
    "relabel",
    "reload",
    "unlink",
]


class Action(msgspec.Struct, kw_only=True):
    """One decision of one person about one incident, masked like every text that comes in."""

    id: str
    """Idempotency key."""
    action: ActionKind
    at: int
    """When the person decided, epoch milliseconds."""
    by: str
    incident: str = ""
    """'' only where the action concerns no incident (`relabel`, `reload`, `unlink`)."""
    reason: str = ""
    into: str = ""
    """`merge`: the incident that remains."""
    push: str = ""
    """`approve_push`, `cancel_push`: one push; '' = every push of the incident."""
    until: int | None = None
    """`silence`: until when, epoch milliseconds."""
    verdict: Literal["", "true", "false"] = ""
    """`verdict`: whether the incident was a real one."""
    conversation: int = 0
    """`relabel`: pseudonym of the conversation that was labelled wrongly; 0 = found by its ticket."""
    ticket: int = 0
    """`relabel`: pseudonym of the ticket."""
    topic: str = ""
    """`relabel`: the right topic, '' = not corrected; so with `type` and `sentiment`."""
    type: str = ""
    """`relabel`: the right ticket type."""
    sentiment: Literal["", "negative", "neutral", "positive"] = ""
    """`relabel`: the right feeling."""
    customer: int = 0
    """`unlink`: pseudonym of one identifier …"""
    other: int = 0
    """`unlink`: … and of another one, of somebody else."""
    extra: dict[str, Any] = {}
    """Unknown fields, masked."""


class ActionOutcome(msgspec.Struct, kw_only=True):
    """What became of an action. (`action.id`) is its key."""

    action: Action
    state: Literal["applied", "recorded", "refused"]
    """`recorded`: noted for others to use, nothing changed here."""
    detail: str
    """Named reason, such as `unknown_incident` or `already_resolved`; '' when applied."""
    tick: int
    """Decision tick at which it took effect, epoch milliseconds."""
