"""Contrastive keywords and quotes."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.keywords import keyword_scores, keywords, quotes

WORDS = st.sampled_from(["送错", "少送", "送餐", "电话", "骑手", "离线", "门锁"])
DOCUMENTS = st.lists(st.frozensets(WORDS, max_size=5), max_size=12)


def test_what_is_common_everywhere_is_no_keyword_however_frequent() -> None:
    complaints = [{"送餐", "送错"}] * 6 + [{"送餐", "电话"}] * 4
    background = {"送餐": 900, "电话": 400, "送错": 12}
    assert keywords(complaints, background, 1000, 5) == ["送错"]


def test_one_customer_repeating_a_word_says_it_once() -> None:
    once = [["离线"], ["离线"], ["门锁"], ["门锁"]]
    shouted = [["离线"] * 80, ["离线"], ["门锁"], ["门锁"]]
    background = {"离线": 5, "门锁": 5}
    assert keyword_scores(shouted, background, 100) == keyword_scores(once, background, 100)


def test_a_never_seen_word_beats_one_that_is_merely_more_frequent() -> None:
    documents = [{"E207", "门锁"}] * 5
    assert keywords(documents, {"门锁": 300}, 1000, 2) == ["E207", "门锁"]


def test_a_word_of_a_single_document_is_an_accident() -> None:
    assert keywords([{"离线", "隔壁老王"}, {"离线"}], {"离线": 1}, 100, 5) == ["离线"]
    assert keywords([{"离线"}], {"门锁": 9}, 100, 5) == ["离线"]


def test_nothing_gives_nothing() -> None:
    assert keywords([], {"离线": 3}, 10, 5) == []
    assert keywords([set(), set()], {}, 0, 5) == []
    assert quotes([], ["离线"]) == []
    assert quotes([("  ", ["离线"])], ["离线"]) == []


@settings(max_examples=60, deadline=None)
@given(documents=DOCUMENTS, background=DOCUMENTS, seed=st.integers(0, 99))
def test_keywords_do_not_depend_on_the_order_of_documents(
    documents: list[frozenset[str]], background: list[frozenset[str]], seed: int
) -> None:
    frequency: dict[str, int] = {}
    for words in background:
        for word in words:
            frequency[word] = frequency.get(word, 0) + 1
    shuffled = documents[:]
    random.Random(seed).shuffle(shuffled)
    found = keywords(documents, frequency, len(background), 4)
    assert keywords(shuffled, frequency, len(background), 4) == found
    assert len(found) == len(set(found)) <= 4
    assert set(found) <= {word for words in documents for word in words}


def test_quotes_say_the_keywords_and_not_the_same_thing_twice() -> None:
    texts = [
        ("门锁突然离线了怎么办", ["门锁", "离线"]),
        ("门锁突然离线了，怎么办？", ["门锁", "离线"]),
        ("家里的指纹开不了门，app也显示离线", ["指纹", "离线"]),
        ("我想开发票", ["发票"]),
    ]
    assert quotes(texts, ["离线", "门锁", "指纹"], 5) == ["门锁突然离线了怎么办", "家里的指纹开不了门，app也显示离线"]


def test_a_quote_that_rambles_loses_to_one_that_comes_to_the_point() -> None:
    long = "你好我是老客户了" * 20 + "门锁离线"
    assert quotes([(long, ["离线"]), ("昨晚开始一直离线", ["离线"])], ["离线"], 1) == ["昨晚开始一直离线"]


def test_without_any_keyword_quotes_are_still_quotes() -> None:
    assert quotes([("第一句话", []), ("完全不同的内容", [])], [], 5) == ["第一句话", "完全不同的内容"]


TEXTS = st.lists(
    st.tuples(st.text(alphabet="门锁离线了吗？！ 〔手机〕E207", max_size=14), st.lists(WORDS, max_size=3)), max_size=12
)


@settings(max_examples=80, deadline=None)
@given(texts=TEXTS, seed=st.integers(0, 99), limit=st.integers(0, 6))
def test_quotes_are_distinct_given_texts_whatever_their_order(
    texts: list[tuple[str, list[str]]], seed: int, limit: int
) -> None:
    chosen = quotes(texts, ["离线", "门锁"], limit)
    shuffled = texts[:]
    random.Random(seed).shuffle(shuffled)
    assert quotes(shuffled, ["离线", "门锁"], limit) == chosen
    assert len(chosen) <= limit
    assert set(chosen) <= {text.strip() for text, _ in texts}
    plain = ["".join(character for character in text if character.isalnum()) for text in chosen]
    assert len(set(plain)) == len(plain)
