"""The top-level names that the wheel installs belong to no other distribution, and what they import is declared."""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OWNERS = packages_distributions()


def imports_of(path: Path) -> set[str]:
    """Top-level names that one source file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module.split(".")[0])
    return names


SOURCES = {path: imports_of(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def test_the_wheel_installs_exactly_the_rooms_the_dashboards_and_the_recorded_worlds() -> None:
    assert sorted(PACKAGES) == ["dashboards", "detectors", "flows", "models", "qianshao", "replay_data", "sinks"]


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_installed_distribution_owns_the_name(name: str) -> None:
    assert set(OWNERS.get(name, [])) <= {"qianshao"}


@pytest.mark.parametrize("name", PACKAGES)
def test_the_name_imports_this_tree(name: str) -> None:
    origin = importlib.import_module(name).__file__
    assert origin is not None
    assert Path(origin).resolve().parent == ROOT / name


def test_every_library_that_the_product_imports_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
    undeclared = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path, names in SOURCES.items()
        for name in names - set(PACKAGES) - sys.stdlib_module_names
        if not {canonicalize_name(owner) for owner in OWNERS.get(name, [name])} & declared
    }
    assert undeclared == set()


@pytest.mark.parametrize(
    "library",
    [
        "bytewax",
        "confluent_kafka",
        "chdb",
        "clickhouse_connect",
        "grafana_client",
        "jieba",
        "rjieba",
        "sklearn",
        "river",
    ],
)
def test_a_library_enters_through_at_most_two_files(library: str) -> None:
    doors = [str(path.relative_to(ROOT)) for path, names in SOURCES.items() if library in names]
    assert len(doors) <= 2, doors
