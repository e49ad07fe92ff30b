"""Scoring of a labelled replay: which reports were true, how early, how often twice, and how well named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, from_rfc3339
from qianshao.errors import InputError
from qianshao.incident import IncidentChange

DimsVerdict = Literal["exact", "partial", "wrong"]
Verdict = Literal["detection", "duplicate", "merged", "false"]
Dims = Mapping[str, str | Sequence[str]]

MERGE_GRACE_MS = HOUR_MS
"""A duplicate that is merged into the detecting report within this time of its opening is forgiven."""

DIMS_SETTLE_MS = 30 * MINUTE_MS
"""Dimensions are judged on the record that stands this long after the detection."""


class TruthIncident(msgspec.Struct, frozen=True):
    """One planted or known incident."""

    incident: str
    kind: str
    start: str
    end: str
    severe: bool
    dims: dict[str, str | list[str]]
    events: list[str]
    """Ids of the events it caused; none or few for a channel that fell silent."""
    customers: int | list[str] = 0

    @property
    def start_ms(self) -> int:
        """Begin, epoch milliseconds."""
        return from_rfc3339(self.start)

    @property
    def end_ms(self) -> int:
        """End, epoch milliseconds."""
        return from_rfc3339(self.end)

    @property
    def silent_channels(self) -> frozenset[str]:
        """The channels that fell silent, empty if this incident is not a channel's silence.

        It is one by its kind, or by having no events, or no other dimension than a channel: those who ask elsewhere why
        nobody answers are events of it, too.
        """
        if "channel" in self.dims and (not self.events or "silen" in self.kind or len(self.dims) == 1):
            return _values(self.dims["channel"])
        return frozenset()


class Truth(msgspec.Struct, frozen=True):
    """The labels of one log: `truth.json`."""

    incidents: list[TruthIncident]
    events: int = 0
    """Records in the log, for the reader; not used in scoring."""
    event_customers: dict[str, str] | None = None
    """Customer of each event, where the author of the labels knows better than the events tell."""


class SpokenSignal(msgspec.Struct, frozen=True):
    """What scoring needs of one signal: its kind and the end of its window, when it spoke."""

    kind: str
    window_end: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What scoring needs of one change of one report; times are epoch milliseconds."""

    incident: str
    version: int
    at: int
    opened_at: int | None
    evidence: Sequence[str]
    dims: Dims = {}
    signals: tuple[SpokenSignal, ...] = ()
    merged_into: str | None = None
    """The parent if this very change merged it, else None."""
    title: str = ""


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one report was judged."""

    incident: str
    title: str
    opened_at: int
    verdict: Verdict
    truth: str | None
    """The truth incident it is true of, None when false."""
    true_at: int | None
    """`at` of the version from which it is true, epoch milliseconds."""


class TruthRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one truth incident fared."""

    incident: str
    kind: str
    severe: bool
    start: str
    events: int
    report: str | None
    """The report that detected it, None when missed."""
    detected_at: int | None
    delay_minutes: float | None
    customers_seen: int | None
    dims_truth: dict[str, str | list[str]]
    dims_report: dict[str, str | list[str]] | None
    dims_verdict: DimsVerdict | None
    duplicates: int
    """Further true reports that were not merged in time."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one set of reports against one truth; None where nothing stands in the denominator."""

    reports: int
    """Opened incidents, without the duplicates that were merged in time: the denominator of the precision."""
    detected: int
    incidents: int
    precision: float | None
    recall: float | None
    severe_recall: float | None
    duplicate_reports: int
    merged_reports: int
    """Duplicates forgiven because they were merged in time."""
    false_reports: int
    false_reports_per_day: float | None
    delay_minutes_p50: float | None
    delay_minutes_p90: float | None
    customers_seen_p50: float | None
    customers_seen_p90: float | None
    dims_exact: float | None
    """Share of the detected incidents."""
    dims_partial: float | None
    dims_wrong: float | None
    truth_rows: tuple[TruthRow, ...]
    report_rows: tuple[ReportRow, ...]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 when either is zero or has no meaning."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def read_truth(path: Path) -> Truth:
    """Read the labels of a log; unknown extra keys are allowed.

    Raises
    ------
    InputError
        If the file cannot be read or does not have the shape of `truth.json`; the message names file and key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"truth {path}: cannot be read ({error.strerror}); give an existing truth.json") from None
    try:
        truth = msgspec.json.decode(data, type=Truth)
    except msgspec.ValidationError as error:
        raise InputError(f"truth {path}: {error}; see the shape of truth.json in the documentation") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"truth {path}: is not JSON ({error}); give a truth.json") from None
    seen: set[str] = set()
    for position, incident in enumerate(truth.incidents):
        where = f"truth {path}: $.incidents[{position}]"
        for key, text in (("start", incident.start), ("end", incident.end)):
            try:
                from_rfc3339(text)
            except ValueError:
                raise InputError(
                    f"{where}.{key}: {text!r} is not RFC 3339 with an offset; write 2025-12-11T00:00:00+08:00"
                ) from None
        if incident.end_ms < incident.start_ms:
            raise InputError(
                f"{where}.end: {incident.end!r} lies before the start {incident.start!r}; correct one of them"
            )
        if incident.incident in seen:
            raise InputError(
                f"{where}.incident: {incident.incident!r} is there twice; give each incident a name of its own"
            )
        seen.add(incident.incident)
    return truth


def read_changes(path: Path) -> list[IncidentChange]:
    """Read an `incidents.jsonl`.

    Raises
    ------
    InputError
        If the file cannot be read or a line is not an incident record; the message names file and line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            f"incidents {path}: cannot be read ({error.strerror}); give an existing incidents.jsonl"
        ) from None
    decoder = msgspec.json.Decoder(IncidentChange)
    changes = []
    for number, line in enumerate(lines, start=1):
        try:
            changes.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise InputError(f"incidents {path}, line {number}: {error}; give a file that a replay wrote") from None
    return changes


