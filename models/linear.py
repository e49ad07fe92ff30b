"""Linear layers over hashed features: the shipped seed model, kept as numbers in one archive without pickle."""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from qianshao.errors import ModelError

FORMAT = 1


class Linear(NamedTuple):
    """Eight-bit weights with one scale per class: logits = features @ weights · scale + bias."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    """Shape (2**bits, classes), already scaled."""
    bias: NDArray[np.float32]

    def logits(self, matrix: sparse.csr_matrix) -> NDArray[np.float64]:
        """Return the logits, shape (rows, classes)."""
        result: NDArray[np.float64] = np.asarray(matrix @ self.weights, dtype=np.float64) + self.bias
        return result


class Seed(NamedTuple):
    """The two layers that every installation starts with."""

    bits: int
    fingerprint: str
    """SHA-256 of the corpus and the taxonomy that the layers were fitted on."""
    topic: Linear
    sentiment: Linear


def quantise(weights: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round weights, shape (features, classes), to eight bits with one scale per class."""
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-9) / 127.0
    return np.rint(weights / scale).astype(np.int8), scale.astype(np.float32)


def load_seed(path: Path | None = None) -> Seed:
    """Read the seed model.

    Parameters
    ----------
    path
        A file written by `python -m models.seed`; None = the shipped one.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another format.
    """
    name = "the shipped seed model" if path is None else str(path)
    try:
        if path is not None:
            with path.open("rb") as handle:
                return _read(handle, name)
        with files("models").joinpath("seed.npz").open("rb") as shipped:
            return _read(shipped, name)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"model {name}: cannot be read ({error}); write it again with python -m models.seed") from None


def _read(handle: IO[bytes], name: str) -> Seed:
    with np.load(handle, allow_pickle=False) as archive:
        if int(archive["format"]) != FORMAT:
            raise ModelError(f"model {name}: has format {int(archive['format'])}, expected {FORMAT}; update Qianshao")
        layers = [
            Linear(
                tuple(str(label) for label in archive[f"{task}_labels"]),
                archive[f"{task}_weights"].astype(np.float32) * archive[f"{task}_scale"],
                archive[f"{task}_bias"],
            )
            for task in ("topic", "sentiment")
        ]
        return Seed(int(archive["bits"]), str(archive["fingerprint"]), *layers)
