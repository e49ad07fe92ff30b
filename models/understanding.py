"""Everything that interprets one event: raw event in, masked and labelled observation out, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.classifier import Classifier
from models.danger import DangerModel
from models.features import feature_matrix
from models.feeling import heard
from models.identity import Pseudonyms
from models.lexicon import Lexicon, shipped_lexicon
from models.linear import load_seed
from models.masking import (
    ACCOUNT,
    DEVICE,
    MIN_OWN_CHARS,
    ORDER,
    mask_extra,
    mask_field,
    mask_normalised,
    mask_own,
    mask_shown,
    may_identify,
    names_private_dimension,
    own_identifiers,
    token_for_key,
)
from models.normalise import normalise, presentable
from models.own import OwnFeelings, OwnTopics
from models.sentiment import SentimentModel
from models.template import message_template
from models.ticket_danger import TicketDanger
from models.tokens import Tokeniser, Vocabulary
from models.topic import TopicModel
from qianshao.event import Observation, RawEvent, is_customer, pseudonym_text

_CACHE_LIMIT = 20_000
_CACHED_CHARS = 100
_READ_WHOLE_CHARS = 2_000
_READ_CHARS = 500
"""Of a text that is too long to be read whole the beginning and the end are read, half of this each; what people want
stands there. Dangers are looked for everywhere."""
_SHOWN_CHARS = 500
"""A longer text is quoted in its normalised spelling: to carry masks back to the original costs ten times as much."""
_SHORTEST_OWN = 2
"""A value shorter than any own identifier (a name has two characters) cannot contain one."""
_TELLING_NUMBER = 10_000.0
"""A metric of fewer digits than an own identifier has cannot be one."""


class Reading(NamedTuple):
    """What one masked text says."""

    topic: str
    confidence: float
    sentiment: float
    terms: tuple[str, ...]
    tokens: tuple[str, ...]
    danger: str


class Understanding:
    """The masking stage and all that follows it for ONE event at a time.

    Parameters
    ----------
    key
        Secret of the pseudonyms.
    topic, sentiment, vocabulary, lexicon
        Models and a taxonomy of somebody's own in the place of the shipped ones, and words that must stay whole; None =
        the shipped one, and no such words.

    Raises
    ------
    ModelError
        If the labels of the sentiment model do not say which of them is good and which bad.
    """

    def __init__(
        self,
        key: bytes,
        topic: Classifier | None = None,
        sentiment: Classifier | None = None,
        vocabulary: Vocabulary | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        self._pseudonyms = Pseudonyms(key)
        self._plain: dict[str, str] = {}
        self._readings: dict[str, Reading] = {}
        self.serve(topic, sentiment, vocabulary, lexicon)

    def serve(
        self,
        topic: Classifier | None = None,
        sentiment: Classifier | None = None,
        vocabulary: Vocabulary | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        """Read texts with these from now on; masking and pseudonyms stay as they are. The parameters are the class's.

        Raises
        ------
        ModelError
            If the labels of the sentiment model do not say which of them is good and which bad; nothing changed then.
        """
        seed = load_seed()
        lexicon = shipped_lexicon() if lexicon is None else lexicon
        feelings = SentimentModel(lexicon, seed.sentiment) if sentiment is None else OwnFeelings(sentiment)
        self._lexicon = lexicon
        self._tokeniser = Tokeniser(lexicon, vocabulary)
        self._bits = seed.bits
        self._topic = TopicModel(lexicon, seed.topic) if topic is None else OwnTopics(topic)
        self._sentiment = feelings
        self._danger = DangerModel(lexicon)
        self._ticket_danger = TicketDanger(lexicon)
        self._readings.clear()

    def pseudonym(self, value: str) -> int:
        """Return the pseudonym of a conversation or ticket that an action names, 0 for ''."""
        return self._pseudonyms.of(value or None)

    def label(self, events: Sequence[RawEvent]) -> list[Observation]:
        """Return one observation per event, in order; the result does not depend on how events are cut into batches."""
        observations = [self._mask(event) for event in events]
        voices = [
            observation
            for event, observation in zip(events, observations, strict=True)
            if observation.text and _speaks_for_customer(event)
        ]
        readings = self._read([observation.text for observation in voices])
        for observation in voices:
            reading = readings[observation.text]
            observation.topic = reading.topic
            observation.topic_confidence = reading.confidence
            observation.terms = reading.terms
            observation.tokens = reading.tokens
            observation.danger = reading.danger
            if observation.kind != "ticket":
                observation.sentiment = reading.sentiment
        records = [observation for observation in voices if observation.kind == "ticket" and not observation.danger]
        for observation, danger in zip(
            records, self._ticket_danger.label([observation.text for observation in records]), strict=True
        ):
            observation.danger = danger
        return observations

    def _read(self, texts: Sequence[str]) -> dict[str, Reading]:
        """Read each distinct masked text once; short ones are remembered, for people repeat each other."""
        readings: dict[str, Reading] = {}
        fresh: list[str] = []
        for text in dict.fromkeys(texts):
            known = self._readings.get(text)
            if known is None:
                fresh.append(text)
            else:
                readings[text] = known
        if not fresh:
            return readings
        told = [heard(_beginning_and_end(text)) for text in fresh]
        tokens = [self._tokeniser.content(self._tokeniser.words(text)) for text in told]
        matrix = feature_matrix(told, tokens, self._bits)
        topics = self._topic.label(told, matrix)
        sentiments = self._sentiment.label(told, matrix)
        if len(self._readings) + len(fresh) > _CACHE_LIMIT:
            self._readings.clear()
        terms = self._lexicon.terms_of(told)
        dangers = self._danger.label(
            [some if len(text) <= _READ_CHARS else heard(text) for text, some in zip(fresh, told, strict=True)]
        )
        for text, (topic, confidence), sentiment, content, named, danger in zip(
            fresh, topics, sentiments, tokens, terms, dangers, strict=True
        ):
            reading = Reading(topic, confidence, sentiment, named, content, danger)
            readings[text] = reading
            if len(text) <= _CACHED_CHARS:
                self._readings[text] = reading
        return readings

    def _clean(self, raw: str) -> str:
        """Normalise; texts that hold nothing to mask are remembered, for agents and bots repeat themselves."""
        known = self._plain.get(raw)
        if known is not None:
            return known
        text = normalise(raw)
        if len(raw) <= _CACHED_CHARS and not may_identify(text):
            if len(self._plain) >= _CACHE_LIMIT:
                self._plain.clear()
            self._plain[raw] = text
        return text

    def _event_id(self, event: RawEvent) -> str:
        """Return the id; a customer's identifier inside it becomes its pseudonym, so that ids stay distinct.

        A device serial stays: producers number device events by it, and others must find the events again.
        """
        identifier = event.id
        for kind, value in event.customer.items():
            if kind != "device" and len(value) >= MIN_OWN_CHARS and value in identifier:
                identifier = identifier.replace(value, pseudonym_text(self._pseudonyms.of(value)))
        return identifier

    def _mask(self, event: RawEvent) -> Observation:
        """Turn one raw event into an observation that holds no raw identifier, not yet interpreted."""
        own = own_identifiers(event.customer) if event.customer else []
        for value, token in ((event.device, DEVICE), (event.conversation, ACCOUNT), (event.ticket, ORDER)):
            if value is not None and len(value) >= MIN_OWN_CHARS:
                own.append((value, token))
        device = self._pseudonyms.of(event.device)
        conversation = self._pseudonyms.of(event.conversation)

        def field(value: str | None) -> str | None:
            if value is None:
                return None
            masked = mask_field(value)
            return masked if len(masked) < _SHORTEST_OWN else mask_own(masked, own)

        raw = event.text if event.text is not None else event.message
        normal = self._clean(raw) if raw else ""
        turn = event.kind in ("chat", "call")
        text = mask_normalised(mask_own(normal, own), turn=turn)
        shown = ""
        if raw and normal != raw and len(raw) <= _SHOWN_CHARS and _speaks_for_customer(event):
            shown = presentable(raw) if text == normal else mask_shown(raw, own, turn=turn)
        return Observation(
            id=self._event_id(event),
            kind=event.kind,
            ts=event.ts,
            channel=field(event.channel),
            line=field(event.line),
            product=field(event.product),
            model=field(event.model),
            firmware=field(event.firmware),
            region=field(event.region),
            dims={
                field(name) or "": token_for_key(name) if names_private_dimension(name) else field(value) or ""
                for name, value in event.dims.items()
            },
            customer=self._pseudonyms.customer(event.customer) or device or conversation,
            identifiers=self._pseudonyms.linkable(event.customer, device) if event.customer else {},
            device=device,
            conversation=conversation,
            ticket=self._pseudonyms.of(event.ticket),
            role=field(event.role),
            text=text,
            shown="" if shown == text else shown,
            type=field(event.type) or "",
            status=field(event.status) or "",
            level=field(event.level) or "",
            code=field(event.code) or "",
            template=message_template(text) if event.kind == "device" else "",
            score=event.score or 0,
            metrics={
                field(name) or "": value
                for name, value in event.metrics.items()
                if abs(value) < _TELLING_NUMBER or not any(f"{value:.0f}" in identifier for identifier, _ in own)
            },
            extra=mask_extra(event.extra, own) if event.extra else "",
        )


def _beginning_and_end(text: str) -> str:
    half = _READ_CHARS // 2
    return text if len(text) <= _READ_WHOLE_CHARS else f"{text[:half]} {text[-half:]}"


def _speaks_for_customer(event: RawEvent) -> bool:
    """Return whether the text is a customer's own, or an agent's summary of one case (a ticket)."""
    if event.kind == "device":
        return False
    return event.kind == "ticket" or is_customer(event.role)
