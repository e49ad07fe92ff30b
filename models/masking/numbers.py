"""Identifiers made of digits, written or spoken: telephones, resident ids, bank cards, orders and accounts."""

from __future__ import annotations

import re
from itertools import pairwise

from stdnum import luhn
from stdnum.cn import ric

from models.masking.kinds import ACCOUNT, CARD, DEVICE, LANDLINE, ORDER, PHONE, RESIDENT, WECHAT, Span

SPOKEN = "零〇一二三四五六七八九幺两洞拐勾壹贰叁肆伍陆柒捌玖参"
DIGIT = f"0-9{SPOKEN}"
_SAID = str.maketrans(SPOKEN, "00123456789" + "12079" + "1234567893")

# What may stand between two digits of one number: signs, spaces, emoji, stray marks; not letters, not our own tokens.
_SIGN = (
    "[^0-9A-Za-z\u00aa\u00b2-\u00b5\u00b9-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u1fff\u2c00-\u2e7f\u3005\u3007"
    "\u3014\u3015\u3031-\u9fff\ua000-\ud7ff\uf900-\ufdff\ufe70-\ufefe]"
)
# What people say while they read a number out.
_SAYING = "[呃啊嗯哦喂诶额哎唉对得杠是再哈呢好转]|然后|那个|这个|就是说|就是|后面|接着|横杠|空格|你好|您好|是吧|分机"
GAP = rf"{_SIGN}{{0,5}}(?:(?:{_SAYING}){_SIGN}{{0,3}}){{0,3}}"
# As many digits as hang together, few or many: to ask for seven would try again from each digit of a shorter number.
_TOGETHER = re.compile(rf"[{DIGIT}](?:{GAP}[{DIGIT}]){{3}}(?:{GAP}[{DIGIT}]++)*+")
_SEVEN = re.compile(rf"[{DIGIT}](?:{GAP}[{DIGIT}]){{6}}")
_CHECK = re.compile(rf"{GAP}(?:[xX叉](?![A-Za-z0-9])|艾克斯)")
_LETTERS_BEFORE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,3}[-_]?$")
_GROUP = re.compile(f"[{DIGIT}]+|[xX叉](?=$)|艾克斯$")
_FEWEST = 7
_LONGEST = 21
_MANY_RUNS = 100
_MANY_GROUPS = 150
"""A text with more numbers, and a number with more groups, than any person writes: they go whole, unread."""

_MOBILE = re.compile(r"(?:0?0?86|0)?1[3-9][0-9]{9}")
_FIXED = re.compile(r"(?:86)?0(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}|[48]00[0-9]{7}")
_ABROAD = re.compile(r"(?:00)?86(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}")
_EXTENSION = re.compile(rf"[ ,，]?(?:转分机号?|转|分机号?|ext\.?|-)[ :：]?[{DIGIT}]{{1,6}}(?![{DIGIT}])", re.I)
_RESIDENT_SHAPE = re.compile(r"[1-8][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9xX]")
_COUNTED = re.compile(r"\s?[元块万米克斤平人个]")
_DATE = re.compile(r"(?:19|20)[0-9]{2}[-/. ]?(?:0[1-9]|1[0-2]|[1-9])[-/. ]?[0-3]?[0-9](?:[ :.,-]{1,2}[0-9]{1,6}){0,4}")

_CUE_WINDOW = 12
_CUE_WORDS = (
    ("resident", "身份证|证件号|idcard|id card"),
    ("card", "卡号|银行卡|储蓄卡|信用卡|借记卡|(?<![单机])尾号|bank|card"),
    ("wechat", "微信|威信|薇信|wechat|weixin|v信|vx|wx"),
    ("device", r"设备(?:编号)?|序列号|机身|imei|mac|serial|\bsn\b|s/n|dev(?:ice)?\b"),
    ("account", "账号|帐号|账户|帐户|用户|会员|qq|user|uid|account|login"),
    ("order", "订单|定单|单号|运单|快递|工单|流水|票号|取件码|编号|order|trace|ticket"),
    ("phone", "电话|手机|联系|拨打|打给|打这个号|tel|phone|mobile|call"),
    ("weak", "号码"),
)
_CUE_TOKEN = {
    "resident": RESIDENT,
    "card": CARD,
    "wechat": WECHAT,
    "device": DEVICE,
    "account": ACCOUNT,
    "order": ORDER,
    "phone": PHONE,
}
_CUE = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _CUE_WORDS), re.I)
_ORDER_HERE = re.compile(
    r"(?:(?:订单|定单|运单|快递|工单|流水)(?:编号|单号|号码?|尾号)?|单号)(?:是|为|[:： #，,]){0,3}$"
)
_CLAUSE_END = re.compile(r"[，。！？；,;!?](?=.*[^，。！？；,;!?:： ])")
_CLAUSE_MARK = re.compile("[，。；;,]")
# Between the numbers of a list, a range or a size; never inside one number.
_LISTING = re.compile(r"[、/*×~～:：%￥$.()（）+]")
_IN_ORDER = "012345678901234567890"
_CARD_BEHIND = re.compile(r".{0,6}?(?:银行卡|卡|银行|账户)")