def record_of(change: IncidentChange) -> Record:
    """Take from an incident's change what scoring needs."""
    return Record(
        incident=change.incident,
        version=change.version,
        at=from_rfc3339(change.at),
        opened_at=None if change.opened_at is None else from_rfc3339(change.opened_at),
        evidence=change.evidence,
        dims=change.dims,
        signals=tuple(SpokenSignal(signal.kind, from_rfc3339(signal.window_end)) for signal in change.signals),
        merged_into=change.parent if change.change == "merged" else None,
        title=change.title,
    )


def score(
    changes: Iterable[IncidentChange],
    truth: Truth,
    event_customers: Mapping[str, str],
    event_times: Mapping[str, int],
) -> Score:
    """Score the incidents of a replay against the truth, clause by clause as the contract words it.

    Parameters
    ----------
    changes
        The records of `incidents.jsonl`, in any order.
    truth
        The labels. Its own `event_customers` go before the argument, as a whole: two ways of naming a customer do not
        mix.
    event_customers
        Customer of each counted event.
    event_times
        Event time of each counted event, epoch milliseconds. A truth event that is not in it was never seen.

    Notes
    -----
    A report is an incident that was ever opened. It is true from the first record, counting from its first opening
    record on, of which at least half of the distinct evidence belongs to one truth incident; a channel's silence is
    also matched by a record that names the channel and holds a `drop` or `silence` signal whose window ends inside it.
    The earliest true report detects; others are duplicates, unless merged into the detecting one within an hour of
    opening, in which case they are not reports of their own. Cost is linear in records × evidence.
    """
    return score_records(map(record_of, changes), truth, event_customers, event_times)


