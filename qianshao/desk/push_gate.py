"""Which customers of an open incident may be told, and when: once each, inside caps and outside quiet hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from qianshao.clock import DAY_MS, HOUR_MS, to_rfc3339
from qianshao.config import PushSettings
from qianshao.desk.case import Case
from qianshao.desk.wording import about_of, place_of
from qianshao.event import pseudonym_text
from qianshao.push import Push

PRIORITY = {"P1": 1, "P2": 2, "P3": 3, "P4": 4}


class PushGate:
    """Proposes at most one push per customer and root incident, inside the caps of the configuration."""

    def __init__(self, settings: PushSettings, zone: ZoneInfo) -> None:
        self._settings = settings
        self._zone = zone
        self._told: dict[str, set[int]] = {}
        self._last: dict[int, list[int]] = {}

    def propose(self, case: Case, tick: int) -> list[Push]:
        """Return the pushes for the customers of a case who have none yet, in order of pseudonym."""
        told = self._told.setdefault(case.parent or case.incident, set())
        settings = self._settings
        pushes: list[Push] = []
        not_before = self._after_quiet_hours(tick)
        about = about_of(case)
        what = (about.terms or [about.topic or about.ticket_type or about.code or "异常"])[0]
        for customer in sorted(case.customers - told):
            if len(told) >= settings.maximum_per_incident:
                break
            recent = [at for at in self._last.get(customer, []) if at > tick - DAY_MS]
            if len(recent) >= settings.maximum_per_customer_per_day:
                continue
            told.add(customer)
            self._last[customer] = [*recent, tick]
            name = pseudonym_text(customer)
            pushes.append(
                Push(
                    push=f"{case.parent or case.incident}-{name}",
                    incident=case.incident,
                    customer=name,
                    template="danger_notice" if case.danger else "known_problem",
                    params={"place": place_of(case), "problem": what},
                    channel_preference=list(settings.channels),
                    priority=PRIORITY[case.severity],
                    not_before=to_rfc3339(not_before, self._zone),
                    valid_until=to_rfc3339(not_before + settings.valid_hours * HOUR_MS, self._zone),
                    reason="device_logged" if case.by_device else "contacted",
                    state="proposed",
                    at=to_rfc3339(tick, self._zone),
                )
            )
        return pushes

    def join(self, root: str, merged: str) -> None:
        """Take over who was told of an incident that is merged into another: nobody is told twice of one cause."""
        self._told.setdefault(root, set()).update(self._told.pop(merged, set()))

    def forget(self, incident: str, now: int) -> None:
        """Let go of an incident that ended, and of customers not told for a day."""
        self._told.pop(incident, None)
        horizon = now - DAY_MS
        self._last = {customer: at for customer, at in self._last.items() if at[-1] > horizon}

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

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "told": [(incident, sorted(told)) for incident, told in self._told.items()],
            "last": list(self._last.items()),
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._told = {incident: set(told) for incident, told in state["told"]}
        self._last = {customer: list(at) for customer, at in state["last"]}
