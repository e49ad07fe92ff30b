"""Pasted texts: the same long words from many customers are an advertisement or a slogan, not many troubles."""

from __future__ import annotations

import re
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
"""Texts that are remembered, pieces of chain letters, and tellings of dangers; beyond it what was not said for the
longest time is forgotten."""
PIECE_CHARS = 6
"""So many letters of a chain letter are heard in one of its pieces when it is read aloud."""
MOSTLY = 0.5
TOLD_CHARS = 10
"""Who is harmed today does not tell it in so many letters exactly as another did on an earlier day."""
_CHAIN = (
    re.compile(r"转发|速转|扩散|转给|传给.{0,4}(?:人|友)"),
    re.compile(r"[发转]到?.{0,5}群|家族群|朋友圈"),
    re.compile(r"[转满集邀].{0,2}(?:\d|[两二三五六八九十百]).{0,3}(?:人|赞|好友|个群)|帮我砍"),
    re.compile(r"不转的?[就会将要]?(?:扣|封|倒霉|失去|收费)|必转|[看收]到请?转|(?:据说|听说|保证)是真的|宁可信其有"),
    re.compile(r"加\s*(?:vx|v信|微信|威信|薇)|口令", re.IGNORECASE),
    re.compile(r"复制|这[段条]话|这条消息|此消息"),
    re.compile(r"(?:重要|紧急|特大)通知|内部(?:人员|消息)|核实电话|千真万确"),
    re.compile(r"免费领|名额有限|先到先得|亲测有效|送话费|领红包|即可领"),
)
"""What asks to be passed on; a text that does so in two of these ways is a chain letter."""


class Echoes:
    """Says of a customer's text whether others have pasted it before.

    A text is known by the piece of `SHARED_CHARS` letters whose hash is the smallest of all its pieces: words around a
    pasted text change it seldom. A chain letter is known by what it asks for, and from then on by its pieces, also
    where it was altered on its way or is read aloud on the telephone, sentence by sentence. When it fails: an
    advertisement that everybody writes in words of their own, and, where an application offers long questions to click
    on, customers who click on the same one.
    Cost: 0.3 µs a letter of texts of at least `LONG_CHARS` letters.
    Source: winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003), with one fingerprint a text.

    >>> slogan = "年终大促全场满三百减一百二叠加店铺津贴再享折上折错过再等一年手慢无"
    >>> echoes = Echoes()
    >>> [echoes.pasted(Observation(id="", kind="chat", ts=0, customer=n, text=slogan + "！" * n)) for n in (1, 2, 2, 3)]
    [False, False, False, True]
    """

    def __init__(self) -> None:
        self._said: dict[int, list[int]] = {}
        """Fingerprint → when it was said last, then the first customers who said it."""
        self._chained: dict[int, int] = {}
        """Piece of a chain letter → when it was said last."""
        self._told: dict[int, list[int]] = {}
        """Text that told of a danger → when it was told first, and by whom."""

    def pasted(self, observation: Observation) -> bool:
        """Take one text of a customer, in order of time; whether at least `ORIGINALS` others said the same that day.

        So says a chain letter, from the first one on.
        """
        if observation.kind == "ticket":
            return False
        letters = _letters(observation)
        if self._passed_on(letters, observation):
            return True
        if len(letters) < LONG_CHARS:
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

    def _passed_on(self, letters: str, observation: Observation) -> bool:
        """Return whether a text is a chain letter or consists of one; who is in danger brings none up."""
        if len(letters) < PIECE_CHARS:
            return False
        if observation.danger or sum(cue.search(observation.text) is not None for cue in _CHAIN) < 2:
            if not self._chained:
                return False
            known = [self._chained.get(piece, 0) > observation.ts - HOLD_MS for piece in _pieces(letters)]
            return sum(known) >= MOSTLY * len(known)
        for piece in _pieces(letters):
            self._chained.pop(piece, None)
            self._chained[piece] = observation.ts
        while len(self._chained) > MAX_REMEMBERED:
            del self._chained[next(iter(self._chained))]
        return True

    def told_before(self, observation: Observation) -> bool:
        """Take one text that tells of a danger, in order of time; whether another told it word for word days ago.

        So is what was copied from a review or a forwarded story. Agents write tickets from templates: theirs count.
        """
        letters = _letters(observation)
        if observation.kind == "ticket" or len(letters) < TOLD_CHARS:
            return False
        key = zlib.crc32(letters.encode("utf-8", "surrogatepass"))
        first = self._told.pop(key, None) or [observation.ts, observation.customer]
        self._told[key] = first
        if len(self._told) > MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
        return observation.ts - first[0] > HOLD_MS and observation.customer != first[1]

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return [list(self._said.items()), list(self._chained.items()), list(self._told.items())]

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        said, chained, told = state
        self._said = {key: list(known) for key, known in said}
        self._chained = dict(chained)
        self._told = {key: list(first) for key, first in told}


def _letters(observation: Observation) -> str:
    return "".join(filter(str.isalnum, observation.text[:READ_CHARS]))


def _pieces(letters: str) -> list[int]:
    return [zlib.crc32(letters[at : at + PIECE_CHARS].encode()) for at in range(len(letters) - PIECE_CHARS + 1)]
