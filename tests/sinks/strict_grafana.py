"""A Grafana that forgives nothing, over real HTTP, for tests.

Written from Grafana's published interface: `public/openapi3.json` ("Grafana HTTP API.", version 0.0.1) and the pages
"Annotations", "Dashboard", "Folder", "Data source" and "Alerting provisioning" of its HTTP API reference.
It is stricter than Grafana where that helps: unknown fields and query parameters are refused, and so are nulls where a
type is named.
"""

from __future__ import annotations

import asyncio
import copy
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Mode = Literal["up", "errors", "busy", "slow", "cut", "page"]

ADMIN = "glsa_admin_0123456789abcdef"
UID = re.compile(r"[a-zA-Z0-9\-_]{1,40}")
PLUGIN = "grafana-clickhouse-datasource"

ADMIN_PERMISSIONS = frozenset(
    {
        *(f"folders:{verb}" for verb in ("read", "create", "write", "delete")),
        *(f"datasources:{verb}" for verb in ("read", "create", "write", "query", "delete")),
        *(f"dashboards:{verb}" for verb in ("read", "create", "write", "delete")),
        *(f"annotations:{verb}" for verb in ("read", "create", "write", "delete")),
        "alert.provisioning:read",
        "alert.provisioning:write",
        "plugins:read",
    }
)

# Field -> type of each body, by the schema's name; what is required stands behind it.
SCHEMAS: dict[str, tuple[dict[str, type], frozenset[str]]] = {
    "CreateFolderCommand": (
        {"uid": str, "title": str, "description": str, "parentUid": str},
        frozenset({"title"}),
    ),
    "UpdateFolderCommand": (
        {"title": str, "description": str, "version": int, "overwrite": bool},
        frozenset(),
    ),
    "AddDataSourceCommand": (
        {
            "access": str,
            "basicAuth": bool,
            "basicAuthUser": str,
            "database": str,
            "isDefault": bool,
            "jsonData": dict,
            "name": str,
            "secureJsonData": dict,
            "type": str,
            "uid": str,
            "url": str,
            "user": str,
            "withCredentials": bool,
        },
        frozenset({"name", "type", "access"}),
    ),
    "SaveDashboardCommand": (
        {
            "dashboard": dict,
            "folderId": int,
            "folderUid": str,
            "isFolder": bool,
            "message": str,
            "overwrite": bool,
            "userId": int,
        },
        frozenset({"dashboard"}),
    ),
    "PostAnnotationsCmd": (
        {
            "dashboardId": int,
            "dashboardUID": str,
            "data": dict,
            "panelId": int,
            "tags": list,
            "text": str,
            "time": int,
            "timeEnd": int,
        },
        frozenset({"text"}),
    ),
    "PatchAnnotationsCmd": (
        {"data": dict, "id": int, "tags": list, "text": str, "time": int, "timeEnd": int},
        frozenset(),
    ),
    "ProvisionedAlertRule": (
        {
            "annotations": dict,
            "condition": str,
            "data": list,
            "execErrState": str,
            "folderUID": str,
            "for": str,
            "id": int,
            "isPaused": bool,
            "labels": dict,
            "noDataState": str,
            "orgID": int,
            "provenance": str,
            "ruleGroup": str,
            "title": str,
            "uid": str,
            "updated": str,
        },
        frozenset(
            {
                "orgID",
                "folderUID",
                "ruleGroup",
                "title",
                "condition",
                "data",
                "noDataState",
                "execErrState",
                "for",
            }
        ),
    ),
    "AlertQuery": (
        {"datasourceUid": str, "model": dict, "queryType": str, "refId": str, "relativeTimeRange": dict},
        frozenset({"refId", "datasourceUid", "model"}),
    ),
}
SCHEMAS["UpdateDataSourceCommand"] = (
    {**SCHEMAS["AddDataSourceCommand"][0], "version": int},
    SCHEMAS["AddDataSourceCommand"][1],
)

DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class RefusalError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str, **more: object) -> None:
        super().__init__(message)
        self.code = code
        self.body = {"message": message, **more}


