"""Masking of whole records: own identifiers, unknown fields, and records that could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from models.masking.kinds import (
    ACCOUNT,
    ADDRESS,
    CARD,
    DEVICE,
    EMAIL,
    NAME,
    ORDER,
    PHONE,
    PLATE,
    RESIDENT,
    WECHAT,
)
from models.masking.names import bare_names
from models.masking.numbers import DIGIT, GAP
from models.masking.text import mask, mask_normalised, put
from models.normalise import normalise

MIN_OWN_CHARS = 5
MAX_EXCERPT_CHARS = 200
MAX_EXTRA_CHARS = 4_000
_EXCERPT_WINDOW = 4_000
_MAX_EXTRA_DEPTH = 8
_SHORT_CHARS = 64

_SENSITIVE_KEY = re.compile(
    r"(?:.*[_\-.])?(?:customer|caller|callee|phone|phones|mobile|tel|telephone|account|openid|unionid|userid|user_id|uid|username|user|user_name|"
    r"device|device_id|deviceid|imei|imsi|sn|serial|serial_no|mac|id_?card|id_?no|idnumber|cert_?no|name|real_?name|nick_?name|email|mail|"
    r"address|addr|wechat|weixin|qq|card|card_?no|bank_?card|plate|ip|手机号?|电话|姓名|地址|身份证号?|账号|微信号?|车牌号?|卡号)",
    re.I,
)
_KEY_TOKEN = (
    ("phone mobile tel telephone caller callee 手机 手机号 电话", PHONE),
    ("device imei imsi sn serial mac", DEVICE),
    ("email mail", EMAIL),
    ("name real_name 姓名", NAME),
    ("address addr 地址", ADDRESS),
    ("wechat weixin 微信 微信号", WECHAT),
    ("order order_id order_no ticket conversation", ORDER),
    ("id_card idcard 身份证 身份证号", RESIDENT),
    ("card bank_card 卡号", CARD),
    ("plate 车牌 车牌号", PLATE),
)
_TOKEN_BY_KEY = {key: token for keys, token in _KEY_TOKEN for key in keys.split()}


_PRIVATE_DIMENSION = re.compile(
    r"phone|mobile|tel|telephone|account|openid|unionid|user_?id|uid|id_?card|e?mail|imei|device_?id|wechat|address|addr",
    re.I,
)


@lru_cache(maxsize=1_000)
def names_private_dimension(key: str) -> bool:
    """Return whether a dimension's name says that its values are identifiers, so that none of them may pass."""
    return _PRIVATE_DIMENSION.fullmatch(key.strip()) is not None


def token_for_key(key: str) -> str:
    """Return the token that stands for the value of an identifier kind; 〔账号〕 where the kind is unknown."""
    return _TOKEN_BY_KEY.get(key.lower(), ACCOUNT)


def mask_own(text: str, own: Iterable[tuple[str, str]]) -> str:
    """Replace the event's own identifiers where they stand inside a text.

    Parameters
    ----------
    own
        Pairs (identifier as the text would spell it, token), longest first.
    """
    for identifier, token in own:
        if identifier in text:
            text = text.replace(identifier, token)
    return text


