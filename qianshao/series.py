"""What is counted: a measure, its value, and the dimensions it is counted under."""

from __future__ import annotations

from typing import NamedTuple


class Series(NamedTuple):
    """Identity of one count series; ordered and hashable, so that it is the same on every replay."""

    measure: str
    value: str
    dims: tuple[tuple[str, str], ...]
    """Pairs (dimension, value), sorted by dimension."""

    def __str__(self) -> str:
        """Write the series as it stands in an incident's signals.

        >>> str(Series("topic", "设备离线", (("firmware", "2.2.0"), ("product", "智能门锁"))))
        'topic:设备离线|firmware=2.2.0|product=智能门锁'
        """
        return "|".join((f"{self.measure}:{self.value}", *(f"{name}={value}" for name, value in self.dims)))
