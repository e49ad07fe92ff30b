"""Pasted texts: the same long words from many customers are an advertisement or a slogan, not many troubles."""

from __future__ import annotations

import zlib
from typing import Any

from qianshao.clock import DAY_MS
from qianshao.event import Observation

SHARED_CHARS = 24
"""So many letters on end are not found twice by chance."""
LONG_CHARS = 28
"""Shorter texts are never taken for pasted: people in one trouble say it in the same few words."""
READ_CHARS = 400
ORIGINALS = 2
"""Customers who may say the same before the others are taken to repeat it."""
HOLD_MS = DAY_MS
MAX_REMEMBERED = 50_000
"""Texts that are remembered; beyond it the one not said for the longest time is forgotten."""


class Echoes:
    """Says of a customer's text whether others have pasted it before.

    A text is known by the piece of `SHARED_CHARS` letters whose hash is the smallest of all its pieces: words around a
    pasted text change it seldom. When it fails: an advertisement that everybody writes in words of their own, and,
    where an application offers long questions to click on, customers who click on the same one.
    Cost: 0.3 µs a letter of texts of at least `LONG_CHARS` letters.
    Source: winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003), with one fingerprint a text.

    >>> slogan = "复制这段口令打开应用即可领取满三百减一百二的红包邀请三位好友再得二十元"
    >>> echoes = Echoes()
    >>> [echoes.pasted(Observation(id="", kind="chat", ts=0, customer=n, text=slogan + "！" * n)) for n in (1, 2, 2, 3)]
    [False, False, False, True]
    """

    def __init__(self) -> None:
        self._said: dict[int, list[int]] = {}
        """Fingerprint → when it was said last, then the first customers who said it."""

    def pasted(self, observation: Observation) -> bool:
        """Take one text of a customer, in order of time; whether at least `ORIGINALS` others said the same that day."""
        letters = "".join(filter(str.isalnum, observation.text[:READ_CHARS]))
        if len(letters) < LONG_CHARS or observation.kind == "ticket":
            return False
        data = letters.encode("utf-32-le", "surrogatepass")
        width = 4 * SHARED_CHARS
        print_ = min(zlib.crc32(data[at : at + width]) for at in range(0, len(data) - width + 1, 4))
        known = self._said.pop(print_, None)
        if known is None or observation.ts - known[0] > HOLD_MS:
            known = [observation.ts]
        known[0] = observation.ts
        self._said[print_] = known
        if observation.customer in known[1:]:
            return False
        if len(known) <= ORIGINALS:
            known.append(observation.customer)
            if len(self._said) > MAX_REMEMBERED:
                del self._said[next(iter(self._said))]
            return False
        return True

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return list(self._said.items())

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._said = {key: list(known) for key, known in state}
