"""The margins: what chance makes often is told on stronger evidence, what it makes seldom on weaker."""

from __future__ import annotations

import numpy as np
import pytest
from test_bank import START, batch, ordinary, run

import detectors.margins
from detectors.cells import Cell
from detectors.margins import MANY, margin, margin_of_number, margin_of_place, wording
from detectors.measures import may_open
from qianshao.clock import HOUR_MS


def asked(measure: str, people: int) -> float:
    return float(margin_of_number(np.array([wording(measure)]), np.array([[float(people)]]))[0, 0])


@pytest.mark.parametrize("measure", ["topic", "term", "theme", "ticket_type"])
def test_a_handful_of_people_is_asked_for_stronger_evidence(measure: str) -> None:
    assert asked(measure, 4) > asked(measure, 5) > asked(measure, MANY)
    assert asked(measure, MANY) == asked(measure, 500)


def test_many_who_share_a_word_or_a_fault_are_asked_for_less_than_many_who_share_a_topic() -> None:
    assert asked("term", MANY) == asked("theme", MANY) < asked("topic", MANY) == 0.0


@pytest.mark.parametrize("measure", ["code", "danger", "metric", "negative"])
def test_what_is_not_told_in_words_is_asked_the_same_of_any_number(measure: str) -> None:
    assert asked(measure, 3) == asked(measure, 50) == 0.0


def test_one_channel_of_everything_is_asked_for_more() -> None:
    everywhere = margin("topic", "设备离线", ())
    assert margin("topic", "设备离线", (("line", "家居"), ("region", "华东"))) == everywhere
    assert margin("topic", "设备离线", (("channel", "app"), ("region", "华东"))) > everywhere
    assert margin("topic", "设备离线", (("channel", "app"), ("line", "家居"))) == everywhere


def test_the_cell_that_is_furthest_beyond_what_it_is_asked_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    events = ordinary(48) + batch(20, START + 40 * HOUR_MS)

    def speaks(measure: str, value: str, cell: Cell) -> float:
        return 0.0 if cell == (("line", "家居"),) else 50.0

    assert any(len(found.series.dims) > 1 for found in run(events))
    monkeypatch.setattr("detectors.bank.margin", speaks)
    assert {found.series.dims for found in run(events)} == {(("line", "家居"),)}


def test_what_a_handful_is_asked_does_not_hold_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(people: int) -> bool:
        told = [found for found in run(ordinary(48) + batch(people, START + 40 * HOUR_MS)) if found.opens]
        return any(found.series.measure == "term" for found in told)

    assert opened(MANY - 1)
    handful = np.array([50.0] * MANY + [0.0])
    monkeypatch.setattr(detectors.margins, "BY_NUMBER", detectors.margins.BY_NUMBER + handful)
    assert not opened(MANY - 1)
    assert opened(MANY)


@pytest.mark.parametrize(
    "theme", ["核实来电真伪，已提醒客户", "修改发票抬头，待财务", "核对退款金额60元，无误", "客户要求回电"]
)
def test_what_agents_were_asked_for_or_did_opens_nothing_by_itself(theme: str) -> None:
    assert not may_open("theme", theme)
    assert may_open("theme", "水果腐烂，客户要求赔付")


@pytest.mark.parametrize("measure", ["term", "theme", "ticket_type"])
def test_words_of_no_product_model_or_release_are_asked_for_more(measure: str) -> None:
    for wide in ((), ("line",), ("region",), ("channel", "line", "region")):
        assert margin_of_place(measure, wide, MANY) > 0.0
    for thing in ("product", "model", "firmware", "app_version"):
        assert margin_of_place(measure, (thing,), 4) == margin_of_place(measure, ("line", "region", thing), 4) == 0.0


@pytest.mark.parametrize("measure", ["code", "topic", "danger"])
def test_codes_topics_and_harm_are_asked_the_same_everywhere(measure: str) -> None:
    assert margin_of_place(measure, (), 4) == margin_of_place(measure, ("product",), 4) == 0.0


def test_a_handful_who_share_a_word_but_no_thing_are_never_enough() -> None:
    for measure in ("term", "theme"):
        assert margin_of_place(measure, ("line",), MANY - 1) > 1e9 > margin_of_place(measure, ("line",), MANY)


def test_what_people_grumble_about_in_every_rush_hour_is_asked_for_more() -> None:
    cell = (("line", "到家"), ("product", "外卖"))
    assert margin("term", "超时", cell) > margin("term", "没送到", cell)


def test_a_word_opens_on_weaker_evidence_where_it_is_placed_in_a_product(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(product: str | None) -> bool:
        cause = batch(MANY, START + 40 * HOUR_MS)
        for number, event in enumerate(cause):
            event.product = product or ("门锁", "摄像头")[number % 2]
            event.region = ("华东", "华南", "华北", "西南")[number % 4]
        told = [found for found in run(ordinary(48) + cause) if found.opens]
        return any(found.series.measure == "term" for found in told)

    assert opened("门锁")
    assert opened(None)
    monkeypatch.setitem(detectors.margins.OF_NO_THING, "term", 50.0)
    assert opened("门锁")
    assert not opened(None)


def test_harm_is_told_on_weaker_evidence_where_a_product_is_named() -> None:
    shock, line = "人身安全/触电", ("line", "家居")
    assert margin("danger", shock, (line, ("product", "热水器"))) < margin("danger", shock, (line,)) < 0.0
    assert margin("danger", shock, (("region", "华东"),)) == 0.0


def test_a_family_with_suspicious_calls_is_asked_less_than_those_calls_alone() -> None:
    cell = (("line", "金融"), ("product", "钱包"))
    assert 0.0 < margin("danger", "资金安全", cell) < margin("danger", "资金安全/可疑来电", cell)


def test_harm_that_is_counted_in_one_channel_is_asked_as_much_as_anything() -> None:
    thing = (("line", "到家"), ("product", "外卖"))
    assert margin("danger", "人身安全/食物中毒", thing) < 0.0
    assert margin("danger", "人身安全/食物中毒", (("channel", "hotline"), *thing)) == 0.0
