"""Serving the page: one socket, one uvicorn, until Ctrl-C."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from qianshao.errors import ConfigError

SEARCHED_PORTS = 20

GRACE_SECONDS = 2
"""How long an answer that has begun may take to end when its server must."""


def listen(host: str, port: int, *, search: bool, key: str = "console.port") -> socket.socket:
    """Open the page's socket before anything is promised about it.

    Parameters
    ----------
    host, port
        Where to listen; port 0 = any free one.
    search
        Whether a busy port may be answered with one of the next twenty.
    key
        What sets the port, for the message.

    Raises
    ------
    ConfigError
        If no allowed port is free, or the address is not one of this machine.
    """
    ports = range(port, min(port + SEARCHED_PORTS, 65536)) if search and port else (port,)
    for candidate in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named, because asyncio switches the delay of small answers off only for sockets that say they are TCP.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise ConfigError(
                f"console.host {host}: cannot be listened on ({error.strerror}); "
                "use 127.0.0.1 or an address of this machine"
            ) from None
        return listener
    last = f"–{ports[-1]}" if len(ports) > 1 else ""
    raise ConfigError(
        f"{key} {port}{last}: in use or not allowed; "
        f"stop the programme that listens there, or set another {key} (0 = any free)"
    )


def address(listener: socket.socket) -> str:
    """The page's address as a person types it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(app: ASGIApp, listener: socket.socket, started: Callable[[uvicorn.Server], None] | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    app
        The page.
    listener
        An open socket; it is closed at the end.
    started
        Is given the server before it runs, so that its owner can end it (`should_exit`).
    """
    server = _server(app)
    if started is not None:
        started(server)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()


@contextmanager
def serving(app: ASGIApp, listener: socket.socket, *, at_once: int | None = None) -> Iterator[None]:
    """Serve on a thread of its own while the body runs; the socket is closed at the end.

    Parameters
    ----------
    app, listener
        As for `serve`.
    at_once
        Requests at a time; more are told to come back. None = any number.
    """
    server = _server(app, limit_concurrency=at_once, timeout_graceful_shutdown=GRACE_SECONDS)
    thread = threading.Thread(target=server.run, args=([listener],), name=address(listener), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _server(
    app: ASGIApp, *, limit_concurrency: int | None = None, timeout_graceful_shutdown: int | None = None
) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            limit_concurrency=limit_concurrency,
            timeout_graceful_shutdown=timeout_graceful_shutdown,
        )
    )
