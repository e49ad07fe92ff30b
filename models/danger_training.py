"""Write the danger layers again: `python -m models.danger_training [FOLDER]` fits them on the project's own texts."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.danger import FORMAT, danger_features
from models.danger_corpus import SEEDS, DangerRow, danger_rows
from models.linear import quantise
from models.masking import mask
from models.normalise import normalise
from models.ticket_corpus import quoted_rows, ticket_rows
from models.training import calibration, logistic

BITS, CHARS, SYLLABLES = 15, 3, 2
_STRENGTH = 20.0
_FOLDS = 4
_DANGEROUS = 0.1
"""Share of texts with a cue that assert a danger, as calibration takes it."""


class Corpus(NamedTuple):
    """What a layer is fitted on, spread by a seed."""

    own: Callable[[int], list[DangerRow]]
    beside: Callable[[int], list[DangerRow]]
    """Rows of another layer's corpus."""


LAYERS = {
    "danger.npz": Corpus(danger_rows, lambda seed: []),
    "ticket_danger.npz": Corpus(ticket_rows, quoted_rows),
}


def own_rows(layer: str) -> Iterator[DangerRow]:
    """Yield every row of every spread of a layer's own corpus. Up to a quarter of a minute."""
    for seed in SEEDS:
        yield from LAYERS[layer].own(seed)


def fingerprint(rows: Iterable[DangerRow]) -> str:
    """Return the SHA-256 over rows of a corpus."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.kind}\t{row.text}\n".encode())
    return digest.hexdigest()


def write_layer(layer: str, path: Path) -> None:
    """Fit a layer, calibrate it on lines that it did not see, and write plain arrays. Up to three minutes."""
    corpus = LAYERS[layer]
    spreads = [[*corpus.own(seed), *corpus.beside(seed)] for seed in SEEDS]
    fits = [_fit(rows) for rows in spreads]
    labels = fits[0][0]
    weights, bias = np.mean([each for _, each, _ in fits], axis=0), np.mean([each for _, _, each in fits], axis=0)
    factor, shift = _calibration(spreads[0])
    nothing = labels.index("")
    weights, bias = weights * factor, bias * factor
    bias[nothing] -= shift
    quantised, scale = quantise(weights)
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        bits=np.array(BITS),
        chars=np.array(CHARS),
        syllables=np.array(SYLLABLES),
        fingerprint=np.array(fingerprint(own_rows(layer))),
        labels=np.array(labels),
        weights=quantised,
        scale=scale,
        bias=bias.astype(np.float32),
        allow_pickle=False,
    )


def _fit(rows: Sequence[DangerRow]) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    matrix = danger_features([mask(normalise(row.text)) for row in rows], BITS, CHARS, SYLLABLES)
    return logistic(matrix, [row.kind for row in rows], _STRENGTH)


def _calibration(rows: Sequence[DangerRow]) -> tuple[float, float]:
    """Return the factor on the logits and the shift of danger under which unseen lines are likeliest.

    Whole lines of the grammar are held out together: a sentence of a line that was seen says nothing about phrasings
    that people will use.
    """
    lines = np.array([row.line for row in rows])
    dangerous = np.array([bool(row.kind) for row in rows])
    fold = np.random.default_rng(0).integers(0, _FOLDS, lines.max() + 1)[lines]
    logits: list[NDArray[np.float64]] = []
    truth: list[NDArray[np.bool_]] = []
    for held in range(_FOLDS):
        labels, weights, bias = _fit([row for row, own in zip(rows, fold, strict=True) if own != held])
        unseen = [mask(normalise(row.text)) for row, own in zip(rows, fold, strict=True) if own == held]
        margins = danger_features(unseen, BITS, CHARS, SYLLABLES) @ weights + bias
        nothing = labels.index("")
        logits.append(np.delete(margins, nothing, axis=1) - margins[:, [nothing]])
        truth.append(dangerous[fold == held])
    margin, known = np.concatenate(logits), np.concatenate(truth)
    weight = np.where(known, _DANGEROUS / known.mean(), (1.0 - _DANGEROUS) / (1.0 - known.mean()))
    return calibration(margin, known, weight)


def main(arguments: Sequence[str]) -> None:
    """Write the layers into the folder named, or in the place of the shipped ones."""
    folder = Path(arguments[0] if arguments else str(files("models")))
    for layer in LAYERS:
        write_layer(layer, folder / layer)
        sys.stdout.write(f"{folder / layer}: {(folder / layer).stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
