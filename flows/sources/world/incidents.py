"""Batch incidents: one cause hits many customers; how it shows in device logs, contacts, tickets and silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from random import Random

from flows.sources.world.catalog import LINE_PRODUCTS, LINES, PRODUCT, REGIONS, Product
from flows.sources.world.contacts import CHANNEL, Party, Script
from flows.sources.world.grammar import compile_template
from flows.sources.world.people import Device, Person, Weighted
from flows.sources.world.setting import AppRelease, Plan, Rollout, Setting, Silence
from flows.sources.world.timeline import Cause
from flows.sources.world.troubles import OUTLETS, TROUBLES, Trouble

HOUR = 3_600_000
MINUTE = 60_000
TAIL_MS = 7 * HOUR
"""After a cause's end its last contacts, tickets and ratings have come in by then."""
NAMED = 0.6
"""Share of affected customers who name the fault; the others say something vague."""

Onset = Callable[[float], float]
"""Where between start (0) and end (1) of the cause a customer is hit, from a uniform number."""

_REGION = Weighted((name, share) for name, share, _ in REGIONS if share > 0.1)
_OUTLET = Weighted((("app", 0.4), ("hotline", 0.3), ("wechat", 0.3)))


def sudden(u: float) -> float:
    """Most are hit at once."""
    return u**3


def steady(u: float) -> float:
    """Customers are hit one after the other."""
    return u


def ramp(u: float) -> float:
    """Few at first, ever more later."""
    return float(u**0.45)


@dataclass(frozen=True)
class Kind:
    """One kind of incident: its sizes and how it is played."""

    name: str
    smallest: int
    largest: int
    """Customers hit."""
    hours: tuple[float, float]
    play: Callable[[Incidents, Random, Case], bool]
    """Puts it onto the timeline; False if there is nobody whom it could hit."""
    severe: bool = False


@dataclass(frozen=True)
class Case:
    """One incident to be played; `product`, `model`, `region` and `firmware` may be given or left to chance."""

    kind: Kind
    start: int
    end: int
    size: int
    product: Product | None = None
    model: str | None = None
    region: str | None = None
    firmware: str | None = None


