"""What the learner must reach on real texts, sent as conversations whose labels come a thousand messages late."""

from __future__ import annotations

import csv
import gzip
import random
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from models.features import feature_matrix
from models.lexicon import shipped_lexicon
from models.normalise import normalise
from models.online import Learner, LearnerLimits
from models.tokens import Tokeniser
from qianshao.event import Observation

DATA = Path(__file__).parents[3] / "shared" / "data" / "text"
LATE = 1_000
TICK_MESSAGES = 100
LIMITS = LearnerLimits(max_age_minutes=60)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the collections of real texts are not on this machine"),
]


class Collection:
    """Texts of one file, shuffled, with their rows and labels."""

    def __init__(self, name: str) -> None:
        with gzip.open(DATA / f"{name}.train.csv.gz", "rt", encoding="utf-8", newline="") as handle:
            entries = [(entry["text"], entry["label"]) for entry in csv.DictReader(handle)]
        random.Random(11).shuffle(entries)
        tokeniser = Tokeniser(shipped_lexicon())
        texts = [normalise(text) for text, _ in entries]
        words = [tokeniser.content(tokeniser.words(text)) for text in texts]
        self.labels = np.array([label for _, label in entries])
        blocks = [
            feature_matrix(texts[at : at + 512], words[at : at + 512], LIMITS.bits) for at in range(0, len(texts), 512)
        ]
        self.matrix: sparse.csr_matrix = sparse.vstack(blocks, format="csr")


@lru_cache(maxsize=4)
def collection(name: str) -> Collection:
    return Collection(name)


def stream(learner: Learner, source: Collection, order: Sequence[int], labels: Sequence[str]) -> None:
    """Send texts as conversations; the label of each comes `LATE` messages after it, every one before the end."""
    start = learner.health().types.labels * 2_000
    for at in range(0, len(order) + LATE, TICK_MESSAGES):
        events: list[Observation] = []
        taken: list[int] = []
        for place in range(at, at + TICK_MESSAGES):
            ts = start + place * 1_000
            if place < len(order):
                events.append(Observation(id=f"c{ts}", kind="chat", ts=ts, conversation=order[place] + 1, text="…"))
                taken.append(order[place])
            if 0 <= place - LATE < len(order):
                told = place - LATE
                events.append(
                    Observation(
                        id=f"t{ts}", kind="ticket", ts=ts, conversation=order[told] + 1, type=labels[order[told]]
                    )
                )
                taken.append(order[told])
        if events:
            learner.learn(events, source.matrix[taken])
            learner.advance(start + (at + TICK_MESSAGES) * 1_000)


def right(learner: Learner, source: Collection, rows: Sequence[int]) -> float:
    """Return the share of rows whose best class is the true one, without abstention."""
    shares, _ = learner.types.shares(source.matrix[list(rows)])
    best = np.array(learner.types.labels)[shares.argmax(axis=1)]
    return float((best == source.labels[list(rows)]).mean())


def spoilt(labels: NDArray[np.str_], share: float, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    names = np.unique(labels)
    wrong = labels.copy()
    for place in np.flatnonzero(draw.random(len(labels)) < share):
        wrong[place] = draw.choice(names[names != labels[place]])
    return [str(label) for label in wrong]


def folds(source: Collection, count: int = 3) -> list[tuple[list[int], list[int]]]:
    """Return training orders and held-out tails of `count` shuffles."""
    size = len(source.labels)
    orders = [np.random.default_rng(seed).permutation(size).tolist() for seed in range(count)]
    return [(order[: size * 4 // 5], order[size * 4 // 5 :]) for order in orders]


@pytest.mark.parametrize(
    ("name", "strength", "shuffles"),
    [("waimai_sentiment", 3.0, 4), ("hotel_sentiment", 10.0, 4), ("smp_topic", 10.0, 8), ("shopping_topic", 3.0, 1)],
)
def test_late_labels_end_within_half_a_point_of_batch_and_wrong_ones_cost_at_most_one(
    name: str, strength: float, shuffles: int
) -> None:
    source = collection(name)
    batch, online, noisy = [], [], []
    for seed, (train, tail) in enumerate(folds(source, shuffles)):
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        model.fit(source.matrix[train], source.labels[train])
        batch.append(float((model.predict(source.matrix[tail]) == source.labels[tail]).mean()))
        learner = Learner(LIMITS)
        stream(learner, source, train, source.labels.tolist())
        assert learner.health().types.labels > 0.99 * len(train)
        online.append(right(learner, source, tail))
        learner = Learner(LIMITS)
        stream(learner, source, train, spoilt(source.labels, 0.05, seed))
        noisy.append(right(learner, source, tail))
    scores = [round(100 * float(np.mean(each)), 2) for each in (batch, online, noisy)]
    print(f"{name}: batch {scores[0]}, online {scores[1]}, with 5 % wrong labels {scores[2]}")
    assert scores[1] >= scores[0] - 0.5
    assert scores[2] >= scores[1] - 1.0


def test_a_new_class_is_recalled_after_a_hundred_labels_and_the_old_ones_lose_little() -> None:
    source = collection("shopping_topic")
    recalls, losses = {}, {}
    for name in np.unique(source.labels):
        old = np.flatnonzero(source.labels != name)
        new = np.flatnonzero(source.labels == name)
        learner = Learner(LIMITS)
        stream(learner, source, old[:15_000].tolist(), source.labels.tolist())
        tail = old[-5_000:].tolist()
        before = right(learner, source, tail)
        mixed = np.concatenate([new[:100], old[15_000:16_150]])
        np.random.default_rng(1).shuffle(mixed)
        stream(learner, source, mixed.tolist(), source.labels.tolist())
        recalls[str(name)] = right(learner, source, new[100:][-1_000:].tolist())
        losses[str(name)] = before - right(learner, source, tail)
    print({name: (round(100 * recalls[name], 1), round(100 * losses[name], 2)) for name in recalls})
    recall, loss = np.mean(list(recalls.values())), np.mean(list(losses.values()))
    print(f"recall {recall:.3f}, old classes lose {100 * loss:.2f} points")
    assert recall >= 0.75
    assert loss <= 0.005


def test_confidence_means_what_it_says_and_five_thousand_labels_a_second_are_learnt() -> None:
    source = collection("shopping_topic")
    learner = Learner(LIMITS)
    train, tail = folds(source, 1)[0]
    begin = time.process_time()
    stream(learner, source, train[:20_000], source.labels.tolist())
    seconds = time.process_time() - begin
    shares, _ = learner.types.shares(source.matrix[tail])
    sure = shares.max(axis=1)
    hits = np.array(learner.types.labels)[shares.argmax(axis=1)] == source.labels[tail]
    bins = np.minimum((sure * 10).astype(int), 9)
    error = sum(
        abs(float(sure[bins == each].mean()) - float(hits[bins == each].mean())) * float((bins == each).mean())
        for each in np.unique(bins)
    )
    begin = time.process_time()
    data = learner.snapshot()
    saving = time.process_time() - begin
    print(
        f"{20_000 / seconds:.0f} labels/s, calibration error {error:.4f}, snapshot {len(data)} bytes in {saving:.2f} s"
    )
    print(learner.health())
    assert error <= 0.03
    assert 20_000 / seconds >= 5_000
    assert learner.health().memory_bytes < 200_000_000
