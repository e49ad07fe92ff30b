"""Levels: a message that most devices write as information is no error of the few that write it louder."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from detectors.bank import Bank
from detectors.levels import MAX_TEMPLATES, Levels
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000  # a midnight in Shanghai


def wrote(template: str, device: int, level: str | None, ts: int = START, code: str = "") -> Observation:
    return Observation(
        id=f"{template}-{device}-{ts}",
        kind="device",
        ts=ts,
        line="家居",
        product="门锁",
        device=device,
        customer=device,
        level=level,
        text=template,
        template=template,
        code=code,
    )


def seen(observations: Sequence[Observation]) -> Levels:
    levels = Levels()
    for observation in observations:
        levels.see(observation)
    return levels


def test_a_message_that_most_devices_write_as_information_is_mild() -> None:
    checks = [wrote("selfcheck pass", device, "info") for device in range(1, 30)]
    assert seen([*checks, wrote("selfcheck pass", 99, "warn")]).mild("selfcheck pass")


def test_a_message_is_not_mild_where_many_devices_warn_of_it_or_nothing_is_known() -> None:
    some = [wrote("link lost", device, "info") for device in range(1, 10)]
    many = [wrote("link lost", device, "error") for device in range(20, 40)]
    assert not seen([*some, *many]).mild("link lost")
    assert not seen(some[:2]).mild("link lost")
    assert not seen([]).mild("link lost")


def test_one_device_that_floods_counts_once_an_hour() -> None:
    flood = [wrote("link lost", 7, "info", START + each) for each in range(500)]
    assert not seen(flood).mild("link lost")


def test_what_was_known_yesterday_still_holds_and_fades() -> None:
    levels = seen([wrote("selfcheck pass", device, "info") for device in range(1, 30)])
    for _ in range(24):
        levels.close_hour()
    assert levels.mild("selfcheck pass")
    for _ in range(10 * 24):
        levels.close_hour()
    assert not levels.mild("selfcheck pass")


def test_ever_new_messages_do_not_grow_the_memory() -> None:
    levels = Levels()
    for hour in range(3):
        for each in range(MAX_TEMPLATES):
            levels.see(wrote(f"message {hour} {each}", 1, "info"))
        levels.close_hour()
    assert len(levels.snapshot()["known"]) <= MAX_TEMPLATES


def test_going_on_from_a_snapshot_says_the_same() -> None:
    levels = seen([wrote("selfcheck pass", device, "info") for device in range(1, 30)])
    other = Levels()
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(levels.snapshot())))
    levels.close_hour()
    other.close_hour()
    assert other.snapshot() == levels.snapshot()
    assert other.mild("selfcheck pass")


def _told(quiet: int) -> list[Finding]:
    """Two ordinary days, then a message nobody wrote before: so many devices as information, and eight that warn."""
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    events = [wrote("heartbeat", 1 + each % 400, "error", START + each * 2 * MINUTE_MS) for each in range(1_440)]
    night = events[-1].ts + MINUTE_MS
    events += [wrote("selfcheck pass", 1 + each, "info", night + each * SECOND_MS) for each in range(quiet)]
    events += [wrote("selfcheck pass", 301 + each, "warn", night + MINUTE_MS + each * SECOND_MS) for each in range(8)]
    found, _ = bank.advance(events, night + HOUR_MS)
    return [finding for finding in found if finding.series.value == "selfcheck pass"]


def test_devices_that_warn_of_what_most_only_note_are_not_told_of() -> None:
    assert _told(quiet=0)
    assert not _told(quiet=50)
