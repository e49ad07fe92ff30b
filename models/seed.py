"""Write the seed model again: `python -m models.seed [FILE]` fits the two layers on the project's own corpus."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features import feature_matrix
from models.lexicon import Lexicon
from models.linear import FORMAT, quantise
from models.masking import mask
from models.seed_corpus import Row, sentiment_rows, topic_rows
from models.tokens import Tokeniser
from models.training import logistic

BITS = 15


def corpus_fingerprint(lexicon: Lexicon) -> str:
    """Return the SHA-256 over every row that the layers are fitted on, as it is read: it names corpus and taxonomy.

    A term of the taxonomy is a word of its own, so that a new one changes what rows are read as.
    """
    digest = hashlib.sha256()
    tokeniser = Tokeniser(lexicon)
    for rows in (topic_rows(lexicon), sentiment_rows(lexicon)):
        for row, text, words in zip(rows, *_read(rows, tokeniser), strict=True):
            digest.update(f"{row.label}\t{text}\t{' '.join(words)}\n".encode())
    return digest.hexdigest()


def _read(rows: Sequence[Row], tokeniser: Tokeniser) -> tuple[list[str], list[list[str]]]:
    """Return each row's masked text and its words."""
    texts = [mask(row.text) for row in rows]
    return texts, [list(tokeniser.content(tokeniser.words(text))) for text in texts]


def _fit(
    rows: Sequence[Row], tokeniser: Tokeniser, strength: float
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Fit one layer; return labels, weights (2**BITS, classes) and bias (classes,)."""
    labels = [row.label for row in rows]
    return logistic(feature_matrix(*_read(rows, tokeniser), BITS), labels, strength)


def write_seed(path: Path) -> None:
    """Fit both layers and write them as plain arrays; the same code writes the same layers. About 40 s."""
    lexicon = Lexicon()
    tokeniser = Tokeniser(lexicon)
    arrays: dict[str, NDArray[np.generic]] = {}
    topic_labels, topic_weights, topic_bias = _fit(topic_rows(lexicon), tokeniser, 10.0)
    labels, weights, bias = _fit(sentiment_rows(lexicon), tokeniser, 3.0)
    for task, names, layer, offset in (
        ("topic", topic_labels, topic_weights, topic_bias),
        ("sentiment", labels, weights, bias),
    ):
        quantised, scale = quantise(layer)
        arrays[f"{task}_labels"] = np.array(names)
        arrays[f"{task}_weights"] = quantised
        arrays[f"{task}_scale"] = scale
        arrays[f"{task}_bias"] = offset.astype(np.float32)
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        bits=np.array(BITS),
        fingerprint=np.array(corpus_fingerprint(lexicon)),
        allow_pickle=False,
        **arrays,
    )


def main(arguments: Sequence[str]) -> None:
    """Write the seed model to the file named, or in the place of the shipped one."""
    path = Path(arguments[0]) if arguments else Path(str(files("models").joinpath("seed.npz")))
    write_seed(path)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
