"""Events as they arrive and as they travel on once read, masked and understood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Kind = Literal["chat", "call", "ticket", "device", "rating"]
KINDS: tuple[str, ...] = ("chat", "call", "ticket", "device", "rating")

DIMENSIONS: tuple[str, ...] = ("line", "product", "model", "firmware", "region", "channel")
"""The dimensions every event may carry; an event's own `dims` come on top."""

WIDE_DIMENSIONS = frozenset(("line", "region", "channel"))
"""Dimensions that name no thing: a cause lies in a product, a model or a release, and strangers share a region."""

MAX_OWN_DIMS = 4
"""An event's own dimensions that are looked at, in order of name; further ones are only kept on the event."""

CLEARLY_NEGATIVE = -0.5
"""Sentiment below which a customer's words count as negative."""

BODILY = "人身安全"
"""The shipped taxonomy's family of dangers that harm somebody's body."""
BENIGN_TOPICS = frozenset(("使用咨询", "优惠活动", "价格", "会员积分"))
"""What customers ask anyway, and more on promotion days: such topics are weak witnesses at best."""

MAX_TEXT_CHARS = 20_000

SHORTEST_SUMMARY = 4
"""Characters that an agent writes before a colon; what is shorter is a label, such as 客诉, of what follows."""


class RawEvent(msgspec.Struct, kw_only=True, gc=False):
    """One event as it came in, decoded and type-checked but NOT masked: it never leaves the reading worker."""

    id: str
    kind: str
    ts: int
    channel: str | None = None
    line: str | None = None
    product: str | None = None
    model: str | None = None
    firmware: str | None = None
    region: str | None = None
    dims: dict[str, str] = {}
    customer: dict[str, str] = {}
    conversation: str | None = None
    role: str | None = None
    text: str | None = None
    confidence: float | None = None
    ticket: str | None = None
    type: str | None = None
    status: str | None = None
    device: str | None = None
    level: str | None = None
    code: str | None = None
    message: str | None = None
    metrics: dict[str, float] = {}
    score: int | None = None
    extra: dict[str, Any] = {}
    """Unknown fields, kept as they came."""


class Observation(msgspec.Struct, kw_only=True, gc=False):
    """One event after the masking stage: no raw identifier in any field. This is what every later stage sees.

    Free text is masked (typed tokens such as 〔手机〕); customers, devices and conversations are keyed pseudonyms,
    64-bit integers that are 0 when the event names none. `customer` falls back to the device, then to the conversation,
    so that an event that belongs to somebody always counts as one somebody.
    """

    id: str
    kind: str
    ts: int
    """Event time, epoch milliseconds."""
    channel: str | None = None
    line: str | None = None
    product: str | None = None
    model: str | None = None
    firmware: str | None = None
    region: str | None = None
    dims: dict[str, str] = {}
    customer: int = 0
    """The person, as far as that is known by then: One-ID puts one number for all identifiers of one person."""
    identifiers: dict[int, str] = {}
    """Pseudonyms of the customer's identifiers with their kinds, the preferred first; empty once One-ID has read it."""
    device: int = 0
    conversation: int = 0
    ticket: int = 0
    """Pseudonym of the ticket's own number, by which people correct it."""
    role: str | None = None
    text: str = ""
    """Masked text: the chat turn, the call segment, the ticket text or the device message."""
    shown: str = ""
    """The same, masked, as its writer spelt it (script, width, repeats), for quotes; '' = as `text`."""
    topic: str = ""
    """Service topic of the shipped taxonomy, '' when the model abstains or the event carries no customer voice."""
    topic_confidence: float = 0.0
    sentiment: float = 0.0
    """−1 (very negative) … 1 (very positive); 0 where there is no customer voice."""
    terms: tuple[str, ...] = ()
    """Fault terms of the lexicon and codes that the text names, without repeats, in order of appearance."""
    tokens: tuple[str, ...] = ()
    """Content words of customers' text and ticket text, for keywords; no stop words, no masked tokens."""
    danger: str = ""
    """Rare danger that the text asserts, `family/kind` (人身安全/触电, 资金安全/诈骗 …), '' if none. A taxonomy of
    one's own may name families without kinds."""
    trouble: float | None = None
    """How likely the text tells of something that failed, by its meaning, 0–1: 0 where its mood or topic tells of no
    trouble and it was not read, None where it says nothing by itself."""
    meaning: bytes = b""
    """What the text means: a vector of `WIDTH` whole numbers of one byte, b'' where it has not been asked or has been
    compared."""
    guess: str = ""
    """Ticket type that this customer's conversation would be given, as agents' labels taught; '' where it is not sure
    enough, and for everything but customers' words."""
    guess_confidence: float = 0.0
    theme: str = ""
    """The fault that is meant, finer than the topic and learnt from agents' tickets: the text of a typical ticket; ''
    where it is not known."""
    theme_confidence: float = 0.0
    type: str = ""
    status: str = ""
    level: str = ""
    code: str = ""
    template: str = ""
    """Device message with its numbers and identifiers replaced, so that equal causes are equal strings."""
    score: int = 0
    metrics: dict[str, float] = {}
    extra: str = ""
    """Unknown fields as masked JSON, '' if none."""

    def dimension(self, name: str) -> str | None:
        """Return the value of one dimension, whether common or the event's own; None if absent."""
        if name in DIMENSIONS:
            value: str | None = getattr(self, name)
            return value
        return self.dims.get(name)

    def agrees(self, dims: Mapping[str, str | list[str]]) -> bool:
        """Return whether the event states nothing else than these dimensions; what it does not state agrees.

        >>> Observation(id="a", kind="chat", ts=0, region="华东").agrees({"region": ["华东", "华北"], "line": "家居"})
        True
        """
        for name, value in dims.items():
            said = self.dimension(name)
            if said and (said not in value if isinstance(value, list) else said != value):
                return False
        return True


def values_of(value: str | list[str]) -> list[str]:
    """Return the values of one dimension of a place.

    >>> values_of("华东"), values_of(["华东", "华北"])
    (['华东'], ['华东', '华北'])
    """
    return [value] if isinstance(value, str) else value


class DeadLetter(msgspec.Struct, kw_only=True, gc=False):
    """A record that could not be counted, with the reason and a masked excerpt."""

    source: str
    position: int
    """Line number in the source, from 1."""
    reason: str
    excerpt: str
    """Masked, at most 200 characters."""
    kind: str = ""
    """The kind, where the record was readable enough to name a known one."""


def is_customer(role: str | None) -> bool:
    """Whether a turn of this role is the customer's own; so is one that names no role.

    >>> is_customer("Customer "), is_customer(None), is_customer("agent")
    (True, True, False)
    """
    return role is None or role.strip().lower() in ("customer", "")


def pseudonym_text(value: int) -> str:
    """Write a 64-bit pseudonym as it appears in outputs.

    >>> pseudonym_text(255)
    '00000000000000ff'
    """
    return f"{value:016x}"


def summary(text: str) -> str:
    """Return what an agent says in a ticket, without the customer's words that follow a colon.

    >>> summary("客户要求回电：好烫"), summary("客诉：出水烫伤")
    ('客户要求回电', '客诉：出水烫伤')
    """
    head, mark, _ = text.partition("：")
    return head if mark and len(head) >= SHORTEST_SUMMARY else text
