"""Pushes out: one record per state change of a proactive message to one customer about one incident."""

from __future__ import annotations

from typing import Literal

import msgspec

PushState = Literal["proposed", "approved", "queued", "leased", "delivered", "failed", "cancelled", "expired"]


class Push(msgspec.Struct, kw_only=True):
    """One proactive message in one state. `push` is the idempotency key: root incident + customer."""

    push: str
    incident: str
    customer: str
    template: str
    params: dict[str, str]
    channel_preference: list[str]
    priority: int
    not_before: str
    valid_until: str
    reason: Literal["device_logged", "contacted", "same_cohort"]
    state: PushState
    at: str


class Trend(msgspec.Struct, kw_only=True):
    """One product × topic on one day, for product teams."""

    item: str
    date: str
    line: str
    product: str
    topic: str
    customers: int
    expected: float
    change: float
    state: Literal["rising", "new", "seasonal", "falling", "resolved"]
    terms: list[str]
    quotes: list[str]
    incidents: list[str]
