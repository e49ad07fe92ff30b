"""Grafana's provisioning files: the data source, where the dashboards lie, and the alert rules."""

from __future__ import annotations

import json

from sinks.dashboards.alerts import ALERT_GROUP, ALERT_INTERVAL_SECONDS, alert_rules
from sinks.dashboards.panels import DATASOURCE_UID, PLUGIN, Json
from sinks.dashboards.words import LANGUAGES

_HEAD = "# Made by `python -m sinks.dashboards`; change the code, not this file.\n"
FOLDER = "前哨 Qianshao"
FOLDER_UID = "qianshao"

# Grafana puts environment variables in where a file says $NAME or ${NAME}; `$$` is one dollar sign.
_DATASOURCE: Json = {
    "apiVersion": 1,
    "datasources": [
        {
            "name": DATASOURCE_UID,
            "uid": DATASOURCE_UID,
            "type": PLUGIN,
            "access": "proxy",
            "isDefault": False,
            "editable": False,
            "jsonData": {
                "host": "$QIANSHAO_CLICKHOUSE_HOST",
                "port": "$QIANSHAO_CLICKHOUSE_PORT",
                "protocol": "http",
                "secure": False,
                "username": "$QIANSHAO_CLICKHOUSE_READER",
                "defaultDatabase": "$QIANSHAO_CLICKHOUSE_DATABASE",
                # Seconds, as text. The plugin asks the server for a little more: a reader may have ten.
                "queryTimeout": "5",
            },
            "secureJsonData": {"password": "$QIANSHAO_CLICKHOUSE_READER_PASSWORD"},
        }
    ],
}
_DASHBOARDS: Json = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "qianshao",
            "orgId": 1,
            "folder": FOLDER,
            "folderUid": FOLDER_UID,
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 60,
            "options": {"path": "$QIANSHAO_DASHBOARDS"},
        }
    ],
}


def provisioning_files() -> dict[str, str]:
    """Return the provisioning files by path below `dashboards/`; alert rules stand in one file per language."""
    files = {
        "provisioning/datasources/qianshao.yaml": _DATASOURCE,
        "provisioning/dashboards/qianshao.yaml": _DASHBOARDS,
    }
    for language in LANGUAGES:
        group: Json = {
            "orgId": 1,
            "name": ALERT_GROUP,
            "folder": FOLDER,
            "interval": f"{ALERT_INTERVAL_SECONDS}s",
            "rules": [
                # In these files `$` names an environment variable, in a rule a measured value.
                json.loads(json.dumps(rule, ensure_ascii=False).replace("$", "$$"))
                for rule in alert_rules(language)
            ],
        }
        files[f"{language}/alerting/qianshao.yaml"] = {"apiVersion": 1, "groups": [group]}
    return {path: _HEAD + _yaml(document) for path, document in files.items()}


def _yaml(value: object, indent: int = 0) -> str:
    """Write maps and lists as YAML blocks and every scalar as JSON, which YAML reads alike."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        parts = []
        for key, each in value.items():
            nested = isinstance(each, (dict, list)) and each
            parts.append(f"{pad}{key}:" + (f"\n{_yaml(each, indent + 1)}" if nested else f" {_yaml(each)}\n"))
        return "".join(parts)
    if isinstance(value, list) and value:
        return "".join(f"{pad}- {_yaml(each, indent + 1).lstrip()}" for each in value)
    text = json.dumps(value, ensure_ascii=False)
    return text if not indent else f"{pad}{text}\n"
