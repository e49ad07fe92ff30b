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
    corrected: dict[str, str] = {}
    """Label space → the label that a person put in the place of another."""
    ticket: int = 0
    """Pseudonym of its newest ticket, 0 if there is none."""

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
    corrected: dict[str, str] = {}
    ticket: int = 0


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
        self._tickets: dict[int, int] = {}
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

    def of_ticket(self, ticket: int) -> int:
        """Return the conversation that a ticket is about, 0 if none of those remembered has it."""
        return self._tickets.get(ticket, 0)

    def name_ticket(self, conversation: int, ticket: int) -> None:
        """Let a conversation be found by its newest ticket."""
        spoken = self._spoken.get(conversation)
        if spoken is not None and ticket:
            self._tickets.pop(spoken.ticket, None)
            spoken.ticket = ticket
            self._tickets[ticket] = conversation

    def untaught(self, space: str, count: int) -> list[tuple[int, Spoken]]:
        """Return the longest known conversations that nothing was taught about in a label space, at most `count`."""
        found: list[tuple[int, Spoken]] = []
        for conversation, spoken in self._spoken.items():
            if len(found) == count:
                break
            if spoken.turns and space not in spoken.taught:
                found.append((conversation, spoken))
        return found

    def remember(
        self, conversation: int, ts: int, columns: NDArray[np.int32], values: NDArray[np.float32]
    ) -> Spoken | None:
        """Add one turn; None if there was no room for the conversation."""
        spoken = self._spoken.get(conversation)
        if spoken is None:
            spoken = Spoken(since=ts, columns=[], values=[], taught={}, corrected={})
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
            if conversation in self._spoken:
                self._forget(conversation)
                self.displaced += 1
                return

    def _forget(self, conversation: int) -> None:
        spoken = self._spoken.pop(conversation)
        self._features -= spoken.features
        self._tickets.pop(spoken.ticket, None)

    def advance(self, tick: int) -> None:
        """Forget what is too old."""
        horizon = tick - self._max_age_ms
        old = []
        for conversation, spoken in self._spoken.items():
            if spoken.since >= horizon:
                break
            old.append(conversation)
        for conversation in old:
            self._forget(conversation)
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
                    dict(spoken.corrected),
                    spoken.ticket,
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
        self._tickets = {}
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
                corrected=dict(each.corrected),
            )
            self.name_ticket(each.conversation, each.ticket)
            self._features += len(columns)
        self._order()


def _priority(conversation: int) -> int:
    return (conversation * _SCRAMBLE) & _MASK
