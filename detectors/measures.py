"""What one observation counts as, and which of it may speak alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence, Set

from detectors.counts import Measured
from detectors.levels import LOUD, QUIET
from qianshao.event import BENIGN_TOPICS, BODILY, CLEARLY_NEGATIVE, Observation, summary
from qianshao.finding import SignalKind

WITNESS = {"code": "devices", "template": "devices", "metric": "devices", "ticket_type": "tickets"}
"""The independent source a measure speaks for; contacts, where it is not named."""
KIND: dict[str, SignalKind] = {"code": "device", "template": "device", "metric": "device", "returned": "repeat"}
"""How a rise of a measure is called, where it is not simply a rise."""
GRUMBLES = frozenset(("超时", "态度差", "没人理"))
"""Faults of the shipped taxonomy that customers tell of in every rush hour."""
DANGEROUS_TOPICS = frozenset(("安全隐患", "诈骗信息"))
"""Topics of the shipped taxonomy whose words count as nothing where no danger is asserted."""
HARM_OR_NOTHING = frozenset(("食物中毒", "起火", "爆炸", "触电", "被骗"))
"""Faults of the shipped taxonomy that are dangers: where none is asserted, they are what people heard or fear."""
SUSPICIOUS = "资金安全/可疑来电"
BENIGN_TYPES = ("咨询", "其他", "其它", "表扬")
"""In the name of a ticket type: nothing failed, or nobody says what."""
BENIGN_WORDS = (
    *("咨询", "询问", "查询", "售前", "表扬", "客户建议", "价保", "指导", "已解答", "已告知"),
    *("回电", "评价反馈", "已安抚", "已致歉", "已提醒", "修改", "核对", "无误", "客户认可", "解释"),
)
"""In the name of a theme: agents wrote down that somebody asked, or what they did about it, not what failed."""
MANY_ASKED, MOSTLY_ASKED, ANY_TROUBLE = 10, 0.6, 0.15
"""Of so many customers, of whom so many ask, at least this share must be upset or name a fault."""
MOSTLY_UPSET, UPSET_ON_A_PLANNED_DAY = 0.4, 0.7
"""Where so many customers are upset, something failed, whatever they speak about; on a promotion day more are."""
ONE_TOPIC = 0.5
"""Share of a theme's customers who must speak about one topic: those who share no topic share no cause."""
MANY_TEXTS = 3
"""Customers whose tickets must say something before it tells whether they agree."""
WARNED_AT_LEAST = 10
"""Devices that must log a code which is only a warning, before it opens alone."""
ALONE_AT_LEAST = {"metric": 20, "negative": 20, "returned": 15}
"""Devices that must report strange metrics, before they open alone: nothing says yet that anything failed; customers
who must be unhappy while no more come than usual, or must have come back: nothing says yet about what."""
LIFT_ALONE = {"trouble": 5.0}
"""How many times as many as expected must tell of trouble: one product has bad days, and everybody may have his own."""
_ASKS = re.compile(r"[吗？?]|怎么|如何|什么|多少|几点|哪[里个儿]|有没有|能不能|可不可以")
_HANDLED = re.compile(
    r"(?:[已待需请](?:回复|处理|解决|跟进|记录|登记|反馈|升级)(?:完毕|完成)?|处理(?:中|完毕)"
    r"|转(?:交|给)?(?:相关|其他|对应)?(?:部门|技术|专员|人工|二线|同事)(?:处理|跟进)?|客户(?:满意|知悉|致谢)|[，。、；,;\s])+"
)
"""A ticket that says what an agent did, and no word of what about."""
_MAINTAINED = re.compile(r"(?<![a-z])maint(?:enance)?(?![a-z])|维护(?:窗口|模式|时段|期间|中)", re.IGNORECASE)
"""A log line that speaks of work on the service."""


def device_measures(observation: Observation) -> list[Measured]:
    """What a device log counts as by its words: its code, or the template of an error without one.

    A code that a device writes for information is no fault: a self-test that was passed, a session that began. Nor is
    what it writes of maintenance.
    """
    if observation.code and observation.level not in QUIET:
        measured = ("code", observation.code)
    elif not observation.code and observation.template and observation.level in LOUD:
        measured = ("template", observation.template)
    else:
        return []
    return [] if _MAINTAINED.search(observation.text) else [measured]  # of few lines only: most are heartbeats


