"""Conversations whose label is still to come: their features, in bounded memory, as a fair sample."""

from __future__ import annotations

import heapq

import msgspec
import numpy as np
from numpy.typing import NDArray

_SCRAMBLE = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
MAX_FEATURES = 4096
"""Of one conversation: what it says beyond that is not remembered."""

_STALE_SHARE = 4


class Spoken(msgspec.Struct, array_like=True):
    """What a conversation has said so far."""

    since: int
    """Event time of its first remembered words, epoch milliseconds."""
    turns: int = 0
    columns: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float32]] = []
    features: int = 0
    topic: str = ""
    topic_confidence: float = 0.0
    sentiment: float = 0.0
    """The strongest one so far."""
    taught: dict[str, str] = {}
    """Label space → the label that it was taught with."""

    def row(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return one row for all turns: close to the row of one text made of them all."""
        return np.concatenate(self.columns), np.concatenate(self.values) / np.float32(np.sqrt(self.turns))


class _SpokenState(msgspec.Struct, array_like=True):
    conversation: int
    since: int
    turns: int
    lengths: list[int]
    columns: bytes
    values: bytes
    topic: str
    topic_confidence: float
    sentiment: float
    taught: dict[str, str]


class WaitingState(msgspec.Struct, array_like=True):
    """All that waits, in order."""

    spoken: list[_SpokenState]
    displaced: int


class Waiting:
    """Features of conversations, by pseudonym, until they are too old.

    Full memory must not forget the oldest: at a thousand messages a second everything would be forgotten before its
    label came, 20 minutes later. It forgets by a hash of the pseudonym instead, so that what stays is a fair sample of
    the conversations, each kept for its whole time.

    Parameters
    ----------
    max_conversations, max_features
        What is kept at most; a feature takes 8 bytes, a message of 65 characters has about 200.
    max_age_ms
        From the first words on.
    """

    def __init__(self, max_conversations: int, max_features: int, max_age_ms: int) -> None:
        self._max_conversations = max_conversations
        self._max_features = max_features
        self._max_age_ms = max_age_ms
        self._spoken: dict[int, Spoken] = {}
        self._features = 0
        self._last_first: list[tuple[int, int]] = []
        self.displaced = 0
        """Conversations given up for want of memory."""

    def __len__(self) -> int:
        return len(self._spoken)

    @property
    def features(self) -> int:
        """Features remembered now."""
        return self._features

    def get(self, conversation: int) -> Spoken | None:
        """Return what a conversation has said, None if it is not remembered."""
        return self._spoken.get(conversation)

    def remember(
        self, conversation: int, ts: int, columns: NDArray[np.int32], values: NDArray[np.float32]
    ) -> Spoken | None:
        """Add one turn; None if there was no room for the conversation."""
        spoken = self._spoken.get(conversation)
        if spoken is None:
            spoken = Spoken(since=ts, columns=[], values=[], taught={})
            self._spoken[conversation] = spoken
            heapq.heappush(self._last_first, (-_priority(conversation), conversation))
        if spoken.features + len(columns) <= MAX_FEATURES:
            spoken.turns += 1
            spoken.columns.append(np.array(columns, np.int32))
            spoken.values.append(np.array(values, np.float32))
            spoken.features += len(columns)
            self._features += len(columns)
        while len(self._spoken) > self._max_conversations or self._features > self._max_features:
            self._displace()
        return self._spoken.get(conversation)

    def _displace(self) -> None:
        while True:
            _, conversation = heapq.heappop(self._last_first)
            spoken = self._spoken.pop(conversation, None)
            if spoken is not None:
                self._features -= spoken.features
                self.displaced += 1
                return

    def advance(self, tick: int) -> None:
        """Forget what is too old."""
        horizon = tick - self._max_age_ms
        old = []
        for conversation, spoken in self._spoken.items():
            if spoken.since >= horizon:
                break
            old.append(conversation)
        for conversation in old:
            self._features -= self._spoken.pop(conversation).features
        if len(self._last_first) > _STALE_SHARE * (len(self._spoken) + 1):
            self._order()

    def _order(self) -> None:
        self._last_first = [(-_priority(conversation), conversation) for conversation in self._spoken]
        heapq.heapify(self._last_first)

    def snapshot(self) -> WaitingState:
        """Return the state."""
        return WaitingState(
            [
                _SpokenState(
                    conversation,
                    spoken.since,
                    spoken.turns,
                    [len(columns) for columns in spoken.columns],
                    b"".join(columns.tobytes() for columns in spoken.columns),
                    b"".join(values.tobytes() for values in spoken.values),
                    spoken.topic,
                    spoken.topic_confidence,
                    spoken.sentiment,
                    dict(spoken.taught),
                )
                for conversation, spoken in self._spoken.items()
            ],
            self.displaced,
        )

    def restore(self, state: WaitingState) -> None:
        """Go on from a snapshot.

        Raises
        ------
        ValueError
            If lengths and arrays do not fit each other.
        """
        self._spoken = {}
        self._features = 0
        self.displaced = state.displaced
        for each in state.spoken:
            cuts = np.cumsum(each.lengths)[:-1] if each.lengths else np.zeros(0, np.int64)
            columns = np.frombuffer(each.columns, np.int32)
            values = np.frombuffer(each.values, np.float32)
            if not len(columns) == len(values) == sum(each.lengths):
                raise ValueError("a conversation's features do not fit its turns")
            self._spoken[each.conversation] = Spoken(
                since=each.since,
                turns=each.turns,
                columns=list(np.split(columns, cuts)) if each.lengths else [],
                values=list(np.split(values, cuts)) if each.lengths else [],
                features=len(columns),
                topic=each.topic,
                topic_confidence=each.topic_confidence,
                sentiment=each.sentiment,
                taught=dict(each.taught),
            )
            self._features += len(columns)
        self._order()


def _priority(conversation: int) -> int:
    return (conversation * _SCRAMBLE) & _MASK
