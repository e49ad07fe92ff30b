"""What every sink promises: the contract that one test suite proves over all of them."""

from __future__ import annotations

from typing import Protocol

from qianshao.outcome import Outcome


class Sink(Protocol):
    """Where outcomes leave the house.

    - `write` takes outcomes in order; the same rows given again, in whatever cut, change nothing.
    - After `flush` everything written survives `kill -9`; a flow calls it before it takes a snapshot.
    - `close` flushes, may be called twice, and ends the sink: a later `write` raises `StoreError`.
    """

    def write(self, outcome: Outcome) -> None:
        """Take one outcome."""
        ...

    def flush(self) -> None:
        """Hand everything taken so far to the store behind."""
        ...

    def close(self) -> None:
        """Flush and let go of the store."""
        ...
