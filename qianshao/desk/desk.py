"""The desk 值班台: one open incident per cause, its life, and a named reason for every decision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from qianshao.action import Action, ActionOutcome
from qianshao.clock import HOUR_MS, to_rfc3339
from qianshao.config import Config
from qianshao.desk.case import MAX_EVIDENCE, Case
from qianshao.desk.correlate import SHARED_CUSTOMERS, belongs, contradict
from qianshao.desk.push_gate import PushGate
from qianshao.desk.severity import confidence_of, severity_of
from qianshao.desk.wording import about_of, title_of
from qianshao.finding import Finding
from qianshao.incident import Change, IncidentChange, Signal
from qianshao.push import Push

VERSION = 1
RESOLVE_MS = 6 * HOUR_MS
"""An open incident without new evidence for this long is resolved."""
WATCH_MS = 6 * HOUR_MS
"""A watched case without new evidence for this long is dismissed."""
REOPEN_MS = 24 * HOUR_MS
GROWTH = 1.5
MAX_CASES = 2_000
"""Cases kept; beyond it the longest quiet one that nobody was told of is forgotten."""
TWO_WITNESSES = 10.5
"""Scores of two independent witnesses add up, as their probabilities multiply."""

_LIVE = ("watching", "open", "acknowledged", "mitigated")
_TOLD = ("open", "acknowledged", "mitigated")


class Desk:
    """Turns findings into incident changes and pushes. Pure: no I/O, time comes with the findings.

    A finding joins the case that it belongs to most, or starts one. A case opens on one overwhelming witness or on two
    independent ones; until then it is watched and nobody is told. Cost: linear in live cases per finding.
    """

    def __init__(self, config: Config) -> None:
        self._zone = config.service.zone
        self._cases: dict[str, Case] = {}
        self._gate = PushGate(config.push, self._zone)

    def advance(
        self, findings: Sequence[Finding], watermark: int, actions: Sequence[tuple[int, Action]] = ()
    ) -> tuple[list[IncidentChange], list[Push], list[ActionOutcome]]:
        """Decide on findings in order of tick, and let time pass up to `watermark`."""
        changes: list[IncidentChange] = []
        pushes: list[Push] = []
        start = 0
        ordered = sorted(findings, key=lambda each: (each.tick, not each.opens, -each.score, each.series))
        while start < len(ordered):
            tick = ordered[start].tick
            end = start
            while end < len(ordered) and ordered[end].tick == tick:
                end += 1
            self._let_time_pass(tick, changes)
            self._decide(ordered[start:end], tick, changes, pushes)
            start = end
        self._let_time_pass(watermark, changes)
        changes.sort(key=lambda change: (change.at, change.incident, change.version))
        return changes, pushes, []

    def _decide(
        self, findings: Sequence[Finding], tick: int, changes: list[IncidentChange], pushes: list[Push]
    ) -> None:
        """Give every finding of one tick to its case, then decide once per case."""
        touched: dict[str, None] = {}
        for finding in findings:
            case = self._case_for(finding, tick, changes)
            case.take(finding)
            case.by_device = all(each.witness == "devices" for each in case.witnessed.values())
            touched[case.incident] = None
        for incident in touched:
            case = self._cases[incident]
            if case.status != "merged":
                self._review(case, tick, changes, pushes)

    def _case_for(self, finding: Finding, tick: int, changes: list[IncidentChange]) -> Case:
        matches = sorted(
            (-strength, case.created, case.incident)
            for case in self._cases.values()
            if case.status not in ("merged", "dismissed")
            for strength in (belongs(finding, case),)
            if strength > 0
        )
        if not matches:
            return self._new_case(finding, tick)
        case = self._cases[matches[0][2]]
        for strength, _, other_id in matches[1:]:
            other = self._cases[other_id]
            if -strength >= 2.0 and other.status in _LIVE and case.status in _LIVE and _one_cause(case, other):
                keep, drop = (
                    (case, other) if (case.created, case.incident) <= (other.created, other.incident) else (other, case)
                )
                self._merge(keep, drop, tick, changes)
                case = keep
        return case

    def _new_case(self, finding: Finding, tick: int) -> Case:
        identity = f"{finding.series}@{tick}"
        incident = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        case = Case(
            incident=incident,
            status="watching",
            version=0,
            created=tick,
            opened_at=None,
            first_seen=finding.window_start if not finding.evidence else finding.evidence[0].ts,
            last_evidence=tick,
            severity="P4",
            dims={},
            witnessed={},
            customers=set(),
            devices=set(),
            evidence={},
            messages=0,
            topics={},
            products={},
        )
        self._make_room()
        self._cases[incident] = case
        return case

    def _make_room(self) -> None:
        """Forget the longest quiet case that nobody was told of, when there are too many."""
        if len(self._cases) >= MAX_CASES:
            untold = [case for case in self._cases.values() if case.status not in _TOLD] or list(self._cases.values())
            oldest = min(untold, key=lambda case: (case.last_evidence, case.incident))
            del self._cases[oldest.incident]

    def _merge(self, keep: Case, drop: Case, tick: int, changes: list[IncidentChange]) -> None:
        keep.absorb(drop)
        if drop.status in _TOLD and keep.status == "watching":
            keep.status, keep.opened_at = "open", tick
            self._record(keep, "opened", "joined_open_incident", tick, changes)
        self._gate.join(keep.incident, drop.incident)
        drop.status, drop.parent = "merged", keep.incident
        self._record(drop, "merged", "same_cause", tick, changes)

    def _review(self, case: Case, tick: int, changes: list[IncidentChange], pushes: list[Push]) -> None:
        """Decide what the newest evidence changes, if anything."""
        case.severity = severity_of(case)
        reason = _opening_reason(case)
        if case.status == "watching":
            if reason is None:
                if case.version == 0:
                    self._record(case, "watched", "weak_witness", tick, changes)
                return
            case.status, case.opened_at = "open", tick
            self._record(case, "opened", reason, tick, changes)
        elif case.status == "resolved":
            case.status = "open"
            self._record(case, "reopened", "evidence_after_resolution", tick, changes)
        elif len(case.customers) >= GROWTH * case.told_customers + 1:
            self._record(case, "updated", "more_customers", tick, changes)
        elif case.witnesses() > case.told_witnesses:
            self._record(case, "updated", "another_witness", tick, changes)
        elif case.dims != case.told_dims:
            self._record(case, "updated", "place_narrowed", tick, changes)
        pushes.extend(self._gate.propose(case, tick))

    def _let_time_pass(self, now: int, changes: list[IncidentChange]) -> None:
        """Resolve and forget what has been quiet, each at its own due time."""
        due: list[tuple[int, str]] = []
        for case in self._cases.values():
            if case.status == "watching":
                due.append((case.last_evidence + WATCH_MS, case.incident))
            elif case.status in _TOLD:
                due.append((case.last_evidence + RESOLVE_MS, case.incident))
            else:
                due.append((case.last_evidence + RESOLVE_MS + REOPEN_MS, case.incident))
        for at, incident in sorted(due):
            if at > now:
                break
            case = self._cases[incident]
            if case.status == "watching":
                case.status = "dismissed"
                self._record(case, "dismissed", "weak_evidence_faded", at, changes)
            elif case.status in _TOLD:
                case.status = "resolved"
                self._record(case, "resolved", "no_new_evidence", at, changes)
            else:
                del self._cases[incident]
                self._gate.forget(incident, at)

    def _record(self, case: Case, change: Change, reason: str, tick: int, changes: list[IncidentChange]) -> None:
        case.version += 1
        case.told_customers = len(case.customers)
        case.told_dims = case.dims
        case.told_witnesses = case.witnesses()
        spoken = sorted(case.witnessed.values(), key=lambda each: (-each.score, each.series))
        people = [each for each in spoken if each.quotes] or spoken
        people.sort(key=lambda each: (-each.weight, each.series))
        changes.append(
            IncidentChange(
                incident=case.incident,
                version=case.version,
                change=change,
                status=case.status,
                reason=reason,
                at=to_rfc3339(tick, self._zone),
                opened_at=None if case.opened_at is None else to_rfc3339(case.opened_at, self._zone),
                first_seen=to_rfc3339(case.first_seen, self._zone),
                severity=case.severity,
                title=title_of(case),
                dims=case.dims,
                about=about_of(case),
                signals=[
                    Signal(
                        series=each.series,
                        kind=each.kind,
                        window_start=to_rfc3339(each.window_start, self._zone),
                        window_end=to_rfc3339(each.window_end, self._zone),
                        observed=each.observed,
                        expected=each.expected,
                        score=each.score,
                    )
                    for each in spoken[:12]
                ],
                customers=len(case.customers),
                messages=case.messages,
                devices=len(case.devices),
                keywords=list(people[0].keywords) if people else [],
                quotes=list(people[0].quotes)[:5] if people else [],
                evidence=case.evidence_ids()[:MAX_EVIDENCE],
                confidence=confidence_of(case),
                parent=case.parent,
            )
        )

    def snapshot(self) -> bytes:
        """Return the whole state as bytes with a version; restoring it continues as if uninterrupted."""
        return msgspec.msgpack.encode(
            {"version": VERSION, "cases": list(self._cases.values()), "gate": self._gate.snapshot()}
        )

    def restore(self, data: bytes) -> None:
        """Take over a state written by `snapshot`.

        Raises
        ------
        ValueError
            If the state was written by another version.
        """
        state = msgspec.msgpack.decode(data)
        if state["version"] != VERSION:
            raise ValueError(f"desk state has version {state['version']}, this programme reads {VERSION}")
        cases = msgspec.convert(state["cases"], list[Case], strict=False)
        self._cases = {case.incident: case for case in cases}
        self._gate.restore(state["gate"])


def _one_cause(one: Case, other: Case) -> bool:
    """Two live cases are one cause when their places agree and they share enough of the smaller one's customers."""
    if contradict(one.dims, other.dims):
        return False
    smaller = min(len(one.customers), len(other.customers))
    return smaller > 0 and len(one.customers & other.customers) >= max(3, SHARED_CUSTOMERS * smaller)


def _opening_reason(case: Case) -> str | None:
    """Name why a case opens now; None = it does not."""
    strong = [each for each in case.witnessed.values() if each.opens]
    if any(each.kind in ("silence", "drop") for each in strong):
        return "channel_silent"
    if strong and case.danger and any(key.startswith("danger:") for key in case.witnessed):
        return "danger_reported"
    if any(each.kind == "new" for each in strong):
        return "never_seen_code"
    if strong:
        return "overwhelming_rise"
    best: dict[str, float] = {}
    for each in case.witnessed.values():
        best[each.witness] = max(best.get(each.witness, 0.0), each.score)
    if len(best) >= 2 and sum(sorted(best.values())[-2:]) >= TWO_WITNESSES:
        return "two_witnesses"
    return None
