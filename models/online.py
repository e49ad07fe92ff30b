"""What agents and customers say about conversations afterwards, learnt while it comes in.

Where it stands. One `Learner` on the core worker, behind the intake and before the bank: there observations come once,
in (`ts`, `id`) order, whatever the number of reading workers and however they cut the stream. What it learns takes
effect at ticks of event time only, so that batching cannot change a guess.

What it serves. Three label spaces, each with its own layer over the same rows: the agents' ticket types (open: a type
is known from its first label on), the customers' ratings (negative, neutral, positive), and the topics that people put
in the place of wrong ones. One row stands for all that the customer has said in a conversation. The shipped models stay
as they are: they are the *seed*, and the learner only learns what their opinion is worth here, as a table of counts
(`Bridge`).

How the two are combined. Each carries the odds of its own recent precision for the class that it guesses, measured on
labels it had not learnt yet. So a layer that knows nothing yet has no say, and one that is good at five types of ten
is heard on these five.

When somebody corrects. A person who names the type, topic or feeling of a conversation goes before every other label of
it: what it was taught with is forgotten and not taught again, and a correction is not doubted as labels of a mature
class are. Only what is wrong gets corrected, so corrections alone would teach that everything is wrong: beside each
corrected topic stand conversations that nobody corrected, with the topic that they were given.

When it gets worse. Layer, seed and last good weights are judged on the same labels (`models.drift`). A layer that is
beyond doubt worse than its last good weights goes back to them and rests for a while, with a named reason in
`health()`. One that is worse than the seed, while going back would not help, goes on learning, unheard until it is not:
so it is with a young one, and when the world changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.drift import Comparison
from models.layer import LayerState, OnlineLayer
from models.sentiment import NEUTRAL_MARGIN
from models.topic import is_small_talk
from models.waiting import Spoken, Waiting, WaitingState
from qianshao.errors import ModelError
from qianshao.event import Observation, is_customer

NAME = "online"
VERSION = 1

NEGATIVE, NEUTRAL, POSITIVE = "negative", "neutral", "positive"
_FEELING_OF_SCORE = {1: NEGATIVE, 2: NEGATIVE, 3: NEUTRAL, 4: POSITIVE, 5: POSITIVE}
_BATCH = 32
_MAX_LABEL_CHARS = 64
_MAX_CONTEXTS = 64
_MEMORY_LABELS = 2_000.0
"""Precision and the seed's table are counted over so many labels of the recent past."""
_PRIOR_LABELS = 2.0
_SURE_ENOUGH = 0.995
_AT_LEAST = 1e-3
_CONTRASTS = 1
"""Conversations that nobody corrected, learnt beside each one whose topic somebody did. With more of them, the wrong
ones that nobody saw would outvote those that somebody corrected."""
_KEEP_MARGIN = 0.01

LEARNING = "learning"
BEHIND_SEED = "behind_seed"
WORSE_THAN_SEED = "worse_than_seed"
WORSE_THAN_LAST_GOOD = "worse_than_last_good"


class LearnerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the learner may keep, and how careful it is."""

    bits: int = 16
    """Rows have 2**bits columns."""
    max_types: int = 32
    max_conversations: int = 20_000
    max_features: int = 3_000_000
    """Of all waiting conversations together, 8 bytes each."""
    max_age_minutes: int = 6 * 60
    """How long a conversation waits for its label."""
    max_pending_features: int = 1_000_000
    """Of labels between two ticks, in each space; more are not learnt, and counted."""
    max_rehearsed: int = 4_096
    """Recent labels that are learnt again beside the new ones."""
    max_rehearsed_features: int = 1_000_000
    enough_labels: int = 20
    """A class is not guessed before it has so many labels."""
    least_confidence: float = 0.5
    checkpoint_labels: int = 1_000
    rest_minutes: int = 120
    """How long a layer that got worse does not learn."""


class Guess(NamedTuple):
    """What the learner makes of one observation."""

    type: str = ""
    """The ticket type that this conversation would get; '' where it abstains."""
    type_confidence: float = 0.0
    sentiment: float = 0.0
    """−1 … 1: the seed's, corrected by what ratings taught."""
    topic: str = ""
    """The seed's, unless people's corrections taught another one."""
    topic_confidence: float = 0.0


