"""Lines of bytes become events, or rejections with a named reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import msgspec

from qianshao.event import MAX_TEXT_CHARS, RawEvent

MAX_LINE_BYTES = 1 << 20
"""A longer line is not parsed at all."""

YEAR_2000_MS = 946_684_800_000
YEAR_9999_MS = 253_370_764_800_000
"""Beyond it no calendar of ours can write the time."""

MAX_ID_CHARS = 128

_FIELDS = frozenset(RawEvent.__struct_fields__) - {"extra"}
FIELDS_BY_KIND: dict[str, tuple[str, ...]] = {
    "chat": ("conversation", "role", "text"),
    "call": ("conversation", "role", "text", "confidence"),
    "ticket": ("ticket", "type", "status", "text", "conversation"),
    "device": ("device", "level", "code", "message", "metrics"),
    "rating": ("conversation", "score"),
}
_ALL_KINDS_OWN = frozenset(name for names in FIELDS_BY_KIND.values() for name in names)
_FOREIGN = {kind: _ALL_KINDS_OWN.difference(names) for kind, names in FIELDS_BY_KIND.items()}
ROLES = frozenset(("customer", "agent", "bot"))
LEVELS = frozenset(("debug", "info", "warn", "error", "fatal"))

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_BOM = b"\xef\xbb\xbf"


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Why a line is not an event, and its kind where it could be read."""

    reason: str
    kind: str = ""


class _RejectedError(Exception):
    """Carries a `Rejected` out of the checks."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.reason)
        self.rejected = rejected


def timestamp_ms(text: str) -> int:
    """Read a strict RFC 3339 time with an offset as epoch milliseconds, rounding down.

    Any number of fraction digits is accepted, and a leap second is the second after :59.

    Raises
    ------
    ValueError
        If the text is anything else; other ISO 8601 forms are too.

    >>> timestamp_ms("2025-12-11T00:00:00.675999999+08:00")
    1765382400675
    """
    if _RFC3339.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not RFC 3339 with an offset")
    if text[-1] == "z":
        text = text[:-1] + "Z"
    if text[17:19] == "60":
        return (datetime.fromisoformat(text[:17] + "59" + text[19:]) - _EPOCH) // _MILLISECOND + 1000
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def decode(lines: Sequence[bytes]) -> list[RawEvent | Rejected | None]:
    """Read each line as one event.

    Parameters
    ----------
    lines
        Lines without their newline; a carriage return at the end and a byte order mark at the start are tolerated.

    Returns
    -------
    list
        One entry for each line, in order: the event, why it is none, or None for a line of white space, which is no
        record. Only `id`, `kind` and `ts` are required; null counts as absent; a field of the event's own kind must
        have its type and its set, a field of another kind that has the wrong one is kept as unknown. Unknown fields
        are kept in `extra`. Of a repeated key the last value counts. A lone surrogate escape becomes U+FFFD.

    Notes
    -----
    About 6 µs a line. Fails on nothing: each bad line is a `Rejected`.
    """
    return [_decode_line(line) for line in lines]


def _decode_line(line: bytes) -> RawEvent | Rejected | None:
    fields = read_object(line)
    if fields is None or isinstance(fields, Rejected):
        return fields
    try:
        return _event(fields)
    except _RejectedError as error:
        return error.rejected


def read_object(line: bytes) -> dict[str, Any] | Rejected | None:
    """Read one line as a JSON object; None for a line of white space, which is no record."""
    try:
        fields: object = _json_decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not line.strip():
            return None
        try:
            fields = _parse_again(line)
        except _RejectedError as error:
            return error.rejected
    if len(line) > MAX_LINE_BYTES:
        return Rejected("line_too_long")
    return fields if type(fields) is dict else Rejected("not_an_object")


_json_decode = msgspec.json.Decoder().decode


def _parse_again(line: bytes) -> object:
    """Tell why the fast parser refused a line, and read what only it cannot."""
    if len(line) > MAX_LINE_BYTES:
        raise _RejectedError(Rejected("line_too_long"))
    if line.startswith(_BOM):
        line = line[len(_BOM) :]
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _RejectedError(Rejected("not_utf8")) from None
    try:
        return _without_lone_surrogates(json.loads(text, parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError):
        raise _RejectedError(Rejected("not_json")) from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _without_lone_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_lone_surrogates(name): _without_lone_surrogates(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    return value


def _event(fields: dict[str, Any]) -> RawEvent:
    if None in fields.values():
        fields = {name: value for name, value in fields.items() if value is not None}
    kind = fields.get("kind")
    known = kind if type(kind) is str and kind in FIELDS_BY_KIND else ""
    identity = fields.get("id")
    if type(identity) is not str or not 0 < len(identity) <= MAX_ID_CHARS:
        raise _RejectedError(Rejected("missing_id" if identity is None else "bad_id", known))
    if not known:
        raise _RejectedError(Rejected("missing_kind" if kind is None else "unknown_kind"))
    ts = fields.get("ts")
    if type(ts) is str:
        try:
            fields["ts"] = ts = timestamp_ms(ts)
        except (ValueError, OverflowError):
            raise _RejectedError(Rejected("bad_timestamp", known)) from None
    elif type(ts) is not int:
        raise _RejectedError(Rejected("missing_timestamp" if ts is None else "bad_timestamp", known))
    unknown = fields.keys() - _FIELDS
    if unknown:
        fields["extra"] = {name: fields.pop(name) for name in sorted(unknown)}
    try:
        event = _convert(fields, known)
    except (msgspec.ValidationError, OverflowError):
        raise _RejectedError(Rejected("bad_field", known)) from None
    if len(event.text or "") > MAX_TEXT_CHARS or len(event.message or "") > MAX_TEXT_CHARS:
        raise _RejectedError(Rejected("text_too_long", known))
    if not YEAR_2000_MS <= ts < YEAR_9999_MS:
        raise _RejectedError(Rejected("implausible_timestamp", known))
    return event


def _convert(fields: dict[str, Any], kind: str) -> RawEvent:
    """Check types and sets; what only the definition of another kind forbids moves to the unknown fields."""
    try:
        return _checked(msgspec.convert(fields, RawEvent))
    except msgspec.ValidationError:
        foreign = {name: fields[name] for name in sorted(_FOREIGN[kind] & fields.keys())}
        if not foreign:
            raise
        own = {name: value for name, value in fields.items() if name not in foreign}
        own["extra"] = {**own.get("extra", {}), **foreign}
        return _checked(msgspec.convert(own, RawEvent))


def _checked(event: RawEvent) -> RawEvent:
    if (
        (event.role is not None and event.role not in ROLES)
        or (event.level is not None and event.level not in LEVELS)
        or (event.score is not None and not 1 <= event.score <= 5)
        or (event.confidence is not None and not 0 <= event.confidence <= 1)
    ):
        raise msgspec.ValidationError("a value is outside its set")
    return event
