"""Write the trouble layer again: `python -m models.trouble_training [FILE]` fits it on the project's own texts."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from scipy import sparse

from models.masking import mask
from models.meaning import FORMAT, READ_CHARS, TOGETHER, Encoder, Trouble
from models.normalise import normalise
from models.seed_corpus import framed, tellings, written
from models.training import logistic
from qianshao.meaning import UNIT, WIDTH

_STRENGTH = 3.0
_TELLINGS = 6
"""Most sentences that one line of the corpus is spread over."""


def trouble_rows(seed: int = 29) -> list[tuple[str, bool]]:
    """Return the sentences of `trouble_corpus.txt` and whether they tell of trouble, bare and as people frame them."""
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    rows: list[tuple[str, bool]] = []
    for section, lines in written("trouble_corpus.txt").items():
        for line in lines:
            for sentence in tellings(line, source, _TELLINGS):
                rows += [(sentence, section == "trouble"), (framed(sentence, source), section == "trouble")]
    return rows


def trouble_fingerprint() -> str:
    """Return the SHA-256 over every row that the layer is fitted on."""
    digest = hashlib.sha256()
    for text, trouble in trouble_rows():
        digest.update(f"{int(trouble)}\t{text}\n".encode())
    return digest.hexdigest()


def write_trouble(path: Path) -> None:
    """Fit the layer and write it as plain arrays. About 20 s, most of it encoding."""
    rows = trouble_rows()
    texts = [mask(normalise(text))[:READ_CHARS] for text, _ in rows]
    distinct = list(dict.fromkeys(texts))
    encoder = Encoder(Trouble(np.zeros(WIDTH, np.float32), 0.0))
    parts = [encoder.vectors(distinct[start : start + TOGETHER]) for start in range(0, len(distinct), TOGETHER)]
    vectors = np.concatenate(parts).astype(np.float32) / np.float32(UNIT)
    place = {text: number for number, text in enumerate(distinct)}
    labels = ["trouble" if trouble else "calm" for _, trouble in rows]
    _, weights, bias = logistic(sparse.csr_matrix(vectors[[place[text] for text in texts]]), labels, _STRENGTH)
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        fingerprint=np.array(trouble_fingerprint()),
        weights=weights[:, 0].astype(np.float32),
        bias=np.array(bias[0], np.float32),
        allow_pickle=False,
    )


def main(arguments: Sequence[str]) -> None:
    """Write the layer to the file named, or in the place of the shipped one."""
    path = Path(arguments[0]) if arguments else Path(str(files("models").joinpath("trouble.npz")))
    write_trouble(path)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
