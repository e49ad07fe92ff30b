"""What is in the repository: nothing big, nothing fetched from elsewhere, no names of places to fetch from."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_BYTES = 1_000_000
RECORDED_LIMIT_BYTES = 3_000_000
PLACES = re.compile(
    rb"\b(?:pypi|pythonhosted|npmjs|yarnpkg|crates|rubygems|maven|anaconda|huggingface|jsdelivr|unpkg|cdnjs)\.[a-z]{2,3}\b"
    rb"|\b(?:tuna\.tsinghua|mirrors\.aliyun)\b"
)


def tracked() -> list[Path]:
    """Every tracked file that is in the working tree."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    return [path for name in names if name and (path := ROOT / name.decode()).is_file()]


def test_no_tracked_file_is_bigger_than_a_megabyte() -> None:
    assert {str(path): size for path in tracked() if (size := path.stat().st_size) > LIMIT_BYTES} == {}


def test_the_recorded_worlds_are_small_together() -> None:
    assert (
        sum(path.stat().st_size for path in tracked() if path.is_relative_to(ROOT / "replay_data"))
        <= RECORDED_LIMIT_BYTES
    )


def test_no_tracked_file_names_a_place_to_fetch_from() -> None:
    assert {str(path): match.group() for path in tracked() if (match := PLACES.search(path.read_bytes()))} == {}


def test_no_tracked_file_is_a_pickle_or_a_compiled_thing() -> None:
    foreign = {".pkl", ".pickle", ".joblib", ".pyc", ".so", ".whl", ".ttf", ".woff", ".woff2"}
    assert [str(path) for path in tracked() if path.suffix in foreign or path.name.endswith(".min.js")] == []
