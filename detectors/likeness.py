"""Likeness: several customers say the same thing in words of their own, which hardly anybody said before."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import log10
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.emerging import USUAL_BUDGET
from detectors.keywords import shown_quotes, telling_words
from detectors.localise import Shares, dimensions_of, localise
from detectors.measures import benign, promoted
from detectors.tail import upper_score
from detectors.trouble import trouble_of
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.config import Detection
from qianshao.event import WIDE_DIMENSIONS, Observation
from qianshao.finding import Finding
from qianshao.meaning import UNIT, WIDTH
from qianshao.series import Series

OPENS = 5.3
"""Score from which those who are alike may open alone, at the usual budget."""
WEAK = 1.0
"""How much less is a weak witness."""
WINDOWS_MS = (3 * HOUR_MS, 12 * HOUR_MS, DAY_MS)
NEAR = (0.4, 0.5, 0.6)
"""Cosines from which two texts are alike: of the three the most telling counts, for some things are told in one way and
others in ten."""
LEAST = 4
"""Customers who must be alike."""
TROUBLE = 0.5
"""What they say must tell of trouble with so much probability, in the mean, and the newest of them by itself;"""
TROUBLED = 0.75
"""and with so much for them to open alone: what customers ask and joke about on one day comes in handfuls, too."""
VARIES = 0.2
"""Relative variance of what is said of a thing from day to day, beyond chance."""
LIFT = 2.0
LEARNING_MS = DAY_MS
"""For so long nothing is known of what is said ordinarily."""
PAST_MS = 14 * DAY_MS
MAX_RECENT = 2_000
MAX_PAST = 4_000
"""Texts that are remembered of a line, of the last day and before: 500 bytes each, and 2 KB more of the last day."""
MAX_LINES = 100
"""Lines that are heard; further ones are not."""
GROWTH = 1.3
"""They are told again when they have grown by this factor."""
SAME_PEOPLE = 0.5
"""A group that shares this part of the smaller one's customers with one that was told is the same."""
MAX_EVIDENCE = 500
MAX_TOLD = 200
_LABEL_CHARS = 12
_NEAREST = np.array(NEAR)[:, None] * UNIT**2
_NEVER = 0.5
"""As many are taken to have said before what nobody did."""


class _Told(msgspec.Struct, kw_only=True):
    """A group that was told."""

    label: str
    tick: int
    number: int
    loud: bool
    """Whether its score was one that opens."""
    people: list[int]


class _Group(NamedTuple):
    """Customers who are alike, by the row of the first text of each."""

    score: float
    expected: float
    start: int
    """Beginning of the window."""
    rows: NDArray[np.int64]


