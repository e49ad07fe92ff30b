"""Linear layers over hashed features: the shipped seed model, kept as numbers in one archive without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from qianshao.errors import ModelError

FORMAT = 1

Model = TypeVar("Model")


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
    return read_archive(path, "seed.npz", "the shipped seed model", "python -m models.seed", _read)


def read_archive(
    path: Path | None, shipped: str, called: str, command: str, read: Callable[[IO[bytes], str], Model]
) -> Model:
    """Read a model that is numbers in one archive.

    Parameters
    ----------
    path
        A file; None = the shipped one.
    shipped, called
        File name of the shipped one in this package, and what messages call it.
    command
        What writes it again.
    read
        Takes the open file and its name in messages.

    Raises
    ------
    ModelError
        If the file is missing or damaged, or `read` says so.
    """
    name = called if path is None else str(path)
    try:
        if path is not None:
            with path.open("rb") as handle:
                return read(handle, name)
        with files("models").joinpath(shipped).open("rb") as own:
            return read(own, name)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"model {name}: cannot be read ({error}); write it again with {command}") from None


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
