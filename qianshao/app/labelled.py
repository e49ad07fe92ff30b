"""Texts of a CSV file, with labels or without; whatever is wrong is named with its file and line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from qianshao.errors import InputError, OutputError

TEXT, LABEL = "text", "label"
PREDICTED, CONFIDENCE = "predicted", "confidence"
_GZIP = b"\x1f\x8b"
_MAX_FIELD_CHARS = 1_000_000


class Table(NamedTuple):
    """The rows of a CSV file."""

    columns: list[str]
    rows: list[list[str]]
    """Every row has as many cells as there are columns."""
    lines: list[int]
    """Line of the file on which each row ends."""
    sha256: str
    """Of the bytes of the file as it lies on disk."""

    def cells(self, column: str) -> list[str]:
        """Return one column from top to bottom."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]


def read_table(path: Path, needed: Sequence[str]) -> Table:
    """Read a CSV file (UTF-8, also gzipped, with a header).

    Parameters
    ----------
    path
        The file; gzip is recognised by content, not by name.
    needed
        Columns that must be there; others are kept.

    Raises
    ------
    InputError
        If it cannot be read, is no such file, lacks a column, or has no rows; the message names file and line.
    """
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if raw[:2] == _GZIP else raw
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name a CSV file") from None
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: is damaged gzip ({error}); pack it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a CSV file") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: is not UTF-8; save the file as CSV UTF-8") from None
    csv.field_size_limit(_MAX_FIELD_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        for column in needed:
            if columns.count(column) != 1:
                found = ",".join(columns)[:80] or "nothing"
                what = f"has no column '{column}'" if column not in columns else f"has two columns '{column}'"
                raise InputError(f"{path}, line 1: {what} (found: {found}); begin with the line {','.join(needed)}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}: has {len(row)} cells instead of {len(columns)}; "
                    "put texts that contain commas in double quotes"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is not CSV ({error})") from None
    if not rows:
        raise InputError(f"{path}: has no rows below its header; add some")
    return Table(columns, rows, lines, hashlib.sha256(raw).hexdigest())


def read_labelled(path: Path, *, empty_texts: bool) -> tuple[list[str], list[str], Table]:
    """Read texts and labels.

    Parameters
    ----------
    path
        CSV with the columns `text` and `label`.
    empty_texts
        Whether a text may be empty: nothing can be learnt from it, but it can be labelled.

    Raises
    ------
    InputError
        As `read_table`; also for an empty label, and for an empty text where none may be.
    """
    table = read_table(path, (TEXT, LABEL))
    texts, labels = table.cells(TEXT), [label.strip() for label in table.cells(LABEL)]
    for text, label, line in zip(texts, labels, table.lines, strict=True):
        if not label:
            raise InputError(f"{path}, line {line}: the label is empty; name one or remove the row")
        if not empty_texts and not text.strip():
            raise InputError(f"{path}, line {line}: the text is empty; remove the row")
    return texts, labels, table


def write_predictions(path: Path, table: Table, predicted: Sequence[str], confidence: Sequence[float]) -> None:
    """Write a table with `predicted` and `confidence` added, gzipped if the name ends in `.gz`; whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    kept = [place for place, name in enumerate(table.columns) if name not in (PREDICTED, CONFIDENCE)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*(table.columns[place] for place in kept), PREDICTED, CONFIDENCE])
    for row, label, sure in zip(table.rows, predicted, confidence, strict=True):
        writer.writerow([*(row[place] for place in kept), label, f"{sure:.4f}"])
    data = buffer.getvalue().encode("utf-8")
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # No time of packing inside: the same table gives the same bytes.
        partial.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror}); name another file") from None
