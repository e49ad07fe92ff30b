"""Which customers of an open incident may be told, and when: once each, inside caps and outside quiet hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from qianshao.clock import DAY_MS, HOUR_MS, to_rfc3339
from qianshao.config import PushSettings
from qianshao.desk.case import Case
from qianshao.desk.wording import about_of, place_of
from qianshao.event import pseudonym_text
from qianshao.push import Push, PushState

MAX_NAMES = 100_000

PRIORITY = {"P1": 1, "P2": 2, "P3": 3, "P4": 4}

Standing = Literal["proposed", "approved", "cancelled", "withdrawn"]
"""Where a push stands as far as the desk decides; `withdrawn` = approved, then cancelled: it may have been sent."""


class Round(msgspec.Struct, kw_only=True):
    """The pushes that were proposed together: they differ in the customer only."""

    incident: str
    template: str
    params: dict[str, str]
    channels: list[str]
    priority: int
    not_before: int
    valid_until: int
    reason: Literal["device_logged", "contacted", "same_cohort"]
    standing: dict[int, Standing]
    """By customer, in order of pseudonym."""


class GateState(msgspec.Struct, kw_only=True):
    """What a push gate carries over a restart."""

    told: list[tuple[str, list[int]]]
    last: list[tuple[int, list[int]]]
    allowed: list[tuple[int, list[int]]]
    rounds: list[tuple[str, list[Round]]]
    names: list[tuple[int, int]] = []


class PushGate:
    """Proposes at most one push per customer and root incident, inside the caps of the configuration.

    It keeps where every proposed push stands until its incident is forgotten: at most `maximum_per_incident` each, and
    as many again from every incident merged into it. What becomes of a push after its approval it does not learn.

    Customers who turn out to be one person are told once from then on: `rename` says so. Of the newest `MAX_NAMES`
    such identifiers it knows as whom they count now.
    """

    def __init__(self, settings: PushSettings, zone: ZoneInfo) -> None:
        self._settings = settings
        self._zone = zone
        self._told: dict[str, set[int]] = {}
        self._last: dict[int, list[int]] = {}
        self._allowed: dict[int, list[int]] = {}
        self._rounds: dict[str, list[Round]] = {}
        self._names: dict[int, int] = {}

    def concerns(self, customer: int) -> bool:
        """Whether anything was decided about a customer that a new name would change."""
        return (
            customer in self._last or customer in self._allowed or any(customer in told for told in self._told.values())
        )

    def rename(self, customer: int, name: int, tick: int, pushes: list[Push]) -> None:
        """Let an identifier count under another number from now on, or under its own again.

        Who was told under the one was told under the other, and the caps are one. Where one has an approved push of an
        incident, that of the other is cancelled and appended to `pushes`; where both are proposed, the approval of one
        will cancel the other. What was decided stays so when the two come apart again.
        """
        if name == customer:
            self._names.pop(customer, None)
            return
        if customer not in self._names and len(self._names) >= MAX_NAMES:
            for each in list(islice(self._names, MAX_NAMES // 64)):
                del self._names[each]
        self._names[customer] = name
        for times in (self._last, self._allowed):
            if customer in times:
                times[name] = sorted([*times.get(name, []), *times.pop(customer)])
        for root, told in self._told.items():
            if customer in told:
                told.add(name)
                self._keep_one(self._rounds.get(root, []), (customer, name), tick, pushes)

    def _person(self, customer: int) -> int:
        return self._names.get(customer, customer)

    def _keep_one(self, rounds: list[Round], customers: tuple[int, int], tick: int, pushes: list[Push]) -> None:
        """Cancel what else waits for one person under two numbers, if one push was approved."""
        standing = [
            (round_, each)
            for wanted in ("withdrawn", "approved", "proposed")
            for round_ in rounds
            for each in customers
            if round_.standing.get(each) == wanted
        ]
        if standing and standing[0][0].standing[standing[0][1]] != "proposed":
            for round_, each in standing[1:]:
                self._cancel(round_, each, tick, pushes)

    def propose(self, case: Case, tick: int) -> list[Push]:
        """Return the pushes for the customers of a case who have none yet, in order of pseudonym."""
        told = self._told.setdefault(case.incident, set())
        settings = self._settings
        not_before = self._after_quiet_hours(tick)
        about = about_of(case)
        what = (about.terms or [about.topic or about.ticket_type or about.code or "异常"])[0]
        proposed = Round(
            incident=case.incident,
            template="danger_notice" if case.dangers else "known_problem",
            params={"place": place_of(case), "problem": what},
            channels=list(settings.channels),
            priority=PRIORITY[case.severity],
            not_before=not_before,
            valid_until=not_before + settings.valid_hours * HOUR_MS,
            reason="device_logged" if case.by_device else "contacted",
            standing={},
        )
        for customer in sorted({self._person(each) for each in case.customers.keys() - told} - told):
            if len(told) >= settings.maximum_per_incident:
                break
            recent = [at for at in self._last.get(customer, []) if at > tick - DAY_MS]
            if len(recent) >= settings.maximum_per_customer_per_day:
                continue
            told.add(customer)
            self._last[customer] = [*recent, tick]
            proposed.standing[customer] = "proposed"
        if proposed.standing:
            self._rounds.setdefault(case.incident, []).append(proposed)
        return [self._push(proposed, customer, "proposed", tick) for customer in proposed.standing]

    def approve(self, root: str, incident: str, push: str, tick: int, pushes: list[Push]) -> str | None:
        """Approve one push, or every proposed one of an incident; what follows is appended to `pushes`.

        The caps hold again at the moment of the approval, and a push approved in quiet hours waits for their end. Any
        other push to the same customer about the same root incident is cancelled.

        Returns
        -------
        str or None
            Why nothing was approved: `unknown_push`, `already_approved`, `already_cancelled`, `push_expired`,
            `cap_reached`, `no_push_to_approve`; None if at least one was.
        """
        refusals: list[str] = []
        approved = False
        renamed: dict[int, list[int]] = {}
        for each in sorted(
            {each for round_ in self._rounds.get(root, []) for each in round_.standing if each in self._names}
        ):
            renamed.setdefault(self._names[each], []).append(each)
        for round_, customer in self._named(root, incident, push):
            standing = round_.standing[customer]
            if not push and standing != "proposed":
                continue
            not_before = max(round_.not_before, self._after_quiet_hours(tick))
            person = self._person(customer)
            near = [at for at in self._allowed.get(person, []) if abs(at - not_before) < DAY_MS]
            if standing != "proposed":
                refusals.append("already_approved" if standing == "approved" else "already_cancelled")
            elif not_before >= round_.valid_until:
                refusals.append("push_expired")
            elif len(near) >= self._settings.maximum_per_customer_per_day:
                refusals.append("cap_reached")
            else:
                approved = True
                round_.standing[customer] = "approved"
                self._allowed[person] = [*near, not_before]
                pushes.append(self._push(round_, customer, "approved", tick, not_before))
                for other in self._rounds[root]:
                    for each in (customer, person, *renamed.get(person, ())):
                        if other is not round_ or each != customer:
                            self._cancel(other, each, tick, pushes)
        if approved:
            return None
        return refusals[0] if refusals else "unknown_push" if push else "no_push_to_approve"

    def cancel(self, root: str, incident: str, push: str, tick: int, pushes: list[Push]) -> str | None:
        """Cancel one push, or every one of an incident that has not ended; what follows is appended to `pushes`.

        Returns
        -------
        str or None
            Why nothing was cancelled: `unknown_push`, `already_cancelled`, `push_expired`, `no_push_to_cancel`; None if
            at least one was.
        """
        refusals: list[str] = []
        cancelled = False
        for round_, customer in self._named(root, incident, push):
            if self._cancel(round_, customer, tick, pushes):
                cancelled = True
            elif push:
                ended = round_.standing[customer] in ("cancelled", "withdrawn")
                refusals.append("already_cancelled" if ended else "push_expired")
        if cancelled:
            return None
        return refusals[0] if refusals else "unknown_push" if push else "no_push_to_cancel"

    def join(self, root: str, merged: str, tick: int, pushes: list[Push]) -> None:
        """Take over who was told of an incident that is merged into another: nobody is told twice of one cause.

        Where a customer has an approved push of either, the other one is cancelled.
        """
        self._told.setdefault(root, set()).update(self._told.pop(merged, set()))
        rounds = self._rounds.pop(merged, [])
        if not rounds:
            return
        rounds = self._rounds[root] = [*self._rounds.get(root, []), *rounds]
        first: dict[int, tuple[Round, int]] = {}
        for wanted in ("approved", "withdrawn"):
            for round_ in rounds:
                for customer, standing in round_.standing.items():
                    if standing == wanted:
                        first.setdefault(self._person(customer), (round_, customer))
        for round_ in rounds:
            for customer in round_.standing:
                if first.get(self._person(customer), (round_, customer)) != (round_, customer):
                    self._cancel(round_, customer, tick, pushes)

    def forget(self, incident: str, now: int) -> None:
        """Let go of an incident that ended, and of customers not told for a day."""
        self._told.pop(incident, None)
        self._rounds.pop(incident, None)
        horizon = now - DAY_MS
        self._last = {customer: at for customer, at in self._last.items() if at[-1] > horizon}
        self._allowed = {customer: at for customer, at in self._allowed.items() if max(at) > horizon}

    def _named(self, root: str, incident: str, push: str) -> Iterator[tuple[Round, int]]:
        """The pushes that an action names: one, or all of an incident with what was merged into it."""
        customer = _customer_of(push)
        for round_ in self._rounds.get(root, []):
            if incident not in (root, round_.incident):
                continue
            if not push:
                for each in round_.standing:
                    yield round_, each
            elif customer in round_.standing and push == _identity(round_, customer):
                yield round_, customer

    def _cancel(self, round_: Round, customer: int, tick: int, pushes: list[Push]) -> bool:
        """Cancel one push unless it has ended."""
        standing = round_.standing.get(customer)
        if standing not in ("proposed", "approved") or tick >= round_.valid_until:
            return False
        round_.standing[customer] = "cancelled" if standing == "proposed" else "withdrawn"
        pushes.append(self._push(round_, customer, "cancelled", tick))
        return True

    def _push(self, round_: Round, customer: int, state: PushState, tick: int, not_before: int | None = None) -> Push:
        return Push(
            push=_identity(round_, customer),
            incident=round_.incident,
            customer=pseudonym_text(customer),
            template=round_.template,
            params=round_.params,
            channel_preference=round_.channels,
            priority=round_.priority,
            not_before=to_rfc3339(round_.not_before if not_before is None else not_before, self._zone),
            valid_until=to_rfc3339(round_.valid_until, self._zone),
            reason=round_.reason,
            state=state,
            at=to_rfc3339(tick, self._zone),
        )

    def _after_quiet_hours(self, tick: int) -> int:
        moment = datetime.fromtimestamp(tick / 1000, tz=self._zone)
        start, end = self._settings.quiet_start, self._settings.quiet_end
        now = moment.strftime("%H:%M")
        quiet = start <= now or now < end if start > end else start <= now < end
        if not quiet:
            return tick
        hour, minute = (int(part) for part in end.split(":"))
        wake = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if wake <= moment:
            wake += timedelta(days=1)
        return int(wake.timestamp() * 1000)

    def snapshot(self) -> GateState:
        """Return the state."""
        return GateState(
            told=[(incident, sorted(told)) for incident, told in self._told.items()],
            last=list(self._last.items()),
            allowed=list(self._allowed.items()),
            rounds=list(self._rounds.items()),
            names=list(self._names.items()),
        )

    def restore(self, state: GateState) -> None:
        """Take over a state written by `snapshot`."""
        self._told = {incident: set(told) for incident, told in state.told}
        self._last = dict(state.last)
        self._allowed = dict(state.allowed)
        self._rounds = dict(state.rounds)
        self._names = dict(state.names)


def _identity(round_: Round, customer: int) -> str:
    return f"{round_.incident}-{pseudonym_text(customer)}"


def _customer_of(push: str) -> int:
    """The customer whom an id of a push names, 0 = none."""
    try:
        return int(push.rpartition("-")[2], 16)
    except ValueError:
        return 0
