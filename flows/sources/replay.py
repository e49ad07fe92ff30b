"""Files of events read in turn, the one whose time is furthest behind first."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from flows.batch import RawBatch
from flows.decode import MAX_LINE_BYTES, timestamp_ms
from qianshao.errors import InputError

BLOCK_BYTES = 1 << 18
"""How much is read at once."""

BATCH_BYTES = 4 << 20
"""A batch of long lines ends here even if it has fewer lines than asked for."""

_TIME = re.compile(rb'"ts"\s*:\s*(?:"([^"]{1,64})"|([0-9]{1,15}))')


class _Source(Protocol):
    def read1(self, size: int, /) -> bytes: ...


def check_inputs(paths: Sequence[Path]) -> None:
    """Refuse what cannot be replayed before anything is started.

    Raises
    ------
    InputError
        If no path is given, or one is missing, a folder, no ordinary file, not readable, named twice, or named neither
        `.jsonl` nor `.jsonl.gz`.
    """
    if not paths:
        raise InputError("no input: name at least one event file (.jsonl or .jsonl.gz)")
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name the event files in it (.jsonl or .jsonl.gz)")
        if not path.name.endswith((".jsonl", ".jsonl.gz")):
            raise InputError(f"{path}: has an unknown suffix; an event file ends in .jsonl or .jsonl.gz")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is not an ordinary file; save the events to a file and name that")
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); name an existing event file") from None
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise InputError(f"{path}: is named twice; name each event file once")
        seen.add(path.resolve())


class _Lines:
    """Lines of one file, of which none ever takes more memory than the longest allowed."""

    def __init__(self, path: Path) -> None:
        self._file: BufferedReader = path.open("rb")
        self._size = max(1, path.stat().st_size)
        self._source: _Source = gzip.GzipFile(fileobj=self._file) if path.suffix == ".gz" else self._file
        self._tail = b""
        self._overlong = False
        self.failure = ""
        self._path = path

    @property
    def read_bytes(self) -> int:
        return min(self._file.tell(), self._size)

    def close(self) -> None:
        self._file.close()

    def blocks(self) -> Iterator[list[bytes]]:
        """Yield the complete lines of one block after the other; the rest of an overlong line is dropped."""
        while block := self._block():
            head, *rest = block.split(b"\n")
            self._grow(head)
            if rest:
                lines = [self._tail, *rest[:-1]]
                self._tail, self._overlong = b"", False
                self._grow(rest[-1])
                yield lines
        if self._tail:
            yield [self._tail]

    def _grow(self, piece: bytes) -> None:
        if not self._overlong:
            self._tail += piece
            if len(self._tail) > MAX_LINE_BYTES:
                self._tail, self._overlong = self._tail[: MAX_LINE_BYTES + 1], True

    def _block(self) -> bytes:
        pieces: list[bytes] = []
        missing = BLOCK_BYTES
        while missing > 0 and not self.failure:
            try:
                piece = self._source.read1(missing)
            except (EOFError, OSError, zlib.error) as error:
                self.failure = (
                    f"{self._path}: cannot be read to its end ({error}); what was read before is accounted, "
                    "give the file whole and replay again"
                )
                break
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


class FileReader:
    """Cuts one file into batches.

    Parameters
    ----------
    path, partition
        The file and its index among the sources.
    batch_size
        Lines in a batch.
    """

    def __init__(self, path: Path, partition: int, batch_size: int) -> None:
        self._name = str(path)
        self._partition = partition
        self._batch_size = batch_size
        self._lines = _Lines(path)
        self._blocks = self._lines.blocks()
        self._ready: list[bytes] = []
        self._taken = 0
        self._sequence = 0
        self._first = 1
        self.time = -1
        """Event time that has about been reached, for pacing only; −1 before the first block."""
        self.read_bytes = 0
        """How far into the file the reading has come."""
        self.done = False

    def next(self) -> RawBatch:
        """Read one more batch; the last one says so, and may be empty."""
        lines: list[bytes] = []
        size = 0
        ended = False
        while len(lines) < self._batch_size and size < BATCH_BYTES:
            if self._taken == len(self._ready):
                following = next(self._blocks, None)
                if following is None:
                    ended = True
                    break
                self._ready, self._taken = following, 0
                self._peek(following[-1])
            part = self._ready[self._taken : self._taken + self._batch_size - len(lines)]
            self._taken += len(part)
            size += sum(map(len, part))
            lines += part
        batch = RawBatch(
            source=self._name,
            partition=self._partition,
            sequence=self._sequence,
            first=self._first,
            lines=lines,
            last=ended,
            failure=self._lines.failure if ended else "",
        )
        self._sequence += 1
        self._first += len(lines)
        self.read_bytes = self._lines.read_bytes
        if ended:
            self.close()
        return batch

    def close(self) -> None:
        """Let go of the file; nothing more is read."""
        if not self.done:
            self.done = True
            self._lines.close()

    def _peek(self, line: bytes) -> None:
        found = _TIME.search(line)
        if found is None:
            return
        try:
            self.time = int(found[2]) if found[2] else timestamp_ms(found[1].decode())
        except (ValueError, OverflowError):
            return


class FilesReader:
    """Reads several files in turn, always the one whose time is furthest behind: buffers stay small.

    Parameters
    ----------
    paths
        The files; the index of each is its partition.
    batch_size
        Lines in a batch.
    """

    def __init__(self, paths: Sequence[Path], batch_size: int) -> None:
        self._readers = [FileReader(path, index, batch_size) for index, path in enumerate(paths)]
        self._total = max(1, sum(path.stat().st_size for path in paths))

    def next(self, stopped: Sequence[int]) -> RawBatch | None:
        """Read the next batch, None at the end of all files; partitions in `stopped` are not read on."""
        for index in stopped:
            self._readers[index].close()
        reader = min((r for r in self._readers if not r.done), key=lambda r: r.time, default=None)
        if reader is None:
            return None
        batch = reader.next()
        batch.fraction = min(1.0, sum(each.read_bytes for each in self._readers) / self._total)
        return batch

    def close(self) -> None:
        """Let go of all files."""
        for reader in self._readers:
            reader.close()
