"""`make` finds a Python or says which is missing, installs only from the locks, and does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAMPED_FROM = ("pyproject.toml", "requirements-build.lock", "requirements.lock", "requirements-dev.lock")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name has a space, with the Makefile and what it installs from, but no sources."""
    folder = tmp_path / "a 空 folder"
    folder.mkdir()
    for name in ("Makefile", *STAMPED_FROM):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    if path is not None:
        environment["PATH"] = path
    program = shutil.which("make")
    assert program is not None
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def interpreter(folder: Path, name: str, script: str) -> Path:
    """A stand-in for a Python interpreter."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def test_without_any_python_it_says_which_is_needed_and_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    run = make(folder, "demo", path=str(empty))
    assert run.returncode == 2
    assert "Python 3.11 or 3.12 is needed" in run.stderr
    assert "apt-get install" in run.stderr
    assert not (folder / ".venv").exists()


def test_a_python_of_another_version_is_not_taken(folder: Path, tmp_path: Path) -> None:
    other = interpreter(tmp_path, "python3", 'case "$2" in *version_info*) exit 1;; *) exit 0;; esac')
    run = make(folder, "demo", f"PYTHON={other}")
    assert run.returncode == 2
    assert f"{other} is neither" in run.stderr


def test_a_python_without_its_venv_module_is_named_with_the_package_that_brings_it(
    folder: Path, tmp_path: Path
) -> None:
    bare = interpreter(tmp_path, "python3", 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.11;; *) exit 0;; esac')
    run = make(folder, "demo", f"PYTHON={bare}")
    assert run.returncode == 2
    assert "python3.11-venv" in run.stderr


def test_nothing_is_installed_past_the_hashes(folder: Path) -> None:
    plan = make(folder, "--dry-run", "pytest").stdout
    installs = [line for line in plan.splitlines() if " pip " in line]
    assert len(installs) == 4
    for line in installs:
        locked = "--require-hashes -r requirements" in line
        itself = "--no-deps --no-build-isolation --editable ." in line
        assert locked or itself, line
        assert "index" not in line


@pytest.mark.parametrize("changed", ["requirements.lock", "requirements-dev.lock"])
def test_a_second_call_installs_nothing_and_a_changed_lock_installs_again(folder: Path, changed: str) -> None:
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    for age, name in enumerate((".runtime", ".dev")):
        stamp = folder / ".venv" / name
        stamp.touch()
        newer = (folder / "requirements.lock").stat().st_mtime + 1_000 + age
        os.utime(stamp, (newer, newer))
    for name in STAMPED_FROM:
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    os.utime(binaries / "python", (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    assert " pip " not in make(folder, "--dry-run", "pytest").stdout
    os.utime(folder / changed, (4_000_000_000, 4_000_000_000))
    assert f"-r {changed}" in make(folder, "--dry-run", "pytest").stdout


def test_help_lists_every_target_that_a_person_would_call(folder: Path) -> None:
    run = make(folder, "help")
    targets = "demo test check test-slow bench kafka schemas dashboards wheel lock clean"
    for target in targets.split():
        assert f"make {target} " in run.stdout
