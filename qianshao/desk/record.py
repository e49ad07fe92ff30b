"""The record: what an incident says when it changes, its newest state whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from qianshao.clock import to_rfc3339
from qianshao.desk.case import MAX_EVIDENCE, Case
from qianshao.desk.memory import Alike
from qianshao.desk.severity import confidence_of, dangerous, grounds_of
from qianshao.desk.wording import about_of, telling, title_of
from qianshao.finding import Suspect
from qianshao.incident import Change, IncidentChange, Reason, Signal, Similar, SuspectRollout

MAX_SIGNALS = 12
MAX_QUOTES = 5


def note_told(case: Case) -> None:
    """Count a record in its case and note what people know by it: growth is measured from there."""
    case.version += 1
    case.told_customers = len(case.customers)
    case.told_dims = case.dims
    case.told_witnesses = case.witnesses()
    case.told_people = case.people()
    case.told_severity = case.severity
    case.told_grounds = grounds_of(case)
    case.told_danger = dangerous(case)


def change_of(case: Case, change: Change, reason: Reason, tick: int, zone: tzinfo, by: str = "") -> IncidentChange:
    """Return the record of a case's change as the contract words it; cost linear in the case's evidence.

    Parameters
    ----------
    case
        As it stands after the change, noted as told.
    change, reason
        What happened and why.
    tick
        When it was decided, epoch milliseconds.
    zone
        In which times are written.
    by
        The person who decided it; '' = the desk.
    """
    spoken = sorted(case.witnessed.values(), key=lambda each: (-each.score, each.series))
    best = telling(case)
    return IncidentChange(
        incident=case.incident,
        version=case.version,
        change=change,
        status=case.status,
        reason=reason,
        at=to_rfc3339(tick, zone),
        opened_at=None if case.opened_at is None else to_rfc3339(case.opened_at, zone),
        first_seen=to_rfc3339(case.first_seen, zone),
        severity=case.severity,
        title=title_of(case),
        dims=case.dims,
        about=about_of(case),
        signals=[
            Signal(
                series=each.series,
                kind=each.kind,
                window_start=to_rfc3339(each.window_start, zone),
                window_end=to_rfc3339(each.window_end, zone),
                observed=each.observed,
                expected=each.expected,
                score=each.score,
            )
            for each in spoken[:MAX_SIGNALS]
        ],
        customers=len(case.customers),
        messages=case.messages,
        devices=len(case.devices),
        keywords=list(best.keywords) if best else [],
        quotes=list(best.quotes)[:MAX_QUOTES] if best else [],
        evidence=case.carrying_ids()[:MAX_EVIDENCE],
        confidence=confidence_of(case),
        parent=case.parent,
        suspect=_rollout(case.suspect, zone),
        by=by or msgspec.UNSET,
        maintenance=case.maintenance or msgspec.UNSET,
        similar=case.similar or msgspec.UNSET,
    )


def similar_of(alike: Sequence[Alike], zone: tzinfo) -> list[Similar]:
    """Return how incidents of the past that a case is like are named in its records."""
    return [
        Similar(
            incident=each.past.incident,
            title=each.past.title,
            opened_at=to_rfc3339(each.past.opened_at, zone),
            resolved_at=to_rfc3339(each.past.ended_at, zone),
            why=each.why,
            verdict=each.past.verdict,
            said=each.past.said,
        )
        for each in alike
    ]


def _rollout(found: Suspect | None, zone: tzinfo) -> SuspectRollout | msgspec.UnsetType:
    if found is None:
        return msgspec.UNSET
    return SuspectRollout(
        dimension=found.dimension,
        value=found.value,
        since=to_rfc3339(found.since, zone),
        share=found.share,
        among=found.among,
    )
