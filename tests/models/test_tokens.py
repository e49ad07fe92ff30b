"""Tokens: the fast path cuts as jieba does, names and codes stay whole, only content is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lexicon import Lexicon
from models.normalise import normalise
from models.seed_corpus import sentiment_rows, topic_rows
from models.tokens import Tokeniser


@pytest.fixture(scope="module")
def tokeniser() -> Tokeniser:
    return Tokeniser(Lexicon())


def test_the_fast_path_cuts_ordinary_sentences_as_jieba_does(tokeniser: Tokeniser) -> None:
    lexicon = Lexicon()
    texts = [normalise(row.text) for row in (*topic_rows(lexicon), *sentiment_rows(lexicon))][::9]
    reference = tokeniser.reference()
    assert [text for text in texts if tokeniser.cut(text) != list(reference.cut(text))] == []


@settings(max_examples=400, deadline=None)
@given(
    st.text(
        st.one_of(
            st.sampled_from("门锁离线打不开的了一二12aAzZ+-#._%& ，。!/～…\u3000𠮷㐀龥龦😀é①〇〔"),
            st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5),
            st.characters(exclude_categories=["Cs"]),
        ),
        max_size=30,
    )
)
def test_the_fast_path_cuts_any_text_as_jieba_does(tokeniser: Tokeniser, text: str) -> None:
    assert tokeniser.cut(text) == list(tokeniser.reference().cut(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X2 Pro的v3.2.1固件连不上Wi-Fi", ("X2 Pro", "v3.2.1", "固件", "连不上", "Wi-Fi")),
        ("错误码E207", ("错误码", "E207")),
        ("Type-C接口松了", ("Type-C", "接口")),
        ("我的电话〔手机〕，好的谢谢[流泪]", ("电话",)),
        ("两个小时500元", ()),
    ],
)
def test_names_and_codes_stay_whole_and_fillers_go(tokeniser: Tokeniser, text: str, words: tuple[str, ...]) -> None:
    kept = tokeniser.content(tokeniser.words(text))
    assert tuple(word for word in kept if word in words) == words
    assert not {"手机", "谢谢", "流泪", "500", "两个"} & set(kept)
