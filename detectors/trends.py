"""Trends for product teams: one item per line × product × topic and day, told once when the day is over."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from heapq import heappushpop
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from detectors.keywords import keywords, quotes
from qianshao.clock import MINUTE_MS, from_rfc3339
from qianshao.event import Observation
from qianshao.incident import IncidentChange
from qianshao.push import Trend

TrendState = Literal["rising", "new", "seasonal", "falling", "resolved"]

HISTORY_DAYS = 28
"""How far back a cell is remembered; one that was silent for longer is forgotten and may be new again."""

WEEKDAY_SAMPLES = 4
"""The same weekday speaks through at most this many weeks."""

NEW_AFTER_DAYS = 3
"""A topic counts as new only where it was absent from at least this many whole days."""

MINIMUM_CUSTOMERS = 3
"""Fewer customers than this are told only when the state changes."""

MAXIMUM_CELLS = 2_000
"""Cells (line × product × topic) of one day, and cells remembered: the first of a day, the busiest of the past."""

EXACT_CUSTOMERS = 1_024
"""Distinct customers of a cell and day are exact to twice this, then estimated within about 3 %."""

CELL_DOCUMENTS = 64
DAY_DOCUMENTS = 4_096
DOCUMENT_CHARS = 200
DOCUMENT_TOKENS = 40
MAXIMUM_INCIDENTS = 5_000
"""Bounds of the samples for keywords and quotes, and of the incidents remembered."""

LIMIT_TERMS = 5
LIMIT_QUOTES = 3

_SNAPSHOT_FORMAT = 1
_HASH_SPACE = 1 << 63


class Cell(NamedTuple):
    """What a trend item is about."""

    line: str
    product: str
    topic: str


class _Document(NamedTuple):
    rank: int
    """Negated hash of the event id: the heap's smallest is the largest hash, which leaves first."""
    text: str
    tokens: tuple[str, ...]


class _Tally(msgspec.Struct):
    """One cell on one day. Both samples keep the smallest hashes, so that no order of arrival can change them."""

    customers: set[int] = msgspec.field(default_factory=set)
    largest: int = _HASH_SPACE
    documents: list[_Document] = msgspec.field(default_factory=list)


class _Day(msgspec.Struct):
    cells: dict[Cell, _Tally] = msgspec.field(default_factory=dict)
    documents: list[_Document] = msgspec.field(default_factory=list)


class _Past(msgspec.Struct):
    """What is remembered of a cell: customers by day ordinal, its last state, and what was expected when it rose."""

    counts: dict[int, int] = msgspec.field(default_factory=dict)
    state: TrendState | None = None
    before_rise: float = 0.0


class _IncidentFact(msgspec.Struct):
    """From `at` on, this incident is about this topic and these dimensions, and stands so."""

    at: int
    topic: str
    lines: tuple[str, ...]
    products: tuple[str, ...]
    standing: Literal["active", "ended", "void"]


class _CellRecord(msgspec.Struct):
    cell: Cell
    customers: list[int]
    largest: int
    documents: list[_Document]


class _DayRecord(msgspec.Struct):
    day: int
    cells: list[_CellRecord]
    documents: list[_Document]


class _PastRecord(msgspec.Struct):
    cell: Cell
    counts: list[tuple[int, int]]
    state: TrendState | None
    before_rise: float


class _Snapshot(msgspec.Struct):
    format: int
    watermark: int
    first_day: int | None
    next_day: int | None
    days: list[_DayRecord]
    past: list[_PastRecord]
    incidents: list[tuple[str, list[_IncidentFact]]]