def score_records(
    records: Iterable[Record],
    truth: Truth,
    event_customers: Mapping[str, str],
    event_times: Mapping[str, int],
) -> Score:
    """Score reports that did not come from the desk, such as those of the managers' rules; see `score`."""
    histories: dict[str, list[Record]] = {}
    for record in records:
        histories.setdefault(record.incident, []).append(record)
    for history in histories.values():
        history.sort(key=lambda record: record.version)

    owners = _owners(truth)
    opened: dict[str, Record] = {}
    true_of: dict[str, list[tuple[int, str]]] = {}
    became_true: dict[str, tuple[int, str]] = {}
    for incident in sorted(histories):
        history = histories[incident]
        first = next((position for position, record in enumerate(history) if record.opened_at is not None), None)
        if first is None:
            continue
        opened[incident] = history[first]
        for record in history[first:]:
            match = _match(record, truth, owners)
            if match is not None:
                became_true[incident] = (record.at, match)
                true_of.setdefault(match, []).append((record.at, incident))
                break

    customers = event_customers if truth.event_customers is None else truth.event_customers
    verdicts: dict[str, Verdict] = {}
    truth_rows = []
    for labelled in truth.incidents:
        reports = sorted(true_of.get(labelled.incident, ()))
        for position, (_, incident) in enumerate(reports):
            verdicts[incident] = "detection" if position == 0 else _later_report(histories[incident], reports[0][1])
        truth_rows.append(_truth_row(labelled, reports, verdicts, histories, customers, event_times))
    report_rows = []
    for incident, record in sorted(opened.items(), key=lambda item: (item[1].opened_at, item[0])):
        true_at, matched = became_true.get(incident, (None, None))
        report_rows.append(
            ReportRow(
                incident=incident,
                title=record.title,
                opened_at=_opening(record),
                verdict=verdicts.get(incident, "false"),
                truth=matched,
                true_at=true_at,
            )
        )
    return _figures(truth_rows, report_rows, event_times)


def _owners(truth: Truth) -> dict[str, list[int]]:
    owners: dict[str, list[int]] = {}
    for position, incident in enumerate(truth.incidents):
        for event in set(incident.events):
            owners.setdefault(event, []).append(position)
    return owners


def _match(record: Record, truth: Truth, owners: Mapping[str, Sequence[int]]) -> str | None:
    """Name the truth incident that this record is true of; the one with most evidence, then the first listed."""
    evidence = set(record.evidence)
    counts: dict[int, int] = {}
    for event in evidence:
        for position in owners.get(event, ()):
            counts[position] = counts.get(position, 0) + 1
    if counts:
        best = min(counts, key=lambda position: (-counts[position], position))
        if 2 * counts[best] >= len(evidence):
            return truth.incidents[best].incident
    channels = _values(record.dims.get("channel", ()))
    spoken = [signal.window_end for signal in record.signals if signal.kind in ("drop", "silence")]
    if channels and spoken:
        for incident in truth.incidents:
            if channels & incident.silent_channels and any(
                incident.start_ms <= moment <= incident.end_ms for moment in spoken
            ):
                return incident.incident
    return None


def _later_report(history: Sequence[Record], detecting: str) -> Verdict:
    opening = next(record.opened_at for record in history if record.opened_at is not None)
    forgiven = any(record.merged_into == detecting and record.at - opening <= MERGE_GRACE_MS for record in history)
    return "merged" if forgiven else "duplicate"


def _opening(record: Record) -> int:
    assert record.opened_at is not None
    return record.opened_at


