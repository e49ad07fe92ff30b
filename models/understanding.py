"""Everything that interprets one event: raw event in, masked and labelled observation out, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.features import feature_matrix
from models.identity import Pseudonyms
from models.lexicon import Lexicon
from models.linear import load_seed
from models.masking import (
    ACCOUNT,
    DEVICE,
    ORDER,
    mask_extra,
    mask_field,
    mask_normalised,
    mask_own,
    own_identifiers,
)
from models.normalise import normalise
from models.sentiment import SentimentModel
from models.template import message_template
from models.tokens import Tokeniser
from models.topic import TopicModel
from qianshao.event import Observation, RawEvent

_CACHE_LIMIT = 20_000
_CACHED_CHARS = 100


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
    """

    def __init__(self, key: bytes) -> None:
        self._pseudonyms = Pseudonyms(key)
        self._lexicon = Lexicon()
        self._tokeniser = Tokeniser(self._lexicon)
        seed = load_seed()
        self._bits = seed.bits
        self._topic = TopicModel(self._lexicon, seed.topic)
        self._sentiment = SentimentModel(self._lexicon, seed.sentiment)
        self._readings: dict[str, Reading] = {}

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
        tokens = [self._tokeniser.content(self._tokeniser.words(text)) for text in fresh]
        matrix = feature_matrix(fresh, tokens, self._bits)
        topics = self._topic.label(fresh, matrix)
        sentiments = self._sentiment.label(fresh, matrix)
        if len(self._readings) + len(fresh) > _CACHE_LIMIT:
            self._readings.clear()
        for text, (topic, confidence), sentiment, content in zip(fresh, topics, sentiments, tokens, strict=True):
            reading = Reading(
                topic, confidence, sentiment, self._lexicon.terms(text), content, self._lexicon.danger(text)
            )
            readings[text] = reading
            if len(text) <= _CACHED_CHARS:
                self._readings[text] = reading
        return readings

    def _mask(self, event: RawEvent) -> Observation:
        own = own_identifiers(event.customer) if event.customer else []
        for value, token in ((event.device, DEVICE), (event.conversation, ACCOUNT), (event.ticket, ORDER)):
            if value is not None and len(value) >= 5:
                own.append((value, token))
        device = self._pseudonyms.of(event.device)
        conversation = self._pseudonyms.of(event.conversation)

        def field(value: str | None) -> str | None:
            return None if value is None else mask_own(mask_field(mask_own(value, own)), own)

        raw = event.text if event.text is not None else event.message
        text = mask_own(mask_normalised(mask_own(normalise(raw), own)), own) if raw else ""
        return Observation(
            id=event.id,
            kind=event.kind,
            ts=event.ts,
            channel=field(event.channel),
            line=field(event.line),
            product=field(event.product),
            model=field(event.model),
            firmware=field(event.firmware),
            region=field(event.region),
            dims={field(name) or "": field(value) or "" for name, value in event.dims.items()} if event.dims else {},
            customer=self._pseudonyms.customer(event.customer) or device or conversation,
            device=device,
            conversation=conversation,
            role=field(event.role),
            text=text,
            type=field(event.type) or "",
            status=field(event.status) or "",
            level=field(event.level) or "",
            code=field(event.code) or "",
            template=message_template(text) if event.kind == "device" else "",
            score=event.score or 0,
            metrics=event.metrics,
            extra=mask_extra(event.extra, own),
        )


def _speaks_for_customer(event: RawEvent) -> bool:
    """Return whether the text is a customer's own, or an agent's summary of one case (a ticket)."""
    if event.kind == "device":
        return False
    return event.kind == "ticket" or event.role is None or event.role.strip().lower() in ("customer", "")