class TrendBook:
    """Distinct customers per line × product × topic and day, against what the earlier days let expect.

    A day is cut in the service's time zone and told once, when the watermark has passed its end by the allowed
    lateness: then every event that counts has arrived, so that neither the cut into slabs nor late arrivals within
    the allowance can change an item. Events of agents and bots and events without a topic are not counted.

    *Expected* is the median of the same weekday of up to four earlier weeks, taken together with twice the median of
    all earlier days: one wild day changes nothing, and a weekday is believed in full when it has spoken three times.
    In the first week it is the median of the earlier days. The first day has nothing to expect: 0.

    *Change* is (customers − expected) ÷ max(expected, 1): +1.0 is twice the expectation.

    *State*, where the band is expected ± max(3, 2·√(expected + 1)):

    - `new`: above its band, never seen before, and at least three earlier days were watched without it;
    - `rising`: above its band (on the very first day: an incident agrees with it);
    - `resolved`: `new` or `rising` on the day before, and back inside the band in which it was before it rose;
    - `falling`: below its band;
    - `seasonal`: inside the band, which includes a weekly peak that comes every week and a level that has stayed.

    Told are items of at least three customers, and changes of state. A day that `finish` cuts short is told without
    `falling` and `resolved`, which only a whole day can show. Of a day without any event (an outage) nothing is told.

    Fails when a topic grows so slowly that the history grows with it, and on days (holidays) unlike their weekday.

    Parameters
    ----------
    zone
        Service time zone.
    lateness_ms
        Allowed lateness: how long after a day's end its events may still count.

    Notes
    -----
    Memory is bounded: per open day 2 000 cells of 2 048 customers and 64 documents. Cost: about 3 µs an event.
    """

    def __init__(self, zone: tzinfo, lateness_ms: int = 10 * MINUTE_MS) -> None:
        self._zone = zone
        self._lateness_ms = lateness_ms
        self._watermark = 0
        self._first_day: int | None = None
        """Ordinal of the first day ever told."""
        self._next_day: int | None = None
        """Ordinal of the earliest day not yet told; None before the first."""
        self._days: dict[int, _Day] = {}
        self._past: dict[Cell, _Past] = {}
        self._incidents: dict[str, list[_IncidentFact]] = {}
        self._known_day = (0, 0, 0)
        """Last looked-up day (start, end, ordinal): events come in order, and time zones are slow."""

    def advance(
        self, observations: Sequence[Observation], watermark: int, incidents: Sequence[IncidentChange]
    ) -> list[Trend]:
        """Count `observations`, note `incidents`, and tell the days that `watermark` closes, by day and cell."""
        self._count(observations)
        self._note(incidents)
        self._watermark = max(self._watermark, watermark)
        told: list[Trend] = []
        for day in sorted(self._days):
            if self._end(day) + self._lateness_ms <= self._watermark:
                told += self._tell(day, whole=True)
        return told

    def finish(self) -> list[Trend]:
        """Tell what is left; the input has ended."""
        told: list[Trend] = []
        for day in sorted(self._days):
            told += self._tell(day, whole=self._end(day) <= self._watermark)
        return told

    # -- counting ---------------------------------------------------------------------------------------------------

    def _count(self, observations: Iterable[Observation]) -> None:
        for event in observations:
            if not event.topic or not event.customer or event.role in ("agent", "bot"):
                continue
            ordinal = self._ordinal(event.ts)
            if self._next_day is not None and ordinal < self._next_day:
                continue
            cell = Cell(event.line or "", event.product or "", event.topic)
            day = self._days.setdefault(ordinal, _Day())
            tally = day.cells.get(cell)
            if tally is None:
                if len(day.cells) >= MAXIMUM_CELLS:
                    continue
                tally = day.cells[cell] = _Tally()
            _add_customer(tally, event.customer)
            if event.tokens and event.text:
                rank = -_hash(event.id)
                tokens = event.tokens[:DOCUMENT_TOKENS]
                _sample(
                    tally.documents,
                    CELL_DOCUMENTS,
                    _Document(rank, (event.shown or event.text)[:DOCUMENT_CHARS], tokens),
                )
                # All topics together are only ever counted, never quoted.
                _sample(day.documents, DAY_DOCUMENTS, _Document(rank, "", tokens))

    def _note(self, changes: Iterable[IncidentChange]) -> None:
        for change in changes:
            if change.opened_at is None:
                continue  # only watched so far: nobody is told
            if change.status in ("merged", "dismissed"):
                standing: Literal["active", "ended", "void"] = "void"
            else:
                standing = "ended" if change.status == "resolved" else "active"
            facts = self._incidents.setdefault(change.incident, [])
            facts.append(
                _IncidentFact(
                    at=from_rfc3339(change.at),
                    topic=change.about.topic or "",
                    lines=_values(change.dims.get("line")),
                    products=_values(change.dims.get("product")),
                    standing=standing,
                )
            )
            if len(facts) > 1 and msgspec.structs.replace(facts[-1], at=facts[-2].at) == facts[-2]:
                facts.pop()
            while len(self._incidents) > MAXIMUM_INCIDENTS:
                del self._incidents[next(iter(self._incidents))]

    # -- telling ----------------------------------------------------------------------------------------------------

    def _tell(self, ordinal: int, *, whole: bool) -> list[Trend]:
        """Close one day: judge every cell that spoke or is remembered, then learn from it."""
        day = self._days.pop(ordinal)
        if self._first_day is None:
            self._first_day = ordinal
        self._next_day = ordinal + 1
        watched = min(ordinal - self._first_day, HISTORY_DAYS)
        background = Counter(token for document in day.documents for token in set(document.tokens))
        told: list[Trend] = []
        for cell in sorted(self._past.keys() | day.cells.keys()):
            tally = day.cells.get(cell, _EMPTY)
            past = self._past.setdefault(cell, _Past())
            customers = _distinct(tally)
            expected = self._expected(past, ordinal, watched)
            incidents = self._agreeing(cell, ordinal) if tally is not _EMPTY else []
            state = _judge(customers, expected, watched, past, bool(incidents))
            if not whole and state in ("falling", "resolved"):
                state = past.state if past.state is not None else "seasonal"
            changed = past.state is not None and state != past.state
            if customers >= MINIMUM_CUSTOMERS or (changed and whole):
                told.append(
                    self._item(cell, ordinal, tally, customers, expected, state, incidents, background, day.documents)
                )
            if state in _RISEN and past.state not in _RISEN:
                past.before_rise = expected
            past.state = state
            past.counts[ordinal] = customers
            _forget(past, ordinal)
            if not any(past.counts.values()):
                del self._past[cell]
        self._forget_cells()
        self._forget_incidents(self._end(ordinal))
        return told

    def _expected(self, past: _Past, ordinal: int, watched: int) -> float:
        if watched == 0:
            return 0.0
        # Days on which a cell was silent are zeros, also those before it was first seen.
        usual = median(past.counts.get(day, 0) for day in range(ordinal - watched, ordinal))
        weeks = min(WEEKDAY_SAMPLES, watched // 7)
        same = [past.counts.get(ordinal - 7 * week, 0) for week in range(1, weeks + 1)]
        return float(median([*same, usual, usual]))

    def _item(
        self,
        cell: Cell,
        ordinal: int,
        tally: _Tally,
        customers: int,
        expected: float,
        state: TrendState,
        incidents: list[str],
        background: Mapping[str, int],
        day_documents: Sequence[_Document],
    ) -> Trend:
        text_date = date.fromordinal(ordinal).isoformat()
        documents = sorted(tally.documents, reverse=True)
        terms = keywords([document.tokens for document in documents], background, len(day_documents), LIMIT_TERMS)
        return Trend(
            item=hashlib.blake2b("\x1f".join((text_date, *cell)).encode(), digest_size=8).hexdigest(),
            date=text_date,
            line=cell.line,
            product=cell.product,
            topic=cell.topic,
            customers=customers,
            expected=round(expected, 2),
            change=round((customers - expected) / max(expected, 1.0), 3) if self._first_day != ordinal else 0.0,
            state=state,
            terms=terms,
            quotes=quotes([(document.text, document.tokens) for document in documents], terms, LIMIT_QUOTES),
            incidents=incidents,
        )

    def _agreeing(self, cell: Cell, ordinal: int) -> list[str]:
        """Ids of the incidents that stood at some time of the day, were about this cell, and were not taken back."""
        start, end = self._start(ordinal), self._end(ordinal)
        agreeing: list[str] = []
        for incident, facts in self._incidents.items():
            known = [fact for fact in facts if fact.at < end]
            if not known or known[-1].standing == "void":
                continue
            before = [fact for fact in known if fact.at < start][-1:]
            of_the_day = before + [fact for fact in known if fact.at >= start]
            if any(
                fact.standing == "active"
                and fact.topic == cell.topic
                and (not fact.lines or cell.line in fact.lines)
                and (not fact.products or cell.product in fact.products)
                for fact in of_the_day
            ):
                agreeing.append(incident)
        return sorted(agreeing)

    def _forget_cells(self) -> None:
        """Keep the busiest cells when there are too many."""
        if len(self._past) > MAXIMUM_CELLS:
            busiest = sorted(self._past, key=lambda cell: (-sum(self._past[cell].counts.values()), cell))
            self._past = {cell: self._past[cell] for cell in busiest[:MAXIMUM_CELLS]}

    def _forget_incidents(self, end: int) -> None:
        """Keep of each incident what stands at `end` and what comes after it; drop those that are over."""
        for incident in list(self._incidents):
            facts = self._incidents[incident]
            later = [fact for fact in facts if fact.at >= end]
            standing = [fact for fact in facts if fact.at < end][-1:]
            if later or (standing and standing[0].standing == "active"):
                self._incidents[incident] = standing + later
            else:
                del self._incidents[incident]

    # -- days -------------------------------------------------------------------------------------------------------

    def _ordinal(self, ts: int) -> int:
        start, end, ordinal = self._known_day
        if not start <= ts < end:
            ordinal = datetime.fromtimestamp(ts / 1000, tz=self._zone).toordinal()
            self._known_day = (self._start(ordinal), self._end(ordinal), ordinal)
        return ordinal

    def _start(self, ordinal: int) -> int:
        midnight = datetime.combine(date.fromordinal(ordinal), datetime.min.time(), tzinfo=self._zone)
        return math.floor(midnight.timestamp()) * 1000

    def _end(self, ordinal: int) -> int:
        return self._start(ordinal + 1)

    # -- state ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Write the whole state as versioned JSON; equal states give equal bytes."""
        return msgspec.json.encode(
            _Snapshot(
                format=_SNAPSHOT_FORMAT,
                watermark=self._watermark,
                first_day=self._first_day,
                next_day=self._next_day,
                days=[
                    _DayRecord(
                        day=ordinal,
                        cells=[
                            _CellRecord(cell, sorted(tally.customers), tally.largest, sorted(tally.documents))
                            for cell, tally in sorted(day.cells.items())
                        ],
                        documents=sorted(day.documents),
                    )
                    for ordinal, day in sorted(self._days.items())
                ],
                past=[
                    _PastRecord(cell, sorted(past.counts.items()), past.state, past.before_rise)
                    for cell, past in sorted(self._past.items())
                ],
                incidents=list(self._incidents.items()),
            )
        )

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot as if there had been no interruption.

        Raises
        ------
        ValueError
            If `state` is not a snapshot of this format.
        """
        try:
            snapshot = msgspec.json.decode(state, type=_Snapshot)
        except msgspec.MsgspecError as error:
            raise ValueError(f"trends: the snapshot cannot be read ({error}); start from an empty state") from None
        if snapshot.format != _SNAPSHOT_FORMAT:
            raise ValueError(
                f"trends: the snapshot has format {snapshot.format}, this program reads {_SNAPSHOT_FORMAT}; "
                "start from an empty state"
            )
        self._watermark = snapshot.watermark
        self._first_day = snapshot.first_day
        self._next_day = snapshot.next_day
        # A sorted list is a valid heap.
        self._days = {
            day.day: _Day(
                cells={
                    record.cell: _Tally(set(record.customers), record.largest, record.documents) for record in day.cells
                },
                documents=day.documents,
            )
            for day in snapshot.days
        }
        self._past = {
            record.cell: _Past(dict(record.counts), record.state, record.before_rise) for record in snapshot.past
        }
        self._incidents = dict(snapshot.incidents)


_EMPTY = _Tally()
_RISEN = ("new", "rising")


def _judge(customers: int, expected: float, watched: int, past: _Past, has_incident: bool) -> TrendState:
    """Name the state of one cell on one day; see `TrendBook`."""
    if watched == 0:
        return "rising" if has_incident else "seasonal"
    if customers >= MINIMUM_CUSTOMERS and customers - expected >= _band(expected):
        return "new" if not past.counts and watched >= NEW_AFTER_DAYS else "rising"
    if past.state in _RISEN and customers - past.before_rise < _band(past.before_rise):
        return "resolved"
    if expected - customers >= _band(expected):
        return "falling"
    return "seasonal"


def _band(expected: float) -> float:
    return max(3.0, 2.0 * math.sqrt(expected + 1.0))


def _forget(past: _Past, ordinal: int) -> None:
    for day in [day for day in past.counts if day <= ordinal - HISTORY_DAYS]:
        del past.counts[day]


def _values(dimension: str | list[str] | None) -> tuple[str, ...]:
    if dimension is None:
        return ()
    return (dimension,) if isinstance(dimension, str) else tuple(dimension)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")


def _sample(documents: list[_Document], size: int, document: _Document) -> None:
    """Keep the documents of the `size` smallest hashes."""
    if len(documents) < size:
        # Until the sample is full any order will do; from then on it is a heap.
        documents.append(document)
        if len(documents) == size:
            documents.sort()
    elif document.rank > documents[0].rank:
        heappushpop(documents, document)


def _add_customer(tally: _Tally, customer: int) -> None:
    """Count a customer once: the set keeps the `EXACT_CUSTOMERS` smallest hashes of those seen."""
    spread = customer * 0x9E3779B97F4A7C15 % _HASH_SPACE
    spread = (spread ^ (spread >> 29)) * 0xBF58476D1CE4E5B9 % _HASH_SPACE
    if spread >= tally.largest:
        return
    tally.customers.add(spread)
    if len(tally.customers) >= 2 * EXACT_CUSTOMERS:
        # Trim rarely and by half: a bottom-k sample needs its k smallest, not a heap of them.
        tally.customers = set(sorted(tally.customers)[:EXACT_CUSTOMERS])
        tally.largest = max(tally.customers)


def _distinct(tally: _Tally) -> int:
    """Exact while nothing was trimmed, then estimated from how densely the smallest hashes lie."""
    if tally.largest == _HASH_SPACE:
        return len(tally.customers)
    smallest = sorted(tally.customers)[:EXACT_CUSTOMERS]
    return round((EXACT_CUSTOMERS - 1) * _HASH_SPACE / (smallest[-1] + 1))
