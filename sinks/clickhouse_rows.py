"""Outcomes as columns of the store's tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from qianshao.action import ActionOutcome
from qianshao.clock import from_rfc3339
from qianshao.event import DeadLetter, Observation
from qianshao.incident import IncidentChange
from qianshao.outcome import Pulse, Rollup, Tally
from qianshao.push import Push, Trend
from sinks.batch import Columns

_encode = msgspec.json.Encoder().encode


def event_columns(events: Sequence[Observation], *, late: bool) -> Columns:
    """Columns of the table `events`."""
    return {
        "id": [event.id for event in events],
        "ts": [event.ts for event in events],
        "kind": [event.kind for event in events],
        "channel": [event.channel or "" for event in events],
        "line": [event.line or "" for event in events],
        "product": [event.product or "" for event in events],
        "model": [event.model or "" for event in events],
        "firmware": [event.firmware or "" for event in events],
        "region": [event.region or "" for event in events],
        "dims": [event.dims for event in events],
        "customer": [event.customer for event in events],
        "device": [event.device for event in events],
        "conversation": [event.conversation for event in events],
        "ticket": [event.ticket for event in events],
        "role": [event.role or "" for event in events],
        "text": [event.text for event in events],
        "shown": [event.shown for event in events],
        "topic": [event.topic for event in events],
        "topic_confidence": [event.topic_confidence for event in events],
        "sentiment": [event.sentiment for event in events],
        "terms": [event.terms for event in events],
        "danger": [event.danger for event in events],
        "guess": [event.guess for event in events],
        "guess_confidence": [event.guess_confidence for event in events],
        "theme": [event.theme for event in events],
        "theme_confidence": [event.theme_confidence for event in events],
        "type": [event.type for event in events],
        "status": [event.status for event in events],
        "level": [event.level for event in events],
        "code": [event.code for event in events],
        "template": [event.template for event in events],
        "score": [event.score for event in events],
        "metrics": [event.metrics for event in events],
        "extra": [event.extra for event in events],
        "late": [late] * len(events),
    }


def rollup_columns(rollups: Sequence[Rollup], watermark: int) -> Columns:
    """Columns of the table `rollups`."""
    return {
        "series": [str(rollup.series) for rollup in rollups],
        "level": [",".join(name for name, _ in rollup.series.dims) for rollup in rollups],
        "measure": [rollup.series.measure for rollup in rollups],
        "value": [rollup.series.value for rollup in rollups],
        "dims": [dict(rollup.series.dims) for rollup in rollups],
        "bin_start": [rollup.bin_start for rollup in rollups],
        "bin_ms": [rollup.bin_ms for rollup in rollups],
        "messages": [rollup.messages for rollup in rollups],
        "customers": [rollup.customers for rollup in rollups],
        "expected": [rollup.expected for rollup in rollups],
        "low": [rollup.low for rollup in rollups],
        "high": [rollup.high for rollup in rollups],
        "learning": [rollup.learning for rollup in rollups],
        "watermark": [max(watermark, 0)] * len(rollups),
    }


def incident_columns(changes: Sequence[IncidentChange]) -> Columns:
    """Columns of the table `incidents`."""
    return {
        "incident": [change.incident for change in changes],
        "version": [change.version for change in changes],
        "change": [change.change for change in changes],
        "status": [change.status for change in changes],
        "reason": [change.reason for change in changes],
        "at": [from_rfc3339(change.at) for change in changes],
        "opened_at": [None if change.opened_at is None else from_rfc3339(change.opened_at) for change in changes],
        "first_seen": [from_rfc3339(change.first_seen) for change in changes],
        "severity": [change.severity for change in changes],
        "title": [change.title for change in changes],
        "topic": [change.about.topic or "" for change in changes],
        "customers": [change.customers for change in changes],
        "record": [_encode(change).decode() for change in changes],
    }


def push_columns(pushes: Sequence[Push]) -> Columns:
    """Columns of the table `pushes`."""
    return {
        "push": [push.push for push in pushes],
        "state": [push.state for push in pushes],
        "incident": [push.incident for push in pushes],
        "customer": [push.customer for push in pushes],
        "priority": [push.priority for push in pushes],
        "reason": [push.reason for push in pushes],
        "at": [from_rfc3339(push.at) for push in pushes],
        "record": [_encode(push).decode() for push in pushes],
    }


def trend_columns(trends: Sequence[Trend]) -> Columns:
    """Columns of the table `trends`."""
    return {
        "item": [trend.item for trend in trends],
        "date": [date.fromisoformat(trend.date) for trend in trends],
        "line": [trend.line for trend in trends],
        "product": [trend.product for trend in trends],
        "topic": [trend.topic for trend in trends],
        "customers": [trend.customers for trend in trends],
        "expected": [trend.expected for trend in trends],
        "change": [trend.change for trend in trends],
        "state": [trend.state for trend in trends],
        "record": [_encode(trend).decode() for trend in trends],
    }


def deadletter_columns(letters: Sequence[DeadLetter], watermark: int) -> Columns:
    """Columns of the table `deadletters`."""
    return {
        "source": [letter.source for letter in letters],
        "position": [letter.position for letter in letters],
        "reason": [letter.reason for letter in letters],
        "excerpt": [letter.excerpt for letter in letters],
        "kind": [letter.kind for letter in letters],
        "at": [watermark] * len(letters),
    }


def tally_columns(tallies: Sequence[Tally]) -> Columns:
    """Columns of the table `tallies`."""
    return {
        "source": [tally.source for tally in tallies],
        "read": [tally.read for tally in tallies],
        "counted": [tally.counted for tally in tallies],
        "late": [tally.late for tally in tallies],
        "dead": [tally.dead for tally in tallies],
        "duplicate": [tally.duplicate for tally in tallies],
        "dropped": [tally.dropped for tally in tallies],
        "lost": [tally.lost for tally in tallies],
    }


def action_columns(outcomes: Sequence[ActionOutcome]) -> Columns:
    """Columns of the table `actions`."""
    return {
        "id": [outcome.action.id for outcome in outcomes],
        "action": [outcome.action.action for outcome in outcomes],
        "incident": [outcome.action.incident for outcome in outcomes],
        "by": [outcome.action.by for outcome in outcomes],
        "at": [outcome.action.at for outcome in outcomes],
        "state": [outcome.state for outcome in outcomes],
        "detail": [outcome.detail for outcome in outcomes],
        "tick": [outcome.tick for outcome in outcomes],
        "record": [_encode(outcome).decode() for outcome in outcomes],
    }


def pulse_columns(pulses: Sequence[Pulse]) -> Columns:
    """Columns of the table `pulses`."""
    return {name: [getattr(pulse, name) for pulse in pulses] for name in Pulse.__struct_fields__}
