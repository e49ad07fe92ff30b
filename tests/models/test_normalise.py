"""Normalisation: one spelling, safe on hostile text, fixed after one pass."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.normalise import normalise


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
