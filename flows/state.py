"""Snapshots of state: bytes with a name and a version, arrays, numbers and strings inside, never pickled classes."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from qianshao.errors import StoreError

T = TypeVar("T")


class _Envelope(msgspec.Struct, array_like=True):
    name: str
    version: int
    body: msgspec.Raw


_envelope = msgspec.msgpack.Decoder(_Envelope)


def pack(name: str, version: int, body: msgspec.Struct) -> bytes:
    """Write a state as bytes that say what they are.

    Parameters
    ----------
    name, version
        What `unpack` will ask for; raise the version with every change of `body`.
    body
        The state as a typed struct.
    """
    return msgspec.msgpack.encode(_Envelope(name, version, msgspec.Raw(msgspec.msgpack.encode(body))))


def unpack(data: bytes, name: str, version: int, body: type[T]) -> T:
    """Read what `pack` wrote.

    Raises
    ------
    StoreError
        If the bytes are not a snapshot, or belong to another state or version.
    """
    try:
        envelope = _envelope.decode(data)
        if (envelope.name, envelope.version) != (name, version):
            raise StoreError(
                f"snapshot of {envelope.name} version {envelope.version}: this program reads {name} version {version}; "
                "resume with the program that wrote it, or start from an empty state"
            )
        return msgspec.msgpack.decode(envelope.body, type=body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"snapshot for {name}: is not readable ({error}); start from an empty state") from None
