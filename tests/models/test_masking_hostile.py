"""Masking: texts made to be slow are read in steps that grow with their length, and nothing of them leaks or breaks."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import pytest

from models.masking import mask, mask_normalised, mask_shown
from models.normalise import normalise
from models.understanding import Understanding
from qianshao.event import MAX_TEXT_CHARS, RawEvent

DIGITS = "0123456789"
SAID = str.maketrans(DIGITS, "零幺二三四五六七八九")
WIDE = str.maketrans(DIGITS, "０１２３４５６７８９")
HAN = "我你他门锁坏了退款不行怎么办一直没有人处理的是在这快递物流慢得很今天昨天下单电话订单路号市区叫姓名张王李"
SURNAMES = "王李张刘陈杨黄赵吴周"
GIVEN = "伟芳娜秀英敏静丽强磊"
Piece = Callable[[random.Random], str]


def some(letters: str, count: int, source: random.Random) -> str:
    return "".join(source.choices(letters, k=count))


def mobile(source: random.Random) -> str:
    return "1" + source.choice("3456789") + some(DIGITS, 9, source)


def name(source: random.Random) -> str:
    return source.choice(SURNAMES) + some(GIVEN, 2, source)


def between(first: int, last: int) -> Piece:
    return lambda source: chr(source.randint(first, last))


PIECES: dict[str, Piece] = {
    "lone surrogates": between(0xD800, 0xDFFF),
    "combining marks": between(0x300, 0x36F),
    "letters with marks": lambda source: source.choice("aeiou") + chr(source.randint(0x300, 0x36F)),
    "marks beyond the basic plane": between(0x1D165, 0x1D169),
    "directions": lambda source: source.choice("\u202a\u202e\u2066\u2069\u200e\u200f") + source.choice(HAN),
    "controls": lambda source: chr(source.randint(0, 31)) + source.choice(HAN),
    "nul": lambda source: source.choice("1门") + "\x00",
    "zero width": lambda source: source.choice(HAN + DIGITS) + source.choice("\u200b\u200d\ufeff"),
    "emoji": between(0x1F600, 0x1F64F),
    "repeats": lambda source: source.choice(HAN) * source.randint(4, 9),
    "pairs": lambda source: "哈呵",
    "traditional": lambda source: source.choice("門鎖離線壞電話號碼訂單退貨處理乾隆吒徵"),
    "full width": between(0xFF01, 0xFF5E),
    "half katakana": between(0xFF66, 0xFF9F),
    "digits of other scripts": lambda source: chr(
        source.choice((0x660, 0x966, 0x1D7CE, 0x2776)) + source.randint(0, 8)
    ),
    "anything": lambda source: chr(source.randint(1, 0x10FFFF)),
    "rare characters": between(0x3400, 0x4DBF),
    "characters": between(0x4E00, 0x9FA5),
    "spaced characters": lambda source: source.choice(HAN) + " ",
    "tricks": lambda source: source.choice(HAN) + source.choice("*^|_#+-.%&"),
    "open glosses": lambda source: "(tǒng",
    "digits": lambda source: source.choice(DIGITS),
    "digits and signs": lambda source: source.choice(DIGITS) + source.choice(["", "-", " ", "。", "然后", "呃 "]),
    "six digits": lambda source: some(DIGITS, 6, source) + "门",
    "digits and words": lambda source: source.choice(DIGITS) + source.choice(HAN),
    "spoken digits": lambda source: some(DIGITS, 6, source).translate(SAID) + source.choice(HAN),
    "mobiles": lambda source: "电话" + mobile(source) + "，",
    "spoken mobiles": lambda source: mobile(source).translate(SAID) + "，",
    "wide mobiles": lambda source: mobile(source).translate(WIDE) + "，",
    "fixed lines": lambda source: "0571-8" + some(DIGITS, 7, source) + "转801，",
    "cards": lambda source: "6222 02" + some(DIGITS, 2, source) + " " + some(DIGITS, 4, source) + " 1234，",
    "orders": lambda source: "订单号JD" + some(DIGITS, 12, source) + "，",
    "order cues": lambda source: "订单号:",
    "account cues": lambda source: (
        source.choice(["user:", "uid=", "账号", "wx:"]) + "abcde" + some(DIGITS, 3, source) + " "
    ),
    "wechat names": lambda source: "微信 " + some("abcdefgh", 7, source) + " ",
    "mixed words": lambda source: some("abcdefgh", 4, source) + some(DIGITS, 7, source) + " ",
    "measures": lambda source: some(DIGITS, 3, source) + "mm-" + some(DIGITS, 3, source) + "kg ",
    "one mixed word": lambda source: source.choice("abc") + source.choice(DIGITS),
    "at signs": lambda source: "a@",
    "said at": lambda source: "abc艾特qq点",
    "mails": lambda source: some("abcdefgh", 6, source) + "@qq.com，",
    "plates": lambda source: "京A" + some(DIGITS, 5, source),
    "addresses": lambda source: f"深圳市南山区解放东路{source.randint(1, 999)}号{source.randint(1, 40)}幢302室",
    "tails of addresses": lambda source: "路1号",
    "regions": lambda source: "浙江省" + some(HAN, 10, source),
    "names": lambda source: "我叫" + name(source) + "，",
    "titles": lambda source: name(source) + "先生，",
    "fields": lambda source: "收件人：" + name(source) + "，",
    "cues of names": lambda source: "我叫",
    "machine addresses": lambda source: "aa:",
    "open ids": lambda source: "o" * 27 + " ",
    "brackets": lambda source: source.choice("{[(（【〔"),
    "words": lambda source: some("abcdefghijklmnop", source.randint(2, 9), source) + source.choice([" ", "门"]),
}


def packed(piece: Piece, length: int, seed: int = 1) -> str:
    source = random.Random(seed)
    pieces: list[str] = []
    size = 0
    while size < length:
        pieces.append(piece(source))
        size += len(pieces[-1])
    return "".join(pieces)[:length]


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding(b"key of a test")


@pytest.mark.parametrize("kind", PIECES)
def test_a_hostile_text_of_full_length_is_read_and_masking_it_twice_is_masking_it_once(
    kind: str, understanding: Understanding
) -> None:
    text = packed(PIECES[kind], MAX_TEXT_CHARS)
    [observation] = understanding.label([RawEvent(id="1", kind="chat", ts=0, role="customer", text=text)])
    assert observation.text == mask(text)
    assert mask_normalised(observation.text) == observation.text
    assert not re.search("1[3-9][0-9]{9}", observation.text)
    observation.text.encode()


@pytest.mark.parametrize("kind", ["mobiles", "mails", "names", "orders", "account cues"])
def test_of_a_text_packed_with_identifiers_the_masked_beginning_is_kept_and_nothing_of_the_rest_is_shown(
    kind: str,
) -> None:
    text = "门锁坏了，" + packed(PIECES[kind], MAX_TEXT_CHARS - 5)
    masked = mask(text)
    assert masked.startswith("门锁坏了，")
    assert masked.count("〔") > 50
    shown = mask_shown(text)
    digits = re.findall("[0-9]{5,}|[a-h]{6}|我叫[王李张]", masked + shown)
    assert digits == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", PIECES)
def test_twice_the_length_costs_not_much_more_than_twice_the_time(kind: str, understanding: Understanding) -> None:
    def cost(length: int) -> float:
        text = packed(PIECES[kind], length)
        best = 1.0
        for turn in range(5):
            event = RawEvent(id=str(turn), kind="chat", ts=0, role="customer", text=text)
            started = time.process_time()
            understanding.label([event])
            best = min(best, time.process_time() - started)
        return best

    assert cost(20_000) < 4 * cost(10_000) + 0.005


def test_a_hostile_text_does_not_hide_an_identifier_behind_it() -> None:
    for kind in ("characters", "digits and words", "words", "tricks"):
        assert "13800138000" not in normalise(mask(packed(PIECES[kind], 19_900) + "，我的电话13800138000"))


def test_a_packed_end_does_not_take_the_beginning_away() -> None:
    text = "门锁离线了怎么都打不开。" * 400 + packed(PIECES["mobiles"], 10_000)
    masked = mask(text)
    assert masked.startswith("门锁离线了怎么都打不开。" * 400)
    assert mask_normalised(masked) == masked


def test_of_a_very_long_text_the_beginning_the_end_and_every_danger_are_read(understanding: Understanding) -> None:
    middle = "，".join(["今天天气不错"] * 600)
    [observation] = understanding.label(
        [
            RawEvent(
                id="1",
                kind="chat",
                ts=0,
                role="customer",
                text=f"门锁离线了，{middle}，热水器冒烟了，{middle}，我要退款",
            )
        ]
    )
    assert "离线" in observation.terms
    assert "退款" in observation.tokens
    assert observation.danger == "人身安全/冒烟起火"
