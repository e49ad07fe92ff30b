"""Named questions to the store: what the page, the scoring and the baselines ask."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from qianshao.clock import MINUTE_MS
from qianshao.incident import IncidentChange
from qianshao.outcome import Tally
from sinks.clickhouse import Store

PUSH_STATES = ("proposed", "approved", "queued", "leased", "delivered", "failed", "cancelled", "expired")
"""In the order of a push's life; of two states at one moment the later one stands."""


class VolumeBin(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts in one bin, with the band in which they were expected; times in epoch milliseconds."""

    bin_start: int
    messages: int
    customers: int
    expected: float
    low: float
    high: float
    learning: bool


class TopicVolume(msgspec.Struct, frozen=True, kw_only=True):
    """One topic in a window: customers and messages against the customers expected."""

    topic: str
    messages: int
    customers: int
    expected: float


@dataclass(frozen=True)
class EventColumns:
    """Counted events ordered by (ts, id), one array of equal length per column; '' and 0 where an event has none."""

    id: NDArray[np.object_]
    ts: NDArray[np.int64]
    kind: NDArray[np.object_]
    line: NDArray[np.object_]
    product: NDArray[np.object_]
    region: NDArray[np.object_]
    firmware: NDArray[np.object_]
    topic: NDArray[np.object_]
    type: NDArray[np.object_]
    code: NDArray[np.object_]
    terms: NDArray[np.object_]
    """Each a tuple of str."""
    customer: NDArray[np.uint64]
    role: NDArray[np.object_]


def newest_incidents(store: Store, limit: int = 100, *, reported: bool = False) -> list[IncidentChange]:
    """Return the newest version of each incident, last change first; `reported` leaves out mere watches."""
    rows = store.select(
        "SELECT record FROM newest_incidents WHERE opened_at IS NOT NULL OR NOT {reported:Bool} "
        "ORDER BY at DESC, incident LIMIT {limit:UInt32}",
        {"reported": reported, "limit": limit},
    )
    return [_incident(row[0]) for row in rows]


def incident_history(store: Store, incident: str) -> list[IncidentChange]:
    """Return every version of one incident, oldest first; empty if there is none of that name."""
    rows = store.select(
        "SELECT record FROM incidents FINAL WHERE incident = {incident:String} ORDER BY version", {"incident": incident}
    )
    return [_incident(row[0]) for row in rows]


def lines(store: Store) -> list[str]:
    """Return the business lines whose contacts are counted as series of their own, in order."""
    rows = store.select("SELECT DISTINCT line FROM volumes WHERE measure = 'contacts' AND level = 'line' ORDER BY line")
    return [str(row[0]) for row in rows]


def volumes(
    store: Store, start: int, end: int, line: str | None = None, bin_ms: int = 5 * MINUTE_MS
) -> list[VolumeBin]:
    """Return contacts per bin in [start, end), of all lines together or of one, oldest first; empty bins are absent.

    Taken from the coarsest rollups that divide `bin_ms`. Where several make up one bin their customers and bands are
    added: somebody in two of them counts twice, and the band is wider than a band of the whole bin would be.
    """
    rows = store.select(
        """
        WITH chosen AS (
            SELECT * FROM volumes
            WHERE measure = 'contacts' AND bin_ms <= {bin:UInt32} AND {bin:UInt32} % bin_ms = 0
              AND level = {level:String} AND line = {line:String}
              AND bin_start >= fromUnixTimestamp64Milli({start:Int64})
              AND bin_start < fromUnixTimestamp64Milli({end:Int64})
        )
        SELECT intDiv(toUnixTimestamp64Milli(bin_start), {bin:Int64}) * {bin:Int64} AS start_ms,
               sum(messages), sum(customers), sum(expected), sum(low), sum(high), max(learning)
        FROM chosen WHERE bin_ms = (SELECT max(bin_ms) FROM chosen)
        GROUP BY start_ms ORDER BY start_ms
        """,
        {"level": "" if line is None else "line", "line": line or "", "start": start, "end": end, "bin": bin_ms},
    )
    return [msgspec.convert(dict(zip(VolumeBin.__struct_fields__, row, strict=True)), VolumeBin) for row in rows]


def topic_volumes(store: Store, start: int, end: int) -> list[TopicVolume]:
    """Return each topic's volume in [start, end) over all dimensions, the largest excess over its expectation first.

    Customers are added over the bins of the window: somebody in two bins counts twice, as in `expected`.
    """
    rows = store.select(
        """
        WITH chosen AS (
            SELECT * FROM volumes
            WHERE measure = 'topic' AND level = ''
              AND bin_start >= fromUnixTimestamp64Milli({start:Int64})
              AND bin_start < fromUnixTimestamp64Milli({end:Int64})
        )
        SELECT value, sum(messages), sum(customers) AS seen, sum(expected) AS awaited
        FROM chosen WHERE bin_ms = (SELECT max(bin_ms) FROM chosen)
        GROUP BY value ORDER BY seen - awaited DESC, value
        """,
        {"start": start, "end": end},
    )
    return [msgspec.convert(dict(zip(TopicVolume.__struct_fields__, row, strict=True)), TopicVolume) for row in rows]


def events(store: Store) -> EventColumns:
    """Return every counted event (late ones are stored but were not counted)."""
    names = [field.name for field in fields(EventColumns)]
    columns = store.select_columns(
        """
        SELECT id, toUnixTimestamp64Milli(ts) AS ms, kind, line, product, region, firmware, topic, type, code, terms,
               customer, role
        FROM events FINAL WHERE NOT late ORDER BY events.ts, id
        """
    )
    arrays: dict[str, NDArray[np.object_]] = {}
    for name, column in zip(names, columns or [[]] * len(names), strict=True):
        array = np.empty(len(column), dtype=object)
        # Filling keeps a list of equally long term lists from becoming a matrix.
        array[:] = [tuple(cast("list[str]", value)) for value in column] if name == "terms" else list(column)
        arrays[name] = array
    return EventColumns(
        id=arrays["id"],
        ts=arrays["ts"].astype(np.int64),
        kind=arrays["kind"],
        line=arrays["line"],
        product=arrays["product"],
        region=arrays["region"],
        firmware=arrays["firmware"],
        topic=arrays["topic"],
        type=arrays["type"],
        code=arrays["code"],
        terms=arrays["terms"],
        customer=arrays["customer"].astype(np.uint64),
        role=arrays["role"],
    )


def tallies(store: Store) -> list[Tally]:
    """Return the newest accounting of each source, by name."""
    rows = store.select(
        "SELECT source, read, counted, late, dead, duplicate, dropped, lost FROM tallies FINAL ORDER BY source"
    )
    return [msgspec.convert(dict(zip(Tally.__struct_fields__, row, strict=True)), Tally) for row in rows]


def watermark(store: Store) -> int:
    """Return the event time up to which a running service has decided, epoch milliseconds; 0 if none has run."""
    rows = store.select("SELECT toUnixTimestamp64Milli(max(watermark)) FROM pulses")
    return cast("int", rows[0][0]) if rows else 0


def push_states(store: Store) -> dict[str, int]:
    """Return state → number of pushes that stand in it, in the order of a push's life; empty states are absent."""
    rows = store.select(
        """
        SELECT newest, count() FROM (
            SELECT argMax(state, (at, indexOf({order:Array(String)}, state))) AS newest
            FROM pushes FINAL GROUP BY push
        ) GROUP BY newest ORDER BY indexOf({order:Array(String)}, newest)
        """,
        {"order": list(PUSH_STATES)},
    )
    return {str(state): cast("int", count) for state, count in rows}


def deadletters_by_reason(store: Store) -> dict[str, int]:
    """Return reason → number of dead letters, most frequent first."""
    rows = store.select(
        "SELECT reason, count() AS letters FROM deadletters FINAL GROUP BY reason ORDER BY letters DESC, reason"
    )
    return {str(reason): cast("int", count) for reason, count in rows}


def _incident(record: object) -> IncidentChange:
    return msgspec.json.decode(cast("str", record), type=IncidentChange)
