"""What is known by its meaning alone has a title, also where no topic and no known word is in it."""

from __future__ import annotations

import msgspec
import pytest
from desk_fakes import NOON, desk, finding

from qianshao.app.wording import MEASURE_NAMES


@pytest.mark.parametrize(
    ("measure", "value", "keywords", "title"),
    [
        ("likeness", "白毛", ("连不上",), "门锁 “白毛”等同类反映：已影响 6 位客户"),
        ("trouble", "", ("连不上",), "门锁 “连不上”等故障诉求：已影响 6 位客户"),
        ("trouble", "", (), "门锁 故障诉求：已影响 6 位客户"),
    ],
)
def test_the_title_quotes_what_is_said(measure: str, value: str, keywords: tuple[str, ...], title: str) -> None:
    told = finding(customers=range(6), measure=measure, value=value, score=6.0)
    evidence = tuple(msgspec.structs.replace(event, topic="") for event in told.evidence)
    changes, _, _ = desk().advance([msgspec.structs.replace(told, evidence=evidence, keywords=keywords)], NOON)
    assert changes[0].title == title


def test_what_they_are_about_names_it_where_they_have_a_topic() -> None:
    changes, _, _ = desk().advance([finding(customers=range(6), measure="likeness", value="白毛")], NOON)
    assert changes[0].title == "门锁 设备离线：已影响 6 位客户"


def test_measures_of_meaning_are_named_in_chinese() -> None:
    assert (MEASURE_NAMES["likeness"], MEASURE_NAMES["trouble"]) == ("同类说法", "故障诉求")
