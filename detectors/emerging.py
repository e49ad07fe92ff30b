"""Emerging terms: what nobody said before and several customers say now, told while they are still few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from math import comb, log10, pi
from typing import Any, NamedTuple

import msgspec
import numpy as np

from detectors.keywords import MOST_WORDS, shown_quotes, telling_words
from detectors.localise import Shares, dimensions_of, localise
from detectors.measures import benign
from detectors.term_keys import (
    MAX_LABELS,
    Label,
    TermText,
    WordKeys,
)
from detectors.term_sketch import FORGET_DAYS, YOUNG_HOURS, Nursery, TermSketch
from detectors.trouble import calm
from detectors.voices import TROUBLED, in_trouble, longest_shared, somebody, statements_of, tell_of_failure, voices_of
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding
from qianshao.series import Series

OPENS = 7.0
"""Novelty from which a phrase may open alone, in −log10, at the budget below."""
CODE_OPENS = 4.0
"""The same of an error code: there are a thousand times fewer of them than of phrases."""
WEAK = 1.0
"""How much less novelty is a weak witness."""
USUAL_BUDGET = 0.2
"""False alarms a day for which the two are meant; another budget moves them as it moves every threshold."""
LEARNING_MS = DAY_MS
"""For so long nothing is new, because everything is."""
SHORTEST_MS = 10 * MINUTE_MS
"""The least time in which several customers can be taken to speak on their own."""
AGREE = 2.0
CODE_AGREE = 1.0
"""How much less likely than by chance they must agree on something, in −log10. An unseen code is half of an answer."""
RARE = 0.005
"""What was hardly ever stated is taken to be this frequent."""
GROWTH = 1.3
"""A term is told again when its customers have grown by this factor."""
SAME_PEOPLE = 0.5
"""A term of which this share of the customers was told under another term is another word for the same."""

MAX_CANDIDATES = 20_000
MAX_EVENTS = 200
"""Customers of one term whose events are kept."""
MAX_KEPT = 50_000
"""Events kept over all terms, about 1 KB each at most; beyond it the longest known terms are forgotten."""
MAX_HELD = 10_000
"""Events kept because they may turn out to be the first of a term."""
MAX_TOLD = 1_000
"""Findings of the last day whose customers are remembered."""
MAX_VALUES = 20_000


class _Read(msgspec.Struct, gc=False):
    """One event that says something, before it is judged."""

    event: Observation
    serial: int
    spoken: int
    """How many customers' messages there had been."""
    born: bool = False
    """It says a term that nobody had said before."""
    heard: list[_Heard] | None = None
    """Young terms that somebody else had said first."""


class _Heard(NamedTuple):
    """A young term, and who had said it first, in which event and when."""

    key: int
    text: TermText
    place: int
    """Where it stands in the text, to be looked up when its words are needed."""
    who: int
    serial: int
    ts: int


class _Term(msgspec.Struct, kw_only=True):
    """A young term that at least two have said."""

    words: str
    code: bool
    place: tuple[str, str] | None
    began: int
    silence: int
    """For how long nobody had said it, in milliseconds, as far as can be known."""
    began_spoken: int
    silence_spoken: int
    """The same two in customers' messages."""
    spoken: int = 0
    """How many there had been when it was said last."""
    events: dict[int, Observation]
    """The first event of each who said it."""
    judged: int = 0
    """How many had said it when it was judged last."""
    told: int = 0
    opens: bool = False
    shown: str = ""
    """As it is told, the longest piece of text that all share; '' before."""

    def haste(self, ts: int) -> float:
        """The time from its birth to `ts` as a share of the silence before.

        By the clock or in messages, whichever is more: a busy day brings every word more often.
        """
        within = max(ts - self.began, SHORTEST_MS) / max(self.silence, 1)
        return max(within, (self.spoken - self.began_spoken) / max(self.silence_spoken, 1))


class _Told(NamedTuple):
    """Which customers were told of, when and under which term, and whether it could open."""

    tick: int
    opens: bool
    words: str
    people: frozenset[int]


class _Judged(NamedTuple):
    term: _Term
    voices: list[Observation]
    score: float
    opens: bool


