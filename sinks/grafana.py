"""Grafana's HTTP interface as a small port: typed answers, our errors, and a token that no message ever shows."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from qianshao.config import GRAFANA_VARIABLE, Grafana, secret
from qianshao.errors import AccessError, ConfigError, StoreError, UnavailableError

TIMEOUT_SECONDS = 5.0
"""How long one answer may take."""

EXCERPT_CHARACTERS = 200

Document = Mapping[str, Any]
"""A JSON object whose shape is Grafana's own: a dashboard, an alert rule, a data source."""

Answer = TypeVar("Answer")

_NOT_ACCEPTED = frozenset({401, 403})
_NOT_NOW = frozenset({408, 425, 429})


class Folder(msgspec.Struct, kw_only=True):
    """A folder of dashboards."""

    uid: str
    title: str
    version: int = 0


class FoundDashboard(msgspec.Struct, kw_only=True):
    """A dashboard as Grafana holds it."""

    model: dict[str, Any]
    folder_uid: str
    provisioned: bool
    """True when Grafana reads it from a file and refuses every other writer."""


class Annotation(msgspec.Struct, kw_only=True, rename={"start": "time", "end": "timeEnd"}):
    """A region on the time axis of the dashboards, epoch milliseconds."""

    id: int
    start: int
    end: int = 0
    tags: list[str] = []
    text: str = ""


class Hit(msgspec.Struct, kw_only=True):
    """A dashboard that a search found."""

    uid: str
    title: str


class _DashboardMeta(msgspec.Struct, kw_only=True, rename="camel"):
    folder_uid: str = ""
    provisioned: bool = False


class _DashboardAnswer(msgspec.Struct):
    dashboard: dict[str, Any]
    meta: _DashboardMeta


class _Created(msgspec.Struct):
    id: int


class _Health(msgspec.Struct):
    version: str = ""


class _Plugin(msgspec.Struct):
    id: str


class _SourceHealth(msgspec.Struct):
    status: str
    message: str = ""


