"""Masking of running text: every rule in its turn, until none finds anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice

from models.masking.addresses import addresses
from models.masking.fragments import fragments
from models.masking.handles import cued_handles, emails, machine_addresses, mixed_words, open_ids, plates
from models.masking.kinds import Span
from models.masking.names import names
from models.masking.numbers import DIGIT, GAP, numbers
from models.normalise import aligned, normalise, presentable

_MAX_FIELD_CHARS = 200
_FIELD_WINDOW = 1_000
_MAX_PASSES = 4
_LONG = 2_000
_REACH = 150
"""How far from a place a rule looks for what decides about it, but for runs of digits or letters that are longer."""
_FEW_TOKENS = 20
_MANY_IDENTIFIERS = 150
_ENOUGH = 700
_KEPT_CHARS = 2_000
"""Of a text that holds more identifiers than any person writes, about this much is kept, masked; the rest goes."""

_TOKEN = re.compile("〔[^〕]{1,4}〕")

Rule = Callable[[str], Iterable[Span]]
Place = tuple[int, int, str]
"""Where a character stands in the original (start, end), and the token that took its place, '' for none."""


def _strict_numbers(text: str) -> list[Span]:
    return numbers(text, strict=True)


_ASCII_RULES: tuple[Rule, ...] = (emails, open_ids, machine_addresses, numbers, cued_handles, mixed_words)
_RULES: tuple[Rule, ...] = (
    emails,
    open_ids,
    machine_addresses,
    plates,
    addresses,
    numbers,
    cued_handles,
    mixed_words,
    names,
)
_FIELD_RULES: tuple[Rule, ...] = (emails, open_ids, machine_addresses, plates, addresses, _strict_numbers)

# One scan decides that most texts hold nothing to mask. The words are the cues of the rules that need no digit.
_SIGNS = (
    rf"[0-9@]|[{DIGIT}]{GAP}[{DIGIT}]|叫|姓|名字|[件货系签收机户车主卡住请保]人|户[名主]|[机车]主|乘客|先生|女士|小姐|同学"
    r"|微信|威信|薇信|艾特|爱特|小老鼠|圈[aA]|[vV]信|[wW]e[iC]|wxid|[vV][xX]|[wW][xX]|地址|住址|省|市|自治区|[A-Za-z0-9_\-]{28}"
    r"|[(\[（【 ][aA][tT][)\]）】 ]|加我?[vV][:： 是]"
)
_FIRST_OF_SIGNS = rf"0-9@{DIGIT}叫姓名件货系签收机户车主卡住请保乘先女小同微威薇艾爱圈地省市自加A-Za-z_\-(\[（【 "
# Every sign begins with one of these. To find such a character first and to look from there is five times faster.
_GATE = re.compile(rf"[{_FIRST_OF_SIGNS}](?<=(?=(?:{_SIGNS}))[\s\S])")
# Five digits close together, or a sign of an identifier that has fewer. One pattern for all of them would try each at
# every character.
_ASCII_SIGNS = tuple(
    map(
        re.compile,
        (
            r"[0-9](?:[^0-9]{0,3}[0-9]){4}",
            r"[( \[][aA][tT][ )\]]",
            r"[A-Za-z0-9_\-](?<![A-Za-z0-9_\-].)[A-Za-z0-9_\-]{27}",
            r"(?:[0-9A-Fa-f]{2}[:\-]){5}",
        ),
    )
)
_ASCII_CUES = ["@", "user", "uid", "account", "qq", "imei", "mac", "sn", "s/n", "weixin", "wechat", "vx", "wx"]
_FIELD_GATE = re.compile(
    rf"[0-9]{{2}}|@|[{DIGIT}]{GAP}[{DIGIT}]|[A-Za-z0-9_\-]{{28}}|wxid_|号|室|[:-][0-9A-Fa-f]{{2}}[:-]"
)


def _put(text: str, spans: list[Span], places: list[Place] | None) -> str:
    """Put tokens in the place of spans, and keep the places of the characters in step; of two that overlap the left."""
    spans.sort(key=_start)
    pieces: list[str] = []
    moved: list[Place] = []
    done = 0
    for start, end, token in spans:
        if start < done:
            continue
        pieces += (text[done:start], token)
        if places is not None:
            moved += places[done:start]
            moved += [(places[start][0], places[end - 1][1], token)] * len(token)
        done = end
    pieces.append(text[done:])
    if places is not None:
        places[:] = moved + places[done:]
    return "".join(pieces)


def _start(span: Span) -> int:
    return span[0]


def put(text: str, rule: Rule) -> str:
    """Apply one more rule to a normalised text, once."""
    return _put(text, list(rule(text)), None)


def _once(text: str, rules: tuple[Rule, ...], places: list[Place] | None, again: bool = False) -> str:
    for rule in rules:
        few = again and len(text) > _LONG and text.count("〔") <= _FEW_TOKENS
        spans = _beside_tokens(rule, text) if few else list(islice(rule(text), _ENOUGH))
        if len(spans) == _ENOUGH:
            # What stands behind them was not read, and is more than will be kept.
            text = text[: max(end for _, end, _ in spans)]
            if places is not None:
                del places[len(text) :]
        if spans:
            text = _put(text, spans, places)
            if len(text) > _LONG and text.count("〔") > _MANY_IDENTIFIERS:
                text = _beginning(text, places)
    return text


def _beginning(text: str, places: list[Place] | None) -> str:
    """Cut off a text before a token, so that no identifier that is yet to be masked is cut in two."""
    end = text.find("〔", _KEPT_CHARS)
    if end < 0:
        return text
    text = text[:end].rstrip()
    if places is not None:
        del places[len(text) :]
    return text


def _beside_tokens(rule: Rule, text: str) -> list[Span]:
    """Apply a rule once more to a long text: only within reach of a token can it find what it did not find before."""
    stretches: list[tuple[int, int]] = []
    for found in _TOKEN.finditer(text):
        start, end = max(0, found.start() - 2 * _REACH), min(len(text), found.end() + 2 * _REACH)
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    spans: list[Span] = []
    for start, end in stretches:
        first = start + _REACH if start > 0 else 0
        last = end - _REACH if end < len(text) else end
        found_here = [(start + left, start + right, token) for left, right, token in rule(text[start:end])]
        spans += [span for span in found_here if first <= span[0] and span[1] <= last]
    return spans


def _apply(text: str, places: list[Place] | None, turn: bool) -> str:
    # A token put in one place can free what stands beside it for another rule, so it repeats until nothing changes.
    for past in range(_MAX_PASSES):
        if not may_identify(text):
            break
        masked = _once(text, _ASCII_RULES if text.isascii() else _RULES, places, past > 0)
        if masked == text:
            break
        text = masked
    if turn:
        spans = fragments(text)
        if spans:
            text = _put(text, spans, places)
    return text


def may_identify(text: str) -> bool:
    """Return whether a normalised text holds anything that a rule could mask: one scan, about 0.5 µs."""
    if not text.isascii():
        return _GATE.search(text) is not None
    lower = text.lower()
    return any(cue in lower for cue in _ASCII_CUES) or any(sign.search(text) is not None for sign in _ASCII_SIGNS)


def mask_normalised(text: str, *, turn: bool = False) -> str:
    """Mask a text that `normalise` has already seen; the step that `mask` shares with the batch path.

    Parameters
    ----------
    turn
        Whether it is a turn of a conversation: a part of an identifier, said in two turns, goes as well.
    """
    return _apply(text, None, turn)


def mask(text: str) -> str:
    """Normalise a text and put typed tokens in the place of identifiers.

    Masks mobile and fixed-line numbers (full width, spaced, dashed, spoken digits, fillers between them, extensions),
    resident ids (by checksum), bank cards (by context, or four-digit groups with a valid check digit), e-mail (also
    read out), number plates, street addresses, names after a cue, WeChat ids, order numbers, device serials and
    accounts. Codes, versions, models, dates, prices and counts stay. `mask(mask(text)) == mask(text)`.

    Fails on names without a cue, on addresses without street, number or region words, and on identifiers spelt in
    words of another language; it errs towards masking for a bare number of ten digits or more. Of a text with more than
    150 identifiers little more than the first 2 000 characters are kept.

    >>> mask("我叫王小明，电话幺三八零零幺三八零零零，错误码E207，版本v3.2.1")
    '我叫〔姓名〕，电话〔手机〕，错误码E207，版本v3.2.1'
    """
    return mask_normalised(normalise(text))


def mask_shown(original: str, own: Sequence[tuple[str, str]] = (), *, turn: bool = False) -> str:
    """Return a text in its writer's own spelling (script, width, emoji, repeats), its identifiers replaced.

    What is replaced is decided on the normalised text, exactly as `mask` decides, and carried back to the original.

    Parameters
    ----------
    original
        Any string; cut at 20 000 characters. Controls and bidi marks are left out of the answer.
    own
        The event's own identifiers and their tokens, as `own_identifiers` returns them; they are replaced first.
    turn
        Whether it is a turn of a conversation, as for `mask_normalised`.

    Notes
    -----
    For texts that are shown, not for every message: about ten times the cost of `mask`.

    >>> mask_shown("門鎖離線了😡，我電話１３８００１３８０００")
    '門鎖離線了😡，我電話〔手机〕'
    """
    original = presentable(original)
    text, at = aligned(original)
    places: list[Place] = [(start, end, "") for start, end in at]
    for identifier, token in own:
        spans = [(found.start(), found.end(), token) for found in re.finditer(re.escape(identifier), text)]
        if spans:
            text = _put(text, spans, places)
    _apply(text, places, turn)
    pieces: list[str] = []
    done = 0
    for start, end, token in dict.fromkeys(places):
        if token and start >= done:
            pieces += (original[done:start], token)
        done = max(done, end) if token else done
    # Masking may have left out the end of a text that is packed with identifiers.
    pieces.append(original[done : max(done, places[-1][1])] if places else "")
    return "".join(pieces)


@lru_cache(maxsize=20_000)
def mask_field(value: str) -> str:
    """Mask a short structured value (a dimension, a type, a code): only what is an identifier beyond doubt.

    A production batch, a long part number or a version is a legitimate dimension and stays; telephone numbers,
    resident ids, grouped cards, e-mail, plates, addresses and open ids go. Invisible characters are always removed.
    Cut at 200 characters.

    >>> mask_field("OS 3.1"), mask_field("B2025111203"), mask_field("tel 138-0013-8000")
    ('OS 3.1', 'B2025111203', 'tel 〔手机〕')
    """
    text = normalise(value[:_FIELD_WINDOW])
    if _FIELD_GATE.search(text) is not None:
        text = _once(text, _FIELD_RULES, None)
    return text[:_MAX_FIELD_CHARS]
