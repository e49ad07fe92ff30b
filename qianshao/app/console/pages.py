"""The page over HTTP: routes, headers, and the check of the Host header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qianshao import clock
from qianshao.app import wording
from qianshao.app.card import Lead, build_card
from qianshao.app.console.headline import headline
from qianshao.app.console.scene import Scene
from qianshao.app.console.view import asof, incident_page, overview
from qianshao.errors import QianshaoError
from qianshao.incident import IncidentChange

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class Reader(Protocol):
    """Where the page gets what it shows; it never writes."""

    def scene(self) -> Scene:
        """Read everything the overview shows."""
        ...

    def history(self, incident: str) -> list[IncidentChange]:
        """Read all versions of one incident, ascending; [] if there is none of that name."""
        ...


def console_app(reader: Reader, *, leads: Mapping[str, Lead], host: str) -> ASGIApp:
    """Build the application.

    Parameters
    ----------
    reader
        Source of what is shown. It is called on the serving thread only, one request after the other: the embedded
        engine belongs to one thread, and a page costs it a few milliseconds.
    leads
        Incident id → lead over the tuned fixed threshold, where it was measured.
    host
        Address the server is bound to; on loopback only loopback names are accepted in the Host header, so that a
        foreign site cannot read the page by pointing its own name at 127.0.0.1.
    """
    templates = Environment(
        loader=PackageLoader("qianshao.app.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )

    def page(name: str, values: Mapping[str, object], status: int = 200) -> HTMLResponse:
        return HTMLResponse(templates.get_template(name).render(**values), status_code=status)

    async def show_overview(_: Request) -> Response:
        return page("overview.html", overview(reader.scene(), leads))

    async def show_incident(request: Request) -> Response:
        name = request.path_params["incident"]
        history = reader.history(name)
        if not history:
            raise HTTPException(404, f"没有名为 {name} 的事件")
        return page("incident.html", incident_page(reader.scene(), history, leads.get(name)))

    async def api_status(_: Request) -> Response:
        return _json(_status(reader.scene()))

    async def api_incidents(_: Request) -> Response:
        return _json(
            {"incidents": [build_card([change], leads.get(change.incident)) for change in reader.scene().incidents]}
        )

    async def api_incident(request: Request) -> Response:
        name = request.path_params["incident"]
        history = reader.history(name)
        if not history:
            return JSONResponse({"error": f"no incident {name!r}; /api/incidents lists them"}, status_code=404)
        return _json({"card": build_card(history, leads.get(name)), "history": history})

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def refuse(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": "no such resource"}, status_code=status)
        text = "没有这一页" if status == 404 else "这样的请求不被接受"
        detail = error.detail if isinstance(error, HTTPException) and error.detail.startswith("没有") else text
        return page("missing.html", {"asof": asof(reader.scene()), "text": wording.plain(detail)}, status)

    async def fail(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"暂时读不到数据：{error}\n", status_code=503)

    pages = Starlette(
        routes=[
            Route("/", show_overview),
            Route("/incidents/{incident}", show_incident),
            Route("/api/status", api_status),
            Route("/api/incidents", api_incidents),
            Route("/api/incidents/{incident}", api_incident),
            Route("/healthz", health),
            Mount("/static", StaticFiles(packages=[("qianshao.app.console", "static")])),
        ],
        exception_handlers={HTTPException: refuse, QianshaoError: fail},
    )
    return Guard(pages, host=host)


class Guard:
    """Refuses foreign Host names and gives every answer its security headers."""

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self._app = app
        self._only_loopback = host in LOOPBACK_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if self._only_loopback and host_name(host) not in LOOPBACK_NAMES:
            refusal = PlainTextResponse(
                "This page answers to loopback names only (127.0.0.1, localhost).\n", status_code=421
            )
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def host_name(header: str) -> str:
    """Take the name out of a Host header.

    >>> host_name("LocalHost:8787"), host_name("[::1]:8787"), host_name("evil.example:8787")
    ('localhost', '::1', 'evil.example')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _status(scene: Scene) -> dict[str, object]:
    head = headline(scene.incidents, scene.watching)
    return {
        "tone": head.tone,
        "text": head.text,
        "now": clock.to_rfc3339(scene.now_ms, scene.zone),
        "finished": scene.finished,
        "open": sum(1 for change in scene.incidents if change.status in wording.ONGOING),
        "pushes_proposed": scene.pushes_proposed,
        "deadletters": scene.deadletters,
        "accounting": scene.accounting,
    }
