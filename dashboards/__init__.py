"""What Grafana shows: dashboards and provisioning files, generated from code and shipped in the wheel."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal


def folder() -> Path:
    """Return the folder of everything that Grafana reads: `zh/`, `en/` and `provisioning/`."""
    return Path(str(files("dashboards")))


def dashboard_files(language: Literal["zh", "en"]) -> list[Path]:
    """Return the dashboard files of one language, in order of name.

    >>> [path.name for path in dashboard_files("zh")][:1]
    ['qianshao-devices.json']
    """
    return sorted((folder() / language).glob("*.json"))
