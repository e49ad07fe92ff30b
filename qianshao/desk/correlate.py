"""Does a finding belong to a case? On agreement of customers, of what it is about, and of where it lies."""

from __future__ import annotations

from collections.abc import Mapping

from qianshao.clock import HOUR_MS
from qianshao.desk.case import Case
from qianshao.finding import Finding

SAME_VALUE_MS = 24 * HOUR_MS
SAME_CAUSE_MS = 6 * HOUR_MS
SAME_RELEASE_MS = 12 * HOUR_MS
SAME_PRODUCT_MS = 3 * HOUR_MS
SHARED_CUSTOMERS = 0.35
LEAST_SHARED = 3


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
        if (name == "product" or not vague) and not set(_values(one[name])) & set(_values(other[name])):
            return True
    return False


def _values(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def belongs(finding: Finding, case: Case) -> float:
    """Return how strongly a finding belongs to a case, 0 = not at all.

    The order of reasons: shared customers (2 and more), the same measure value in a place that does not contradict
    (1.5), the same model or release within half a day (1.3), the same problem or fine place within hours (1.2), the
    same product within a few (1): two causes in one product in one morning are rarer than two words for one cause.
    Shared customers alone never join findings whose places contradict each other: chains through one busy customer
    would swallow strangers. Only a release of the event's own dimensions, such as an app version, joins products.
    """
    age = finding.tick - case.last_evidence
    if age <= SAME_RELEASE_MS and _own(finding.dims) & _own(case.dims):
        return 1.3
    if contradict(finding.dims, case.dims):
        return 0.0
    if age > SAME_VALUE_MS:
        return 0.0
    key = f"{finding.series.measure}:{finding.series.value}"
    if finding.kind in ("silence", "drop"):
        silent = any(each.kind in ("silence", "drop") for each in case.witnessed.values())
        live = finding.opens or case.status != "resolved"  # what is only watched reopens nothing
        return 1.5 if silent and live and finding.dims == case.dims else 0.0
    people = {event.customer for event in finding.evidence if event.customer}
    shared = len(people & case.customers)
    smaller = min(len(people), len(case.customers))
    if smaller and shared >= LEAST_SHARED and shared >= SHARED_CUSTOMERS * smaller:
        return 2.0 + shared / smaller
    if key in case.witnessed:
        return 1.5
    if age <= SAME_RELEASE_MS and _finer(finding.dims) & _finer(case.dims):
        return 1.3
    if age <= SAME_CAUSE_MS and (_same_problem(finding, case) or _same_place(finding.dims, case.dims)):
        return 1.2
    if age <= SAME_PRODUCT_MS and _same_product(finding, case):
        return 1.0
    return 0.0


def _same_place(one: Mapping[str, str | list[str]], other: Mapping[str, str | list[str]]) -> bool:
    """Both are explained by the same combination finer than a line, or share a model or release."""
    return (one == other and len(one) >= 2) or bool(_finer(one) & _finer(other))


def _same_product(finding: Finding, case: Case) -> bool:
    """Most events of both that state a product state the same one."""
    products: dict[str, int] = {}
    for event in finding.evidence:
        if event.product:
            products[event.product] = products.get(event.product, 0) + 1
    return bool(products) and _most(products) is not None and _most(products) == _most(case.products)


def _same_problem(finding: Finding, case: Case) -> bool:
    """The same topic is most of what customers of the same product say: two words for one thing."""
    topics: dict[str, int] = {}
    for event in finding.evidence:
        if event.topic:
            topics[event.topic] = topics.get(event.topic, 0) + 1
    topic = _most(topics)
    if topic is None or topic != _most(case.topics):
        return False
    return _same_product(finding, case) or not finding.dims or not case.dims


def _finer(dims: Mapping[str, str | list[str]]) -> set[tuple[str, str]]:
    """The dimension values that belong to one model or release: model, firmware, an event's own."""
    return _pairs(dims, {"line", "product", "channel", "region"})


def _own(dims: Mapping[str, str | list[str]]) -> set[tuple[str, str]]:
    """The values of the events' own dimensions."""
    return _pairs(dims, {"line", "product", "channel", "region", "model", "firmware"})


def _pairs(dims: Mapping[str, str | list[str]], without: set[str]) -> set[tuple[str, str]]:
    return {(name, value) for name, values in dims.items() if name not in without for value in _values(values)}


def _most(counts: Mapping[str, int]) -> str | None:
    """The value of more than half, if there is one."""
    for value, number in counts.items():
        if 2 * number > sum(counts.values()):
            return value
    return None