def _truth_row(
    labelled: TruthIncident,
    reports: Sequence[tuple[int, str]],
    verdicts: Mapping[str, Verdict],
    histories: Mapping[str, Sequence[Record]],
    customers: Mapping[str, str],
    event_times: Mapping[str, int],
) -> TruthRow:
    detected_at = report = delay = seen = dims = verdict = None
    if reports:
        detected_at, report = reports[0]
        delay = (detected_at - labelled.start_ms) / MINUTE_MS
        seen = len(
            {
                customers[event]
                for event in labelled.events
                if customers.get(event) and event in event_times and event_times[event] <= detected_at
            }
        )
        standing = [record for record in histories[report] if record.at <= detected_at + DIMS_SETTLE_MS][-1]
        dims = {name: value if isinstance(value, str) else list(value) for name, value in standing.dims.items()}
        verdict = judge_dims(standing.dims, labelled.dims)
    return TruthRow(
        incident=labelled.incident,
        kind=labelled.kind,
        severe=labelled.severe,
        start=labelled.start,
        events=len(labelled.events),
        report=report,
        detected_at=detected_at,
        delay_minutes=delay,
        customers_seen=seen,
        dims_truth=labelled.dims,
        dims_report=dims,
        dims_verdict=verdict,
        duplicates=sum(verdicts[incident] == "duplicate" for _, incident in reports),
    )


def judge_dims(reported: Dims, true: Dims) -> DimsVerdict:
    """Judge a report's dimensions against the truth's; a string equals the list that holds only it.

    Exact: the same keys and values. Partial: right but incomplete (at least one key, all of them the truth's, with the
    same values), or narrower (every key of the truth is there, with some or all of its values, and perhaps further
    keys). Wrong: anything else, also a value that is not the truth's, and saying nothing where something is to be said.

    >>> judge_dims({"product": "智能门锁"}, {"product": "智能门锁", "firmware": "2.2.0"})
    'partial'
    >>> judge_dims({"product": "智能门锁", "region": "华东"}, {"product": "智能门锁", "firmware": "2.2.0"})
    'wrong'
    """
    ours = {name: _values(value) for name, value in reported.items()}
    theirs = {name: _values(value) for name, value in true.items()}
    if ours == theirs:
        return "exact"
    incomplete = bool(ours) and all(theirs.get(name) == values for name, values in ours.items())
    narrower = all(ours.get(name, frozenset()) and ours[name] <= values for name, values in theirs.items())
    return "partial" if incomplete or narrower else "wrong"


def _values(value: str | Iterable[str]) -> frozenset[str]:
    return frozenset((value,)) if isinstance(value, str) else frozenset(value)


def _figures(truth_rows: Sequence[TruthRow], report_rows: Sequence[ReportRow], event_times: Mapping[str, int]) -> Score:
    verdicts = [row.verdict for row in report_rows]
    detections = [row for row in truth_rows if row.report is not None]
    severe = [row for row in truth_rows if row.severe]
    reports = len(verdicts) - verdicts.count("merged")
    false_reports = verdicts.count("false")
    days = (max(event_times.values()) - min(event_times.values())) / DAY_MS if event_times else 0.0
    delays = [row.delay_minutes for row in detections if row.delay_minutes is not None]
    seen = [float(row.customers_seen) for row in detections if row.customers_seen is not None]
    named = [row.dims_verdict for row in detections]
    return Score(
        reports=reports,
        detected=len(detections),
        incidents=len(truth_rows),
        precision=_share(len(detections), reports),
        recall=_share(len(detections), len(truth_rows)),
        severe_recall=_share(sum(row.report is not None for row in severe), len(severe)),
        duplicate_reports=verdicts.count("duplicate"),
        merged_reports=verdicts.count("merged"),
        false_reports=false_reports,
        false_reports_per_day=false_reports / days if days > 0 else None,
        delay_minutes_p50=_percentile(delays, 50),
        delay_minutes_p90=_percentile(delays, 90),
        customers_seen_p50=_percentile(seen, 50),
        customers_seen_p90=_percentile(seen, 90),
        dims_exact=_share(named.count("exact"), len(named)),
        dims_partial=_share(named.count("partial"), len(named)),
        dims_wrong=_share(named.count("wrong"), len(named)),
        truth_rows=tuple(truth_rows),
        report_rows=tuple(report_rows),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
