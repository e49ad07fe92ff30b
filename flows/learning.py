"""The online layer at its place in the flow: it sees every event once, in order, and learns at ticks of event time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from flows.state import pack, unpack
from models.features import feature_matrix
from models.online import Learner, speaks
from qianshao.clock import MINUTE_MS
from qianshao.event import Observation

LEARNING_MS = 10 * MINUTE_MS
"""What was learnt takes effect at these ticks: often enough for labels that come minutes late, seldom enough to cost
nothing."""

SNAPSHOT_VERSION = 1


class _State(msgspec.Struct):
    tick: int
    learner: bytes


class Learning:
    """Lets ticket types and ratings teach what customers' words mean here, and says so on the observations.

    An observation of a customer's words gets the ticket type that its conversation would be given, and a sentiment
    corrected by what conversations in such words were rated. Results depend on the order of the observations only,
    never on how it was cut.

    Cost: about 15 µs a customer's message, 25–60 µs a label.
    """

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._tick = 0

    def adapt(self, observations: Sequence[Observation]) -> None:
        """Correct observations in order, and learn from them."""
        begin = 0
        for place, observation in enumerate(observations):
            if observation.ts >= self._tick + LEARNING_MS:
                self._take(observations[begin:place])
                begin = place
                self._tick = observation.ts // LEARNING_MS * LEARNING_MS
                self._learner.advance(self._tick)
        self._take(observations[begin:])

    def _take(self, observations: Sequence[Observation]) -> None:
        telling = [each for each in observations if each.kind in ("ticket", "rating") or speaks(each)]
        if not telling:
            return
        spoken = [each.text if speaks(each) else "" for each in telling]
        words = [each.tokens if text else () for each, text in zip(telling, spoken, strict=True)]
        rows = feature_matrix(spoken, words, self._learner.bits)
        for each, guess in zip(telling, self._learner.label(telling, rows), strict=True):
            each.guess, each.guess_confidence, each.sentiment = guess
        self._learner.learn(telling, rows)

    def snapshot(self) -> bytes:
        """Write the whole state."""
        return pack("learning", SNAPSHOT_VERSION, _State(self._tick, self._learner.snapshot()))

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot.

        Raises
        ------
        StoreError, ModelError
            If the bytes are not such a snapshot.
        """
        state = unpack(data, "learning", SNAPSHOT_VERSION, _State)
        self._tick = state.tick
        self._learner.restore(state.learner)