def checked(schema: str, body: object) -> dict[str, Any]:
    """Return a body if it is what the schema says."""
    if not isinstance(body, dict):
        raise RefusalError(400, f"bad request data: {schema} is an object")
    fields, required = SCHEMAS[schema]
    for name, value in body.items():
        if name not in fields:
            raise RefusalError(400, f"bad request data: {schema} has no field {name}")
        right = isinstance(value, fields[name]) and not (fields[name] is int and isinstance(value, bool))
        if not right:
            raise RefusalError(400, f"bad request data: {schema}.{name} is no {fields[name].__name__}: {value!r}")
    for name in sorted(required - body.keys()):
        raise RefusalError(400, f"bad request data: {schema}.{name} is missing")
    if "tags" in body and not all(isinstance(tag, str) for tag in body["tags"]):
        raise RefusalError(400, f"bad request data: {schema}.tags holds something else than strings")
    return body


def normal_duration(text: str) -> str:
    """Write a duration as the alerting interface gives it back: 90s is 1m30s."""
    match = DURATION.fullmatch(text)
    if match is None or not text:
        raise RefusalError(400, f"not a valid duration string: {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    parts = [(total // 3600, "h"), (total // 60 % 60, "m"), (total % 60, "s")]
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


@dataclass
class StrictGrafana:
    """One organisation of a Grafana, in memory; `mode` says how it misbehaves."""

    version: str = "11.6.0"
    plugins: set[str] = field(default_factory=lambda: {PLUGIN})
    tokens: dict[str, frozenset[str]] = field(default_factory=lambda: {ADMIN: ADMIN_PERMISSIONS})
    source_trouble: str = ""
    mode: Mode = "up"
    delay_seconds: float = 0.5
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    passwords: dict[str, dict[str, str]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    provisioned: set[str] = field(default_factory=set)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path with query of every request, as they came over the wire."""
    last_id: int = 0
    port: int = 0
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address; the same after `stop` and `start`."""
        return f"http://127.0.0.1:{self.port}"

    def writes(self) -> list[tuple[str, str]]:
        """The requests that could change something."""
        return [request for request in self.requests if request[0] != "GET"]

    def start(self) -> None:
        """Listen; on the same port as before."""
        # Named as TCP, so that asyncio sends small answers at once.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        started = threading.Event()

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                started.set()

        config = uvicorn.Config(
            self._application(), log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=0
        )
        self._server = Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        assert started.wait(10), "the strict Grafana did not start"

    def stop(self) -> None:
        """Refuse connections; what is held stays."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
            self._server = self._thread = None

    def reset(self) -> None:
        """Be as new, and listen."""
        new = StrictGrafana(port=self.port, _server=self._server, _thread=self._thread)
        self.__dict__.update(vars(new))
        if self._server is None:
            self.start()

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def _application(self) -> Starlette:
        def route(path: str, method: str, permission: str | None, answer: Answering) -> Route:
            return Route(f"/api{path}", self._guarded(permission, answer), methods=[method])

        rules = "/v1/provisioning/alert-rules"
        return Starlette(
            routes=[
                route("/health", "GET", None, self._health),
                route("/access-control/user/permissions", "GET", "", self._user_permissions),
                route("/plugins/{uid}/settings", "GET", "", self._plugin),
                route("/folders", "POST", "folders:create", self._create_folder),
                route("/folders/{uid}", "GET", "folders:read", self._get_folder),
                route("/folders/{uid}", "PUT", "folders:write", self._update_folder),
                route("/datasources", "POST", "datasources:create", self._create_source),
                route("/datasources/uid/{uid}", "GET", "datasources:read", self._get_source),
                route("/datasources/uid/{uid}", "PUT", "datasources:write", self._update_source),
                route("/datasources/uid/{uid}/health", "GET", "datasources:query", self._source_health),
                route("/dashboards/db", "POST", "", self._save_dashboard),
                route("/dashboards/uid/{uid}", "GET", "dashboards:read", self._get_dashboard),
                route("/search", "GET", "dashboards:read", self._search),
                route(rules, "GET", "alert.provisioning:read", self._get_rules),
                route(rules, "POST", "alert.provisioning:write", self._create_rule),
                route(rules + "/{uid}", "GET", "alert.provisioning:read", self._get_rule),
                route(rules + "/{uid}", "PUT", "alert.provisioning:write", self._update_rule),
                route("/annotations", "GET", "annotations:read", self._get_notes),
                route("/annotations", "POST", "annotations:create", self._create_note),
                route("/annotations/{uid}", "PATCH", "annotations:write", self._patch_note),
                route("/annotations/{uid}", "DELETE", "annotations:delete", self._delete_note),
            ]
        )

    def _guarded(self, permission: str | None, answer: Answering) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            query = request.url.query
            self.requests.append((request.method, request.url.path + (f"?{query}" if query else "")))
            if self.mode == "slow":
                await asyncio.sleep(self.delay_seconds)
            if self.mode == "errors":
                return JSONResponse({"message": "database is locked"}, 500)
            if self.mode == "busy":
                return JSONResponse({"message": "too many requests"}, 429)
            if self.mode == "page":
                return Response("<html>Sign in</html>", media_type="text/html")
            try:
                if permission is not None:
                    self.demand(request, permission)
                body: object = None
                if request.method in ("POST", "PUT", "PATCH"):
                    if request.headers.get("content-type", "").split(";")[0] != "application/json":
                        raise RefusalError(400, "bad request data: not JSON")
                    body = await request.json()
                status, result = answer(request, body)
                response = JSONResponse(result, status)
            except RefusalError as refusal:
                response = JSONResponse(refusal.body, refusal.code)
            return CutShort(response) if self.mode == "cut" else response

        return guarded

    def demand(self, request: Request, permission: str) -> None:
        """Refuse a request whose token is unknown or may not do this; '' asks only for a valid token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            raise RefusalError(401, "Invalid API key", messageId="api-key.invalid", statusCode=401)
        if permission and permission not in self.tokens[token]:
            raise RefusalError(
                403,
                "You'll need additional permissions to perform this action.",
                title="Access denied",
                accessErrorId="ACE0000000001",
            )

    @staticmethod
    def _query(request: Request, *known: str) -> None:
        for name in request.query_params:
            if name not in known:
                raise RefusalError(400, f"unknown query parameter {name!r}")

    def _health(self, request: Request, body: object) -> tuple[int, object]:
        return 200, {"database": "ok", "version": self.version, "commit": "unknown"}

    def _user_permissions(self, request: Request, body: object) -> tuple[int, object]:
        token = request.headers["authorization"].partition(" ")[2]
        return 200, {permission: ["*"] for permission in sorted(self.tokens[token])}

    def _plugin(self, request: Request, body: object) -> tuple[int, object]:
        plugin = request.path_params["uid"]
        if plugin not in self.plugins:
            raise RefusalError(404, "Plugin not found, no installed plugin with that id")
        return 200, {"id": plugin, "type": "datasource", "info": {"version": "4.8.0"}, "enabled": True}

    # Folders

    def _shown_folder(self, folder: dict[str, Any]) -> dict[str, Any]:
        return {**folder, "url": f"/dashboards/f/{folder['uid']}/x", "hasAcl": False, "canSave": True, "orgId": 1}

    def _get_folder(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        if uid not in self.folders:
            raise RefusalError(404, "folder not found", status="not-found")
        return 200, self._shown_folder(self.folders[uid])

    def _create_folder(self, request: Request, body: object) -> tuple[int, object]:
        wanted = checked("CreateFolderCommand", body)
        uid = wanted.get("uid") or f"made-{self.new_id()}"
        if not UID.fullmatch(uid):
            raise RefusalError(400, "uid contains illegal characters or is too long")
        if not wanted["title"].strip():
            raise RefusalError(400, "folder title cannot be empty")
        if uid in self.folders or any(held["title"] == wanted["title"] for held in self.folders.values()):
            raise RefusalError(409, "a folder with the same name or uid already exists", status="name-exists")
        self.folders[uid] = {"id": self.new_id(), "uid": uid, "title": wanted["title"], "version": 1}
        return 200, self._shown_folder(self.folders[uid])

    def _update_folder(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        wanted = checked("UpdateFolderCommand", body)
        if uid not in self.folders:
            raise RefusalError(404, "folder not found", status="not-found")
        folder = self.folders[uid]
        if not wanted.get("overwrite") and wanted.get("version") != folder["version"]:
            raise RefusalError(412, "the folder has been changed by someone else", status="version-mismatch")
        folder.update(title=wanted.get("title", folder["title"]), version=folder["version"] + 1)
        return 200, self._shown_folder(folder)

    # Data sources

    def _get_source(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        if uid not in self.sources:
            raise RefusalError(404, "Data source not found")
        return 200, self.sources[uid]

    def _create_source(self, request: Request, body: object) -> tuple[int, object]:
        wanted = checked("AddDataSourceCommand", body)
        uid = wanted.get("uid") or f"made-{self.new_id()}"
        if not UID.fullmatch(uid):
            raise RefusalError(400, "uid contains illegal characters or is too long")
        if uid in self.sources:
            raise RefusalError(409, "data source with the same uid already exists")
        return 200, self._keep_source(uid, wanted, {"id": self.new_id(), "version": 0, "isDefault": False})

    def _update_source(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        wanted = checked("UpdateDataSourceCommand", body)
        if uid not in self.sources:
            raise RefusalError(404, "Data source not found")
        held = self.sources[uid]
        if held["readOnly"]:
            raise RefusalError(403, "Cannot update read-only data source")
        if wanted.get("version", held["version"]) != held["version"]:
            raise RefusalError(409, "datasource has already been updated by someone else. Please reload and try again")
        return 200, self._keep_source(uid, wanted, held)

    def _keep_source(self, uid: str, wanted: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
        if any(other["name"] == wanted["name"] and other["uid"] != uid for other in self.sources.values()):
            raise RefusalError(409, "data source with the same name already exists")
        if wanted["type"] not in self.plugins:
            raise RefusalError(400, f"plugin {wanted['type']} is not installed")
        if not all(isinstance(value, str) for value in wanted.get("secureJsonData", {}).values()):
            raise RefusalError(400, "bad request data: secureJsonData holds something else than strings")
        kept = {**self.passwords.get(uid, {}), **wanted.get("secureJsonData", {})}
        shown = {key: value for key, value in wanted.items() if key != "secureJsonData"}
        self.passwords[uid] = kept
        self.sources[uid] = {
            "orgId": 1,
            "typeLogoUrl": "",
            "url": "",
            "user": "",
            "database": "",
            "basicAuth": False,
            "readOnly": False,
            **{key: held[key] for key in ("id", "isDefault")},
            **copy.deepcopy(shown),
            "uid": uid,
            "secureJsonFields": {key: True for key, value in kept.items() if value},
            "version": held["version"] + 1,
        }
        source = self.sources[uid]
        return {"datasource": source, "id": source["id"], "name": source["name"], "message": "Datasource saved"}

    def _source_health(self, request: Request, body: object) -> tuple[int, object]:
        if request.path_params["uid"] not in self.sources:
            raise RefusalError(404, "Data source not found")
        if self.source_trouble:
            raise RefusalError(400, self.source_trouble, status="ERROR")
        return 200, {"status": "OK", "message": "Data source is working"}

    # Dashboards

    def _get_dashboard(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        if uid not in self.dashboards:
            raise RefusalError(404, "Dashboard not found")
        held = self.dashboards[uid]
        meta = {
            "folderUid": held["folder"],
            "folderTitle": "",
            "provisioned": uid in self.provisioned,
            "slug": "x",
            "url": f"/d/{uid}/x",
            "version": held["model"]["version"],
            "isStarred": False,
        }
        return 200, {"dashboard": held["model"], "meta": meta}

    def _save_dashboard(self, request: Request, body: object) -> tuple[int, object]:
        wanted = checked("SaveDashboardCommand", body)
        model = copy.deepcopy(wanted["dashboard"])
        uid = model.get("uid") or f"made-{self.new_id()}"
        folder = wanted.get("folderUid", "")
        held = self.dashboards.get(uid)
        self.demand(request, "dashboards:create" if held is None else "dashboards:write")
        if not UID.fullmatch(uid):
            raise RefusalError(400, "uid contains illegal characters or is too long")
        if not str(model.get("title", "")).strip():
            raise RefusalError(400, "Dashboard title cannot be empty")
        if folder and folder not in self.folders:
            raise RefusalError(400, "folder not found")
        if uid in self.provisioned:
            raise RefusalError(400, "Cannot save provisioned dashboard")
        if held is None and model.get("id") is not None:
            raise RefusalError(404, "Dashboard not found", status="not-found")
        if held is not None and not wanted.get("overwrite"):
            if model.get("id") is None:
                message = "A dashboard with the same uid already exists"
                raise RefusalError(412, message, status="name-exists")
            if model.get("version") != held["model"]["version"]:
                message = "The dashboard has been changed by someone else"
                raise RefusalError(412, message, status="version-mismatch")
        before = None if held is None else held["model"]
        model.update(
            id=self.new_id() if before is None else before["id"],
            uid=uid,
            version=1 if before is None else before["version"] + 1,
        )
        # As newer versions do when they read an older schema, something is added below the top.
        for panel in model.get("panels", []):
            panel.setdefault("pluginVersion", self.version)
        self.dashboards[uid] = {"model": model, "folder": folder}
        return 200, {
            "id": model["id"],
            "uid": uid,
            "url": f"/d/{uid}/x",
            "slug": "x",
            "status": "success",
            "version": model["version"],
            "folderUid": folder,
        }

    def _search(self, request: Request, body: object) -> tuple[int, object]:
        self._query(request, "tag", "folderUIDs", "type", "limit", "query", "page")
        tags, folders = request.query_params.getlist("tag"), request.query_params.getlist("folderUIDs")
        return 200, [
            {
                "id": held["model"]["id"],
                "uid": uid,
                "title": held["model"]["title"],
                "type": "dash-db",
                "isStarred": False,
            }
            for uid, held in self.dashboards.items()
            if set(tags) <= set(held["model"].get("tags", [])) and (not folders or held["folder"] in folders)
        ]

    # Alert rules

    def _get_rules(self, request: Request, body: object) -> tuple[int, object]:
        return 200, list(self.rules.values())

    def _get_rule(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        if uid not in self.rules:
            raise RefusalError(404, "")
        return 200, self.rules[uid]

    def _create_rule(self, request: Request, body: object) -> tuple[int, object]:
        wanted = checked("ProvisionedAlertRule", body)
        uid = wanted.get("uid") or f"made-{self.new_id()}"
        if uid in self.rules:
            raise RefusalError(409, "a conflicting alert rule is found: rule uid under the same organisation is taken")
        return 201, self._keep_rule(request, uid, wanted)

    def _update_rule(self, request: Request, body: object) -> tuple[int, object]:
        uid = request.path_params["uid"]
        wanted = checked("ProvisionedAlertRule", body)
        if uid not in self.rules:
            raise RefusalError(404, "")
        provenance = "" if request.headers.get("x-disable-provenance") else "api"
        if self.rules[uid]["provenance"] != provenance:
            raise RefusalError(409, "cannot change provenance of the rule")
        return 200, self._keep_rule(request, uid, wanted)

    def _keep_rule(self, request: Request, uid: str, wanted: dict[str, Any]) -> dict[str, Any]:
        if not UID.fullmatch(uid) or not 1 <= len(wanted["title"]) <= 190 or not 1 <= len(wanted["ruleGroup"]) <= 190:
            raise RefusalError(400, "invalid alert rule: uid, title or ruleGroup")
        if wanted["folderUID"] not in self.folders:
            raise RefusalError(400, "invalid alert rule: folder does not exist")
        if wanted["noDataState"] not in ("Alerting", "NoData", "OK"):
            raise RefusalError(400, f"unknown no data state {wanted['noDataState']}")
        if wanted["execErrState"] not in ("OK", "Alerting", "Error"):
            raise RefusalError(400, f"unknown execution error state {wanted['execErrState']}")
        queries = [checked("AlertQuery", query) for query in wanted["data"]]
        if wanted["condition"] not in {query["refId"] for query in queries}:
            raise RefusalError(400, f"invalid alert rule: condition {wanted['condition']} does not exist")
        for query in queries:
            if query["datasourceUid"] not in ("__expr__", *self.sources):
                raise RefusalError(400, f"invalid alert rule: data source {query['datasourceUid']} does not exist")
        for other, rule in self.rules.items():
            if other != uid and (rule["folderUID"], rule["title"]) == (wanted["folderUID"], wanted["title"]):
                raise RefusalError(409, "a conflicting alert rule is found: title is taken in this folder")
        kept = copy.deepcopy(wanted)
        for query in kept["data"]:
            query["model"].setdefault("intervalMs", 1000)
            query["model"].setdefault("maxDataPoints", 43200)
        kept.update(
            {
                "id": self.rules.get(uid, {}).get("id") or self.new_id(),
                "uid": uid,
                "orgID": 1,
                "for": normal_duration(wanted["for"]),
                "updated": "2026-01-01T00:00:00Z",
                "provenance": "" if request.headers.get("x-disable-provenance") else "api",
            }
        )
        self.rules[uid] = kept
        return kept

    # Annotations

    def _get_notes(self, request: Request, body: object) -> tuple[int, object]:
        self._query(request, "from", "to", "limit", "tags", "type", "matchAny", "dashboardUID", "panelId", "userId")
        limit = int(request.query_params.get("limit", "100"))
        tags = set(request.query_params.getlist("tags"))
        if request.query_params.get("type", "annotation") not in ("annotation", "alert"):
            raise RefusalError(400, "unknown type")
        any_of = request.query_params.get("matchAny", "false") == "true"
        found = [
            note
            for note in self.notes.values()
            if not tags or (tags & set(note["tags"]) if any_of else tags <= set(note["tags"]))
        ]
        found.sort(key=lambda note: (note["timeEnd"], note["id"]), reverse=True)
        return 200, found[:limit]

    def _create_note(self, request: Request, body: object) -> tuple[int, object]:
        wanted = checked("PostAnnotationsCmd", body)
        if not wanted["text"]:
            raise RefusalError(400, "Failed to save annotation: text field should not be empty")
        start, end = wanted.get("time", 0), wanted.get("timeEnd", 0)
        if end and end < start:
            start, end = end, start
        note = {
            "id": self.new_id(),
            "alertId": 0,
            "dashboardUID": wanted.get("dashboardUID"),
            "panelId": wanted.get("panelId", 0),
            "userId": 1,
            "newState": "",
            "prevState": "",
            "time": start,
            "timeEnd": end or start,
            "text": wanted["text"],
            "tags": list(dict.fromkeys(wanted.get("tags", []))),
            "data": {},
        }
        self.notes[note["id"]] = note
        return 200, {"id": note["id"], "message": "Annotation added"}

    def _note(self, request: Request) -> dict[str, Any]:
        number = request.path_params["uid"]
        if not number.isdecimal():
            raise RefusalError(400, "annotationId is invalid")
        if int(number) not in self.notes:
            raise RefusalError(404, "Could not find annotation to update")
        return self.notes[int(number)]

    def _patch_note(self, request: Request, body: object) -> tuple[int, object]:
        note = self._note(request)
        wanted = checked("PatchAnnotationsCmd", body)
        if wanted.get("text"):
            note["text"] = wanted["text"]
        if "tags" in wanted:
            note["tags"] = list(wanted["tags"])
        for name in ("time", "timeEnd"):
            if wanted.get(name, 0) > 0:
                note[name] = wanted[name]
        return 200, {"message": "Annotation patched"}

    def _delete_note(self, request: Request, body: object) -> tuple[int, object]:
        del self.notes[self._note(request)["id"]]
        return 200, {"message": "Annotation deleted"}


Answering = Callable[[Request, object], tuple[int, object]]


class CutShort(Response):
    """The work is done, but the connection breaks in the middle of the answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code, media_type="application/json")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Promise the whole body, send half of it and break off."""
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
