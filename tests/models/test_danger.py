"""Dangers told in people's own words are found, and what only sounds like one is not."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.danger import FAMILIES, DangerModel, kinds_of_cues, load_layer
from models.danger_corpus import DangerRow, grammar
from models.danger_training import fingerprint, own_rows
from models.lexicon import Lexicon, shipped_lexicon
from models.masking import mask
from models.normalise import normalise
from qianshao.errors import ModelError

SENTENCES = Path(__file__).with_name("danger_sentences.txt")
"""Written before the layer was, in other words than the grammar it is fitted on; `-` asserts no danger."""
MANNERS = Path(__file__).with_name("danger_manners.txt")
"""Dangers told without the word for them, and what lies next to such words; no sentence is fitted on."""
REAL_TEXTS = Path("/work/shared/data/text")


@cache
def sentences(path: Path = SENTENCES) -> list[tuple[str, str]]:
    """Return (kind, masked sentence)."""
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [("" if kind == "-" else kind, mask(normalise(text))) for kind, text in lines]


@pytest.fixture(scope="module")
def rows() -> list[DangerRow]:
    """Every row of every spread that the layer is fitted on."""
    return list(own_rows("danger.npz"))


@pytest.fixture(scope="module")
def model() -> DangerModel:
    return DangerModel(shipped_lexicon())


def test_the_judged_sentences_are_many_and_none_is_fitted_on(rows: list[DangerRow]) -> None:
    kinds = [kind for kind, _ in sentences()]
    assert kinds.count("") >= 250
    assert len(kinds) - kinds.count("") >= 150
    assert not {row.text for row in rows} & {text for _, text in sentences()}


def test_the_shipped_layer_was_fitted_on_this_corpus(rows: list[DangerRow]) -> None:
    with files("models").joinpath("danger.npz").open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
        assert str(archive["fingerprint"]) == fingerprint(rows), "run python -m models.danger_training"


def test_dangers_are_found_and_decoys_left(model: DangerModel) -> None:
    kinds = [kind for kind, _ in sentences()]
    named = [name.partition("/")[2] for name in model.label([text for _, text in sentences()])]
    found = sum(bool(kind and name) for kind, name in zip(kinds, named, strict=True))
    right = sum(bool(kind) and kind == name for kind, name in zip(kinds, named, strict=True))
    assert found / sum(map(bool, named)) >= 0.93
    assert found / sum(map(bool, kinds)) >= 0.88
    assert right / found >= 0.95


def test_a_danger_told_without_its_word_is_found(model: DangerModel) -> None:
    dangers = [(kind, text) for kind, text in sentences(MANNERS) if kind]
    named = [name.partition("/")[2] for name in model.label([text for _, text in dangers])]
    assert sum(map(bool, named)) >= 0.75 * len(dangers)
    assert sum(kind == name for (kind, _), name in zip(dangers, named, strict=True)) >= 0.7 * len(dangers)
    assert {kind for kind, _ in dangers} == set(FAMILIES) == set(named) - {""}


def test_what_lies_next_to_such_words_is_no_danger(model: DangerModel) -> None:
    decoys = [text for kind, text in sentences(MANNERS) if not kind]
    assert [text for text, name in zip(decoys, model.label(decoys), strict=True) if name] == []


def test_no_sentence_of_manners_is_fitted_on(rows: list[DangerRow]) -> None:
    assert not {row.text for row in rows} & {text for _, text in sentences(MANNERS)}


def test_a_longer_cue_admits_what_the_cues_inside_it_admit() -> None:
    cues = kinds_of_cues()
    for cue, kinds in cues.items():
        inside = {kind for other, some in cues.items() if other in cue for kind in some.split()}
        assert inside == set(kinds.split()), cue


def test_the_layer_finds_three_times_what_phrases_alone_find(model: DangerModel) -> None:
    dangers = [text for kind, text in sentences() if kind]
    phrases = sum(map(bool, shipped_lexicon().dangers_of(dangers)))
    assert sum(map(bool, model.label(dangers))) >= 3 * phrases


@pytest.mark.parametrize(
    ("text", "danger"),
    [
        ("插头那里黑了一块还有味", "人身安全/冒烟起火"),
        ("摸外壳麻了一下", "人身安全/触电"),
        ("孩子吃完一直拉肚子去医院挂水了", "人身安全/食物中毒"),
        ("对方连我买了啥都知道让我开屏幕共享", "资金安全/可疑来电"),
        ("钱被转走了三笔", "资金安全/盗刷"),
        ("别人家的画面跑到我摄像头里了", "信息安全/隐私泄露"),
        ("我的订单里有陌生人的姓名电话", "信息安全/隐私泄露"),
        ("列表里多出来一户人家的门铃", "信息安全/隐私泄露"),
        ("摄像头视频里有陌生人在说话，画面是别人家的", "信息安全/隐私泄露"),
        ("打开看视频，是别人家客厅的画面", "信息安全/隐私泄露"),
        ("水盆里有电，手一沾就麻", "人身安全/触电"),
        ("穿了一天后背全是疙瘩", "人身安全/过敏"),
        ("网上买的酸奶，孩子喝了拉肚子", "人身安全/食物中毒"),
        ("网上说你们热水器漏电，我昨天也被电到了", "人身安全/触电"),
        ("群里说好几家喝了牛奶都拉肚子，我家也吐了", "人身安全/食物中毒"),
    ],
)
def test_a_danger_is_named_by_family_and_kind(model: DangerModel, text: str, danger: str) -> None:
    assert model.label([text]) == [danger]


@pytest.mark.parametrize(
    "text",
    [
        "气得冒烟",
        "火了",
        "这手机真烧钱",
        "骗人的吧",
        "太麻辣了",
        "粥太烫",
        "玩游戏中毒了",
        "静电电死我了",
        "又被坑了",
        "虚假宣传",
        "听说别家热水器漏电伤人了",
        "担心会着火",
        "会不会爆炸",
        "没有冒烟",
        "已检测，无安全隐患",
        "防漏电设计，限时立减",
        "会不会被别人看到我家",
        "别人家的都发货了",
        "洗完头皮痒，头皮屑多",
        "好家伙网上说充电宝冒烟，吃瓜",
        "网上说骗子冒充你们客服我没接到",
        "起火的是哪家呀 有内幕吗",
        "刷到视频充电宝炸了，你们家的不会吧",
        "看抖音说小电驴自燃",
        "看到一个电动车爆炸的，你们怎么看",
    ],
)
def test_grumbling_hearsay_fear_and_denial_are_no_danger(model: DangerModel, text: str) -> None:
    assert model.label([text]) == [""]


def test_one_sentence_of_a_long_story_is_enough(model: DangerModel) -> None:
    story = "我上周在你们这里下的单，等了三天才送来，客服电话一直占线，前台的人态度也不好，"
    assert model.label([story * 5 + "昨晚充电器冒出黑烟把桌子烧黑了，" + story * 5]) == ["人身安全/冒烟起火"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(range(len(sentences()))), min_size=1, max_size=12))
def test_a_text_is_read_alike_in_any_batch(numbers: list[int]) -> None:
    reader = DangerModel(shipped_lexicon())
    texts = [sentences()[number][1] for number in numbers]
    assert reader.label(texts) == [reader.label([text])[0] for text in texts]


def test_a_taxonomy_with_dangers_of_its_own_rests_on_its_phrases() -> None:
    own = Lexicon('version = "1"\n[topics."水"]\nstrong = ["漏水"]\n[danger."泡水"]\nterms = ["屋里全是水"]\n')
    assert DangerModel(own).label(["屋里全是水了", "热水器冒烟了"]) == ["泡水", ""]


def test_every_line_of_the_grammar_names_a_known_kind() -> None:
    assert {kind for kind, _ in grammar()} == {*FAMILIES, "-"}


def test_a_damaged_layer_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "danger.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"models\.danger_training"):
        load_layer(path=path)


def _real_texts() -> Iterator[str]:
    for path in sorted(REAL_TEXTS.glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                yield mask(normalise(row["text"]))


@pytest.mark.slow
@pytest.mark.skipif(not REAL_TEXTS.is_dir(), reason="the texts for measuring are not on this machine")
def test_few_real_texts_are_flagged(model: DangerModel) -> None:
    texts = list(_real_texts())
    flagged = sum(
        bool(name) for start in range(0, len(texts), 1000) for name in model.label(texts[start : start + 1000])
    )
    assert flagged / len(texts) <= 0.004
