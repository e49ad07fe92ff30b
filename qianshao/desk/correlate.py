"""What belongs to one cause, and what another one explains: by customers, by what it is about, and by where it lies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import tzinfo
from enum import IntEnum
from typing import NamedTuple

from qianshao.clock import HOUR_MS, MINUTE_MS, waking_between
from qianshao.desk.case import LEAST_STATED, UNNAMED_MEASURES, Case, stated
from qianshao.event import BODILY, DIMENSIONS, WIDE_DIMENSIONS, values_of
from qianshao.finding import Finding

SAME_VALUE_MS = 24 * HOUR_MS
COMES_BACK_MS = 48 * HOUR_MS
"""So long after it the same is said of a product once more."""
SAME_CAUSE_MS = 6 * HOUR_MS
SAME_RELEASE_MS = 12 * HOUR_MS
SAME_PRODUCT_MS = 3 * HOUR_MS
ANOTHER_CODE_MS = 6 * HOUR_MS
"""So long after a fault of a version another code of it is another cause."""
EXACT_PLACE_MS = HOUR_MS
BLACKOUT_MS = 30 * MINUTE_MS
"""Within so long devices of several products fail in one place, where its power or network does."""
SHARED_CUSTOMERS = 0.35
LEAST_SHARED = 3
ELSEWHERE = 0.2
"""Events of which a smaller share is of a place, of at least so many that say where they are, lie elsewhere."""
BEYOND = 0.35
"""So much of what says the same must lie at the place of a case: of two causes the one that is everywhere says some of
the other's words in the other's place, too."""
STILL_FED_MS = HOUR_MS
"""An incident without new evidence for longer, nights not counted, explains nothing that begins then, open or not."""
MANY = 7
"""People from whom on most of a case's customers say what it is about."""
EXPLAINED = 0.2
"""So large a share of a secondary case's customers or devices must be those of the incident that explains it, and of
the smaller of two cases those of the other, for them to be two words for one cause."""
SAME_SUBJECT = 0.1
"""How well a case is explained by what both are about, or by one release, when few people are known to be the same."""
PEOPLE_ONLY = frozenset(
    ("物流配送", "错发漏发", "退款售后", "发票", "价格", "优惠活动", "改签退票", "服务态度", "会员积分", "信息隐私")
)
"""Topics of the shipped taxonomy that no device brings about: what one reports at the same time is another cause."""
ASKED_ANYHOW = frozenset(("使用咨询", "优惠活动", "价格", "会员积分"))
"""Topics of the shipped taxonomy that bear no witness beside a word."""
UNREACHABLE = ("联系不上", "打不通", "没人接", "无人接听")
"""In a word or a fault: customers do not get through. While a channel is silent, that is why."""
CHARGED = "支付扣款"
MONEY_GONE = "资金安全/盗刷"
"""Who is charged wrongly says that money was taken: told apart from theft only by how many they are."""
ONE_SYSTEM = frozenset(("账号登录", "支付扣款", "发票", "优惠活动", "应用故障"))
"""Topics that one system brings about for all lines: where two lines tell of one within hours, it is one cause."""
TOPICS_OF = {
    BODILY: frozenset(("安全隐患", "食品安全")),
    "资金安全": frozenset(("诈骗信息", "信息隐私")),
}
"""What is told beside a danger and means the same."""
SAME_FAMILY = {"信息安全": "资金安全"}
"""Who is called by a swindler that knows the order says that it leaked, and whose data leaked is called."""
OWN_MEASURES = ("code", "template", "metric")
"""What devices say by themselves: a value that the broader incident does not know is a cause of its own."""


def contradict(one: Mapping[str, str | list[str]], other: Mapping[str, str | list[str]]) -> bool:
    """True when two dimension combinations name different values of one dimension.

    A list of values contradicts only in the product: several regions together are what few customers happened to state.
    The channel does not count: the same trouble is told by telephone and in the app.

    >>> contradict({"product": "门锁"}, {"product": "门锁", "region": "华东"})
    False
    >>> contradict({"region": "华东"}, {"region": "华南"})
    True
    >>> contradict({"region": ["华东", "华北"]}, {"region": "华南"})
    False
    """
    for name in one.keys() & other.keys() - {"channel"}:
        vague = isinstance(one[name], list) or isinstance(other[name], list)
        if (name == "product" or not vague) and not set(values_of(one[name])) & set(values_of(other[name])):
            return True
    return False


