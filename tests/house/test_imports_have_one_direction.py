"""words <- rooms <- flows <- front door: the contracts hold, and nothing stands outside them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]


def test_the_import_contracts_hold() -> None:
    run = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_every_word_of_the_house_is_in_the_layer_contract() -> None:
    layers = next(contract["layers"] for contract in LINTER["contracts"] if contract["type"] == "layers")
    listed = {module.strip() for layer in layers for module in layer.replace("|", ":").split(":")}
    words = {f"qianshao.{path.stem}" for path in (ROOT / "qianshao").glob("*.py") if path.stem != "__init__"}
    rooms = {f"qianshao.{path.parent.name}" for path in (ROOT / "qianshao").glob("*/__init__.py")}
    assert (words | rooms) - listed == set()


def test_nobody_imports_relatively_or_silences_a_checker_wholesale() -> None:
    excuses = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in ("qianshao", "models", "detectors", "sinks", "flows", "replay_data")
        for path in sorted((ROOT / package).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if line.lstrip().startswith("from .") or line.rstrip().endswith(("# type: ignore", "# noqa"))
    ]
    assert excuses == []
