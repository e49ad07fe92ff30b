"""The rules that managers use today, as baselines: a fixed threshold per hour, and an hourly z-score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from qianshao.clock import HOUR_MS
from qianshao.series import Series

DEFAULT_THRESHOLD = 10
"""Distinct customers per hour at which the fixed threshold alarms when there is no truth to tune it on."""

Z_LIMIT = 3.0
Z_MINIMUM_CUSTOMERS = 5
Z_HISTORY_HOURS = (24, 168)
"""At least so much history before the z-score speaks, and at most so much of it is looked at."""


class RuleEvents(NamedTuple):
    """The events of a run, ordered by (`ts`, `id`): lists or arrays of one length, '' where a text is absent."""

    id: Sequence[str]
    ts: Sequence[int] | NDArray[np.int64]
    """Event time, epoch milliseconds."""
    kind: Sequence[str]
    role: Sequence[str]
    product: Sequence[str]
    topic: Sequence[str]
    type: Sequence[str]
    code: Sequence[str]
    customer: Sequence[int] | Sequence[str]
    """Pseudonym, falling back to the device; 0 or '' = nobody."""


class RuleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a rule's report: the first alarm of an episode opens it, its hour's end completes it."""

    report: str
    version: int
    at: int
    """When the rule could say so, epoch milliseconds."""
    opened_at: int
    series: Series
    evidence: list[str]
    """Ids of the events counted, oldest first."""


class SeriesHours:
    """Distinct customers per clock hour of the series that a manager watches.

    These are customers' contacts per product × topic, tickets per product × ticket type, and device logs per code.
    Clock hours are those of every time zone whose offset is whole hours.

    Parameters
    ----------
    events
        Columns of one length, ordered by (`ts`, `id`).

    Notes
    -----
    Built once for all thresholds, in linear time. A code that carries an identifier makes a series for each of them.

    >>> no, kind = ["", ""], ["ticket", "ticket"]
    >>> hours = SeriesHours(RuleEvents(["a", "b"], [1, 2], kind, no, ["门锁"] * 2, no, ["离线"] * 2, no, [7, 8]))
    >>> [(record.at, record.evidence) for record in fixed_threshold(hours, 2)]
    [(2, ['a', 'b']), (3600000, ['a', 'b'])]
    """

    def __init__(self, events: RuleEvents) -> None:
        numbers: dict[tuple[str, str, str], int] = {}
        rows: list[int] = []
        rows_series: list[int] = []
        columns = (events.kind, events.role, events.product, events.topic, events.type, events.code, events.customer)
        for row, (kind, role, product, topic, label, code, customer) in enumerate(zip(*columns, strict=True)):
            if not customer:
                continue
            if kind == "device":
                key = ("code", code, "")
            elif kind == "ticket":
                key = ("ticket_type", label, product)
            elif role == "customer":
                key = ("topic", topic, product)
            else:
                continue
            if key[1]:
                rows.append(row)
                rows_series.append(numbers.setdefault(key, len(numbers)))
        self._series = [
            Series(measure, value, (("product", product),) if product else ()) for measure, value, product in numbers
        ]
        self._ids = events.id
        ts = np.asarray(events.ts, dtype=np.int64)
        self._first_hour = int(ts[0]) // HOUR_MS if len(ts) else 0

        counted = np.array(rows, dtype=np.int64)
        series = np.array(rows_series, dtype=np.int64)
        hour = ts[counted] // HOUR_MS
        order = np.lexsort((counted, hour, series))
        self._row = counted[order]
        self._ts = ts[self._row]
        series, hour = series[order], hour[order]
        begins = np.ones(len(order), dtype=bool)
        begins[1:] = (series[1:] != series[:-1]) | (hour[1:] != hour[:-1])
        self._bin_start = np.flatnonzero(begins)
        self._bin_end = np.append(self._bin_start, len(order))[1:]
        self._bin_series = series[self._bin_start]
        self._bin_hour: NDArray[np.int64] = hour[self._bin_start] - self._first_hour

        bin_of = np.cumsum(begins) - 1
        people: dict[int | str, int] = {}
        customer_of = np.array(
            [people.setdefault(events.customer[position], len(people)) for position in self._row.tolist()],
            dtype=np.int64,
        )
        _, firsts = np.unique(bin_of * (len(people) + 1) + customer_of, return_index=True)
        new = np.zeros(len(order), dtype=bool)
        new[firsts] = True
        running = np.cumsum(new)
        before = (running - new)[self._bin_start]
        self._rank = np.where(new, running - before[bin_of], 0)
        """n where this row brings the n-th customer of its series and hour, 0 where it brings no new one."""
        self.customers: NDArray[np.int64] = running[self._bin_end - 1] - before
        """Distinct customers of each series and hour that has any."""
        self._bin_of = bin_of

    def reached(self, threshold: int) -> Iterator[tuple[int, int]]:
        """Give each bin that reaches `threshold` customers, with the row that does it; ordered by series and hour."""
        rows = np.flatnonzero(self._rank == threshold)
        return zip(self._bin_of[rows].tolist(), rows.tolist(), strict=True)

    def of_series(self) -> Iterator[slice]:
        """Give the bins of each series, oldest first."""
        edges = np.flatnonzero(np.diff(self._bin_series, prepend=-1, append=-1)).tolist()
        return (slice(start, end) for start, end in pairwise(edges))

    def hours_of(self, bins: slice) -> NDArray[np.int64]:
        """Hours of these bins, counted from that of the first event."""
        return self._bin_hour[bins]

    def records(self, rule: str, alarms: Iterator[tuple[int, int | None]]) -> list[RuleRecord]:
        """Turn alarms into reports: one per series until an hour without alarm.

        Parameters
        ----------
        rule
            Name of the rule, in the reports' ids.
        alarms
            Bins that alarm, ordered by series and hour, each with the row at which it did, None = at the hour's end.
            A report opens with what was counted at the alarm; a second version holds the whole hour. Further hours of
            alarm only prolong it: a rule that always rings has said nothing new.
        """
        records: list[RuleRecord] = []
        last: tuple[int, int] | None = None
        for alarm, row in alarms:
            series, hour = int(self._bin_series[alarm]), int(self._bin_hour[alarm])
            continues = last == (series, hour - 1)
            last = (series, hour)
            if continues:
                continue
            start, end = int(self._bin_start[alarm]), int(self._bin_end[alarm])
            hour_end = (self._first_hour + hour + 1) * HOUR_MS
            moments = [(hour_end, end)] if row is None else [(int(self._ts[row]), row + 1), (hour_end, end)]
            for version, (at, until) in enumerate(moments, start=1):
                records.append(
                    RuleRecord(
                        report=f"{rule}:{self._series[series]}@{hour_end // HOUR_MS - 1}",
                        version=version,
                        at=at,
                        opened_at=moments[0][0],
                        series=self._series[series],
                        evidence=[self._ids[position] for position in self._row[start:until].tolist()],
                    )
                )
        return records