class _Line:
    """What the customers of one line said: vectors of a fortnight, and events of the last day."""

    def __init__(self) -> None:
        self.events: deque[Observation] = deque()
        self.vectors: NDArray[np.float32] = np.zeros((64, WIDTH), np.float32)
        """In the first rows of this and the next three: of `events`."""
        self.trouble: NDArray[np.float64] = np.zeros(64)
        self.who: NDArray[np.uint64] = np.zeros(64, np.uint64)
        self.when: NDArray[np.int64] = np.zeros(64, np.int64)
        self.past: NDArray[np.int8] = np.zeros((0, WIDTH), np.int8)
        self.times: list[int] = []
        """When each row of `past` was said, oldest first."""
        self.told: list[_Told] = []
        self._floats: NDArray[np.float32] | None = None

    def add(self, event: Observation, meaning: bytes) -> None:
        """Take a text with its vector."""
        number = len(self.events)
        if number == len(self.when):
            for name in ("vectors", "trouble", "who", "when"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        self.vectors[number] = np.frombuffer(meaning, np.int8)
        self.trouble[number] = trouble_of(event)
        self.who[number], self.when[number] = event.customer, event.ts
        self.events.append(event)

    def forget(self, tick: int) -> None:
        """Move what is a day old to the past, an hour's texts at once, and let go what is older than all of that."""
        number = len(self.events)
        if not number or (self.when[0] >= tick - DAY_MS - HOUR_MS and number <= MAX_RECENT):
            return
        gone = max(int(np.searchsorted(self.when[:number], tick - DAY_MS)), number - MAX_RECENT + MAX_RECENT // 10)
        self.times += [self.events.popleft().ts for _ in range(gone)]
        drop = max(0, len(self.times) - MAX_PAST)
        while drop < len(self.times) and self.times[drop] < tick - PAST_MS:
            drop += 1
        self.past = np.concatenate([self.past, self.vectors[:gone].astype(np.int8)])[drop:]
        del self.times[:drop]
        for column in (self.vectors, self.trouble, self.who, self.when):
            column[: number - gone] = column[gone:number].copy()
        self._floats = None

    def before(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the products of vectors with each of the past, shape (vectors, texts)."""
        if self._floats is None:
            self._floats = self.past.astype(np.float32)
        products: NDArray[np.float32] = vectors @ self._floats.T
        return products


class Likeness:
    """Tells groups of customers who say the same in other words, where hardly anybody said it in the last fortnight.

    Every text is a vector of meaning. Of each new one that tells of trouble the customers near it are counted, in three
    windows and at three distances, and compared with how many of the texts of the last fortnight were as near to it, as
    a share of what else was said. So no list of topics or words need know the fault. Besides:

    - who says it in the same long words as others is no voice of his own (`Echoes`, and equal texts);
    - what the group says must tell of trouble, by its meaning and not in good humour, and must not be what people ask
      anyway;
    - a group opens where it has a thing in common: a joke of the day is told of everything.

    When it fails: what is told in words whose meaning is not near, or in so few that anything is; a fault that has
    been there for the last fortnight; the first day. Cost: 0.2 ms a text that tells of trouble, and a finding's
    localisation.
    Source: scan statistics (Kulldorff 1997) over text (semantic scan: Maurya et al. 2016), with balls around each text
    in the place of topics.

    Parameters
    ----------
    settings
        The budget.
    shares
        Who is ordinarily seen, for localisation.
    """

    def __init__(self, settings: Detection, shares: Shares) -> None:
        self._opens = OPENS + log10(USUAL_BUDGET / settings.false_alarms_per_day)
        self._shares = shares
        self._lines: dict[str, _Line] = {}
        self._heard: list[tuple[Observation, bytes]] = []
        self._started = 0

    def hear(self, event: Observation) -> None:
        """Hear an event, in order of time; only what may tell of trouble has a meaning and is compared."""
        if event.customer and event.meaning:
            self._started = self._started or event.ts
            self._heard.append((event, event.meaning))

    def decide(
        self, tick: int, vocabulary: Mapping[str, int], documents: int, planned: Collection[str] = ()
    ) -> list[Finding]:
        """Judge what was heard before `tick`; `vocabulary` of so many documents is what is ordinarily said."""
        heard, self._heard = self._heard, []
        fresh: dict[str, int] = {}
        for event, meaning in heard:
            name = event.line or event.product or ""
            if name not in self._lines and len(self._lines) >= MAX_LINES:
                continue
            self._lines.setdefault(name, _Line()).add(event, meaning)
            fresh[name] = fresh.get(name, 0) + 1
        findings: list[Finding] = []
        for name in sorted(fresh):
            line = self._lines[name]
            line.forget(tick)
            if tick - self._started < LEARNING_MS:
                continue
            line.told = [told for told in line.told if tick - told.tick < DAY_MS][-MAX_TOLD:]
            for group in self._groups(line, min(fresh[name], len(line.events)), tick):
                finding = self._finding(line, group, tick, vocabulary, documents, planned)
                if finding is not None:
                    findings.append(finding)
        return findings

    def _groups(self, line: _Line, fresh: int, tick: int) -> Iterable[_Group]:
        """Yield the strangest group around each of the newest texts that tells of trouble, if it is strange enough."""
        number = len(line.events)
        asked = number - fresh + np.flatnonzero(line.trouble[number - fresh : number] >= TROUBLE)
        if not len(asked):
            return
        every = line.vectors[:number]
        close = (every[asked] @ every.T)[:, None, :] >= _NEAREST  # whole numbers below 2**24: exact
        since = [tick - window for window in WINDOWS_MS]
        starts = np.searchsorted(line.when[:number], since)
        texts = np.stack([close[:, :, start:].sum(axis=2) for start in starts.tolist()], axis=2)
        others = number - starts - texts + 1.0
        rest = 1.0 / (len(line.times) + 1.0)
        # More that were alike before, and customers who said it twice, only lower the score: most texts stop here.
        least = self._opens - WEAK
        never = np.full(texts.shape, _NEVER)
        hopeful = np.flatnonzero((_scores(texts, never, never * rest * others) >= least).any(axis=(1, 2)))
        if not len(hopeful):
            return
        close, texts, others = close[hopeful], texts[hopeful], others[hopeful]
        before = line.before(every[asked[hopeful]])[:, None, :] >= _NEAREST
        ordinarily = np.broadcast_to(before.sum(axis=2)[:, :, None] + _NEVER, texts.shape)
        expected = ordinarily * rest * others
        bound = _scores(texts, ordinarily, expected) >= least
        for row in range(len(hopeful)):
            best: _Group | None = None
            for at in map(tuple, np.argwhere(bound[row])):
                start = int(starts[at[1]])
                alike = start + np.flatnonzero(close[row, at[0], start:])
                rows = alike[np.unique(line.who[alike], return_index=True)[1]]
                if len(rows) < LEAST or line.trouble[rows].mean() < TROUBLE:
                    continue
                one = (row, *at)
                score = float(_scores(np.array([len(rows)]), ordinarily[one][None], expected[one][None])[0])
                if best is None or score > best.score:
                    best = _Group(score, float(expected[one]), since[at[1]], rows)
            if best is not None and best.score >= least:
                yield best

    def _finding(
        self,
        line: _Line,
        group: _Group,
        tick: int,
        vocabulary: Mapping[str, int],
        documents: int,
        planned: Collection[str],
    ) -> Finding | None:
        evidence = sorted((line.events[row] for row in group.rows.tolist()), key=lambda event: (event.ts, event.id))
        evidence = evidence[_beginning([event.ts for event in evidence], group, tick) :]
        voices = _voices(evidence)
        if len(voices) < LEAST:
            return None
        people = [event.customer for event in evidence]
        loud = group.score >= self._opens
        known = _known(line.told, people)
        if known is not None and len(people) < GROWTH * known.number and (known.loud or not loud):
            known.people = sorted({*known.people, *people})  # whoever comes later is known by those who came now
            return None
        cause = localise(evidence, group.expected, dimensions_of(evidence), self._shares, by_device=False)
        carried = cause.carried[-MAX_EVIDENCE:]
        words = telling_words(carried, vocabulary, documents)
        label = known.label if known is not None else (words or [evidence[0].text])[0][:_LABEL_CHARS]
        line.told.append(_Told(label=label, tick=tick, number=len(people), loud=loud, people=people))
        if not carried or benign(carried, planned):
            return None
        joined = bool(set(cause.dims) - WIDE_DIMENSIONS)
        troubled = line.trouble[group.rows].mean() >= TROUBLED
        return Finding(
            series=Series("likeness", label, ()),
            kind="rise",
            tick=tick,
            window_start=max(group.start, evidence[0].ts),
            window_end=tick,
            observed=float(len(group.rows)),
            expected=round(group.expected, 3),
            score=round(group.score, 3),
            witness="contacts",
            evidence=carried,
            dims=cause.dims,
            keywords=tuple(words),
            quotes=shown_quotes(carried, words),
            opens=bool(loud and troubled and joined and not promoted(carried, planned)),
        )

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Return the state as arrays of bytes, numbers and strings."""
        return {
            "started": self._started,
            "lines": [
                {
                    "line": name,
                    "events": msgspec.to_builtins(list(line.events)),
                    "vectors": line.vectors[: len(line.events)].astype(np.int8).tobytes(),
                    "past": line.past.tobytes(),
                    "times": line.times,
                    "told": msgspec.to_builtins(line.told),
                }
                for name, line in self._lines.items()
            ],
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._started = state["started"]
        self._heard = []
        self._lines = {}
        for each in state["lines"]:
            line = self._lines[each["line"]] = _Line()
            events = msgspec.convert(each["events"], list[Observation])
            for place, event in enumerate(events):
                line.add(event, each["vectors"][place * WIDTH : (place + 1) * WIDTH])
            line.past = np.frombuffer(each["past"], np.int8).reshape(-1, WIDTH)
            line.times = list(each["times"])
            line.told = msgspec.convert(each["told"], list[_Told])


def _scores(
    customers: NDArray[np.int64], ordinarily: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how strange so many customers are, −inf where they are too few, for arrays of one shape."""
    score = upper_score(customers.astype(np.float64), expected, VARIES + 1.0 / ordinarily)
    return np.where((customers >= LEAST) & (customers >= LIFT * expected), score, -np.inf)


def _beginning(times: Sequence[int], group: _Group, tick: int) -> int:
    """Return the place of the first who belongs to what began: those before said it as it is said any day.

    Of all beginnings the one from which on the log likelihood ratio against the ordinary rate is the highest.
    """
    number = np.arange(len(times), 0, -1, dtype=np.float64)
    elapsed = (tick - np.array(times, dtype=np.float64)) / (tick - group.start)
    ordinary = group.expected * np.maximum(elapsed, 1e-3)
    worth = number * np.log(number / ordinary) - number + ordinary
    return int(worth[number >= LEAST].argmax())


def _known(told: Sequence[_Told], people: Sequence[int]) -> _Told | None:
    """Return the newest group told that is mostly of the same people."""
    these = frozenset(people)
    for each in reversed(told):
        if len(these.intersection(each.people)) >= SAME_PEOPLE * min(len(these), len(each.people)):
            return each
    return None


def _voices(events: Sequence[Observation]) -> list[Observation]:
    """Those who speak on their own: of equal texts of some length only the first counts."""
    said: set[str] = set()
    voices = []
    for event in events:
        plain = "".join(filter(str.isalnum, event.text))
        if len(plain) <= _LABEL_CHARS or plain not in said:
            voices.append(event)
        said.add(plain)
    return voices
