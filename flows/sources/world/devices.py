"""Device logs of ordinary days: heartbeats, use, background warnings and error codes with their own rhythm."""

from __future__ import annotations

from math import cos, pi
from random import Random
from typing import Any

from flows.sources.world.catalog import DEVICE_PRODUCTS
from flows.sources.world.grammar import Template, compile_template
from flows.sources.world.people import Device, Population, Weighted
from flows.sources.world.speech import GRAMMAR
from flows.sources.world.timeline import Cause, Timeline

_PRODUCT = Weighted((product, product.ownership) for product in DEVICE_PRODUCTS)
_MESSAGES = {
    product.name: tuple((level, compile_template(message)) for level, message in product.messages)
    for product in DEVICE_PRODUCTS
}
_CODES = {
    product.name: tuple((code, compile_template(code.message)) for code in product.codes) for product in DEVICE_PRODUCTS
}


class DeviceLogs:
    """Writes device logs onto a timeline.

    Parameters
    ----------
    timeline
        Takes the events.
    population
        Whose devices write.
    """

    def __init__(self, timeline: Timeline, population: Population) -> None:
        self._timeline = timeline
        self._population = population

    def ordinary(self, rng: Random, ts: int, hour: float) -> None:
        """Let some device write what it ordinarily writes around `hour` of the day."""
        product = _PRODUCT.pick(rng)
        device = self._population.owner_device(rng, product)
        u = rng.random()
        for code, template in _CODES[product.name]:
            rhythm = 1.0 + 0.6 * cos((hour - code.peak_hour) * pi / 12)
            u -= code.weight * rhythm
            if u < 0:
                self.write(rng, ts, device, code.level, code.code, template)
                return
        messages = _MESSAGES[product.name]
        level, template = messages[int(rng.random() ** 1.5 * len(messages))]
        self.write(rng, ts, device, level, "", template)

    def write(
        self,
        rng: Random,
        ts: int,
        device: Device,
        level: str,
        code: str,
        message: Template,
        *,
        firmware: str | None = None,
        cause: Cause | None = None,
    ) -> None:
        """Write one log line; `firmware` goes before the one that the device is known to have."""
        product, owner = device.product, device.owner
        fields: dict[str, Any] = {"line": product.line, "product": product.name}
        u = rng.random()
        if u < 0.97:
            fields["region"] = owner.region
        if device.model is not None:
            fields["model"] = device.model
            fields["firmware"] = firmware or device.firmware
        else:
            fields["channel"] = "app"
            fields["dims"] = {"app_version": owner.app_version}
        v = rng.random()
        if v < 0.28 or (device.model is None and v < 0.7):
            fields["customer"] = {"device": device.id, "account": owner.account}
        elif v < 0.8:
            fields["customer"] = {"device": device.id}
        fields["device"] = device.id
        fields["level"] = level
        if code:
            fields["code"] = code
        fields["message"] = GRAMMAR.say(rng, message, {})
        if 0.5 < u < 0.6:
            fields["metrics"] = {"rssi": -float(28 + int(u * 600) % 60), "mem": round(v * 100, 1)}
        self._timeline.add("device", ts, fields, rfc=False, cause=cause, customer=owner.key)
