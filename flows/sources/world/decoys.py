"""Decoys: what looks like an incident and is none, and never stands in the truth."""

from __future__ import annotations

from datetime import datetime
from random import Random

from flows.sources.world.catalog import DEVICE_PRODUCTS, FRESH, LINES, PRODUCT, REGIONS, TRAVEL
from flows.sources.world.contacts import Party, Script
from flows.sources.world.grammar import compile_template
from flows.sources.world.incidents import HOUR, MINUTE, Incidents, roll_out
from flows.sources.world.people import Weighted
from flows.sources.world.setting import Fashion, Hold, Plan, Promotion, Setting
from flows.sources.world.speech import BOT, GRAMMAR, VAGUE
from flows.sources.world.timeline import SHANGHAI
from flows.sources.world.topics import TOPICS
from flows.sources.world.troubles import TROUBLES

DECOYS: tuple[str, ...] = (
    "promotion_day",
    "weekly_peak",
    "angry_customer",
    "bot_loop",
    "echoed_slogan",
    "late_batch",
    "flooding_device",
    "heartbeat_storm",
    "fine_rollout",
    "viral_greeting",
)
PROMOTIONS = (("鲜享会员日", FRESH), ("宅家购物节", "智慧家居"), ("出游焕新周", TRAVEL), ("支付立减日", "云付数码"))
SLOGANS = (
    "【鲜享周年庆】满199减60！复制口令#鲜到就是赚到#打开app领券，邀三位好友再得20元，详情回复666",
    "转发此条：宅家节全场智能设备5折起，前1000名送滤芯，口令￥家有前哨￥，仅限今天，手慢无！",
    "帮我点一下助力，还差一刀！点链接领出游红包最高888元，口令#说走就走#，感谢家人们",
)
GREETINGS_OF_THE_DAY = (
    ("泼天的富贵轮到客服了", "今天也是元气满满的打工人"),
    ("哈基米哈基米，在不在", "哈基米，出来接客"),
    ("家人们谁懂啊", "谁懂啊家人们，问个事"),
)
_HEARTBEAT = compile_template("keepalive ok up={n}h rssi=-{db}")
_FLOOD = compile_template("watch loop retry seq={n} state={d}")


def promotion_day(setting: Setting, plan: Plan, rng: Random, day: int, number: int) -> None:
    """Plan a promotion for the whole local day that begins at `day`, and enter it into the calendar."""
    name, line = PROMOTIONS[number % len(PROMOTIONS)]
    factor = round(2.0 + rng.random(), 1)
    plan.promotions.append(Promotion(line, day, day + 24 * HOUR, factor))
    plan.calendar.append((_date(day), name, line, str(factor)))
    plan.decoys.append(("promotion_day", day, day + 24 * HOUR))


def _date(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, tz=SHANGHAI).date().isoformat()


def angry_customer(stage: Incidents, rng: Random, ts: int) -> None:
    """One customer writes eighty messages within three hours about one single case."""
    setting = stage.setting
    product = PRODUCT[rng.choice(("生鲜采购", "酒店住宿", "会员订阅", "智能门锁"))]
    trouble = rng.choice([t for t in TROUBLES.values() if product.name in t.products])
    person = setting.population.anybody(rng)
    pool = trouble.says + VAGUE
    begin = ts
    slots = {"product": product.aliases[0], "model": product.name, "city": person.city}
    for _ in range(80):
        fields = {
            "channel": "app",
            "line": product.line,
            "product": product.name,
            "region": person.region,
            "customer": {"account": person.account},
            "conversation": f"a{person.account}",
            "role": "customer",
            "text": GRAMMAR.say(rng, rng.choice(pool), slots) + rng.choice(("", "！！", "？？？", "！！！！")),
        }
        setting.timeline.add("chat", ts, fields, rfc=True)
        ts += int(rng.expovariate(1 / 120) * 1000) + 1000
    stage.plan.decoys.append(("angry_customer", begin, ts))


def bot_loop(stage: Incidents, rng: Random, ts: int) -> None:
    """A customer's own auto-reply and the bot talk to each other sixty times."""
    person = stage.setting.population.anybody(rng)
    begin = ts
    answers = ("您好，我现在不方便，稍后回复您", "[自动回复]您好，我现在有事不在")
    answer, reply = rng.choice(answers), GRAMMAR.say(rng, BOT[1], {})
    for turn in range(120):
        fields = {
            "channel": "wechat",
            "region": person.region,
            "customer": {"openid": person.openid},
            "conversation": f"w{person.account}",
            "role": "customer" if turn % 2 else "bot",
            "text": answer if turn % 2 else reply,
        }
        stage.setting.timeline.add("chat", ts, fields, rfc=False)
        ts += 2_000 + int(rng.random() * 4_000)
    stage.plan.decoys.append(("bot_loop", begin, ts))


