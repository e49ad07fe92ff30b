"""What Grafana should hold: folder, data source, dashboards and alert rules, planned, shown as a diff, then written."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec

from qianshao.config import CLICKHOUSE_READER_VARIABLE, Config, secret
from qianshao.errors import ConfigError, QianshaoError, StoreError
from qianshao.examined import Examined
from sinks.dashboards import ALERT_GROUP, DATASOURCE_UID, PLUGIN, TAG
from sinks.dashboards.provisioning import FOLDER_UID
from sinks.grafana import Document, GrafanaPort

OLDEST_VERSION = (10, 0)

PERMISSIONS = (
    "folders:read",
    "folders:create",
    "folders:write",
    "datasources:read",
    "datasources:create",
    "datasources:write",
    "datasources:query",
    "dashboards:read",
    "dashboards:create",
    "dashboards:write",
    "alert.provisioning:read",
    "alert.provisioning:write",
    "annotations:read",
    "annotations:create",
    "annotations:write",
    "annotations:delete",
)
"""What the token must be allowed to do; an Admin's is allowed all of it."""

Action = Literal["created", "updated", "unchanged", "removed"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a push does to one thing in Grafana."""

    what: Literal["folder", "data source", "dashboard", "alert rule"]
    uid: str
    title: str
    action: Action
    """`removed` = our code no longer has it; it is left alone in Grafana, and a person decides."""
    diff: str
    """Unified diff of normalised JSON, Grafana's before, ours after; '' where nothing is to be written."""


@dataclass(frozen=True, slots=True)
class _Step:
    change: Change
    apply: Callable[[], None] | None = None


def push_dashboards(
    config: Config,
    dashboards: Sequence[Document],
    alert_rules: Sequence[Document],
    *,
    dry_run: bool = False,
) -> list[Change]:
    """Make Grafana hold our folder, data source, dashboards and alert rules; what is right already is not written.

    Everything is read and compared before anything is written, so that a uid that belongs to somebody else is refused
    while nothing has changed. Only what our JSON says is compared: what Grafana adds, or a person added beside it, is
    neither a difference nor kept when the whole is written again.

    Parameters
    ----------
    config
        `[grafana]`, and the database of `[clickhouse]` for the data source.
    dashboards
        Dashboard models, each with `uid`, `title` and the tag `qianshao`.
    alert_rules
        Rules of the provisioning interface, each with `uid` and `title`; folder and group are set here.
    dry_run
        Only say what would be done.

    Returns
    -------
    list[Change]
        In the order of writing: folder, data source, dashboards, alert rules.

    Raises
    ------
    ConfigError
        If `[grafana]` names no address or no token, or a secret's file cannot be read.
    UnavailableError, AccessError, StoreError
        As `GrafanaPort`; StoreError also for a uid that is somebody else's. What was written before stays written, and
        the next push goes on from there.
    """
    port = GrafanaPort(config.grafana)
    try:
        steps = _plan(port, config, dashboards, alert_rules)
        for step in steps:
            if step.apply is not None and not dry_run:
                step.apply()
        return [step.change for step in steps]
    finally:
        port.close()


def examine(
    config: Config, dashboards: Sequence[Document] = (), alert_rules: Sequence[Document] = ()
) -> list[Examined]:
    """Look at every part of Grafana that we need, without changing any; never raises.

    Parameters
    ----------
    config
        As for `push_dashboards`.
    dashboards, alert_rules
        What should be there; without them that part is not looked at.
    """
    if config.grafana.url is None:
        return [_examined("Grafana", None, "not configured; set grafana.url to have dashboards and annotations")]
    try:
        port = GrafanaPort(config.grafana)
    except QianshaoError as error:
        return [_examined("Grafana", False, str(error))]
    try:
        return _examine(port, config, dashboards, alert_rules)
    finally:
        port.close()


def _examine(
    port: GrafanaPort, config: Config, dashboards: Sequence[Document], alert_rules: Sequence[Document]
) -> list[Examined]:
    def look(part: str, ask: Callable[[], tuple[bool | None, str]]) -> Examined:
        try:
            return _examined(part, *ask())
        except QianshaoError as error:
            return _examined(part, False, str(error))

    found = [look("Grafana", lambda: _version(port))]
    if found[0].ok is False:
        return found
    found.append(look("Grafana token", lambda: _permissions(port)))
    if found[-1].ok is False and "(401)" in found[-1].detail:
        return found
    found.append(look("Grafana folder", lambda: _folder_state(port, config)))
    found.append(look("Grafana plugin", lambda: _plugin(port)))
    source = look("Grafana data source", lambda: _source_state(port))
    found.append(source)
    if dashboards or alert_rules:
        found.append(look("Grafana dashboards", lambda: _current(port, config, dashboards, alert_rules)))
    return found


def _examined(part: str, ok: bool | None, detail: str) -> Examined:
    return Examined(part=part, ok=ok, detail=detail)


def _version(port: GrafanaPort) -> tuple[bool | None, str]:
    version = port.version()
    numbers = tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".")[:2] if part.isdecimal())
    if len(numbers) < 2:
        return None, f"{port.url} answers, but does not tell its version"
    oldest = ".".join(map(str, OLDEST_VERSION))
    if numbers < OLDEST_VERSION:
        return False, f"{port.url} is Grafana {version}; {oldest} or newer is needed"
    return True, f"{port.url} is Grafana {version}"


