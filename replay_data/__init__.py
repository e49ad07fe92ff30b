"""Recorded worlds with their truth and provenance, shipped in the wheel."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from qianshao.errors import InputError


def _root() -> Path:
    return Path(str(files("replay_data")))


def world_names() -> tuple[str, ...]:
    """Names of the recorded worlds, in alphabetical order.

    >>> world_names()
    ('mixed', 'smart_lock')
    """
    return tuple(sorted(path.parent.name for path in _root().glob("*/events.jsonl.gz")))


def world_path(name: str) -> Path:
    """Return the folder of a recorded world: `events.jsonl.gz`, `truth.json`, `calendar.csv`, `PROVENANCE.md`.

    Raises
    ------
    InputError
        If there is no world of this name.

    >>> sorted(path.name for path in world_path("smart_lock").iterdir())
    ['PROVENANCE.md', 'calendar.csv', 'events.jsonl.gz', 'truth.json']
    """
    if name not in world_names():
        raise InputError(f"recorded world {name!r}: there is none; choose one of {', '.join(world_names())}")
    return _root() / name
