"""All dashboards, and every file that is generated from them."""

from __future__ import annotations

import json

from sinks.dashboards.devices import DEVICES
from sinks.dashboards.incidents import INCIDENTS
from sinks.dashboards.panels import Dashboard, Json, dashboard_json
from sinks.dashboards.pipeline import PIPELINE
from sinks.dashboards.product import TRENDS
from sinks.dashboards.provisioning import provisioning_files
from sinks.dashboards.service import SERVICE
from sinks.dashboards.words import LANGUAGES, Language

DASHBOARDS: tuple[Dashboard, ...] = (SERVICE, INCIDENTS, DEVICES, TRENDS, PIPELINE)


def dashboards(language: Language) -> list[Json]:
    """Return every dashboard as Grafana reads it, always the same: `uid` is stable, `id` is null."""
    return [dashboard_json(each, language, DASHBOARDS) for each in DASHBOARDS]


def generated_files() -> dict[str, str]:
    """Return the content of every generated file by its path below `dashboards/`."""
    files = {
        f"{language}/{each['uid']}.json": json.dumps(each, ensure_ascii=False, indent=2) + "\n"
        for language in LANGUAGES
        for each in dashboards(language)
    }
    return files | provisioning_files()
