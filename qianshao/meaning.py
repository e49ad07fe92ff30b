"""What a short text means, as numbers that other words for the same thing share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNIT = 127
"""Length of a vector of meaning."""
WIDTH = 512


class Meaning(NamedTuple):
    """A text as a direction, and how likely it tells of something that failed."""

    vector: NDArray[np.int8]
    """Shape (WIDTH,), whole numbers: products of two are exact in any order of summing, so that a decision never
    depends on how texts were batched."""
    trouble: float
    """0–1."""
