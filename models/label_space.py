"""One label space: a layer that learns its classes, the seed's opinion of them beside it, and the judge of both.

What is taught waits for the next tick. The shipped models stay as they are: they are the *seed*, and a space only
learns what their opinion is worth here, as a table of counts (`Bridge`).

What each is worth. Layer and seed carry the odds of their own recent precision for the class that they guess, measured
on labels they had not learnt yet. So a layer that knows nothing yet has no say, and one that is good at five classes of
ten is heard on these five.

When it gets worse. Layer, seed and last good weights are judged on the same labels (`models.drift`). A layer that is
beyond doubt worse than its last good weights goes back to them and rests for a while, with a named reason in
`health()`. One that is worse than the seed, while going back would not help, goes on learning, unheard until it is not:
so it is with a young one, and when the world changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.drift import Comparison
from models.layer import LayerState, OnlineLayer

_BATCH = 32
_MAX_CONTEXTS = 64
_MEMORY_LABELS = 2_000.0
"""Precision and the seed's table are counted over so many labels of the recent past."""
_PRIOR_LABELS = 2.0
_SURE_ENOUGH = 0.995
_AT_LEAST = 1e-3
_KEEP_MARGIN = 0.01

LEARNING = "learning"
BEHIND_SEED = "behind_seed"
WORSE_THAN_SEED = "worse_than_seed"
WORSE_THAN_LAST_GOOD = "worse_than_last_good"


class SpaceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a label space may keep, and how careful it is."""

    bits: int = 16
    """Rows have 2**bits columns."""
    max_pending_features: int = 1_000_000
    """Of labels between two ticks; more are not learnt, and counted."""
    max_rehearsed: int = 4_096
    """Recent labels that are learnt again beside the new ones."""
    max_rehearsed_features: int = 1_000_000
    enough_labels: int = 20
    """A class is not guessed before it has so many labels."""
    checkpoint_labels: int = 1_000
    rest_minutes: int = 120
    """How long a layer that got worse does not learn."""


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


class SpaceState(msgspec.Struct, array_like=True):
    """A label space as numbers, strings and bytes, with what waits in it."""

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
        See `SpaceLimits`.
    max_classes
        Of this space.
    """

    def __init__(self, limits: SpaceLimits, max_classes: int) -> None:
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

    def snapshot(self) -> SpaceState:
        """Return the state."""
        return SpaceState(
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

    def restore(self, state: SpaceState) -> None:
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