class Said(NamedTuple):
    """What the events of a finding say, counted once for all cases it is compared with."""

    people: dict[int, int]
    """Customers, each with the time of an event."""
    topic: str | None
    """What most of those that have one are about."""
    places: dict[str, dict[str, int]]
    """Dimension → value → events that state it."""


def said_by(finding: Finding) -> Said:
    """Count what the events of a finding say; linear in its evidence."""
    topics: dict[str, int] = {}
    places: dict[str, dict[str, int]] = {}
    for event in finding.evidence:
        if event.topic:
            topics[event.topic] = topics.get(event.topic, 0) + 1
        for name, value in stated(event).items():
            counts = places.setdefault(name, {})
            counts[value] = counts.get(value, 0) + 1
    return Said(
        people={event.customer: event.ts for event in finding.evidence if event.customer},
        topic=_most(topics),
        places=places,
    )


class Bond(IntEnum):
    """Why a finding belongs to a case, the weakest reason first."""

    NONE = 0
    LED = 1
    """Devices lead and people follow in one product within hours, or the other way round."""
    EXACT_PLACE = 2
    """Exactly the same place with a product within an hour: two causes in one product in one hour are rarer than two
    words for one cause."""
    PROBLEM = 3
    """The same topic in the same product, or the same fine place, within hours."""
    RELEASE = 4
    """The same model or release within half a day."""
    VALUE = 5
    """The same measure value in a place that does not contradict, within a day, of one product within two."""
    PEOPLE = 6
    """Enough of the same customers."""


def belongs(finding: Finding, said: Said, case: Case, zone: tzinfo) -> tuple[Bond, float]:
    """Return why a finding belongs to a case, and, if by people, which share of the smaller group is in both.

    Of those who tell of trouble it is their share, not that of the smaller group.

    Shared customers alone never join findings whose places contradict each other: chains through one busy customer
    would swallow strangers. Only a release of the event's own dimensions, such as an app version, joins products.
    Without shared customers, nothing joins a finding most of whose events lie elsewhere, or a case nearly all of whose
    events do, and no word that was not heard for a day or, of one product, two: an incident of many days would know
    every word in the end.
    Dangers and what is none stay apart, but for what devices report that harm people, as does what no device brings
    about from what devices report; a case that is over is joined by its own words alone. How long a case has been quiet
    is counted in hours in which customers are awake.
    """
    age = waking_between(case.last_evidence, finding.tick, zone)
    release = Bond.RELEASE if age <= SAME_RELEASE_MS and _same_release(finding, said, case) else Bond.NONE
    if age > COMES_BACK_MS or contradict(finding.dims, case.dims):
        return release, 0.0
    if finding.kind in ("silence", "drop"):
        return _silent_alike(finding, case), 0.0
    if _missed(finding, case):
        return Bond.PROBLEM, 0.0
    share = _share_of_smaller(said.people, case.customers)
    if share >= SHARED_CUSTOMERS:
        # Whoever has trouble is among those of his line who have: they go where most of them are known.
        everybody = finding.series.measure in UNNAMED_MEASURES
        return Bond.PEOPLE, meeting(said.people, case.customers) / len(said.people) if everybody else share
    if _elsewhere(said.places, case.dims, BEYOND) or _elsewhere(case.places, finding.dims, ELSEWHERE):
        return release, 0.0
    known = case.witnessed.get(f"{finding.series.measure}:{finding.series.value}")
    unnamed = finding.series.measure in UNNAMED_MEASURES and finding.dims != case.dims
    heard = COMES_BACK_MS if "product" in finding.dims and "product" in case.dims else SAME_VALUE_MS
    if known is not None and (unnamed or finding.tick - known.window_end > heard):
        known = None
    if known is not None and (known.opens or case.status == "watching"):
        return Bond.VALUE, 0.0
    harmful = finding.series.measure == "danger"
    if case.status == "resolved":
        return release, 0.0
    devices = _by_devices(case)
    led = devices != (finding.witness == "devices")
    if harmful != any(key.startswith("danger:") for key in case.witnessed):
        dangers = [finding.series.value] if harmful else _said("danger", case)
        hurt = led and age <= SAME_CAUSE_MS and _harms(dangers, finding.dims, case.dims)
        return max(release, Bond.LED if hurt else Bond.NONE), 0.0
    if led and (said.topic if devices else _most(case.topics)) in PEOPLE_ONLY:
        return release, 0.0
    return release or _joined_by_place(finding, said, case, age, led=led), 0.0


