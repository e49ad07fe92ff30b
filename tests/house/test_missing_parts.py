"""A missing part skips a test, unless the run says that it must be there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.mark.parametrize(
    ("required", "outcome"),
    [("", "1 skipped"), ("browser", "1 error"), ("other, browser", "1 error"), ("brows", "1 skipped")],
)
def test_a_required_part_that_is_missing_fails_instead_of_being_skipped(
    tmp_path: Path, required: str, outcome: str
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text("utf-8"), "utf-8")
    (tmp_path / "test_page.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef page(require):\n"
        "    require('browser', False, 'chromium is not here')\n\n"
        "def test_page(page):\n    pass\n",
        "utf-8",
    )
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-rsE",
            ".",
        ],
        cwd=tmp_path,
        env={**os.environ, "QIANSHAO_REQUIRE": required, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in run.stdout
    assert "chromium is not here" in run.stdout
