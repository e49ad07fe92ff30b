"""What one observation counts as, and labels that agree with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.measures import benign, device_measures, mislabelled, voice_measures
from qianshao.event import Observation


def event(text: str = "", *, kind: str = "chat", customer: int = 1, topic: str = "", **fields: Any) -> Observation:
    stated: dict[str, Any] = {
        "id": f"{kind}-{customer}",
        "kind": kind,
        "ts": 0,
        "customer": customer,
        "topic": topic,
        "text": text,
    }
    return Observation(**stated, **fields)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_code_that_is_only_for_information_is_no_fault(level: str) -> None:
    assert device_measures(event("selfcheck pass IX-77", kind="device", code="IX-77", level=level)) == []


@pytest.mark.parametrize("level", ["warn", "error", "fatal", ""])
def test_a_code_of_any_other_level_counts(level: str) -> None:
    assert device_measures(event("stall PM-44", kind="device", code="PM-44", level=level)) == [("code", "PM-44")]


@pytest.mark.parametrize("text", ["pay resp=E3900 maintenance window", "gw/maint rc=5003", "平台维护中，稍后重试"])
def test_a_device_that_speaks_of_maintenance_reports_no_fault(text: str) -> None:
    assert device_measures(event(text, kind="device", code="E3900", level="warn", template=text)) == []


@pytest.mark.parametrize("text", ["mainthread blocked 3s", "main thread E12", "未按时维护滤芯"])
def test_what_only_sounds_like_maintenance_counts(text: str) -> None:
    assert device_measures(event(text, kind="device", code="E12", level="error")) == [("code", "E12")]


def test_a_fault_that_is_a_danger_counts_only_where_it_is_asserted() -> None:
    heard = event("大家在传食物中毒，问一下", topic="食品安全", terms=("食物中毒", "异物"))
    assert ("term", "食物中毒") not in voice_measures(heard)
    assert ("term", "异物") in voice_measures(heard)
    suffered = event("吃完食物中毒进医院了", terms=("食物中毒",), danger="人身安全/食物中毒")
    assert ("term", "食物中毒") in voice_measures(suffered)


def tickets(*texts: str, topic: str = "") -> list[Observation]:
    return [event(text, kind="ticket", customer=number, topic=topic) for number, text in enumerate(texts, start=1)]


def test_one_label_on_tickets_that_say_different_things_is_a_habit() -> None:
    assert mislabelled(tickets("表扬，转达", "重复来电，同前", "催促处理", "一般咨询，已解答"), ["重复", "来电"])
    assert mislabelled(tickets("转相关部门", "转相关部门，待跟进", "转相关部门", "已回复"), ["部门", "相关"])


def test_tickets_that_share_a_word_or_a_topic_are_one_cause() -> None:
    assert not mislabelled(tickets("录像丢失，待查", "客户称录像没了", "录像缺失", "存储卡报错"), ["录像"])
    assert not mislabelled(tickets("打不开", "连不上", "没反应", topic="设备离线"), [])


def test_two_tickets_say_too_little_to_tell() -> None:
    assert not mislabelled(tickets("表扬，转达", "催促处理"), [])


def asked(number: int, *, text: str = "可以装在木门上吗", troubled: int = 0) -> list[Observation]:
    return [
        event(text, customer=each + 1, topic="安装维修", terms=("坏了",) if each < troubled else ())
        for each in range(number)
    ]


def test_many_who_only_ask_are_no_trouble() -> None:
    assert benign(asked(12))
    assert benign(asked(12, text="有没有运费险"))
    assert not benign(asked(9))
    assert not benign(asked(12, troubled=3))
    assert not benign(asked(12, text="师傅没来"))


@pytest.mark.parametrize(("naming", "harmless"), [(0, True), (3, True), (5, False)])
def test_who_names_a_fault_of_a_price_does_not_ask(naming: int, harmless: bool) -> None:
    told = [
        event("配送费又涨了", customer=each + 1, topic="价格", terms=("涨价",) if each < naming else ())
        for each in range(10)
    ]
    assert benign(told) is harmless


def test_on_a_planned_day_more_must_be_upset_about_what_is_asked_anyway() -> None:
    told = [
        event("领不了", customer=each + 1, topic="优惠活动", line="生鲜", sentiment=-0.8 if each < 5 else 0.0)
        for each in range(10)
    ]
    assert not benign(told)
    assert not benign(told, {"家电"})
    assert benign(told, {"生鲜"})
    assert benign(told, {""})
