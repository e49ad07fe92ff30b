"""Records that cannot be counted: their letters, and the breaker that opens when almost everything is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from qianshao.event import DeadLetter, Observation

Excerpt = Callable[[bytes], str]
"""Masks a raw record and cuts it to what a dead letter may show."""

WINDOW = 2_000
"""Records that the breaker looks back."""

TOLERATED = 0.95
"""Share of dead records at which it opens."""


def letter_of(observation: Observation, *, source: str, position: int, reason: str, excerpt: Excerpt) -> DeadLetter:
    """Write the dead letter of a record that was readable but is not plausible; its raw text is gone by then."""
    kept = {"id": observation.id, "kind": observation.kind, "ts": observation.ts, "text": observation.text}
    return DeadLetter(
        source=source,
        position=position,
        reason=reason,
        excerpt=excerpt(msgspec.json.encode(kept)),
        kind=observation.kind,
    )


class Breaker:
    """Opens when at least `TOLERATED` of the last `WINDOW` records of one source were dead.

    It never opens before `WINDOW` records, so a small bad file ends as dead letters.
    """

    def __init__(self, recent: Iterable[bool] = ()) -> None:
        self.recent: deque[bool] = deque(recent, maxlen=WINDOW)
        self._dead = sum(self.recent)

    def update(self, dead: bool) -> bool:
        """Take the fate of one record; True if the source must be stopped now."""
        recent = self.recent
        if len(recent) == WINDOW:
            self._dead -= recent[0]
        recent.append(dead)
        self._dead += dead
        return dead and len(recent) == WINDOW and self._dead >= TOLERATED * WINDOW
