"""The query port: whoever is on this machine reads the embedded store over ClickHouse's HTTP interface."""

from __future__ import annotations

import gzip
import itertools
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from qianshao.app.console.pages import Guard
from qianshao.app.console.server import address, listen, serving
from qianshao.config import ClickHouse
from qianshao.errors import QueryError, StoreError

HOST = "127.0.0.1"

BODY_BYTES = 262_144
"""The engine reads no longer queries either."""

WAITING = 32
"""Requests at a time; more are told to come back. The engine answers one after the other."""

_HTTP_STATUS = {60: 404, 62: 400, 73: 400, 81: 404, 164: 403, 456: 400, 457: 400, 497: 403}
"""As ClickHouse does: what is not there 404, not understood 400, not allowed 403, everything else 500."""

_WORD = re.compile(r"\w{1,64}", re.ASCII)


class Answered(Protocol):
    """Bytes in one of ClickHouse's formats."""

    @property
    def body(self) -> bytes:
        """The result."""
        ...

    @property
    def format(self) -> str:
        """Name of its format."""
        ...


class Answers(Protocol):
    """The store, as far as it is asked here."""

    def answer(self, sql: str, parameters: Mapping[str, str], default_format: str, revision: int) -> Answered:
        """Answer one reading query."""
        ...


def query_app(store: Answers, *, database: str) -> ASGIApp:
    """Build the application.

    It speaks enough of ClickHouse's HTTP interface for clickhouse-connect and for Grafana's ClickHouse data source over
    HTTP. There is no login: it listens on loopback, takes loopback names only in the Host header, refuses what a
    browser sends from another page, and only reads.

    Parameters
    ----------
    store
        Answers; it limits time and size itself.
    database
        Name under which our tables may be asked for, beside `default`.
    """
    numbers = itertools.count(1)
    timezone = store.answer("SELECT timezone()", {}, "TabSeparated", 0).body.decode().strip()

    async def query(request: Request) -> Response:
        given = dict(request.query_params)
        number = given.get("query_id", "")
        headers = {
            "X-ClickHouse-Query-Id": number if re.fullmatch(r"[\w.:-]{1,128}", number) else f"qianshao-{next(numbers)}",
            "X-ClickHouse-Server-Display-Name": "qianshao",
            "X-ClickHouse-Timezone": timezone,
            "X-ClickHouse-Summary": '{"read_rows":"0","read_bytes":"0"}',
        }
        try:
            text = "\n".join(part for part in (given.get("query", ""), await _body(request)) if part)
            if not text.strip():
                return PlainTextResponse("Ok.\n", headers=headers)
            _check_settings(given, request.headers.get("x-clickhouse-database", ""), database)
            answered = await run_in_threadpool(
                store.answer,
                text,
                {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")},
                _format(given.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated"),
                _revision(given.get("client_protocol_version", "0")),
            )
        except QueryError as error:
            headers["X-ClickHouse-Exception-Code"] = str(error.code)
            return PlainTextResponse(f"{error}\n", _HTTP_STATUS.get(error.code, 500), headers)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503, headers)
        headers["X-ClickHouse-Format"] = answered.format
        body = answered.body
        if given.get("enable_http_compression") == "1" and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=_media_type(answered.format))

    async def well(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    application = Starlette(
        routes=[
            Route("/ping", well),
            Route("/replicas_status", well),
            Route("/", query, methods=["GET", "POST"]),
        ]
    )
    return Guard(application, host=HOST)


@contextmanager
def serve_queries(store: Answers, config: ClickHouse) -> Iterator[str]:
    """Serve the query port on a thread of its own while the body runs; gives its address.

    A busy port is answered with one of the next twenty, as the page does.

    Raises
    ------
    ConfigError
        If no port is free.
    """
    listener = listen(HOST, config.query_port, search=True, key="clickhouse.query_port")
    with serving(query_app(store, database=config.database), listener, at_once=WAITING):
        yield address(listener)


async def _body(request: Request) -> str:
    if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise QueryError("Code: 497. DB::Exception: other pages may not ask here. (ACCESS_DENIED)", 497)
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/"):
        raise QueryError(
            "Code: 48. DB::Exception: send parameters in the address, not as a form. (NOT_IMPLEMENTED)", 48
        )
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > BODY_BYTES:
            raise _too_long()
    encoding = request.headers.get("content-encoding", "identity")
    if encoding == "gzip":
        unpack = zlib.decompressobj(wbits=31)
        try:
            received = bytearray(unpack.decompress(bytes(received), BODY_BYTES + 1))
        except zlib.error:
            raise QueryError("Code: 62. DB::Exception: the body is not gzip. (SYNTAX_ERROR)", 62) from None
        if len(received) > BODY_BYTES:
            raise _too_long()
    elif encoding != "identity":
        raise QueryError(f"Code: 48. DB::Exception: a body in {encoding!r} is not read. (NOT_IMPLEMENTED)", 48)
    try:
        return received.decode()
    except UnicodeDecodeError:
        raise QueryError("Code: 62. DB::Exception: the query is not UTF-8. (SYNTAX_ERROR)", 62) from None


def _too_long() -> QueryError:
    return QueryError(f"Code: 62. DB::Exception: the query is longer than {BODY_BYTES} bytes. (SYNTAX_ERROR)", 62)


def _check_settings(given: Mapping[str, str], header: str, database: str) -> None:
    """Settings are ours and every other one is ignored; but what would change the answer's meaning is refused."""
    asked = given.get("database") or header
    if asked not in ("", "default", database):
        raise QueryError(f"Code: 81. DB::Exception: Database {asked} does not exist. (UNKNOWN_DATABASE)", 81)
    if given.get("compress") == "1" or given.get("decompress") == "1":
        raise QueryError(
            "Code: 48. DB::Exception: blocks are not compressed here; use enable_http_compression with gzip. "
            "(NOT_IMPLEMENTED)",
            48,
        )


def _format(name: str) -> str:
    if _WORD.fullmatch(name) is None:
        raise QueryError("Code: 73. DB::Exception: Unknown format. (UNKNOWN_FORMAT)", 73)
    return name


def _revision(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise QueryError("Code: 36. DB::Exception: client_protocol_version is no number. (BAD_ARGUMENTS)", 36)
    return int(text)


def _media_type(name: str) -> str:
    if name.startswith("JSON"):
        return "application/json; charset=UTF-8"
    if name.startswith(("CSV", "TabSeparated", "TSV", "Pretty", "Values", "Vertical", "Markdown")):
        return "text/plain; charset=UTF-8"
    return "application/octet-stream"