def echoed_slogan(stage: Incidents, rng: Random, ts: int) -> None:
    """Thirty to sixty customers paste the same advertisement within two hours."""
    slogan = rng.choice(SLOGANS)
    offers = next(topic for topic in TOPICS if topic.name == "offers")
    script = Script(
        (compile_template(slogan.replace("[", "【").replace("]", "】")),), offers.notes, offers.label, 3.8, 1.0, 0.1
    )
    product = PRODUCT[rng.choice(("生鲜采购", "商超日用", "智能门锁", "酒店住宿"))]
    for person in stage.people(rng, rng.randint(30, 60)):
        at = ts + int(rng.random() * 2 * HOUR)
        channel = rng.choice(("app", "wechat", "wechat", "miniapp"))
        party = Party(person, product, channel, None, None, person.region, person.app_version)
        stage.setting.contacts.play(rng, at, party, script)
    stage.plan.decoys.append(("echoed_slogan", ts, ts + 2 * HOUR))


def late_batch(stage: Incidents, rng: Random, ts: int) -> None:
    """A gateway holds one region's events of one line for forty minutes and lets them go two to five hours later."""
    line = rng.choice(LINES)
    region = Weighted((name, share) for name, share, _ in REGIONS if share > 0.1).pick(rng)
    release = ts + int((2 + 3 * rng.random()) * HOUR)
    stage.plan.holds.append(Hold(line, region, ts, ts + 40 * MINUTE, release))
    stage.plan.decoys.append(("late_batch", ts, release))


def flooding_device(stage: Incidents, rng: Random, ts: int) -> None:
    """One device writes the same line some thousand times within twenty minutes."""
    setting = stage.setting
    product = rng.choice([product for product in DEVICE_PRODUCTS if product.models])
    device = setting.population.owner_device(rng, product)
    hours = (setting.end - setting.start) / HOUR
    count = max(1_000, min(5_000, int(setting.rate * hours * 3600 * 0.012)))
    code = rng.choice([code for code in product.codes if code.level == "error"])
    for _ in range(count):
        setting.logs.write(rng, ts + int(rng.random() * 20 * MINUTE), device, "error", code.code, _FLOOD)
    stage.plan.decoys.append(("flooding_device", ts, ts + 20 * MINUTE))


def heartbeat_storm(stage: Incidents, rng: Random, ts: int) -> None:
    """Every night all devices of two products send a heartbeat within five minutes."""
    setting = stage.setting
    count = int(min(setting.rate * 1_500, 6_000))
    for name in ("智能门锁", "家用摄像机"):
        devices = setting.population.devices[name]
        for device in rng.sample(devices, min(count // 2, len(devices))):
            setting.logs.write(rng, ts + int(rng.random() * 5 * MINUTE), device, "info", "", _HEARTBEAT)
    stage.plan.decoys.append(("heartbeat_storm", ts, ts + 5 * MINUTE))


def fine_rollout(stage: Incidents, rng: Random, ts: int) -> None:
    """A planned firmware that is fine: every device says so, some customers ask what is new."""
    setting = stage.setting
    busy = {cause.dims.get("product") for cause in stage.plan.causes}
    products = [product for product in DEVICE_PRODUCTS if product.models]
    product = rng.choice([product for product in products if product.name not in busy] or products)
    model = product.models[-1]
    major, minor, patch = model.firmwares[0][0].split(".")
    firmware = f"{major}.{minor}.{int(patch) + 20}"
    cohort = stage.cohort(product, model.name, None)
    devices = rng.sample(cohort, min(len(cohort) // 2, int(400 * min(2.0, setting.rate / 0.3 + 0.2))))
    end = ts + 5 * HOUR
    moments = roll_out(setting, stage.plan, rng, devices, firmware, ts, end)
    news = next(topic for topic in TOPICS if topic.name == "version_news")
    script = Script(news.says, news.notes, news.label, news.mood)
    for device in devices:
        if rng.random() < 0.06:
            at = moments[device.id] + int(rng.random() * 3 * HOUR)
            owner = device.owner
            party = Party(
                owner, product, stage.open_channel(rng, at), device, firmware, owner.region, owner.app_version
            )
            setting.contacts.play(rng, at, party, script)
    stage.plan.decoys.append(("fine_rollout", ts, end))


def viral_greeting(stage: Incidents, rng: Random, ts: int) -> None:
    """For half a day every seventh chat begins with the joke of the day."""
    stage.plan.fashions.append(Fashion(ts, ts + 12 * HOUR, 0.15, rng.choice(GREETINGS_OF_THE_DAY)))
    stage.plan.decoys.append(("viral_greeting", ts, ts + 12 * HOUR))