class Emerging:
    """Tells terms that are new: never heard before, or not for two weeks, and said by several customers at once.

    Terms are pairs and triples of neighbouring Chinese characters, Latin words and codes, pairs of neighbouring content
    words, and known faults at a dimension value at which they had not been; a device's error codes are heard, too. So a
    name that the tokeniser splits is still one term. Each is remembered by `TermSketch` in fixed memory.

    How new is it? Let a term be ordinary, said at any constant rate whatever. That it stays unheard for a time T and
    then is said by n customers within w is likeliest at a rate of n in T, where it has the probability (w/T)ⁿ ÷ √(2πn).
    −log10 of it is the score: no rate need be known, and where little has been heard yet more customers are asked for.
    Besides, without any list of words:

    - customers count, and of those who write around the term the same as another only one: copies of an advertisement
      and the messages of one customer are one voice;
    - they must agree on something, a dimension value, a topic or a fault, much more than everybody does: a joke of the
      day is told by anybody about anything;
    - most of them must have trouble: a new place, person or product is no incident;
    - only customers and devices are heard: what agents and bots say is their own habit.

    When it fails: a cause whose customers use only words that are used every day; one that becomes known so slowly that
    its words are a day old before several have said them; words that come back every other week. A term crosses lines,
    therefore the bank that sees everything has it. The first day is learning.
    Cost: about 20 µs a customer's message and 15 ms a finding.

    Source: first-story detection in constant time and space by hashed terms (Wurzer, Lavrenko and Osborne, EMNLP 2015);
    hashed significance of emerging topics (SigniTrend: Schubert, Weiler and Kriegel, KDD 2014); here the significance
    is that of the silence before.

    Parameters
    ----------
    settings
        The budget and the least number of customers.
    shares
        Who is ordinarily seen, for localisation.
    """

    def __init__(self, settings: Detection, shares: Shares) -> None:
        self._least = settings.minimum_customers
        self._stricter = log10(USUAL_BUDGET / settings.false_alarms_per_day)
        self._shares = shares
        self._sketch = TermSketch()
        self._nursery = Nursery()
        self._read: list[_Read] = []
        self._place = 0
        self._serial = 0
        self._spoken = 0
        self._days: list[tuple[int, int]] = []
        """How many customers' messages there had been when each of the last days began."""
        self._started = 0
        self._day = 0
        self._held: dict[int, tuple[Observation, int]] = {}
        """Events that said a term first, by serial number, oldest first; each with the messages there had been."""
        self._terms: dict[int, _Term] = {}
        """By key, the longest known first."""
        self._kept = 0
        """Events of all of them."""
        self._values: dict[tuple[str, str], list[int]] = {}
        """Of each dimension value, topic and fault: when it was stated first, and by how many messages lately."""
        self._counted: dict[tuple[object, ...], list[list[int]]] = {}
        """The counts of what an event states; only speed depends on it."""
        self._told: list[_Told] = []
        self._keys = WordKeys()

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, observations: Sequence[Observation]) -> None:
        """Hear a batch of ordered events; `decide` judges them tick by tick."""
        said: list[_Read] = []
        for event in observations:
            if event.kind == "device":
                if not event.code:
                    continue
            elif event.role not in (None, "customer") or not event.text or event.kind not in ("chat", "call"):
                continue
            else:
                self._spoken += 1
            said.append(_Read(event, self._serial, self._spoken))
            self._serial += 1
        if said and not self._started:
            self._started = said[0].event.ts
        for hour, group in groupby(said, key=lambda each: each.event.ts // HOUR_MS):
            self._hear(list(group), hour)
        self._read = said
        self._place = 0

    def _hear(self, said: list[_Read], hour: int) -> None:
        """Look up the terms of the events of one hour, and note who is not the first to say one that is young."""
        text = TermText([each.event for each in said], self._keys)
        if not len(text.keys):
            return
        # What was born on the first day has not been missed for a day, and never will be new.
        earliest = max(hour - YOUNG_HOURS, (self._started + LEARNING_MS) // HOUR_MS - 1)
        born = self._sketch.hear(text.keys, text.named, hour)
        young = np.flatnonzero(born > earliest)
        if not len(young):
            return
        young = young[np.argsort(text.owners[young], kind="stable")]
        keys, owners = text.keys[young], text.owners[young]
        who = np.array([somebody(each.event) for each in said], dtype=np.uint64)[owners]
        serials = np.array([each.serial for each in said], dtype=np.int64)[owners]
        times = np.array([each.event.ts for each in said], dtype=np.int64)[owners]
        first, said_by, said_in, said_at = self._nursery.admit(keys, who, serials, times)
        for owner in np.unique(owners[first]).tolist():
            said[owner].born = True
        others = np.flatnonzero(~first & (said_by != who))
        # Whoever is known to have said it first may have been forgotten before; the sketch knows the hour.
        said_at = np.minimum(said_at, (born[young] + 1) * HOUR_MS - 1)
        columns = (keys, young, said_by, said_in, said_at)
        for owner, key, *rest in zip(*(column[others].tolist() for column in (owners, *columns)), strict=True):
            each = said[owner]
            if each.heard is None:
                each.heard = []
            each.heard.append(_Heard(key, text, *rest))

    # -- deciding ----------------------------------------------------------------------------------------------------

    def decide(
        self, tick: int, vocabulary: Mapping[str, int], documents: int, planned: Collection[str] = ()
    ) -> list[Finding]:
        """Judge the terms that were heard before `tick`; `vocabulary` of so many documents is what is ordinarily said.

        Returns
        -------
        list of Finding
            Of kind `new`. Their measure is `code` for a code that devices logged, else `term`.
        """
        touched: dict[int, _Term] = {}
        while self._place < len(self._read) and self._read[self._place].event.ts < tick:
            self._take(self._read[self._place], touched)
            self._place += 1
        judged = [one for term in touched.values() if (one := self._judge(term)) is not None]
        if not judged:
            return []
        judged.sort(key=lambda each: (not each.opens, -each.score, each.term.place is not None, each.term.words))
        self._told = [told for told in self._told if tick - told.tick < DAY_MS][-MAX_TOLD:]
        findings: list[Finding] = []
        for found in judged:
            people = frozenset(somebody(event) for event in found.voices)
            if self._is_told(found, people):
                continue
            finding = self._finding(found, tick, vocabulary, documents, planned)
            if finding is None:
                continue
            self._told.append(_Told(tick, found.opens, found.term.words, people))
            found.term.told, found.term.opens = len(found.voices), found.term.opens or finding.opens
            findings.append(finding)
        return findings

    def _take(self, each: _Read, touched: dict[int, _Term]) -> None:
        """Count what an event states, and put it to the terms that somebody else had said before."""
        event = each.event
        if event.ts // DAY_MS > self._day:
            self._turn_day(event.ts, each.spoken)
        if event.kind != "device":
            self._count(event)
        if each.born:
            self._held[each.serial] = (event, each.spoken)
            if len(self._held) > MAX_HELD:
                del self._held[next(iter(self._held))]
        if each.heard is None:
            return
        who = somebody(event)
        for heard in each.heard:
            term = self._terms.get(heard.key)
            if term is None or event.ts - term.began >= DAY_MS:
                term = self._begin(heard, each.spoken)
            term.spoken = each.spoken
            if who not in term.events and len(term.events) < MAX_EVENTS:
                term.events[who] = event
                self._kept += 1
                while self._kept > MAX_KEPT:
                    self._forget(next(iter(self._terms)))
                if len(term.events) >= self._least and term.silence >= LEARNING_MS:
                    touched[heard.key] = term

    def _begin(self, heard: _Heard, spoken: int) -> _Term:
        """Know a term from now on by those who say it."""
        label = heard.text.label(heard.place)
        if heard.key in self._terms:
            self._forget(heard.key)
        if len(self._terms) >= MAX_CANDIDATES:
            self._forget(next(iter(self._terms)))
        first, began_spoken = self._held.get(heard.serial, (None, spoken))
        since = [before for day, before in self._days if day >= heard.ts // DAY_MS - FORGET_DAYS]
        term = self._terms[heard.key] = _Term(
            words=label.words,
            code=label.code,
            place=label.place,
            began=heard.ts,
            silence=self._silence(label, heard.ts),
            began_spoken=began_spoken,
            silence_spoken=began_spoken - since[0],
            events={},
        )
        if first is not None:
            term.events[heard.who] = first
            self._kept += 1
        return term

    def _forget(self, key: int) -> None:
        self._kept -= len(self._terms.pop(key).events)

    def _silence(self, label: Label, ts: int) -> int:
        """For how long a term could have been said before `ts`, and was not."""
        silence = min(ts - self._started, FORGET_DAYS * DAY_MS)
        if label.place is not None:
            known = self._values.get(label.place)
            silence = min(silence, ts - known[0]) if known else 0
        return silence

    def _turn_day(self, ts: int, spoken: int) -> None:
        """Let yesterday's terms go, and halve what is counted: it follows the season."""
        self._day = ts // DAY_MS
        self._days = [*self._days[-FORGET_DAYS:], (self._day, spoken)]
        for key in [key for key, term in self._terms.items() if ts - term.began >= DAY_MS]:
            self._forget(key)
        for serial in [serial for serial, (event, _) in self._held.items() if ts - event.ts >= DAY_MS]:
            del self._held[serial]
        for value in self._values.values():
            value[1] //= 2

    def _count(self, event: Observation) -> None:
        stated = (
            event.product,
            event.model,
            event.firmware,
            event.region,
            event.topic,
            event.terms,
            *event.dims.items(),
        )
        known = self._counted.get(stated)
        if known is None:
            if len(self._counted) >= MAX_LABELS:
                self._counted.clear()
            known = self._counted[stated] = []
            for pair in statements_of(event):
                value = self._values.get(pair)
                if value is None and len(self._values) < MAX_VALUES:
                    value = self._values[pair] = [event.ts, 0]
                if value is not None:
                    known.append(value)
        for value in known:
            value[1] += 1

    def _judge(self, term: _Term) -> _Judged | None:
        """Weigh a term that somebody more has said; None where it is not strange enough."""
        number = len(term.events)
        if number > 12 and number < GROWTH * term.judged:
            return None
        term.judged = number
        events = sorted(term.events.values(), key=lambda event: (event.ts, event.id))
        opening = (CODE_OPENS if term.code else OPENS) + self._stricter
        if _novelty(number, term.haste(events[-1].ts)) < opening - WEAK:
            return None
        if not any(event.kind != "device" for event in events):
            return None  # what devices alone log is counted, and told as it rises
        voices = voices_of(events, term.words, code=term.code)
        score = _novelty(len(voices), term.haste(voices[-1].ts))
        louder = score >= opening and not term.opens
        if score < opening - WEAK or len(voices) < max(self._least, 0 if louder else GROWTH * term.told):
            return None
        agree = CODE_AGREE if term.code else AGREE
        troubled = sum(in_trouble(event, term.words) for event in voices)
        if troubled < TROUBLED * len(voices) or benign(voices) or self._agreement(voices, term) < agree:
            return None
        return _Judged(term, voices, score, score >= opening)

    def _agreement(self, voices: Sequence[Observation], term: _Term) -> float:
        """How much more these agree on one thing than everybody does: −log10 of the chance, over all there is."""
        carried: dict[str, Counter[str]] = {}
        stated: Counter[str] = Counter()
        for event in voices:
            pairs = [pair for pair in statements_of(event) if pair[1] != term.words]
            stated.update({name for name, _ in pairs})
            for name, value in dict.fromkeys(pairs):
                carried.setdefault(name, Counter())[value] += 1
        everybody: dict[str, list[int]] = {}
        for (name, _), (_, number) in self._values.items():
            everybody.setdefault(name, []).append(number)
        best = 0.0
        for name, counted in carried.items():
            value, number = max(counted.items(), key=lambda item: (item[1], item[0]))
            known = self._values.get((name, value))
            share = known[1] / max(sum(everybody[name]), 1) if known else 1.0
            of = len(voices) if name == "fault" else stated[name]
            chance = _at_least(number, of, max(share, RARE)) * max(len(everybody.get(name, ())), 2)
            best = max(best, -log10(max(chance, 1e-300)))
        return best

    def _is_told(self, found: _Judged, people: frozenset[int]) -> bool:
        """Whether most of these customers were told of under another term that spoke as loudly."""
        return any(
            told.words != found.term.words
            and (told.opens or not found.opens)
            and len(people & told.people) >= SAME_PEOPLE * len(people)
            for told in self._told
        )

    def _finding(
        self, judged: _Judged, tick: int, vocabulary: Mapping[str, int], documents: int, planned: Collection[str]
    ) -> Finding | None:
        term, voices = judged.term, judged.voices
        evidence = sorted(term.events.values(), key=lambda event: (event.ts, event.id))
        logged = sum(event.kind == "device" for event in evidence)
        expected = len(voices) * (tick - term.began) / term.silence
        cause = localise(evidence, expected, dimensions_of(evidence), self._shares, by_device=False)
        carried = cause.carried
        if not carried:
            return None
        if not term.shown:
            term.shown = longest_shared(voices, term.words) if term.place is None else term.words
        words = telling_words(carried, vocabulary, documents)
        words = list(dict.fromkeys([term.shown, *words]))[:MOST_WORDS]
        return Finding(
            series=Series("code" if logged else "term", term.shown, (term.place,) if term.place else ()),
            kind="new",
            tick=tick,
            window_start=term.began,
            window_end=tick,
            observed=float(len(voices)),
            expected=round(expected, 3),
            score=round(judged.score, 3),
            witness="devices" if 2 * logged > len(evidence) else "contacts",
            evidence=carried,
            dims=cause.dims,
            keywords=tuple(words),
            quotes=shown_quotes(carried, words),
            opens=judged.opens
            and not benign(carried, planned)
            and (term.code or tell_of_failure(cause.dims, carried, planned))
            and not calm(carried),
        )

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and strings."""
        return {
            "sketch": self._sketch.snapshot(),
            "nursery": self._nursery.snapshot(),
            "serial": self._serial,
            "spoken": self._spoken,
            "days": self._days,
            "started": self._started,
            "day": self._day,
            "held": [(serial, msgspec.to_builtins(event), spoken) for serial, (event, spoken) in self._held.items()],
            "terms": [(key, msgspec.to_builtins(term, str_keys=False)) for key, term in self._terms.items()],
            "values": [(*pair, *value) for pair, value in self._values.items()],
            "told": [(told.tick, told.opens, told.words, sorted(told.people)) for told in self._told],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`."""
        self._sketch.restore(state["sketch"])
        self._nursery.restore(state["nursery"])
        self._serial = state["serial"]
        self._started = state["started"]
        self._day = state["day"]
        self._spoken = state["spoken"]
        self._days = [(day, spoken) for day, spoken in state["days"]]
        self._held = {serial: (msgspec.convert(event, Observation), spoken) for serial, event, spoken in state["held"]}
        self._terms = {key: msgspec.convert(term, _Term) for key, term in state["terms"]}
        self._kept = sum(len(term.events) for term in self._terms.values())
        self._counted.clear()
        self._values = {(name, value): [first, number] for name, value, first, number in state["values"]}
        self._told = [_Told(tick, opens, words, frozenset(people)) for tick, opens, words, people in state["told"]]
        self._read, self._place = [], 0


def _novelty(number: int, haste: float) -> float:
    """−log10 of the chance that an ordinary term is unheard, and then said by so many within such a share of that time.

    At the rate at which that is likeliest.

    >>> round(_novelty(4, 2 * HOUR_MS / (7 * DAY_MS)), 1)
    8.4
    """
    return -number * log10(haste) + 0.5 * log10(2 * pi * number)


def _at_least(number: int, of: int, share: float) -> float:
    """Chance that of `of` at least `number` carry what a share of everybody carries."""
    return sum(comb(of, k) * share**k * (1.0 - share) ** (of - k) for k in range(number, of + 1))
