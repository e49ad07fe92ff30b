"""Faults finer than topics: what agents' tickets say, grouped by what their customers had said before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.waiting import Waiting, WaitingState
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS
from qianshao.errors import ModelError
from qianshao.event import Observation, is_customer

NAME = "themes"
VERSION = 1

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
_LIKES_RANGE = (-3.0, 6.0)
_GROUPING_TICKETS = 5.0
_REGROUP_MS = 6 * HOUR_MS


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
    """How much a theme's own tickets' customers must speak for it on average, in natural logarithms."""
    enough_tickets: int = 4
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
    tick: int
    regrouped: int
    faded: int
    opened: int
    texts: float
    documents: float
    numbers: bytes
    places: bytes
    frequency: bytes
    background: bytes
    centroids: tuple[bytes, bytes]
    words: tuple[bytes, bytes]
    weights: tuple[bytes, bytes]
    unsaid: bytes
    known: bytes
    good: bytes
    served: bytes
    priors: bytes
    titles: list[tuple[int, str]]
    names: list[str]
    examples: list[str]
    pending: list[tuple[int, int, bytes]]
    waiting: WaitingState


class Themes:
    """Says of tickets, and of customers who have none yet, which fault they mean.

    Ticket texts are clustered as they come (leader clustering, cosine of character bigrams weighted by their rarity):
    a cluster is a *phrasing*. What a ticket's customer had said before teaches which words go with the phrasing (naive
    Bayes against everybody's words). Phrasings whose customers say the same are one *theme*: 开票失败 and 无法开具发票.
    A theme serves once its own customers' words speak for it, which those of 待回访 never do. A ticket then carries the
    theme of its text, or of its customer's words where the text says nothing; a customer's words carry the theme that
    they speak for.

    What is learnt from words takes effect at `advance` only. When it fails: faults that no agent has written down
    before, faults that all agents write down in the words of another, and the first day, when little is known.

    Memory: 37 MB with 256 phrasings, plus the remembered words. Cost: 20 µs a customer's message, 60 µs a ticket.

    >>> Themes().label([Observation(id="1", kind="ticket", ts=0, customer=7, text="退款未到账，已登记")])
    [Theme(name='', confidence=0.0)]
    """

    def __init__(self, limits: ThemeLimits | None = None) -> None:
        self.limits = limits or ThemeLimits()
        self._clear()

    def _clear(self) -> None:
        limits = self.limits
        count = limits.max_phrasings
        self._tick = self._regrouped = self._faded = 0
        self._opened = 0
        self._texts = 0.0
        self._frequency = np.zeros(GRAMS)
        self._background = np.zeros(WORDS)
        self._documents = 0.0
        self._centroids = np.zeros((GRAMS, count), np.float32)
        self._squares = np.zeros(count)
        self._tickets = np.zeros(count)
        self._taught = np.zeros(count)
        self._likes = np.zeros(count)
        self._judged = np.zeros(count)
        self._closeness = np.zeros(count)
        self._serials = np.zeros(count, np.int64)
        self._used = np.zeros(count, np.int64)
        self._leaders = np.arange(count)
        self._words = np.zeros((count, WORDS), np.float32)
        self._names: list[str] = []
        self._examples: list[str] = []
        self._pending: list[tuple[int, int, NDArray[np.int32]]] = []
        self._waiting = Waiting(limits.max_customers, limits.max_words, limits.max_age_minutes * MINUTE_MS)
        self._weights = np.zeros((WORDS, count), np.float32)
        self._serve(range(0))

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
        phrasing = self._phrasing(observation)
        if phrasing >= 0 and said is not None:
            self._judge(phrasing, said)
            self._pending.append((phrasing, int(self._serials[phrasing]), said))
        if phrasing >= 0 and self._good[self._leaders[phrasing]]:
            return Theme(self._titles[int(self._leaders[phrasing])], 1.0)
        return Theme() if said is None else self._guess(said)

    def _guess(self, said: NDArray[np.int32]) -> Theme:
        served = self._served
        if not len(served):
            return Theme()
        evidence = self._evidence(said)[served]
        scores = evidence + self._priors
        best = int(scores.argmax())
        slot = int(served[best])
        if not self._good[slot] or evidence[best] < _LIKELY:
            return Theme()
        top = max(float(scores[best]), _NO_THEME)
        share = np.exp(scores[best] - top) / (np.exp(scores - top).sum() + np.exp(_NO_THEME - top))
        if share < self.limits.confidence:
            return Theme()
        return Theme(self._titles[slot], round(float(share), 3))

    def _evidence(self, said: NDArray[np.int32]) -> NDArray[np.float64]:
        """How much words speak for each theme, by the slot of its leader."""
        known = said[self._known[said]]
        weights: NDArray[np.float64] = self._weights[known].sum(axis=0, dtype=np.float64) + len(known) * self._unsaid
        return _TEMPER * weights

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
        products = values @ rows[:, :count]
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
        else:
            age = (self._used.max() - self._used) / _UNUSED_MS
            slot = int((self._tickets * 0.5**age).argmin())
            self._close(slot)
        self._serials[slot] = self._opened
        return slot

    def _close(self, slot: int) -> None:
        orphans = np.flatnonzero(self._leaders == slot)
        self._leaders[orphans] = orphans
        self._leaders[slot] = slot
        self._good[slot] = False
        self._unsaid[slot] = 0.0
        self._weights[:, slot] = 0.0
        self._names[slot] = self._examples[slot] = ""
        for counts in (self._squares, self._tickets, self._taught, self._likes, self._judged, self._closeness):
            counts[slot] = 0.0
        self._centroids[:, slot] = 0.0
        self._words[slot] = 0.0

    def _judge(self, slot: int, said: NDArray[np.int32]) -> None:
        """Note how much a customer's words speak for the theme of the ticket, before they teach it."""
        evidence = float(np.clip(self._evidence(said)[self._leaders[slot]], *_LIKES_RANGE))
        self._judged[slot] += 1.0
        self._likes[slot] += max(0.05, 1.0 / (self._judged[slot] + 1.0)) * (evidence - self._likes[slot])

    # -- learning ----------------------------------------------------------------------------------------------------

    def advance(self, tick: int) -> None:
        """Learn what came since the last tick; every six hours also say anew which phrasings are one fault."""
        self._tick = tick
        self._waiting.advance(tick)
        touched: set[int] = set()
        for slot, serial, said in self._pending:
            if self._serials[slot] == serial:
                self._words[slot, said] += 1.0
                self._taught[slot] += 1.0
                touched.add(int(self._leaders[slot]))
        self._pending = []
        if tick - self._faded >= DAY_MS:
            self._faded = tick
            self._fade()
        if tick - self._regrouped >= _REGROUP_MS:
            self._regrouped = tick
            self._regroup()
            touched = set(range(len(self._names)))
        if touched:
            self._serve(sorted(touched))

    def _fade(self) -> None:
        for counts in (self._words, self._tickets, self._taught):
            counts *= _DAILY_FADING
        if self._documents >= _MEMORY_DOCUMENTS:
            self._documents, self._background = self._documents / 2, self._background / 2

    def _regroup(self) -> None:
        """Join phrasings whose customers say the same to the one of them with the most tickets."""
        count = len(self._names)
        self._leaders = np.arange(len(self._leaders))
        order = [slot for slot in range(count) if self._taught[slot] >= _GROUPING_TICKETS]
        order.sort(key=lambda slot: (-self._taught[slot], self._serials[slot]))
        if not order:
            return
        counts = sparse.csr_matrix(self._words[order])
        slots, words = np.repeat(np.arange(len(order)), np.diff(counts.indptr)), counts.indices
        taught = self._taught[order][slots]
        weight = self._weight(counts.data.astype(np.float64), taught, words)
        shares = counts.data / taught * np.maximum(weight, 0.0) * (self._background[words] >= _KNOWN_WORD)
        said = sparse.csr_matrix((shares, words, counts.indptr), shape=counts.shape)
        overlap = (said @ said.T).toarray()
        length = np.sqrt(np.maximum(overlap.diagonal(), 1e-12))
        overlap /= length[:, None] * length[None, :]
        free = np.ones(len(order), np.bool_)
        for place in range(len(order)):
            if not free[place]:
                continue
            members = np.flatnonzero(free & (overlap[place] >= self.limits.one_fault))
            free[members] = False
            free[place] = False
            self._leaders[np.array(order)[members]] = order[place]

    def _weight(self, counts: NDArray[np.float64], taught: NDArray[np.float64], words: NDArray[np.int32]) -> NDArray[np.float64]:
        """Log-odds of words among a theme's customers against everybody."""
        prior = _PRIOR_DOCUMENTS * self._share(words)
        return np.asarray(np.log((counts + prior) / (taught + _PRIOR_DOCUMENTS) / (prior / _PRIOR_DOCUMENTS)))

    def _share(self, words: NDArray[np.int32]) -> NDArray[np.float64]:
        share: NDArray[np.float64] = (self._background[words] + 0.5) / (self._documents + 20.0)
        return share

    def _serve(self, leaders: Sequence[int]) -> None:
        """Let what was learnt about some themes take effect, and say which ones are known well enough."""
        limits = self.limits
        count = len(self._names)
        for slot in range(count):
            if not self._names[slot] and self._tickets[slot] >= limits.enough_tickets:
                self._names[slot] = self._examples[slot]
        every = self._leaders[:count]
        size = len(self._tickets)

        def pooled(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(every, values[:count], size)

        taught, judged = pooled(self._taught), pooled(np.minimum(self._judged, 1.0 / 0.05))
        likes = pooled(self._likes * np.minimum(self._judged, 1.0 / 0.05)) / np.maximum(judged, 1.0)
        for slot in leaders:
            self._weights[:, slot] = 0.0
            members = np.flatnonzero(every == slot)
            if len(members):
                counts = self._words[members].sum(axis=0, dtype=np.float64) if len(members) > 1 else self._words[slot]
                words = np.flatnonzero(counts).astype(np.int32)
                weight = self._weight(counts[words].astype(np.float64), taught[slot], words)
                unsaid = np.log(_PRIOR_DOCUMENTS / (taught[slot] + _PRIOR_DOCUMENTS))
                self._weights[words, slot] = weight - unsaid
        self._unsaid = np.log(_PRIOR_DOCUMENTS / (taught + _PRIOR_DOCUMENTS))
        self._known: NDArray[np.bool_] = self._background >= _KNOWN_WORD
        self._good: NDArray[np.bool_] = (likes >= limits.telling) & (taught >= limits.enough_tickets)
        self._served: NDArray[np.intp] = np.unique(every)
        tickets = pooled(self._tickets)
        self._priors = np.log((tickets[self._served] + 0.5) / (tickets.sum() + 1.0))
        self._titles: dict[int, str] = {}
        for slot in np.flatnonzero(self._good[:count]).tolist():
            members = [each for each in np.flatnonzero(every == slot).tolist() if self._names[each]]
            if members:
                self._titles[slot] = self._names[min(members, key=lambda each: int(self._serials[each]))]
            else:
                self._good[slot] = False

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Write the whole state; what is zero in the large tables is left out."""
        state = _State(
            name=NAME,
            version=VERSION,
            phrasings=self.limits.max_phrasings,
            tick=self._tick,
            regrouped=self._regrouped,
            faded=self._faded,
            opened=self._opened,
            texts=self._texts,
            documents=self._documents,
            numbers=np.stack(self._numbers()).tobytes(),
            places=np.stack((self._serials, self._used, self._leaders)).tobytes(),
            frequency=self._frequency.tobytes(),
            background=self._background.tobytes(),
            centroids=_packed(self._centroids),
            words=_packed(self._words),
            weights=_packed(self._weights),
            unsaid=self._unsaid.tobytes(),
            known=self._known.tobytes(),
            good=self._good.tobytes(),
            served=self._served.tobytes(),
            priors=self._priors.tobytes(),
            titles=list(self._titles.items()),
            names=self._names,
            examples=self._examples,
            pending=[(slot, serial, said.tobytes()) for slot, serial, said in self._pending],
            waiting=self._waiting.snapshot(),
        )
        return msgspec.msgpack.encode(state)

    def _numbers(self) -> tuple[NDArray[np.float64], ...]:
        return (self._squares, self._tickets, self._taught, self._likes, self._judged, self._closeness)

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
        self._tick, self._regrouped, self._faded = state.tick, state.regrouped, state.faded
        self._opened, self._texts, self._documents = state.opened, state.texts, state.documents
        count = self.limits.max_phrasings
        for mine, theirs in zip(self._numbers(), np.frombuffer(state.numbers).reshape(-1, count), strict=True):
            mine[:] = theirs
        self._serials[:], self._used[:], self._leaders[:] = np.frombuffer(state.places, np.int64).reshape(3, count)
        self._frequency[:] = np.frombuffer(state.frequency)
        self._background[:] = np.frombuffer(state.background)
        for table, packed in (
            (self._centroids, state.centroids),
            (self._words, state.words),
            (self._weights, state.weights),
        ):
            table.reshape(-1)[np.frombuffer(packed[0], np.int32)] = np.frombuffer(packed[1], np.float32)
        self._unsaid = np.frombuffer(state.unsaid).copy()
        self._known = np.frombuffer(state.known, np.bool_).copy()
        self._good = np.frombuffer(state.good, np.bool_).copy()
        self._served = np.frombuffer(state.served, np.intp).copy()
        self._priors = np.frombuffer(state.priors).copy()
        self._titles = dict(state.titles)
        self._names, self._examples = list(state.names), list(state.examples)
        self._pending = [(slot, serial, np.frombuffer(said, np.int32)) for slot, serial, said in state.pending]
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
