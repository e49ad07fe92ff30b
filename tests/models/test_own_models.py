"""Models that somebody trained take the places of the shipped ones: their labels, their certainty, their silence."""

from __future__ import annotations

import random

import pytest

from models.classifier import Classifier
from models.lexicon import Lexicon
from models.tokens import Vocabulary
from models.training import train
from models.understanding import Understanding
from qianshao.errors import ModelError
from qianshao.event import Observation, RawEvent

KEY = b"a key for these tests"
WORDS = {
    "孵化器": ("鸡蛋", "孵化", "温度", "湿度", "小鸡"),
    "鱼缸": ("金鱼", "换水", "水泵", "鱼缸", "氧气"),
}
FEELINGS = {"1": ("满意", "喜欢", "很好", "推荐", "舒服"), "0": ("失望", "糟糕", "难用", "后悔", "生气")}


def trained(words: dict[str, tuple[str, ...]]) -> Classifier:
    rng = random.Random(1)
    rows = [
        ("，".join(rng.sample(choices, 3)) + rng.choice(("。", "！", "了")), label)
        for label, choices in words.items()
        for _ in range(60)
    ]
    return train([text for text, _ in rows], [label for _, label in rows]).classifier


@pytest.fixture(scope="module")
def topics() -> Classifier:
    return trained(WORDS)


@pytest.fixture(scope="module")
def feelings() -> Classifier:
    return trained(FEELINGS)


def read(understanding: Understanding, text: str) -> Observation:
    event = RawEvent(id="e", kind="chat", ts=1, role="customer", conversation="c", text=text)
    return understanding.label([event])[0]


def test_topics_are_the_labels_of_ones_own_model(topics: Classifier) -> None:
    understanding = Understanding(KEY, topic=topics)
    observation = read(understanding, "金鱼，换水，氧气")
    assert observation.topic == "鱼缸"
    assert observation.topic_confidence >= topics.certain_from


def test_ones_own_model_abstains_on_small_talk_and_on_what_it_is_not_sure_of(topics: Classifier) -> None:
    understanding = Understanding(KEY, topic=topics)
    assert read(understanding, "你好，在吗").topic == ""
    unsure = Classifier(topics.labels, topics.weights, topics.reader.vocabulary, 0.999_999, topics.reader.shape)
    assert read(Understanding(KEY, topic=unsure), "金鱼孵化").topic == ""


def test_terms_and_dangers_are_found_as_before(topics: Classifier) -> None:
    text = "热水器冒烟了，闻到糊味"
    assert read(Understanding(KEY, topic=topics), text).terms == read(Understanding(KEY), text).terms != ()


def test_sentiment_comes_from_ones_own_model(feelings: Classifier) -> None:
    understanding = Understanding(KEY, sentiment=feelings)
    assert read(understanding, "失望，难用，后悔").sentiment < -0.5
    assert read(understanding, "满意，推荐，舒服").sentiment > 0.5
    assert read(understanding, "你好").sentiment == 0.0


def test_a_sentiment_model_that_does_not_say_which_label_is_good_is_refused(topics: Classifier) -> None:
    with pytest.raises(ModelError, match=r"labels 孵化器, 鱼缸: does not say which one is good"):
        Understanding(KEY, sentiment=topics)


def test_words_of_ones_own_stay_whole_from_the_moment_they_serve() -> None:
    text = "云盾锁灵犀版打不开了"
    understanding = Understanding(KEY)
    assert "云盾锁灵犀版" not in read(understanding, text).tokens
    understanding.serve(vocabulary=Vocabulary.of(["云盾锁灵犀版"]))
    assert "云盾锁灵犀版" in read(understanding, text).tokens


def test_topics_of_ones_own_are_read_by_their_cues_and_shared_ones_by_the_shipped_model_too() -> None:
    cues = '{ strong = ["孵~不出", "小鸡"], weak = ["温度"] }'
    lexicon = Lexicon(f'version = "1"\n[topics]\n"孵化" = {cues}\n"应用故障" = {{}}')
    understanding = Understanding(KEY, lexicon=lexicon)
    assert read(understanding, "鸡蛋孵了三周不出").topic == "孵化"
    assert read(understanding, "温度怎么调").topic == "", "a weak cue alone is too little"
    assert read(understanding, "你们软件点开一片空白，一直转圈加载不出来").topic == "应用故障"
    assert read(understanding, "我要退款，商家不给退钱").topic == "", "退款售后 is no topic here"


def test_a_sentiment_model_that_does_not_say_what_is_good_changes_nothing(topics: Classifier) -> None:
    understanding = Understanding(KEY)
    with pytest.raises(ModelError, match="does not say which one is good"):
        understanding.serve(sentiment=topics, vocabulary=Vocabulary.of(["云盾锁灵犀版"]))
    assert "云盾锁灵犀版" not in read(understanding, "云盾锁灵犀版打不开了").tokens
