"""JSON-lines files of a replay: incidents, pushes, dead letters, trends, and the summary beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Mapping
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path

import msgspec

from qianshao.clock import to_rfc3339
from qianshao.errors import OutputError, StoreError
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome
from qianshao.push import Push, Trend
from sinks.messages import deadletter_lines

REMEMBERED_ROWS = 200_000
"""How many of the newest rows of each file are known by key: a retry never reaches further back than one snapshot."""

_encoder = msgspec.json.Encoder()


class _IncidentKey(msgspec.Struct):
    incident: str
    version: int


class _PushKey(msgspec.Struct):
    push: str
    state: str


class _DeadLetterKey(msgspec.Struct):
    source: str
    position: int


class _TrendKey(msgspec.Struct):
    item: str


def prepare_output(path: Path) -> None:
    """Make `path` an existing, empty, writable folder, or say why it cannot be one.

    Raises
    ------
    OutputError
        If it is a file, holds anything, cannot be created or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputError(
            f"output folder {path}: it, or a parent of it, is a file; name a new or an empty folder"
        ) from None
    except OSError as error:
        raise OutputError(
            f"output folder {path}: cannot be created ({error.strerror}); name one below a folder you may write"
        ) from None
    try:
        occupant = next(iter(sorted(entry.name for entry in path.iterdir())), None)
    except OSError as error:
        raise OutputError(f"output folder {path}: cannot be read ({error.strerror}); name a new folder") from None
    if occupant is not None:
        raise OutputError(f"output folder {path}: is not empty (it holds {occupant}); name a new or an empty folder")
    probe = path / ".qianshao-probe"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"output folder {path}: cannot be written ({error.strerror}); name one that you may write"
        ) from None


def write_summary(directory: Path, summary: Mapping[str, object]) -> None:
    """Write `summary.json` whole or not at all: a reader never sees half of it.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    target = directory / "summary.json"
    temporary = directory / ".summary.json.part"
    try:
        with temporary.open("w", encoding="utf-8") as handle:
            json.dump(summary, handle, ensure_ascii=False, indent=2)
            handle.write("\n")
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _cannot_write(target, error) from None


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: cannot be written ({error.strerror}); free space or make it writable, then run again")


class _LineFile:
    """One JSON-lines file that knows the keys of its newest rows and appends only what is not there."""

    def __init__(self, path: Path, key_type: type[msgspec.Struct]) -> None:
        self.path = path
        self._keys: dict[Hashable, None] = {}
        try:
            path.touch()
            self._size = self._recover(key_type)
            os.truncate(path, self._size)
            # Unbuffered: what `append` could not write must not lie in wait for the next call.
            self._handle = path.open("ab", buffering=0)
        except OSError as error:
            raise _cannot_write(path, error) from None

    def _recover(self, key_type: type[msgspec.Struct]) -> int:
        """Learn the keys that are there; return where a last line begins that a killed process left unfinished."""
        decoder = msgspec.json.Decoder(key_type)
        whole = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                try:
                    self._remember(msgspec.structs.astuple(decoder.decode(line)))
                except msgspec.MsgspecError as error:
                    raise StoreError(
                        f"{self.path}: holds a line at byte {whole} that is not ours ({error}); name a new folder"
                    ) from None
                whole += len(line)
        return whole

    def _remember(self, key: Hashable) -> bool:
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > REMEMBERED_ROWS:
            del self._keys[next(iter(self._keys))]
        return True

    def append(self, rows: Iterable[tuple[Hashable, msgspec.Struct]]) -> None:
        """Write the rows whose key is new, all of them or none."""
        chunk = bytearray()
        keys: list[Hashable] = []
        for key, row in rows:
            if self._remember(key):
                keys.append(key)
                chunk += _encoder.encode(row)
                chunk += b"\n"
        written = 0
        try:
            while written < len(chunk):
                written += self._handle.write(memoryview(chunk)[written:])
        except OSError as error:
            self._handle.truncate(self._size)
            for key in keys:
                self._keys.pop(key, None)
            raise _cannot_write(self.path, error) from None
        self._size += written

    def close(self) -> None:
        try:
            os.fsync(self._handle.fileno())
        except OSError as error:
            raise _cannot_write(self.path, error) from None
        finally:
            self._handle.close()


class JsonLines:
    """The sink into `incidents.jsonl`, `pushes.jsonl`, `deadletters.jsonl` and `trends.jsonl` of one folder.

    All four exist from the start. A row is known by its key, (incident, version), (push, state), (source, position) or
    item, so that an outcome given again, even cut differently, even after a restart into the same folder, adds nothing.

    Parameters
    ----------
    directory
        An existing folder; see `prepare_output`. Files of an interrupted run are continued.
    zone
        Service time zone, in which `at` of dead letters is written.

    Raises
    ------
    StoreError
        If a file cannot be opened or written (disk full, no permission); the message names it.
    """

    def __init__(self, directory: Path, zone: tzinfo) -> None:
        self._directory = directory
        self._zone = zone
        self._closed = False
        with ExitStack() as opened:

            def line_file(name: str, key_type: type[msgspec.Struct]) -> _LineFile:
                file = _LineFile(directory / f"{name}.jsonl", key_type)
                opened.callback(file.close)
                return file

            self._incidents = line_file("incidents", _IncidentKey)
            self._pushes = line_file("pushes", _PushKey)
            self._deadletters = line_file("deadletters", _DeadLetterKey)
            self._trends = line_file("trends", _TrendKey)
            self._files = opened.pop_all()

    def write(self, outcome: Outcome) -> None:
        """Append what is new in `outcome`, one write per file."""
        if self._closed:
            raise StoreError(f"output folder {self._directory}: is closed; open a new sink before writing")
        self._incidents.append(_incident_rows(outcome.incidents))
        self._pushes.append(_push_rows(outcome.pushes))
        if outcome.deadletters:
            at = to_rfc3339(outcome.watermark, self._zone)
            self._deadletters.append(
                ((line.source, line.position), line) for line in deadletter_lines(outcome.deadletters, at)
            )
        self._trends.append(_trend_rows(outcome.trends))

    def flush(self) -> None:
        """Nothing is held back: every `write` has already handed its rows to the system."""

    def close(self) -> None:
        """Force all four files to disk and close them."""
        if self._closed:
            return
        self._closed = True
        self._files.close()


def _incident_rows(changes: Iterable[IncidentChange]) -> Iterable[tuple[Hashable, msgspec.Struct]]:
    return (((change.incident, change.version), change) for change in changes)


def _push_rows(pushes: Iterable[Push]) -> Iterable[tuple[Hashable, msgspec.Struct]]:
    return (((push.push, push.state), push) for push in pushes)


def _trend_rows(trends: Iterable[Trend]) -> Iterable[tuple[Hashable, msgspec.Struct]]:
    return (((trend.item,), trend) for trend in trends)
