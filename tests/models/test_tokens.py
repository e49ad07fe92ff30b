"""Tokens: the fast path cuts as jieba does, names and codes stay whole, only content is kept."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lexicon import Lexicon
from models.normalise import normalise
from models.seed_corpus import sentiment_rows, topic_rows
from models.tokens import Tokeniser, Vocabulary, load_vocabulary
from qianshao.errors import InputError


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
    "text",
    [
        "哈啊擦擦擦啦啦",
        "不好不好不好不",
        "这质量差差水水水时往往是",
        "绝对是差差差，穿俩天",
        "婉然还有秋霁等等等穿越",
        "这种处理方式我作为消费者不能接受",
        "他们的处理方式和选择结果",
    ],
)
def test_near_ties_are_cut_as_jieba_cuts_them(tokeniser: Tokeniser, text: str) -> None:
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


OWN = Vocabulary.of(["云盾锁", "小蓝卡会员", "X9 Pro Max", "F.3-b", "5G卡", "一键安防", "C++"])
SHARED = Path("/work/shared/data/text")


@pytest.fixture(scope="module")
def with_own_words() -> Tokeniser:
    return Tokeniser(Lexicon(), OWN)


def test_words_of_ones_own_stay_whole(with_own_words: Tokeniser) -> None:
    words = with_own_words.words("云盾锁X9 Pro Max报F.3-b，换了5G卡，一键安防也不行，小蓝卡会员C++")
    assert set(OWN.words) <= set(words)
    assert "X9 Pro Max" not in with_own_words.words("X9 Pro Maximum")
    assert "云盾锁" in with_own_words.content(words)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("云盾锁小蓝卡会员一键安防的了门打不开，。！+_&% aX9"), max_size=25))
def test_the_fast_path_agrees_with_words_of_ones_own_too(with_own_words: Tokeniser, text: str) -> None:
    assert with_own_words.cut(text) == list(with_own_words.reference().cut(text))


def test_a_vocabulary_is_read_again_with_the_same_version_until_its_words_change(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# 产品\n云盾锁\t门锁\n\nX9 Pro Max\n", "utf-8")
    first = load_vocabulary(path)
    assert first.words == ("X9 Pro Max", "云盾锁")
    path.write_text("\ufeffX9 Pro Max\n云盾鎖\n云盾锁\n", "utf-8")
    assert load_vocabulary(path) == first
    path.write_text("云盾锁\n", "utf-8")
    assert load_vocabulary(path).version != first.version


@pytest.mark.parametrize(
    ("content", "said"),
    [("云盾锁\n".encode("gbk"), "is not UTF-8"), (b"ok\n" + b"ab" * 21, "line 2"), (None, "cannot be read")],
)
def test_a_vocabulary_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"words\.txt.*{said}"):
        load_vocabulary(path)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the reviews for measuring are not here ({SHARED})")
def test_the_fast_path_cuts_real_reviews_as_jieba_does(tokeniser: Tokeniser) -> None:
    texts: list[str] = []
    for path in sorted(SHARED.glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
            texts += [normalise(row["text"]) for row in csv.DictReader(handle)][::4]
    assert len(texts) > 20_000
    reference = tokeniser.reference()
    assert [text for text in texts if tokeniser.cut(text) != list(reference.cut(text))] == []
