"""What agents and customers say about conversations afterwards, learnt while it comes in.

Where it stands. One `Learner` on the core worker, behind the intake and before the bank: there observations come once,
in (`ts`, `id`) order, whatever the number of reading workers and however they cut the stream. What it learns takes
effect at ticks of event time only, so that batching cannot change a guess.

What it serves. Three label spaces (`models.label_space`), each with its own layer over the same rows: the agents'
ticket types (open: a type is known from its first label on), the customers' ratings (negative, neutral, positive), and
the topics that people put in the place of wrong ones. One row stands for all that the customer has said in a
conversation.

How a guess comes about. A space says what its layer holds likely and what the shipped models, its *seed*, do; each
weighs as much as the odds that it is right. Where that is not enough, the learner abstains from a type, and the seed's
topic and sentiment stand.

When somebody corrects. A person who names the type, topic or feeling of a conversation goes before every other label of
it: what it was taught with is forgotten and not taught again, and a correction is not doubted as labels of a mature
class are. Only what is wrong gets corrected, so corrections alone would teach that everything is wrong: beside each
corrected topic stand conversations that nobody corrected, with the topic that they were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.label_space import Space, SpaceHealth, SpaceLimits, SpaceState
from models.sentiment import NEUTRAL_MARGIN
from models.topic import is_small_talk
from models.waiting import Spoken, Waiting, WaitingState
from qianshao.errors import ModelError
from qianshao.event import Observation, is_customer

NAME = "online"
VERSION = 1

NEGATIVE, NEUTRAL, POSITIVE = "negative", "neutral", "positive"
_FEELING_OF_SCORE = {1: NEGATIVE, 2: NEGATIVE, 3: NEUTRAL, 4: POSITIVE, 5: POSITIVE}
_MAX_LABEL_CHARS = 64
_CONTRASTS = 1
"""Conversations that nobody corrected, learnt beside each one whose topic somebody did. With more of them, the wrong
ones that nobody saw would outvote those that somebody corrected."""


class LearnerLimits(SpaceLimits, frozen=True, kw_only=True):
    """What the learner may keep, and how careful it is, beside what holds in each of its label spaces."""

    max_types: int = 32
    max_conversations: int = 20_000
    max_features: int = 3_000_000
    """Of all waiting conversations together, 8 bytes each."""
    max_age_minutes: int = 6 * 60
    """How long a conversation waits for its label."""
    least_confidence: float = 0.5


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


class _Head(msgspec.Struct, array_like=True):
    name: str
    version: int
    bits: int


class _State(_Head, array_like=True):
    tick: int
    unmatched: int
    waiting: WaitingState
    types: SpaceState
    ratings: SpaceState
    topics: SpaceState | None = None


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
