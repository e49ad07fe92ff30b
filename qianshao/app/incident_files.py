"""Where commands read incidents: the files of a replay, or the page of the running service."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from qianshao.app.card import Card
from qianshao.config import Console
from qianshao.errors import InputError, UnavailableError
from qianshao.incident import IncidentChange

FILE = "incidents.jsonl"
ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - a service that listens everywhere is asked on this machine
_SECONDS = 10

Row = TypeVar("Row", IncidentChange, Card)


def read_incidents(place: Path) -> dict[str, list[IncidentChange]]:
    """Read every incident of a replay, each with its changes ascending by version, in order of first appearance.

    Parameters
    ----------
    place
        The folder of a replay, or its `incidents.jsonl`.

    Raises
    ------
    InputError
        If there is no such file or a line is not an incident; the message names the line.
    """
    path = place / FILE if place.is_dir() else place
    found: dict[str, list[IncidentChange]] = {}
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    change = msgspec.json.decode(line, type=IncidentChange)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise InputError(f"{path}, line {number}: is not a change of an incident ({error})") from None
                found.setdefault(change.incident, []).append(change)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); name a folder that `qianshao replay` wrote"
        ) from None
    for changes in found.values():
        changes.sort(key=lambda change: change.version)
    return found


def ask_history(console: Console, incident: str) -> list[IncidentChange]:
    """Ask the page of the running service for every change of one incident; [] if it knows none of that name.

    Raises
    ------
    UnavailableError
        If nobody answers there, or not as this program's page does.
    """
    return _ask(console, f"/api/incidents/{quote(incident, safe='')}", "history", list[IncidentChange])


def ask_cards(console: Console) -> list[Card]:
    """Ask the page of the running service for the cards of all incidents that were reported, ongoing ones first.

    Raises
    ------
    UnavailableError
        If nobody answers there, or not as this program's page does.
    """
    return _ask(console, "/api/incidents", "incidents", list[Card])


def _ask(console: Console, target: str, name: str, shape: type[list[Row]]) -> list[Row]:
    host = "127.0.0.1" if console.host in ANYWHERE else console.host
    where = f"http://{host}:{console.port}{target}"
    connection = http.client.HTTPConnection(host, console.port, timeout=_SECONDS)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            f"{where}: the service does not answer ({error}); start it with `qianshao run`, or read the files of a "
            "replay with --from"
        ) from None
    finally:
        connection.close()
    if answer.status == http.client.NOT_FOUND:
        return []
    try:
        return msgspec.convert(msgspec.json.decode(body)[name], shape)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"{where}: answers {answer.status}, but not as the page of this program ({error}); look at [console]"
        ) from None
