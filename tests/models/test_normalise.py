"""Normalisation: one spelling, safe on hostile text, fixed after one pass."""

from __future__ import annotations

import itertools
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.normalise import aligned, normalise, presentable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("門鎖離線了，打不開", "门锁离线了，打不开"),
        ("電量顯著下降", "电量显著下降"),
        ("显著下降，乾隆年间", "显著下降，乾隆年间"),
        ("統(tǒng)一發(fā)票", "统一发票"),
        ("ＡＢＣ１２３", "ABC123"),
        ("退*款", "退款"),
        ("我要 投 诉", "我要 投诉"),
        ("好好好好好好", "好好好"),
        ("！！！！！！", "！！！"),
        ("1111111", "1111111"),
        ("幺三零零零零零零零零零", "幺三零零零零零零零零零"),
        ("门\u200b锁\u202e离\u2060线\ufeff", "门锁离线"),
        ("a\x00b\x07c", "abc"),
        ("第一行\r\n第二行\t完", "第一行 第二行 完"),
        ("\ud800离线\udfff", "\ufffd离线\ufffd"),
        ("错误码E207，v3.2.1（重要）：好？", "错误码E207，v3.2.1（重要）：好？"),
        ("  可以  谢谢 ", "可以 谢谢"),
        ("", ""),
    ],
)
def test_equal_texts_get_one_spelling(text: str, expected: str) -> None:
    assert normalise(text) == expected


@settings(max_examples=300, deadline=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("門锁 *·(tǒng)一11好̧́\u200b\ud800　１")), max_size=60))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    once.encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "e" + "\u0301\u0327" * 10_000,
        "\ufdfa" * 20_000,
        "\x00" * 20_000,
        "\u202e" * 20_000,
        "\ud800" * 20_000,
        "一 " * 10_000,
        "（" * 20_000,
        "(ā" * 10_000,
        "鎖" * 20_000,
        " " * 20_000,
        "好" * 20_000,
        "門锁*" * 6_000,
        "\u1100\u1161\u11a8" * 6_000,
    ],
)
def test_hostile_texts_are_normalised_in_linear_time(text: str) -> None:
    started = time.process_time()
    result = normalise(text)
    assert time.process_time() - started < 0.5
    assert len(result) <= 20_000


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.one_of(
            st.characters(), st.sampled_from("門锁 *·(tǒng)一11好̧́\u200b\ud800　１㎏½한\u1112\u1161\u11ab！٣乾麼")
        ),
        max_size=60,
    )
)
def test_every_character_of_the_result_knows_its_place_in_the_original(text: str) -> None:
    result, places = aligned(text)
    assert result == normalise(text)
    assert len(places) == len(result)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(before[0] <= after[0] and before[1] <= after[1] for before, after in itertools.pairwise(places))


def test_places_point_at_what_the_writer_typed() -> None:
    original = "門\u200b鎖：退*款，投 訴！！！！！！１３８㎏ 統(tǒng)一 e\u0301"
    result, places = aligned(original)
    for word, typed in (
        ("门锁", "門\u200b鎖"),
        ("退款", "退*款"),
        ("！！！", "！！！！！！"),
        ("138", "１３８"),
        ("kg", "㎏"),
    ):
        start = result.index(word)
        assert original[places[start][0] : places[start + len(word) - 1][1]] == typed


@settings(max_examples=200, deadline=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("門锁😡\u200d\u202e\ud800\x00\u0301！")), max_size=60))
def test_what_is_presentable_holds_no_control_and_says_the_same(text: str) -> None:
    shown = presentable(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067") & set(shown)
    assert normalise(shown) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("٠١٢٣٤٥٦٧٨٩", "0123456789"),
        ("⓪①②③𝟒𝟓➏❼⓼９", "0123456789"),
        ("乾淨，乾隆，計畫，瞭望，瞭解，徵求", "干净，乾隆，计划，瞭望，了解，征求"),
        ("什麼，關於，電畫面", "什么，关于，电画面"),
    ],
)
def test_digits_of_any_script_and_characters_of_either_script_are_one(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_a_long_traditional_text_is_simplified_like_a_short_one() -> None:
    clause = "門鎖離線了，打不開，電話打了三次沒有人接。"
    assert normalise(clause * 100) == normalise(clause) * 100
