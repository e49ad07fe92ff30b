"""The desk 值班台: one open incident per cause, its life, and a named reason for every decision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import tzinfo
from typing import Literal

import msgspec

from qianshao.action import Action, ActionOutcome
from qianshao.clock import HOUR_MS, waking_after
from qianshao.config import Config
from qianshao.desk.case import Case
from qianshao.desk.correlate import (
    COMES_BACK_MS,
    Bond,
    belongs,
    blackout,
    explains,
    one_cause,
    said_by,
    still_explains,
    twins,
)
from qianshao.desk.maintenance import ends_at, explaining
from qianshao.desk.memory import Memory, Past
from qianshao.desk.permission import refusal
from qianshao.desk.push_gate import PRIORITY, GateState, PushGate
from qianshao.desk.reasons import growth_of, opening_reason, regret_of, rise_of
from qianshao.desk.record import change_of, note_told, similar_of
from qianshao.desk.severity import dangerous, grounds_of, level
from qianshao.desk.wording import title_of
from qianshao.errors import StoreError
from qianshao.finding import Finding
from qianshao.incident import Change, IncidentChange, Reason
from qianshao.push import Push
from qianshao.series import Series

VERSION = 6
RESOLVE_MS = 6 * HOUR_MS
"""An open incident without new evidence for this long, nights not counted, is resolved."""
WATCH_MS = 6 * HOUR_MS
"""A watched case without new evidence for this long is dismissed."""
ABSORB_MS = 24 * HOUR_MS
"""So long what a person dismissed swallows further evidence of its cause."""
REOPENS = 3
"""People who must be new since an incident was resolved, before it is opened again; in danger one is enough."""
MAX_CASES = 2_000
"""Cases kept; beyond it the longest quiet one that nobody was told of is forgotten."""
MAX_ACTIONS = 10_000
"""Ids of actions remembered, so that one that arrives twice counts once."""

_FADED: dict[str, Reason] = {
    "": "weak_evidence_faded",
    "inhibited_by_parent": "faded_with_parent",
    "maintenance_window": "faded_with_maintenance",
}
"""Why a watched case ends when its evidence does, by what kept it from opening."""

_LIVE = ("watching", "open", "acknowledged", "mitigated")
_TOLD = ("open", "acknowledged", "mitigated")
_OVER = ("resolved", "dismissed")


class _State(msgspec.Struct, kw_only=True):
    version: int
    cases: list[Case]
    gate: GateState
    actions: list[str]
    past: list[Past]


class _Version(msgspec.Struct):
    version: int


class Desk:
    """Turns findings and people's actions into incident changes and pushes.

    Pure: no I/O, time comes with the findings and actions. A finding joins the case that it belongs to most, or starts
    one. A case opens on one overwhelming witness, or on two independent ones of a product, a model or a release; until
    then it is watched and nobody is told. Cost: linear in live cases per finding.

    What people say goes before what machines say: a case that a person dismissed swallows further evidence of its cause
    for a day, unless people turn out to be in danger or three times as many are hurt; a silenced one tells of its
    growth only when the severity rises, and of the rest when the silence ends.

    What an open incident explains (`correlate.explains`) stays watched as its child: its evidence is collected, nobody
    is told. When the parent ends, the child opens by evidence that goes on after that. So it is with what planned work
    explains (`maintenance.explaining`), until it should be over.
    """

    def __init__(self, config: Config) -> None:
        self._zone = config.service.zone
        self._windows = config.maintenance
        self._cases: dict[str, Case] = {}
        self._gate = PushGate(config.push, self._zone)
        self._acted: dict[str, None] = {}
        self._memory = Memory()

    def advance(
        self,
        findings: Sequence[Finding],
        watermark: int,
        actions: Sequence[tuple[int, Action]] = (),
        renamed: Sequence[tuple[int, int, int]] = (),
    ) -> tuple[list[IncidentChange], list[Push], list[ActionOutcome]]:
        """Decide on findings and actions in order of tick, and let time pass up to `watermark`.

        Within one tick time passes first, then customers are renamed, people act, and findings are judged; how ticks
        are cut into calls changes nothing, as long as all of one tick comes in one call.

        Parameters
        ----------
        findings
            In any order; their ticks lie above the watermark of the call before and not above this one.
        watermark
            Every decision up to this tick falls now, epoch milliseconds.
        actions
            Each with the tick at which it takes effect; those of one tick are taken in order of their ids. An id that
            was seen before is passed over.
        renamed
            Identifiers of customers that count under another number from a tick on: (tick, identifier, number).

        Returns
        -------
        tuple
            Changes ordered by (`at`, `incident`, `version`), pushes in the order in which they were decided, and what
            became of each action.
        """
        changes: list[IncidentChange] = []
        pushes: list[Push] = []
        outcomes: list[ActionOutcome] = []
        judged: dict[int, list[Finding]] = {}
        for finding in sorted(findings, key=_order):
            judged.setdefault(finding.tick, []).append(finding)
        taken: dict[int, list[Action]] = {}
        for tick, action in sorted(actions, key=lambda each: (each[0], each[1].id)):
            taken.setdefault(tick, []).append(action)
        named: dict[int, list[tuple[int, int]]] = {}
        for tick, customer, name in renamed:
            named.setdefault(tick, []).append((customer, name))
        for tick in sorted(judged.keys() | taken.keys() | named.keys()):
            if tick in judged or tick in taken or any(self._gate.concerns(customer) for customer, _ in named[tick]):
                self._let_time_pass(tick, changes, pushes)
            for customer, name in named.get(tick, ()):
                self._gate.rename(customer, name, tick, pushes)
            for action in taken.get(tick, ()):
                outcomes.extend(self._act(action, tick, changes, pushes))
            self._decide(judged.get(tick, ()), tick, changes, pushes)
        self._let_time_pass(watermark, changes, pushes)
        changes.sort(key=lambda change: (change.at, change.incident, change.version))
        return changes, pushes, outcomes

    def _act(self, action: Action, tick: int, changes: list[IncidentChange], pushes: list[Push]) -> list[ActionOutcome]:
        """Do what a person decided, or say why not; nothing for an action that was seen before."""
        if action.id in self._acted:
            return []
        self._acted[action.id] = None
        if len(self._acted) > MAX_ACTIONS:
            del self._acted[next(iter(self._acted))]
        detail = refusal(action, tick, self._cases)
        if detail is not None:
            return [ActionOutcome(action=action, state="refused", detail=detail, tick=tick)]
        if action.action in ("relabel", "reload", "unlink"):
            return [ActionOutcome(action=action, state="recorded", detail="", tick=tick)]
        case = self._cases[action.incident]
        match action.action:
            case "verdict":
                case.verdict = action.verdict
                self._memory.judge(case.incident, action.verdict, action.reason)
                return [ActionOutcome(action=action, state="recorded", detail="", tick=tick)]
            case "acknowledge":
                case.status = "acknowledged"
                self._record(case, "acknowledged", "by_person", tick, changes, action.by)
            case "resolve":
                self._resolve(case, "by_person", tick, changes, action.by, action.reason)
            case "dismiss":
                case.absorbs_until = tick + ABSORB_MS
                self._dismiss(case, "by_person", tick, changes, pushes, action.by, action.reason)
            case "reopen":
                case.last_evidence = tick  # a person's word keeps it open as long as evidence would
                self._reopen(case, "by_person", tick, changes, action.by)
                pushes.extend(self._gate.propose(case, tick))
            case "silence":
                assert action.until is not None  # without it the action was refused
                case.silenced_until = action.until
            case "merge":
                self._join(self._cases[action.into], case, tick, changes, pushes, action.by)
            case "approve_push":
                detail = self._gate.approve(self._root(case), case.incident, action.push, tick, pushes)
            case "cancel_push":
                detail = self._gate.cancel(self._root(case), case.incident, action.push, tick, pushes)
        state: Literal["applied", "refused"] = "applied" if detail is None else "refused"
        return [ActionOutcome(action=action, state=state, detail=detail or "", tick=tick)]

    def _root(self, case: Case) -> str:
        """The incident under which the pushes of a case stand: the end of the chain of merges."""
        incident = case.incident
        while case.status == "merged" and case.parent is not None:
            incident = case.parent
            if incident not in self._cases:
                break
            case = self._cases[incident]
        return incident

    def _join(
        self, keep: Case, drop: Case, tick: int, changes: list[IncidentChange], pushes: list[Push], by: str
    ) -> None:
        """Merge two cases because a person says that they are one."""
        if drop.status in _TOLD and keep.status == "resolved":
            self._reopen(keep, "joined_open_incident", tick, changes, by)
        self._merge(keep, drop, tick, changes, pushes, reason="by_person", by=by)
        keep.last_evidence = max(keep.last_evidence, drop.last_evidence)
        keep.by_device = all(each.witness == "devices" for each in keep.witnessed.values())
        if keep.status in _LIVE:
            self._review(keep, tick, changes, pushes)

    def _resolve(
        self, case: Case, reason: Reason, tick: int, changes: list[IncidentChange], by: str = "", said: str = ""
    ) -> None:
        case.status = "resolved"
        self._record(case, "resolved", reason, tick, changes, by)
        self._memory.keep(case, title_of(case), tick, said)
        self._free(case, tick)

    def _reopen(self, case: Case, reason: Reason, tick: int, changes: list[IncidentChange], by: str = "") -> None:
        case.status, case.absorbs_until, case.parent = "open", 0, None
        self._memory.forget(case.incident)
        if case.opened_at is None:
            case.opened_at = tick
        self._record(case, "reopened", reason, tick, changes, by)

    def _dismiss(
        self,
        case: Case,
        reason: Reason,
        tick: int,
        changes: list[IncidentChange],
        pushes: list[Push],
        by: str = "",
        said: str = "",
    ) -> None:
        """End a case as none, and take back every push of it that has not ended."""
        case.status = "dismissed"
        self._record(case, "dismissed", reason, tick, changes, by)
        if case.opened_at is not None:
            self._memory.keep(case, title_of(case), tick, said)
        self._gate.cancel(case.incident, case.incident, "", tick, pushes)
        self._free(case, tick)

    def _free(self, parent: Case, tick: int) -> None:
        """Let what an incident explained stand by itself: it may open by evidence that goes on after its end."""
        for case in self._cases.values():
            if case.status == "watching" and case.parent == parent.incident:
                case.parent, case.freed_at = None, tick
                for key, each in case.witnessed.items():
                    if not key.startswith("danger:"):
                        each.free_opens, each.free_score = False, 0.0

    def _decide(
        self, findings: Sequence[Finding], tick: int, changes: list[IncidentChange], pushes: list[Push]
    ) -> None:
        """Give every finding of one tick to its case, then decide once per case."""
        touched: dict[str, bool] = {}  # whether anything but planned work speaks
        for finding in findings:
            if finding.over:
                self._end(finding, tick, changes, pushes)
                continue
            case = self._case_for(finding, tick, changes, pushes)
            window = explaining(self._windows, finding)
            if window is not None and ends_at(window) >= case.planned_until:
                case.maintenance, case.planned_until = window.name, ends_at(window)
            case.take(finding, planned=window is not None)
            case = self._unite(case, tick, changes, pushes)
            case.by_device = all(each.witness == "devices" for each in case.witnessed.values())
            touched[case.incident] = touched.get(case.incident, False) or window is None
        # A flood of new cases in one tick makes room by forgetting its own. The broader ones are judged first: they may
        # explain the others.
        judged = [self._cases[incident] for incident in touched if incident in self._cases]
        for case in sorted(judged, key=lambda each: (len(each.dims), -each.people(), each.created, each.incident)):
            if case.status != "merged" and (touched[case.incident] or case.status not in _OVER):
                self._review(case, tick, changes, pushes)

    def _end(self, finding: Finding, tick: int, changes: list[IncidentChange], pushes: list[Push]) -> None:
        """End the case of a silence that is over, once no other silence is left in it."""
        key = f"{finding.series.measure}:{finding.series.value}"
        for case in self._cases.values():
            if case.status not in _LIVE or case.dims != finding.dims or key not in case.witnessed:
                continue
            case.returned.append(key)
            if any(each not in case.returned for each in case.witnessed):
                continue
            if case.status == "watching":
                self._dismiss(case, "came_back", tick, changes, pushes)
            else:
                self._resolve(case, "came_back", tick, changes)

    def _case_for(self, finding: Finding, tick: int, changes: list[IncidentChange], pushes: list[Push]) -> Case:
        said = said_by(finding)
        matches = sorted(
            (-bond, -share, case.status not in _TOLD, case.created, case.incident)
            for case in self._cases.values()
            if case.status != "merged" and (case.status != "dismissed" or tick < case.absorbs_until)
            for bond, share in (belongs(finding, said, case, self._zone),)
            # A dismissed case swallows what says or hurts the same.
            if bond and (case.status != "dismissed" or bond >= Bond.VALUE)
        )
        if not matches:
            return self._new_case(finding, tick)
        return self._cases[matches[0][-1]]

    def _unite(self, case: Case, tick: int, changes: list[IncidentChange], pushes: list[Push]) -> Case:
        """Merge a case with every live one that turns out to be the same cause; return what is left of it."""
        for other in sorted(self._cases.values(), key=lambda one: (one.created, one.incident)):
            if other is case or other.status not in _LIVE or case.status not in _LIVE:
                continue
            place = blackout(case, other)
            if place or one_cause(case, other):
                keep, drop = sorted((case, other), key=_told_first)
                if place:
                    keep.fails_everywhere(place)
                self._merge(keep, drop, tick, changes, pushes, reason="same_cause")
                case = keep
        return case

    def _new_case(self, finding: Finding, tick: int) -> Case:
        identity = f"{finding.series}@{tick}"
        incident = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        case = Case(
            incident=incident,
            created=tick,
            first_seen=finding.window_start if not finding.evidence else finding.evidence[0].ts,
            last_evidence=tick,
        )
        self._make_room()
        self._cases[incident] = case
        return case

    def _make_room(self) -> None:
        """Forget the longest quiet case that nobody was told of, when there are too many."""
        if len(self._cases) >= MAX_CASES:
            untold = [case for case in self._cases.values() if case.status not in _TOLD] or list(self._cases.values())
            oldest = min(untold, key=lambda case: (case.last_evidence, case.incident))
            self._free(oldest, oldest.last_evidence)
            del self._cases[oldest.incident]
            self._gate.forget(oldest.incident, oldest.last_evidence)

    def _merge(
        self,
        keep: Case,
        drop: Case,
        tick: int,
        changes: list[IncidentChange],
        pushes: list[Push],
        *,
        reason: Reason,
        by: str = "",
    ) -> None:
        keep.absorb(drop)
        if drop.status in _TOLD and keep.status == "watching":
            keep.status, keep.opened_at, keep.parent = "open", tick, None
            self._record(keep, "opened", "joined_open_incident", tick, changes, by)
        self._gate.join(keep.incident, drop.incident, tick, pushes)
        drop.status, drop.parent = "merged", keep.incident
        self._memory.forget(drop.incident)
        self._record(drop, "merged", reason, tick, changes, by)

    def _review(self, case: Case, tick: int, changes: list[IncidentChange], pushes: list[Push]) -> None:
        """Decide what the newest evidence changes, if anything."""
        weighed = level(grounds_of(case))
        # What people were told of does not become less severe, or it would be escalated again and again.
        if case.status not in _TOLD or PRIORITY[weighed] < PRIORITY[case.severity]:
            case.severity = weighed
        reason = opening_reason(case)
        if case.status == "watching":
            if not self._opens(case, reason, tick, changes, pushes):
                return
        elif case.status == "dismissed":
            regret = regret_of(case)
            if regret is None or reason is None:
                return
            self._reopen(case, regret, tick, changes)
        elif case.status == "resolved":
            # A day's window still counts those who were hurt before: only people who are new begin it anew.
            if case.people() >= case.told_people + REOPENS or (dangerous(case) and case.people() > case.told_people):
                self._reopen(case, "evidence_after_resolution", tick, changes)
        elif tick < case.silenced_until:
            if PRIORITY[case.severity] < PRIORITY[case.told_severity]:
                self._record(case, "escalated", "severity_rose_while_silenced", tick, changes)
        elif PRIORITY[case.severity] < PRIORITY[case.told_severity]:
            self._record(case, "escalated", rise_of(case), tick, changes)
        elif (growth := growth_of(case)) is not None:
            self._record(case, "updated", growth, tick, changes)
        pushes.extend(self._gate.propose(case, tick))

    def _opens(
        self, case: Case, reason: Reason | None, tick: int, changes: list[IncidentChange], pushes: list[Push]
    ) -> bool:
        """Open a watched case if there is a reason to and nothing else explains it; say why not when that is new."""
        if reason is None:
            if tick < case.planned_until and opening_reason(case, held=True) is not None:
                if case.waits != "maintenance_window":
                    case.waits = "maintenance_window"
                    self._record(case, "watched", "maintenance_window", tick, changes)
            elif case.version == 0:
                self._record(case, "watched", "weak_witness", tick, changes)
            return False
        parent = self._explanation(case)
        if parent is not None:
            if case.waits != "inhibited_by_parent" or case.parent != parent:
                case.waits, case.parent, case.freed_at = "inhibited_by_parent", parent, 0
                self._record(case, "watched", "inhibited_by_parent", tick, changes)
            return False
        if case.parent is None:  # what an incident explained is no second word for it, also when it has outgrown it
            twin = min(
                (
                    other
                    for other in self._cases.values()
                    if other.status in _TOLD and twins(other, case, tick, self._zone)
                ),
                key=_told_first,
                default=None,
            )
            if twin is not None:
                self._merge(twin, case, tick, changes, pushes, reason="same_cause")
                return False
        if reason != "danger_reported":
            if case.freed_at:
                reason = "parent_ended"
            elif case.waits == "maintenance_window" and tick >= case.planned_until:
                reason = "maintenance_overran"
        case.status, case.opened_at, case.parent, case.waits, case.freed_at = "open", tick, None, "", 0
        self._record(case, "opened", reason, tick, changes)
        return True

    def _explanation(self, case: Case) -> str | None:
        """Name the open incident that explains a watched case: the one that did, or the best; None if none does."""
        before = None if case.parent is None else self._cases.get(case.parent)
        if before is not None and before.status in _TOLD and still_explains(before, case):
            return before.incident
        found = [
            (-well, other.created, other.incident)
            for other in self._cases.values()
            if other.status in _TOLD and other is not case
            for well in (explains(other, case, self._zone),)
            if well > 0
        ]
        return min(found)[2] if found else None

    def _let_time_pass(self, now: int, changes: list[IncidentChange], pushes: list[Push]) -> None:
        """Resolve and forget what has been quiet and end silences, each at its own due time."""
        # One by one: what is resolved may be due to be forgotten as well, when much time passes at once.
        while self._cases:
            at, incident = min((_due(case, self._zone), case.incident) for case in self._cases.values())
            if at > now:
                break
            self._fall_due(self._cases[incident], at, changes, pushes)

    def _fall_due(self, case: Case, at: int, changes: list[IncidentChange], pushes: list[Push]) -> None:
        if at == case.silenced_until:
            case.silenced_until = 0
            if case.status in _TOLD and growth_of(case) is not None:
                self._record(case, "updated", "silence_ended", at, changes)
        elif case.status == "watching":
            self._dismiss(case, _FADED[case.waits], at, changes, pushes)
        elif case.status in _TOLD:
            self._resolve(case, "no_new_evidence", at, changes)
        else:
            del self._cases[case.incident]
            self._gate.forget(case.incident, at)

    def _record(
        self, case: Case, change: Change, reason: Reason, tick: int, changes: list[IncidentChange], by: str = ""
    ) -> None:
        if case.opened_at is not None and case.similar is None:
            case.similar = similar_of(self._memory.like(case), self._zone)
        note_told(case)
        changes.append(change_of(case, change, reason, tick, self._zone, by))

    def snapshot(self) -> bytes:
        """Return the whole state as bytes with a version; restoring it continues as if uninterrupted."""
        return msgspec.msgpack.encode(
            _State(
                version=VERSION,
                cases=list(self._cases.values()),
                gate=self._gate.snapshot(),
                actions=list(self._acted),
                past=self._memory.snapshot(),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state written by `snapshot`.

        Raises
        ------
        StoreError
            If the bytes are no snapshot of a desk, or of another version.
        """
        try:
            version = msgspec.msgpack.decode(data, type=_Version).version
            if version != VERSION:
                raise StoreError(
                    f"snapshot of the desk: has version {version}, this program reads {VERSION}; "
                    "resume with the program that wrote it, or start from an empty state"
                )
            state = msgspec.msgpack.decode(data, type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"snapshot of the desk: is not readable ({error}); start from an empty state") from None
        self._cases = {case.incident: case for case in state.cases}
        self._gate.restore(state.gate)
        self._memory.restore(state.past)
        self._acted = dict.fromkeys(state.actions)


def _order(finding: Finding) -> tuple[int, bool, float, Series, str]:
    """The order in which findings are judged, whatever the order in which they come: the strongest of a tick first."""
    return finding.tick, not finding.opens, -finding.score, finding.series, finding.kind


def _told_first(case: Case) -> tuple[bool, int, int, str]:
    """The order in which cases that turn out to be one go on: what people know, and of that what they heard first."""
    return case.status not in _TOLD, case.opened_at or 0, case.created, case.incident


def _due(case: Case, zone: tzinfo) -> int:
    """When a case changes by itself if nothing else happens: it fades, is resolved or forgotten, its silence ends."""
    if case.status == "watching":
        quiet = case.last_evidence + WATCH_MS
    elif case.status in _TOLD:
        quiet = waking_after(case.last_evidence, RESOLVE_MS, zone)
    else:
        quiet = max(waking_after(case.last_evidence, RESOLVE_MS, zone) + COMES_BACK_MS, case.absorbs_until)
    return min(quiet, case.silenced_until) if case.silenced_until else quiet
