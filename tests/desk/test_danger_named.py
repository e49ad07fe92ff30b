"""The card says which danger it is."""

from __future__ import annotations

import pytest
from desk_fakes import NOON, desk, finding


@pytest.mark.parametrize("witnessed", ["人身安全", "人身安全/触电"])
def test_the_title_names_the_kind_of_danger(witnessed: str) -> None:
    changes, _, _ = desk().advance(
        [finding(customers=range(3), measure="danger", value=witnessed, danger="人身安全/触电")], NOON
    )
    assert changes[0].title == "门锁 触电：已影响 3 位客户"
    assert changes[0].about.terms == ["触电"]


def test_the_most_frequent_kind_comes_first() -> None:
    smoke = finding(customers=range(3), measure="danger", value="人身安全/冒烟起火", danger="人身安全/冒烟起火")
    shock = finding(customers=range(2, 4), measure="danger", value="人身安全", danger="人身安全/触电")
    changes, _, _ = desk().advance([smoke, shock], NOON)
    assert changes[-1].about.terms[:2] == ["冒烟起火", "触电"]