def one_cause(one: Case, other: Case) -> bool:
    """Two cases are one cause when their places agree and they share enough of the smaller one's customers."""
    shared = _share_of_smaller(one.customers, other.customers)
    return shared >= SHARED_CUSTOMERS and not contradict(one.dims, other.dims)


def blackout(one: Case, other: Case) -> dict[str, str | list[str]]:
    """Return the place in which devices of two products of one line began to fail at once, {} if it is not so.

    Each product has codes and a case of its own; that two break in one place within half an hour is rarer than that its
    power or network does. Where that is known, further products may follow for hours. Not where a firmware is named:
    that is what broke.
    """
    within = SAME_PRODUCT_MS if one.everywhere or other.everywhere else BLACKOUT_MS
    if abs(one.created - other.created) > within:  # most live cases; asked of every one at every finding
        return {}
    places = [
        {name: value for name, value in case.dims.items() if name not in ("line", "product", "model", "channel")}
        for case in (one, other)
    ]
    line = _most(one.places.get("line", {}))
    if not places[0] or places[0] != places[1] or "firmware" in places[0] or line is None:
        return {}
    failing = all(
        any(each.witness == "devices" and each.opens for each in case.witnessed.values()) for case in (one, other)
    )
    if not failing or line != _most(other.places.get("line", {})):
        return {}
    same = "product" in one.dims and one.dims.get("product") == other.dims.get("product")
    return {} if same else {"line": line, **places[0]}


def _silent_alike(finding: Finding, case: Case) -> Bond:
    """A silence joins silences of exactly its place; what is only watched reopens nothing."""
    live = finding.opens or case.status != "resolved"
    return Bond.VALUE if case.silent() and live and finding.dims == case.dims else Bond.NONE


def _missed(finding: Finding, case: Case) -> bool:
    """Customers say elsewhere that they do not get through, while a channel is silent."""
    words = finding.series.measure in ("term", "theme") and any(word in finding.series.value for word in UNREACHABLE)
    return words and case.silent() and "channel" in case.dims and case.status != "resolved"


def _joined_by_place(finding: Finding, said: Said, case: Case, age: int, *, led: bool) -> Bond:
    """Join what neither people nor words join; another topic does in the first hours only."""
    if age <= SAME_RELEASE_MS and _same_build(finding, said, case):
        return Bond.RELEASE
    if age <= SAME_CAUSE_MS:
        young = finding.tick - case.created <= SAME_PRODUCT_MS
        other = finding.tick - case.created > ANOTHER_CODE_MS and finding.series.measure in OWN_MEASURES
        other = other or (said.topic is not None and _most(case.topics) not in (None, said.topic))
        if _same_problem(finding, said, case) or ((young or not other) and _same_place(finding.dims, case.dims)):
            return Bond.PROBLEM
    fresh = finding.tick - (case.opened_at or case.created) <= EXACT_PLACE_MS
    if fresh and finding.dims == case.dims and "product" in finding.dims:
        return Bond.EXACT_PLACE
    led = led and not _whatever_is_owned(finding.dims, case.dims)
    if age <= SAME_PRODUCT_MS and led and _same_product(finding, said, case):
        return Bond.LED
    return Bond.NONE


def _whatever_is_owned(*places: Mapping[str, str | list[str]]) -> bool:
    """Return whether one of them is a channel and no product: no device brings that about, whoever owns one there."""
    return any("channel" in dims and "product" not in dims for dims in places)


def _harms(dangers: Iterable[str], one: Mapping[str, str | list[str]], other: Mapping[str, str | list[str]]) -> bool:
    """Say whether people are hurt by the very product whose devices fail, one model of it: what it reports is why.

    Few who are hurt name the model. Any other danger, or of another model, is another cause beside something harmless.
    """
    named = ("model" in one or "model" in other) and "product" in one and one["product"] == other.get("product")
    return named and BODILY in _families(dangers) and not contradict(one, other)


