"""One-ID at its place in the flow: behind the intake, in one order, before anything is counted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from flows.state import pack, unpack
from models.one_id import OneId, OneIdState
from qianshao.action import Action
from qianshao.clock import SECOND_MS
from qianshao.config import Config
from qianshao.errors import StoreError
from qianshao.event import Observation

SNAPSHOT_VERSION = 1


class _State(msgspec.Struct):
    watermark: int
    one_id: OneIdState


class Linking:
    """Puts one number for all identifiers of a person on the observations, and parts those whom people part.

    An `unlink` takes effect at its tick. Results depend on the order of observations and actions only, never on how it
    was cut. With `identity.link` off nothing is linked.

    Parameters
    ----------
    config
        `identity` and `service.decision_seconds`.
    """

    def __init__(self, config: Config) -> None:
        self._links = config.identity.link
        self._step_ms = config.service.decision_seconds * SECOND_MS
        self._one_id = OneId(config.identity.maximum)
        self._watermark = 0

    def name(
        self, observations: Sequence[Observation], watermark: int, actions: Sequence[tuple[int, Action]] = ()
    ) -> list[tuple[int, int, int]]:
        """Name the customers of observations in place, in order.

        Parameters
        ----------
        observations
            In order of time; those that lie behind the watermark of the call before join the next decisions.
        watermark
            Every decision up to this tick may fall once these are named.
        actions
            Each with the tick at which it takes effect, ascending.

        Returns
        -------
        list
            Identifiers that count under another number from a decision tick on: (tick, identifier, number).
        """
        renamed: list[tuple[int, int, int]] = []
        begin = 0
        for tick, action in actions:
            if action.action != "unlink":
                continue
            end = bisect_left(observations, tick, begin, key=lambda each: each.ts)
            self._listen(observations[begin:end], renamed)
            begin = end
            self._one_id.separate(action.customer, action.other)
            self._tell(tick, renamed)
        self._listen(observations[begin:], renamed)
        self._watermark = watermark
        return renamed

    def _listen(self, observations: Sequence[Observation], renamed: list[tuple[int, int, int]]) -> None:
        one_id = self._one_id
        for observation in observations:
            if self._links:
                one_id.name(observation)
                if one_id.renamed:
                    reached = max(observation.ts // self._step_ms * self._step_ms, self._watermark)
                    self._tell(reached + self._step_ms, renamed)
            observation.identifiers = {}

    def _tell(self, tick: int, renamed: list[tuple[int, int, int]]) -> None:
        renamed += ((tick, identifier, number) for identifier, number in sorted(self._one_id.renamed.items()))
        self._one_id.renamed.clear()

    def snapshot(self) -> bytes:
        """Write the whole state: pseudonyms and counts."""
        return pack("linking", SNAPSHOT_VERSION, _State(self._watermark, self._one_id.snapshot()))

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot.

        Raises
        ------
        StoreError
            If the bytes are not such a snapshot.
        """
        state = unpack(data, "linking", SNAPSHOT_VERSION, _State)
        try:
            self._one_id.restore(state.one_id)
        except ValueError as error:
            raise StoreError(f"snapshot for linking: is not consistent ({error}); start from an empty state") from None
        self._watermark = state.watermark
