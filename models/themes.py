"""Faults finer than topics: what agents' tickets say, grouped by what their customers had said before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.waiting import Waiting, WaitingState
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.errors import ModelError
from qianshao.event import CLEARLY_NEGATIVE, Observation, is_customer

NAME = "themes"
VERSION = 2

GRAMS = 1 << 12
WORDS = 1 << 14
MAX_NAME_CHARS = 24

_NOT_CONTENT = re.compile(r"〔[^〕]*〕|[\W\d_]+")
_FEWEST_GRAMS = 3
_MEMORY_DOCUMENTS = 50_000.0
"""When so many texts have been counted, counts are halved: the background follows the season."""
_DAILY_FADING = 0.977
"""A phrasing that is not used any more weighs half after a month."""
_UNUSED_MS = 2 * DAY_MS
"""When room is short, a phrasing that was not used for so long weighs half."""
_PRIOR_DOCUMENTS = 8.0
"""A phrasing's words are drawn to everybody's as by so many tickets."""
_KNOWN_WORD = 3
"""Tickets whose customers must have said a word before it says anything."""
_TEMPER = 0.8
"""Words of one customer are not independent: their evidence counts for less."""
_NO_THEME = float(np.log(0.3))
_LIKELY = 1.5
"""What a customer's words must say for a theme, in natural logarithms, however common the theme is."""
_ONE_TOPIC = 0.25
"""Share of a theme's customers who speak about one topic, more than everybody does: those of 客户要求回电 speak about
everything."""
_MORE_THAN_EVERYBODY = 2.0
_MOSTLY_ONE_TOPIC = 0.6
"""Enough, however common the topic is."""
_TOPICS = 64
"""Topics that are told apart; further ones count as none."""
_AS_UPSET = 0.85
"""A theme's customers are at least so much as often upset as everybody: else they ask for something, such as a new
date, and nothing failed."""
_ENOUGH_TOPICS = 8.0
"""Customers with a topic from which their topics say anything."""
_SAME_THEME = 1.0
"""A theme that takes in others with more than this share of its own tickets is another version of itself."""
_RELEASE_MS = 20 * HOUR_MS
"""When a day ends and what it taught takes effect, in UTC: at four in the morning in China, as the day's peaks do."""


class ThemeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be kept, and how careful the themes are."""

    max_phrasings: int = 256
    max_customers: int = 20_000
    max_words: int = 500_000
    """Of all remembered customers together, 8 bytes each."""
    max_age_minutes: int = 6 * 60
    """How long a customer's words wait for a ticket."""
    alike: float = 0.45
    """Cosine from which a ticket text is a phrasing already known."""
    one_fault: float = 0.5
    """Cosine of what their customers say, from which two phrasings are one fault."""
    telling: float = 0.7
    """How much the words of a theme's customers must speak for it on average, in natural logarithms."""
    enough_tickets: int = 5
    confidence: float = 0.6


class Theme(NamedTuple):
    """What an observation is counted under."""

    name: str = ""
    """Text of a typical ticket of the fault, '' where nothing is known well enough."""
    confidence: float = 0.0


class _State(msgspec.Struct, array_like=True):
    name: str
    version: int
    phrasings: int
    day: int
    opened: int
    texts: float
    documents: float
    upset: float
    numbers: bytes
    places: bytes
    frequency: bytes
    background: bytes
    centroids: tuple[bytes, bytes]
    words: tuple[bytes, bytes]
    about: tuple[bytes, bytes]
    topics: list[str]
    names: list[str]
    examples: list[str]
    written: list[str]
    leading: bytes
    titles: list[str]
    known: bytes
    weights: tuple[bytes, bytes]
    unsaid: bytes
    priors: bytes
    waiting: WaitingState


