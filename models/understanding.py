"""Everything that interprets one event: raw event in, masked and labelled observation out, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

from models.identity import Pseudonyms
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
from models.template import message_template
from qianshao.event import Observation, RawEvent


class Understanding:
    """The masking stage and all that follows it for ONE event at a time.

    Parameters
    ----------
    key
        Secret of the pseudonyms.
    """

    def __init__(self, key: bytes) -> None:
        self._pseudonyms = Pseudonyms(key)

    def label(self, events: Sequence[RawEvent]) -> list[Observation]:
        """Return one observation per event, in order; the result does not depend on how events are cut into batches."""
        return [self._mask(event) for event in events]

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
