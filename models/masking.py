"""Masking: typed tokens in the place of everything that points to a person, a device or an order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from stdnum import luhn
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from models.normalise import normalise

PHONE = "〔手机〕"
LANDLINE = "〔座机〕"
RESIDENT = "〔身份证〕"
CARD = "〔银行卡〕"
EMAIL = "〔邮箱〕"
PLATE = "〔车牌〕"
ADDRESS = "〔地址〕"
NAME = "〔姓名〕"
WECHAT = "〔微信〕"
ORDER = "〔订单号〕"
DEVICE = "〔设备号〕"
ACCOUNT = "〔账号〕"

MIN_OWN_CHARS = 5
MAX_EXCERPT_CHARS = 200
MAX_EXTRA_CHARS = 4_000
_EXCERPT_WINDOW = 4_000
_MAX_EXTRA_DEPTH = 8
_SHORT_CHARS = 64

_SPOKEN = "零〇一二三四五六七八九幺两洞拐"
_DIGIT = f"0-9{_SPOKEN}"
_FILLER = r"(?:[ \-_.·,，、~—()（）+/:：*|]|[呃啊嗯哦喂诶额哎唉对得]|然后|那个|这个|就是说|就是|你好|您好|是吧)"
_SAID = str.maketrans(_SPOKEN, "00123456789" + "1207")
_RUN = re.compile(
    rf"(?:(?<![A-Za-z0-9])[A-Za-z]{{1,3}}[-_]?)?[{_DIGIT}](?:{_FILLER}{{0,3}}[{_DIGIT}]){{6,}}"
    rf"(?:{_FILLER}{{0,2}}[xX](?![A-Za-z0-9]))?"
)
_PLUS = re.compile(rf"\+(?={PHONE})")
_GROUP = re.compile(f"[{_DIGIT}]+|[xX](?=$)")
_LETTERS = re.compile(r"[A-Za-z]{1,3}(?=[-_]?[^A-Za-z])")
_LONGEST = 21
_MOBILE = re.compile(r"(?:0?0?86|0)?1[3-9][0-9]{9}")
_FIXED = re.compile(r"(?:86)?0(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}|[48]00[0-9]{7}")
_RESIDENT_SHAPE = re.compile(r"[1-8][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9xX]")
_COUNTED = re.compile(r"\s?[元块万米克斤平人个]")
_DATE = re.compile(r"(?:19|20)[0-9]{2}[-/. ]?(?:0[1-9]|1[0-2]|[1-9])[-/. ]?[0-3]?[0-9](?:[ :.,-]{1,2}[0-9]{1,6}){0,4}")
_CUE_WINDOW = 12
_MAX_PASSES = 4
_CUES = (
    (RESIDENT, re.compile(r"身份证|证件号|idcard|id card", re.I)),
    (CARD, re.compile(r"卡号|银行卡|储蓄卡|信用卡|借记卡|尾号|bank|card", re.I)),
    (WECHAT, re.compile(r"微信|威信|薇信|wechat|weixin|v信|vx|wx", re.I)),
    (DEVICE, re.compile(r"设备|序列号|机身|imei|mac|serial|\bsn\b|s/n|dev(?:ice)?\b|编号", re.I)),
    (ACCOUNT, re.compile(r"账号|帐号|账户|帐户|用户|会员|qq|user|uid|account|login", re.I)),
    (ORDER, re.compile(r"订单|定单|单号|运单|快递|工单|流水|票号|取件码|order|trace|ticket", re.I)),
    (PHONE, re.compile(r"电话|手机|联系|拨打|打给|打这个号|tel|phone|mobile|call", re.I)),
)
# A bare 号码 says nothing when a more telling cue stands before it (身份证号码).
_WEAK_CUE = "号码"
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]+ ?@ ?[A-Za-z0-9\-]{1,63}(?: ?[.。] ?[A-Za-z0-9\-]{1,63}){1,4}"
)
_MAC = re.compile(r"(?<![0-9A-Fa-f:\-])[0-9A-Fa-f]{2}(?:[:\-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:\-])")
_OPENID = re.compile(
    r"(?<![A-Za-z0-9_\-])o[A-Za-z0-9_\-]{27}(?![A-Za-z0-9_\-])|(?<![A-Za-z0-9_])wxid_[A-Za-z0-9_\-]{4,}"
)
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Za-hj-np-z][· \-]?"
    r"(?=[A-Za-z]{0,5}[0-9])[A-HJ-NP-Za-hj-np-z0-9]{4}(?:[挂学警港澳]|[A-HJ-NP-Za-hj-np-z0-9]{1,2})(?![A-Za-z0-9])"
)
_CUED = tuple(
    (token, re.compile(rf"((?:{cue})(?:号码?|id|是|为|叫|[:： =#]){{0,4}})({value})(?![A-Za-z0-9_])", re.I))
    for token, cue, value in (
        (
            WECHAT,
            r"微信|威信|薇信|weixin|wechat|v信|(?<![A-Za-z])(?:vx|wx)",
            r"(?=[a-z_\-]{0,40}[0-9_\-])[a-z0-9][a-z0-9_\-]{4,31}",
        ),
        (WECHAT, r"(?:微信|威信|薇信|weixin|wechat|v信)(?:号|[:：])", r"[a-z][a-z0-9_\-]{4,31}"),
        (
            DEVICE,
            r"设备|序列号|机身|imei|mac|(?<![A-Za-z])(?:sn|s/n)",
            r"(?=[a-z:\-]{0,40}[0-9])[a-z0-9][a-z0-9:\-]{6,40}",
        ),
        (
            ACCOUNT,
            r"账号|帐号|账户|帐户|用户名?|会员号?|(?<![A-Za-z])(?:qq|user|uid|account)",
            r"(?=[a-z_.\-]{0,40}[0-9])[a-z0-9][a-z0-9_.\-]{5,40}",
        ),
        (
            ORDER,
            r"订单|定单|单号|运单|快递单?|工单|流水号?|票号|取件码",
            r"(?=[a-z\-]{0,40}[0-9])[a-z0-9][a-z0-9\-]{5,40}",
        ),
    )
)
_ISO_DATE = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}")
_MIXED = re.compile(r"(?<![A-Za-z0-9_\-])(?=[A-Za-z_\-]*[0-9])(?=[0-9_\-]*[A-Za-z])[A-Za-z0-9_\-]{8,}")
_MIXED_DIGITS = 6

_HAN = "\u4e00-\u9fff"
_UNIT = (
    r"(?:[0-9]{1,5}(?:-[0-9]{1,5}){0,2}|[一二三四五六七八九十百零两]{1,6}|[A-Za-z][0-9]{0,4}|[东南西北甲乙丙丁])"
    r" ?(?:号楼|号院|号|弄|栋|幢|座|单元|室|楼|层|房|户)[,， ]?"
)
_ADDRESS_TAIL = re.compile(
    r"(?:(?:(?<!知)道|路|街|巷|弄|胡同|村|镇|乡|小区|花园|花苑|家园|苑|公寓|大厦|广场|新城)"
    rf"(?:{_UNIT}){{1,6}}|{_UNIT}(?:{_UNIT}){{1,6}})(?:[0-9]{{2,4}}(?![0-9A-Za-z]))?"
)
_ADDRESS_REGION = re.compile(
    rf"(?:省|自治区|(?<![城超夜门])市)[{_HAN}]{{1,6}}?[市区县旗州](?:[{_HAN}]{{1,5}}?[区县市])?"
    rf"(?:[{_HAN}]{{1,9}}?(?:路|街道|街|镇|乡|大道|村|小区|花园))?"
)
_REGION_NAME = re.compile(rf"[{_HAN}]{{2}}")
_ADDRESS_LEFT = 28
_ADDRESS_STOP = re.compile(
    r"在|到|是|给|的|了|吗|寄|送|住|从|去|我|你|[改换]成|地址|为|帮|请|[^\u4e00-\u9fff0-9A-Za-z\-]"
)
_ADDRESS_CUE = re.compile(r"((?:地址|住址)(?:是|为|在|改成|改为|[:： ]){1,3})([^，。！？,!?;；〔〕]{5,60})")
_ADDRESS_WORD = re.compile(r"[省市区县镇乡村路街道栋弄室幢]|[0-9一二三四五六七八九十]号")

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭"
    "陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施牛樊葛邢安齐易乔伍庞"
    "颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧阳管柴"
)
_COMPOUND = "欧阳|上官|司马|诸葛|皇甫|司徒|夏侯|尉迟|东方|慕容|令狐|端木"
_GIVEN_STOP = "的是要在电想说有来问买刚把被和跟不没给去打看就也都，。！？,.!?"
_FULL_NAME = rf"(?:{_COMPOUND}|[{_SURNAMES}])[{_HAN}](?:(?![{_GIVEN_STOP}])[{_HAN}])?"
_NAME_CUE = re.compile(
    r"((?:我叫|我的名字|名字叫|姓名|收件人|收货人|联系人|户名|机主|持卡人|入住人|乘机人|乘客)(?:是|叫|为|[:： ]){0,3})"
    rf"({_FULL_NAME})"
)
_SURNAME_CUE = re.compile(rf"((?:我姓|免贵姓|本人姓|贵姓)[:： ]?)({_COMPOUND}|[{_SURNAMES}])(?![{_HAN}]?名)")
_NAME_TITLE = re.compile(rf"(?<![{_HAN}])({_FULL_NAME})(?=先生|女士|小姐|同学)")

# One scan decides that most texts hold nothing to mask. The words are the cues of the rules that need no digit.
_GATE = re.compile(
    rf"[0-9@]|[{_SPOKEN}]{_FILLER}?[{_SPOKEN}]|叫|姓|收件人|收货人|联系人|户名|机主|持卡人|入住人|乘机人|乘客"
    r"|先生|女士|小姐|同学|微信|威信|薇信|[vV]信|[wW]e[iC]|wxid|[vV][xX]|[wW][xX]|地址|住址|省|市|自治区|[A-Za-z0-9_\-]{28}"
)
# Five digits close together, or a sign of an identifier that has fewer.
_ASCII_GATE = re.compile(
    r"[0-9](?:[^0-9]{0,3}[0-9]){4}|@|[A-Za-z0-9_\-]{28}|wxid|(?:[0-9A-Fa-f]{2}[:\-]){5}"
    r"|user|uid|account|qq|imei|mac|sn|s/n|we(?:ixin|chat)|vx|wx",
    re.I,
)
_GATE_STRICT = re.compile(
    rf"[0-9]{{2}}|@|[{_SPOKEN}]{_FILLER}?[{_SPOKEN}]|[0-9][ \-][0-9]|[A-Za-z0-9_\-]{{28}}|wxid_|号|室"
    r"|[:-][0-9A-Fa-f]{2}[:-]"
)

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


def _is_resident_id(digits: str) -> bool:
    try:
        ric.validate(digits)
    except (ValidationError, ValueError, KeyError):
        return False
    return True


def _number_kind(digits: str, cue: str, groups: int, first: int) -> str:
    """Name the identifier that a whole number is, '' if it is none beyond doubt."""
    size = len(digits)
    if cue == ORDER and groups == 1 and size > 11:
        return RESIDENT if size == 18 and _is_resident_id(digits.upper()) else ""
    if 11 <= size <= 15 and _MOBILE.fullmatch(digits) is not None:
        return PHONE
    if size == 18 and (
        cue == RESIDENT
        or (1 < groups <= 4 and _RESIDENT_SHAPE.fullmatch(digits) is not None)
        or _is_resident_id(digits.upper())
    ):
        return RESIDENT
    if size == 15 and cue == RESIDENT:
        return RESIDENT
    if 10 <= size <= 14 and _FIXED.fullmatch(digits) is not None:
        return LANDLINE
    if (
        12 <= size <= 19
        and digits.isdecimal()
        and (cue == CARD or (groups >= 4 and first == 4 and size >= 15 and luhn.is_valid(digits)))
    ):
        return CARD
    return ""


def _cue_before(text: str, start: int) -> str:
    """Return the token of the cue that stands nearest before a position, '' if there is none."""
    window = text[max(0, start - _CUE_WINDOW) : start]
    # The names inside earlier tokens are not cues, else masking twice would differ from masking once.
    window = window[window.rfind("〕") + 1 :]
    best, nearest = -1, ""
    for token, cue in _CUES:
        for found in cue.finditer(window):
            if found.end() > best:
                best, nearest = found.end(), token
    return nearest or (PHONE if _WEAK_CUE in window else "")


def _mask_run(match: re.Match[str], strict: bool) -> str:
    """Replace the identifiers inside one run of at least seven digits, written or spoken."""
    run = match.group()
    letters = _LETTERS.match(run)
    offset = 0 if letters is None else letters.end()
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(run, offset)]
    said = [run[start:end].translate(_SAID) for start, end in groups]
    cue = _cue_before(match.string, match.start() + offset)
    if letters is not None and cue in ("", ORDER) and not strict:
        return ORDER
    pieces: list[str] = []
    done = index = 0
    while index < len(groups):
        kind, taken = "", 0
        joined, joins = "", []
        for other in range(index, len(groups)):
            joined += said[other]
            if len(joined) > _LONGEST:
                break
            joins.append(joined)
        for count in range(len(joins), 0, -1):
            kind = _number_kind(joins[count - 1], cue, count, len(said[index]))
            if kind:
                taken = count
                break
        if kind:
            start = groups[index][0]
            pieces.append(run[done:start])
            pieces.append(kind)
            done = groups[index + taken - 1][1]
            index += taken
        else:
            index += 1
    if pieces:
        pieces.append(run[done:])
        return "".join(pieces)
    if strict or _DATE.fullmatch(run) is not None:
        return run
    total = sum(map(len, said))
    spoken = sum(1 for character in run if character in _SPOKEN)
    if total <= 8 and _COUNTED.match(match.string, match.end()) is not None:
        return run
    if cue == PHONE:
        return run[:offset] + (PHONE if "".join(said).startswith("1") else LANDLINE)
    if cue:
        return cue if cue != CARD or total >= 10 else run
    if (spoken >= 3 or 0 < spoken < total) and len(set("".join(said))) > 2:
        return ACCOUNT
    in_fours = len(said) >= 3 and all(len(part) == 4 for part in said[:-1])
    return ORDER if in_fours or max(map(len, said)) >= 10 else run


def _mask_run_fully(match: re.Match[str]) -> str:
    return _mask_run(match, strict=False)


def _mask_run_strictly(match: re.Match[str]) -> str:
    return _mask_run(match, strict=True)


def _mask_mixed(match: re.Match[str]) -> str:
    word = match.group()
    return ACCOUNT if sum(map(str.isdigit, word)) >= _MIXED_DIGITS and not _ISO_DATE.match(word) else word


def _keep_cue(token: str) -> str:
    return r"\1" + token


def _mask_addresses(text: str) -> str:
    """Replace street addresses: found by their tail (road and number, building, room), extended to the left."""
    for pattern in (_ADDRESS_TAIL, _ADDRESS_REGION):
        pieces: list[str] = []
        done = 0
        for found in pattern.finditer(text):
            if found.start() < done:
                continue
            left = max(done, found.start() - _ADDRESS_LEFT)
            for stop in _ADDRESS_STOP.finditer(text, left, found.start()):
                left = stop.end()
            if pattern is _ADDRESS_REGION and _REGION_NAME.match(text, left, found.start()) is None:
                continue
            pieces.append(text[done:left])
            pieces.append(ADDRESS)
            done = found.end()
        if pieces:
            text = "".join((*pieces, text[done:]))

    def cued(match: re.Match[str]) -> str:
        return match.group(1) + ADDRESS if _ADDRESS_WORD.search(match.group(2)) is not None else match.group()

    return _ADDRESS_CUE.sub(cued, text)


def may_identify(text: str) -> bool:
    """Return whether a normalised text holds anything that a rule could mask: one scan, about 0.5 µs."""
    return (_ASCII_GATE if text.isascii() else _GATE).search(text) is not None


def mask_normalised(text: str) -> str:
    """Mask a text that `normalise` has already seen; the step that `mask` shares with the batch path.

    A token put in one place can free what stands beside it for another rule, so it repeats until nothing changes.
    """
    for _ in range(_MAX_PASSES):
        if not may_identify(text):
            break
        masked = _mask_once(text)
        if masked == text:
            break
        text = masked
    return text


def _mask_once(text: str) -> str:
    if "@" in text:
        text = _EMAIL.sub(EMAIL, text)
    text = _MAC.sub(DEVICE, _OPENID.sub(ACCOUNT, text))
    spoken = not text.isascii()
    if spoken:
        text = _mask_addresses(_PLATE.sub(PLATE, text))
    text = _PLUS.sub("", _RUN.sub(_mask_run_fully, text))
    for token, pattern in _CUED:
        text = pattern.sub(_keep_cue(token), text)
    text = _MIXED.sub(_mask_mixed, text)
    if not spoken:
        return text
    text = _NAME_CUE.sub(_keep_cue(NAME), text)
    text = _SURNAME_CUE.sub(_keep_cue(NAME), text)
    return _NAME_TITLE.sub(NAME, text)


def mask(text: str) -> str:
    """Normalise a text and put typed tokens in the place of identifiers.

    Masks mobile and fixed-line numbers (full width, spaced, dashed, spoken digits, fillers between them), resident ids
    (by checksum), bank cards (by context, or four-digit groups with a valid check digit), e-mail, number plates, street
    addresses, names after a cue, WeChat ids, order numbers, device serials and accounts. Codes, versions, models,
    dates, prices and counts stay. `mask(mask(text)) == mask(text)`.

    Fails on names without a cue, on addresses without street, number or region words, and on identifiers spelt in
    words of another language; it errs towards masking for a bare number of ten digits or more.

    >>> mask("我叫王小明，电话幺三八零零幺三八零零零，错误码E207，版本v3.2.1")
    '我叫〔姓名〕，电话〔手机〕，错误码E207，版本v3.2.1'
    """
    return mask_normalised(normalise(text))


@lru_cache(maxsize=20_000)
def mask_field(value: str) -> str:
    """Mask a short structured value (a dimension, a type, a code): only what is an identifier beyond doubt.

    A production batch, a long part number or a version is a legitimate dimension and stays; telephone numbers,
    resident ids, grouped cards, e-mail, plates, addresses and open ids go. Invisible characters are always removed.
    Cut at 200 characters.

    >>> mask_field("OS 3.1"), mask_field("B2025111203"), mask_field("tel 138-0013-8000")
    ('OS 3.1', 'B2025111203', 'tel 〔手机〕')
    """
    text = normalise(value[:1_000])
    if _GATE_STRICT.search(text) is not None:
        if "@" in text:
            text = _EMAIL.sub(EMAIL, text)
        text = _MAC.sub(DEVICE, _OPENID.sub(ACCOUNT, text))
        text = _mask_addresses(_PLATE.sub(PLATE, text))
        text = _RUN.sub(_mask_run_strictly, text)
    return text[:MAX_EXCERPT_CHARS]


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
_LONG_RUN = re.compile(rf"[{_DIGIT}](?:{_FILLER}{{0,3}}[{_DIGIT}]){{6,}}[xX]?")
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
    truncated; so are the values of identifying keys; every run of seven or more digits and every long serial goes.

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
    text = mask_normalised(text)
    text = _SERIAL.sub(ACCOUNT, _LONG_RUN.sub(ACCOUNT, text))
    return text[:MAX_EXCERPT_CHARS]