class Themes:
    """Says of tickets, and of customers who have none yet, which fault they mean.

    Ticket texts are clustered as they come (leader clustering, cosine of character bigrams weighted by their rarity):
    a cluster is a *phrasing*. What a ticket's customer had said before teaches which words go with the phrasing (naive
    Bayes against everybody's words). Phrasings whose customers say the same are one *theme*: 开票失败 and 无法开具发票.
    A theme serves once its own customers' words speak for it, which those of 待回访 never do. A ticket then carries the
    theme of its text, or of its customer's words where the text says nothing; a customer's words carry the theme that
    they speak for.

    What a day taught takes effect at its end, so that a theme means the same for a whole day and its counts can be
    compared. When it fails: faults that no agent has written down on an earlier day, faults that agents write down in
    the words of another, and the first two days, when little is known.

    Memory: 30 MB with 256 phrasings, plus the remembered words. Cost: 25 µs a customer's message, 60 µs a ticket,
    20 ms a day.

    >>> Themes().label([Observation(id="1", kind="ticket", ts=0, customer=7, text="退款未到账，已登记")])
    [Theme(name='', confidence=0.0)]
    """

    def __init__(self, limits: ThemeLimits | None = None) -> None:
        self.limits = limits or ThemeLimits()
        self._clear()

    def _clear(self) -> None:
        limits = self.limits
        count = limits.max_phrasings
        self._day = 0
        self._opened = 0
        self._texts = 0.0
        self._documents = 0.0
        self._frequency = np.zeros(GRAMS)
        self._background = np.zeros(WORDS)
        self._centroids = np.zeros((GRAMS, count), np.float32)
        self._squares = np.zeros(count)
        self._tickets = np.zeros(count)
        self._taught = np.zeros(count)
        self._upset = np.zeros(count)
        """Of those taught with: customers who had said something clearly negative."""
        self._upset_documents = 0.0
        self._closeness = np.zeros(count)
        self._serials = np.zeros(count, np.int64)
        self._used = np.zeros(count, np.int64)
        self._leaders = np.full(count, -1)
        self._versions = np.zeros(count, np.int64)
        self._words = np.zeros((count, WORDS), np.float32)
        self._about = np.zeros((count, _TOPICS), np.float32)
        """Of each phrasing: customers by topic."""
        self._topics: list[str] = []
        self._names: list[str] = []
        self._examples: list[str] = []
        self._waiting = Waiting(limits.max_customers, limits.max_words, limits.max_age_minutes * MINUTE_MS)
        self._written: list[str] = []
        self._leading: NDArray[np.intp] = np.zeros(0, np.intp)
        self._titles: list[str] = []
        self._known: NDArray[np.bool_] = np.zeros(WORDS, np.bool_)
        self._weights: NDArray[np.float32] = np.zeros((WORDS, 0), np.float32)
        self._unsaid: NDArray[np.float32] = np.zeros(0, np.float32)
        self._priors: NDArray[np.float64] = np.zeros(0)

    def __len__(self) -> int:
        return len(self._names)

    # -- labelling ---------------------------------------------------------------------------------------------------

    def label(self, observations: Sequence[Observation]) -> list[Theme]:
        """Return the theme of each observation, in order, and take in what they teach.

        Parameters
        ----------
        observations
            Any events in order of time; what is neither a ticket nor a customer's own words has no theme.
        """
        return [self._label(each) for each in observations]

    def _label(self, observation: Observation) -> Theme:
        customer = observation.customer
        if observation.kind == "ticket":
            return self._label_ticket(observation)
        if not customer or not observation.tokens or not is_customer(observation.role):
            return Theme()
        if observation.kind not in ("chat", "call"):
            return Theme()
        columns = _hashed_words(observation)
        spoken = self._waiting.remember(customer, observation.ts, columns, np.zeros(len(columns), np.float32))
        if spoken is not None and observation.topic:
            spoken.topic = observation.topic
        if spoken is not None:
            spoken.sentiment = min(spoken.sentiment, observation.sentiment)
        if spoken is not None and len(spoken.columns) > 1:
            columns = np.concatenate(spoken.columns)
        return self._guess(np.unique(columns))

    def _label_ticket(self, observation: Observation) -> Theme:
        spoken = self._waiting.get(observation.customer)
        said = None
        if spoken is not None and spoken.turns:
            said = np.unique(np.concatenate(spoken.columns))
            self._background[said] += 1.0
            self._documents += 1.0
            upset = spoken is not None and spoken.sentiment < CLEARLY_NEGATIVE
            self._upset_documents += upset
        phrasing = self._phrasing(observation)
        if phrasing >= 0:
            if said is not None:
                self._words[phrasing, said] += 1.0
                self._taught[phrasing] += 1.0
                self._upset[phrasing] += upset
                if spoken is not None and (topic := self._topic(spoken.topic)) >= 0:
                    self._about[phrasing, topic] += 1.0
            written = self._written[phrasing]
            if written:
                return Theme(written, 1.0)
        return Theme() if said is None else self._guess(said)

    def _guess(self, said: NDArray[np.int32]) -> Theme:
        if not len(self._leading):
            return Theme()
        known = said[self._known[said]]
        if not len(known):
            return Theme()
        evidence = _TEMPER * (self._weights[known].sum(axis=0) + len(known) * self._unsaid)
        scores = evidence + self._priors
        best = int(scores.argmax())
        name = self._titles[best]
        if not name or evidence[best] < _LIKELY:
            return Theme()
        top = max(float(scores[best]), _NO_THEME)
        share = np.exp(scores[best] - top) / (np.exp(scores - top).sum() + np.exp(_NO_THEME - top))
        return Theme(name, round(float(share), 3)) if share >= self.limits.confidence else Theme()

    def _topic(self, topic: str) -> int:
        """Return the column of a topic, giving the next one on first sight; −1 = none."""
        if topic and topic not in self._topics and len(self._topics) < _TOPICS:
            self._topics.append(topic)
        return self._topics.index(topic) if topic in self._topics else -1

    # -- phrasings ---------------------------------------------------------------------------------------------------

    def _phrasing(self, observation: Observation) -> int:
        """Return the slot of the phrasing that a ticket's text belongs to, opening one if need be; −1 = no content."""
        grams = _hashed_grams(observation)
        if len(grams) < _FEWEST_GRAMS:
            return -1
        self._texts += 1.0
        self._frequency[grams] += 1.0
        if self._texts >= _MEMORY_DOCUMENTS:
            self._texts, self._frequency = self._texts / 2, self._frequency / 2
        values = np.log((self._texts + 2.0) / (self._frequency[grams] + 1.0))
        values /= np.sqrt((values * values).sum())
        count = len(self._names)
        rows = self._centroids[grams]
        products = (values[:, None] * rows[:, :count]).sum(axis=0)  # not by BLAS: its sums depend on threads
        alike = products / np.sqrt(self._squares[:count] + 1e-9)
        slot = int(alike.argmax()) if count else -1
        closeness = float(alike[slot]) if count else 0.0
        if closeness < self.limits.alike:
            slot, closeness, product = self._open(), 0.0, 0.0
        else:
            product = float(products[slot])
        self._centroids[grams, slot] += values.astype(np.float32)
        self._squares[slot] += 2.0 * product + 1.0
        self._tickets[slot] += 1.0
        self._used[slot] = observation.ts
        if not self._names[slot] and closeness >= self._closeness[slot]:
            self._closeness[slot] = closeness
            self._examples[slot] = _title(observation.text)
        return slot

    def _open(self) -> int:
        """Return a slot for a new phrasing: a free one, or that of the least used."""
        self._opened += 1
        count = len(self._names)
        if count < self.limits.max_phrasings:
            slot = count
            self._names.append("")
            self._examples.append("")
            self._written.append("")
        else:
            age = (self._used.max() - self._used) / _UNUSED_MS
            slot = int((self._tickets * 0.5**age).argmin())
            self._close(slot)
        self._serials[slot] = self._opened
        return slot

    def _close(self, slot: int) -> None:
        self._leaders[slot] = -1
        heirs = np.flatnonzero(self._leaders == slot)
        if len(heirs):
            eldest = int(heirs[self._serials[heirs].argmin()])
            self._leaders[heirs] = eldest
            self._names[eldest] = self._names[slot]
            self._versions[eldest] = self._versions[slot]
        self._versions[slot] = 0
        self._names[slot] = self._examples[slot] = self._written[slot] = ""
        for counts in (self._squares, self._tickets, self._taught, self._upset, self._closeness):
            counts[slot] = 0.0
        self._centroids[:, slot] = 0.0
        self._words[slot] = 0.0
        self._about[slot] = 0.0

    # -- learning ----------------------------------------------------------------------------------------------------

    def advance(self, tick: int) -> None:
        """Forget what waited too long; at the end of a day let what it taught take effect."""
        self._waiting.advance(tick)
        day = (tick - _RELEASE_MS) // DAY_MS
        if day > self._day:
            if self._day:
                self._release()
            self._day = day

    def _release(self) -> None:
        for counts in (self._words, self._tickets, self._taught, self._upset, self._about):
            counts *= _DAILY_FADING
        if self._documents >= _MEMORY_DOCUMENTS:
            self._documents, self._background = self._documents / 2, self._background / 2
            self._upset_documents /= 2
        self._group()
        self._serve()

    def _group(self) -> None:
        """Join themes, and phrasings of which enough is known, whose customers say the same; nothing is ever parted.

        A theme that grew a lot by it goes on under another version of its name: it would rise by itself.
        """
        count = len(self._names)
        alone = (self._taught[:count] >= self.limits.enough_tickets) & (self._leaders[:count] < 0)
        self._leaders[:count][alone] = np.flatnonzero(alone)
        leaders = [leader for leader in set(self._leaders[:count].tolist()) if leader >= 0]
        taught = {leader: float(self._taught[:count][self._leaders[:count] == leader].sum()) for leader in leaders}
        leaders.sort(key=lambda leader: (-taught[leader], int(self._serials[leader])))
        self._known = self._background >= _KNOWN_WORD
        profiles: list[NDArray[np.float64]] = []
        kept: list[int] = []
        grown = dict.fromkeys(leaders, 0.0)
        for leader in leaders:
            counts = self._words[:count][self._leaders[:count] == leader].sum(axis=0, dtype=np.float64)
            if not self._tells(counts, taught[leader], np.flatnonzero(self._leaders[:count] == leader)):
                continue
            profile = self._profile(counts, taught[leader])
            alike = [float((profile * other).sum()) for other in profiles]
            best = int(np.argmax(alike)) if alike else -1
            if best >= 0 and alike[best] >= self.limits.one_fault:
                self._leaders[:count][self._leaders[:count] == leader] = kept[best]
                grown[kept[best]] += taught[leader]
            else:
                kept.append(leader)
                profiles.append(profile)
        for leader in kept:
            if grown[leader] > _SAME_THEME * taught[leader]:
                self._versions[leader] += 1

    def _profile(self, counts: NDArray[np.float64], taught: float) -> NDArray[np.float64]:
        """How often a theme's customers say each word, weighted by how telling it is; of length one."""
        profile = counts * np.maximum(self._weight(counts, taught), 0.0) * self._known
        return np.asarray(profile / max(float(np.sqrt((profile * profile).sum())), 1e-9))

    def _weight(self, counts: NDArray[np.float64], taught: float) -> NDArray[np.float64]:
        """Log-odds of every word among a theme's customers against everybody."""
        share = (self._background + 0.5) / (self._documents + 20.0)
        weight: NDArray[np.float64] = np.log((counts / share + _PRIOR_DOCUMENTS) / (taught + _PRIOR_DOCUMENTS))
        return weight

    def _serve(self) -> None:
        """Let all that was learnt take effect, and name the themes that are known well enough."""
        count = len(self._names)
        every = self._leaders[:count]
        self._known = self._background >= _KNOWN_WORD
        leading = np.unique(every[every >= 0])
        self._leading = leading[self._serials[leading].argsort()]
        self._weights = np.zeros((WORDS, len(leading)), np.float32)
        self._unsaid = np.zeros(len(leading), np.float32)
        tickets = np.zeros(len(leading))
        self._titles = [""] * len(leading)
        self._written = [""] * count
        for column, leader in enumerate(self._leading.tolist()):
            members = np.flatnonzero(every == leader)
            counts = self._words[members].sum(axis=0, dtype=np.float64)
            taught = float(self._taught[members].sum())
            tickets[column] = self._tickets[members].sum()
            said = np.flatnonzero(counts)
            unsaid = np.log(_PRIOR_DOCUMENTS / (taught + _PRIOR_DOCUMENTS))
            self._unsaid[column] = unsaid
            self._weights[said, column] = self._weight(counts, taught)[said] - unsaid
            if not self._names[leader]:
                self._names[leader] = self._examples[leader]
            if self._tells(counts, taught, members):
                version = int(self._versions[leader])
                name = f"{self._names[leader]}·{version}" if version else self._names[leader]
                self._titles[column] = name
                for member in members.tolist():
                    self._written[member] = name
        self._priors = np.log((tickets + 0.5) / (self._tickets.sum() + 1.0))

    def _tells(self, counts: NDArray[np.float64], taught: float, members: NDArray[np.intp]) -> bool:
        """Whether what a theme's customers say speaks for it, each judged by the others, and is about one failure."""
        usual_upset = self._upset_documents / max(self._documents, 1.0)
        if float(self._upset[members].sum()) < _AS_UPSET * usual_upset * float(self._taught[members].sum()):
            return False
        topics = self._about[members].sum(axis=0, dtype=np.float64)
        everybody = self._about.sum(axis=0, dtype=np.float64)
        if topics.sum() >= _ENOUGH_TOPICS:
            share, usual = topics / topics.sum(), everybody / everybody.sum()
            common = (share >= _ONE_TOPIC) & (share >= _MORE_THAN_EVERYBODY * usual)
            if not (common | (share >= _MOSTLY_ONE_TOPIC)).any():
                return False
        others = self._weight(np.maximum(counts - 1.0, 0.0), max(taught - 1.0, 0.0))
        evidence = _TEMPER * float((counts * others)[self._known].sum()) / max(taught, 1.0)
        return taught >= self.limits.enough_tickets and evidence >= self.limits.telling

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Write the whole state; what is zero in the large tables is left out."""
        state = _State(
            name=NAME,
            version=VERSION,
            phrasings=self.limits.max_phrasings,
            day=self._day,
            opened=self._opened,
            texts=self._texts,
            documents=self._documents,
            upset=self._upset_documents,
            numbers=np.stack(self._numbers()).tobytes(),
            places=np.stack(self._places()).tobytes(),
            frequency=self._frequency.tobytes(),
            background=self._background.tobytes(),
            centroids=_packed(self._centroids),
            words=_packed(self._words),
            about=_packed(self._about),
            topics=self._topics,
            names=self._names,
            examples=self._examples,
            written=self._written,
            leading=self._leading.tobytes(),
            titles=self._titles,
            known=self._known.tobytes(),
            weights=_packed(self._weights),
            unsaid=self._unsaid.tobytes(),
            priors=self._priors.tobytes(),
            waiting=self._waiting.snapshot(),
        )
        return msgspec.msgpack.encode(state)

    def _numbers(self) -> tuple[NDArray[np.float64], ...]:
        return (self._squares, self._tickets, self._taught, self._upset, self._closeness)

    def _places(self) -> tuple[NDArray[np.int64], ...]:
        return (self._serials, self._used, self._leaders, self._versions)

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot.

        Raises
        ------
        ModelError
            If the bytes are not a snapshot of themes of this version and size.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            if (state.name, state.version, state.phrasings) != (NAME, VERSION, self.limits.max_phrasings):
                raise ValueError(f"it is {state.name} {state.version} with {state.phrasings} phrasings")
            self._clear()
            self._take_over(state)
        except (msgspec.DecodeError, ValueError, IndexError) as error:
            raise ModelError(
                f"snapshot of themes: cannot be read as {NAME} {VERSION} with {self.limits.max_phrasings} phrasings "
                f"({error}); resume with the program that wrote it, or start from an empty state"
            ) from None

    def _take_over(self, state: _State) -> None:
        count = self.limits.max_phrasings
        self._day, self._opened = state.day, state.opened
        self._texts, self._documents, self._upset_documents = state.texts, state.documents, state.upset
        for mine, theirs in zip(self._numbers(), np.frombuffer(state.numbers).reshape(-1, count), strict=True):
            mine[:] = theirs
        for at, place in zip(self._places(), np.frombuffer(state.places, np.int64).reshape(-1, count), strict=True):
            at[:] = place
        self._frequency[:] = np.frombuffer(state.frequency)
        self._background[:] = np.frombuffer(state.background)
        self._topics = list(state.topics)
        self._names, self._examples = list(state.names), list(state.examples)
        self._written, self._titles = list(state.written), list(state.titles)
        self._leading = np.frombuffer(state.leading, np.intp).copy()
        self._known[:] = np.frombuffer(state.known, np.bool_)
        self._weights = np.zeros((WORDS, len(self._leading)), np.float32)
        self._unsaid = np.frombuffer(state.unsaid, np.float32).copy()
        self._priors = np.frombuffer(state.priors).copy()
        for table, (places, values) in (
            (self._centroids, state.centroids),
            (self._words, state.words),
            (self._about, state.about),
            (self._weights, state.weights),
        ):
            table.reshape(-1)[np.frombuffer(places, np.int32)] = np.frombuffer(values, np.float32)
        self._waiting.restore(state.waiting)


def _packed(table: NDArray[np.float32]) -> tuple[bytes, bytes]:
    flat = table.reshape(-1)
    places = np.flatnonzero(flat)
    return places.astype(np.int32).tobytes(), flat[places].tobytes()


class _Hashes(dict[str, int]):
    """The column of each word, kept as long as there is room: most words come again."""

    def __missing__(self, word: str) -> int:
        value = zlib.crc32(word.encode("utf-8", "replace")) % WORDS
        if len(self) < _MOST_HASHES and len(word) <= _LONGEST_HASHED:
            self[word] = value
        return value


_MOST_HASHES = 100_000
_LONGEST_HASHED = 40
_hashes = _Hashes()


def _hashed_words(observation: Observation) -> NDArray[np.int32]:
    words = [_hashes[word] for word in observation.tokens]
    words += [_hashes[f"term:{term}"] for term in observation.terms]
    return np.array(words, np.int32)


def _hashed_grams(observation: Observation) -> NDArray[np.int32]:
    """Columns of the character pairs of a ticket's text, without identifiers, numbers and the product's name."""
    text = observation.text
    if observation.product:
        text = text.replace(observation.product, " ")
    pairs = {part[at : at + 2] for part in _NOT_CONTENT.split(text) for at in range(len(part) - 1)}
    return np.array(sorted({zlib.crc32(pair.encode("utf-8", "replace")) % GRAMS for pair in pairs}), np.int32)


def _title(text: str) -> str:
    """Return what an agent wrote before quoting the customer, short enough for a name."""
    written = re.split(r"[：:]", text.strip(), maxsplit=1)[0].strip() or text.strip()
    return re.sub(r"\s+", " ", written)[:MAX_NAME_CHARS]
