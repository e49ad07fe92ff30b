"""Keyed pseudonyms: who an event belongs to, without saying who that is."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping

from models.one_id import KINDS

PREFERENCE = ("account", "openid", "phone", "device")
"""Which identifier names the customer when an event gives several; any other kinds follow in alphabetical order."""

_CACHE_LIMIT = 100_000
_PHONE = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
_PHONE_SEPARATORS = re.compile(r"[\s()\-.]")


def canonical_identifier(value: str) -> str:
    """Return one spelling of an identifier: NFKC, no outer space, mobile numbers as 11 bare digits.

    >>> canonical_identifier(" +86 138-0013-8000 ")
    '13800138000'
    """
    text = unicodedata.normalize("NFKC", value[:512]).strip()
    phone = _PHONE.fullmatch(_PHONE_SEPARATORS.sub("", text))
    return text if phone is None else phone.group(1)


class Pseudonyms:
    """HMAC-SHA256 of canonical identifiers, cut to 64 bits.

    The kind of an identifier is not part of the hash, so that a device named as a customer and a device named as a
    device are one. The same person under another kind of identifier (today an account, tomorrow a phone) is another
    pseudonym: One-ID joins them behind the intake, with state that one event does not have. Two identifiers collide
    with probability n²/2⁶⁵.

    Parameters
    ----------
    key
        Secret bytes; another key gives unrelated pseudonyms.
    """

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, digestmod=hashlib.sha256)
        self._cache: dict[str, int] = {}

    def of(self, identifier: str | None) -> int:
        """Return the pseudonym of one identifier, 0 for none or an empty one. About 2 µs, 0.1 µs when cached."""
        if not identifier:
            return 0
        known = self._cache.get(identifier)
        if known is not None:
            return known
        canonical = canonical_identifier(identifier)
        value = 0
        if canonical:
            mac = self._mac.copy()
            mac.update(canonical.encode("utf-8", "surrogatepass"))
            value = int.from_bytes(mac.digest()[:8], "big") or 1
        if len(self._cache) >= _CACHE_LIMIT:
            self._cache.clear()
        self._cache[identifier] = value
        return value

    def linkable(self, identifiers: Mapping[str, str], device: int = 0) -> dict[int, str]:
        """Return the pseudonyms of identifiers by which people can be linked, each with its kind, the preferred first.

        Kinds outside of `one_id.KINDS` are left out, and so is a value with an asterisk: what was masked elsewhere is
        shared by thousands.

        Parameters
        ----------
        identifiers
            Raw identifiers by kind.
        device
            Pseudonym of the device that the event itself names, 0 = none.
        """
        numbers: dict[int, str] = {}
        for kind in KINDS:
            value = identifiers.get(kind)
            if value and "*" not in value:
                number = self.of(value)
                if number:
                    numbers.setdefault(number, kind)
        if device and numbers:
            numbers.setdefault(device, "device")
        return numbers

    def customer(self, identifiers: Mapping[str, str]) -> int:
        """Return the pseudonym of the preferred identifier that is not empty, 0 if there is none."""
        for kind in PREFERENCE:
            value = self.of(identifiers.get(kind))
            if value:
                return value
        if identifiers:
            for kind in sorted(identifiers):
                value = self.of(identifiers[kind])
                if value:
                    return value
        return 0
