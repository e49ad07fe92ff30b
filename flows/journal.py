"""The journal of the clock: what the wall clock made of idle sources, kept so that a second reading says the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from qianshao.clock import HOUR_MS
from qianshao.errors import StoreError

KEPT_MS = HOUR_MS
"""Beats older than this are forgotten: a snapshot is never that old while the service runs."""

TRIMMED_BYTES = 8 << 20


class Beat(msgspec.Struct, array_like=True, frozen=True):
    """Before the record at `offset` of `source` was read, its clock was taken to have reached `clock`."""

    source: str
    offset: int
    clock: int
    """Event time, epoch milliseconds."""
    written: int
    """Wall clock, epoch milliseconds."""


class Journal:
    """Beats in one append-only file, on disk before anybody acts on them.

    Parameters
    ----------
    path
        The file; made if it is not there. A last line that a killed process left unfinished is dropped.

    Raises
    ------
    StoreError
        If the file cannot be read or written.

    Notes
    -----
    One forced write a call. The file holds the last hour and at most 8 MB more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        try:
            self._beats = self._read()
            self._rewrite()
        except OSError as error:
            raise self._trouble(error) from None

    def _read(self) -> list[Beat]:
        if not self._path.exists():
            return []
        decoder = msgspec.json.Decoder(Beat)
        beats = []
        for line in self._path.read_bytes().split(b"\n")[:-1]:
            try:
                beats.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise StoreError(
                    f"{self._path}: holds a line that is not ours ({error}); name another run.state"
                ) from None
        return beats

    def _rewrite(self) -> None:
        temporary = self._path.with_suffix(".part")
        with temporary.open("wb") as handle:
            handle.writelines(self._encoder.encode(beat) + b"\n" for beat in self._beats)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(self._path)
        self._handle = self._path.open("ab", buffering=0)
        self._size = self._handle.tell()

    def _trouble(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._path}: cannot be written ({error.strerror}); free space or make it writable, then start again"
        )

    def after(self, offsets: Mapping[str, int]) -> dict[str, list[Beat]]:
        """Return what a reader that goes on at these offsets must say again, by source and in order."""
        again: dict[str, list[Beat]] = {}
        for beat in self._beats:
            if beat.offset >= offsets.get(beat.source, 0):
                again.setdefault(beat.source, []).append(beat)
        return again

    def write(self, beats: Iterable[Beat]) -> None:
        """Put beats on disk; when this returns they survive a crash."""
        new = list(beats)
        self._beats += new
        try:
            if self._size > TRIMMED_BYTES:
                horizon = new[-1].written - KEPT_MS
                self._beats = [beat for beat in self._beats if beat.written >= horizon]
                self._handle.close()
                self._rewrite()
                return
            self._size += self._handle.write(b"".join(self._encoder.encode(beat) + b"\n" for beat in new))
            os.fdatasync(self._handle.fileno())
        except OSError as error:
            raise self._trouble(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._handle.close()
