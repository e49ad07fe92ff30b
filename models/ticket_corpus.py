"""Tickets as agents write them, with and without a danger on record: what the ticket layer is fitted on."""

from __future__ import annotations

import random

from models.danger_corpus import NOTHING, DangerRow, danger_rows
from models.seed_corpus import tellings, written

WRITINGS = 3
"""Ways in which each ticket is written beside the one it stands in."""
TELLINGS = 12
"""Most tickets that one line with choices is spread over."""
SPOKEN_EVERY = 4
"""Of what the layer for customers' words is fitted on, one row in so many."""
_TAGS = ("工单：", "备注：", "【客诉】", "客诉：", "记录：", "")
_TAGGED, _SHORTENED = 0.3, 0.6
_MARKS = str.maketrans("/、；", "，，，")


def ticket_lines() -> list[tuple[str, str]]:
    """Return (kind, line) of every line of `ticket_corpus.txt`; '' = no danger."""
    return [
        ("" if kind == NOTHING else kind, line)
        for kind, lines in written("ticket_corpus.txt").items()
        for line in lines
    ]


def ticket_rows(seed: int) -> list[DangerRow]:
    """Return the tickets, the same for one seed: each as it stands, and otherwise."""
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    return [
        DangerRow(text, kind, number)
        for number, (kind, line) in enumerate(ticket_lines())
        for ticket in tellings(line, source, TELLINGS)
        for text in (ticket, *(_otherwise(ticket, source, whole=bool(kind)) for _ in range(WRITINGS)))
    ]


def quoted_rows(seed: int) -> list[DangerRow]:
    """Return what customers say beside the tickets, numbered after them: agents quote them."""
    first = len(ticket_lines())
    return [row._replace(line=first + row.line) for row in danger_rows(seed)[::SPOKEN_EVERY]]


def _otherwise(line: str, source: random.Random, *, whole: bool) -> str:
    """Write a line with a tag before it, with other marks, or, if it need not be whole, without one of its clauses."""
    chance = source.random()
    if chance < _TAGGED:
        return source.choice(_TAGS) + line
    clauses = [clause for clause in line.translate(_MARKS).replace(" ", "，").split("，") if clause]
    if chance < _SHORTENED and not whole and len(clauses) > 1:
        clauses.pop(source.randrange(len(clauses)))
    return source.choice("， ").join(clauses)
