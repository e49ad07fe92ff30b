"""One spelling for equal texts: width, script, invisible characters, glosses, separators and repeats."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import opencc
from numpy.typing import NDArray

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
_HONORIFIC, _HONORIFIC_WORD = "\ufdfa", "\u0635"
"""The one ligature that NFKC makes eighteen characters of: its first letter stands for it."""
# Digits of other scripts, and digits in black or double circles, which NFKC leaves alone.
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_CIRCLED_DIGIT = re.compile(r"[\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792]")
_BASIC = 0x10000
_BEYOND_BASIC = "\U00010000-\U0001efff\U0001f100-\U0001f2ff\U0001fbf0-\U0001fbf9\U0002f800-\U0002fa1f"
"""Beyond the basic plane, where NFKC changes anything."""
_LONG = 200
"""From this length on it pays to look characters up in tables."""
_PLANES = 0x20000
"""Beyond these code points there is neither a digit nor a combining mark."""
_OUTSIDE_KEPT = re.compile(f"[^{KEPT_PUNCTUATION}]+")
_TONE = re.compile("[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ]")
_GLOSS = re.compile("[(（][a-zü]{0,5}[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-zü]{0,5}[)）]")
# Digits, written or spoken, may repeat inside a number.
_MAY_REPEAT = "0123456789零〇一二三四五六七八九幺两洞拐勾壹贰叁肆伍陆柒捌玖参"
_FOUR_ALIKE = re.compile(r"(.)\1\1\1")
_TRICK_SYMBOLS = "*^|_#"
_SYMBOL_TRICK = re.compile(f"[{re.escape(_TRICK_SYMBOLS)}](?<=[{_CJK}].)(?=[{_CJK}])")
# Beside a token of masking nothing is joined: there stood, before masking, what kept the characters apart.
_SPACED_CHARACTERS = re.compile(f"(?<![{_CJK}〕])[{_CJK}](?: [{_CJK}])+(?![{_CJK}〔])")
_SPACED_GATE = re.compile(f" [{_CJK}]")
_SPACES = re.compile(r"\s{2,}")
# What may not be shown as it came: controls, marks that turn the direction of reading, tags; joiners of emoji may.
_NOT_SHOWN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)

Place = tuple[int, int]
"""Start and end, in the original, of what a character of the normalised text came from."""


# Characters whose simplified form depends on the word (乾净 but 乾隆). Not 么麼於: only rare names tell them apart.
_BY_WORD = re.compile("[乾俱吒噁彷徵昇沈濛牴畫瞭薹藉衹覆鉅鍊鍾]")
_MAX_BY_WORD = 500
"""OpenCC costs 2 µs a character; a longer text is converted character by character."""


Codes = NDArray[np.uint32]
"""Code points of a text without lone surrogates."""


class _Script(NamedTuple):
    dirty: re.Pattern[str]
    """Any character that needs work, of whatever kind."""
    foreign: re.Pattern[str]
    """Any character that is neither ASCII nor kept punctuation nor common Chinese: NFKC may change it."""
    single: Codes
    """Per code point what NFKC makes of it, where that is one character that can join none before it; else itself."""
    joined: re.Pattern[str]
    """The stretches that must be given to NFKC whole, once the single characters are done."""
    traditional: re.Pattern[str]
    simplified: Codes
    """Per code point the one that takes its place."""
    digits: Codes
    """Per code point the digit 0–9 that takes its place, or itself."""
    marks: NDArray[np.bool_]
    """Per code point, whether it is a combining mark."""
    converter: opencc.OpenCC


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _text(codes: Codes) -> str:
    return codes.tobytes().decode("utf-32-le")


def _exchanged(text: str, table: Codes) -> str:
    """Exchange character for character; `str.translate` would cost twenty times as much on a long text."""
    codes = _codes(text)
    return _text(np.where(codes < len(table), table[np.minimum(codes, len(table) - 1)], codes))


@cache
def _script() -> _Script:
    converter = opencc.OpenCC("t2s")
    characters = [chr(code) for block in ((0x3400, 0x4DC0), (0x4E00, 0xA000)) for code in range(*block)]
    alone = converter.convert("\n".join(characters)).split("\n")
    simplified = {ord(before): after for before, after in zip(characters, alone, strict=True) if before != after}
    unchanged = "".join(character for character in characters if ord(character) not in simplified)
    ordinary = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in _TRICK_SYMBOLS)
    dirty = re.compile(f"[^{re.escape(KEPT_PUNCTUATION + ordinary) + unchanged}]")
    table = np.arange(0xA000, dtype=np.uint32)
    table[list(simplified)] = list(map(ord, simplified.values()))
    every = "".join(map(chr, range(_PLANES)))
    digits = np.arange(_PLANES, dtype=np.uint32)
    for each in _FOREIGN_DIGIT.findall(every) + _CIRCLED_DIGIT.findall(every):
        digits[ord(each)] = ord(str(unicodedata.digit(each)))
    marks = np.frombuffer(bytes(map(unicodedata.combining, every)), np.uint8) != 0
    foreign = re.compile(f"[^\x00-\x7f\ufffd{KEPT_PUNCTUATION}\u3400-\u4dbf\u4e00-\u9fff]")
    single, joined = _nfkc_parts()
    return _Script(
        dirty,
        foreign,
        single,
        joined,
        re.compile(f"[{''.join(map(chr, simplified))}]"),
        table,
        digits,
        marks,
        converter,
    )


def _nfkc_parts() -> tuple[Codes, re.Pattern[str]]:
    """Tell the characters that NFKC looks at one by one from those that it may join with their neighbours."""
    single = np.arange(_BASIC, dtype=np.uint32)
    seconds = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}
    for code in range(_BASIC):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(int(parts[1], 16))
    joining: list[str] = []
    for code in (*range(0x80, 0xD800), *range(0xE000, _BASIC)):
        character = chr(code)
        if character in KEPT_PUNCTUATION:
            continue
        normal = unicodedata.normalize("NFKC", character)
        if (
            len(normal) != 1
            or unicodedata.combining(normal)
            or unicodedata.combining(character)
            or ({code, ord(normal)} & seconds)
        ):
            joining.append(re.escape(character))
        else:
            single[code] = ord(normal)
    several = "".join(joining) + _BEYOND_BASIC
    return single, re.compile(f"(?:[^{KEPT_PUNCTUATION}{several}]?[{several}]++)++")


def _simplify(text: str) -> str:
    script = _script()
    if len(text) <= _MAX_BY_WORD and _BY_WORD.search(text) is not None:
        return str(script.converter.convert(text))
    return _exchanged(text, script.simplified)


def _traced(old: str, new: str, places: list[Place]) -> list[Place]:
    """Return where each character of `new` came from, when it took the place of `old`."""
    if len(new) == len(old):
        return places
    traced: list[Place] = []
    position = 0
    for character in new:
        found = old.find(character, position)
        if found < 0:
            # Not made by leaving characters out: the whole stands for the whole.
            return [(places[0][0], places[-1][1])] * len(new)
        traced.append(places[found])
        position = found + 1
    if traced:
        traced[-1] = (traced[-1][0], places[-1][1])
    return traced


def _sub(
    pattern: re.Pattern[str], write: str | Callable[[re.Match[str]], str], text: str, at: list[Place] | None
) -> str:
    """Substitute, and keep `at`, the places of the characters, in step; None = nobody asks for places."""
    if at is None:
        return pattern.sub(write, text)
    pieces: list[str] = []
    moved: list[Place] = []
    done = 0
    for found in pattern.finditer(text):
        start, end = found.span()
        new = found.expand(write) if isinstance(write, str) else write(found)
        pieces += (text[done:start], new)
        moved += at[done:start]
        moved += _traced(found.group(), new, at[start:end])
        done = end
    pieces.append(text[done:])
    moved += at[done:]
    at[:] = moved
    return "".join(pieces)


def _unstacked(text: str, at: list[Place] | None) -> str:
    """Leave out combining marks beyond the second in a row; canonical reordering of thousands is quadratic."""
    if _MAYBE_COMBINING.search(text) is None:
        return text
    codes = _codes(text)
    marks = _script().marks
    found = (codes < len(marks)) & marks[np.minimum(codes, len(marks) - 1)]
    found[_MAX_COMBINING:] &= found[1:-1] & found[:-2]
    found[:_MAX_COMBINING] = False
    return _without(text, codes, found, at)


def _unrepeated(text: str, at: list[Place] | None) -> str:
    """Leave out a character beyond the third time in a row."""
    codes = _codes(text)
    found = np.zeros(len(codes), dtype=np.bool_)
    found[3:] = (codes[3:] == codes[2:-1]) & (codes[2:-1] == codes[1:-2]) & (codes[1:-2] == codes[:-3])
    for code in set(codes[found].tolist()):
        if chr(code) in _MAY_REPEAT or chr(code).isspace():
            found &= codes != code
    return _without(text, codes, found, at)


def _without(text: str, codes: Codes, found: NDArray[np.bool_], at: list[Place] | None) -> str:
    """Leave out the characters found; the one before them stands for them."""
    if not found.any():
        return text
    if at is not None:
        kept: list[Place] = []
        for place, gone in zip(at, found.tolist(), strict=True):
            if gone:
                kept[-1] = (kept[-1][0], place[1])
            else:
                kept.append(place)
        at[:] = kept
    return _text(codes[~found])


def _nfkc(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())


def _units(text: str) -> list[str]:
    """Cut a text where NFKC cannot join: a letter stays with its marks, a syllable with its parts."""
    units: list[str] = []
    for character in text:
        if units and not character.isascii():
            both = units[-1] + character
            if unicodedata.normalize("NFKC", both) != (
                unicodedata.normalize("NFKC", units[-1]) + unicodedata.normalize("NFKC", character)
            ):
                units[-1] = both
                continue
        units.append(character)
    return units


def _nfkc_traced(text: str, at: list[Place]) -> str:
    """Do what NFKC does to every stretch, unit by unit where that comes to the same."""
    pieces: list[str] = []
    moved: list[Place] = []
    done = 0
    for found in _OUTSIDE_KEPT.finditer(text):
        start, end = found.span()
        pieces.append(text[done:start])
        moved += at[done:start]
        new = _nfkc(found)
        units = _units(found.group())
        single = [unicodedata.normalize("NFKC", unit) for unit in units]
        pieces.append(new)
        if "".join(single) == new:
            at_unit = start
            for unit, each in zip(units, single, strict=True):
                moved += [(at[at_unit][0], at[at_unit + len(unit) - 1][1])] * len(each)
                at_unit += len(unit)
        else:
            moved += [(at[start][0], at[end - 1][1])] * len(new)
        done = end
    pieces.append(text[done:])
    at[:] = moved + at[done:]
    return "".join(pieces)


def _without_spaces(match: re.Match[str]) -> str:
    return match.group().replace(" ", "")


def _normalise(text: str, at: list[Place] | None) -> str:
    script = _script()
    if script.dirty.search(text) is not None:
        text = _sub(_SURROGATE, "\ufffd", text, at)
        text = _sub(_INVISIBLE, "", _sub(_LINE_BREAK, " ", text, at), at)
        text = _unstacked(text, at)
        if _HONORIFIC in text:
            text = text.replace(_HONORIFIC, _HONORIFIC_WORD)
        if script.foreign.search(text) is not None:
            if at is not None:
                text = _nfkc_traced(text, at)
            elif len(text) < _LONG:
                text = _OUTSIDE_KEPT.sub(_nfkc, text)
            else:
                text = script.joined.sub(_nfkc, _exchanged(text, script.single))
            if len(text) > MAX_TEXT_CHARS:
                text = text[:MAX_TEXT_CHARS]
                if at is not None:
                    del at[MAX_TEXT_CHARS:]
            text = _sub(_INVISIBLE, "", text, at)
            if _FOREIGN_DIGIT.search(text) is not None or _CIRCLED_DIGIT.search(text) is not None:
                text = _exchanged(text, script.digits)
            if _TONE.search(text) is not None:
                text = _sub(_GLOSS, "", text, at)
        if script.traditional.search(text) is not None:
            converted = _simplify(text)
            if at is not None:
                at[:] = _traced(text, converted, at)
            text = converted
        text = _sub(_SYMBOL_TRICK, "", text, at)
    if _FOUR_ALIKE.search(text) is not None:
        text = _unrepeated(text, at)
    if " " in text:
        if "  " in text:
            text = _sub(_SPACES, " ", text, at)
        if at is not None:
            left = len(text) - len(text.lstrip())
            at[:] = at[left : max(left, len(text.rstrip()))]
        text = text.strip()
        if _SPACED_GATE.search(text) is not None:
            text = _sub(_SPACED_CHARACTERS, _without_spaces, text, at)
    return text


def normalise(text: str) -> str:
    """Return the one spelling under which equal texts are equal.

    NFKC (Chinese punctuation stays), traditional to simplified characters, digits of any script to 0–9, line breaks to
    one space; control, zero-width and bidi characters and bracketed pinyin glosses go; lone surrogates become U+FFFD; a
    character repeated more than three times stands three times; at most two combining marks in a row; `退*款` and
    `投 诉` are joined. Emoji stay.

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
    return _normalise(text[:MAX_TEXT_CHARS], None)


