"""Every reason that the desk can give has its words in Chinese, and no other has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from qianshao.app import wording
from qianshao.incident import Change, Likeness, Reason, Severity, Status

DESK = Path(__file__).parents[2] / "qianshao" / "desk"
REASONS: tuple[str, ...] = get_args(Reason)


def said_by_the_desk() -> set[str]:
    """Every string in the code of the desk."""
    return {
        node.value
        for path in DESK.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_reasons_are_those_of_the_code_and_each_has_its_words() -> None:
    # That the desk gives no other reason is what mypy proves: its functions return and take a `Reason`.
    assert set(REASONS) <= said_by_the_desk()
    assert wording.REASON_NAMES.keys() == set(REASONS)


def reasons_in_calls() -> set[str]:
    """The literal reasons that the code hands to what writes records: a second look that needs no type checker."""
    found = set()
    for path in DESK.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            place = {"_record": 2, "_reopen": 1, "_resolve": 1, "_dismiss": 1}.get(node.func.attr)
            given = [*node.args[place : place + 1]] if place is not None else []
            given += [each.value for each in node.keywords if each.arg == "reason"]
            found |= {each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


def test_no_reason_that_is_handed_to_a_record_lacks_words() -> None:
    given = reasons_in_calls()
    assert {"weak_witness", "same_cause", "no_new_evidence", "by_person"} <= given
    assert given <= wording.REASON_NAMES.keys()


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_a_chinese_phrase_that_can_stand_alone(reason: str) -> None:
    words = wording.reason_text(reason)
    assert re.fullmatch(r"[\u4e00-\u9fff，、；]{4,40}", words), words
    assert list(wording.REASON_NAMES.values()).count(words) == 1


def test_changes_statuses_severities_and_likenesses_have_their_words_too() -> None:
    assert wording.CHANGE_NAMES.keys() == set(get_args(Change))
    assert wording.STATUS_NAMES.keys() == set(get_args(Status))
    assert wording.SEVERITY_NAMES.keys() == set(get_args(Severity))
    assert wording.LIKENESS_NAMES.keys() == set(get_args(Likeness))
