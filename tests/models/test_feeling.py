"""Faces and hesitation: what the classifiers see differs from what people are shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.feeling import NEGATIVE, POSITIVE, feeling_tokens, heard
from models.understanding import Understanding
from qianshao.event import RawEvent


def observed(text: str, **customer: str) -> tuple[str, str, float]:
    event = RawEvent(id="a", kind="chat", ts=0, role="customer", text=text, customer=customer)
    (observation,) = Understanding(b"key").label([event])
    return observation.text, observation.shown, observation.sentiment


@pytest.mark.parametrize(
    ("text", "feelings"),
    [
        ("又坏了😡😡", ("〔怒〕", "〔怒〕")),
        ("好用👍🌹", ("〔赞〕", "〔喜〕")),
        ("[微笑]那就这样吧🙂", ("〔讽〕", "〔讽〕")),
        ("辛苦了[抱拳]", ("〔谢〕",)),
        ("红心❤️", ("〔喜〕",)),
        ("[图片] [E207] 门锁离线", ()),
    ],
)
def test_faces_are_read_as_feelings(text: str, feelings: tuple[str, ...]) -> None:
    assert feeling_tokens(text) == feelings


def test_no_feeling_is_both_good_and_bad() -> None:
    assert not POSITIVE & NEGATIVE


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("嗯，那个，门锁离线了", "门锁离线了"),
        ("呃我那个那个订单就是说没到", "我订单没到"),
        ("那个门锁坏了，这个客服不理我", "那个门锁坏了，这个客服不理我"),
        ("付了额度，喂养记录没了，然后就退款", "付了额度，喂养记录没了，然后就退款"),
        ("说曹操就是说曹操", "说曹操就是说曹操"),
        ("唉，又坏了😤", "唉，又坏了😤"),
    ],
)
def test_hesitation_goes_and_words_stay(text: str, view: str) -> None:
    assert heard(text) == view


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("嗯呃那个就是说，。😡👍门锁离线然后"), max_size=30))
def test_hearing_adds_nothing_and_keeps_every_face(text: str) -> None:
    rest = iter(text)
    assert all(character in rest for character in heard(text))
    assert feeling_tokens(heard(text)) == feeling_tokens(text)


@pytest.mark.parametrize("said", ["退款还没到账", "门锁离线了怎么办", "快递一直没送到"])
def test_hesitation_changes_neither_topic_nor_feeling(said: str) -> None:
    def read(text: str) -> tuple[str, float, tuple[str, ...]]:
        event = RawEvent(id="a", kind="call", ts=0, role="customer", text=text)
        (observation,) = Understanding(b"key").label([event])
        return observation.topic, observation.sentiment, observation.tokens

    assert read(f"呃，那个，{said[:2]}嗯{said[2:]}") == read(said)


def test_an_angry_face_makes_a_plain_sentence_negative_and_a_rose_positive() -> None:
    plain, angry, pleased = (observed("门锁的事情" + face)[2] for face in ("", "😡", "🌹"))
    assert angry < plain < pleased


def test_an_observation_shows_what_the_customer_typed_without_identifiers() -> None:
    text, shown, _ = observed("門鎖離線了！！！！！！我叫張三豐，帳號ｌｉｓｉ＿ｈｏｍｅ", account="lisi_home")
    assert text == "门锁离线了！！！我叫〔姓名〕，帐号〔账号〕"
    assert shown == "門鎖離線了！！！！！！我叫〔姓名〕，帳號〔账号〕"
    assert observed("门锁离线了")[1] == ""
