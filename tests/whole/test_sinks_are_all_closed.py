"""At the end of a replay every sink is closed, whatever the others do."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.replay import run_replay
from qianshao.config import Config
from qianshao.errors import StoreError
from qianshao.outcome import Outcome


class Door:
    """A sink that only remembers its end, and may refuse to write or to close."""

    def __init__(self, write_error: str = "", close_error: str = "") -> None:
        self.write_error = write_error
        self.close_error = close_error
        self.closed = False

    def write(self, outcome: Outcome) -> None:
        """Take nothing in."""
        if self.write_error:
            raise StoreError(self.write_error)

    def close(self) -> None:
        """Close, or refuse to."""
        self.closed = True
        if self.close_error:
            raise StoreError(self.close_error)


def run(tmp_path: Path, doors: list[Door]) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"id": "e1", "kind": "chat", "ts": 1772431200000, "text": "你好"}\n', "utf-8")
    run_replay([path], config=Config(), make_sinks=lambda: doors)


def test_a_sink_that_cannot_close_does_not_keep_the_others_open(tmp_path: Path) -> None:
    doors = [Door(), Door(close_error="the first"), Door(close_error="the second"), Door()]
    with pytest.raises(StoreError, match="the first"):
        run(tmp_path, doors)
    assert [door.closed for door in doors] == [True] * 4


def test_what_broke_the_run_is_not_hidden_by_a_sink_that_cannot_close(tmp_path: Path) -> None:
    doors = [Door(write_error="the disk is full", close_error="and it will not close"), Door()]
    with pytest.raises(StoreError, match="the disk is full"):
        run(tmp_path, doors)
    assert [door.closed for door in doors] == [True] * 2
