"""Dirt of every kind: what arrives beside the good lines and must never hurt them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

from flows.sources.world.people import Weighted
from flows.sources.world.timeline import Record, stamp

DIRT_SHARE = 0.006
"""Share of lines that are followed by a damaged copy of themselves."""


class Line(NamedTuple):
    """One line of the file, without its line feed; `fault` is '' for a good one and names the dirt otherwise."""

    data: bytes
    fault: str


FAULTS: tuple[tuple[str, float], ...] = (
    ("duplicate", 0.28),
    ("malformed", 0.08),
    ("truncated", 0.1),
    ("blank", 0.06),
    ("not_an_object", 0.04),
    ("wrong_type", 0.1),
    ("unknown_kind", 0.06),
    ("missing_id", 0.05),
    ("null_ts", 0.04),
    ("ancient_ts", 0.03),
    ("future_ts", 0.03),
    ("clock_ahead", 0.02),
    ("no_offset", 0.02),
    ("invalid_utf8", 0.03),
    ("nul", 0.03),
    ("overlong", 0.01),
    ("extra_fields", 0.05),
)
_FAULT = Weighted(FAULTS)
_TS = re.compile(rb'"ts":("[^"]*"|\d+)')
_ID = re.compile(rb'"id":"[^"]*"')
_KIND = re.compile(rb'"kind":"[^"]*"')
_TEXT = re.compile(rb'"(text|message)":"')


def _with(pattern: re.Pattern[bytes], data: bytes, value: bytes) -> bytes:
    return pattern.sub(lambda _: value, data, count=1)


def _damage(rng: Random, record: Record, fault: str) -> bytes:
    """Return the damaged copy; every copy that stays readable gets an id of its own."""
    data = record.data
    if fault == "duplicate":
        return data
    data = _with(_ID, data, f'"id":"x{rng.getrandbits(48):012x}"'.encode())
    if fault == "malformed":
        return data.replace(b'":', rng.choice((b'" ', b"':", b'"=')), 1)
    if fault == "truncated":
        return data[: rng.randint(5, max(6, len(data) - 2))]
    if fault == "blank":
        return rng.choice((b"", b"   ", b"\t"))
    if fault == "not_an_object":
        return rng.choice((b"null", b"[]", b'"ping"', b"0", b"[" + data + b"]"))
    if fault == "wrong_type":
        return rng.choice(
            (
                _with(_TS, data, b'"ts":"yesterday noon"'),
                _with(_TS, data, b'"ts":{"at":1}'),
                _with(_KIND, data, b'"kind":["chat"]'),
                _with(_ID, data, b'"id":%d' % rng.randrange(10**9)),
                data[:-1] + b',"region":42}',
                data[:-1] + b',"customer":"13x"}',
            )
        )
    if fault == "unknown_kind":
        return _with(_KIND, data, rng.choice((b'"kind":"CHAT"', b'"kind":"letter"', b'"kind":""', b'"kind":"sms2"')))
    if fault == "missing_id":
        return rng.choice(
            (_with(_ID, data, b'"id":""'), _with(_ID, data, b'"src":"gw0"'), _with(_ID, data, b'"id":null'))
        )
    if fault == "null_ts":
        return _with(_TS, data, b'"ts":null')
    if fault == "ancient_ts":
        return _with(
            _TS, data, rng.choice((b'"ts":0', b'"ts":"1970-01-01T08:00:00.000+08:00"', b'"ts":-62135596800000'))
        )
    if fault == "future_ts":
        return _with(_TS, data, rng.choice((b'"ts":4102444800000', b'"ts":"2199-12-31T23:59:59.000+08:00"')))
    if fault == "clock_ahead":
        return _with(_TS, data, f'"ts":{record.arrival + 28_800_000}'.encode())
    if fault == "no_offset":
        return _with(_TS, data, f'"ts":"{str(stamp(record.arrival, True))[:19]}"'.encode())
    if fault == "invalid_utf8":
        at = rng.randint(2, len(data) - 2)
        return data[:at] + rng.choice((b"\xff\xfe", b"\xc3\x28", b"\xe4\xbd")) + data[at:]
    if fault == "nul":
        at = rng.randint(2, len(data) - 2)
        return data[:at] + b"\x00" + data[at:]
    if fault == "overlong":
        long = "长".encode() * 20_001
        if _TEXT.search(data) is None:
            return data[:-1] + b',"text":"' + long + b'"}'
        return _TEXT.sub(lambda match: match.group() + long, data, count=1)
    if fault == "extra_fields":
        return (
            data[:-1]
            + f',"trace":{{"hop":{rng.randint(1, 9)},"ok":true}},"备注":"线上","seq":{rng.randrange(9999)}}}'.encode()
        )
    raise ValueError(f"unknown fault {fault!r}; use one of FAULTS")


def soil(rng: Random, records: Iterable[Record]) -> Iterator[Line]:
    """Yield every record as a good line, and damaged copies of a few of them in between."""
    uniform = rng.random
    for record in records:
        yield Line(record.data, "")
        if uniform() >= DIRT_SHARE:
            continue
        name = _FAULT.pick(rng)
        yield Line(_damage(rng, record, name), name)


__all__ = ["DIRT_SHARE", "FAULTS", "Line", "soil"]
