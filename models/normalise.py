"""One spelling for equal texts: width, script, invisible characters, glosses, separators and repeats."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import opencc

from qianshao.event import MAX_TEXT_CHARS

KEPT_PUNCTUATION = "，。！？；：、（）《》“”‘’…—～·【】〔〕￥"
"""Chinese punctuation that stays as people write it, although NFKC would turn part of it into ASCII."""

_CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
# Controls, soft hyphen, zero width, bidi marks and overrides, invisible operators, variation selectors, fillers, tags.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_MAYBE_COMBINING = re.compile(
    "[\u0300-\u1fff\u20d0-\u20ff\u2cef-\u2dff\u302a-\u309a\ua66f-\uabff\ufb1e-\ufe2f\U00010000-\U0001efff]"
)
_MAX_COMBINING = 2
_OUTSIDE_KEPT = re.compile(f"[^{KEPT_PUNCTUATION}]+")
_TONE = re.compile("[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ]")
_GLOSS = re.compile("[(（][a-zü]{0,5}[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-zü]{0,5}[)）]")
# Digits, written or spoken, may repeat inside a number.
_REPEAT = re.compile(r"([^0-9零〇一二三四五六七八九幺两洞拐\s])\1{3,}")
_TRICK_SYMBOLS = "*^|_#"
_SYMBOL_TRICK = re.compile(f"(?<=[{_CJK}])[{re.escape(_TRICK_SYMBOLS)}](?=[{_CJK}])")
_SPACED_CHARACTERS = re.compile(f"(?<![{_CJK}])[{_CJK}](?: [{_CJK}])+(?![{_CJK}])")
_SPACES = re.compile(r"\s{2,}")


@cache
def _traditional() -> tuple[re.Pattern[str], re.Pattern[str], opencc.OpenCC]:
    """Return the gate (any character that needs work), the traditional-character gate and the converter."""
    converter = opencc.OpenCC("t2s")
    characters = [chr(code) for block in ((0x3400, 0x4DC0), (0x4E00, 0xA000)) for code in range(*block)]
    simplified = converter.convert("\n".join(characters)).split("\n")
    changed = [before for before, after in zip(characters, simplified, strict=True) if before != after]
    unchanged = "".join(sorted(set(characters) - set(changed)))
    ordinary = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in _TRICK_SYMBOLS)
    clean = re.escape(KEPT_PUNCTUATION + ordinary) + unchanged
    return re.compile(f"[^{clean}]"), re.compile(f"[{''.join(changed)}]"), converter


def _cap_combining(text: str) -> str:
    """Keep at most two combining marks in a row; canonical reordering of thousands is quadratic."""
    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MAX_COMBINING:
            kept.append(character)
    return "".join(kept)


def _nfkc(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())


def _without_spaces(match: re.Match[str]) -> str:
    return match.group().replace(" ", "")


def normalise(text: str) -> str:
    """Return the one spelling under which equal texts are equal.

    NFKC (Chinese punctuation stays), traditional to simplified characters, line breaks to one space; control,
    zero-width and bidi characters and bracketed pinyin glosses go; lone surrogates become U+FFFD; a character repeated
    more than three times stands three times; at most two combining marks in a row; `退*款` and `投 诉` are joined.

    Parameters
    ----------
    text
        Any string, however hostile; beyond 20 000 characters it is cut, before and after.

    Notes
    -----
    Linear in the length. An ordinary simplified text costs about 1 µs per 20 characters: one scan finds nothing to do.
    Regional wording (網路 → 网络) is not translated, only the script.

    >>> normalise("我要退*款，門鎖離線了！！！！！！ 統(tǒng)一")
    '我要退款，门锁离线了！！！ 统一'
    """
    dirty, traditional, converter = _traditional()
    text = text[:MAX_TEXT_CHARS]
    if dirty.search(text) is not None:
        text = _SURROGATE.sub("\ufffd", text)
        text = _INVISIBLE.sub("", _LINE_BREAK.sub(" ", text))
        if _MAYBE_COMBINING.search(text) is not None:
            text = _cap_combining(text)
        text = _OUTSIDE_KEPT.sub(_nfkc, text)[:MAX_TEXT_CHARS]
        text = _INVISIBLE.sub("", text)
        if _TONE.search(text) is not None:
            text = _GLOSS.sub("", text)
        if traditional.search(text) is not None:
            text = converter.convert(text)
        text = _SYMBOL_TRICK.sub("", text)
    text = _REPEAT.sub(r"\1\1\1", text)
    if " " in text:
        text = (_SPACES.sub(" ", text) if "  " in text else text).strip()
        if not text.isascii():
            text = _SPACED_CHARACTERS.sub(_without_spaces, text)
    return text
