"""Dangers that an agent puts on record: the terse lines of tickets, read apart from what customers say."""

from __future__ import annotations

from collections.abc import Sequence

from models.danger import DangerLayer, layer_names, load_layer, shares_of
from models.lexicon import Lexicon
from qianshao.event import summary

ASSERTED = 0.3
"""From this probability on, an agent records a danger. Set on fortnights whose victims are known: ordinary tickets are
many, and most of them are written from a few templates."""


class TicketDanger:
    """Danger that each ticket of a batch asserts.

    An agent who writes 出水骤烫致人烫伤，安全上报 uses words that no customer says. The layer is the one of
    `models.danger` in kind, fitted on tickets that the project wrote. Of a ticket that quotes the customer only the
    summary is read: the rest is the customer's, and read as such.

    Parameters
    ----------
    lexicon
        Names the dangers; kinds whose family the taxonomy does not have are not named.
    layer
        The shipped one by default.

    Notes
    -----
    A ticket costs 3–4 µs. It fails where agents record by codes or leave the text empty.

    >>> from models.lexicon import shipped_lexicon
    >>> TicketDanger(shipped_lexicon()).label(["用户被困室内，消防破门救出", "客户咨询热水器，无异议：水烫吗"])
    ['人身安全/受伤', '']
    """

    def __init__(self, lexicon: Lexicon, layer: DangerLayer | None = None) -> None:
        self._layer = load_layer("ticket_danger.npz") if layer is None else layer
        self._names = layer_names(self._layer, lexicon)

    def label(self, texts: Sequence[str]) -> list[str]:
        """Return the danger that each text records, `family/kind`, '' if none."""
        if not any(self._names):
            return [""] * len(texts)
        shares = shares_of(self._layer, [summary(text) for text in texts])
        shares[:, [not name for name in self._names]] = 0.0
        chances, best = shares.sum(axis=1).tolist(), shares.argmax(axis=1).tolist()
        return [self._names[kind] if chance >= ASSERTED else "" for chance, kind in zip(chances, best, strict=True)]
