"""What devices write becomes a series, and a flood of it wears nobody else's places."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest

from detectors.admission import ALONE, Admission
from detectors.bank import Bank
from detectors.census import MAX_VALUES
from detectors.counts import Measured
from qianshao.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.event import Observation
from qianshao.finding import Finding

START = 1_765_382_400_000


def wrote(ts: int, device: int, message: str = "", *, code: str = "") -> Observation:
    return Observation(
        id=f"{ts}-{device}",
        kind="device",
        ts=ts,
        line="家居",
        product="门锁",
        customer=device,
        device=device,
        level="error",
        code=code,
        template=message,
    )


def admitted(admission: Admission, event: Observation, known: set[Measured]) -> list[tuple[int, list[Measured]]]:
    measures = [("code", event.code) if event.code else ("template", event.template)]
    found = admission.admit(measures, event, known.__contains__)
    known.update(measured for _, counted in found for measured in counted)
    return [(each.device, counted) for each, counted in found]


def test_a_template_counts_from_the_second_device_on_and_the_first_with_it() -> None:
    admission, known = Admission(), set[Measured]()
    template = [("template", "bolt stalled")]
    assert admitted(admission, wrote(START, 1, "bolt stalled"), known) == [(1, [])]
    assert admitted(admission, wrote(START + 1, 1, "bolt stalled"), known) == [(1, [])]
    assert admitted(admission, wrote(START + 2, 2, "bolt stalled"), known) == [(1, template), (2, template)]
    assert admitted(admission, wrote(START + 3, 3, "bolt stalled"), known) == [(3, template)]


def test_a_code_counts_at_once_but_not_the_eleventh_that_one_device_brings_up() -> None:
    admission, known = Admission(), set[Measured]()
    for number in range(ALONE):
        code = [("code", f"E{number}")]
        assert admitted(admission, wrote(START, 1, code=f"E{number}"), known) == [(1, code)]
    assert admitted(admission, wrote(START, 1, code="E99"), known) == [(1, [])]
    code = [("code", "E99")]
    assert admitted(admission, wrote(START + 1, 2, code="E99"), known) == [(1, code), (2, code)]


def test_the_devices_of_a_family_count_when_it_is_recognised() -> None:
    admission, known = Admission(), set[Measured]()
    names = ["anna", "bo", "chen", "dan", "eva", "fang", "guo", "han"]
    for device, name in enumerate(names, start=1):
        found = admitted(admission, wrote(START + device, device, f"album of {name} not synced"), known)
    assert found == [(device, [("template", "album of * not synced")]) for device in range(1, 9)]


def test_what_one_device_wrote_is_forgotten_after_a_day() -> None:
    admission, known = Admission(), set[Measured]()
    admitted(admission, wrote(START, 1, "bolt stalled"), known)
    admission.forget(START + DAY_MS + 1)
    assert admitted(admission, wrote(START + DAY_MS + 2, 2, "bolt stalled"), known) == [(2, [])]


def test_what_waits_is_bounded_and_each_measure_has_its_own_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.admission.MAX_WAITING", 20)
    monkeypatch.setattr("detectors.admission.MOST", {"code": 5, "template": 5})
    admission, known = Admission(), set[Measured]()
    for number in range(100):
        for device in (1, 2):
            admitted(admission, wrote(START + number, device, f"w{number} v{number}"), known)
        admitted(admission, wrote(START + number, 3, f"single {number}x"), known)
    assert len(known) == 5
    assert len(admission.snapshot()["waiting"]) <= 20
    admitted(admission, wrote(START, 1, code="E9"), known)
    admitted(admission, wrote(START, 2, code="E9"), known)
    assert ("code", "E9") in known


def test_a_restored_state_goes_on_as_if_uninterrupted() -> None:
    whole, restored, known = Admission(), Admission(), set[Measured]()
    for device in range(1, 6):
        admitted(whole, wrote(START, device, f"album of n{'abcdef'[device]}n not synced"), known)
    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(whole.snapshot())))
    for device in range(6, 12):
        event = wrote(START, device, f"album of m{'abcdefghijkl'[device]}m not synced")
        assert admitted(restored, event, set(known)) == admitted(whole, event, known)
    assert restored.snapshot() == whole.snapshot()


@pytest.mark.parametrize("coded", [False, True])
def test_a_device_that_logs_ever_new_messages_does_not_starve_the_code_of_a_batch(coded: bool) -> None:
    flood = [
        wrote(START + n * SECOND_MS, 5, f"x{n}k q{n}w z{n}v", code=f"X{n}" if coded else "")
        for n in range(MAX_VALUES + 500)
    ]
    calm = [wrote(START + n * MINUTE_MS, 1_000 + n % 300, "heartbeat lost peer") for n in range(30 * 60)]
    batch = [wrote(START + 28 * HOUR_MS + n * 10 * SECOND_MS, 100 + n, code="E77") for n in range(10)]
    bank = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZoneInfo("Asia/Shanghai"))
    events = sorted(flood + calm + batch, key=lambda event: (event.ts, event.id))
    found: list[Finding] = bank.advance(events, START + 31 * HOUR_MS)[0]
    assert [(each.series.value, each.kind) for each in found if each.opens] != []
    assert {each.series.value for each in found if each.opens} == {"E77"}
    assert len(bank.table.measured) < 100
