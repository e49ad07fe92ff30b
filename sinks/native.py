"""ClickHouse's Native format as a reader of a later protocol revision expects it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from qianshao.errors import QueryError

_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""Field 1, not overflows; field 2, bucket −1; the end."""

_SERIALIZATION_REVISION = 54_454
"""From here on, every column says whether its serialization is a special one."""

_BYTES = {
    "Bool": 1,
    "Nothing": 1,
    "Date": 2,
    "BFloat16": 2,
    "Date32": 4,
    "DateTime": 4,
    "IPv4": 4,
    "Time": 4,
    "DateTime64": 8,
    "Time64": 8,
    "UUID": 16,
    "IPv6": 16,
    "Decimal32": 4,
    "Decimal64": 8,
    "Decimal128": 16,
    "Decimal256": 32,
}
"""Width of a value whose type does not say it."""

_TYPE = re.compile(r"(\w+)(?:\((.*)\))?", re.ASCII | re.DOTALL)


def at_revision(data: bytes, revision: int) -> bytes:
    """Write Native blocks of revision 0, which is what the embedded engine gives, as a reader of `revision` expects.

    Where a column ends is known only by walking over it: about 30 ms per 100 000 strings, next to nothing for numbers.

    Parameters
    ----------
    data
        Blocks of revision 0.
    revision
        `client_protocol_version` of the reader; 0 leaves everything as it is.

    Raises
    ------
    QueryError
        If a column is of a type that we do not walk over (JSON, Variant, aggregate states …).
    """
    if revision <= 0:
        return data
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at
        columns, at = _number(data, at)
        rows, at = _number(data, at)
        pieces += [_BLOCK_INFO, data[begin:at]]
        for _ in range(columns):
            begin = at
            _, at = _text(data, at)
            kind, at = _text(data, at)
            pieces.append(data[begin:at])
            if revision >= _SERIALIZATION_REVISION:
                pieces.append(b"\x00")
            begin = at
            if rows:
                # Each dictionary in the type announces its version before the values begin.
                at = _after(kind, rows, data, at + 8 * kind.count("LowCardinality("))
            pieces.append(data[begin:at])
    return b"".join(pieces)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _text(data: bytes, at: int) -> tuple[str, int]:
    length, at = _number(data, at)
    return data[at : at + length].decode(), at + length


def _after(kind: str, rows: int, data: bytes, at: int) -> int:
    """Return the position behind `rows` values of a type that begin at `at`."""
    found = _TYPE.fullmatch(kind)
    name, arguments = (found[1], found[2] or "") if found else (kind, "")
    if name == "String":
        for _ in range(rows):
            length = data[at]
            at += 1
            if length >= 0x80:
                length, at = _number(data, at - 1)
            at += length
        return at
    if name == "FixedString":
        return at + rows * int(arguments)
    if name == "Nullable":
        return _after(arguments, rows, data, at + rows)
    if name in ("Array", "Map"):
        end = at + 8 * rows
        held = int(np.frombuffer(data, dtype="<u8", count=1, offset=end - 8)[0])
        for each in _parts(arguments):
            end = _after(each, held, data, end) if held else end
        return end
    if name == "Tuple":
        for each in _parts(arguments):
            at = _after(re.sub(r"^(?:\w+|`[^`]*`) (?=\w)", "", each), rows, data, at)
        return at
    if name == "LowCardinality":
        flags, keys = (int(value) for value in np.frombuffer(data, dtype="<u8", count=2, offset=at))
        at = _after(re.sub(r"^Nullable\((.*)\)$", r"\1", arguments), keys, data, at + 16)
        return at + 8 + (rows << (flags & 0xFF))
    if name == "SimpleAggregateFunction":
        return _after(list(_parts(arguments))[-1], rows, data, at)
    return at + rows * _width(name, arguments)


def _width(name: str, arguments: str) -> int:
    if name in _BYTES:
        return _BYTES[name]
    if name == "Decimal":
        digits = int(arguments.partition(",")[0])
        return 4 if digits <= 9 else 8 if digits <= 18 else 16 if digits <= 38 else 32
    if name.startswith("Interval"):
        return 8
    sized = re.fullmatch(r"(?:U?Int|Float|Enum)(8|16|32|64|128|256)", name)
    if sized is None:
        raise QueryError(
            f"Code: 50. DB::Exception: columns of type {name} are not sent to a reader of Native here; "
            "cast them with toString. (UNKNOWN_TYPE)",
            code=50,
        )
    return int(sized[1]) // 8


def _parts(arguments: str) -> Iterator[str]:
    """Split the arguments of a type at its own commas."""
    depth = begin = 0
    quoted = ""
    for index, letter in enumerate(arguments):
        if quoted:
            quoted = "" if letter == quoted and arguments[index - 1] != "\\" else quoted
        elif letter in "'`":
            quoted = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "," and depth == 0:
            yield arguments[begin:index].strip()
            begin = index + 1
    if arguments:
        yield arguments[begin:].strip()
