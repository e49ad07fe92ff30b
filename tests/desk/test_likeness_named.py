"""What several say alike has a title, also where no topic and no known word is in it."""

from __future__ import annotations

import msgspec
from desk_fakes import NOON, desk, finding

from qianshao.app.wording import MEASURE_NAMES


def test_the_title_quotes_what_is_said_alike() -> None:
    alike = finding(customers=range(6), measure="likeness", value="白毛", score=6.0)
    evidence = tuple(msgspec.structs.replace(event, topic="") for event in alike.evidence)
    changes, _, _ = desk().advance([msgspec.structs.replace(alike, evidence=evidence)], NOON)
    assert changes[0].title == "门锁 “白毛”等同类反映：已影响 6 位客户"


def test_what_they_are_about_names_it_where_they_have_a_topic() -> None:
    changes, _, _ = desk().advance([finding(customers=range(6), measure="likeness", value="白毛")], NOON)
    assert changes[0].title == "门锁 设备离线：已影响 6 位客户"


def test_likeness_is_named_in_chinese() -> None:
    assert MEASURE_NAMES["likeness"] == "同类说法"
