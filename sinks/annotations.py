"""Incidents as regions on Grafana's dashboards: opened, extended and closed without ever holding up the flow."""

from __future__ import annotations

import html
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from urllib.parse import quote

import msgspec

from qianshao.clock import from_rfc3339
from qianshao.errors import AccessError, StoreError, UnavailableError
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome
from sinks.dashboards import TAG, Language
from sinks.grafana import Annotation, GrafanaPort

MAXIMUM_WAITING = 10_000
"""Incidents whose newest state may wait while Grafana is away; beyond that the one that waits longest is let go."""

FLUSH_SECONDS = 1.0
CLOSE_SECONDS = 6.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
SHORTEST_REGION_MS = 1_000

_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "watching": "观察中",
        "open": "进行中",
        "acknowledged": "已确认",
        "mitigated": "已缓解",
        "resolved": "已恢复",
        "merged": "已合并",
        "dismissed": "已排除",
        "into": "并入",
        "evidence": "证据",
    },
    "en": {
        "watching": "watching",
        "open": "open",
        "acknowledged": "acknowledged",
        "mitigated": "mitigated",
        "resolved": "resolved",
        "merged": "merged",
        "dismissed": "dismissed",
        "into": "merged into",
        "evidence": "evidence",
    },
}

_log = logging.getLogger(__name__)


class AnnotationsHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the writing of annotations is doing now."""

    ok: bool
    """False while Grafana does not answer or refuses us."""
    waiting: int
    """Incidents whose newest state is not in Grafana yet."""
    lost: int
    """Incident states that were let go: too many waited, or Grafana refused this one."""
    detail: str
    """'' or what is wrong and what to do."""


class Annotations:
    """A sink that keeps one region annotation per opened incident, from `first_seen` to its newest change.

    `write` only remembers the newest state of each incident; a thread brings it to Grafana. While Grafana is away
    nothing is raised and nobody waits: a warning is logged once, `health` says so, and when it is back the newest
    states are written. An annotation is found again by its tag ``incident:<id>``, so that a restart or a lost answer
    makes no double. What a killed process had not written is repaired by `reconcile`.

    Cost: two requests for an incident's first state, one for each later one; states that follow faster than Grafana
    answers are written once. Memory: the newest state of at most `maximum_waiting` incidents, and the ids of as many.

    Parameters
    ----------
    port
        Connection to Grafana; this sink closes it.
    live_page
        Address of the live page, as a browser of the people who read the dashboards reaches it; None = no link.
    language
        Of the few words around an incident's title.
    maximum_waiting
        How many incidents' newest states may wait; beyond that the one that waits longest is let go.
    threaded
        False = nothing happens by itself; `work` does one piece, `flush` and `close` all that can be done now.
    clock
        Monotonic seconds, for the pauses between attempts.
    """

    def __init__(
        self,
        port: GrafanaPort,
        *,
        live_page: str | None = None,
        language: Language = "zh",
        maximum_waiting: int = MAXIMUM_WAITING,
        threaded: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._live_page = None if live_page is None else live_page.rstrip("/")
        self._words = _WORDS[language]
        self._maximum = maximum_waiting
        self._clock = clock
        self._changed = threading.Condition()
        # All below is read and written only while holding the condition.
        self._waiting: OrderedDict[str, IncidentChange] = OrderedDict()
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._ids: dict[str, int] = {}
        self._busy = False
        self._lost = 0
        self._trouble = ""
        self._pause = 0.0
        self._not_before = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="grafana-annotations", daemon=True) if threaded else None
        if self._thread is not None:
            self._thread.start()

    def write(self, outcome: Outcome) -> None:
        """Remember the newest state of every opened incident of one outcome.

        Raises
        ------
        StoreError
            If the sink is closed; never for Grafana.
        """
        self.reconcile(outcome.incidents)

    def reconcile(self, incidents: Sequence[IncidentChange]) -> None:
        """Bring Grafana to these newest states, also where it already holds an older or no annotation.

        The owner calls it at the start with the newest state of each incident in the store, closed ones included: what
        was decided while Grafana or this process was away is repaired. What is right already costs one question.

        Raises
        ------
        StoreError
            If the sink is closed; never for Grafana.
        """
        with self._changed:
            if self._closed:
                raise StoreError(f"Grafana {self._port.url}: this sink is closed; open a new one before using it")
            for change in incidents:
                if change.opened_at is None or change.version <= self._versions.get(change.incident, 0):
                    continue
                self._versions[change.incident] = change.version
                self._versions.move_to_end(change.incident)
                self._waiting[change.incident] = change
            self._forget()
            self._changed.notify_all()

    def flush(self) -> None:
        """Give Grafana a moment to take what waits; returns at once while it is away.

        Nothing is lost with what still waits: the store holds every incident, and `reconcile` repairs.
        """
        if self._thread is None:
            self._drain()
            return
        with self._changed:
            self._changed.wait_for(lambda: self._idle() or bool(self._trouble), FLUSH_SECONDS)

    def close(self) -> None:
        """Write what can be written in a few seconds, then end; may be called twice."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._not_before = 0.0
            self._changed.notify_all()
        if self._thread is None:
            self._drain()
        else:
            self._thread.join(CLOSE_SECONDS)
        left = self.health().waiting
        if left:
            _log.warning("grafana_annotations_unwritten url=%s waiting=%d", self._port.url, left)
        self._port.close()

    def health(self) -> AnnotationsHealth:
        """Return how it is going, without asking Grafana."""
        with self._changed:
            waiting = len(self._waiting) + self._busy
            return AnnotationsHealth(ok=not self._trouble, waiting=waiting, lost=self._lost, detail=self._trouble)

    def work(self) -> bool:
        """Bring the state that waits longest to Grafana; False if there was nothing to do now.

        Called by the thread, or by whoever opened the sink without one.
        """
        with self._changed:
            if not self._waiting or self._clock() < self._not_before:
                return False
            incident, change = self._waiting.popitem(last=False)
            self._busy = True
            known = self._ids.get(incident)
        try:
            written = self._bring(change, known)
        except (UnavailableError, AccessError) as error:
            self._put_off(change, str(error))
        except StoreError as error:
            _log.warning("grafana_annotation_refused incident=%s version=%d error=%s", incident, change.version, error)
            with self._changed:
                self._lost += 1
                self._end()
        except Exception as error:  # noqa: BLE001 - whatever a library raises, annotations go on and the flow too
            self._put_off(change, f"Grafana {self._port.url}: unforeseen {type(error).__name__}; it is tried again")
        else:
            with self._changed:
                if incident in self._versions:
                    self._ids[incident] = written
                if self._trouble:
                    _log.warning("grafana_available url=%s waiting=%d", self._port.url, len(self._waiting))
                self._trouble, self._pause, self._not_before = "", 0.0, 0.0
                self._end()
        return True

    def _bring(self, change: IncidentChange, known: int | None) -> int:
        wanted = self._annotation(change)
        if known is not None:
            wanted.id = known
            if self._port.update_annotation(wanted):
                return known
        # Always look before making one: an earlier process may have made it, or an answer may have been lost.
        found = self._port.annotations([TAG, f"incident:{change.incident}"])
        if not found:
            return self._port.create_annotation(wanted.start, wanted.end, wanted.tags, wanted.text)
        newest = found[0]
        wanted.id = newest.id
        for double in found[1:]:
            self._port.delete_annotation(double.id)
        same = (newest.start, newest.end, set(newest.tags), newest.text) == (
            wanted.start,
            wanted.end,
            set(wanted.tags),
            wanted.text,
        )
        # A replayed older state must not take back a newer one: the end of a region only moves forward.
        if not same and newest.end <= wanted.end:
            self._port.update_annotation(wanted)
        return newest.id

    def _annotation(self, change: IncidentChange) -> Annotation:
        start = from_rfc3339(change.first_seen)
        text = f"<b>{change.severity} {self._words[change.status]}</b> {html.escape(change.title)}"
        if change.parent is not None:
            text += f"<br>{self._words['into']} {html.escape(change.parent)}"
        if self._live_page is not None:
            address = f"{self._live_page}/incidents/{quote(change.incident, safe='')}"
            text += f'<br><a href="{html.escape(address)}">{self._words["evidence"]}</a>'
        return Annotation(
            id=0,
            start=start,
            end=max(from_rfc3339(change.at), start + SHORTEST_REGION_MS),
            tags=[TAG, f"incident:{change.incident}", change.severity, change.status],
            text=text,
        )

    def _put_off(self, change: IncidentChange, reason: str) -> None:
        with self._changed:
            # Only if nothing newer of this incident arrived meanwhile; at the front, so that nobody starves.
            if change.incident not in self._waiting:
                self._waiting[change.incident] = change
                self._waiting.move_to_end(change.incident, last=False)
            self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            self._not_before = self._clock() + self._pause
            if not self._trouble:
                _log.warning(
                    "grafana_unavailable url=%s waiting=%d error=%s", self._port.url, len(self._waiting), reason
                )
            self._trouble = reason
            self._forget()
            self._end()

    def _forget(self) -> None:
        while len(self._waiting) > self._maximum:
            incident, _ = self._waiting.popitem(last=False)
            # Not known any more either: told again, it is taken again.
            self._versions.pop(incident, None)
            self._lost += 1
        while len(self._versions) > self._maximum:
            incident, _ = self._versions.popitem(last=False)
            self._ids.pop(incident, None)

    def _idle(self) -> bool:
        return not self._waiting and not self._busy

    def _end(self) -> None:
        self._busy = False
        self._changed.notify_all()

    def _drain(self) -> None:
        while self.work():
            pass

    def _run(self) -> None:
        while True:
            if self.work():
                with self._changed:
                    if self._closed and self._trouble:
                        return
                continue
            with self._changed:
                if not self._waiting:
                    if self._closed:
                        return
                    self._changed.wait_for(lambda: self._waiting or self._closed)
                elif (pause := self._not_before - self._clock()) > 0:
                    self._changed.wait_for(lambda: self._closed, pause)
