"""Counts of one's own in regular bins, read from .npz or CSV; whatever is wrong is named with file and place."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qianshao.app.labelled import read_table
from qianshao.app.wording import plain
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, from_rfc3339, to_rfc3339
from qianshao.errors import InputError

BINS: dict[str, int] = {"1d": DAY_MS, "1h": HOUR_MS, "5min": 5 * MINUTE_MS, "1min": MINUTE_MS}
"""Lengths of a bin that can be asked for, in milliseconds."""

BYTES_A_CELL = 40
"""Memory of one bin of one series while it is scored and written."""
BYTES_A_SERIES = 1_024
MAXIMUM_COUNT = 1_000_000_000

_BIN_START, _SERIES, _COUNT = "bin_start", "series", "count"
_EARLIEST_MS, _LATEST_MS = 100_000_000_000, 32_472_144_000_000
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 - put into the reader's zone below
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)
"""What a damaged archive makes zipfile, zlib and numpy raise."""


class CountGrid(NamedTuple):
    """Counts of every series in every bin."""

    names: list[str]
    counts: NDArray[np.int32]
    """(series, bin)."""
    start_ms: int
    """Start of the first bin, epoch milliseconds."""
    bin_ms: int
    holiday: NDArray[np.float64]
    """(bin,) 0/1."""
    zone: tzinfo
    dated: bool
    """Whether the start is known; if not, it is some Monday at 00:00."""

    def bin_start(self, place: int) -> int:
        """Return when a bin starts, epoch milliseconds."""
        return self.start_ms + place * self.bin_ms

    def when(self, place: int) -> str:
        """Name a bin for people: its date, or which day it is where no date is known."""
        moment = datetime.fromtimestamp(self.bin_start(place) / 1000, tz=self.zone)
        day = f"{moment:%Y-%m-%d}" if self.dated else f"第 {place * self.bin_ms // DAY_MS + 1} 天"
        clock = f" {moment:%H:%M}" if self.bin_ms < DAY_MS else ""
        return f"{day} 周{'一二三四五六日'[moment.weekday()]}{clock}"


def available_bytes() -> int:
    """Return the memory that is free now, as far as the system says."""
    try:
        with open("/proc/meminfo", encoding="ascii") as handle:
            for line in handle:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def read_counts(path: Path, bin_ms: int, zone: tzinfo, *, memory_bytes: int) -> CountGrid:
    """Read counts of series in bins.

    Parameters
    ----------
    path
        ``.npz`` with `counts` (series, bins) of whole numbers ≥ 0 and, optionally, `holiday` (bins,) 0/1, `start`
        (epoch milliseconds, RFC 3339 or datetime64; a Monday at 00:00 without), `series` (names); or a CSV file, also
        gzipped, with the columns bin_start,series,count, ascending by bin_start, where an absent row is zero. A time
        without offset is in `zone`. Recognised by content, not by name.
    bin_ms
        Length of a bin.
    zone
        Time zone of what names none.
    memory_bytes
        How much memory the counts and their scores may take.

    Raises
    ------
    InputError
        If anything is not as above; the message names the file and the row or bin, what was expected and what to do.
    """
    try:
        with path.open("rb") as handle:
            beginning = handle.read(6)
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name an .npz or a CSV file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read ({reason}); name an .npz or a CSV file") from None
    if not beginning:
        raise InputError(f"{path}: is empty; expected an .npz with 'counts' or a CSV with bin_start,series,count")
    if beginning.startswith(b"\x93NUMPY"):
        raise InputError(f"{path}: is a single array (.npy); save it with numpy.savez(file, counts=array)")
    if beginning.startswith(b"PK"):
        return _read_archive(path, bin_ms, zone, memory_bytes)
    return _read_table(path, bin_ms, zone, memory_bytes)


# --- numpy archives ---------------------------------------------------------------------------------------------------


def _read_archive(path: Path, bin_ms: int, zone: tzinfo, memory_bytes: int) -> CountGrid:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist()}
            shape = _shape(archive, "counts.npy") if "counts" in members else None
    except _UNREADABLE as error:
        raise InputError(f"{path}: is damaged ({_said(error)}); write it again with numpy.savez") from None
    if shape is None:
        found = ", ".join(sorted(plain(name) for name in members))[:80] or "nothing"
        raise InputError(f"{path}: has no array 'counts' (found: {found}); write it with numpy.savez(file, counts=…)")
    if len(shape) != 2 or 0 in shape:
        advice = (
            "reshape it with counts.reshape(-1, counts.shape[-1])"
            if len(shape) > 2
            else "one row a series, one column a bin"
        )
        raise InputError(f"{path}: counts has the shape {shape}; expected (series, bins), neither of them 0: {advice}")
    _check_memory(path, shape[0], shape[1], memory_bytes, "")
    raw = _array(path, "counts")
    series, bins = shape
    names = _names(path, members, series)
    start_ms = _start(path, members, zone)
    counts = _whole_counts(path, raw, names)
    holiday = np.zeros(bins)
    if "holiday" in members:
        flags = _array(path, "holiday")
        if flags.shape != (bins,):
            raise InputError(
                f"{path}: holiday has the shape {flags.shape}; expected ({bins},), one 0 or 1 for each bin"
            )
        if flags.dtype.kind not in "biuf" or not np.isin(flags, (0, 1)).all():
            raise InputError(f"{path}: holiday holds other values than 0 and 1; set 1 for the bins of public holidays")
        holiday = flags.astype(np.float64)
    return CountGrid(names, counts, start_ms, bin_ms, holiday, zone, "start" in members)


def _shape(archive: zipfile.ZipFile, member: str) -> tuple[int, ...]:
    """Read the shape of an array without reading the array: a few bytes can claim terabytes."""
    with archive.open(member) as handle:
        version = np.lib.format.read_magic(handle)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, _ = read(handle)
    return tuple(int(length) for length in shape)


def _array(path: Path, name: str) -> NDArray[np.generic]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[name])
    except _UNREADABLE as error:
        raise InputError(f"{path}: '{name}' cannot be read ({_said(error)}); write it again with numpy.savez") from None


def _said(error: BaseException) -> str:
    return plain(str(error).split("\n")[0][:120] or type(error).__name__)


def _names(path: Path, members: set[str], series: int) -> list[str]:
    if "series" not in members:
        return [f"#{place}" for place in range(series)]
    named = _array(path, "series")
    if named.shape != (series,) or named.dtype.kind not in "Uiu":
        raise InputError(
            f"{path}: series has the shape {named.shape} and the type {named.dtype}; expected {series} names, "
            "one for each row of counts"
        )
    return [str(name).encode("utf-8", "replace").decode("utf-8") for name in named.tolist()]


def _start(path: Path, members: set[str], zone: tzinfo) -> int:
    if "start" not in members:
        return round(_MONDAY.replace(tzinfo=zone).timestamp() * 1000)
    start = _array(path, "start").reshape(-1)
    at: int | None = None
    if start.size == 1 and start.dtype.kind in "iu":
        at = int(start[0]) if 0 <= int(start[0]) <= _LATEST_MS else None
    elif start.size == 1 and start.dtype.kind in "UM":
        at = _moment(str(start[0]), zone)
    if at is None:
        raise InputError(
            f"{path}: start is neither epoch milliseconds nor a time such as 2026-01-05T00:00:00+08:00; "
            "give the start of the first bin"
        )
    return at


def _whole_counts(path: Path, raw: NDArray[np.generic], names: Sequence[str]) -> NDArray[np.int32]:
    if raw.dtype.kind not in "biuf":
        raise InputError(f"{path}: counts has the type {raw.dtype}; expected whole numbers (int32)")
    values = np.asarray(raw)
    wrong: list[tuple[str, NDArray[np.bool_], str]] = []
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        wrong.append(("is not a finite number", ~finite, "write 0 where nothing came, and leave out bins not observed"))
        wrong.append(("is a fraction", finite & (np.floor(values) != values), "give counts, not rates or means"))
    if values.dtype.kind in "if":
        wrong.append(("is negative", values < 0, "give counts, not differences"))
    if values.dtype.kind != "b":
        wrong.append((f"is above {MAXIMUM_COUNT:,}", values > MAXIMUM_COUNT, "is it a sum or an identifier?"))
    for what, where, advice in wrong:
        if where.any():
            series, place = (int(axis[0]) for axis in np.nonzero(where))
            raise InputError(
                f"{path}: counts[{series}, {place}] (series {plain(names[series])}, bin {place}) {what}: "
                f"{values[series, place]}; {advice}"
            )
    return values.astype(np.int32)


# --- tables -----------------------------------------------------------------------------------------------------------


def _read_table(path: Path, bin_ms: int, zone: tzinfo, memory_bytes: int) -> CountGrid:
    table = read_table(path, (_BIN_START, _SERIES, _COUNT))
    moments: dict[str, int] = {}
    places: dict[str, int] = {}
    rows: list[int] = []
    bins: list[int] = []
    counts: list[int] = []
    first = last = 0
    seen: dict[int, int] = {}
    for when, name, count, line in zip(
        table.cells(_BIN_START), table.cells(_SERIES), table.cells(_COUNT), table.lines, strict=True
    ):
        if when not in moments:
            at = _moment(when.strip(), zone)
            if at is None:
                raise InputError(
                    f"{path}, line {line}: bin_start {_shown(when)} is not a time between 1973 and 2999; write "
                    "2026-01-05T00:00:00+08:00, 2026-01-05 or epoch milliseconds"
                )
            moments[when] = at
        at = moments[when]
        if not rows:
            first = last = at
        if at < last:
            raise InputError(
                f"{path}, line {line}: bin_start {_shown(when)} is earlier than the row above it; "
                "sort the file by bin_start"
            )
        if at > last:
            last = at
            seen.clear()
        if (at - first) % bin_ms:
            raise InputError(
                f"{path}, line {line}: bin_start {_shown(when)} is not a whole number of bins after the first one, "
                f"{to_rfc3339(first, zone)}; give the start of each bin, and --bin as the file has it"
            )
        if not name.strip():
            raise InputError(f"{path}, line {line}: series is empty; name it")
        place = places.setdefault(name, len(places))
        if place in seen:
            raise InputError(
                f"{path}, line {line}: series {_shown(name)} has this bin already in line {seen[place]}; add the two up"
            )
        seen[place] = line
        rows.append(place)
        bins.append((at - first) // bin_ms)
        counts.append(_whole_count(path, line, count.strip()))
    length = (last - first) // bin_ms + 1
    _check_memory(
        path, len(places), length, memory_bytes, f", from {to_rfc3339(first, zone)} to {to_rfc3339(last, zone)}"
    )
    grid = np.zeros((len(places), length), np.int32)
    grid[rows, bins] = counts
    return CountGrid(list(places), grid, first, bin_ms, np.zeros(length), zone, True)


def _whole_count(path: Path, line: int, text: str) -> int:
    try:
        value = float(text) if len(text) <= 40 else None
    except ValueError:
        value = None
    if value is None or not np.isfinite(value):
        raise InputError(f"{path}, line {line}: count {_shown(text)} is not a whole number; write 0 where nothing came")
    if value < 0:
        raise InputError(f"{path}, line {line}: count {_shown(text)} is negative; give counts, not differences")
    if value != int(value):
        raise InputError(f"{path}, line {line}: count {_shown(text)} is a fraction; give counts, not rates or means")
    if value > MAXIMUM_COUNT:
        raise InputError(
            f"{path}, line {line}: count {_shown(text)} is above {MAXIMUM_COUNT:,}; is it a sum or an identifier?"
        )
    return int(value)


def _moment(text: str, zone: tzinfo) -> int | None:
    """Read a time as epoch milliseconds; one without offset is in `zone`. None = it is no time of 1973 to 2999.

    Digits alone are milliseconds, or a date if there are eight; seconds are not taken, they would lie in 1970.
    """
    try:
        if text.isascii() and text.isdigit() and len(text) != len("20260105"):
            value = int(text) if len(text) <= 15 else -1
        else:
            moment = datetime.fromisoformat(text)
            value = from_rfc3339((moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat())
    except (ValueError, OverflowError):
        return None
    return value if _EARLIEST_MS <= value <= _LATEST_MS else None


def _shown(text: str) -> str:
    return f"'{plain(text[:40])}'"


def _check_memory(path: Path, series: int, bins: int, memory_bytes: int, span: str) -> None:
    needed = series * bins * BYTES_A_CELL + series * BYTES_A_SERIES
    if needed > memory_bytes:
        raise InputError(
            f"{path}: {series:,} series × {bins:,} bins{span} need {needed / 2**30:,.1f} GiB, "
            f"{memory_bytes / 2**30:,.1f} GiB are free; give fewer series or less time at once, or larger bins"
        )
