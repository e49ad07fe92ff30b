"""A trained classifier: learns what is there, is judged honestly, and does not depend on batches or processes."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classifier import Classifier
from models.evaluation import quality
from models.tokens import Vocabulary
from models.training import Trained, train
from qianshao.errors import InputError

GOOD = ("味道很好", "非常满意", "送餐很快", "包装精美", "下次还来", "值得推荐", "服务热情", "物美价廉")
BAD = ("味道很差", "太慢了", "送错了", "包装破了", "再也不来", "态度恶劣", "退款没到", "质量太差")
THINGS = ("外卖", "酒店", "手机", "快递", "客服", "衣服", "水果", "平板", "这家店", "师傅")


def review(source: random.Random, kind: tuple[str, ...]) -> str:
    said = "，".join(source.sample(kind, source.choice((1, 2))))
    return source.choice(THINGS) + said + source.choice(("", "！", "。", "呢"))


def reviews(rows: int, seed: int = 1) -> tuple[list[str], list[str]]:
    source = random.Random(seed)
    labels = [str(source.randrange(2)) for _ in range(rows)]
    return [review(source, GOOD if label == "1" else BAD) for label in labels], labels


@pytest.fixture(scope="module")
def two() -> Trained:
    return train(*reviews(300))


@pytest.fixture(scope="module")
def many() -> Trained:
    source = random.Random(2)
    texts, labels = [], []
    for thing in THINGS:
        for _ in range(20):
            texts.append(thing + source.choice(GOOD + BAD) + source.choice(("", "！", "吗")))
            labels.append(thing)
    texts.append("发票抬头开错了")
    labels.append("发票")
    return train(texts, labels)


def test_two_classes_are_told_apart_in_texts_not_seen(two: Trained) -> None:
    texts, labels = reviews(200, seed=9)
    assert [verdict.label for verdict in two.classifier.label(texts)] == labels


def test_many_classes_are_told_apart_and_a_class_of_one_row_hurts_nobody(many: Trained) -> None:
    said = [many.classifier.label([f"{thing}怎么样"])[0].label for thing in THINGS]
    assert said == list(THINGS)
    assert "发票" in many.classifier.labels


def test_quality_is_measured_on_texts_that_the_judged_layers_did_not_see() -> None:
    source = random.Random(3)
    texts = ["".join(chr(source.randrange(0x4E00, 0x9FA5)) for _ in range(8)) for _ in range(200)]
    labels = [str(number % 2) for number in range(200)]
    trained = train(texts, labels)
    seen = quality(labels, [each.label for each in trained.classifier.label(texts)], [0.5] * 200)
    assert trained.quality.accuracy < 0.65
    assert seen.accuracy >= trained.quality.accuracy


def test_confidence_means_what_it_says_on_texts_not_seen() -> None:
    source = random.Random(4)
    texts, labels = reviews(600, seed=5)
    noisy = [label if source.random() < 0.8 else "01"[label == "0"] for label in labels]
    trained = train(texts, noisy)
    assert trained.quality.calibration_error < 0.06
    assert trained.classifier.certain_from > 0.75


def test_equal_rows_give_equal_models(two: Trained) -> None:
    again = train(*reviews(300))
    for one, other in zip(two.classifier.weights, again.classifier.weights, strict=True):
        assert np.array_equal(one, other)
    assert two.classifier.certain_from == again.classifier.certain_from


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(GOOD + BAD), st.text(max_size=40)), min_size=1, max_size=12), st.data())
def test_a_verdict_depends_on_its_own_text_alone(two: Trained, texts: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(texts)))
    whole = two.classifier.label(texts)
    assert two.classifier.label(texts[:cut]) + two.classifier.label(texts[cut:]) == whole
    for verdict in whole:
        assert 0.5 <= verdict.confidence <= 1


def test_script_width_and_emoji_variants_of_a_text_get_one_label(two: Trained) -> None:
    for plain, variants in {
        "酒店服务热情，值得推荐！": (
            "酒店服務熱情，值得推薦！",
            "酒店服务热情,值得推荐!",
            "酒\u200b店服务热情，值得推荐！",
        ),
        "快递送错了，包装破了": ("快遞送錯了，包裝破了", "快递送错了,包装破了"),
    }.items():
        label = two.classifier.label([plain])[0].label
        assert {verdict.label for verdict in two.classifier.label(variants)} == {label}


def test_identifiers_leave_no_trace_in_what_is_counted(two: Trained) -> None:
    one, other = two.classifier.reader.counts(["我的电话是13812345678谢谢", "我的电话是13987654321谢谢"])
    assert (one != other).nnz == 0


def test_words_of_ones_own_stay_whole_in_training_and_use() -> None:
    texts = [f"{name}{said}" for name in ("云盾锁", "F.3-b") for said in GOOD for _ in range(2)]
    trained = train(texts, [text[:2] for text in texts], Vocabulary.of(["云盾锁", "F.3-b"]))
    assert {"云盾锁", "F.3-b"} <= set(trained.classifier.reader.vocabulary.words)


@pytest.mark.parametrize(("rows", "message"), [(9, "9 rows are too few"), (40, "same label")])
def test_what_nothing_can_be_learnt_from_is_refused(rows: int, message: str) -> None:
    labels = ["1"] * 40 if rows == 40 else ["0", "1"] * 4 + ["0"]
    with pytest.raises(InputError, match=message):
        train(["很好"] * rows, labels)


@pytest.mark.parametrize("text", ["\ud800" * 20_000, "e" + "\u0301" * 19_999, "\x00" * 20_000, "打不开" * 6_600, ""])
def test_hostile_texts_get_a_label_too(two: Trained, text: str) -> None:
    assert two.classifier.label([text])[0].label in ("0", "1")


def test_reading_with_a_trained_model_never_loads_scikit_learn() -> None:
    import subprocess
    import sys

    program = "import sys, models.store; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_trained_classifier_is_what_the_store_expects(two: Trained) -> None:
    assert isinstance(two.classifier, Classifier)
    assert two.folds == 5
    assert len(two.predicted) == len(two.confidence) == 300


def test_a_topic_is_known_by_its_sound_when_every_word_is_misspelt(many: Trained) -> None:
    # 酒店 and 手机, as a recogniser that knows no such words would write them.
    assert [verdict.label for verdict in many.classifier.label(["九点怎么样", "受鸡怎么样"])] == ["酒店", "手机"]


def test_certainty_is_reached_by_texts_as_certain_as_those_it_was_set_on() -> None:
    trained_on = reviews(300)
    classifier = train(*trained_on).classifier
    assert classifier.label(["味道很好，非常满意"])[0].certain
