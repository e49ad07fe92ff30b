"""A layer that got worse goes back and rests; a world that changed is learnt."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from models.drift import Comparison
from models.label_space import BEHIND_SEED, LEARNING, WORSE_THAN_LAST_GOOD, Space, SpaceLimits

BITS = 10
CLASSES = ("甲", "乙", "丙")
TICK = 60_000
LIMITS = SpaceLimits(bits=BITS, checkpoint_labels=400, rest_minutes=30)


class Traffic:
    """Rows of three classes, each with features of its own among common ones."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.tick = 0
        self._draw = np.random.default_rng(4)

    def _row(self) -> tuple[int, NDArray[np.int32]]:
        true = int(self._draw.integers(3))
        own = 100 * (true + 1) + self._draw.integers(0, 30, 6)
        return true, np.concatenate([own, self._draw.integers(600, 900, 6)]).astype(np.int32)

    def send(self, labels: int, turned: int = 0) -> None:
        """Teach so many labels, 20 a tick; `turned` names every class by another one."""
        for number in range(labels):
            true, columns = self._row()
            self.space.teach(columns, np.full(12, 0.3, np.float32), CLASSES[(true + turned) % 3], "")
            if number % 20 == 19:
                self.tick += TICK
                self.space.advance(self.tick)

    def rows(self, count: int) -> tuple[sparse.csr_matrix, list[int]]:
        drawn = [self._row() for _ in range(count)]
        columns = np.concatenate([columns for _, columns in drawn])
        values, indptr = np.full(12 * count, 0.3, np.float32), np.arange(count + 1) * 12
        return sparse.csr_matrix((values, columns, indptr), shape=(count, 1 << BITS)), [true for true, _ in drawn]

    def right(self, count: int, turned: int = 0) -> float:
        """Return the share of fresh rows that the layer guesses right."""
        matrix, truth = self.rows(count)
        guesses = [self.space.labels[slot] for slot in self.space.shares(matrix)[0].argmax(axis=1)]
        return float(
            np.mean([CLASSES[(true + turned) % 3] == guess for true, guess in zip(truth, guesses, strict=True)])
        )


def shaken() -> tuple[Space, Traffic]:
    """Return a space that got good and whose weights were then spoilt."""
    space = Space(LIMITS, 8)
    traffic = Traffic(space)
    traffic.send(1_000)
    assert traffic.right(200) > 0.9
    state = space.snapshot()
    state.layer.weights = (-np.frombuffer(state.layer.weights, np.float32)).tobytes()
    space.restore(state)
    assert traffic.right(200) < 0.2
    return space, traffic


def test_a_spoilt_layer_goes_back_to_its_last_good_weights() -> None:
    space, traffic = shaken()
    for _ in range(10):
        traffic.send(20)
        if space.health().rollbacks:
            break
    health = space.health()
    assert health.state == health.last_reason == WORSE_THAN_LAST_GOOD
    assert health.until == traffic.tick + 30 * TICK
    assert traffic.right(200) > 0.9


def test_resting_ends_by_itself_and_then_it_learns_again() -> None:
    space, traffic = shaken()
    traffic.send(400)
    assert space.health().rollbacks == 1
    traffic.send(700)
    health = space.health()
    assert (health.state, health.until, health.rollbacks) == (LEARNING, 0, 1)
    assert health.last_reason == WORSE_THAN_LAST_GOOD
    traffic.send(1_000, turned=1)
    traffic.send(2_000, turned=1)
    assert traffic.right(200, turned=1) > 0.8


def test_while_it_rests_nothing_is_learnt() -> None:
    space, traffic = shaken()
    traffic.send(200)
    assert space.health().state == WORSE_THAN_LAST_GOOD
    before = space.snapshot().layer
    traffic.send(200)
    assert space.snapshot().layer == before


def test_a_change_of_what_types_mean_is_learnt_and_no_reason_to_go_back() -> None:
    space = Space(LIMITS, 8)
    traffic = Traffic(space)
    traffic.send(1_000)
    states = set()
    for _ in range(30):
        traffic.send(100, turned=1)
        states.add(space.health().state)
    assert space.health().rollbacks == 0
    assert states == {LEARNING, BEHIND_SEED}
    assert space.health().state == LEARNING
    assert traffic.right(200, turned=1) > 0.9


def test_a_layer_behind_the_seed_is_not_heard() -> None:
    space = Space(LIMITS, 8)
    traffic = Traffic(space)
    traffic.send(1_000)
    traffic.send(100, turned=1)
    assert space.health().state == BEHIND_SEED
    _, odds = space.shares(traffic.rows(10)[0])
    assert not odds.any()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=400), st.integers(0, 4_500))
def test_a_comparison_told_again_is_the_same_comparison(errors: list[tuple[bool, bool]], before: int) -> None:
    unbroken = Comparison()
    for number in range(before):
        unbroken.update(number % 7 == 0, number % 5 == 0)
    restored = Comparison()
    restored.restore(unbroken.snapshot())
    for wrong, rival in errors:
        unbroken.update(wrong, rival)
        restored.update(wrong, rival)
    assert (restored.mean, restored.labels, restored.worse) == (unbroken.mean, unbroken.labels, unbroken.worse)
    assert restored.snapshot() == unbroken.snapshot()


def test_a_comparison_keeps_at_most_four_thousand_labels() -> None:
    comparison = Comparison()
    for _ in range(20_000):
        comparison.update(True, True)
    assert len(comparison.snapshot()) <= 4_096


def test_equal_errors_are_no_reason_even_when_both_rise() -> None:
    draw = np.random.default_rng(3)
    comparison = Comparison()
    worse = []
    for number in range(6_000):
        rate = 0.1 if number < 3_000 else 0.5
        comparison.update(bool(draw.random() < rate), bool(draw.random() < rate))
        worse.append(comparison.worse)
    assert not any(worse)


def test_a_layer_that_errs_a_tenth_more_is_found_out_within_six_hundred_labels() -> None:
    draw = np.random.default_rng(5)
    comparison = Comparison()
    for _ in range(2_000):
        comparison.update(bool(draw.random() < 0.1), bool(draw.random() < 0.1))
    for _ in range(600):
        comparison.update(bool(draw.random() < 0.25), bool(draw.random() < 0.1))
        if comparison.worse:
            break
    assert comparison.worse
