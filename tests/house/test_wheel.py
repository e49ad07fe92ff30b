"""The wheel carries everything that the product reads, and runs outside the clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("qianshao", "models", "detectors", "sinks", "flows", "dashboards", "replay_data")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the working tree stays as it is."""
    source = tmp_path_factory.mktemp("source")
    for name in (".gitignore", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("dist")
    build = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel somewhere else: for a wheel of pure Python that is what installing does."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_from(site: Path, workdir: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a folder of its own, with the unpacked wheel before everything else on the path."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=workdir,
        env={**os.environ, "PYTHONPATH": str(site)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_carries_every_file_of_its_packages(wheel: Path) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_wheel_carries_the_recorded_worlds_and_the_seed_model(unpacked: Path) -> None:
    for world in ("smart_lock", "mixed"):
        names = {path.name for path in (unpacked / "replay_data" / world).iterdir()}
        assert {"events.jsonl.gz", "truth.json", "calendar.csv", "PROVENANCE.md"} <= names
    assert (unpacked / "models" / "seed.npz").stat().st_size > 10_000
    assert (unpacked / "models" / "taxonomy.toml").is_file()


def test_every_package_says_that_it_is_typed_and_the_licence_is_there(unpacked: Path) -> None:
    assert all((unpacked / package / "py.typed").is_file() for package in PACKAGES)
    assert list(unpacked.glob("*.dist-info/licenses/LICENSE"))


def test_the_packages_import_from_the_wheel_outside_the_clone(unpacked: Path, tmp_path: Path) -> None:
    code = "import importlib, sys; print(*(importlib.import_module(name).__file__ for name in sys.argv[1:]), sep='\\n')"
    run = run_from(unpacked, tmp_path, code, *PACKAGES)
    assert run.returncode == 0, run.stderr
    assert all(Path(line).is_relative_to(unpacked) for line in run.stdout.splitlines())


def test_the_dashboards_are_found_outside_the_clone(unpacked: Path, tmp_path: Path) -> None:
    code = """
from dashboards import dashboard_files, folder
from sinks.dashboards import LANGUAGES, generated_files
assert all((folder() / name).read_text("utf-8") == content for name, content in generated_files().items())
print(*(path for language in LANGUAGES for path in dashboard_files(language)), sep="\\n")
"""
    run = run_from(unpacked, tmp_path, code)
    assert run.returncode == 0, run.stderr
    paths = [Path(line) for line in run.stdout.splitlines()]
    assert len(paths) == 10
    assert all(path.is_relative_to(unpacked) for path in paths)


def test_the_wheel_alone_runs_the_demo_outside_the_clone(unpacked: Path, tmp_path: Path) -> None:
    code = "import sys; from qianshao.app.cli import main; sys.exit(main())"
    run = run_from(unpacked, tmp_path, code, "demo", "--no-serve", "--out", "demo")
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text("utf-8"))
    assert summary["incidents_opened"] >= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"], "it writes only where it was told"