def own_identifiers(identifiers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what `mask_own` needs: identifiers of at least five characters (names: two) with their tokens.

    The spelling as it came and the normalised one are both listed, longest first.
    """
    own: dict[str, str] = {}
    for key, value in identifiers.items():
        token = token_for_key(key)
        smallest = 2 if token == NAME else MIN_OWN_CHARS
        for spelling in _spellings(value):
            if len(spelling) >= smallest:
                own[spelling] = token
    return sorted(own.items(), key=lambda pair: (-len(pair[0]), pair))


@lru_cache(maxsize=20_000)
def _mask_short(text: str) -> str:
    return mask(text)


@lru_cache(maxsize=50_000)
def _spellings(value: str) -> tuple[str, ...]:
    normal = normalise(value)
    return (value,) if normal == value else (value, normal)


def _masked_value(value: object, own: list[tuple[str, str]], depth: int) -> Any:
    if isinstance(value, str):
        value = mask_own(value, own)
        return mask_own(_mask_short(value) if len(value) <= _SHORT_CHARS else mask(value), own)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        spelled = str(value)
        masked = mask(mask_own(spelled, own))
        return value if masked == spelled else masked
    if depth >= _MAX_EXTRA_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            mask_own(_mask_short(str(key)[:_SHORT_CHARS]), own): token_for_key(str(key))
            if _SENSITIVE_KEY.fullmatch(str(key)) is not None
            else _masked_value(inner, own, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked_value(inner, own, depth + 1) for inner in value]
    return mask(str(value))


def mask_extra(extra: Mapping[str, object], own: list[tuple[str, str]]) -> str:
    """Write unknown fields as masked JSON with sorted keys: values of identifying keys go whole, the rest is masked.

    '' for none, for what JSON cannot hold, and for what would be longer than 4 000 characters.
    """
    if not extra:
        return ""
    try:
        text = msgspec.json.encode(_masked_value(extra, own, 0), order="deterministic").decode()
    except (TypeError, ValueError, RecursionError, UnicodeError):
        return ""
    return text if len(text) <= MAX_EXTRA_CHARS else ""


_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_QUOTE = r"[\"'\\]{0,4}"
_OBJECT_KEY = re.compile(rf"{_QUOTE}customer{_QUOTE}\s*[:=]\s*", re.I)
_PRIVATE_KEY = re.compile(
    rf"({_QUOTE}(?:caller|callee|phone|mobile|tel|telephone|account|openid|unionid|user_?id|uid|user_?name|device_?id|device|imei|imsi|sn|serial|"
    rf"mac|id_?card|id_?no|name|real_?name|e?mail|addr(?:ess)?|wechat|weixin|qq|card_?no|plate|conversation|ticket){_QUOTE}\s*[:=]\s*)"
    rf"(?:(?P<q>[\"'\\]{{1,4}})[^\"']{{0,4000}}[\"']?|[^,}}\]\s]{{1,4000}})",
    re.I,
)
_NAMED_VALUE = re.compile(
    rf"(?P<key>[A-Za-z_\u4e00-\u9fff]{{1,40}}){_QUOTE}\s*[:=]\s*{_QUOTE}(?P<value>[^\"'\\,:{{}}\[\]]{{2,200}})"
)
_LONG_RUN = re.compile(rf"[{DIGIT}](?:{GAP}[{DIGIT}]){{6,}}[xX]?")
_SERIAL = re.compile(r"(?<![A-Za-z0-9_\-])(?=[A-Za-z_\-]*[0-9])[A-Za-z0-9_\-]{8,}")


def _blank_customers(text: str) -> str:
    """Blank the value of every `customer` key, balanced or not: a truncated object is blanked to the end.

    What the object calls the customer is replaced everywhere else too.
    """
    pieces: list[str] = []
    named: dict[str, str] = {}
    done = 0
    for key in _OBJECT_KEY.finditer(text):
        if key.start() < done:
            continue
        pieces.append(text[done : key.end()])
        position = key.end()
        if text[position : position + 1] in "{[":
            depth = 0
            while position < len(text):
                depth += (text[position] in "{[") - (text[position] in "}]")
                position += 1
                if depth == 0:
                    break
        else:
            while position < len(text) and text[position] not in ",}\n":
                position += 1
        pieces.append("…")
        named |= {found["key"]: found["value"] for found in _NAMED_VALUE.finditer(text, key.end(), position)}
        done = position
    pieces.append(text[done:])
    return mask_own("".join(pieces), own_identifiers(named))


def mask_excerpt(raw: bytes) -> str:
    """Return the masked beginning of a record that could not be counted: one line, at most 200 characters.

    Nothing can be trusted to be where it belongs, so it errs towards masking: customer objects are blanked, whole or
    truncated; so are the values of identifying keys; every run of seven or more digits, every long serial and every
    short word that may be a name goes.

    >>> mask_excerpt(b'{"id":"a1","customer":{"phone":"138001380')
    '{"id":"a1","customer":…'
    """
    text = raw[: 4 * _EXCERPT_WINDOW].decode("utf-8", "replace")
    text = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text)
    cut = len(raw) > 4 * _EXCERPT_WINDOW or len(text) > _EXCERPT_WINDOW
    text = normalise(text[:_EXCERPT_WINDOW])
    if cut:
        text = re.sub(r"[A-Za-z0-9_@.\-]{1,200}$", "", text)
    text = _blank_customers(text)
    text = _PRIVATE_KEY.sub(r"\1…", text)
    text = put(mask_normalised(text), bare_names)
    text = _SERIAL.sub(ACCOUNT, _LONG_RUN.sub(ACCOUNT, text))
    return text[:MAX_EXCERPT_CHARS]
