"""Incidents out: one record per change, the newest state whole, in the shape that others test against."""

from __future__ import annotations

from typing import Literal

import msgspec

Change = Literal[
    "watched",
    "opened",
    "updated",
    "acknowledged",
    "escalated",
    "mitigated",
    "resolved",
    "reopened",
    "merged",
    "dismissed",
]
Status = Literal["watching", "open", "acknowledged", "mitigated", "resolved", "merged", "dismissed"]
Reason = Literal[
    "weak_witness",
    "inhibited_by_parent",
    "maintenance_window",
    "overwhelming_rise",
    "two_witnesses",
    "never_seen_code",
    "channel_silent",
    "danger_reported",
    "parent_ended",
    "maintenance_overran",
    "joined_open_incident",
    "same_cause",
    "more_customers",
    "another_witness",
    "place_narrowed",
    "growing_faster",
    "mostly_negative",
    "spreading",
    "severity_rose_while_silenced",
    "silence_ended",
    "no_new_evidence",
    "came_back",
    "evidence_after_resolution",
    "weak_evidence_faded",
    "faded_with_parent",
    "faded_with_maintenance",
    "danger_after_dismissal",
    "tripled_after_dismissal",
    "by_person",
]
"""Why the desk decides; a record may hold another one that a later desk gave."""
Severity = Literal["P1", "P2", "P3", "P4"]


class About(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the incident is about; topics, codes and terms are not dimensions."""

    topic: str | None = None
    ticket_type: str | None = None
    code: str | None = None
    terms: list[str] = []


class Signal(msgspec.Struct, kw_only=True):
    """One witness of an incident: a series, its window, observed against expected."""

    series: str
    kind: str
    window_start: str
    window_end: str
    observed: float
    expected: float
    score: float


Likeness = Literal["same_code", "same_theme", "same_terms", "same_topic", "same_place"]


class Similar(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An incident of the past that was like this one."""

    incident: str
    title: str
    opened_at: str
    resolved_at: str
    """When it ended: was resolved, or dismissed by a person."""
    why: list[Likeness]
    """In what they are alike, the most telling first."""
    verdict: Literal["", "true", "false"] = ""
    """What people said of it: a real one, or none."""
    said: str = ""
    """The reason that a person gave when ending or judging it, masked."""


class SuspectRollout(msgspec.Struct, kw_only=True):
    """A version that was just being brought out where the incident lies: a reason to ask, no proof."""

    dimension: str
    value: str
    since: str
    share: float
    """Of all devices and customers of `among`, 0–1."""
    among: str
    """The model, or the product; '' = everybody who states this dimension."""


class IncidentChange(msgspec.Struct, kw_only=True, omit_defaults=False):
    """One change of one incident: a line of `incidents.jsonl`, a row of the incidents table, a message of the topic."""

    incident: str
    version: int
    change: Change
    status: Status
    reason: str
    at: str
    opened_at: str | None
    first_seen: str
    severity: Severity
    title: str
    dims: dict[str, str | list[str]]
    about: About
    signals: list[Signal]
    customers: int
    messages: int
    devices: int
    keywords: list[str]
    quotes: list[str]
    evidence: list[str]
    confidence: float
    parent: str | None = None
    suspect: SuspectRollout | msgspec.UnsetType = msgspec.UNSET
    """What was in roll-out there; absent where nothing was."""
    by: str | msgspec.UnsetType = msgspec.UNSET
    """The person who decided this change; absent where none did."""
    maintenance: str | msgspec.UnsetType = msgspec.UNSET
    """The planned work that explains evidence of it, by its name in the configuration; absent where none does."""
    similar: list[Similar] | msgspec.UnsetType = msgspec.UNSET
    """Up to three incidents of the past, the most similar first, as they were known when this one opened; absent where
    there are none."""