class SpaceHealth(NamedTuple):
    """How one label space is doing, for `health` and metrics."""

    state: str
    """`learning`; `behind_seed`: learns, but is not heard yet; or why it rests: `worse_than_seed`,
    `worse_than_last_good`."""
    until: int
    """Event time at which it learns again, epoch milliseconds; 0 while it learns."""
    labels: int
    classes: int
    closed: int
    """Classes closed for want of room."""
    accuracy: float
    """Of the layer on labels that it had not learnt, over the recent past."""
    seed_accuracy: float
    rollbacks: int
    last_reason: str
    """Why it last went back, '' if never."""
    lost: int
    """Labels not learnt because too many came between two ticks."""


class Health(NamedTuple):
    """How the learner is doing."""

    types: SpaceHealth
    ratings: SpaceHealth
    topics: SpaceHealth
    waiting: int
    """Conversations that may still get a label."""
    displaced: int
    unmatched: int
    """Labels of conversations that were not remembered."""
    memory_bytes: int


class _Pending(msgspec.Struct, array_like=True):
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    label: str
    context: str
    conversation: int = 0
    certain: bool = False
    """Whether a person corrected it."""


class _PendingState(msgspec.Struct, array_like=True):
    columns: bytes
    values: bytes
    label: str
    context: str
    conversation: int = 0
    certain: bool = False

    @classmethod
    def of(cls, each: _Pending) -> _PendingState:
        columns, values = each.columns.tobytes(), each.values.tobytes()
        return cls(columns, values, each.label, each.context, each.conversation, each.certain)

    def pending(self) -> _Pending:
        columns, values = np.frombuffer(self.columns, np.int32), np.frombuffer(self.values, np.float32)
        if len(columns) != len(values):
            raise ValueError("a labelled row has not as many values as features")
        return _Pending(columns, values, self.label, self.context, self.conversation, self.certain)


class _SpaceState(msgspec.Struct, array_like=True):
    layer: LayerState
    contexts: list[str]
    table: bytes
    right: bytes
    guessed: bytes
    seed_right: bytes
    seed_guessed: bytes
    against_seed: bytes
    against_good: bytes
    pending: list[_PendingState]
    recent: list[_PendingState]
    accuracy: tuple[float, float, float]
    labels: int
    since_kept: int
    until: int
    reason: str
    rollbacks: int
    last_reason: str
    closed: int
    lost: int


class _Head(msgspec.Struct, array_like=True):
    name: str
    version: int
    bits: int


class _State(_Head, array_like=True):
    tick: int
    unmatched: int
    waiting: WaitingState
    types: _SpaceState
    ratings: _SpaceState
    topics: _SpaceState | None = None


class Bridge:
    """What the seed's opinion is worth in a label space: labels counted by opinion, the old ones fading.

    Parameters
    ----------
    classes
        Slots of the space; a slot belongs to whatever label the layer has there.
    """

    def __init__(self, classes: int) -> None:
        self.contexts: list[str] = [""]
        self.table = np.zeros((_MAX_CONTEXTS, classes))

    def shares(self, contexts: Sequence[str], classes: int) -> NDArray[np.float64]:
        """Return the shares of the labels given the seed's opinion, drawn towards the shares of all labels."""
        places = {context: place for place, context in enumerate(self.contexts)}
        counts = self.table[[places.get(context, 0) for context in contexts], :classes]
        prior = (self.table[:, :classes].sum(axis=0) + 1.0 / classes) / (self.table[:, :classes].sum() + 1.0)
        shares: NDArray[np.float64] = (counts + _PRIOR_LABELS * prior) / (
            counts.sum(axis=1, keepdims=True) + _PRIOR_LABELS
        )
        return shares

    def learn(self, context: str, slot: int) -> None:
        """Count one label."""
        if context not in self.contexts and len(self.contexts) < _MAX_CONTEXTS:
            self.contexts.append(context)
        place = self.contexts.index(context) if context in self.contexts else 0
        self.table[place] *= 1.0 - 1.0 / _MEMORY_LABELS
        self.table[place, slot] += 1.0

    def clear(self, slot: int) -> None:
        """Forget a class whose slot another one takes."""
        self.table[:, slot] = 0.0