class Incidents:
    """Plays incidents onto the timeline of a setting and enters them into its plan.

    Parameters
    ----------
    setting
        Stage, people and timeline.
    plan
        Takes causes, silences and roll-outs.
    """

    def __init__(self, setting: Setting, plan: Plan) -> None:
        self.setting = setting
        self.plan = plan
        self._serial = 0
        self._by_region: dict[str, list[Person]] = {name: [] for name, _, _ in REGIONS}
        for person in setting.population.people:
            self._by_region[person.region].append(person)

    def play(self, rng: Random, case: Case) -> bool:
        """Play one incident; False if nobody could be hit and nothing was done."""
        return case.kind.play(self, rng, case)

    def cause(self, case: Case, dims: dict[str, str]) -> Cause:
        """Open the truth of one incident."""
        self._serial += 1
        cause = Cause(
            f"w{self._serial:03d}-{case.kind.name}", case.kind.name, case.start, case.end, case.kind.severe, dims
        )
        self.plan.causes.append(cause)
        return cause

    def product_for(self, rng: Random, case: Case, trouble: Trouble) -> Product:
        """Choose the product that is hit: the given one, or one without another incident at the time."""
        if case.product is not None:
            return case.product
        busy = {
            cause.dims.get("product")
            for cause in self.plan.causes
            if cause.start < case.end + 6 * HOUR and case.start < cause.end + 6 * HOUR
        }
        names = [name for name in trouble.products if name not in busy] or list(trouble.products)
        return PRODUCT[names[int(rng.random() * len(names))]]

    def people(self, rng: Random, count: int, region: str | None = None) -> list[Person]:
        """Choose `count` different people, all of one region if it is given."""
        pool = self.setting.population.people if region is None else self._by_region[region]
        return rng.sample(pool, min(count, len(pool)))

    def cohort(self, product: Product, model: str | None, firmware: str | None) -> list[Device]:
        """Return the devices of a product that fit model and firmware, as they are at the beginning."""
        return [
            device
            for device in self.setting.population.devices[product.name]
            if (model is None or device.model == model) and (firmware is None or device.firmware == firmware)
        ]

    def open_channel(self, rng: Random, ts: int, weights: Weighted[str] = CHANNEL) -> str:
        """Choose a channel that is not silent at `ts`."""
        while True:
            channel = weights.pick(rng)
            if not any(s.channel == channel and s.start <= ts < s.end for s in self.plan.silences):
                return channel

    def contact(
        self,
        rng: Random,
        cause: Cause,
        trouble: Trouble,
        ts: int,
        person: Person,
        product: Product,
        *,
        device: Device | None = None,
        firmware: str | None = None,
        app_version: str | None = None,
        channels: Weighted[str] = CHANNEL,
        named: float = NAMED,
        slots: tuple[tuple[str, str], ...] = (),
        again: float = 0.14,
    ) -> None:
        """Let one affected person contact the centre at `ts`, and perhaps again later, maybe through another channel.

        Few write at night: most wait for the morning. Nobody comes for the first time three hours after the end.
        """
        latest = cause.end + 3 * HOUR
        first = True
        while True:
            hour = (ts // HOUR + 8) % 24
            if hour < 6 and rng.random() < 0.6:
                ts += (7 - hour) * HOUR + int(rng.expovariate(1 / 45) * MINUTE)
            if ts > latest:
                if not first:
                    return
                ts = cause.start + int((0.3 + 0.7 * rng.random()) * (cause.end + HOUR - cause.start))
            first = False
            party = Party(
                person=person,
                product=product,
                channel=self.open_channel(rng, ts, channels),
                device=device,
                firmware=firmware or (device.firmware if device else None),
                region=person.region,
                app_version=app_version or person.app_version,
            )
            script = Script(trouble.says, trouble.notes, trouble.label, trouble.mood, named, 0.4, slots)
            self.setting.contacts.play(rng, ts, party, script, cause)
            if rng.random() >= again:
                return
            ts += int(rng.lognormvariate(log(80), 0.7) * MINUTE)

    def when(self, rng: Random, case: Case, onset: Onset, delay_minutes: float, spread: float = 0.8) -> int:
        """Draw when somebody makes contact: hit at some moment, then a lognormal delay around `delay_minutes`."""
        hit = case.start + int(onset(rng.random()) * (case.end - case.start))
        return hit + int(rng.lognormvariate(log(delay_minutes), spread) * MINUTE)

    def crowd(
        self,
        rng: Random,
        case: Case,
        trouble: Trouble,
        product: Product,
        dims: dict[str, str],
        onset: Onset,
        delay_minutes: float,
        *,
        region: str | None = None,
        named: float = NAMED,
        slots: tuple[tuple[str, str], ...] = (),
        again: float = 0.14,
    ) -> bool:
        """Play an incident that only people notice: everybody hit makes contact."""
        cause = self.cause(case, dims)
        for person in self.people(rng, case.size, region):
            ts = self.when(rng, case, onset, delay_minutes)
            self.contact(rng, cause, trouble, ts, person, product, named=named, slots=slots, again=again)
        return True

    def owners(
        self,
        rng: Random,
        case: Case,
        trouble: Trouble,
        devices: list[Device],
        dims: dict[str, str],
        onset: Onset,
        delay_minutes: float,
        *,
        firmware: str | None = None,
        code: tuple[str, str, str] | None = None,
        logging: float = 0.0,
        contacting: float = 1.0,
        named: float = NAMED,
        slots: tuple[tuple[str, str], ...] = (),
    ) -> bool:
        """Play an incident of devices: a share `logging` of them writes `code`, a share `contacting` of owners comes.

        `code` is (level, code, message).
        """
        if not devices:
            return False
        cause = self.cause(case, dims)
        message = compile_template(code[2]) if code else ()
        for device in devices:
            hit = case.start + int(onset(rng.random()) * (case.end - case.start))
            if code is not None and rng.random() < logging:
                ts = hit
                for _ in range(1 + int(rng.random() ** 2 * 5)):
                    if ts < case.end:
                        self.setting.logs.write(
                            rng, ts, device, code[0], code[1], message, firmware=firmware, cause=cause
                        )
                    ts += int(rng.expovariate(1 / 14) * MINUTE)
            if rng.random() < contacting:
                ts = hit + int(rng.lognormvariate(log(delay_minutes), 0.8) * MINUTE)
                self.contact(
                    rng,
                    cause,
                    trouble,
                    ts,
                    device.owner,
                    device.product,
                    device=device,
                    firmware=firmware,
                    named=named,
                    slots=slots,
                )
        return True


def _pick_model(rng: Random, product: Product, given: str | None) -> str:
    if given is not None:
        return given
    return Weighted((model.name, model.share) for model in product.models).pick(rng)


def _next_firmware(stage: Incidents, product: Product, model: str | None) -> str:
    """Name a version that is newer than all in the field and than those of earlier incidents."""
    newest = max(firmware for m in product.models if model in (None, m.name) for firmware, _ in m.firmwares)
    major, minor, _ = newest.split(".")
    earlier = sum(
        cause.kind == "firmware_offline" and cause.dims["product"] == product.name for cause in stage.plan.causes
    )
    return f"{major}.{int(minor) + 1 + earlier}.0"


def roll_out(
    setting: Setting, plan: Plan, rng: Random, devices: list[Device], firmware: str, start: int, end: int
) -> dict[str, int]:
    """Bring `firmware` to `devices` between `start` and `end`; return the moment of each device.

    A part of them says so in a log line. These lines belong to no incident.
    """
    moments: dict[str, int] = {}
    done = compile_template(f"ota done to {firmware} cost={{ms}}ms")
    for device in devices:
        ts = start + int(rng.random() * (end - start))
        moments[device.id] = ts
        plan.rollouts.append(Rollout(ts, device, firmware))
        if rng.random() < 0.4:
            setting.logs.write(rng, ts, device, "info", "", done, firmware=firmware)
    return moments


def _firmware_offline(stage: Incidents, rng: Random, case: Case) -> bool:
    """A new firmware breaks connections: device logs at once, contacts some twenty minutes later."""
    trouble = TROUBLES["offline"]
    product = stage.product_for(rng, case, trouble)
    model = _pick_model(rng, product, case.model) if case.model or rng.random() < 0.5 else None
    firmware = case.firmware or _next_firmware(stage, product, model)
    cohort = stage.cohort(product, model, None)
    devices = rng.sample(cohort, min(case.size, len(cohort) * 6 // 10))
    moments = roll_out(stage.setting, stage.plan, rng, devices, firmware, case.start, case.start + 50 * MINUTE)
    spared = rng.sample(cohort, len(cohort) // 8)
    taken = set(moments)
    roll_out(
        stage.setting,
        stage.plan,
        rng,
        [device for device in spared if device.id not in taken],
        firmware,
        case.start - 20 * MINUTE,
        case.end,
    )
    code = next(code for code in product.codes if code.level == "error" and _is_connection(code.message))
    message = compile_template(code.message)
    dims = {"product": product.name, "firmware": firmware}
    if model is not None:
        dims["model"] = model
    cause = stage.cause(case, dims)
    for device in devices:
        ts = moments[device.id] + int(rng.expovariate(1 / 4) * MINUTE)
        contact = ts + int(rng.lognormvariate(log(28), 0.85) * MINUTE)
        for _ in range(2 + int(rng.random() ** 2 * 6)):
            if ts >= case.end:
                break
            stage.setting.logs.write(rng, ts, device, "error", code.code, message, firmware=firmware, cause=cause)
            ts += int(rng.expovariate(1 / 22) * MINUTE)
        if rng.random() < 0.4:
            stage.contact(rng, cause, trouble, contact, device.owner, product, device=device, firmware=firmware)
    major, minor, _ = firmware.split(".")
    roll_out(stage.setting, stage.plan, rng, devices, f"{major}.{minor}.9", case.end, case.end + HOUR)
    return True


def _is_connection(message: str) -> bool:
    return any(
        word in message for word in ("handshake", "unreachable", "connect", "link lost", "dock not found", "relay")
    )


def _model_firmware(stage: Incidents, rng: Random, case: Case) -> bool:
    """One firmware on one model misbehaves."""
    trouble = TROUBLES[rng.choice(("finger", "video", "offline"))]
    product = stage.product_for(rng, case, trouble)
    model = _pick_model(rng, product, case.model)
    found = next(m for m in product.models if m.name == model)
    firmware = case.firmware or Weighted(found.firmwares).pick(rng)
    cohort = stage.cohort(product, model, firmware)
    errors = [code for code in product.codes if code.level == "error"]
    code = errors[int(rng.random() * len(errors))]
    return stage.owners(
        rng,
        case,
        trouble,
        rng.sample(cohort, min(case.size, len(cohort) * 6 // 10)),
        {"product": product.name, "model": model, "firmware": firmware},
        rng.choice((sudden, steady)),
        35,
        code=(code.level, code.code, code.message),
        logging=rng.choice((0.0, 0.3, 0.6)),
        contacting=0.85,
    )


def _unseen_code(stage: Incidents, rng: Random, case: Case) -> bool:
    """A code that nobody has ever seen, from few devices; some customers read it out."""
    trouble = TROUBLES["code_on_screen"]
    product = stage.product_for(rng, case, trouble)
    model = _pick_model(rng, product, case.model)
    cohort = stage.cohort(product, model, None)
    code = f"E{rng.choice((8, 9))}{rng.randint(10, 99)}"
    message = rng.choice(
        (
            "watchdog reset cause={d}",
            "calib table invalid crc={n}",
            "nvram checksum bad page={d}",
            "aux bus fault t={ms}",
        )
    )
    return stage.owners(
        rng,
        case,
        trouble,
        rng.sample(cohort, min(case.size, len(cohort))),
        {"product": product.name, "model": model},
        steady,
        40,
        code=("error", code, f"{message} err={code}"),
        logging=0.95,
        contacting=0.4,
        slots=(("code", code),),
    )


def _battery(stage: Incidents, rng: Random, case: Case) -> bool:
    """A firmware drains batteries: it gets worse over a day."""
    trouble = TROUBLES["battery"]
    product = stage.product_for(rng, case, trouble)
    firmwares = Weighted((fw, model.share * share) for model in product.models for fw, share in model.firmwares)
    firmware = case.firmware or firmwares.pick(rng)
    cohort = stage.cohort(product, None, firmware)
    return stage.owners(
        rng,
        case,
        trouble,
        rng.sample(cohort, min(case.size, len(cohort) * 6 // 10)),
        {"product": product.name, "firmware": firmware},
        ramp,
        90,
        code=("warn", "", "drain rate high {pct}mA state={d}"),
        logging=0.25,
    )


def _double_charge(stage: Incidents, rng: Random, case: Case) -> bool:
    """A billing run charges twice: nothing but contacts."""
    trouble = TROUBLES["double_charge"]
    product = stage.product_for(rng, case, trouble)
    return stage.crowd(rng, case, trouble, product, {"product": product.name}, sudden, 45)


def _payment_outage(stage: Incidents, rng: Random, case: Case) -> bool:
    """The payment gateway is down: the app logs timeouts, people stand at tills."""
    trouble = TROUBLES["pay_down"]
    product = PRODUCT["钱包付款"]
    cause = stage.cause(case, {"product": product.name})
    message = compile_template("gateway timeout cost={ms}ms")
    devices = stage.setting.population.devices[product.name]
    for device in rng.sample(devices, min(case.size, len(devices))):
        hit = case.start + int(rng.random() * (case.end - case.start))
        if rng.random() < 0.6:
            for _ in range(1 + int(rng.random() * 3)):
                stage.setting.logs.write(rng, min(hit, case.end - 1), device, "error", "E610", message, cause=cause)
                hit += int(rng.random() * 90_000)
        if rng.random() < 0.6:
            ts = hit + int(rng.lognormvariate(log(9), 0.8) * MINUTE)
            stage.contact(rng, cause, trouble, ts, device.owner, product)
    return True


def _login_broken(stage: Incidents, rng: Random, case: Case) -> bool:
    """A new version of the app cannot log in, for customers of every line."""
    trouble = TROUBLES["login"]
    version = (
        "9.4.0" if all(c.dims.get("app_version") != "9.4.0" for c in stage.plan.causes) else f"9.4.{stage._serial}"
    )
    cause = stage.cause(case, {"app_version": version})
    people = stage.people(rng, case.size * 3)
    channels = Weighted((("app", 0.32), ("hotline", 0.3), ("miniapp", 0.2), ("wechat", 0.12), ("web", 0.06)))
    refused = compile_template("token refresh refused st={d}")
    for number, person in enumerate(people):
        stage.plan.releases.append(
            AppRelease(case.start + int(rng.random() * (case.end - case.start)), person, version)
        )
        if number >= case.size:
            continue
        line = Weighted(zip(LINES, (0.25, 0.3, 0.3, 0.15), strict=True)).pick(rng)
        product = rng.choice(LINE_PRODUCTS[line])
        ts = stage.when(rng, case, steady, 16)
        for device in person.devices:
            if device.product.name == "钱包付款" and rng.random() < 0.5:
                before = person.app_version
                person.app_version = version
                stage.setting.logs.write(
                    rng, max(case.start, ts - 12 * MINUTE), device, "error", "E640", refused, cause=cause
                )
                person.app_version = before
        stage.contact(rng, cause, trouble, ts, person, product, app_version=version, channels=channels)
    return True


def _codes_by_sms(stage: Incidents, rng: Random, case: Case) -> bool:
    """A carrier loses messages: weak everywhere, in every line, region and channel."""
    trouble = TROUBLES["sms"]
    cause = stage.cause(case, {})
    for person in stage.people(rng, case.size):
        line = Weighted(zip(LINES, (0.25, 0.25, 0.25, 0.25), strict=True)).pick(rng)
        product = rng.choice(LINE_PRODUCTS[line])
        stage.contact(rng, cause, trouble, stage.when(rng, case, steady, 15), person, product)
    return True


def _regional(name: str, onset: Onset, delay: float, always: bool) -> Callable[[Incidents, Random, Case], bool]:
    """Build an incident of one product in one region (or, when not `always`, sometimes everywhere)."""

    def play(stage: Incidents, rng: Random, case: Case) -> bool:
        trouble = TROUBLES[name]
        product = stage.product_for(rng, case, trouble)
        region = case.region or (_REGION.pick(rng) if always or rng.random() < 0.6 else None)
        dims = {"product": product.name}
        if region is not None:
            dims["region"] = region
        return stage.crowd(rng, case, trouble, product, dims, onset, delay, region=region)

    return play


def _invoice_down(stage: Incidents, rng: Random, case: Case) -> bool:
    """The invoice system fails for one business line."""
    line = case.product.line if case.product else LINES[int(rng.random() * len(LINES))]
    trouble = TROUBLES["invoice_down"]
    cause = stage.cause(case, {"line": line})
    for person in stage.people(rng, case.size):
        stage.contact(rng, cause, trouble, stage.when(rng, case, steady, 30), person, rng.choice(LINE_PRODUCTS[line]))
    return True


def _refund_missing(stage: Incidents, rng: Random, case: Case) -> bool:
    """A payout run got lost: the same customers come again and again."""
    trouble = TROUBLES["refund_missing"]
    product = stage.product_for(rng, case, trouble)
    dims = {"product": product.name}
    return stage.crowd(rng, case, trouble, product, dims, steady, 60, again=0.62)


def _channel_silent(stage: Incidents, rng: Random, case: Case) -> bool:
    """A channel takes no contacts; few complain elsewhere."""
    channel = _OUTLET.pick(rng)
    cause = stage.cause(case, {"channel": channel})
    stage.plan.silences.append(Silence(channel, case.start, case.end))
    for person in stage.people(rng, case.size):
        line = Weighted(zip(LINES, (0.3, 0.3, 0.2, 0.2), strict=True)).pick(rng)
        product = rng.choice(LINE_PRODUCTS[line])
        ts = stage.when(rng, case, steady, 20)
        stage.contact(rng, cause, TROUBLES["unreachable"], ts, person, product, slots=(("outlet", OUTLETS[channel]),))
    return True


def _smoke(stage: Incidents, rng: Random, case: Case) -> bool:
    """A batch of one model is dangerous: few customers, every one of them counts."""
    trouble = TROUBLES["smoke"]
    product = stage.product_for(rng, case, trouble)
    model = _pick_model(rng, product, case.model)
    cohort = stage.cohort(product, model, None)
    dims = {"product": product.name, "model": model}
    devices = rng.sample(cohort, min(case.size, len(cohort)))
    return stage.owners(rng, case, trouble, devices, dims, steady, 20, named=0.8)


def _illness(stage: Incidents, rng: Random, case: Case) -> bool:
    """One kitchen makes people ill."""
    trouble = TROUBLES["illness"]
    product = stage.product_for(rng, case, trouble)
    region = case.region or _REGION.pick(rng)
    dims = {"product": product.name, "region": region}
    return stage.crowd(rng, case, trouble, product, dims, steady, 60, region=region, named=0.8)


def _scam(stage: Incidents, rng: Random, case: Case) -> bool:
    """Swindlers pose as the service."""
    trouble = TROUBLES["scam"]
    product = stage.product_for(rng, case, trouble)
    dims = {"product": product.name}
    return stage.crowd(rng, case, trouble, product, dims, steady, 40, named=0.8)


KINDS: tuple[Kind, ...] = (
    Kind("firmware_offline", 60, 420, (2.5, 8), _firmware_offline),
    Kind("model_firmware", 18, 110, (2, 8), _model_firmware),
    Kind("unseen_code", 8, 45, (2, 8), _unseen_code),
    Kind("slow_battery", 25, 110, (10, 28), _battery),
    Kind("double_charge", 20, 280, (1, 4), _double_charge),
    Kind("payment_outage", 40, 600, (0.5, 2), _payment_outage),
    Kind("login_broken", 25, 220, (1.5, 6), _login_broken),
    Kind("sms_missing", 40, 160, (2, 8), _codes_by_sms),
    Kind("delivery_stuck", 15, 180, (3, 10), _regional("stuck", steady, 40, True)),
    Kind("rotten_batch", 15, 120, (8, 26), _regional("rotten", ramp, 60, False)),
    Kind("wrong_goods", 12, 90, (2, 7), _regional("wrong_goods", sudden, 60, False)),
    Kind("topup_missing", 12, 110, (1.5, 5), _regional("topup_missing", steady, 20, False)),
    Kind("booking_lost", 8, 60, (2, 8), _regional("booking_lost", steady, 20, False)),
    Kind("invoice_down", 12, 80, (3, 10), _invoice_down),
    Kind("refund_missing", 10, 70, (8, 30), _refund_missing),
    Kind("channel_silent", 6, 30, (1, 4), _channel_silent),
    Kind("smoke", 5, 12, (3, 12), _smoke, severe=True),
    Kind("illness", 5, 12, (2, 8), _illness, severe=True),
    Kind("scam", 5, 12, (3, 14), _scam, severe=True),
)
KIND: dict[str, Kind] = {kind.name: kind for kind in KINDS}
