"""Write the trouble layer again: `python -m models.trouble_training [FILE]` fits it on the project's own texts."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.linear import quantise
from models.masking import mask
from models.meaning import FORMAT, READ_CHARS, TOGETHER, Encoder, Trouble
from models.normalise import normalise
from models.seed_corpus import framed, tellings, written
from models.training import HiddenLayer, calibration, hidden_layer
from qianshao.meaning import UNIT, WIDTH

UNITS = 128
"""Hidden units of one fit."""
SEEDS = (1, 2, 3)
"""The layer is the mean of as many fits: where one starts moves what it says of a single text."""
_EPOCHS = 30
_DECAY = 0.01
_FOLDS = 4
_SURE = 14.0
"""Logits beyond it are no surer in calibration: one odd line would weigh as much as a hundred."""
_TELLINGS = 6
"""Most sentences that one line of the corpus is spread over."""


class TroubleRow(NamedTuple):
    """One sentence, whether it tells of trouble, and the line of the corpus that it comes from."""

    text: str
    trouble: bool
    line: int


def trouble_rows(seed: int = 29) -> list[TroubleRow]:
    """Return the sentences of `trouble_corpus.txt`, bare and as people frame them.

    A line that is one sentence is framed by three: it would else weigh little beside those that are spread.
    """
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    rows: list[TroubleRow] = []
    number = 0
    for section, lines in written("trouble_corpus.txt").items():
        for line in lines:
            sentences = tellings(line, source, _TELLINGS)
            for sentence in sentences:
                framings = [framed(sentence, source) for _ in range(1 if len(sentences) > 1 else 3)]
                rows += [TroubleRow(text, section == "trouble", number) for text in (sentence, *framings)]
            number += 1
    return rows


def trouble_fingerprint() -> str:
    """Return the SHA-256 over every row that the layer is fitted on."""
    digest = hashlib.sha256()
    for row in trouble_rows():
        digest.update(f"{int(row.trouble)}\t{row.text}\n".encode())
    return digest.hexdigest()


def write_trouble(path: Path) -> None:
    """Fit the layer, calibrate it on lines that it did not see, and write plain arrays. About three minutes."""
    rows = trouble_rows()
    vectors = _vectors([row.text for row in rows])
    truth = np.array([row.trouble for row in rows])
    fits = [_fit(vectors, truth, seed) for seed in SEEDS]
    factor, shift = _calibration(vectors, truth, np.array([row.line for row in rows]))
    inward, scale = quantise(np.concatenate([fit.inward for fit in fits], axis=1))
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        fingerprint=np.array(trouble_fingerprint()),
        inward=inward,
        scale=(scale / UNIT).astype(np.float32),
        shift=np.concatenate([fit.shift for fit in fits]).astype(np.float32),
        outward=(factor / len(fits) * np.concatenate([fit.outward for fit in fits])).astype(np.float32),
        bias=np.array(factor * np.mean([fit.bias for fit in fits]) + shift, np.float32),
        allow_pickle=False,
    )


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Encode texts as the service reads them, each distinct one once; shape (texts, WIDTH)."""
    read = [mask(normalise(text))[:READ_CHARS] for text in texts]
    distinct = list(dict.fromkeys(read))
    encoder = Encoder(Trouble(np.zeros((WIDTH, 1), np.int8), np.ones(1), np.zeros(1), np.zeros(1), 0.0))  # not asked
    parts = [encoder.vectors(distinct[start : start + TOGETHER]) for start in range(0, len(distinct), TOGETHER)]
    vectors = np.concatenate(parts).astype(np.float32) / np.float32(UNIT)
    place = {text: number for number, text in enumerate(distinct)}
    chosen: NDArray[np.float32] = vectors[[place[text] for text in read]]
    return chosen


def _fit(vectors: NDArray[np.float32], truth: NDArray[np.bool_], seed: int) -> HiddenLayer:
    return hidden_layer(vectors, truth, units=UNITS, decay=_DECAY, epochs=_EPOCHS, seed=seed)


def _calibration(
    vectors: NDArray[np.float32], truth: NDArray[np.bool_], lines: NDArray[np.intp]
) -> tuple[float, float]:
    """Return the factor on the logits and the shift under which unseen lines are likeliest.

    Whole lines are held out together: a sentence of a line that was seen says nothing about phrasings that people will
    use.
    """
    fold = np.random.default_rng(0).integers(0, _FOLDS, lines.max() + 1)[lines]
    logits = np.empty(len(truth))
    for held in range(_FOLDS):
        unseen = fold == held
        logits[unseen] = _fit(vectors[~unseen], truth[~unseen], SEEDS[0]).logits(vectors[unseen]).clip(-_SURE, _SURE)
    return calibration(logits[:, None], truth)


def main(arguments: Sequence[str]) -> None:
    """Write the layer to the file named, or in the place of the shipped one."""
    path = Path(arguments[0]) if arguments else Path(str(files("models").joinpath("trouble.npz")))
    write_trouble(path)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