def _permissions(port: GrafanaPort) -> tuple[bool | None, str]:
    held = port.permissions()
    if held is None:
        return None, "this Grafana does not tell what the token may do"
    missing = [permission for permission in PERMISSIONS if permission not in held]
    if missing:
        return False, (
            f"the token lacks {', '.join(missing)}; give these to its service account, or make that an Admin"
        )
    return True, "the token is valid and may do all that is needed"


def _folder_state(port: GrafanaPort, config: Config) -> tuple[bool | None, str]:
    folder = port.folder(FOLDER_UID)
    if folder is None:
        return False, f"folder {config.grafana.folder} is not there; run `qianshao dashboards push`"
    return True, f"folder {folder.title} is there"


def _plugin(port: GrafanaPort) -> tuple[bool | None, str]:
    if not port.has_plugin(PLUGIN):
        return False, f"plugin {PLUGIN} is not installed; install it in Grafana (grafana cli plugins install)"
    return True, f"plugin {PLUGIN} is installed"


def _source_state(port: GrafanaPort) -> tuple[bool | None, str]:
    if port.data_source(DATASOURCE_UID) is None:
        return False, f"data source {DATASOURCE_UID} is not there; run `qianshao dashboards push`"
    trouble = port.data_source_health(DATASOURCE_UID)
    if trouble:
        return False, (
            f"data source {DATASOURCE_UID} does not answer: {trouble}; check grafana.clickhouse_* as seen from Grafana"
        )
    return True, f"data source {DATASOURCE_UID} answers"


def _current(
    port: GrafanaPort, config: Config, dashboards: Sequence[Document], alert_rules: Sequence[Document]
) -> tuple[bool | None, str]:
    changes = [step.change for step in _plan(port, config, dashboards, alert_rules)]
    stale = [change for change in changes if change.action in ("created", "updated")]
    if stale:
        names = ", ".join(f"{change.what} {change.title}" for change in stale[:5])
        more = f" and {len(stale) - 5} more" if len(stale) > 5 else ""
        return False, f"not as this version has them: {names}{more}; run `qianshao dashboards push`"
    return True, f"{len(dashboards)} dashboards and {len(alert_rules)} alert rules are current"


