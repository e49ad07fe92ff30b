"""Identifiers that hold letters: e-mail, open ids, MAC addresses, plates, and names of accounts after a cue."""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.masking.kinds import ACCOUNT, DEVICE, EMAIL, HAN, ORDER, PLATE, WECHAT, Span

_LOCAL = r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]++"
_LABEL = r"[A-Za-z0-9][A-Za-z0-9\-]{0,62}"
_TOP = r"(?:com|cn|net|org|edu|gov|me|io|cc|hk|tw|vip|top|xyz|info|co|jp|us|uk)"
_AT = r" ?(?:@|艾特|爱特|小老鼠|圈[aA]|[(\[（【]at[)\]）】]|(?<= )at(?= )) ?"
_DOT = r" ?(?:[.。·]|点|dot) ?"
_EMAIL = re.compile(
    rf"{_LOCAL} ?@ ?[A-Za-z0-9\-]{{1,63}}(?: ?[.。] ?[A-Za-z0-9\-]{{1,63}}){{1,4}}"
    rf"|{_LOCAL}(?:{_DOT}[A-Za-z0-9_\-]{{1,30}}){{0,2}}{_AT}{_LABEL}(?:{_DOT}(?!{_TOP}(?![A-Za-z])){_LABEL}){{0,2}}"
    rf"{_DOT}{_TOP}(?![A-Za-z])(?:{_DOT}cn(?![A-Za-z]))?",
    re.I,
)
_HAN_EMAIL = re.compile(rf"[{HAN}]{{0,4}}@{_LABEL}(?:\.{_LABEL}){{0,3}}\.{_TOP}(?![A-Za-z])", re.I)
_SAID_AT = re.compile(r"[@艾爱小圈aA](?<=(?=@|艾特|爱特|小老鼠|圈[aA]|(?<=[(\[（【 ])[aA][tT][)\]）】 ])[\s\S])")
# Every address ends in a domain. Without a flag for capitals the search runs from one possible first character to the
# next, which is five times faster.
_ANY_CASE_TOP = re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", _TOP)
_DOMAIN = re.compile(
    r"@ ?[A-Za-z0-9\-]{1,63}+ ?[.。]"
    rf"|[.。·点dD](?:(?<![dD])|[oO][tT]) ?{_ANY_CASE_TOP}(?![A-Za-z])"
)
_MANY_SIGNS = 100
"""More signs of an address than any person writes: everything around them goes, unread."""
_BESIDE_SIGN = re.compile(rf"[A-Za-z0-9._%+\-@ 。·点艾爱特小老鼠圈()（）\[\]【】]*+[{HAN}]{{0,4}}")

_MAC_SIGN = re.compile(r"[:\-][0-9A-Fa-f]{2}[:\-]")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?<![0-9A-Fa-f:\-]..)(?:[:\-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:\-])")
_OPENID = re.compile(
    r"o(?<![A-Za-z0-9_\-].)[A-Za-z0-9_\-]{27}(?![A-Za-z0-9_\-])|wxid_(?<![A-Za-z0-9_].....)[A-Za-z0-9_\-]{4,}"
)
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼] ?[A-HJ-NP-Za-hj-np-z][·. \-]{0,2}"
    r"(?=[A-Za-z \-]{0,8}[0-9])[A-HJ-NP-Za-hj-np-z0-9](?:[ \-]?[A-HJ-NP-Za-hj-np-z0-9]){3}"
    r"(?:[挂学警港澳]|(?:[ \-]?[A-HJ-NP-Za-hj-np-z0-9]){1,2})(?![0-9])"
)
# What stands behind 微信 and is no name of an account there: products, systems, and what a message or a page says.
_NO_HANDLE = (
    r"wechat|weixin|iphone|android|harmony|windows|huawei|xiaomi|samsung|honor|google|facebook|twitter|tiktok|douyin|taobao|alipay|"
    r"paypal|unionpay|official|account|public|program|miniprogram|version|update|upgrade|download|install|login|logout|"
    r"password|payment|paying|transfer|refund|balance|wallet|recharge|timeout|failed|failure|success|error|online|offline|"
    r"message|service|server|client|support|system|desktop|browser|chrome|safari|mobile|telephone|number|customer|business|"
    r"enterprise|company|network|connect|request|response|format|scan|qrcode|moments|channel|sticker|voice|video|english|"
    r"chinese|please|thanks|thank|hello|cannot|always|before|after|because|during|without|problem|question|function"
)
_WECHAT_WORDS = ["微信", "威信", "薇信", "weixin", "wechat", "v信"]
_SAID_WECHAT = "|".join(_WECHAT_WORDS)
_SAID_VX = "vx(?<![a-z]..)|wx(?<![a-z]..)"
# Read on the text in small letters, and every alternative begins with a letter: so the patterns are searched fast, from
# one possible first letter to the next.
_CUED = tuple(
    (token, re.compile(rf"(?:{cue})(?:号码?|id|是|为|叫|[:： =#]){{0,4}}(?P<value>{value})(?![A-Za-z0-9_])"))
    for token, cue, value in (
        (WECHAT, f"{_SAID_WECHAT}|{_SAID_VX}", r"(?=[a-z_\-]{0,40}[0-9_\-])[a-z0-9][a-z0-9_\-]{4,31}"),
        (
            WECHAT,
            "|".join(f"{word}(?:号|[:：]|是)" for word in _WECHAT_WORDS)
            + "|vx(?<![a-z]..)[:：]|wx(?<![a-z]..)[:：]|加我?(?:微信|v信) ?",
            r"[a-z][a-z0-9_\-]{5,31}",
        ),
        (
            WECHAT,
            "微信号?|威信号?|薇信号?|v信号?|加我?v(?:[:： ]|是)"
            "|vx(?<![a-z]..)(?:号|(?=[:： 是]))|wx(?<![a-z]..)(?:号|(?=[:： 是]))",
            rf"(?!(?:{_NO_HANDLE})(?:s|es|ed|ing|er|os|pay|app)?(?![a-z]))[a-z]{{6,20}}",
        ),
        (
            DEVICE,
            r"设备|序列号|机身|imei|mac|sn(?<![a-z]..)|s/n(?<![a-z]...)",
            r"(?=[a-z:\-]{0,40}[0-9])[a-z0-9][a-z0-9:\-]{6,40}",
        ),
        (
            ACCOUNT,
            r"账号|帐号|账户|帐户|用户名?|会员号?|qq(?<![a-z]..)|user(?<![a-z]....)|uid(?<![a-z]...)|account(?<![a-z].{7})",
            r"(?=[a-z_.\-]{0,40}[0-9])[a-z0-9][a-z0-9_.\-]{5,40}",
        ),
        (
            ORDER,
            r"订单|定单|单号|运单|快递单?|工单|流水号?|票号|取件码",
            r"(?=[a-z\-]{0,40}[0-9])[a-z0-9][a-z0-9\-]{5,40}",
        ),
    )
)
_LONG_WORD = re.compile(r"[A-Za-z0-9_\-]{5}")
_ISO_DATE = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}")
_MIXED = re.compile(r"[A-Za-z0-9_\-](?<![A-Za-z0-9_\-].)[A-Za-z0-9_\-]{7,}")
_LETTER = re.compile("[A-Za-z]")
_MIXED_DIGITS = 6
_SIX_DIGITS = re.compile(r"[0-9](?:[A-Za-z_\-]*+[0-9]){5}")
_LONGEST_MEASURE = 80
_MANY_WORDS = 100
"""Beyond so many words of letters and digits none is measured: they go."""
_PAGE = re.compile(r"\.s?html?(?![A-Za-z])")
# Sizes, weights, resolutions and knowledge-base articles are no accounts.
_MEASURED = re.compile(
    r"(?<![0-9])(?:(?:19|20)[0-9]{2}-(?:19|20)[0-9]{2}|[0-9]{1,3}-[0-9]{1,3})(?![0-9])|"
    r"[0-9]{2,5}[xX][0-9]{2,5}(?:[xX][0-9]{1,5})?|KB[0-9]{6,7}"
    r"|[0-9]{1,5}-?(?:mm|cm|kg|km|mah|ml|mhz|ghz|hz|gb|tb|mb|bit|g|m|v|w|a|k|p|l|t)(?![A-Za-z])",
    re.I,
)


