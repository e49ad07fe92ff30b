"""The detector bank of one shard: what is expected of its counts, and findings at every tick of the decision grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.baseline import DAY_ENDS_MS, ShareBaseline
from detectors.board import Board
from detectors.budget import opening_score, weak_score
from detectors.calendar import Calendar
from detectors.causes import Causes, Strange
from detectors.cells import Cell
from detectors.census import Census
from detectors.counts import FINE_MS, Floats, Ints
from detectors.emerging import Emerging
from detectors.keywords import shown_quotes, telling_words
from detectors.likeness import Likeness
from detectors.margins import HARM, margin, margin_of_harm, margin_of_number, margin_of_place, wording
from detectors.measures import (
    ALONE_AT_LEAST,
    KIND,
    LIFT_ALONE,
    WITNESS,
    benign,
    bodily,
    harm_done,
    may_open,
    mislabelled,
    only_warned,
    scattered,
    worked_on,
)
from detectors.mood import SHIFT_LIFT, shifted
from detectors.ordinary import HELD_OUT_MORE, Ordinary
from detectors.planned import Planned
from detectors.releases import Releases
from detectors.repeats import SETTLED_MS
from detectors.shares import LongRunShares
from detectors.silence import SilenceWatch
from detectors.storms import Storms
from detectors.surges import EVERYBODY, Surges
from detectors.tail import upper_score
from detectors.trials import Trials
from detectors.trouble import MAY_BE_CALM, calm
from detectors.volumes import Volumes
from qianshao.clock import DAY_MS, HOUR_MS, grid_tick
from qianshao.config import Detection
from qianshao.errors import StoreError
from qianshao.event import Observation
from qianshao.finding import Finding, SignalKind
from qianshao.outcome import Rollup
from qianshao.series import Series

VERSION = 11
LEARNING_MS = 6 * HOUR_MS
LEARNING_CUSTOMERS = 60.0
"""A cell speaks only when its shard has run this long and this many customers have been seen in it."""
MAX_EVIDENCE = 500
PEAK_LIFT = 1.2
"""A window must exceed the highest ordinary one that the series has had by this factor, and by one customer."""
PEAK_CHANCE = 3.0
FEW_PEAK = 3.0
"""By how many roots of it, beyond the first few, a large one varies by chance."""
YOUNG_ALPHA = 0.6
"""Extra dispersion at the start, gone after `YOUNG_MS`: rhythms that have not been seen twice are not known."""
YOUNG_MS = 2 * DAY_MS
THEME_YOUNG_MS = 5 * DAY_MS
"""A theme is young for longer: each of its first days teaches more words, by which more customers are known."""
LONG_WINDOW_ALPHA = np.array([1.0, 1.0, 1.0, 0.75, 0.55, 0.4])
"""Dispersion is learnt hour by hour; over longer windows part of it averages out."""
GROWTH = 1.3
"""A finding is repeated when its customers have grown by this factor."""
QUIET_MS = 12 * HOUR_MS
"""After this long without strangeness the same series may speak anew."""
FEW = {"danger": 3, "code": 4, "template": 5, "metric": 5}
"""Measures whose smallest batch is not the configured one."""
WEAK_THEME = -1.0
"""A theme is made of the same words as other witnesses: weaker than this below the threshold, it only blurs them."""
PAIR = 2
PAIR_EXPECTED = 0.005
"""So many customers are enough for harm to body on one product and model where fewer than this were to be expected."""
MOST_OF_A_DAY_MS = 20 * HOUR_MS
"""How much of the first day must have been seen before its peaks are taken for those of a day."""
BEYOND_DOUBT = 9.0
"""Devices that only warn open an incident however few they are, where their warning is as strange as this."""
FIRST_DAY_MORE = 4
"""Further devices that a never-seen code needs on the first day, when most rare codes are seen for the first time."""
MINIMUM_LIFT = {"topic": 2.5, "negative": 2.5, "returned": 2.5, "theme": 2.5, "trouble": 2.5}


class Bank:
    """Watches every count series of one shard and says which are stranger than they should be.

    `advance` takes the ordered events up to a watermark on the decision grid; every tick with events is decided on its
    own, so that the cut of the calls changes nothing. A series alarms when the tail probability of its distinct
    customers in any of six windows, from ten minutes to a day, is below what the budget of false alarms allows; weaker
    ones are passed on as weak witnesses. All alarming cells of one measure value become one finding, named by
    `localise`.

    When it fails: causes that raise all topics of all cells alike (only the volume band shows them), and causes whose
    customers use neither a topic, a term, a ticket type nor a device code of their own. The first hours are learning.
    Cost: about 0.2 ms a tick with events, beside the census and those who judge by themselves.

    Parameters
    ----------
    settings
        The budget, the least number of customers, and how many series are counted.
    root
        Whether the shard sees all lines.
    decision_ms
        Width of the decision grid.
    zone
        Where days begin and end.
    calendar
        Planned days; None = nothing is planned.

    Attributes
    ----------
    census, table
        What observations count as, and the counts: the bank reads them and lets the census write them.
    baseline, shares, board, storms, surges
        What is expected of the counts: shares of everybody, who is ordinarily seen, volumes and their live bins, what
        devices write every night, and whom of everybody a cause has brought.
    silence, emerging, likeness
        They judge what they hear by themselves; the bank hands it to them and passes on what they find. The silence of
        sources and emerging terms cross lines, and are for the root alone.
    """

    def __init__(
        self,
        settings: Detection,
        *,
        root: bool,
        decision_ms: int,
        zone: tzinfo,
        calendar: Calendar | None = None,
    ) -> None:
        self.settings = settings
        self.root = root
        self.decision_ms = decision_ms
        self.calendar = calendar or Calendar.empty(zone)
        self.census = Census(root=root, maximum=settings.maximum_series)
        self.table = self.census.table
        self.baseline = ShareBaseline(self.table)
        self.shares = LongRunShares(self.table, self.baseline)
        self.board = Board(self.table, self.baseline, Volumes(self.table, self.calendar, zone))
        self.storms = Storms(self.table, root=root)
        self.surges = Surges(self.table, self.baseline, self.board.volumes, root=root)
        self._trials = Trials()
        releases, planned = Releases(self.table, self.baseline), Planned(self.table, self.shares, self.calendar)
        self._ordinary = Ordinary(self.table, self.baseline, self.surges, releases, planned)
        self.silence = SilenceWatch(zone, settings.false_alarms_per_day)
        self._causes = Causes(self.table, self.baseline, self.shares, self.census.recent, root=root)
        self.emerging = Emerging(settings, self._ordinarily) if root else None
        self.likeness = Likeness(settings, self._ordinarily)
        self.watermark = 0
        self.started_ms = 0
        self._alarms: dict[int, list[_Alarm]] = {}
        self._least: Ints = np.zeros(0, dtype=np.int64)
        """Of each measure value: below how many customers a day a series has nothing to say."""
        self._rare: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._harm: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._by_device: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._wording: Ints = np.zeros(0, dtype=np.int64)

    # -- the way of one call -----------------------------------------------------------------------------------------

    def advance(self, observations: Sequence[Observation], watermark: int) -> tuple[list[Finding], list[Rollup]]:
        """Count ordered observations, decide every tick up to `watermark`, and close the bins that end before it."""
        findings: list[Finding] = []
        rollups: list[Rollup] = []
        observations = self._trials.leave_out(observations)
        if not self.watermark:
            if not observations:
                return findings, rollups
            first = observations[0].ts
            self.started_ms = self.watermark = first - first % HOUR_MS
            self.table.bin = self.watermark // FINE_MS
        if self.emerging is not None:
            self.emerging.read(observations)
        start = 0
        while start < len(observations):
            tick = grid_tick(max(observations[start].ts, self.watermark), self.decision_ms)
            end = start
            while end < len(observations) and observations[end].ts < tick:
                end += 1
            self._roll_to(tick, findings, rollups)
            ready = observations[start:end]
            if self.root:
                for observation in ready:
                    self.silence.see(observation, self.table.bin)
            rows, voices = self.census.count(ready, tick)
            for voice in voices:
                self.likeness.hear(voice)
            plan = self.calendar.planned(tick - 1)
            found = self._decide(rows, tick, plan)
            vocabulary, documents = self.census.vocabulary, self.census.documents
            if self.emerging is not None:
                found.extend(self.emerging.decide(tick, vocabulary, documents, plan))
            found.extend(self.likeness.decide(tick, vocabulary, documents, plan))
            findings.extend(each for each in found if not self._of_nightly_work(each))
            start = end
        self._roll_to(watermark, findings, rollups)
        self.watermark = max(self.watermark, watermark)
        return findings, rollups

    def _roll_to(self, tick: int, findings: list[Finding], rollups: list[Rollup]) -> None:
        """Close every five-minute bin that ends at or before the last moment counted by `tick`."""
        table = self.table
        target = (tick - 1) // FINE_MS
        while table.bin < target:
            end = (table.bin + 1) * FINE_MS
            self.baseline.watch()
            rollups.extend(self.board.close_bin(learning=end - self.started_ms <= DAY_MS))
            if self.root:
                findings.extend(self.silence.close_bin(table.bin, speaks=end - self.started_ms >= DAY_MS // 2))
            if end % HOUR_MS == 0:
                self.baseline.learn()
                self.storms.close_hour()
                self.shares.forget()
            rollups.extend(self.census.close_bin())

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _thresholds(self) -> tuple[float, float]:
        budget = self.settings.false_alarms_per_day
        return opening_score(self.table.n, budget), weak_score(self.table.n, budget)

    def _decide(self, rows: Ints, tick: int, plan: Mapping[str, float]) -> list[Finding]:
        """Score the series that this tick touched and make findings of the strange ones."""
        if tick - self.started_ms < LEARNING_MS or not len(rows):
            return []
        table = self.table
        rows = rows[table.denominator[rows] >= 0]
        self._know_values()
        few = self._least[table.row_measured[rows]]
        enough = table.day(rows) >= few
        rows, few = rows[enough], few[enough]
        if not len(rows):
            return []
        self.baseline.follow()
        counts = table.windows(rows)
        harmed = self._rare[table.row_measured[rows]]
        usual = np.where(harmed[:, None], 0.0, above_peak(self.baseline.peak[rows]))
        strange = (counts >= few[:, None]) & (counts > usual)
        kept = np.flatnonzero(strange.any(axis=1))
        if not len(kept):
            return []
        rows, counts, strange = rows[kept], counts[kept], strange[kept]
        devices = self._by_device[table.row_measured[rows]]
        mean, spread, held_out = self._ordinary.of(rows, counts, tick, devices=devices, harm=harmed[kept])
        strange &= counts > 1.5 * mean
        kept = np.flatnonzero(strange.any(axis=1))
        if not len(kept):
            return []
        rows, counts, mean, spread, strange = rows[kept], counts[kept], mean[kept], spread[kept], strange[kept]
        held_out = held_out[kept]
        learnt = self.census.learnt
        since = np.array([learnt.get(value, self.started_ms) for value in table.row_measured[rows].tolist()])
        known = np.where(since > self.started_ms, THEME_YOUNG_MS, YOUNG_MS)
        young = np.maximum(0.0, 1.0 - (tick - since) / known)
        wide = (spread + YOUNG_ALPHA * young[:, None]) * LONG_WINDOW_ALPHA
        opening, weak = self._thresholds()
        scores = np.zeros_like(mean)
        scores[strange] = upper_score(counts[strange], mean[strange], wide[strange])
        of_value = table.row_measured[rows]
        asked = margin_of_number(self._wording[of_value], counts)
        # Only where they are measured against what they hold themselves are many who agree asked less than others.
        over = scores - np.where(held_out, np.maximum(asked, 0.0) + HELD_OUT_MORE, asked)
        enough = strange & (counts >= min(self.settings.minimum_customers, FEW["danger"]))
        # A pair that is stranger than the three of whom it is part does not speak for them.
        judged = np.where(enough.any(axis=1, keepdims=True), enough, strange)
        best = np.where(judged, over, -np.inf).argmax(axis=1)
        top, over = scores[np.arange(len(rows)), best], over[np.arange(len(rows)), best]
        weak_or_opening = np.where(self._harm[of_value], min(weak, opening + HARM), weak)
        kept = np.flatnonzero((top >= weak_or_opening) & (self._history(rows) >= LEARNING_CUSTOMERS))
        if not len(kept):
            return []
        alarming = kept[top[kept] >= opening]
        if not self._day_known(tick):
            # The first morning's codes look strange against the night's; held there, they would be strange tomorrow.
            alarming = alarming[~self._by_device[of_value[alarming]]]
        self.baseline.alarm(rows[alarming], tick)
        by_value: dict[int, list[Strange]] = {}
        for index in kept.tolist():
            row, window, score = int(rows[index]), int(best[index]), float(top[index])
            value, observed = int(table.row_measured[row]), float(counts[index, window])
            left = float(over[index]) - margin(*table.measured[value], table.cells[int(table.row_cell[row])])
            strange_row = Strange(row, score, left, window, observed, float(mean[index, window]))
            by_value.setdefault(value, []).append(strange_row)
        findings: list[Finding] = []
        for value in sorted(by_value):
            found = self._speak(value, by_value[value], tick, plan)
            if found is not None:
                findings.append(found)
        return findings

    def _of_nightly_work(self, finding: Finding) -> bool:
        """Return whether planned work of that day brings it about at night; no harm that people tell of is.

        Work is done at night: devices fail then, and who cannot pay is told so in the app. What still fails in the
        morning is a fault.
        """
        work = self.calendar.nightly_work(finding.tick - 1)
        return bool(work) and finding.series.measure != "danger" and worked_on(finding.evidence, work)

    def _day_known(self, tick: int) -> bool:
        """Return whether the peaks of a first day, of most of its hours at least, are known."""
        end = self.started_ms + MOST_OF_A_DAY_MS
        return tick >= max(end + (DAY_ENDS_MS - end) % DAY_MS, self.started_ms + DAY_MS)

    def _know_values(self) -> None:
        """Look up what holds for each measure value, for those that appeared since the last time."""
        measured = self.table.measured
        if len(self._least) < len(measured):
            least = min(self.settings.minimum_customers, min(FEW.values()))
            self._least = np.array([PAIR if bodily(*each) else least for each in measured], dtype=np.int64)
            self._rare = np.array([each[0] == "danger" for each in measured], dtype=np.bool_)
            self._harm = np.array([harm_done(*each) for each in measured], dtype=np.bool_)
            self._by_device = np.array([WITNESS.get(each[0]) == "devices" for each in measured], dtype=np.bool_)
            self._wording = np.array([wording(each[0]) for each in measured], dtype=np.int64)

    def _history(self, rows: Ints) -> Floats:
        """Return how many customers the expectation of each row rests on.

        What a new release reports is judged by what its parent does, from the first device on: most who report anything
        in it are its victims, and their errors would be all that is ever known of it.
        """
        above = self.table.parent[rows]
        inherits = self._by_device[self.table.row_measured[rows]] & (above >= 0)
        return np.where(inherits, self.baseline.history(np.maximum(above, 0)), self.baseline.history(rows))

    def _speak(self, value: int, strange: list[Strange], tick: int, plan: Mapping[str, float]) -> Finding | None:
        """Make one finding of the strangest cell of a measure value, unless it said so already."""
        table = self.table
        measure, name = table.measured[value]
        top = min(strange, key=lambda each: (-each.over, table.cells[int(table.row_cell[each.row])]))
        cell = table.cells[int(table.row_cell[top.row])]
        if measure == "theme" and tick - self.census.learnt[value] < LEARNING_MS:
            return None  # a theme that has just been learnt rises from nothing
        if measure == "returned" and tick - self.started_ms < SETTLED_MS:
            return None
        shift = shifted(table, self.board.volumes, measure, top.row, top.window)
        new = measure in ("code", "template") and self._never_seen(value)
        minimum = FEW.get(measure, self.settings.minimum_customers) + (measure == "code" and not new)
        if new and tick - self.started_ms < DAY_MS:
            minimum += FIRST_DAY_MORE
        place: dict[str, str] = {}
        if bodily(measure, name) and top.observed < minimum:
            pair = self._one_product_and_model(strange)
            if pair is not None:
                top, minimum = pair, PAIR
                cell = table.cells[int(table.row_cell[top.row])]
                place = {each: value for each, value in cell if each in ("product", "model")}
        lift = SHIFT_LIFT if shift else MINIMUM_LIFT.get(measure, 2.0)
        if top.observed < minimum or top.observed < lift * top.expected:
            return None
        if self._by_device[value] and self.storms.explain(value, top.window):
            return None
        opening, _ = self._thresholds()
        opens = top.over >= opening and (shift or may_open(measure, name))
        if self._by_device[value] and not new and not self._day_known(tick):
            opens = False  # people break things by day: of a code that is not new one day must be known
        opens = opens and top.observed >= max(
            ALONE_AT_LEAST.get(measure, 0), LIFT_ALONE.get(measure, 0.0) * top.expected
        )
        if measure == "theme" and top.score < opening + WEAK_THEME:
            return None
        alarms = self._alarms.setdefault(value, [])
        alarms[:] = [alarm for alarm in alarms if tick - alarm.tick < QUIET_MS]
        known = next((alarm for alarm in alarms if _compatible(alarm.cell, cell)), None)
        if known is not None:
            known.tick = tick
            grown = top.observed >= known.observed * GROWTH + 1
            if not grown and not (opens and not known.opens):
                return None
            known.cell, known.observed, known.opens = cell, max(known.observed, top.observed), known.opens or opens
        else:
            alarms.append(_Alarm(cell=cell, tick=tick, observed=top.observed, opens=opens))
        kind = "new" if new else "shift" if shift else KIND.get(measure, "rise")
        return self._finding(value, top, cell, tick, plan, opens=opens, kind=kind, place=place, strange=strange)

    def _one_product_and_model(self, strange: list[Strange]) -> Strange | None:
        """Return the strangest series of one product and model in which nobody was to be expected."""
        cells = self.table.cells
        named = [
            (-each.score, cells[int(self.table.row_cell[each.row])], each)
            for each in strange
            if each.observed >= PAIR and each.expected < PAIR_EXPECTED
        ]
        places = sorted(each for each in named if {"product", "model"} <= dict(each[1]).keys())
        return places[0][2] if places else None

    def _never_seen(self, value: int) -> bool:
        """Return whether no ordinary hour has had this value: all that is known of it is this rise."""
        rows = np.array(self.table.rows_of_measured[value], dtype=np.int64)
        return bool((self.baseline.peak[rows] == 0).all())

    def _finding(
        self,
        value: int,
        top: Strange,
        cell: Cell,
        tick: int,
        plan: Mapping[str, float],
        *,
        opens: bool,
        kind: SignalKind,
        place: Mapping[str, str],
        strange: Sequence[Strange],
    ) -> Finding | None:
        """Show who stands behind a strange cell, and name the cause: `place`, where the decision rests on it."""
        measure, name = self.table.measured[value]
        by_device = bool(self._by_device[value])
        opening, weak = self._thresholds()
        start = self.table.window_start(top.window)
        cause = self._causes.of(value, top, strange, start, place, by_device=by_device, weak=weak)
        carried, dims = cause.carried[-MAX_EVIDENCE:], cause.dims
        if not carried:
            return None
        if benign(carried, plan) or (measure == "theme" and scattered(carried)):
            return None
        if measure == "metric" and not self.census.metrics.settled(carried, tick):
            return None  # what a model's devices ordinarily report is not known long enough
        words = telling_words(carried, self.census.vocabulary, self.census.documents)
        if measure == "metric":
            words = self.census.metrics.words(name, carried)
        if harm_done(measure, name):  # asked less where what those who are harmed say names a thing
            over, opens = top.score - margin_of_harm(dict(cell), dims, top.observed), True
        else:
            over = top.over - margin_of_place(measure, dims, top.observed)
        if measure == "ticket_type" and mislabelled(carried, words):
            return None
        opens = opens and over >= opening
        if opens and measure in MAY_BE_CALM and calm(carried):
            opens = False
        if by_device and worked_on(carried, self.calendar.work(tick - 1)):
            opens = False
        return Finding(
            series=Series(measure, name, cell),
            kind=kind,
            tick=tick,
            window_start=max(start, min(event.ts for event in carried)),
            window_end=tick,
            observed=top.observed,
            expected=round(top.expected, 3),
            score=round(top.score, 3),
            witness=WITNESS.get(measure, "contacts"),
            evidence=tuple(carried),
            dims=dims,
            suspect=self.census.rollouts.suspect(dims, carried, tick),
            keywords=tuple(words),
            quotes=shown_quotes(carried, words),
            opens=opens and not (by_device and top.score < BEYOND_DOUBT and only_warned(carried)),
        )

    def _ordinarily(self, base: Mapping[str, str], name: str) -> Mapping[str, float]:
        """Long-run shares of one dimension's values among all customers of the base."""
        return self.shares.of(self.table.measured_id(EVERYBODY), base, name)

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return the whole state as bytes with a version; restoring it continues as if uninterrupted."""
        return msgspec.msgpack.encode(
            {
                "version": VERSION,
                **self.census.snapshot(),
                "baseline": self.baseline.snapshot(),
                "board": self.board.snapshot(),
                "storms": self.storms.snapshot(),
                "trials": self._trials.snapshot(),
                "silence": self.silence.snapshot(),
                "emerging": None if self.emerging is None else self.emerging.snapshot(),
                "likeness": self.likeness.snapshot(),
                "watermark": self.watermark,
                "started_ms": self.started_ms,
                "alarms": [
                    (value, [msgspec.to_builtins(alarm) for alarm in alarms]) for value, alarms in self._alarms.items()
                ],
            }
        )

    def restore(self, data: bytes) -> None:
        """Take over a state written by `snapshot`, in a bank that has counted nothing.

        Raises
        ------
        StoreError
            If the state was written by another version.
        """
        assert not self.watermark  # whoever read counts before would take other rows for them
        state: dict[str, Any] = msgspec.msgpack.decode(data, strict=False)
        if state["version"] != VERSION:
            raise StoreError(
                f"snapshot of a bank: has version {state['version']}, this program reads {VERSION}; "
                "resume with the program that wrote it, or start from an empty state"
            )
        self.census.restore(state)
        self.baseline.restore(state["baseline"])
        self.board.restore(state["board"])
        self.storms.restore(state["storms"])
        self._trials.restore(state["trials"])
        self.silence.restore(state["silence"])
        if self.emerging is not None:
            self.emerging.restore(state["emerging"])
        self.likeness.restore(state["likeness"])
        self.watermark = state["watermark"]
        self.started_ms = state["started_ms"]
        self._alarms = {value: msgspec.convert(alarms, list[_Alarm]) for value, alarms in state["alarms"]}


class _Alarm(msgspec.Struct, kw_only=True):
    """What a measure value said last about one cell."""

    cell: tuple[tuple[str, str], ...]
    tick: int
    observed: float
    opens: bool


def above_peak(peak: Floats | NDArray[np.float32]) -> Floats:
    """Return what a window must exceed: the highest ordinary one by a factor, a large one by what chance adds to it."""
    usual: Floats = PEAK_LIFT * peak + 1.0 + PEAK_CHANCE * np.maximum(np.sqrt(peak) - FEW_PEAK, 0.0)
    return usual


def _compatible(one: Cell, other: Cell) -> bool:
    """True unless the cells contradict each other in a dimension."""
    values = dict(one)
    return all(values.get(name, value) == value for name, value in other)
