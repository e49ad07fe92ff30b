"""The tree drawn in errors.py is the tree of the classes."""

from __future__ import annotations

import inspect
import re

import pytest

from qianshao import errors

DRAWN = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>\w+Error)\b")


def drawn_tree() -> dict[str, str | None]:
    """Name of each drawn error with the name of its parent."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (inspect.getdoc(errors) or "").splitlines():
        match = DRAWN.match(line.removeprefix("    "))
        if match is None:
            continue
        depth = len(match["branch"])
        while path and path[-1][0] >= depth:
            path.pop()
        parents[match["name"]] = path[-1][1] if path else None
        path.append((depth, match["name"]))
    return parents


CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
}


def test_every_error_is_drawn_under_its_parent() -> None:
    real = {
        name: value.__mro__[1].__name__ if value is not errors.QianshaoError else None
        for name, value in CLASSES.items()
    }
    assert drawn_tree() == real


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_error_says_in_its_docstring_when_it_is_raised(name: str) -> None:
    assert len((CLASSES[name].__doc__ or "").split()) >= 5


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_wrong_usage_ends_with_exit_code_2_and_every_other_failure_with_1(name: str) -> None:
    assert CLASSES[name].exit_code == (2 if issubclass(CLASSES[name], errors.UsageError) else 1)
