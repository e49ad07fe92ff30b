"""Parts of an identifier that was said in two turns of a conversation: the beginning, and what follows it."""

from __future__ import annotations

import re

from models.masking.kinds import ACCOUNT, CARD, NUMBER, ORDER, PHONE, RESIDENT, WECHAT, Span
from models.masking.numbers import DIGIT, GAP, SPOKEN, spelled

_FEWEST, _MOST = 3, 21
_WINDOW = 48
_EDGE = 10
"""How far from the edge of a turn a digit must stand, for what people add to a number is short."""
_DIGITS = frozenset("0123456789" + SPOKEN)

_RUN = rf"[{DIGIT}](?:{GAP}[{DIGIT}])*+(?:{GAP}[xX叉](?![A-Za-z0-9]))?+"
_POLITE = (
    r"[嗯啊呃哦额诶欸哎对是好的吧呢哈喂了吗]|那个|然后|就是|谢谢|没了|完了|收到|请问|您说|〔[^〕]{1,4}〕"
    r"|[\s，。、,.…~～！!？?：:；;]"
)
_PLACE = (
    rf"(?:后|前|末|最后|中间)(?:面)?[几{DIGIT}]位数?|尾号|尾数|开头|后面|前面|后边|接着|接下来|接下去|剩下的?|余下的?|下面"
    r"|然后是|还有是"
)
_LAST = re.compile(rf"(?P<run>{_RUN})(?:{_POLITE})*+$")
_ALONE = re.compile(rf"(?:{_POLITE}|还有|再来|继续)*+")
_LINK = r"(?:号码?|码|数字|几位|的|就|是|为|叫|[:： #，,呃嗯啊额]|那个|然后){0,5}"
_KINDS = (
    (RESIDENT, "身份证|证件号"),
    (CARD, "卡号|银行卡|储蓄卡|信用卡"),
    (WECHAT, "微信号|[vV]信号|[vV][xX]|[wW][xX]"),
    (ORDER, "订单号|定单号|订单编号|单号|运单|流水号|票号|取件码"),
    (ACCOUNT, "账号|帐号|会员号|[qQ][qQ]"),
    (PHONE, "手机号|电话|号码|手机(?=是|[:：])"),
)
_CUE_BEFORE = re.compile(
    "|".join(f"(?P<k{place}>(?:{words}){_LINK}[A-Za-z]{{0,3}}$)" for place, (_, words) in enumerate(_KINDS))
    + f"|(?P<place>(?:{_PLACE}){_LINK}$)"
)
_SURE = re.compile("[是为位尾]")
_CUE_BEHIND = re.compile(
    rf"[，, ]*(?:这个|这)?是?(?:我的?|你的?|您的?)?(?:{_PLACE}|手机号?|电话|号码|身份证|卡号|银行卡|订单号|单号|账号)"
)
_FIRST = re.compile(rf"(?:{_POLITE}|还有|再来|继续)*+(?P<run>{_RUN})")
_NOT_BESIDE = re.compile(r"[A-Za-z.%￥¥$@+/*×_-]$")
_NO_NUMBER = re.compile(r"[.:/~～×*%：℃°+=]")
_DAY = re.compile(r"[0-9]-[0-9]{1,2}(?![0-9])")
_ONE_GROUP = re.compile(f"[{DIGIT}]+")
_MOBILE_HEAD = re.compile(r"1[3-9][0-9]{5}")
# Prices, years, days and the numbers that everybody calls are the point of an answer, and no part of an identifier.
_YEAR = re.compile(r"(?:19[5-9]|20[0-4])[0-9]")
_TOLD = re.compile(
    r"[1-9][0-9]{0,2}|[1-9][0-9]{1,2}(?:00|99)|([0-9])\1*|(?:19[5-9]|20[0-4])[0-9]"
    r"|20[0-4][0-9](?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])?|1234(?:56?)?"
)
_SERVICE = re.compile(r"11[0-9]|12[0-2]|12[0-9]{3}|10[0-9]{3}|9[56][0-9]{3}|400")


def _is_told(run: str, digits: str) -> bool:
    """Return whether digits that nothing announces are likely the point of an answer."""
    if any(character in SPOKEN for character in run):
        return len(set(digits)) == 1 or "123456".startswith(digits) or _YEAR.fullmatch(digits) is not None
    if "-" in run:
        return all(_TOLD.fullmatch(group) is not None for group in _ONE_GROUP.findall(run))
    return run.isdecimal() and _TOLD.fullmatch(digits) is not None


def _digits(run: str) -> str:
    """Return the digits of a run, '' where they are too few or too many for a part of an identifier."""
    digits = "".join(map(spelled, _ONE_GROUP.findall(run)))
    return digits if _FEWEST <= len(digits) <= _MOST and _NO_NUMBER.search(run) is None else ""


def fragments(text: str) -> list[Span]:
    """Find what one turn holds of an identifier whose other part stands in another turn.

    A turn is judged by itself: the stage that masks sees the turns of a conversation in any order, in batches of any
    size and in several processes, and what it decides must not depend on that. So it goes by cue and shape:

    - digits at the end of a turn behind the name of an identifier (我手机号是138) or of a part of one (后面是5678);
    - digits at the beginning before such a name (5678是后四位);
    - a turn of digits alone, written or spoken, but for words of courtesy and hesitation (嗯，五六七八): from four
      digits, spoken from three;
    - the first seven digits of a mobile number at the end of a turn.

    A turn of digits alone stays where they look like a price, a year, a day or a number that everybody calls (299,
    5000, 2025, 12345, 404); so does what stands beside a letter (E207) or a unit. It fails on a part that no cue
    announces inside a longer sentence, and on a second part that looks like a price.
    """
    if len(text) > _WINDOW:
        return _at_end(text, len(text) - _WINDOW) + _at_beginning(text)
    return _at_end(text, 0) or _at_beginning(text)


def _at_end(text: str, window: int) -> list[Span]:
    found = None if _DIGITS.isdisjoint(text[-_EDGE:]) else _LAST.search(text, window)
    if found is None:
        return []
    start, end = found.span("run")
    digits = _digits(found["run"])
    if not digits:
        return []
    before = text[window:start]
    cue = _CUE_BEFORE.search(before[before.rfind("〕") + 1 :])
    if cue is not None:
        token = NUMBER if cue.lastgroup == "place" else _KINDS[int((cue.lastgroup or "")[1:])][0]
        called = token == PHONE and _SERVICE.fullmatch(digits) is not None
        # 后面是299 goes on with a number; 后面 299 may as well say what something costs.
        vague = token == NUMBER and _SURE.search(cue.group()) is None and _is_told(found["run"], digits)
        return [] if called or vague else [(start, end, token)]
    if _NOT_BESIDE.search(before) is not None or _DAY.search(found["run"]) is not None:
        return []
    if _MOBILE_HEAD.fullmatch(digits) is not None:
        return [(start, end, PHONE)]
    if window == 0 and _ALONE.fullmatch(text, 0, start) is not None and not _is_told(found["run"], digits):
        return [(start, end, NUMBER)]
    return []


def _at_beginning(text: str) -> list[Span]:
    found = None if _DIGITS.isdisjoint(text[:_EDGE]) else _FIRST.match(text)
    if found is None or _CUE_BEHIND.match(text, found.end()) is None or not _digits(found["run"]):
        return []
    return [(*found.span("run"), NUMBER)]
