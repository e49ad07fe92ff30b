"""A source of ordinary traffic falls silent: a channel, a line, or one kind of records, while others go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from math import log10
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from detectors.cells import Cell
from detectors.counts import FINE_MS
from detectors.holidays import day_kind
from detectors.tail import lower_score
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.event import Observation
from qianshao.finding import Finding
from qianshao.series import Series

MAX_CHANNELS = 64
MAX_LINES = 32
"""Channels and lines that are watched, as they come; further ones are not."""
MAX_REMEMBERED = 100_000
"""Signs of life of the last hours that are told from new ones; the oldest leaves first."""
AGAIN_MS = 2 * HOUR_MS
"""Who was seen so recently is no new sign of life: a conversation has many turns."""
DAYS = 5
"""Days of an hour that are remembered."""
LEAST_DAYS = 2
"""Days of an hour that must be known of a line or a kind: one may have been the night of an incident."""
KNOWN = 60.0
"""Signs of life that a channel must have given before its share means anything."""
SHARE_AT_MOST = 0.95
LOOKS = 100.0
"""Quiet stretches of a source in a day, about."""
BUDGET_SHARE = 0.1
"""Part of the budget of false alarms that all silences together may spend."""
WATCHED = {12: 1.6}
WATCHED_ELSE = 3.0
"""Score from which a silence is watched, nobody is told: of an hour when five were expected and none came; of other
windows, of which there are more in a day and longer ones, when about eight were."""
ALPHA = 0.03
REST = 0.1
"""A source is silent while it gives at most this share of what was expected."""
BACK = 0.3
"""It is back when it gives this share within half an hour."""
ALIVE = 0.5
ALIVE_LEAST = 10.0
"""What a source must have given of so many expected signs before its silence, on the first day of its kind."""
TOLD_AGAIN_MS = HOUR_MS
ALL_LEAST = 5.0
"""Where all others give at most the share `REST` of so many expected signs, the log has ended or its feed has: what is
read tells nothing of any one source."""
_STEADY = 5.0
"""The others are taken to have given so many signs more than they did: few say little of how busy it is."""

_BINS = 12
_RING = 36
_CHANNEL_WINDOWS = (2, 6, 9, 12, 18, 24, 36)
_OTHER_WINDOWS = (12, 18, 24, 36)
"""In bins of five minutes. A gateway that holds a line back for forty minutes is no silence: of a line or a kind, an
hour must be quite empty."""
_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

_KINDS = {"chat": "chats", "call": "calls", "ticket": "tickets", "rating": "ratings", "device": "devices"}
_VOICE = ("chats", "calls")
_WITNESS = {"tickets": "tickets", "devices": "devices"}


class Source(NamedTuple):
    """What may fall silent: a measure of signs of life, under one channel or line, or altogether."""

    measure: str
    cell: Cell

    @property
    def channel(self) -> bool:
        """Whether it is a channel."""
        return bool(self.cell) and self.cell[0][0] == "channel"


class _Life:
    """The signs of life of one source."""

    def __init__(self, source: Source) -> None:
        self.least_days = 1 if source.channel else LEAST_DAYS
        self.ring = [0] * _RING
        """By bin of the last three hours."""
        self.hour = 0
        """In the hour so far."""
        self.total = 0.0
        self.hours: dict[int, list[int]] = {}
        """Hour of the day, 24 more on a day off → its newest counts, oldest first."""


class _Silence(NamedTuple):
    """A silence that goes on: when it was told first and last, and whether it was strong enough to open."""

    since: int
    told: int
    opens: bool


class SilenceWatch:
    """Counts signs of life of every source, and compares a quiet stretch with the source's own hours and with others.

    A sign of life is a conversation, a ticket or a device that was not seen for two hours. Watched are channels, the
    customers of each line, its tickets and devices, and each kind of records altogether. Expected is what the source
    ordinarily gave in this hour of such days (working days apart from weekends and holidays), less where its fellows
    give less than they did in theirs: a night, a weekend or a holiday empties all and is no silence. A channel whose
    hour is not known yet is expected to have its share of all, and one whose hour is known of a single day no more than
    that: it may have been that of a flood. On the first weekend a silence opens only if it is one
    by the working days' hours too, and the channel was alive until then. What the budget allows opens: channels from
    ten minutes on, others from an hour on; an hour in which five were expected is watched. It ends when the source is
    back.

    When it fails: everything falls silent at once; a closing time at another hour on a day of the same kind, or on the
    first weekend; on the first day nothing opens. Cost: 2 µs an event, and some 30 µs a source and five-minute bin.
    """

    def __init__(self, zone: tzinfo, false_alarms_per_day: float) -> None:
        self._zone = zone
        self._budget = false_alarms_per_day
        self._lives: dict[Source, _Life] = {}
        self._seen: dict[int, int] = {}
        self._number: dict[Source, int] = {}
        self._silences: dict[Source, _Silence] = {}
        self._slots: dict[int, int] = {}
        self._usuals: dict[tuple[int, int, bool], float | None] = {}
        """What was found for the bin that closes; only speed depends on it."""
        self._fellows: dict[Source, list[_Life]] = {}
        """Source → those that say how busy it ordinarily is for it, until another source appears; only speed."""
        self._of_channel: dict[tuple[str, str], int] = {}
        """Measure and channel → signs: a kind that comes through one channel is watched as that channel."""

    # -- counting ----------------------------------------------------------------------------------------------------

    def see(self, observation: Observation, bin_: int) -> None:
        """Take one event of any kind and role, in order of time, into the bin of five minutes with this number."""
        measure = _KINDS[observation.kind]
        voice = measure in _VOICE
        who = observation.conversation if voice or measure == "ratings" else observation.ticket or observation.device
        who = who or observation.customer
        if not who:
            return
        line = observation.line
        self._sign(Source(measure, ()), who, observation, bin_)
        if voice and observation.channel:
            self._sign(Source("contacts", (("channel", observation.channel),)), who, observation, bin_)
        if line and measure != "ratings":
            self._sign(Source("contacts" if voice else measure, (("line", line),)), who, observation, bin_)

    def _sign(self, source: Source, who: int, observation: Observation, bin_: int) -> None:
        life = self._lives.get(source)
        if life is None:
            dimension = source.cell[0][0] if source.cell else ""
            alike = sum(each.cell[0][0] == dimension for each in self._lives if each.cell)
            if dimension and alike >= (MAX_CHANNELS if dimension == "channel" else 3 * MAX_LINES):
                return
            life = self._lives[source] = _Life(source)
            self._number[source] = len(self._number) + 1
            self._fellows.clear()
        key = (who ^ (self._number[source] * _MIX)) & _MASK
        before = self._seen.pop(key, None)
        self._seen[key] = observation.ts
        if before is not None and observation.ts - before < AGAIN_MS:
            return
        if len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        life.ring[bin_ % _RING] += 1
        life.hour += 1
        life.total += 1
        if not source.cell and observation.channel and len(self._of_channel) < 4 * MAX_CHANNELS:
            named = (source.measure, observation.channel)
            self._of_channel[named] = self._of_channel.get(named, 0) + 1

    # -- deciding ----------------------------------------------------------------------------------------------------

    def close_bin(self, bin_: int, *, speaks: bool) -> list[Finding]:
        """Ask of every source, as a bin closes, whether it has fallen silent or is back; learn the hour at its end."""
        end = (bin_ + 1) * FINE_MS
        self._usuals.clear()
        findings: list[Finding] = []
        if speaks:
            for source, life in self._lives.items():
                findings.extend(self._ask(source, life, bin_, end))
        if (bin_ + 1) % _BINS == 0:
            slot = self._slot(end - HOUR_MS)
            for source, life in self._lives.items():
                going_on = self._silences.get(source)
                if going_on is None or end - going_on.since > DAY_MS:  # a closed channel is ordinary after a day
                    life.hours.setdefault(slot, []).append(life.hour)
                    del life.hours[slot][:-DAYS]
                life.hour = 0
            for key in [key for key, ts in self._seen.items() if ts < end - AGAIN_MS]:
                del self._seen[key]
        for life in self._lives.values():
            life.ring[(bin_ + 1) % _RING] = 0
        return findings

    def _ask(self, source: Source, life: _Life, bin_: int, end: int) -> list[Finding]:
        going_on = self._silences.get(source)
        windows = _CHANNEL_WINDOWS if source.channel else _OTHER_WINDOWS
        if not self._worth_watching(source):
            return []
        if going_on is not None:
            half = self._expected(source, life, bin_, 6)
            if _last(life, bin_, 6) >= max(2.0, BACK * half):
                del self._silences[source]
                return [self._finding(source, end, 6, float(_last(life, bin_, 6)), half, 0.0, opens=False, over=True)]
        quiet = [window for window in windows if self._quiet(life, bin_, window)]
        if not quiet:
            return []
        means = np.array([self._expected(source, life, bin_, window) for window in quiet])
        seen = np.array([float(_last(life, bin_, window)) for window in quiet])
        scores = lower_score(seen, np.maximum(means, 1e-6), np.full(len(quiet), ALPHA))
        rest = np.array([REST if source.channel or window > _BINS else 0.0 for window in quiet])
        scores[seen > rest * means] = 0.0
        watched = np.array([WATCHED.get(window, WATCHED_ELSE) for window in quiet])
        best = int((scores - watched).argmax())
        opening = log10(max(len(self._lives), 10) * LOOKS / (BUDGET_SHARE * self._budget))
        if scores[best] < watched[best]:
            return []
        if self._usual(life, bin_, quiet[best]) is not None:
            opens = bool(scores[best] >= opening)
        else:
            opens = self._strange_day(source, life, bin_, quiet[best], float(means[best])) >= opening
        if going_on is not None and end - going_on.told < TOLD_AGAIN_MS and not (opens and not going_on.opens):
            return []
        opens = opens or (going_on is not None and going_on.opens)
        self._silences[source] = _Silence(end if going_on is None else going_on.since, end, opens)
        found = self._finding(source, end, quiet[best], seen[best], means[best], scores[best], opens=opens, over=False)
        return [found]

    def _strange_day(self, source: Source, life: _Life, bin_: int, window: int, mean: float) -> float:
        """Score a silence of an hour that is not known of such days, 0 where it may be shut on them.

        Not shut is what the other kind of day has open at this hour, and what has given its share today until just now.
        """
        usual = self._usual(life, bin_, window, other=True)
        if usual is None:
            return 0.0
        seen = _last(life, bin_, window)
        before = self._expected(source, life, bin_, _RING) - mean
        if before < ALIVE_LEAST or _last(life, bin_, _RING) - seen < ALIVE * before:
            return 0.0
        least = np.array([max(min(mean, usual), 1e-6)])
        return float(lower_score(np.array([float(seen)]), least, np.full(1, ALPHA))[0])

    def _quiet(self, life: _Life, bin_: int, window: int) -> bool:
        """Return whether a window could be a silence, by the source's own hours alone: others only lower them."""
        own = self._usual(life, bin_, window)
        return own is None or _last(life, bin_, window) <= REST * own

    def _worth_watching(self, source: Source) -> bool:
        """A kind that comes through one channel is that channel; a line's tickets or devices that are all, are all."""
        if source.measure in _VOICE:
            by_channel = [number for (measure, _), number in self._of_channel.items() if measure == source.measure]
            return not by_channel or max(by_channel) < 0.6 * sum(by_channel)
        if not source.cell:
            return True
        whole = self._lives.get(Source(source.measure, ()))
        return whole is None or self._lives[source].total < 0.8 * whole.total

    def _expected(self, source: Source, life: _Life, bin_: int, window: int) -> float:
        """Signs of life to be expected in the last bins, by the source's own hours and by what its fellows give."""
        fellows = self._fellows.get(source)
        if fellows is None:
            fellows = [other for each, other in self._lives.items() if self._fellow(source, each)]
            self._fellows[source] = fellows
        given = sum(_last(each, bin_, window) for each in fellows)
        usual = [self._usual(each, bin_, window) for each in fellows]
        own = self._usual(life, bin_, window)
        if own is None:
            return self._part(source, life, fellows, given)
        ordinary = sum(each for each in usual if each is not None)
        if ordinary >= ALL_LEAST and given <= REST * ordinary:
            return 0.0
        expected = own * min(1.0, (given + _STEADY) / (ordinary + _STEADY))
        return expected if self._sure(life, bin_, window) else min(expected, self._part(source, life, fellows, given))

    def _part(self, source: Source, life: _Life, fellows: Sequence[_Life], given: float) -> float:
        """Signs of life that are a channel's ordinary share of all, where its fellows gave so many; 0 = not known."""
        share = life.total / max(life.total + sum(each.total for each in fellows), 1.0)
        if not source.channel or life.total < KNOWN or share > SHARE_AT_MOST:
            return 0.0
        return given * share / (1.0 - share)

    def _sure(self, life: _Life, bin_: int, window: int) -> bool:
        """Return whether the hours of the last bins are known of several days: one may have been that of a flood."""
        hours = range((bin_ - window + 1) // _BINS, bin_ // _BINS + 1)
        return all(len(life.hours.get(self._slot(hour * HOUR_MS), ())) >= LEAST_DAYS for hour in hours)

    def _fellow(self, source: Source, other: Source) -> bool:
        """Return whether another source's signs say how busy it ordinarily is for this one."""
        if other == source:
            return False
        if source.cell:
            return other.measure == source.measure and bool(other.cell) and other.cell[0][0] == source.cell[0][0]
        return not other.cell and other.measure in _VOICE

    def _usual(self, life: _Life, bin_: int, window: int, *, other: bool = False) -> float | None:
        """Signs of life in the last bins on days of this kind, or the other; None = an hour is not known."""
        key = (id(life), window, other)
        if key in self._usuals:
            return self._usuals[key]
        self._usuals[key] = None
        first, signs = bin_ - window + 1, 0.0
        for hour in range(first // _BINS, bin_ // _BINS + 1):
            slot = self._slot(hour * HOUR_MS)
            known = life.hours.get((slot + 24) % 48 if other else slot)
            if known is None or len(known) < life.least_days:
                return None
            bins = min(bin_, hour * _BINS + _BINS - 1) - max(first, hour * _BINS) + 1
            signs += bins / _BINS * _typical(known)
        self._usuals[key] = signs
        return signs

    def _slot(self, hour: int) -> int:
        found = self._slots.get(hour)
        if found is None:
            at = datetime.fromtimestamp(hour / 1000, tz=self._zone)
            kind = day_kind(at.date())
            off = kind == "holiday" or (kind == "ordinary" and at.weekday() >= 5)
            if len(self._slots) >= _BINS:
                self._slots.clear()
            found = self._slots[hour] = at.hour + 24 * off
        return found

    def _finding(
        self,
        source: Source,
        end: int,
        window: int,
        seen: float,
        mean: float,
        score: float,
        *,
        opens: bool,
        over: bool,
    ) -> Finding:
        return Finding(
            series=Series(source.measure, "", source.cell),
            kind="silence" if seen == 0 else "drop",
            tick=end,
            window_start=end - window * FINE_MS,
            window_end=end,
            observed=float(seen),
            expected=round(float(mean), 3),
            score=round(float(score), 3),
            witness=_WITNESS.get(source.measure, "contacts"),
            evidence=(),
            dims=dict(source.cell),
            opens=opens,
            over=over,
        )

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "lives": [
                (source.measure, source.cell, life.ring, life.hour, life.total, list(life.hours.items()))
                for source, life in self._lives.items()
            ],
            "seen": list(self._seen.items()),
            "silences": [(source.measure, source.cell, *each) for source, each in self._silences.items()],
            "of_channel": [(*named, number) for named, number in self._of_channel.items()],
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._lives, self._number, self._fellows = {}, {}, {}
        for measure, cell, ring, hour, total, hours in state["lives"]:
            source = Source(measure, tuple((name, value) for name, value in cell))
            life = self._lives[source] = _Life(source)
            self._number[source] = len(self._number) + 1
            life.ring, life.hour, life.total = list(ring), hour, total
            life.hours = {slot: list(counts) for slot, counts in hours}
        self._seen = dict(state["seen"])
        self._silences = {
            Source(measure, tuple((name, value) for name, value in cell)): _Silence(since, told, opens)
            for measure, cell, since, told, opens in state["silences"]
        }
        self._of_channel = {(measure, channel): number for measure, channel, number in state["of_channel"]}


def _typical(counts: Sequence[int]) -> float:
    """What an hour ordinarily gives: the median of its days, of two the smaller, so that one incident raises nothing.

    >>> _typical([4, 40]), _typical([4, 40, 5])
    (4.0, 5.0)
    """
    return float(median(counts)) if len(counts) > 2 else float(min(counts))


def _last(life: _Life, bin_: int, window: int) -> int:
    """Signs of life in the last bins, this one included."""
    begin, end = (bin_ - window + 1) % _RING, bin_ % _RING + 1
    return sum(life.ring[begin:end]) if begin < end else sum(life.ring[begin:]) + sum(life.ring[:end])
