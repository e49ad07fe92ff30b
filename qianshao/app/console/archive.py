"""The page's reader of a store whose replay is over."""

from __future__ import annotations

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


class Archive:
    """Everything the page shows, asked of the store by name; nothing changes any more, so the overview is asked once.

    Parameters
    ----------
    store
        The store of the run, open in this process.
    zone
        Time zone of the page.
    now_ms
        End of the recorded world, epoch milliseconds.
    """

    def __init__(self, store: Store, zone: ZoneInfo, now_ms: int) -> None:
        self._store = store
        self._zone = zone
        self._now_ms = now_ms
        self._scene: Scene | None = None

    def scene(self) -> Scene:
        """Read the overview; about six queries of a few milliseconds each, once."""
        if self._scene is None:
            self._scene = self._read()
        return self._scene

    def history(self, incident: str) -> list[IncidentChange]:
        """Read all versions of one incident, ascending."""
        return queries.incident_history(self._store, incident)

    def _read(self) -> Scene:
        now, store = self._now_ms, self._store
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
            finished=True,
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