def _by_devices(case: Case) -> bool:
    """What is strangest in a case is said by devices."""
    return max(case.witnessed.values(), key=lambda each: (each.score, each.series)).witness == "devices"


def _share_of_smaller(one: Mapping[int, int], other: Mapping[int, int]) -> float:
    """The share of the smaller group that spoke in both; 0 for a handful, which meets by chance."""
    shared = meeting(one, other)
    return shared / min(len(one), len(other)) if shared >= LEAST_SHARED else 0.0


def _elsewhere(places: Mapping[str, Mapping[str, int]], dims: Mapping[str, str | list[str]], share: float) -> bool:
    """Of the events that say where they are less than a share lies at a place, in one of its dimensions."""
    return any(_beyond(places.get(name, {}), values, share) for name, values in dims.items() if name != "channel")


def _beyond(counts: Mapping[str, int], values: str | list[str], share: float) -> bool:
    """Of the events that state a dimension less than a share has one of these values."""
    number = sum(counts.values())
    return number >= LEAST_STATED and sum(counts.get(value, 0) for value in values_of(values)) < share * number


def twins(told: Case, case: Case, tick: int, zone: tzinfo) -> bool:
    """Say whether a case about to open is the same cause as one that people were told of hours ago.

    Two causes of one place within hours are rarer than two words for one, the more so the finer the place, the sooner
    the second, and the more both have in common. Trouble is told in every channel: what lies in one alone is the fault
    of that channel, whichever line tells of it. Not what devices report by themselves and the other does not know, nor
    silence, nor a danger beside something harmless.
    """
    if told.opened_at is None or told.silent() or case.silent():
        return False
    since = tick - told.opened_at
    dangers = _said("danger", told) + _said("danger", case)
    if _by_devices(told) != _by_devices(case) and _harms(dangers, told.dims, case.dims):
        return waking_between(told.last_evidence, tick, zone) <= SAME_CAUSE_MS
    if not _own_words(case) <= told.witnessed.keys() or not _as_harmful(told, case):
        return False
    if _by_devices(told) != _by_devices(case) and _whatever_is_owned(told.dims, case.dims):
        return False
    fed = _fed(told, case, zone)
    subject = _same_subject(told, case)
    met = _share_of_smaller(told.customers, case.customers) >= EXPLAINED
    soon = since <= SAME_PRODUCT_MS or (fed and since <= SAME_RELEASE_MS)
    if "channel" in case.dims and told.dims.get("channel") == case.dims["channel"] and not _build(case.dims) and soon:
        return True
    if contradict(told.dims, case.dims):
        return since <= SAME_PRODUCT_MS and subject and _most(case.topics) in ONE_SYSTEM
    if _named(told.dims) == _named(case.dims) and "product" in case.dims:
        fine = len(_named(case.dims)) >= 2 and since <= SAME_RELEASE_MS
        return since <= SAME_PRODUCT_MS or (fed and (fine or subject or met))
    if not (_inside(case, told) or _inside(told, case)):
        return False
    if told.dims and case.dims and since <= EXACT_PLACE_MS and not _of_two_subjects(told, case):
        return True
    if since <= SAME_PRODUCT_MS and (met or subject):
        return True
    return met and subject and fed


def _of_two_subjects(one: Case, other: Case) -> bool:
    """Each has enough customers who are mostly about one topic, and it is another one."""
    topics = {_most(each.topics) for each in (one, other)}
    return len(topics - {None}) == 2 and min(one.people(), other.people()) >= MANY


def _as_harmful(told: Case, case: Case) -> bool:
    """Neither is a danger, or the harmless one of two is about what the other is a danger of."""
    dangers = [_families(_said("danger", each)) for each in (told, case)]
    if not any(dangers):
        return True
    if all(dangers):
        return False
    family, harmless = (dangers[0], case) if dangers[0] else (dangers[1], told)
    topic = _most(harmless.topics)
    return any(topic in TOPICS_OF.get(each, ()) for each in family)