class GrafanaPort:
    """One connection to one Grafana. Safe to use from one thread at a time.

    Parameters
    ----------
    config
        `[grafana]`; `url` must be set.
    timeout_seconds
        How long one answer may take.

    Raises
    ------
    ConfigError
        If the address is missing or not one, if it holds a password, or if there is no token.
    UnavailableError
        By every method: no answer, no answer in time, an answer cut short, 5xx or 429. Try again later.
    AccessError
        By every method: the token is not valid (401) or lacks the permission that the message names (403).
    StoreError
        By every method: Grafana refuses what we sent, or what answers is not Grafana.
    """

    def __init__(self, config: Grafana, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        if config.url is None:
            raise ConfigError("grafana.url: is not set; name the http:// or https:// address of Grafana")
        parts = urlsplit(config.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError("grafana.url: is not an address; expected such as https://grafana.example:3000")
        if parts.username is not None or parts.password is not None:
            raise ConfigError("grafana.url: holds a user or password; take them out and set grafana.token_file")
        token = secret(GRAFANA_VARIABLE, "grafana.token_file", config.token_file)
        if not token:
            raise ConfigError(
                "grafana.token_file: there is no token; name a file with a service-account token, "
                f"or set {GRAFANA_VARIABLE}"
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigError("grafana.token_file: holds more than a token; write only the token into it, on one line")
        self.url = config.url.rstrip("/")
        self._token = token
        path = parts.path.strip("/")
        make: Callable[..., Any] = GrafanaApi
        self._api = make(
            token,
            host=f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
            port=parts.port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            verify=config.ca_file or True,
            timeout=timeout_seconds,
            user_agent="qianshao",
        )

    def __repr__(self) -> str:
        """Name the address and nothing that is secret."""
        return f"GrafanaPort({self.url!r})"

    def close(self) -> None:
        """Let go of the connections; may be called twice."""
        self._api.client.s.close()

    def fingerprint(self, text: str) -> str:
        """Return a mark by which only a holder of the token can tell whether `text` is still the same."""
        return hmac.new(self._token.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]

    def version(self) -> str:
        """Return the version of Grafana; needs no permission."""
        # The client's own health call reads /frontend/settings, which needs a valid token; /health tells the two apart.
        return self._ask("health", "", _Health, lambda: self._api.client.GET("/health")).version

    def permissions(self) -> dict[str, list[str]] | None:
        """Return what the token may do, scopes by action; None if this Grafana does not tell."""
        return self._find(
            "its permissions",
            "",
            dict[str, list[str]],
            lambda: self._api.client.GET("/access-control/user/permissions"),
        )

    def has_plugin(self, plugin: str) -> bool:
        """Tell whether a plugin is installed."""
        found = self._find(
            f"plugin {plugin}",
            "plugins:read",
            _Plugin,
            lambda: self._api.client.GET(f"/plugins/{_path(plugin)}/settings"),
        )
        return found is not None

    def folder(self, uid: str) -> Folder | None:
        """Return a folder, or None."""
        return self._find(f"folder {uid}", "folders:read", Folder, lambda: self._api.folder.get_folder(_path(uid)))

    def create_folder(self, uid: str, title: str) -> None:
        """Make a folder."""
        self._ask(f"folder {uid}", "folders:create", Folder, lambda: self._api.folder.create_folder(title, uid=uid))

    def rename_folder(self, folder: Folder, title: str) -> None:
        """Give a folder another title, unless somebody changed it meanwhile."""
        self._ask(
            f"folder {folder.uid}",
            "folders:write",
            Folder,
            lambda: self._api.folder.update_folder(_path(folder.uid), title=title, version=folder.version),
        )

    def data_source(self, uid: str) -> dict[str, Any] | None:
        """Return a data source without its secrets, or None."""
        return self._find(
            f"data source {uid}",
            "datasources:read",
            dict[str, Any],
            lambda: self._api.datasource.get_datasource_by_uid(_path(uid)),
        )

    def create_data_source(self, source: Document) -> None:
        """Make a data source."""
        self._ask(
            f"data source {source['uid']}",
            "datasources:create",
            dict[str, Any],
            lambda: self._api.datasource.create_datasource(dict(source)),
        )

    def update_data_source(self, source: Document) -> None:
        """Replace a data source."""
        uid = str(source["uid"])
        self._ask(
            f"data source {uid}",
            "datasources:write",
            dict[str, Any],
            lambda: self._api.datasource.update_datasource_by_uid(_path(uid), dict(source)),
        )

    def data_source_health(self, uid: str) -> str:
        """Return '' if the data source answers, else what it says is wrong."""
        what = f"data source {uid}"
        try:
            health = self._ask(
                what, "datasources:query", _SourceHealth, lambda: self._api.datasource.health(_path(uid))
            )
        except (AccessError, UnavailableError):
            raise
        except StoreError as error:
            # A data source that does not answer is told as a 400 of Grafana's own.
            return str(error)
        return "" if health.status.upper() == "OK" else health.message or health.status

    def dashboard(self, uid: str) -> FoundDashboard | None:
        """Return a dashboard, or None."""
        found = self._find(
            f"dashboard {uid}",
            "dashboards:read",
            _DashboardAnswer,
            lambda: self._api.dashboard.get_dashboard(_path(uid)),
        )
        if found is None:
            return None
        return FoundDashboard(
            model=found.dashboard, folder_uid=found.meta.folder_uid, provisioned=found.meta.provisioned
        )

    def save_dashboard(self, model: Document, folder_uid: str, message: str) -> None:
        """Create a dashboard (`id` None), or replace the version of it that `model` names."""
        permission = "dashboards:create" if model.get("id") is None else "dashboards:write"
        body = {"dashboard": dict(model), "folderUid": folder_uid, "message": message, "overwrite": False}
        self._ask(
            f"dashboard {model['uid']}",
            permission,
            dict[str, Any],
            lambda: self._api.dashboard.update_dashboard(body),
        )

    def tagged_dashboards(self, folder_uid: str, tag: str) -> list[Hit]:
        """Return the dashboards with a tag in one folder."""
        return self._ask(
            "the list of dashboards",
            "dashboards:read",
            list[Hit],
            lambda: self._api.search.search_dashboards(tag=tag, folder_uids=folder_uid, type_="dash-db", limit=5000),
        )

    def alert_rule(self, uid: str) -> dict[str, Any] | None:
        """Return an alert rule, or None."""
        return self._find(
            f"alert rule {uid}",
            "alert.provisioning:read",
            dict[str, Any],
            lambda: self._api.alertingprovisioning.get_alertrule(_path(uid)),
        )

    def alert_rules(self) -> list[dict[str, Any]]:
        """Return every alert rule."""
        return self._ask(
            "the list of alert rules",
            "alert.provisioning:read",
            list[dict[str, Any]],
            lambda: self._api.alertingprovisioning.get_alertrules_all(),
        )

    def create_alert_rule(self, rule: Document) -> None:
        """Make an alert rule that people may edit."""
        self._ask(
            f"alert rule {rule['uid']}",
            "alert.provisioning:write",
            dict[str, Any],
            lambda: self._api.alertingprovisioning.create_alertrule(dict(rule), disable_provenance=True),
        )

    def update_alert_rule(self, rule: Document) -> None:
        """Replace an alert rule; people may go on editing it."""
        uid = str(rule["uid"])
        self._ask(
            f"alert rule {uid}",
            "alert.provisioning:write",
            dict[str, Any],
            lambda: self._api.alertingprovisioning.update_alertrule(_path(uid), dict(rule), disable_provenance=True),
        )

    def annotations(self, tags: Sequence[str]) -> list[Annotation]:
        """Return the annotations that carry all of `tags`, oldest id first."""
        # The client's own call joins the query by hand: a tag with & or a space would be another query.
        params = [("type", "annotation"), ("matchAny", "false"), ("limit", "100"), *(("tags", tag) for tag in tags)]
        found = self._ask(
            "the list of annotations",
            "annotations:read",
            list[Annotation],
            lambda: self._api.client.GET("/annotations", params=params),
        )
        return sorted(found, key=lambda annotation: annotation.id)

    def create_annotation(self, start: int, end: int, tags: Sequence[str], text: str) -> int:
        """Make a region that every dashboard may show, and return its id."""
        body = {"time": start, "timeEnd": end, "tags": list(tags), "text": text}
        return self._ask(
            "an annotation",
            "annotations:create",
            _Created,
            # The client's own call sends "panelId": null with it, which is no integer.
            lambda: self._api.client.POST("/annotations", json=body),
        ).id

    def update_annotation(self, annotation: Annotation) -> bool:
        """Replace times, tags and text of an annotation; False if it is not there any more."""
        found = self._find(
            f"annotation {annotation.id}",
            "annotations:write",
            dict[str, Any],
            # All four together: the client sends null or [] for what is left out, and [] takes the tags away.
            lambda: self._api.annotations.partial_update_annotation(
                annotation.id,
                time_from=annotation.start,
                time_to=annotation.end,
                tags=annotation.tags,
                text=annotation.text,
            ),
        )
        return found is not None

    def delete_annotation(self, annotation_id: int) -> None:
        """Take an annotation away; one that is gone already is no error."""
        self._find(
            f"annotation {annotation_id}",
            "annotations:delete",
            dict[str, Any],
            lambda: self._api.annotations.delete_annotations_by_id(annotation_id),
        )

    def _find(self, what: str, permission: str, shape: type[Answer], call: Callable[[], object]) -> Answer | None:
        try:
            return self._ask(what, permission, shape, call)
        except _AbsentError:
            return None

    def _ask(self, what: str, permission: str, shape: type[Answer], call: Callable[[], object]) -> Answer:
        try:
            answer = call()
        except GrafanaClientError as error:
            raise self._refusal(what, permission, error.status_code, error.response) from None
        except GrafanaException as error:
            raise UnavailableError(
                f"Grafana {self.url}: {what}: {self._clean(error.message)}; it is tried again when it answers"
            ) from None
        except (OSError, ValueError) as error:
            # The HTTP library's own errors are of OSError, a body cut short is a ValueError.
            raise UnavailableError(
                f"Grafana {self.url}: {what}: no answer ({self._clean(error)}); "
                "check grafana.url, the network and that Grafana is running"
            ) from None
        try:
            return msgspec.convert(answer, shape)
        except msgspec.ValidationError as error:
            raise StoreError(
                f"Grafana {self.url}: {what}: what answers is not Grafana's interface ({error}); check grafana.url"
            ) from None

    def _refusal(self, what: str, permission: str, status: int, response: object) -> StoreError:
        said = self._clean(response.get("message", response) if isinstance(response, dict) else response)
        where = f"Grafana {self.url}: {what}"
        if status == 401:
            return AccessError(
                f"{where}: the token is not valid (401); make a new one for the service account and put it into "
                f"grafana.token_file or {GRAFANA_VARIABLE}"
            )
        if status == 403:
            return AccessError(
                f"{where}: the token lacks permission {permission or '(not named)'} (403: {said}); "
                "give it to the service account, or make that an Admin"
            )
        if status in _NOT_NOW:
            return UnavailableError(f"{where}: not now ({status}: {said}); it is tried again later")
        if status == 404:
            return _AbsentError(f"{where}: is not there (404: {said}); check grafana.url")
        if status in (409, 412):
            return StoreError(
                f"{where}: somebody else changed it or took its name ({status}: {said}); look at it in Grafana, "
                "then push again"
            )
        return StoreError(f"{where}: refused ({status}: {said})")

    def _clean(self, said: object) -> str:
        text = re.sub(r"\s+", " ", str(said)).replace(self._token, "***").strip()
        return text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…"


class _AbsentError(StoreError):
    """What was asked for is not there; ends inside this module."""


def _path(part: str) -> str:
    return quote(part, safe="")
