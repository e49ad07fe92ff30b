"""Texts as rows of a sparse matrix: hashed character 1–3-grams and words, a whole batch at a time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


def _scatter(values: NDArray[np.uint64], bits: int) -> NDArray[np.int32]:
    """Spread integers over 2**bits buckets: the upper bits of a multiplication are well mixed."""
    mixed = values * _MIX[0]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX[1]
    return (mixed >> np.uint64(64 - bits)).astype(np.int32)


@lru_cache(maxsize=50_000)
def _word_hash(word: str) -> int:
    return zlib.crc32(b"w" + word.encode("utf-8", "replace"))


def feature_matrix(texts: Sequence[str], words: Sequence[Sequence[str]], bits: int) -> sparse.csr_matrix:
    """Hash every text into one row.

    Parameters
    ----------
    texts
        Normalised, masked texts; an empty text gives an empty row.
    words
        The words of each text, same length as `texts`.
    bits
        The matrix has 2**bits columns.

    Returns
    -------
    csr_matrix, shape (len(texts), 2**bits), float32
        Counts of hashed character 1-, 2- and 3-grams and words, each row divided by the root of its sum of counts.
        A row depends on its own text alone, not on the batch; the hash is the same in every process.

    Notes
    -----
    About 3 µs a text in batches of hundreds, most of it in numpy; a batch of one costs 60 µs.
    """
    count = len(texts)
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, texts), np.int64, count)
    rows = np.repeat(np.arange(count, dtype=np.int64), lengths)
    indices = [_scatter(codes, bits)]
    owners = [rows]
    grams = codes
    for size in (2, 3):
        if len(codes) < size:
            break
        grams = grams[:-1] * _MIX[2] + codes[size - 1 :] + np.uint64(size)
        inside = rows[: len(grams)] == rows[size - 1 :]
        indices.append(_scatter(grams[inside], bits))
        owners.append(rows[: len(grams)][inside])
    word_counts = np.fromiter(map(len, words), np.int64, count)
    total = int(word_counts.sum())
    word_codes = np.fromiter((_word_hash(word) for some in words for word in some), np.uint64, total)
    indices.append(_scatter(word_codes + (np.uint64(1) << np.uint64(40)), bits))
    owners.append(np.repeat(np.arange(count, dtype=np.int64), word_counts))
    column = np.concatenate(indices)
    row = np.concatenate(owners)
    sums = np.bincount(row, minlength=count)
    order = np.argsort(row, kind="stable")
    indptr = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(sums, out=indptr[1:])
    values = (1.0 / np.sqrt(np.maximum(sums, 1)))[row[order]].astype(np.float32)
    return sparse.csr_matrix((values, column[order], indptr), shape=(count, 1 << bits))