def _plan(
    port: GrafanaPort, config: Config, dashboards: Sequence[Document], alert_rules: Sequence[Document]
) -> list[_Step]:
    steps = [_plan_folder(port, config), _plan_source(port, config)]
    steps += [_plan_dashboard(port, dashboard) for dashboard in dashboards]
    steps += [_plan_rule(port, rule) for rule in alert_rules]
    if steps[0].change.action != "created":
        steps += _left_over(port, dashboards, alert_rules)
    return steps


def _plan_folder(port: GrafanaPort, config: Config) -> _Step:
    title = config.grafana.folder
    held = port.folder(FOLDER_UID)
    before = {} if held is None else {"title": held.title}
    change = _change("folder", FOLDER_UID, title, None if held is None else before, {"title": title})
    if held is None:
        return _Step(change, partial(port.create_folder, FOLDER_UID, title))
    return _Step(change, partial(port.rename_folder, held, title) if change.action == "updated" else None)


def _plan_source(port: GrafanaPort, config: Config) -> _Step:
    grafana = config.grafana
    password = secret(CLICKHOUSE_READER_VARIABLE, "grafana.clickhouse_password_file", grafana.clickhouse_password_file)
    wanted: dict[str, Any] = {
        "uid": DATASOURCE_UID,
        "name": DATASOURCE_UID,
        "type": PLUGIN,
        "access": "proxy",
        "jsonData": {
            "host": grafana.clickhouse_host,
            "port": grafana.clickhouse_port,
            "protocol": "http",
            "secure": grafana.clickhouse_secure,
            "username": grafana.clickhouse_user,
            "defaultDatabase": config.clickhouse.database,
            # What the plugin sends to the server is this and five seconds more; deploy/clickhouse/users.sql allows ten.
            "queryTimeout": "5",
            # Grafana never gives a password back: this mark tells whether it still is the one that was sent.
            "qianshaoPasswordMark": port.fingerprint(password or ""),
        },
    }
    held = port.data_source(DATASOURCE_UID)
    sent = {**wanted, "secureJsonData": {"password": password or ""}}
    if held is None:
        change = _change("data source", DATASOURCE_UID, DATASOURCE_UID, None, wanted)
        return _Step(change, partial(port.create_data_source, sent))
    if held.get("type") != PLUGIN:
        raise StoreError(
            f"Grafana {port.url}: data source {DATASOURCE_UID} is of type {held.get('type')}, somebody else's; "
            "delete it or give it another uid, then push again"
        )
    if held.get("readOnly"):
        # Provisioned from a file: whoever wrote that file keeps it.
        return _Step(_unchanged("data source", DATASOURCE_UID, str(held.get("name"))))
    change = _change("data source", DATASOURCE_UID, DATASOURCE_UID, held, wanted)
    if change.action == "unchanged":
        return _Step(change)
    kept: dict[str, Any] = {key: held[key] for key in ("isDefault", "version") if key in held}
    return _Step(change, partial(port.update_data_source, {**kept, **sent}))


def _plan_dashboard(port: GrafanaPort, dashboard: Document) -> _Step:
    uid, title = str(dashboard["uid"]), str(dashboard["title"])
    wanted = {key: value for key, value in dashboard.items() if key not in ("id", "version")}
    if TAG not in wanted.get("tags", ()):
        raise ConfigError(f"dashboard {uid}: lacks the tag {TAG!r}, by which it is known as ours; add it")
    held = port.dashboard(uid)
    placed = {"folder": FOLDER_UID, **wanted}
    if held is None:
        return _Step(
            _change("dashboard", uid, title, None, placed),
            partial(port.save_dashboard, {**wanted, "id": None}, FOLDER_UID, "qianshao dashboards push"),
        )
    if TAG not in held.model.get("tags", ()):
        raise StoreError(
            f"Grafana {port.url}: dashboard {uid} ({held.model.get('title')}) has no tag {TAG!r}, so it is somebody "
            f"else's; give it another uid or, if it is ours, the tag, then push again"
        )
    change = _change("dashboard", uid, title, {**held.model, "folder": held.folder_uid}, placed)
    if change.action == "unchanged":
        return _Step(change)
    if held.provisioned:
        raise StoreError(
            f"Grafana {port.url}: dashboard {uid} is provisioned from a file and differs from ours; "
            "renew the file, or take it away and push again"
        )
    model = {**wanted, "id": held.model.get("id"), "version": held.model.get("version")}
    return _Step(change, partial(port.save_dashboard, model, FOLDER_UID, "qianshao dashboards push"))