class Space:
    """One label space: a layer that learns, the seed's table beside it, and the judge of both.

    Parameters
    ----------
    limits
        See `LearnerLimits`.
    max_classes
        Of this space.
    """

    def __init__(self, limits: LearnerLimits, max_classes: int) -> None:
        self._limits = limits
        self._max_classes = max_classes
        self._layer = OnlineLayer(limits.bits, max_classes)
        self._bridge = Bridge(max_classes)
        self._right, self._guessed = np.zeros(max_classes), np.zeros(max_classes)
        self._seed_right, self._seed_guessed = np.zeros(max_classes), np.zeros(max_classes)
        self._against_seed = Comparison()
        self._against_good = Comparison()
        self._pending: list[_Pending] = []
        self._pending_features = 0
        self._recent: deque[_Pending] = deque()
        self._recent_features = 0
        self._accuracy = [0.0, 0.0, 0.0]  # labels, the layer's hits, the seed's hits; fading
        self._labels = 0
        self._since_kept = 0
        self._until = 0
        self._reason = LEARNING
        self._rollbacks = 0
        self._last_reason = ""
        self._closed = 0
        self._lost = 0

    @property
    def labels(self) -> list[str]:
        """The classes, by slot."""
        return self._layer.labels

    @property
    def state(self) -> str:
        """Whether it learns and is heard, see `SpaceHealth.state`."""
        return BEHIND_SEED if self._reason == LEARNING and self._against_seed.worse else self._reason

    @property
    def leads(self) -> bool:
        """Whether the layer errs less than the seed beyond doubt, and learns."""
        return self._reason == LEARNING and self._against_seed.better

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights and of labelled rows."""
        return self._layer.memory_bytes + 8 * (self._pending_features + self._recent_features)

    def teach(
        self,
        columns: NDArray[np.int32],
        values: NDArray[np.float32],
        label: str,
        context: str,
        conversation: int = 0,
        certain: bool = False,
    ) -> None:
        """Take a labelled row; it is learnt at the next tick. A certain label is not doubted."""
        if self._pending_features + len(columns) > self._limits.max_pending_features:
            self._lost += 1
            return
        self._pending_features += len(columns)
        self._pending.append(_Pending(columns, values, label, context, conversation, certain))

    def unteach(self, conversation: int) -> None:
        """Drop what waits to be learnt or rehearsed of a conversation: its label was wrong."""
        self._pending = [each for each in self._pending if each.conversation != conversation]
        self._pending_features = sum(len(each.columns) for each in self._pending)
        self._recent = deque(each for each in self._recent if each.conversation != conversation)
        self._recent_features = sum(len(each.columns) for each in self._recent)

    def advance(self, tick: int) -> None:
        """Learn what came since the last tick."""
        if self._reason != LEARNING and tick >= self._until:
            self._reason, self._until = LEARNING, 0
            self._against_seed, self._against_good = Comparison(), Comparison()
        pending, self._pending, self._pending_features = self._pending, [], 0
        for start in range(0, len(pending), _BATCH):
            self._learn(pending[start : start + _BATCH], tick)

    def _learn(self, lessons: Sequence[_Pending], tick: int) -> None:
        # A class that closes for another of the same mini-batch would leave labels without a class: these wait.
        slots: list[int] = []
        for place, lesson in enumerate(lessons):
            known = lesson.label in self._layer.labels
            if not known and len(self._layer.labels) >= self._max_classes and place:
                self._learn(lessons[:place], tick)
                self._learn(lessons[place:], tick)
                return
            slot, opened = self._layer.slot(lesson.label)
            if opened:
                self._open(slot)
            slots.append(slot)
        truth = np.array(slots, np.intp)
        seed = self._bridge.shares([lesson.context for lesson in lessons], len(self._layer.labels)).argmax(axis=1)
        lesson_rows = _stack([(lesson.columns, lesson.values) for lesson in lessons], 1 << self._limits.bits)
        certain = np.array([lesson.certain for lesson in lessons], np.bool_)
        result = self._layer.learn(lesson_rows, truth, self._reason != LEARNING, certain)
        good = result.good_guesses
        fading = 1.0 - 1.0 / _MEMORY_LABELS
        for row, slot in enumerate(slots):
            guess, seed_guess = int(result.guesses[row]), int(seed[row])
            for right, guessed, said in (
                (self._right, self._guessed, guess),
                (self._seed_right, self._seed_guessed, seed_guess),
            ):
                right[said] = right[said] * fading + (said == slot)
                guessed[said] = guessed[said] * fading + 1.0
            self._accuracy = [
                self._accuracy[0] * fading + 1.0,
                self._accuracy[1] * fading + (guess == slot),
                self._accuracy[2] * fading + (seed_guess == slot),
            ]
            self._bridge.learn(lessons[row].context, slot)
            if self._reason == LEARNING:
                self._against_seed.update(guess != slot, seed_guess != slot)
                if good is not None:
                    self._against_good.update(guess != slot, int(good[row]) != slot)
        self._labels += len(slots)
        if self._reason == LEARNING:
            self._rehearse(lessons)
            self._since_kept += len(slots)
            self._judge(tick)

    def _rehearse(self, lessons: Sequence[_Pending]) -> None:
        """Learn as many of the recent labels again; twice as many while a class is new, or others pay for it."""
        self._recent.extend(lessons)
        self._recent_features += sum(len(lesson.columns) for lesson in lessons)
        while (
            len(self._recent) > self._limits.max_rehearsed
            or self._recent_features > self._limits.max_rehearsed_features
        ):
            self._recent_features -= len(self._recent.popleft().columns)
        if len(self._recent) < _BATCH:
            return
        # The draw depends on the number of labels alone: no state besides.
        size = (2 if self._layer.has_new else 1) * len(lessons)
        drawn = np.random.default_rng(self._labels).integers(len(self._recent), size=size)
        places = {label: slot for slot, label in enumerate(self._layer.labels)}
        again = [lesson for lesson in map(self._recent.__getitem__, drawn.tolist()) if lesson.label in places]
        if again:
            self._layer.rehearse(
                _stack([(lesson.columns, lesson.values) for lesson in again], 1 << self._limits.bits),
                np.array([places[lesson.label] for lesson in again], np.intp),
                np.array([lesson.certain for lesson in again], np.bool_),
            )

    def _open(self, slot: int) -> None:
        """Begin anew what is counted by slot."""
        self._bridge.clear(slot)
        for counts in (self._right, self._guessed, self._seed_right, self._seed_guessed):
            self._closed += int(counts is self._guessed and counts[slot] > 0)
            counts[slot] = 0.0

    def _judge(self, tick: int) -> None:
        """Keep the weights while they are good, go back when they are worse than what is at hand."""
        if self._against_good.worse:
            self._rest(tick, WORSE_THAN_LAST_GOOD)
        elif self._against_seed.worse:
            # Where going back would not help, only learning does: the world changed, or the layer is young.
            if self._layer.has_good and self._against_good.mean > _KEEP_MARGIN:
                self._rest(tick, WORSE_THAN_SEED)
        elif (
            self._since_kept >= self._limits.checkpoint_labels
            and self._against_seed.mean <= 0.0
            and self._against_good.mean <= _KEEP_MARGIN
        ):
            self._layer.keep()
            self._against_good = Comparison()
            self._since_kept = 0

    def _rest(self, tick: int, reason: str) -> None:
        self._layer.go_back()
        self._reason = self._last_reason = reason
        self._until = tick + self._limits.rest_minutes * 60_000
        self._rollbacks += 1
        self._since_kept = 0
        self._recent.clear()
        self._recent_features = 0

    def shares(self, matrix: sparse.csr_matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the layer's probabilities and, for each row, the odds that its guess is right."""
        shares = self._layer.probabilities(matrix).astype(np.float64)
        if not self._layer.labels or self.state in (BEHIND_SEED, WORSE_THAN_SEED):
            return shares, np.zeros(len(shares))
        return shares, _odds(self._right, self._guessed)[shares.argmax(axis=1)]

    def seed_shares(self, contexts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the same for the seed's opinion."""
        shares = self._bridge.shares(contexts, len(self._layer.labels))
        return shares, _odds(self._seed_right, self._seed_guessed)[shares.argmax(axis=1)]

    def prior(self) -> NDArray[np.float64]:
        """Return the shares of the classes among recent labels."""
        counts = self._bridge.table[:, : len(self._layer.labels)].sum(axis=0) + 1.0
        shares: NDArray[np.float64] = counts / counts.sum()
        return shares

    def enough(self) -> NDArray[np.bool_]:
        """Return which classes have labels enough to be guessed."""
        enough: NDArray[np.bool_] = self._layer.taught[: len(self._layer.labels)] >= self._limits.enough_labels
        return enough

    def health(self) -> SpaceHealth:
        """Say how it is doing."""
        labels, hits, seed_hits = self._accuracy
        return SpaceHealth(
            state=self.state,
            until=self._until,
            labels=self._labels,
            classes=len(self._layer.labels),
            closed=self._closed,
            accuracy=round(hits / labels, 4) if labels else 0.0,
            seed_accuracy=round(seed_hits / labels, 4) if labels else 0.0,
            rollbacks=self._rollbacks,
            last_reason=self._last_reason,
            lost=self._lost,
        )

    def snapshot(self) -> _SpaceState:
        """Return the state."""
        return _SpaceState(
            layer=self._layer.snapshot(),
            contexts=list(self._bridge.contexts),
            table=self._bridge.table.tobytes(),
            right=self._right.tobytes(),
            guessed=self._guessed.tobytes(),
            seed_right=self._seed_right.tobytes(),
            seed_guessed=self._seed_guessed.tobytes(),
            against_seed=self._against_seed.snapshot(),
            against_good=self._against_good.snapshot(),
            pending=[_PendingState.of(each) for each in self._pending],
            recent=[_PendingState.of(each) for each in self._recent],
            accuracy=(self._accuracy[0], self._accuracy[1], self._accuracy[2]),
            labels=self._labels,
            since_kept=self._since_kept,
            until=self._until,
            reason=self._reason,
            rollbacks=self._rollbacks,
            last_reason=self._last_reason,
            closed=self._closed,
            lost=self._lost,
        )

    def restore(self, state: _SpaceState) -> None:
        """Go on from a snapshot.

        Raises
        ------
        ValueError
            If its arrays do not fit.
        """
        self._layer.restore(state.layer)
        self._bridge.contexts = list(state.contexts)
        self._bridge.table = np.frombuffer(state.table).reshape(_MAX_CONTEXTS, self._max_classes).copy()
        self._right, self._guessed, self._seed_right, self._seed_guessed = (
            np.frombuffer(data).reshape(self._max_classes).copy()
            for data in (state.right, state.guessed, state.seed_right, state.seed_guessed)
        )
        self._against_seed.restore(state.against_seed)
        self._against_good.restore(state.against_good)
        self._pending = [each.pending() for each in state.pending]
        self._pending_features = sum(len(each.columns) for each in self._pending)
        self._recent = deque(each.pending() for each in state.recent)
        self._recent_features = sum(len(each.columns) for each in self._recent)
        self._accuracy = list(state.accuracy)
        self._labels = state.labels
        self._since_kept = state.since_kept
        self._until = state.until
        self._reason = state.reason
        self._rollbacks = state.rollbacks
        self._last_reason = state.last_reason
        self._closed = state.closed
        self._lost = state.lost


class Learner:
    """Learns ticket types and ratings of conversations, and guesses them for customers' words.

    Parameters
    ----------
    limits
        Memory and caution.

    Notes
    -----
    Call, for observations in (`ts`, `id`) order: `label` for what it makes of them, then `learn` with the same
    observations and rows, and `advance` at every decision tick. Cut batches at ticks: within one, `label` gives the
    same guesses for any cut.

    Cost on one core: a guess 5 µs a message, a label 100–150 µs with its rehearsal, besides the rows. Memory at the
    defaults stays below 100 MB, a snapshot below 60 MB. It fails while labels are fewer than `enough_labels` a class:
    it abstains; where agents name types by habit rather than by what the customer said, and where a systematic fault of
    the labels lasts: that is what the labels then mean.
    """

    def __init__(self, limits: LearnerLimits | None = None) -> None:
        self._limits = LearnerLimits() if limits is None else limits
        self._reset()

    def _reset(self) -> None:
        limits = self._limits
        self._waiting = Waiting(limits.max_conversations, limits.max_features, limits.max_age_minutes * 60_000)
        self.types = Space(limits, limits.max_types)
        """The agents' ticket types."""
        self.ratings = Space(limits, len(set(_FEELING_OF_SCORE.values())))
        """The customers' ratings."""
        self.topics = Space(limits, limits.max_types)
        """Topics that people corrected, and beside them some that they did not."""
        self._unmatched = 0
        self._tick = 0

    @property
    def bits(self) -> int:
        """Rows must have 2**bits columns."""
        return self._limits.bits

    def label(self, observations: Sequence[Observation], matrix: sparse.csr_matrix) -> list[Guess]:
        """Guess type and sentiment of each observation, with the weights of the last tick.

        Parameters
        ----------
        observations
            Any kinds; only customers' own words are guessed.
        matrix
            One row per observation, of its text and tokens, by `feature_matrix`; empty where there is no text.

        Returns
        -------
        list of Guess
            One per observation. Without an opinion of its own a guess repeats the observation's sentiment.
        """
        guesses = [
            Guess(sentiment=each.sentiment, topic=each.topic, topic_confidence=each.topic_confidence)
            for each in observations
        ]
        voices = [place for place, observation in enumerate(observations) if speaks(observation)]
        if not voices:
            return guesses
        rows = self._checked(matrix, len(observations))[voices]
        spoken = [observations[place] for place in voices]
        types = self._guess_types(spoken, rows)
        sentiments = self._guess_sentiments(spoken, rows)
        topics = self._guess_topics(spoken, rows)
        for place, kind, sentiment, topic in zip(voices, types, sentiments, topics, strict=True):
            # What everybody says is no evidence, however often it stood beside one.
            if is_small_talk(observations[place].text):
                continue
            corrected = self._corrected(observations[place].conversation)
            if "type" in corrected:
                kind = (corrected["type"], 1.0)
            if "topic" in corrected:
                topic = (corrected["topic"], 1.0)
            guesses[place] = Guess(*kind, sentiment, *topic)
        return guesses

    def _corrected(self, conversation: int) -> Mapping[str, str]:
        spoken = self._waiting.get(conversation) if conversation else None
        return {} if spoken is None else spoken.corrected

    def _guess_types(self, spoken: Sequence[Observation], rows: sparse.csr_matrix) -> list[tuple[str, float]]:
        if not self.types.labels:
            return [("", 0.0)] * len(spoken)
        return self._mixed(self.types, [each.topic for each in spoken], rows)

    def _guess_topics(self, spoken: Sequence[Observation], rows: sparse.csr_matrix) -> list[tuple[str, float]]:
        seed = [(each.topic, each.topic_confidence) for each in spoken]
        # Counts of topics follow from it, so it is heard only where it is known to be right where the seed is wrong.
        if not self.topics.leads:
            return seed
        learnt = self._mixed(self.topics, [topic for topic, _ in seed], rows)
        return [new if new[0] and new[0] != old[0] else old for new, old in zip(learnt, seed, strict=True)]

    def _mixed(self, space: Space, contexts: Sequence[str], rows: sparse.csr_matrix) -> list[tuple[str, float]]:
        """Return the class that layer and seed agree on most, weighted by their odds; '' where that is not enough."""
        shares, odds = space.shares(rows)
        seed_shares, seed_odds = space.seed_shares(contexts)
        total = odds + seed_odds
        weight = np.divide(odds, total, out=np.zeros_like(odds), where=total > 0)[:, None]
        mixed = weight * shares + (1.0 - weight) * seed_shares
        best = mixed.argmax(axis=1)
        confidence = mixed[np.arange(len(best)), best]
        heard = space.enough()[best] & (confidence >= self._limits.least_confidence)
        return [
            (space.labels[slot], round(share, 4)) if sure else ("", 0.0)
            for slot, share, sure in zip(best.tolist(), confidence.tolist(), heard.tolist(), strict=True)
        ]

    def _guess_sentiments(self, spoken: Sequence[Observation], rows: sparse.csr_matrix) -> list[float]:
        """Lean the seed's sentiment towards what conversations in these words were rated."""
        space = self.ratings
        seed = [observation.sentiment for observation in spoken]
        # Ratings are about more than the words; they are heard once they are known to say more than the seed.
        if not space.leads or NEGATIVE not in space.labels or POSITIVE not in space.labels:
            return seed
        bad, good = space.labels.index(NEGATIVE), space.labels.index(POSITIVE)
        if not space.enough()[[bad, good]].all():
            return seed
        shares, odds = space.shares(rows)
        _, seed_odds = space.seed_shares([feeling(value) for value in seed])
        # Most ratings are good: without this, a greeting would be a praise.
        even = shares / space.prior()
        even /= even.sum(axis=1, keepdims=True)
        learnt = even[:, good] - even[:, bad]
        total = odds + seed_odds
        weight = np.divide(odds, total, out=np.zeros_like(odds), where=total > 0)
        value = weight * learnt + (1.0 - weight) * np.array(seed)
        value[np.abs(value) < NEUTRAL_MARGIN] = 0.0
        return [round(each, 4) for each in value.tolist()]

    def learn(self, observations: Sequence[Observation], matrix: sparse.csr_matrix) -> None:
        """Remember customers' words and take labels, in order; nothing is learnt before `advance`."""
        rows = self._checked(matrix, len(observations))
        for place, observation in enumerate(observations):
            if not observation.conversation:
                continue
            if observation.kind == "ticket":
                self._waiting.name_ticket(observation.conversation, observation.ticket)
                self.teach(observation.conversation, "type", observation.type.strip()[:_MAX_LABEL_CHARS])
            elif observation.kind == "rating":
                self.teach(observation.conversation, "rating", _FEELING_OF_SCORE.get(observation.score, ""))
            elif speaks(observation):
                begin, end = int(rows.indptr[place]), int(rows.indptr[place + 1])
                if end > begin:
                    self.remember(observation, rows.indices[begin:end], rows.data[begin:end])

    def remember(self, observation: Observation, columns: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        """Keep one turn of a conversation until its label comes."""
        spoken = self._waiting.remember(observation.conversation, observation.ts, columns, values)
        if spoken is None:
            return
        if observation.topic and observation.topic_confidence >= spoken.topic_confidence:
            spoken.topic, spoken.topic_confidence = observation.topic, observation.topic_confidence
        if abs(observation.sentiment) >= abs(spoken.sentiment):
            spoken.sentiment = observation.sentiment

    def teach(self, conversation: int, space: str, label: str) -> None:
        """Take the label of a conversation: `space` is `type` or `rating`. A label said twice is taken once."""
        if not label:
            return
        spoken = self._waiting.get(conversation)
        if spoken is None or not spoken.turns:
            self._unmatched += 1
            return
        if spoken.taught.get(space) == label or space in spoken.corrected:
            return
        self._teach(conversation, spoken, space, label, certain=False)

    def correct(self, conversation: int, ticket: int, labels: Mapping[str, str]) -> bool:
        """Put a person's labels in the place of all others of one conversation; the newest correction stands.

        Parameters
        ----------
        conversation, ticket
            Pseudonyms; 0 = not named. The ticket counts where the conversation is not named.
        labels
            By label space: `type`, `rating` (`negative`, `neutral`, `positive`), `topic`; '' = not corrected.

        Returns
        -------
        bool
            Whether the conversation is remembered. What is older than `max_age_minutes` teaches nothing.
        """
        conversation = conversation or self._waiting.of_ticket(ticket)
        spoken = self._waiting.get(conversation) if conversation else None
        if spoken is None or not spoken.turns:
            self._unmatched += 1
            return False
        for space in ("type", "rating", "topic"):
            label = labels.get(space, "")[:_MAX_LABEL_CHARS]
            if not label or spoken.corrected.get(space) == label:
                continue
            self._space(space).unteach(conversation)
            spoken.corrected[space] = label
            self._teach(conversation, spoken, space, label, certain=True)
            if space == "topic":
                for other, uncorrected in self._waiting.untaught("topic", _CONTRASTS):
                    self._teach(other, uncorrected, "topic", uncorrected.topic, certain=False)
        return True

    def _teach(self, conversation: int, spoken: Spoken, space: str, label: str, *, certain: bool) -> None:
        spoken.taught[space] = label
        columns, values = spoken.row()
        context = feeling(spoken.sentiment) if space == "rating" else spoken.topic
        self._space(space).teach(columns, values, label, context, conversation, certain)

    def _space(self, name: str) -> Space:
        return {"type": self.types, "rating": self.ratings, "topic": self.topics}[name]

    def advance(self, tick: int) -> None:
        """Let what was learnt until `tick` (epoch milliseconds) take effect; a tick before the last one is none."""
        if tick < self._tick:
            return
        self._tick = tick
        self.types.advance(tick)
        self.ratings.advance(tick)
        self.topics.advance(tick)
        self._waiting.advance(tick)

    def health(self) -> Health:
        """Say how it is doing: states, reasons, accuracies, memory."""
        return Health(
            types=self.types.health(),
            ratings=self.ratings.health(),
            topics=self.topics.health(),
            waiting=len(self._waiting),
            displaced=self._waiting.displaced,
            unmatched=self._unmatched,
            memory_bytes=sum(space.memory_bytes for space in (self.types, self.ratings, self.topics))
            + 8 * self._waiting.features,
        )

    def snapshot(self) -> bytes:
        """Return the whole state; going on from it is the same, bit for bit, as never having stopped."""
        return msgspec.msgpack.encode(
            _State(
                NAME,
                VERSION,
                self._limits.bits,
                self._tick,
                self._unmatched,
                self._waiting.snapshot(),
                self.types.snapshot(),
                self.ratings.snapshot(),
                self.topics.snapshot(),
            )
        )

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot of a learner with the same limits.

        Raises
        ------
        ModelError
            If the bytes are not such a snapshot; the learner is then empty.
        """
        self._reset()
        try:
            head = msgspec.msgpack.decode(data, type=_Head)
            if (head.name, head.version, head.bits) != (NAME, VERSION, self._limits.bits):
                raise ValueError(
                    f"it is of {head.name} version {head.version} with {head.bits} bits, "
                    f"this program reads {NAME} version {VERSION} with {self._limits.bits} bits"
                )
            state = msgspec.msgpack.decode(data, type=_State)
            self._waiting.restore(state.waiting)
            self.types.restore(state.types)
            self.ratings.restore(state.ratings)
            if state.topics is not None:
                self.topics.restore(state.topics)
        except (msgspec.DecodeError, ValueError) as error:
            self._reset()
            raise ModelError(
                f"snapshot of the online layer: cannot be read ({error}); start it from an empty state"
            ) from None
        self._tick = state.tick
        self._unmatched = state.unmatched

    def _checked(self, matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
        if matrix.shape != (count, 1 << self._limits.bits):
            raise ModelError(
                f"rows for the online layer: shape {matrix.shape}, expected {(count, 1 << self._limits.bits)}; "
                "make them with feature_matrix and the learner's bits"
            )
        return matrix


def speaks(observation: Observation) -> bool:
    """Return whether a text is a customer's own words."""
    return observation.kind in ("chat", "call") and bool(observation.text) and is_customer(observation.role)


def feeling(sentiment: float) -> str:
    """Name the seed's sentiment as a label of the ratings."""
    if abs(sentiment) < NEUTRAL_MARGIN:
        return NEUTRAL
    return POSITIVE if sentiment > 0 else NEGATIVE


def _odds(right: NDArray[np.float64], guessed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Odds of being right per class; nothing for a class that was never guessed."""
    share = np.clip(right / (guessed + _PRIOR_LABELS), _AT_LEAST, _SURE_ENOUGH)
    odds: NDArray[np.float64] = np.where(guessed > 0, share / (1.0 - share), 0.0)
    return odds


def _stack(rows: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]], width: int) -> sparse.csr_matrix:
    indptr = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(columns) for columns, _ in rows], out=indptr[1:])
    columns = np.concatenate([columns for columns, _ in rows])
    values = np.concatenate([values for _, values in rows])
    return sparse.csr_matrix((values, columns, indptr), shape=(len(rows), width))
