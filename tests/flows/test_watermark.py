"""The frontier: what moves it, and what never does."""

from __future__ import annotations

from flow_fakes import START

from flows.watermark import FOLLOWERS, Frontier

MINUTE = 60_000
HOUR = 60 * MINUTE
REORDER = 5 * MINUTE


def run(times: list[int]) -> tuple[list[bool], int | None]:
    frontier: Frontier[int] = Frontier(REORDER)
    fates: dict[int, bool] = {}
    order = []
    for place, ts in enumerate(times):
        for _, settled, plausible in frontier.offer(ts, place):
            fates[settled] = plausible
            order.append(settled)
    for _, settled, plausible in frontier.finish():
        fates[settled] = plausible
        order.append(settled)
    assert order == list(range(len(times)))
    return [fates[place] for place in range(len(times))], frontier.value


def steady(count: int, start: int = START) -> list[int]:
    return [start + place * 30_000 for place in range(count)]


def test_one_bad_clock_never_moves_it() -> None:
    for ahead in (20 * MINUTE, 8 * HOUR, 23 * HOUR):
        times = steady(40)
        times[20] += ahead
        assert run(times) == ([True] * 40, times[-1])


def test_a_clock_more_than_a_day_ahead_is_implausible() -> None:
    times = steady(40)
    times[20] += 25 * HOUR
    fates, value = run(times)
    assert fates == [place != 20 for place in range(40)]
    assert value == times[-1]


def test_the_first_clock_may_be_the_bad_one() -> None:
    times = steady(40)
    times[0] += 8 * HOUR
    assert run(times) == ([True] * 40, times[-1])
    times[0] = START + 30 * HOUR
    assert run(times) == ([False] + [True] * 39, times[-1])


def test_two_bad_clocks_side_by_side_do_not_vouch_for_each_other() -> None:
    times = steady(40)
    times[20] += 3 * HOUR
    times[21] += 3 * HOUR
    assert run(times) == ([True] * 40, times[-1])


def test_a_quiet_night_is_believed() -> None:
    times = steady(20) + steady(20, START + 9 * HOUR)
    assert run(times) == ([True] * 40, times[-1])


def test_a_quiet_weekend_is_believed_when_everything_after_it_agrees() -> None:
    times = steady(20) + steady(FOLLOWERS + 1, START + 60 * HOUR)
    assert run(times) == ([True] * len(times), times[-1])


def test_a_leap_over_a_day_without_enough_followers_is_implausible() -> None:
    times = [*steady(20), START + 60 * HOUR]
    assert run(times) == ([True] * 20 + [False], times[19])


def test_in_a_tiny_log_a_leap_is_believed() -> None:
    assert run([START, START + 2 * HOUR, START + HOUR // 2]) == ([True] * 3, START + 2 * HOUR)


def test_a_leap_waits_for_its_followers_and_no_longer() -> None:
    frontier: Frontier[int] = Frontier(REORDER)
    for place in range(FOLLOWERS):
        assert list(frontier.offer(START + place, place)) == []
    assert len(list(frontier.offer(START + FOLLOWERS, FOLLOWERS))) == FOLLOWERS + 1
