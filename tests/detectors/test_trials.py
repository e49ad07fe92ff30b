"""What staff only try out is left out: their words, their versions, and their devices."""

from __future__ import annotations

from typing import Any

import pytest

from detectors import trials
from detectors.trials import Trials, is_trial
from qianshao.event import Observation


def event(text: str = "", *, kind: str = "chat", **fields: Any) -> Observation:
    return Observation(id=f"{kind}-{text}", kind=kind, ts=0, customer=1, text=text, **fields)


@pytest.mark.parametrize(
    "text",
    [
        "测试单请忽略",
        "【测试】门锁打不开",
        "test",
        "测试123",
        "压测消息，无需处理",
        "冒烟测试第3轮",
        "TEST 请勿回复",
        "测试：重复扣款用例",
        "测试退款流程",
        "自动化脚本 支付失败 场景",
        "UAT 储值卡充值 回归通过",
        "验收用例124 ok",
        "内部测试单，关闭",
        "走查单勿跟进",
        "联调单，可关",
        "演练单",
        "沙箱下单 回归第8单",
        "冒烟 312 ok",
        "用例#77",
        "QA走查，下单流程",
        "内部自测，关闭",
    ],
)
def test_what_staff_try_out_counts_as_nothing(text: str) -> None:
    assert is_trial(event(text))


@pytest.mark.parametrize(
    "text",
    [
        "热水器在冒烟",
        "电池测试不到一小时就没电",
        "怎么测试网速",
        "我忽略了短信",
        "latest版本打不开",
        "测试了三次都连不上",
        "演练时喷淋误喷，设备浸水",
        "测试单子一直没关，怎么回事",
        "冒烟了 ok吗",
        "沙盒玩具少了一个",
        "我自测血糖偏高",
    ],
)
def test_customers_who_speak_of_tests_count(text: str) -> None:
    assert not is_trial(event(text))


def test_a_version_that_customers_do_not_have_yet_counts_as_nothing() -> None:
    assert is_trial(event(kind="device", dims={"app_version": "9.0.0-beta"}))
    assert is_trial(event(kind="device", firmware="2.3.0 rc1"))
    assert is_trial(event(kind="device", dims={"app_version": "6.0.0-int3"}))
    assert is_trial(event(kind="device", dims={"app_version": "1.0.1-dogfood"}))
    assert is_trial(event(kind="device", dims={"app_version": "0.0.1-lab"}))
    assert is_trial(event(kind="device", firmware="3.4.1-lab"))
    assert is_trial(event(kind="device", firmware="9.9.9"))
    assert not is_trial(event(kind="device", dims={"app_version": "3.1label"}))
    assert not is_trial(event(kind="device", firmware="0.0.12"))
    assert not is_trial(event(kind="device", dims={"app_version": "3.1interim"}))
    assert not is_trial(event(kind="device", dims={"app_version": "3.1premium"}))
    assert not is_trial(event(kind="device", firmware="4.4.30-release", dims={"app_version": "8.5.0"}))


def writes(device: int, firmware: str | None = None) -> Observation:
    return event("inject fault", kind="device", device=device, firmware=firmware, code="X999", level="error")


def counted(watch: Trials, *observations: Observation) -> list[Observation]:
    return watch.leave_out(observations)


def test_a_device_of_the_laboratory_counts_as_nothing_where_its_version_is_missing() -> None:
    watch = Trials()
    customers = writes(2)
    assert counted(watch, writes(1, "9.9.9-lab"), writes(1), customers) == [customers]


def test_a_device_counts_again_once_it_states_a_released_version() -> None:
    watch = Trials()
    back = [writes(1, "3.8.5"), writes(1)]
    assert counted(watch, writes(1, "9.9.9-lab"), *back) == back


def test_what_a_customer_says_of_a_device_of_the_laboratory_counts() -> None:
    watch = Trials()
    voice = event("扫地机器人不动了", device=1)
    assert counted(watch, writes(1, "9.9.9-lab"), voice) == [voice]


def test_devices_of_the_laboratory_are_known_after_a_restart() -> None:
    watch, again = Trials(), Trials()
    watch.leave_out([writes(1, "9.9.9-lab")])
    again.restore(watch.snapshot())
    assert counted(again, writes(1)) == []


def test_only_so_many_devices_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MAX_DEVICES", 2)
    watch = Trials()
    watch.leave_out([writes(device, "9.9.9-lab") for device in (1, 2, 3)])
    assert len(watch.snapshot()) == 2