def voice_measures(observation: Observation) -> list[Measured]:
    """What a customer's words count as, or an agent's words about them.

    A word of danger that is not asserted — hearsay, a worry, a question — counts as nothing. A danger counts under its
    kind and under its family: a batch that smokes also shocks and burns.
    """
    measures: list[Measured] = []
    if observation.danger or observation.topic not in DANGEROUS_TOPICS:
        if observation.topic:
            measures.append(("topic", observation.topic))
        if observation.theme and may_open("theme", observation.theme):
            measures.append(("theme", observation.theme))
        terms = observation.terms[:4]
        measures.extend(("term", term) for term in terms if observation.danger or term not in HARM_OR_NOTHING)
    if observation.sentiment < CLEARLY_NEGATIVE:
        measures.append(("negative", ""))
    if observation.danger:
        measures.append(("danger", observation.danger))
        family, _, kind = observation.danger.partition("/")
        if kind:
            measures.append(("danger", family))
    return measures


def bodily(measure: str, value: str) -> bool:
    """Return whether a series counts harm to body: there two customers who name one thing may be enough."""
    return measure == "danger" and value.partition("/")[0] == BODILY


def harm_done(measure: str, value: str) -> bool:
    """Return whether somebody came to harm; a call that was only suspicious, and a family with such calls, is not."""
    return measure == "danger" and value not in (SUSPICIOUS, SUSPICIOUS.partition("/")[0])


def may_open(measure: str, value: str) -> bool:
    """Return whether a measure value may open an incident without another witness."""
    if measure in ("topic", "returned"):
        return value not in BENIGN_TOPICS
    if measure == "ticket_type":
        return not any(word in value for word in BENIGN_TYPES)
    if measure == "theme":
        return not any(word in value for word in BENIGN_WORDS)
    return measure != "negative"


def promoted(events: Sequence[Observation], planned: Collection[str]) -> bool:
    """Return whether most of those who state a line are of one in which something is planned today; '' is all."""
    if "" in planned:
        return True
    lines = [event.line for event in events if event.line]
    return 2 * sum(line in planned for line in lines) > len(lines)


def worked_on(events: Sequence[Observation], work: Sequence[tuple[str, str]]) -> bool:
    """Return whether most events come from what is worked on today, as `Calendar.work` says: by line and by name."""

    def concerns(event: Observation, line: str, name: str) -> bool:
        things = [thing for thing in (event.product, event.line) if thing]
        named = not name or any(thing in name or name in thing for thing in things)
        return (not line or event.line == line) and named

    return 2 * sum(any(concerns(event, *each) for each in work) for event in events) > len(events)


def benign(events: Sequence[Observation], planned: Collection[str] = ()) -> bool:
    """Most of the words are about what customers ask anyway, such as prices on a promotion day, and few are upset.

    So it is where many only ask, and hardly anybody names a fault: a new product is asked about.
    """
    upset = {event.customer for event in events if event.sentiment < CLEARLY_NEGATIVE}
    if _only_ask([event for event in events if event.kind in ("chat", "call")], upset):
        return True
    topics = [event.topic for event in events if event.topic and not event.danger]
    if not 2 * sum(topic in BENIGN_TOPICS for topic in topics) > len(topics) > 0:
        return False
    many = UPSET_ON_A_PLANNED_DAY if promoted(events, planned) else MOSTLY_UPSET
    upset |= {event.customer for event in events if event.terms}  # who names a fault does not ask
    return len(upset) < many * len({event.customer for event in events})


def _only_ask(voices: Sequence[Observation], upset: Set[int]) -> bool:
    customers = {event.customer for event in voices}
    if len(customers) < MANY_ASKED:
        return False
    asking = {event.customer for event in voices if _ASKS.search(event.text)}
    troubled = {event.customer for event in voices if event.terms or event.danger or event.customer in upset}
    return len(asking) >= MOSTLY_ASKED * len(customers) and len(troubled) < ANY_TROUBLE * len(customers)


def scattered(events: Sequence[Observation]) -> bool:
    """The customers speak about many topics: what joins them is a habit of agents, such as 已登记."""
    topics = [event.topic for event in events if event.topic]
    return bool(topics) and max(Counter(topics).values()) < ONE_TOPIC * len(topics)


def mislabelled(events: Sequence[Observation], keywords: Sequence[str]) -> bool:
    """Neither one topic nor one telling word is in half of the tickets: what joins them is who labelled them."""
    texts = [event for event in events if event.text]
    if len({event.customer for event in texts}) < MANY_TEXTS:
        return False
    telling = [event for event in texts if _says_what(summary(event.text))]
    topics = Counter(event.topic for event in telling if event.topic)
    words = Counter(word for event in telling for word in keywords if word in event.text or word in event.tokens)
    best = max([*topics.values(), *words.values()], default=0)
    return best < ONE_TOPIC * len(texts)


def _says_what(said: str) -> bool:
    return may_open("theme", said) and not _HANDLED.fullmatch(said)


def only_warned(events: Sequence[Observation]) -> bool:
    """Few devices, and none of them says that anything failed."""
    return all(event.level == "warn" for event in events) and len({event.device for event in events}) < WARNED_AT_LEAST