def _named(dims: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
    return {name: value for name, value in dims.items() if name != "channel"}


def _own_words(case: Case) -> set[str]:
    """What devices say by themselves, and codes that are new."""
    return {
        key
        for key, each in case.witnessed.items()
        if key.partition(":")[0] in OWN_MEASURES or (each.kind == "new" and not key.startswith("term:"))
    }


def explains(parent: Case, child: Case, zone: tzinfo) -> float:
    """Return how well an incident explains a narrower or secondary case that is not the same one, 0 = not at all.

    Merging asks whether two are one cause; this asks whether telling people of the child would be news to those who
    know the parent. All of this must hold:

    - the child lies inside the place of the parent, and began while the parent was fed, or within a waking hour;
    - the parent hurts at least as many people;
    - both speak of rises: the silence of a channel explains nothing and is explained by nothing;
    - a danger is explained only by a danger of the same family, never by a harmless incident;
    - the child brings no code, log line or metric that the parent does not know, unless it is about the same model or
      release: that is another cause in one product;
    - they share people, 3 and a fifth of the child's; or the model or firmware, or, begun within hours, a version of
      the events' own; or, in a named place, what they are about, unless the parent is of one channel and hardly any of
      the child comes over it.

    Fails where two causes of one topic hit one place at once and nothing but customers' words tells them apart.
    """
    if not _inside(child, parent) or not _fed(parent, child, zone):
        return 0.0
    if not still_explains(parent, child):
        return 0.0
    own = _own_words(child)
    later = waking_between(parent.created, child.created, zone)
    soon = SAME_RELEASE_MS if own <= parent.witnessed.keys() else ANOTHER_CODE_MS
    release = (bool(_build(child.dims) & _build(parent.dims)) and later <= soon) or (
        bool(_own(child.dims) & _own(parent.dims)) and later <= SAME_PRODUCT_MS
    )
    if not release and not own <= parent.witnessed.keys():
        return 0.0
    share = max(_share(child.customers, parent.customers), _share(child.devices, parent.devices))
    if share >= EXPLAINED:
        return share
    channel = parent.dims.get("channel")
    named = parent.dims.keys() - {"channel"} or (channel is not None and channel == child.dims.get("channel"))
    apart = channel is not None and _beyond(child.places.get("channel", {}), channel, ELSEWHERE)
    return SAME_SUBJECT if release or (named and not apart and _same_subject(parent, child)) else 0.0


def _fed(told: Case, case: Case, zone: tzinfo) -> bool:
    """A case began before people have been awake and silent about an incident for long."""
    return waking_between(told.last_evidence, case.first_seen, zone) <= STILL_FED_MS


def still_explains(parent: Case, child: Case) -> bool:
    """Say whether an incident goes on explaining a case that it explained before.

    Places move while evidence comes in, so that only a contradiction counts, an outgrown parent, silence, or danger.
    """
    if contradict(parent.dims, child.dims) or parent.people() < child.people():
        return False
    if parent.silent() or child.silent():
        return False
    told = _families(_said("danger", parent))
    charged = _most(parent.topics) == CHARGED
    # A family of dangers speaks in no case without events of its kinds.
    kinds = {danger for danger in (*_said("danger", child), *child.dangers) if "/" in danger}
    return all(_families([kind]) <= told or (charged and kind == MONEY_GONE) for kind in kinds)


def _inside(narrow: Case, broad: Case) -> bool:
    """Say whether a case lies inside the place of another one; a product lies inside the line that its events state."""
    dims = narrow.dims
    if "product" in dims and "line" not in dims and (line := _most(narrow.places.get("line", {}))) is not None:
        dims = dims | {"line": line}
    return refines(dims, broad.dims)


def refines(narrow: Mapping[str, str | list[str]], broad: Mapping[str, str | list[str]]) -> bool:
    """Say whether a place lies inside another one, or is the same; everything lies inside {}.

    The channel does not count, as in `contradict`.

    >>> refines({"product": "门锁", "region": "华东"}, {"region": ["华东", "华北"]})
    True
    >>> refines({"region": "华东"}, {"product": "门锁"})
    False
    """
    return all(
        name in narrow and set(values_of(narrow[name])) <= set(values_of(values))
        for name, values in broad.items()
        if name != "channel"
    )


def meeting(one: Mapping[int, int], other: Mapping[int, int]) -> int:
    """Return how many people spoke in both within a few hours: in days everybody meets everybody.

    >>> meeting({1: 0, 2: 0}, {1: HOUR_MS, 2: 24 * HOUR_MS})
    1
    """
    return sum(abs(one[who] - other[who]) <= SAME_CAUSE_MS for who in one.keys() & other.keys())


def _share(child: Mapping[int, int], parent: Mapping[int, int]) -> float:
    """The share of the child's people that are the parent's too; 0 for a handful, which meets by chance."""
    shared = meeting(child, parent)
    return shared / len(child) if shared >= LEAST_SHARED else 0.0


def _said(measure: str, case: Case) -> list[str]:
    """The values of one measure that speak in a case."""
    return [key.partition(":")[2] for key in case.witnessed if key.startswith(f"{measure}:")]


def _families(dangers: Iterable[str]) -> set[str]:
    """The families of dangers, those told of one cause as one."""
    families = {danger.partition("/")[0] for danger in dangers}
    return {SAME_FAMILY.get(each, each) for each in families}


def _same_subject(one: Case, other: Case) -> bool:
    """Both are about the same: a measure value that names something, a family of dangers, or most customers' topic."""
    topic = _most(one.topics)
    if topic is not None and topic == _most(other.topics):
        return True
    if _families(_said("danger", one)) & _families(_said("danger", other)):
        return True
    nothing = ("topic", *UNNAMED_MEASURES)
    return any(key in other.witnessed for key in one.witnessed if key.partition(":")[0] not in nothing)


def _same_place(one: Mapping[str, str | list[str]], other: Mapping[str, str | list[str]]) -> bool:
    """Both are explained by the same combination finer than a line, or share a model or release."""
    return (one == other and len(one) >= 2) or bool(_finer(one) & _finer(other))


def _same_release(finding: Finding, said: Said, case: Case) -> bool:
    """Both name one version of the events' own, in its first hours or about the same: a new version breaks many things.

    One that breaks later, of which customers say something else, is another cause in the same version.
    """
    if not _own(finding.dims) & _own(case.dims) or case.status == "resolved":
        return False
    if finding.tick - case.created <= SAME_PRODUCT_MS:
        return True
    return said.topic is not None and said.topic == _most(case.topics)


def _same_build(finding: Finding, said: Said, case: Case) -> bool:
    """Both name one model or firmware, within half a day or about the same; a later code is another cause."""
    if not _build(finding.dims) & _build(case.dims):
        return False
    own = finding.series.measure in OWN_MEASURES
    if finding.tick - case.created <= (ANOTHER_CODE_MS if own else SAME_RELEASE_MS) or not (own or said.topic):
        return True
    return said.topic is not None and said.topic == _most(case.topics)


def _same_product(finding: Finding, said: Said, case: Case) -> bool:
    """Most events of both that state a product state the same one, and neither is a release of several products."""
    if any(_own(dims) and "product" not in dims for dims in (finding.dims, case.dims)):
        return False
    product = _most(said.places.get("product", {}))
    return product is not None and product == _most(case.places.get("product", {}))


def _same_problem(finding: Finding, said: Said, case: Case) -> bool:
    """The same topic is most of what customers of the same product say: two words for one thing."""
    if said.topic is None or said.topic != _most(case.topics):
        return False
    return _same_product(finding, said, case) or not finding.dims or not case.dims


def _finer(dims: Mapping[str, str | list[str]]) -> set[tuple[str, str]]:
    """The dimension values that belong to one model or release: model, firmware, an event's own."""
    return _pairs(dims, WIDE_DIMENSIONS | {"product"})


def _build(dims: Mapping[str, str | list[str]]) -> set[tuple[str, str]]:
    """The model and firmware."""
    return _finer(dims) - _own(dims)


def _own(dims: Mapping[str, str | list[str]]) -> set[tuple[str, str]]:
    """The values of the events' own dimensions."""
    return _pairs(dims, DIMENSIONS)


def _pairs(dims: Mapping[str, str | list[str]], without: Collection[str]) -> set[tuple[str, str]]:
    return {(name, value) for name, values in dims.items() if name not in without for value in values_of(values)}


def _most(counts: Mapping[str, int]) -> str | None:
    """The value of more than half, if there is one."""
    for value, number in counts.items():
        if 2 * number > sum(counts.values()):
            return value
    return None
