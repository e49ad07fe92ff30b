"""A ClickHouse server for tests: the HTTP interface, writable, over the embedded engine in a process of its own.

Arguments: folder, port (0 = any), version to claim ('' = the engine's). Prints the port when it listens.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import clickhouse_connect
import lz4.frame
from clickhouse_connect.driver.exceptions import ClickHouseError

from sinks.native import at_revision

USER, PASSWORD = "qianshao_writer", "front-secret"

UNPACK = {"lz4": lz4.frame.decompress, "identity": bytes}


class Raw:
    """A parameter as it came: escaped already."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class Front(BaseHTTPRequestHandler):
    """One request after the other on two handles: one that writes, one that has been made read-only."""

    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: in two, the second waits 40 ms for the first to be acknowledged.
    wbufsize = -1
    disable_nagle_algorithm = True
    turn = threading.Lock()
    seen: ClassVar[list[dict[str, str]]] = []
    claimed = ""
    writer = reader = None

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        self.answer(200, json.dumps(self.seen).encode() if self.path == "/seen" else b"Ok.\n")

    def do_POST(self) -> None:
        given = {
            name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
        }
        body = (
            self.rfile.read(int(self.headers.get("Content-Length") or 0)) if "Content-Length" in self.headers else b""
        )
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        body = UNPACK[self.headers.get("Content-Encoding", "identity")](body)
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            text = b"Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
            self.answer(403, text, code="516")
            return
        with self.turn:
            try:
                self.answer(200, self.run(given, body))
            except ClickHouseError as error:
                text = str(error)
                found = re.search(r"Code: (\d+)", text)
                self.answer(500, text.encode(), code=found[1] if found else "0")

    def run(self, given: dict[str, str], body: bytes) -> bytes:
        client = self.reader if given.get("readonly") == "2" else self.writer
        if self.claimed and body.startswith(b"SELECT version(), timezone()"):
            return f"{self.claimed}\tUTC\n".encode()
        client.command(f"USE `{given.get('database', 'default')}`")
        head, separator, rows = body.partition(b" FORMAT Native\n")
        if separator and head.lstrip().startswith(b"INSERT"):
            self.seen.append(given)
            with tempfile.NamedTemporaryFile(suffix=".native") as file:
                file.write(rows)
                file.flush()
                client.command(f"{head.decode()} FROM INFILE '{file.name}' FORMAT Native")
            return b""
        sql = "\n".join(part for part in (given.get("query", ""), body.decode()) if part)
        used = set(re.findall(r"\{(\w+):", sql))
        parameters = {name[6:]: Raw(value) for name, value in given.items() if name[6:] in used}
        answer = client.raw_query(sql, parameters=parameters)
        native = sql.rstrip().endswith("FORMAT Native")
        return at_revision(answer, int(given.get("client_protocol_version", "0"))) if native else answer

    def answer(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Format", "TabSeparated")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    folder, port, Front.claimed = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    Front.writer = clickhouse_connect.get_client(interface="chdb", path=folder, settings={"async_insert": 0})
    Front.reader = clickhouse_connect.get_client(interface="chdb", path=folder)
    Front.reader.set_client_setting("readonly", 2)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Front)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