def fixed_threshold(hours: SeriesHours, threshold: int = DEFAULT_THRESHOLD) -> list[RuleRecord]:
    """Alarm at the moment a series reaches `threshold` distinct customers within a clock hour.

    Fails on everything whose ordinary hour is near the threshold (false alarms at every peak), on small series whose
    incidents stay below it, and on incidents that straddle the hour.
    """
    return hours.records("fixed", iter(hours.reached(threshold)))


def hourly_z(hours: SeriesHours) -> list[RuleRecord]:
    """Alarm at the end of an hour whose customers lie three standard deviations above the trailing week's mean.

    The week is the up to 168 hours before, hours without customers included, of which at least 24 must have passed
    since the log began; five distinct customers are the least. Fails on daily peaks, which no mean of whole days
    expects, on sparse series, whose counts are not normal, and comes up to an hour late.
    """

    def alarms() -> Iterator[tuple[int, None]]:
        least, most = Z_HISTORY_HOURS
        for bins in hours.of_series():
            customers = hours.customers[bins]
            if customers.max() < Z_MINIMUM_CUSTOMERS:
                continue
            hour = hours.hours_of(bins)
            dense = np.zeros(int(hour[-1]) + 2)
            dense[hour + 1] = customers
            sums, squares = np.cumsum(dense), np.cumsum(dense * dense)
            oldest = np.maximum(hour - most, 0)
            length = np.maximum(hour - oldest, 1)
            mean = (sums[hour] - sums[oldest]) / length
            variance = np.maximum((squares[hour] - squares[oldest]) / length - mean * mean, 0.0)
            strange = (customers >= Z_MINIMUM_CUSTOMERS) & (hour >= least)
            strange &= (customers > mean) & (customers - mean >= Z_LIMIT * np.sqrt(variance))
            for position in np.flatnonzero(strange).tolist():
                yield bins.start + position, None

    return hours.records("hourly_z", alarms())
