"""The locks are exact, hashed, complete, of one mind, and name no place to fetch from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements-build.lock", "requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RUNTIME: list[str] = PROJECT["project"]["dependencies"]
DEV: list[str] = PROJECT["project"]["optional-dependencies"]["dev"]
BUILD: list[str] = PROJECT["dependency-groups"]["build"]


def entries(name: str) -> list[tuple[Requirement, list[str]]]:
    """Each locked requirement with its hashes."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(Requirement(line.split("--hash=")[0].strip()), re.findall(r"--hash=(\S+)", line)) for line in lines]


def versions(name: str) -> dict[str, set[str]]:
    """Locked versions by name; more than one only where Python's version decides."""
    found: dict[str, set[str]] = {}
    for requirement, _ in entries(name):
        found.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier).removeprefix("=="))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_is_exact_and_hashed(lock: str) -> None:
    assert len(entries(lock)) > 3
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), str(requirement)
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), str(requirement)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_fetch_from(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"://|@ |--index|--extra-index|--find-links|--trusted-host|\.(org|com|io|net|cn)\b", text)


@pytest.mark.parametrize(
    ("lock", "wanted"), [(LOCKS[0], BUILD), (LOCKS[1], RUNTIME), (LOCKS[2], [*RUNTIME, *DEV])], ids=LOCKS
)
def test_a_lock_satisfies_what_pyproject_asks_for(lock: str, wanted: list[str]) -> None:
    locked = versions(lock)
    for requirement in map(Requirement, wanted):
        found = locked.get(canonicalize_name(requirement.name), set())
        assert found, f"{requirement.name} is not locked: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in found), f"{requirement}: locked {found}"


def test_the_locks_agree_with_one_another() -> None:
    build, runtime, dev = map(versions, LOCKS)
    assert {name: dev[name] for name in runtime} == runtime
    assert all(other[name] == build[name] for other in (runtime, dev) for name in other.keys() & build.keys())


def test_every_dependency_has_an_upper_bound() -> None:
    # tzdata is data in calendar versions: an upper bound would only make it stale.
    unbounded = [text for text in (*RUNTIME, *DEV, *BUILD) if "<" not in text and Requirement(text).name != "tzdata"]
    assert unbounded == []
