"""How good the one recipe is on real labelled texts, which stay outside of this repository."""

from __future__ import annotations

import csv
import gzip
import random
import unicodedata
from pathlib import Path

import numpy as np
import opencc
import pytest
from pypinyin.pinyin_dict import pinyin_dict

from models.classifier import Classifier
from models.training import train

SHARED = Path("/work/shared/data/text")
TRADITIONAL = opencc.OpenCC("s2t")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason=f"the labelled texts for measuring are not here ({SHARED})"),
]


def labelled(name: str) -> tuple[list[str], list[str]]:
    with gzip.open(SHARED / f"{name}.train.csv.gz", "rt", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def accuracy(classifier: Classifier, texts: list[str], labels: list[str]) -> float:
    said = classifier.label(texts)
    return 100 * float(np.mean([one.label == label for one, label in zip(said, labels, strict=True)]))


def parts(labels: list[str], seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Five folds (training rows, test rows) with equal shares of every class."""
    order = list(range(len(labels)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda place: labels[place])
    return [([place for at, place in enumerate(order) if at % 5 != fold], order[fold::5]) for fold in range(5)]


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("waimai_sentiment", 89.5),
        ("hotel_sentiment", 90.4),
        ("shopping_sentiment", 94.0),
        ("shopping_topic", 90.6),
        ("smp_topic", 91.5),
    ],
)
def test_five_fold_accuracy_stays_above_its_floor(name: str, floor: float) -> None:
    texts, labels = labelled(name)
    measured = []
    for inside, outside in parts(labels):
        trained = train([texts[place] for place in inside], [labels[place] for place in inside])
        test = [texts[place] for place in outside]
        measured.append(accuracy(trained.classifier, test, [labels[place] for place in outside]))
    assert np.mean(measured) >= floor, measured


def test_what_was_learnt_from_goods_holds_for_meals() -> None:
    trained = train(*labelled("shopping_sentiment"))
    assert accuracy(trained.classifier, *labelled("waimai_sentiment")) >= 86


def misheard(text: str, source: random.Random, common: str) -> str:
    """Make 15 % of the characters wrong, missing or added, as speech recognition does."""
    heard = []
    for character in text:
        chance = source.random()
        if chance < 0.1:
            heard.append(source.choice(common))
        elif chance < 0.125:
            continue
        elif chance < 0.15:
            heard += [character, source.choice(common)]
        else:
            heard.append(character)
    return "".join(heard)


def homophones() -> dict[str, list[str]]:
    """Common characters under what they sound like, tones apart."""
    alike: dict[str, list[str]] = {}
    for code, readings in pinyin_dict.items():
        character = chr(code)
        if character.encode("gb2312", "ignore"):
            alike.setdefault(syllable(readings), []).append(character)
    return alike


def syllable(readings: str) -> str:
    usual = unicodedata.normalize("NFD", readings.split(",")[0].replace("ü", "v"))
    return "".join(letter for letter in usual if not unicodedata.combining(letter))


def misspelt(text: str, source: random.Random, alike: dict[str, list[str]]) -> str:
    """Replace 15 % of the characters by others of the same sound, whatever their frequency."""
    heard = []
    for character in text:
        readings = pinyin_dict.get(ord(character), "")
        others = [other for other in alike.get(syllable(readings), ()) if other != character] if readings else []
        heard.append(source.choice(others) if others and source.random() < 0.15 else character)
    return "".join(heard)


@pytest.mark.parametrize("name", ["waimai_sentiment", "hotel_sentiment", "smp_topic"])
def test_words_spelt_as_they_sound_cost_little(name: str) -> None:
    texts, labels = labelled(name)
    source, alike = random.Random(1), homophones()
    lost = []
    for inside, outside in parts(labels):
        classifier = train([texts[place] for place in inside], [labels[place] for place in inside]).classifier
        test, truth = [texts[place] for place in outside], [labels[place] for place in outside]
        changed = [misspelt(text, source, alike) for text in test]
        lost.append(accuracy(classifier, test, truth) - accuracy(classifier, changed, truth))
    assert np.mean(lost) <= 2.0, lost


@pytest.mark.parametrize("name", ["waimai_sentiment", "hotel_sentiment"])
def test_noise_costs_little_and_script_and_width_nothing(name: str) -> None:
    texts, labels = labelled(name)
    source = random.Random(1)
    common = "".join(texts[:3_000])
    lost: dict[str, list[float]] = {"misheard": [], "traditional": [], "full width": [], "emoji": []}
    for inside, outside in parts(labels):
        classifier = train([texts[place] for place in inside], [labels[place] for place in inside]).classifier
        test, truth = [texts[place] for place in outside], [labels[place] for place in outside]
        clean = accuracy(classifier, test, truth)
        variants = {
            "misheard": [misheard(text, source, common) for text in test],
            "traditional": [TRADITIONAL.convert(text) for text in test],
            "full width": ["".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text) for text in test],
            "emoji": [f"{text[: len(text) // 2]}📦{text[len(text) // 2 :]}" for text in test],
        }
        for variant, changed in variants.items():
            lost[variant].append(clean - accuracy(classifier, changed, truth))
    assert np.mean(lost["misheard"]) <= 2.0, lost
    for variant in ("traditional", "full width", "emoji"):
        assert np.mean(lost[variant]) <= 0.3, lost
