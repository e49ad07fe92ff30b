"""The online layer at its place in the flow: it sees every event once, in order, and learns at ticks of event time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from flows.state import pack, unpack
from models.features import feature_matrix
from models.online import Learner, speaks
from models.themes import Themes
from qianshao.action import Action
from qianshao.clock import MINUTE_MS
from qianshao.event import Observation

LEARNING_MS = 10 * MINUTE_MS
"""What was learnt takes effect at these ticks: often enough for labels that come minutes late, seldom enough to cost
nothing."""

SNAPSHOT_VERSION = 2


class _State(msgspec.Struct):
    tick: int
    learner: bytes
    themes: bytes


class Learning:
    """Lets ticket types and ratings teach what customers' words mean here, and says so on the observations.

    An observation of a customer's words gets the ticket type that its conversation would be given, and a sentiment
    corrected by what conversations in such words were rated. A `relabel` teaches at its tick: it goes before what
    agents and customers said of the conversation, and what is said in it afterwards carries the corrected type and
    topic. Results depend on the order of observations and actions only, never on how it was cut.

    Cost: about 15 µs a customer's message, 25–60 µs a label.
    """

    def __init__(self, learner: Learner, themes: Themes) -> None:
        self._learner = learner
        self._themes = themes
        self._tick = 0

    def adapt(self, observations: Sequence[Observation], actions: Sequence[tuple[int, Action]] = ()) -> None:
        """Correct observations in order, and learn from them and from people's actions.

        Parameters
        ----------
        observations
            In order of time.
        actions
            Each with the tick at which it takes effect, ascending: it knows what was said before that tick.
        """
        begin = 0
        for tick, action in actions:
            if action.action != "relabel":
                continue
            end = bisect_left(observations, tick, begin, key=lambda each: each.ts)
            self._listen(observations[begin:end])
            begin = end
            labels = {"type": action.type, "topic": action.topic, "rating": action.sentiment}
            self._learner.correct(action.conversation, action.ticket, labels)
        self._listen(observations[begin:])

    def _listen(self, observations: Sequence[Observation]) -> None:
        begin = 0
        for place, observation in enumerate(observations):
            if observation.ts >= self._tick + LEARNING_MS:
                self._take(observations[begin:place])
                begin = place
                self._tick = observation.ts // LEARNING_MS * LEARNING_MS
                self._learner.advance(self._tick)
                self._themes.advance(self._tick)
        self._take(observations[begin:])

    def _take(self, observations: Sequence[Observation]) -> None:
        telling = [each for each in observations if each.kind in ("ticket", "rating") or speaks(each)]
        if not telling:
            return
        spoken = [each.text if speaks(each) else "" for each in telling]
        words = [each.tokens if text else () for each, text in zip(telling, spoken, strict=True)]
        rows = feature_matrix(spoken, words, self._learner.bits)
        for each, guess in zip(telling, self._learner.label(telling, rows), strict=True):
            each.guess, each.guess_confidence, each.sentiment, each.topic, each.topic_confidence = guess
        self._learner.learn(telling, rows)
        for each, theme in zip(telling, self._themes.label(telling), strict=True):
            each.theme, each.theme_confidence = theme

    def snapshot(self) -> bytes:
        """Write the whole state."""
        return pack("learning", SNAPSHOT_VERSION, _State(self._tick, self._learner.snapshot(), self._themes.snapshot()))

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
        self._themes.restore(state.themes)