def emails(text: str) -> Iterator[Span]:
    """Find e-mail addresses, also read out (艾特, 点); only where a sign of one stands in the text."""
    if _SAID_AT.search(text) is not None and _DOMAIN.search(text) is not None:
        if len(text) > _MANY_SIGNS and len(_SAID_AT.findall(text)) > _MANY_SIGNS:
            yield from _around_signs(text)
            return
        done = 0
        for found in _EMAIL.finditer(text):
            yield (found.start(), found.end(), EMAIL)
            done = found.end()
        if not done and "@" in text:
            for found in _HAN_EMAIL.finditer(text):
                yield (found.start(), found.end(), EMAIL)


def _around_signs(text: str) -> Iterator[Span]:
    backwards, end = text[::-1], 0
    for sign in _SAID_AT.finditer(text):
        if sign.start() >= end:
            before, behind = (
                _BESIDE_SIGN.match(backwards, len(text) - sign.end()),
                _BESIDE_SIGN.match(text, sign.start()),
            )
            start = len(text) - (before.end() if before is not None else 0)
            start, end = max(start, end), behind.end() if behind is not None else sign.end()
            yield (start, end, EMAIL)


def open_ids(text: str) -> Iterator[Span]:
    """Find open ids and wxids of the WeChat platform."""
    for found in _OPENID.finditer(text):
        yield (found.start(), found.end(), ACCOUNT)


def machine_addresses(text: str) -> Iterator[Span]:
    """Find MAC addresses."""
    if _MAC_SIGN.search(text) is None:
        return
    for found in _MAC.finditer(text):
        yield (found.start(), found.end(), DEVICE)


def plates(text: str) -> Iterator[Span]:
    """Find number plates of vehicles."""
    for found in _PLATE.finditer(text):
        yield (found.start(), found.end(), PLATE)


def cued_handles(text: str) -> Iterator[Span]:
    """Find what follows a cue such as 微信号, 订单号 or 账号; the spans may overlap, the first rule comes first."""
    if _LONG_WORD.search(text) is None:
        return
    lower = text.lower()
    if len(lower) != len(text):
        lower = text  # a capital that becomes two characters would shift every place
    for token, pattern in _CUED:
        for found in pattern.finditer(lower):
            yield (*found.span("value"), token)


def mixed_words(text: str) -> Iterator[Span]:
    """Find long words of letters and at least six digits that measure nothing."""
    if _SIX_DIGITS.search(text) is None:
        return
    read = 0
    for found in _MIXED.finditer(text):
        word = found.group()
        if _SIX_DIGITS.search(word) is None:
            continue
        if _LETTER.search(word) is None:
            continue
        if text[found.start() - 1 : found.start()] == "/" and _PAGE.match(text, found.end()) is not None:
            continue  # a public page
        read += 1
        if (
            len(word) > _LONGEST_MEASURE
            or read > _MANY_WORDS
            or (_ISO_DATE.match(word) is None and sum(map(str.isdigit, _MEASURED.sub("", word))) >= _MIXED_DIGITS)
        ):
            yield (found.start(), found.end(), ACCOUNT)
