"""Contacts: chat sessions, calls, shop visits, and the tickets and ratings that follow them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from flows.sources.world.catalog import CHANNELS, DEVICE_PRODUCTS, Product
from flows.sources.world.grammar import Template
from flows.sources.world.people import SURNAMES, Device, Person, Weighted
from flows.sources.world.speech import (
    AGENT_CLOSE,
    AGENT_OPEN,
    AGENT_TALK,
    BOT,
    DETAIL,
    FOLLOW,
    GRAMMAR,
    GREETINGS,
    THANKS,
    VAGUE,
    recognise_speech,
    write_like_a_customer,
)
from flows.sources.world.timeline import Cause, Timeline
from flows.sources.world.topics import CARELESS_LABELS, CATCH_ALL

CHANNEL: Weighted[str] = Weighted(CHANNELS)
TICKETS = Weighted((("open", 0.5), ("processing", 0.3), ("closed", 0.2)))
NOTES_NEUTRAL = (
    "客户来电咨询，已回复",
    "普通咨询，已解答",
    "同上",
    "见聊天记录",
    "客户不满，已安抚",
    "待回访",
    "重复来电",
    "转二线",
)
_WITH_DEVICES = {product.name for product in DEVICE_PRODUCTS}


@dataclass(frozen=True)
class Script:
    """What one contact is about."""

    says: tuple[Template, ...]
    """What the customer may say when they name the matter."""
    notes: tuple[Template, ...]
    """What the agent may write into the ticket."""
    label: str
    """The type that a careful agent chooses."""
    mood: float
    """Mean rating, 1–5."""
    named: float = 0.9
    """Probability that the customer names the matter at all."""
    ticket: float = 0.27
    """Probability that a ticket is made."""
    slots: tuple[tuple[str, str], ...] = ()
    """Slots of the templates that are fixed by the cause."""
    opening: str = ""
    """Words that everybody happens to begin with just now."""


@dataclass(frozen=True)
class Party:
    """Who contacts, about what, through which channel; `device` is the one they mean, if any."""

    person: Person
    product: Product
    channel: str
    device: Device | None
    firmware: str | None
    region: str
    app_version: str


class Contacts:
    """Plays contacts onto a timeline.

    Parameters
    ----------
    timeline
        Takes the events.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def play(
        self, rng: Random, ts: int, party: Party, script: Script, cause: Cause | None = None, hold: int = 0
    ) -> None:
        """Play one contact that begins at `ts` (epoch milliseconds); costs about 100 µs.

        `hold` is the moment at which a gateway that holds the channel's events lets them go; 0 = none does.
        """
        identity = self._identity(rng, party)
        dims = self._dimensions(rng, party)
        common: dict[str, Any] = {"channel": party.channel, **dims}
        if identity:
            common["customer"] = identity
        rfc = rng.random() < 0.45
        conversation = self._timeline.new_conversation(party.channel)
        product = party.product
        slots = {
            "product": product.aliases[int(rng.random() * len(product.aliases))],
            "model": (party.device.model if party.device else None) or product.name,
            "city": party.person.city,
            "phone": party.person.phone,
            "fullname": party.person.name,
            "surname": SURNAMES[int(rng.random() * len(SURNAMES))],
            "agent": f"{rng.randint(1, 89):03d}",
            **dict(script.slots),
        }
        key = party.person.key
        if party.channel == "store":
            end = ts + int(rng.random() * 600_000)
        elif party.channel == "hotline":
            end = self._call(rng, ts, common, conversation, slots, script, cause, key, rfc, hold)
        else:
            end = self._chat(rng, ts, party, common, conversation, slots, script, cause, key, rfc, hold)
        if rng.random() < (1.0 if party.channel == "store" else script.ticket):
            self._ticket(rng, end, common, conversation, slots, script, cause, key, rfc)
        if party.channel != "store" and rng.random() < 0.26:
            score = min(5, max(1, round(rng.gauss(script.mood, 1.1))))
            fields = {**common, "conversation": conversation, "score": score}
            self._timeline.add(
                "rating", end + 5_000 + int(rng.random() * 400_000), fields, rfc=rfc, cause=cause, customer=key
            )

    def _identity(self, rng: Random, party: Party) -> dict[str, str]:
        person, u = party.person, rng.random()
        if u < 0.015:
            return {}
        if party.channel in ("hotline", "store"):
            identity = {"phone": person.phone}
            if u < 0.08:
                identity["account"] = person.account
        elif party.channel in ("wechat", "miniapp"):
            identity = {"openid": person.openid}
            if u < 0.3:
                identity["phone"] = person.phone
            elif u < 0.4:
                identity["account"] = person.account
        else:
            identity = {"account": person.account}
            if u < 0.22:
                identity["phone"] = person.phone
        if party.device is not None and rng.random() < 0.22:
            identity["device"] = party.device.id
        return identity

    def _dimensions(self, rng: Random, party: Party) -> dict[str, Any]:
        dims: dict[str, Any] = {}
        u = rng.random
        if u() < 0.96:
            dims["line"] = party.product.line
        if u() < 0.91:
            dims["product"] = party.product.name
        if u() < 0.92:
            dims["region"] = party.region
        if party.device is not None and party.device.model is not None and u() < 0.72:
            dims["model"] = party.device.model
            if party.firmware is not None and u() < 0.62:
                dims["firmware"] = party.firmware
        if party.channel in ("app", "miniapp") and u() < 0.88:
            dims["dims"] = {"app_version": party.app_version}
        return dims

    def _words(
        self, rng: Random, script: Script, slots: dict[str, str], count: int, channel: str, traditional: bool
    ) -> list[str]:
        """Invent a customer's `count` turns: the matter (or something vague), then what follows."""
        say = GRAMMAR.say
        named = rng.random() < script.named
        turns: list[str] = []
        for turn in range(count):
            u = rng.random()
            pool = FOLLOW
            if turn == 0 or u < 0.3:
                pool = script.says if named and (turn == 0 or u < 0.2) else VAGUE
            template = pool[int(rng.random() * len(pool))]
            text = say(rng, template, slots)
            if pool is not FOLLOW:
                while rng.random() < 0.4:
                    text += "，" + say(rng, DETAIL[int(rng.random() * len(DETAIL))], slots)
            turns.append(write_like_a_customer(rng, text, traditional=traditional, typed=channel != "hotline"))
        return turns

    def _chat(
        self,
        rng: Random,
        ts: int,
        party: Party,
        common: dict[str, Any],
        conversation: str,
        slots: dict[str, str],
        script: Script,
        cause: Cause | None,
        key: str,
        rfc: bool,
        hold: int,
    ) -> int:
        add, say = self._timeline.add, GRAMMAR.say
        uniform = rng.random
        base = {**common, "conversation": conversation}
        traditional = party.region == "港澳" and uniform() < 0.6
        count = 1 + int(uniform() * uniform() * 4.2)
        words = self._words(rng, script, slots, count, party.channel, traditional)
        lines: list[tuple[str, str]] = []
        if script.opening:
            lines.append(("customer", script.opening))
        elif uniform() < 0.3:
            lines.append(("customer", say(rng, GREETINGS[int(uniform() * len(GREETINGS))], slots)))
        if party.channel != "email" and uniform() < 0.42:
            lines.append(("bot", say(rng, BOT[int(uniform() * len(BOT))], slots)))
        lines.append(("customer", words[0]))
        if party.channel != "email" and uniform() < 0.86:
            lines.append(("agent", say(rng, AGENT_OPEN[int(uniform() * len(AGENT_OPEN))], slots)))
            for word in words[1:]:
                lines.append(("customer", word))
                if uniform() < 0.45:
                    lines.append(("agent", say(rng, AGENT_TALK[int(uniform() * len(AGENT_TALK))], slots)))
            if uniform() < 0.35:
                lines.append(("customer", say(rng, THANKS[int(uniform() * len(THANKS))], slots)))
            if uniform() < 0.3:
                lines.append(("agent", say(rng, AGENT_CLOSE[int(uniform() * len(AGENT_CLOSE))], slots)))
        else:
            lines.extend(("customer", word) for word in words[1:])
        for role, text in lines:
            fields = {**base, "role": role, "text": text}
            if role == "agent":
                fields["agent"] = slots["agent"]
            arrival = hold + int(uniform() * 120_000) if hold else 0
            add("chat", ts, fields, rfc=rfc, cause=cause, customer=key, arrival=arrival)
            ts += 3_000 + int(uniform() * uniform() * 90_000)
        return ts

    def _call(
        self,
        rng: Random,
        ts: int,
        common: dict[str, Any],
        conversation: str,
        slots: dict[str, str],
        script: Script,
        cause: Cause | None,
        key: str,
        rfc: bool,
        hold: int,
    ) -> int:
        add, say = self._timeline.add, GRAMMAR.say
        uniform = rng.random
        base = {**common, "conversation": conversation}
        count = 1 + int(uniform() * 3.2)
        words = self._words(rng, script, slots, count, "hotline", False)
        lines = [("agent", say(rng, AGENT_OPEN[int(uniform() * len(AGENT_OPEN))], slots))]
        for word in words:
            lines.append(("customer", word))
            if uniform() < 0.7:
                lines.append(("agent", say(rng, AGENT_TALK[int(uniform() * len(AGENT_TALK))], slots)))
        if uniform() < 0.5:
            lines.append(("agent", say(rng, AGENT_CLOSE[int(uniform() * len(AGENT_CLOSE))], slots)))
        for role, text in lines:
            heard, confidence = recognise_speech(rng, text)
            if not heard:
                continue
            pieces = [heard]
            if role == "customer" and len(heard) > 12 and uniform() < 0.35:
                cut = 5 + int(uniform() * (len(heard) - 9))
                pieces = [heard[:cut], heard[cut:]]
            for piece in pieces:
                fields = {**base, "role": role, "text": piece}
                if role == "agent":
                    fields["agent"] = slots["agent"]
                if uniform() < 0.8:
                    fields["confidence"] = confidence
                arrival = hold + int(uniform() * 120_000) if hold else 0
                add("call", ts, fields, rfc=rfc, cause=cause, customer=key, arrival=arrival)
                ts += 1_500 + len(piece) * 220 + int(uniform() * 6_000)
        return ts

    def _ticket(
        self,
        rng: Random,
        end: int,
        common: dict[str, Any],
        conversation: str,
        slots: dict[str, str],
        script: Script,
        cause: Cause | None,
        key: str,
        rfc: bool,
    ) -> None:
        u = rng.random()
        if u < 0.44:
            label = CATCH_ALL
        elif u < 0.91:
            label = script.label
        else:
            label = CARELESS_LABELS[int(rng.random() * len(CARELESS_LABELS))]
        fields = {
            **common,
            "ticket": f"GD{rng.randrange(10**9):09d}",
            "type": label,
            "status": TICKETS.pick(rng),
        }
        u = rng.random()
        if u < 0.52:
            text = GRAMMAR.say(rng, script.notes[int(rng.random() * len(script.notes))], slots)
            if rng.random() < 0.25:
                text += "：" + GRAMMAR.say(rng, script.says[int(rng.random() * len(script.says))], slots)
            fields["text"] = text
        elif u < 0.8:
            fields["text"] = NOTES_NEUTRAL[int(rng.random() * len(NOTES_NEUTRAL))]
        if common["channel"] != "store" and rng.random() < 0.85:
            fields["conversation"] = conversation
        made = end + 300_000 + int(rng.random() ** 1.8 * 6_900_000)
        self._timeline.add("ticket", made, fields, rfc=rfc, cause=cause, customer=key)
        if label != script.label and rng.random() < 0.15:
            corrected = {**fields, "type": script.label, "status": "closed"}
            later = made + 1_200_000 + int(rng.random() * 4_200_000)
            self._timeline.add("ticket", later, corrected, rfc=rfc, cause=cause, customer=key)
