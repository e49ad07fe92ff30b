"""The charts: well-formed, inside their frame, and honest about gaps."""

from __future__ import annotations

from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from qianshao.app.console.chart import NARROW, WIDE, Marker, growth_chart, volume_chart
from qianshao.clock import MINUTE_MS
from sinks.queries import VolumeBin

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_772_431_200_000


def bin_at(index: int, customers: int, *, low: float = 2, high: float = 10, learning: bool = False) -> VolumeBin:
    return VolumeBin(
        bin_start=START + index * 5 * MINUTE_MS,
        messages=customers,
        customers=customers,
        expected=(low + high) / 2,
        low=low,
        high=high,
        learning=learning,
    )


def drawn(bins: list[VolumeBin], markers: list[Marker] | None = None) -> ElementTree.Element:
    svg = volume_chart(bins, bin_minutes=5, zone=ZONE, markers=markers or [], size=WIDE, caption="说明")
    return ElementTree.fromstring(svg)


def classes(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [part for part in svg.iter() if part.get("class") == name]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 10**7), st.floats(0, 1e6), st.floats(0, 1e6), st.booleans()),
        min_size=1,
        max_size=60,
        unique_by=lambda row: row[0],
    )
)
def test_every_point_lies_inside_the_drawing_whatever_the_numbers(
    rows: list[tuple[int, int, float, float, bool]],
) -> None:
    bins = [
        bin_at(index, customers, low=min(one, other), high=max(one, other), learning=learning)
        for index, customers, one, other, learning in sorted(rows)
    ]
    for size in (WIDE, NARROW):
        svg = volume_chart(bins, bin_minutes=5, zone=ZONE, markers=[], size=size, caption="")
        for part in ElementTree.fromstring(svg).iter():
            for pair in (part.get("points") or "").split():
                across, down = map(float, pair.split(","))
                assert 0 <= across <= size.width
                assert 0 <= down <= size.height


def test_a_missing_bin_interrupts_the_line() -> None:
    assert len(classes(drawn([bin_at(0, 5), bin_at(1, 5), bin_at(2, 5)]), "observed")) == 1
    assert len(classes(drawn([bin_at(0, 5), bin_at(1, 5), bin_at(5, 5), bin_at(6, 5)]), "observed")) == 2


def test_only_a_trusted_band_can_be_left() -> None:
    assert len(classes(drawn([bin_at(0, 50), bin_at(1, 5), bin_at(2, 0)]), "outside")) == 2
    assert classes(drawn([bin_at(0, 50, learning=True)]), "outside") == []


def test_a_learning_band_is_drawn_as_one() -> None:
    svg = drawn([bin_at(0, 5, learning=True), bin_at(1, 5, learning=True), bin_at(2, 5), bin_at(3, 5)])
    assert len(classes(svg, "band learning")) == 1
    assert len(classes(svg, "band")) == 1


def test_an_incident_is_marked_where_it_opened_and_leads_to_its_card() -> None:
    bins = [bin_at(index, 5) for index in range(12)]
    inside = Marker(at_ms=START + 30 * MINUTE_MS, severity="P1", label='坏 <b>"x"</b>', href="/incidents/a")
    outside = Marker(at_ms=START - MINUTE_MS, severity="P2", label="早", href="/incidents/b")
    svg = drawn(bins, [inside, outside])
    links = [part.get("href") for part in svg.iter() if part.tag == "a"]
    assert links == ["/incidents/a"]
    assert svg.find("a/title") is not None
    assert svg.findtext("a/title") == '坏 <b>"x"</b>'


def test_the_axis_names_its_unit_and_round_local_hours() -> None:
    texts = [part.text for part in drawn([bin_at(index, 5) for index in range(145)]).iter() if part.tag == "text"]
    assert texts[0] == "客户 / 5 分钟"
    assert "15:00" in texts
    assert all(text is None or not text.endswith(("07", "13")) for text in texts[1:])


def test_nothing_to_draw_is_no_chart() -> None:
    assert volume_chart([], bin_minutes=5, zone=ZONE, markers=[], size=WIDE, caption="") == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**6)), min_size=1, max_size=30), st.integers(0, 10**8)
)
def test_growth_stays_inside_its_drawing(steps: list[tuple[int, int]], end: int) -> None:
    points = [(START + at, value) for at, value in sorted(steps)]
    svg = growth_chart(points, START + end, unit="位", zone=ZONE, opened=points[0][0], size=NARROW)
    for part in ElementTree.fromstring(svg).iter():
        for pair in (part.get("points") or "").split():
            across, down = map(float, pair.split(","))
            assert 0 <= across <= NARROW.width
            assert 0 <= down <= NARROW.height