def _plan_rule(port: GrafanaPort, rule: Document) -> _Step:
    uid, title = str(rule["uid"]), str(rule["title"])
    wanted = {key: value for key, value in rule.items() if key not in ("id", "updated", "provenance")}
    wanted.update(folderUID=FOLDER_UID, ruleGroup=ALERT_GROUP)
    wanted.setdefault("orgID", 1)
    # A token belongs to one organisation, and Grafana writes that one's number whatever we send.
    shown = {key: value for key, value in wanted.items() if key != "orgID"}
    held = port.alert_rule(uid)
    if held is None:
        return _Step(_change("alert rule", uid, title, None, shown), partial(port.create_alert_rule, wanted))
    if held.get("folderUID") != FOLDER_UID:
        raise StoreError(
            f"Grafana {port.url}: alert rule {uid} ({held.get('title')}) is in folder {held.get('folderUID')}, "
            "so it is somebody else's; give it another uid or move it into our folder, then push again"
        )
    change = _change("alert rule", uid, title, held, shown)
    wanted["orgID"] = held.get("orgID", 1)
    return _Step(change, partial(port.update_alert_rule, wanted) if change.action == "updated" else None)


def _left_over(port: GrafanaPort, dashboards: Sequence[Document], alert_rules: Sequence[Document]) -> list[_Step]:
    ours = {str(dashboard["uid"]) for dashboard in dashboards}
    rules = {str(rule["uid"]) for rule in alert_rules}
    left = [
        Change(what="dashboard", uid=hit.uid, title=hit.title, action="removed", diff="")
        for hit in port.tagged_dashboards(FOLDER_UID, TAG)
        if hit.uid not in ours
    ]
    left += [
        Change(what="alert rule", uid=str(rule["uid"]), title=str(rule.get("title")), action="removed", diff="")
        for rule in port.alert_rules()
        if rule.get("folderUID") == FOLDER_UID and rule.get("ruleGroup") == ALERT_GROUP and rule["uid"] not in rules
    ]
    return [_Step(change) for change in left]


What = Literal["folder", "data source", "dashboard", "alert rule"]


def _unchanged(what: What, uid: str, title: str) -> Change:
    return Change(what=what, uid=uid, title=title, action="unchanged", diff="")


def _change(what: What, uid: str, title: str, held: Document | None, wanted: Document) -> Change:
    """Compare what Grafana holds with what we want; `held` None = it is not there."""
    before = None if held is None else _spoken_of(held, wanted)
    after = _spoken_of(wanted, wanted)
    if before == after:
        return _unchanged(what, uid, title)
    lines = difflib.unified_diff(
        [] if before is None else _lines(before), _lines(after), f"Grafana {uid}", f"ours {uid}", lineterm=""
    )
    return Change(
        what=what,
        uid=uid,
        title=title,
        action="created" if before is None else "updated",
        diff="\n".join(lines),
    )


def _spoken_of(value: object, wanted: object) -> object:
    """Reduce a JSON value to the keys that `wanted` speaks of, at every depth; null is the same as absent."""
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return {
            key: _spoken_of(value[key], wanted[key])
            for key in sorted(wanted)
            if wanted[key] is not None and value.get(key) is not None
        }
    if isinstance(value, Sequence) and isinstance(wanted, Sequence) and not isinstance(value, str):
        return [_spoken_of(item, wanted[number] if number < len(wanted) else item) for number, item in enumerate(value)]
    return value


def _lines(value: object) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).splitlines()