def _is_resident_id(digits: str) -> bool:
    # Not the table of districts of the library: it refuses a district that is younger than its citizens.
    return _RESIDENT_SHAPE.fullmatch(digits) is not None and ric.calc_check_digit(digits) == digits[-1].upper()


def _may_be_card(digits: str) -> bool:
    # No bank card begins with another digit; a mobile number beside something else may.
    return digits[0] in "3456" and luhn.is_valid(digits)


def _kind(digits: str, cue: str, groups: int, first: int, ordered: bool) -> str:
    """Name the identifier that a whole number is, '' if it is none beyond doubt."""
    size = len(digits)
    if size < 10:
        return ""
    if size == 18 and (
        cue == RESIDENT
        or (1 < groups <= 4 and cue != ORDER and _RESIDENT_SHAPE.fullmatch(digits) is not None)
        or (not ordered and _is_resident_id(digits))
    ):
        return RESIDENT
    if cue == ORDER and groups == 1 and (size > 11 or ordered):
        return ""
    if 11 <= size <= 15 and _MOBILE.fullmatch(digits) is not None:
        return PHONE
    if size == 15 and cue == RESIDENT:
        return RESIDENT
    if size <= 14 and _FIXED.fullmatch(digits) is not None:
        return LANDLINE
    if (
        12 <= size <= 19
        and digits.isdecimal()
        and (cue == CARD or (groups >= 4 and first == 4 and size >= 15 and cue != ORDER and _may_be_card(digits)))
    ):
        return CARD
    return ""


def _cue_before(text: str, start: int) -> str:
    """Return the token of the cue that stands nearest before a position, '' if there is none."""
    window = text[max(0, start - _CUE_WINDOW) : start]
    # The names inside earlier tokens are not cues, else masking twice would differ from masking once.
    window = window[window.rfind("〕") + 1 :]
    nearest = ""
    for found in _CUE.finditer(window):
        name = found.lastgroup or ""
        if name != "weak":
            nearest = _CUE_TOKEN[name]
        elif not nearest:
            # A bare 号码 says nothing when a more telling cue stands before it (身份证号码).
            nearest = PHONE
    return nearest


def spelled(group: str) -> str:
    """Return the digits of a group, written or spoken; X for a check letter."""
    return group.translate(_SAID) if group.isalnum() and group not in ("叉", "艾克斯") else "X"


def _is_serial(text: str, groups: list[tuple[int, int]], said: list[str]) -> bool:
    """Return whether digits behind letters are one number, and not a model with a size beside it (DDR2 800)."""
    if len(said[0]) >= 6 or len(groups) == 1:
        return True
    gap = text[groups[0][1] : groups[1][0]]
    return gap.isalpha() and any(character in SPOKEN for character in text[groups[0][0] : groups[-1][1]])


def _read_run(text: str, start: int, end: int, strict: bool) -> list[Span]:
    """Return the identifiers inside one run of at least seven digits."""
    if end - start > 2 * _MANY_GROUPS:
        return [(start, end, ACCOUNT)]
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(text, start, end)]
    if len(groups) > _MANY_GROUPS:
        return [(start, end, ACCOUNT)]
    before = max(0, start - 5)
    letters = _LETTERS_BEFORE.search(text[before:start])
    whole = start if letters is None else before + letters.start()
    cue = _cue_before(text, start)
    said = [spelled(text[left:right]) for left, right in groups]
    if letters is not None and not strict and (cue == ORDER or (not cue and _is_serial(text, groups, said))):
        return [(whole, end, ORDER)]
    ordered = cue == ORDER and _ORDER_HERE.search(text[max(0, start - _CUE_WINDOW) : start]) is not None
    if ordered and not strict and len({text[left[1] : right[0]] for left, right in pairwise(groups)} | {" "}) <= 2:
        # Groups with one sign between them all are one order number, whatever shape it happens to have.
        return [(whole, end, ORDER)]
    spans: list[Span] = []
    index = 0
    while index < len(groups):
        kind, taken = "", 0
        from_abroad = said[index].startswith("00") or text[groups[index][0] - 1 : groups[index][0]] == "+"
        joined, joins = "", []
        for other in range(index, len(groups)):
            joined += said[other]
            if len(joined) > _LONGEST:
                break
            joins.append(joined)
        gaps = [text[left[1] : right[0]] for left, right in pairwise(groups[index : index + len(joins)])]
        for count in range(len(joins), 0, -1):
            # Where one gap of several is a comma, two numbers stand beside each other: their groups form no shape.
            listed = len(set(gaps[: count - 1])) > 1 and _CLAUSE_MARK.search("".join(gaps[: count - 1])) is not None
            kind = _kind(joins[count - 1], cue, 0 if listed else count, len(said[index]), ordered)
            if not kind and from_abroad and _ABROAD.fullmatch(joins[count - 1]) is not None:
                kind = LANDLINE
            if kind:
                taken = count
                break
        if not kind:
            index += 1
            continue
        left, right = groups[index][0], groups[index + taken - 1][1]
        index += taken
        if kind == LANDLINE:
            extension = _EXTENSION.match(text, right)
            if extension is not None:
                right = extension.end()
                while index < len(groups) and groups[index][0] < right:
                    index += 1
        if text[left - 1 : left] == "+":
            left -= 1
        spans.append((left, right, kind))
    if strict or _DATE.fullmatch(text, start, end) is not None:
        return spans
    if spans:
        return spans + _left_over(text, groups, said, spans, cue)
    token = _doubtful(text, groups, said, cue)
    return [(start if token in (PHONE, LANDLINE, CARD) else whole, end, token)] if token else []


