"""Beats of idle sources survive the process, and only those that must be said again are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows import journal
from flows.journal import KEPT_MS, Beat, Journal
from qianshao.errors import StoreError


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Journal]]:
    """Open a journal; all are closed only at the end, as a killed process closes nothing either."""
    books: list[Journal] = []

    def open_book(path: Path) -> Journal:
        books.append(Journal(path))
        return books[-1]

    yield open_book
    for book in books:
        book.close()


def test_what_was_written_is_there_when_opened_again(tmp_path: Path, opened: Callable[[Path], Journal]) -> None:
    path = tmp_path / "clock.journal"
    first = opened(path)
    first.write([Beat("a/0", 5, 1_000, 1), Beat("b/0", 0, 1_000, 1)])
    first.write([Beat("a/0", 7, 2_000, 2)])
    again = opened(path).after({"a/0": 6, "b/0": 0})
    assert again == {"a/0": [Beat("a/0", 7, 2_000, 2)], "b/0": [Beat("b/0", 0, 1_000, 1)]}


def test_a_line_that_a_killed_process_left_unfinished_is_dropped(
    tmp_path: Path, opened: Callable[[Path], Journal]
) -> None:
    path = tmp_path / "clock.journal"
    opened(path).write([Beat("a/0", 5, 1_000, 1)])
    path.write_bytes(path.read_bytes() + b'["a/0",6,')
    opened(path).write([Beat("a/0", 7, 2_000, 2)])
    assert opened(path).after({}) == {"a/0": [Beat("a/0", 5, 1_000, 1), Beat("a/0", 7, 2_000, 2)]}


def test_the_file_forgets_what_is_older_than_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Path], Journal]
) -> None:
    monkeypatch.setattr(journal, "TRIMMED_BYTES", 200)
    path = tmp_path / "clock.journal"
    book = opened(path)
    for minute in range(200):
        book.write([Beat("a/0", minute, minute, minute * 60_000)])
    kept = opened(path).after({})["a/0"]
    assert kept[-1].offset == 199
    assert kept[0].written >= kept[-1].written - KEPT_MS - 10 * 60_000
    assert path.stat().st_size < 5_000


def test_a_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "clock.journal"
    path.write_text("hello\n", "utf-8")
    with pytest.raises(StoreError, match=r"clock\.journal: holds a line that is not ours.*run\.state"):
        Journal(path)
