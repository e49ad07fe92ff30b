"""Dangers that agents put on record are found in their terse lines, and ordinary tickets are left."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from models.danger import FAMILIES
from models.danger_training import fingerprint, own_rows
from models.lexicon import Lexicon, shipped_lexicon
from models.masking import mask
from models.normalise import normalise
from models.ticket_corpus import ticket_lines
from models.ticket_danger import TicketDanger
from models.understanding import Understanding
from qianshao.event import RawEvent, summary

SENTENCES = Path(__file__).with_name("ticket_sentences.txt")
"""Written in other words than the corpus; `-` records no danger."""


@cache
def sentences() -> list[tuple[str, str]]:
    """Return (kind, masked ticket)."""
    lines = (line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines())
    return [("" if kind == "-" else kind, mask(normalise(text))) for kind, text in lines]


@pytest.fixture(scope="module")
def reader() -> TicketDanger:
    return TicketDanger(shipped_lexicon())


def test_the_judged_tickets_are_of_every_kind_and_none_is_fitted_on() -> None:
    assert {kind for kind, _ in sentences()} == {"", *FAMILIES}
    assert not {text for _, text in sentences()} & {row.text for row in own_rows("ticket_danger.npz")}


def test_every_section_of_the_corpus_names_a_known_kind() -> None:
    assert {kind for kind, _ in ticket_lines()} == {"", *FAMILIES}


def test_harm_on_record_is_found_and_named(reader: TicketDanger) -> None:
    harmed = [(kind, text) for kind, text in sentences() if kind]
    named = [name.partition("/")[2] for name in reader.label([text for _, text in harmed])]
    assert sum(map(bool, named)) >= 0.9 * len(harmed)
    assert sum(kind == name for (kind, _), name in zip(harmed, named, strict=True)) >= 0.85 * len(harmed)


def test_ordinary_tickets_record_no_harm(reader: TicketDanger) -> None:
    ordinary = [text for kind, text in sentences() if not kind]
    assert [text for text, name in zip(ordinary, reader.label(ordinary), strict=True) if name] == []


def test_what_an_agent_quotes_of_a_customer_is_not_what_the_agent_records(reader: TicketDanger) -> None:
    assert reader.label(["客户要求回电：出水骤烫致人烫伤，已就医"]) == [""]
    assert reader.label(["出水骤烫致人烫伤，已就医：说好给我回电话的"]) == ["人身安全/受伤"]


def test_a_tag_before_a_colon_is_not_the_whole_record() -> None:
    assert summary("客诉：老人触电") == "客诉：老人触电"


def test_a_ticket_is_read_alike_in_any_batch(reader: TicketDanger) -> None:
    texts = [text for _, text in sentences()]
    assert reader.label(texts) == [reader.label([text])[0] for text in texts]


def test_a_taxonomy_with_dangers_of_its_own_names_none_of_the_layers() -> None:
    own = Lexicon('version = "1"\n[topics."水"]\nstrong = ["漏水"]\n[danger."泡水"]\nterms = ["屋里全是水"]\n')
    assert TicketDanger(own).label(["用户被困室内，消防破门救出"]) == [""]


def test_a_record_counts_as_danger_and_the_same_words_of_a_customer_need_not() -> None:
    text = "老人被困，家属索赔门体损失"
    events = [
        RawEvent(id="t", kind="ticket", ts=0, ticket="T1", text=text),
        RawEvent(id="c", kind="chat", ts=0, role="customer", conversation="c1", text=text),
    ]
    ticket, chat = Understanding(b"0" * 32).label(events)
    assert (ticket.danger, chat.danger) == ("人身安全/受伤", "")


def test_the_shipped_layer_was_fitted_on_this_corpus() -> None:
    with (
        files("models").joinpath("ticket_danger.npz").open("rb") as handle,
        np.load(handle, allow_pickle=False) as archive,
    ):
        assert str(archive["fingerprint"]) == fingerprint(own_rows("ticket_danger.npz")), (
            "run python -m models.danger_training"
        )
