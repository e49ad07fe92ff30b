"""The bank of counts: what it expects, what it finds strange, what it forgets, and that it goes on where it stopped."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.count_bank import CountBank, CountSettings, Scored
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.errors import StoreError

MONDAY_MS = 4 * DAY_MS
WEEK = np.array([1.2, 1.0, 1.0, 1.1, 1.0, 0.4, 0.3])


def daily(n: int = 1, budget: float = 1.0) -> CountBank:
    bank = CountBank(CountSettings(bin_ms=DAY_MS, false_alarms_per_day=budget))
    bank.ensure(n)
    return bank


def hourly(n: int, budget: float = 1.0) -> CountBank:
    bank = CountBank(CountSettings(bin_ms=HOUR_MS, false_alarms_per_day=budget))
    bank.ensure(n)
    return bank


def feed(bank: CountBank, counts: NDArray[Any], first: int = 0, **more: Any) -> list[Scored]:
    step = bank.settings.bin_ms
    return [
        bank.update(counts[:, place], MONDAY_MS + (first + place) * step, **more) for place in range(counts.shape[1])
    ]


def weekly(n: int, days: int, rate: float, seed: int = 0) -> NDArray[np.int64]:
    mean = rate * WEEK[np.arange(days) % 7]
    return np.random.default_rng(seed).poisson(mean, (n, days))


def day_and_night(n: int, hours: int, rate: float, seed: int = 0) -> NDArray[np.int64]:
    mean = rate * (1 + 0.9 * np.sin(2 * np.pi * (np.arange(hours) % 24 - 9) / 24))
    return np.random.default_rng(seed).poisson(mean, (n, hours))


def test_the_rhythm_of_the_week_is_expected() -> None:
    bank = daily(20)
    scored = feed(bank, weekly(20, 140, 40.0))
    mean = np.mean([each.expected for each in scored[-7:]], axis=1)
    np.testing.assert_allclose(mean, 40 * WEEK, rtol=0.08)


def test_the_rhythm_of_the_day_is_expected() -> None:
    bank = hourly(20)
    scored = feed(bank, day_and_night(20, 24 * 21, 30.0))
    mean = np.mean([each.expected for each in scored[-24:]], axis=1)
    truth = 30 * (1 + 0.9 * np.sin(2 * np.pi * (np.arange(24) - 9) / 24))
    np.testing.assert_allclose(mean, truth, rtol=0.15, atol=2.5)


@pytest.mark.parametrize("bin_ms", [60_000, 5 * 60_000, HOUR_MS])
def test_bins_of_any_width_learn_the_level(bin_ms: int) -> None:
    bank = CountBank(CountSettings(bin_ms=bin_ms))
    bank.ensure(8)
    counts = np.random.default_rng(1).poisson(6.0, (8, 300))
    scored = feed(bank, counts)
    np.testing.assert_allclose(scored[-1].expected.mean(), 6.0, rtol=0.1)


def test_a_burst_is_an_alarm_and_says_so_while_the_hour_still_fills() -> None:
    bank = hourly(50)
    feed(bank, day_and_night(50, 24 * 14, 5.0))
    counts = np.zeros(50)
    counts[7] = 25
    scored = bank.score(counts, MONDAY_MS + 24 * 14 * HOUR_MS, elapsed=0.3)
    assert scored.score.argmax() == 7
    assert scored.score[7] > bank.alarm_threshold()
    assert scored.direction[7] == 1
    assert not scored.learning[7]


def test_a_slow_rise_that_no_single_hour_shows_is_an_alarm() -> None:
    bank = hourly(30)
    quiet = np.random.default_rng(2).poisson(4.0, (30, 24 * 15))
    feed(bank, quiet[:, : 24 * 14])
    later = quiet[:, 24 * 14 :].copy()
    later[:10, :16] += 5
    scored = feed(bank, later[:, :16], 24 * 14)
    threshold = bank.alarm_threshold()
    found = [max(scored, key=lambda each: float(each.score[row])) for row in range(10)]
    assert sum(float(each.score[row]) > threshold for row, each in enumerate(found)) >= 6
    assert np.median([each.window_bins[row] for row, each in enumerate(found)]) > 1


def test_silence_is_a_drop() -> None:
    bank = hourly(30)
    quiet = np.random.default_rng(3).poisson(12.0, (30, 24 * 14))
    feed(bank, quiet)
    silent = np.full((30, 3), 12)
    silent[5] = 0
    scored = feed(bank, silent, 24 * 14)[-1]
    assert scored.direction[5] == -1
    assert scored.score[5] > bank.alarm_threshold()


def test_a_spell_is_not_told_when_it_is_over() -> None:
    bank = hourly(30)
    quiet = np.random.default_rng(4).poisson(5.0, (30, 24 * 15))
    feed(bank, quiet[:, : 24 * 14])
    later = quiet[:, 24 * 14 :].copy()
    later[3, :4] = 40
    scored = feed(bank, later, 24 * 14)
    assert scored[0].score[3] > bank.alarm_threshold()
    assert all(each.score[3] < bank.alarm_threshold() for each in scored[4:])


def test_a_series_speaks_anew_when_its_incident_grows() -> None:
    bank = hourly(30)
    quiet = np.random.default_rng(5).poisson(5.0, (30, 24 * 14))
    feed(bank, quiet)
    grown = np.full((30, 3), 5)
    grown[3] = [25, 25, 90]
    first, second, third = feed(bank, grown, 24 * 14)
    assert first.score[3] > bank.alarm_threshold()
    assert third.score[3] > second.score[3]


def test_an_incident_does_not_become_what_is_expected() -> None:
    bank = hourly(30)
    feed(bank, np.random.default_rng(6).poisson(5.0, (30, 24 * 14)))
    incident = np.full((30, 12), 5)
    incident[3] = 50
    scored = feed(bank, incident, 24 * 14)
    assert scored[-1].expected[3] < 10


def test_a_level_that_moved_for_good_is_learnt_in_days() -> None:
    bank = hourly(30)
    feed(bank, np.random.default_rng(7).poisson(5.0, (30, 24 * 14)))
    moved = np.random.default_rng(8).poisson(5.0, (30, 24 * 12))
    moved[3] = np.random.default_rng(9).poisson(20.0, 24 * 12)
    scored = feed(bank, moved, 24 * 14)
    assert scored[-1].expected[3] == pytest.approx(20, rel=0.25)


def test_a_day_on_which_everybody_drops_is_taken_for_a_holiday() -> None:
    counts = weekly(40, 120, 30.0)
    for day in (40, 68, 96):
        counts[:30, day] = 0
        counts[30:, day] *= 2  # the hotline for lost cards is busiest when the counters are closed
    later = weekly(40, 1, 30.0, seed=1)
    later[:30] = 0
    later[30:] = 72
    bank = daily(40, budget=0.01)
    feed(bank, counts)
    scored = bank.score(later[:, 0], MONDAY_MS + 120 * DAY_MS)
    assert (scored.score < bank.alarm_threshold()).all()
    assert scored.expected[:30].max() < 5
    assert scored.expected[30:].mean() > 45


def test_a_rise_of_everybody_explains_nothing_away() -> None:
    bank = daily(40)
    feed(bank, weekly(40, 120, 30.0))
    scored = bank.score(np.full(40, 100), MONDAY_MS + 120 * DAY_MS)
    assert (scored.score > bank.alarm_threshold()).all()


def test_a_flagged_holiday_is_learnt() -> None:
    counts = weekly(10, 160, 30.0)
    holidays = (50, 80, 110, 140)
    counts[:, list(holidays)] *= 2
    bank = daily(10)
    for day in range(160):
        bank.update(counts[:, day], MONDAY_MS + day * DAY_MS, holiday=float(day in holidays))
    ordinary = bank.score(counts[:, 0], MONDAY_MS + 161 * DAY_MS).expected.mean()
    holiday = bank.score(counts[:, 0], MONDAY_MS + 161 * DAY_MS, holiday=1.0).expected.mean()
    assert holiday / ordinary == pytest.approx(2.0, rel=0.15)


def test_a_planned_day_is_expected_to_bring_what_was_planned() -> None:
    bank = daily(10)
    feed(bank, weekly(10, 60, 30.0))
    start = MONDAY_MS + 60 * DAY_MS
    plain = bank.score(np.full(10, 60), start)
    planned = bank.score(np.full(10, 60), start, planned=np.full(10, 2.0, dtype=np.float32))
    np.testing.assert_allclose(planned.expected, 2 * plain.expected, rtol=1e-5)
    assert (planned.score < plain.score).all()


def test_a_new_series_is_learning_and_begins_at_the_level_of_its_parent() -> None:
    bank = hourly(2)
    feed(bank, np.random.default_rng(11).poisson([[20.0], [2.0]], (2, 24 * 10)))
    bank.ensure(4, parents=[0, -1])
    scored = bank.score(np.zeros(4), MONDAY_MS + 24 * 10 * HOUR_MS)
    assert scored.learning.tolist() == [False, False, True, True]
    assert scored.expected[2] == pytest.approx(scored.expected[0], rel=0.25)
    assert scored.expected[3] < 5


def test_many_products_born_at_once_raise_no_alarm() -> None:
    bank = hourly(20)
    feed(bank, np.random.default_rng(12).poisson(5.0, (20, 24 * 10)))
    bank.ensure(220)
    counts = np.random.default_rng(13).poisson(3.0, (220, 24 * 4))
    alarms = sum(
        int(((each.score >= bank.alarm_threshold()) & ~each.learning).sum()) for each in feed(bank, counts, 24 * 10)
    )
    assert alarms <= 4


def test_more_series_than_configured_are_refused() -> None:
    bank = CountBank(CountSettings(bin_ms=HOUR_MS, maximum_series=5))
    with pytest.raises(StoreError, match="at most 5"):
        bank.ensure(6)


def test_silent_series_leave_and_the_others_stay_as_they_were() -> None:
    counts = np.random.default_rng(14).poisson(5.0, (6, 48))
    counts[[1, 4], 20:] = 0
    bank = hourly(6)
    feed(bank, counts)
    before = bank.score(counts[:, 0], MONDAY_MS + 48 * HOUR_MS)
    kept = bank.evict_silent(24)
    assert kept.tolist() == [0, 2, 3, 5]
    after = bank.score(counts[kept, 0], MONDAY_MS + 48 * HOUR_MS)
    np.testing.assert_allclose(after.expected, before.expected[kept], rtol=1e-6)


def test_a_smaller_budget_raises_the_threshold() -> None:
    many, few = hourly(100, budget=5.0), hourly(100, budget=0.2)
    counts = np.random.default_rng(15).poisson(2.0, (100, 24 * 12))
    feed(many, counts)
    feed(few, counts)
    assert few.alarm_threshold() > many.alarm_threshold() + 0.5


def test_scoring_teaches_nothing() -> None:
    bank = hourly(3)
    counts = np.random.default_rng(16).poisson(5.0, (3, 50))
    feed(bank, counts)
    before = bank.snapshot()
    for elapsed in (0.2, 0.7, 1.0):
        bank.score([90, 0, 5], MONDAY_MS + 50 * HOUR_MS, elapsed=elapsed)
    assert bank.snapshot() == before


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(0, 60),
    n=st.integers(1, 9),
    bin_ms=st.sampled_from([300_000, HOUR_MS, DAY_MS]),
)
def test_a_restored_bank_goes_on_bit_for_bit(seed: int, cut: int, n: int, bin_ms: int) -> None:
    source = np.random.default_rng(seed)
    counts = source.poisson(np.exp(source.uniform(-3, 4, (n, 1))), (n, 70))
    counts[0, 50:54] += 30
    grown = n + 2  # series that appear on the way leave room in the arrays

    def one(bank: CountBank, place: int) -> Scored:
        if place == 30:
            bank.ensure(grown)
        now = np.zeros(bank.n)
        now[:n] = counts[:, place]
        return bank.update(now, MONDAY_MS + place * bin_ms, holiday=float(place == 40))

    zone = ZoneInfo("Asia/Shanghai")
    through = CountBank(CountSettings(bin_ms=bin_ms), zone=zone)
    through.ensure(n)
    whole = [one(through, place) for place in range(70)]
    halfway = CountBank(CountSettings(bin_ms=bin_ms), zone=zone)
    halfway.ensure(n)
    for place in range(cut):
        one(halfway, place)
    written = msgspec.msgpack.encode(halfway.snapshot())
    again = CountBank(CountSettings(bin_ms=bin_ms), zone=zone)
    again.restore(msgspec.msgpack.decode(written))
    for place in range(cut, 70):
        for name, value in one(again, place)._asdict().items():
            np.testing.assert_array_equal(value, getattr(whole[place], name))
    assert again.snapshot() == through.snapshot()


def test_a_snapshot_of_other_bins_is_refused() -> None:
    with pytest.raises(StoreError, match="bins of 86400000 ms"):
        hourly(1).restore(daily(1).snapshot())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spike=st.integers(0, 100_000), zeros=st.booleans())
def test_scores_are_finite_whatever_is_counted(seed: int, spike: int, zeros: bool) -> None:
    source = np.random.default_rng(seed)
    counts = source.poisson(source.uniform(0, 50), (4, 40)) * (0 if zeros else 1)
    counts[0, 35] = spike
    bank = CountBank(CountSettings(bin_ms=DAY_MS), zone=UTC)
    bank.ensure(4)
    for each in feed(bank, counts):
        for value in (each.score, each.expected, each.upper):
            assert np.isfinite(value).all()
            assert (value >= 0).all()


def test_the_state_of_a_series_is_below_a_kilobyte() -> None:
    assert daily().bytes_per_series <= 1024
    assert hourly(1).bytes_per_series <= 1024


def test_a_planned_day_of_a_series_hardly_known_is_learnt_like_any_other() -> None:
    bank = hourly(6)
    counts = np.random.default_rng(8).poisson(900.0, (6, 30))
    for hour in range(30):
        scored = bank.update(counts[:, hour], MONDAY_MS + hour * HOUR_MS, planned=3.0 if hour in (1, 2, 3) else 1.0)
        assert np.isfinite(scored.score).all()
        assert np.isfinite(scored.expected).all()
    assert (bank.model.linear.mean.live[0] > 0).all()


def test_a_weekend_that_is_worked_is_expected_like_a_friday() -> None:
    # Three weeks of few counts on weekends; the fourth Saturday is worked.
    counts = [20 if day % 7 < 5 else 2 for day in range(28)]
    expected = {}
    for worked in (False, True):
        bank = CountBank(CountSettings(bin_ms=DAY_MS), worked=lambda day, worked=worked: worked and day.day == 31)
        bank.ensure(1)
        for day in range(27):
            expected[worked] = bank.update([counts[day]], MONDAY_MS + day * DAY_MS).expected[0]
    assert expected[False] < 8
    assert expected[True] > 12