class Aligned(NamedTuple):
    """A normalised text and where its characters stand in the original."""

    text: str
    places: list[Place]
    """Per character of `text`: start and end of what it came from; never decreasing."""


def aligned(text: str) -> Aligned:
    """Normalise a text and say where each character of the result stands in the original.

    `aligned(text).text == normalise(text)`. Several characters that came from one (㎏ → kg) share its place; where
    characters merged, all that was merged is the place of each. About ten times the cost of `normalise`.

    >>> text, places = aligned("退*款１３８")
    >>> text, places[text.index("138")]
    ('退款138', (3, 4))
    """
    text = text[:MAX_TEXT_CHARS]
    places = [(index, index + 1) for index in range(len(text))]
    return Aligned(_normalise(text, places), places)


def presentable(text: str) -> str:
    """Return a text as its writer spelt it, less what must never reach a screen or a file.

    Line breaks become a space; controls, bidi marks, zero-width characters and stacked combining marks go; lone
    surrogates become U+FFFD. Script, width, emoji and repeats stay.

    >>> presentable("門鎖離線了\u202e！！！！👨\u200d👩")
    '門鎖離線了！！！！👨\u200d👩'
    """
    text = _NOT_SHOWN.sub("", _LINE_BREAK.sub(" ", _SURROGATE.sub("\ufffd", text[:MAX_TEXT_CHARS])))
    return _unstacked(text, None).strip()
