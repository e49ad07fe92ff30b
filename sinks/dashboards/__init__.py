"""Grafana dashboards, alert rules and provisioning files as code; `python -m sinks.dashboards` writes the files."""

from __future__ import annotations

from sinks.dashboards.alerts import ALERT_GROUP, ALERT_INTERVAL_SECONDS, alert_rules
from sinks.dashboards.collection import DASHBOARDS, dashboards, generated_files
from sinks.dashboards.panels import DATASOURCE_UID, PLUGIN, TAG
from sinks.dashboards.words import LANGUAGES, Language

__all__ = [
    "ALERT_GROUP",
    "ALERT_INTERVAL_SECONDS",
    "DASHBOARDS",
    "DATASOURCE_UID",
    "LANGUAGES",
    "PLUGIN",
    "TAG",
    "Language",
    "alert_rules",
    "dashboards",
    "generated_files",
]
