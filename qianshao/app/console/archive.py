"""The page's reader of a store: of a replay that is over, or of the running service."""

from __future__ import annotations

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from qianshao.app import wording
from qianshao.app.console.scene import Scene
from qianshao.app.rehearsal import total
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.incident import IncidentChange
from sinks import queries
from sinks.clickhouse import Store

BIN_MINUTES = 5

MAXIMUM_INCIDENTS = 500

RECENT_INCIDENTS = 8
"""Incidents whose latest moves are shown beside each other."""


FRESH_SECONDS = 2.0
"""A running service's overview is read at most so often, however many look at it."""


class Archive:
    """Everything the page shows, asked of the store by name. When nothing changes any more, the overview is asked once.

    Parameters
    ----------
    store
        The store of the run, open in this process.
    zone
        Time zone of the page.
    now
        Gives the event time up to which decisions have fallen, epoch milliseconds.
    finished
        Whether that is the end of a recorded world.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        zone: ZoneInfo,
        now: Callable[[], int],
        *,
        finished: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._zone = zone
        self._now = now
        self._finished = finished
        self._clock = clock
        self._scene: Scene | None = None
        self._read_at = 0.0

    def scene(self) -> Scene:
        """Read the overview; about six queries of a few milliseconds each, if what is known is not fresh enough."""
        if self._scene is None or not (self._finished or self._clock() - self._read_at < FRESH_SECONDS):
            self._scene = self._read()
            self._read_at = self._clock()
        return self._scene

    def history(self, incident: str) -> list[IncidentChange]:
        """Read all versions of one incident, ascending."""
        return queries.incident_history(self._store, incident)

    def _read(self) -> Scene:
        now, store = self._now(), self._store
        newest = queries.newest_incidents(store, MAXIMUM_INCIDENTS)
        reported = [change for change in newest if change.opened_at is not None]
        reported.sort(key=lambda change: change.opened_at or "", reverse=True)
        reported.sort(
            key=lambda change: (
                change.status not in wording.ONGOING,
                change.severity if change.status in wording.ONGOING else "",
            )
        )
        last = sorted(reported, key=lambda change: change.at, reverse=True)[:RECENT_INCIDENTS]
        moves = [change for one in last for change in self.history(one.incident)]
        moves.sort(key=lambda change: (change.at, change.version), reverse=True)
        return Scene(
            zone=self._zone,
            now_ms=now,
            finished=self._finished,
            bin_minutes=BIN_MINUTES,
            volumes=queries.volumes(store, now - DAY_MS, now, bin_ms=BIN_MINUTES * MINUTE_MS),
            hotspots=queries.topic_volumes(store, now - HOUR_MS, now),
            incidents=reported,
            recent=moves,
            watching=sum(1 for change in newest if change.status == "watching"),
            pushes_proposed=queries.push_states(store).get("proposed", 0),
            deadletters=queries.deadletters_by_reason(store),
            accounting=total(queries.tallies(store)),
        )