def _left_over(text: str, groups: list[tuple[int, int]], said: list[str], spans: list[Span], cue: str) -> list[Span]:
    """Return what stands beside the certain identifiers of a run and is itself long enough to be one."""
    found: list[Span] = []
    edges = [0, *(edge for span in spans for edge in span[:2]), groups[-1][1]]
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        inside = [index for index, group in enumerate(groups) if left <= group[0] and group[1] <= right]
        if sum(len(said[index]) for index in inside) >= _FEWEST:
            beside = [groups[index] for index in inside]
            token = _doubtful(text, beside, [said[index] for index in inside], cue)
            if token:
                found.append((beside[0][0], beside[-1][1], token))
    return found


def _doubtful(text: str, groups: list[tuple[int, int]], said: list[str], cue: str) -> str:
    """Name what a run without a certain identifier may be by its cue, its length or the way it is spoken, else ''."""
    start, end = groups[0][0], groups[-1][1]
    digits = "".join(said)
    size = len(digits)
    gaps = [text[left[1] : right[0]] for left, right in pairwise(groups)]
    if size <= 8 and _COUNTED.match(text, end) is not None:
        return ""
    if size < 10 and cue:
        window = text[max(0, start - _CUE_WINDOW) : start]
        ends = [found.end() for found in _CLAUSE_END.finditer(window)]
        cue = _cue_before(window[ends[-1] :] if ends else window, _CUE_WINDOW)
    if cue == PHONE:
        if any(_LISTING.search(gap) is not None for gap in gaps):
            return ""
        return PHONE if digits.startswith("1") else LANDLINE
    if cue:
        return cue if cue != CARD or size >= 10 else ""
    if len(groups) == 1 and 15 <= size <= 19 and luhn.is_valid(digits) and _CARD_BEHIND.match(text, end) is not None:
        return CARD
    if len(set(digits)) <= 2 or digits in _IN_ORDER:
        return ""
    stretch = longest = said[0]
    stretches = [(start, groups[0][1])]
    for gap, (left, right), part in zip(gaps, groups[1:], said[1:], strict=True):
        if _LISTING.search(gap) is None:
            stretch += part
            stretches[-1] = (stretches[-1][0], right)
        else:
            stretch = part
            stretches.append((left, right))
        longest = max(longest, stretch, key=len)
    if len(longest) >= 7:
        for left, right in stretches:
            spoken = sum(1 for character in text[left:right] if character in SPOKEN)
            if spoken >= 3 or 0 < spoken < right - left - 1:
                return ACCOUNT
    in_fours = len(said) >= 3 and all(len(part) == 4 for part in said[:-1]) and all(gap in (" ", "-") for gap in gaps)
    return ORDER if in_fours or max(map(len, said)) >= 10 else ""


def numbers(text: str, *, strict: bool = False) -> list[Span]:
    """Find the numbers of a normalised text that point to somebody, in order.

    Parameters
    ----------
    strict
        Only what is an identifier beyond doubt: for values that may be part numbers, batches or versions.

    Notes
    -----
    Read in runs: seven digits or more, written or spoken, with signs and words of hesitation between them. Linear: a
    text with more than a hundred runs, and a run with more than 150 groups, is not read but goes whole.
    """
    runs: list[tuple[int, int]] = []
    for together in _TOGETHER.finditer(text):
        start, end = together.span()
        if end - start < _FEWEST:
            continue
        if len(runs) > _MANY_RUNS:
            runs.append((start, end))
        elif together.group().isdecimal() or _SEVEN.match(text, start) is not None:
            check = _CHECK.match(text, end)
            runs.append((start, end if check is None else check.end()))
    if len(runs) > _MANY_RUNS:
        return [(start, end, ACCOUNT) for start, end in runs]
    spans: list[Span] = []
    done = 0
    for start, end in runs:
        for span in sorted(_read_run(text, start, end, strict)):
            if span[0] >= done:
                spans.append(span)
                done = span[1]
    return spans
