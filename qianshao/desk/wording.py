"""Chinese wording of an incident: one title line without any language model."""

from __future__ import annotations

from qianshao.desk.case import Case, Witnessed
from qianshao.incident import About

_ORDER = ("line", "product", "model", "firmware", "region", "channel")
_PREFIX = {"firmware": "固件 ", "channel": "渠道 "}
_SILENT = {
    "contacts": ("来访", "位客户"),
    "chats": ("在线会话", "个会话"),
    "calls": ("来电", "通来电"),
    "tickets": ("工单", "张工单"),
    "ratings": ("评分", "条评分"),
    "devices": ("设备上报", "台设备"),
}
"""What stays away when a source falls silent, and how it is counted."""


def about_of(case: Case) -> About:
    """Say what a case is about, from what its witnesses measure."""
    by_score = sorted(case.witnessed.items(), key=lambda item: (-item[1].score, item[0]))
    found: dict[str, list[str]] = {}
    for key, _ in by_score:
        measure, _, value = key.partition(":")
        if value:
            found.setdefault(measure, []).append(value)
    topics = sorted(case.topics.items(), key=lambda item: (-item[1], item[0]))
    topic = found["topic"][0] if "topic" in found else topics[0][0] if topics else None
    return About(
        topic=topic,
        ticket_type=found.get("ticket_type", [None])[0],
        code=found.get("code", [None])[0],
        terms=[*_dangers(case, found.get("danger", [])), *found.get("term", [])][:8],
    )


def _dangers(case: Case, witnessed: list[str]) -> list[str]:
    """Name the kinds of danger that the evidence asserts, most frequent first; a family alone only without a kind."""
    ranked = sorted(case.dangers.items(), key=lambda item: (-item[1], item[0]))
    named = [danger for danger, _ in ranked if danger in witnessed or danger.partition("/")[0] in witnessed]
    return [danger.partition("/")[2] or danger for danger in named] or witnessed


def place_of(case: Case) -> str:
    """Write the dimensions of a case, broad to narrow.

    A list of values is joined by 、; an empty combination is 全部业务.
    """
    own = sorted(name for name in case.dims if name not in _ORDER)
    parts = []
    for name in (*_ORDER, *own):
        if name in case.dims:
            value = case.dims[name]
            text = value if isinstance(value, str) else "、".join(value)
            parts.append(_PREFIX.get(name, f"{name} " if name in own else "") + text)
    return " ".join(parts) if parts else "全部业务"


def title_of(case: Case) -> str:
    """Write the one line that a service manager reads first."""
    about = about_of(case)
    strongest = max(case.witnessed.values(), key=lambda each: (each.score, each.series))
    if strongest.kind in ("silence", "drop"):
        name, unit = _SILENT[strongest.series.partition(":")[0]]
        expected, came = f"{strongest.expected:.0f} {unit}", f"{strongest.observed:.0f} {unit[0]}"
        return f"{place_of(case)} {name}中断：应有约 {expected}，实到 {came}"
    what = [about.terms[0]] if about.terms else []
    theme = _theme_of(case)
    if not what and theme:
        what.append(theme)
    if not what and about.topic:
        what.append(about.topic)
    if not what and about.ticket_type:
        what.append(about.ticket_type)
    if about.code:
        what.append(f"代码 {about.code}" if what else f"设备报错 {about.code}")
    if not what and strongest.series.startswith("metric:"):
        what.append(f"设备指标 {''.join(strongest.keywords[:1])}")
    if not what and strongest.series.startswith("likeness:"):
        said = strongest.series.partition("|")[0].partition(":")[2]
        what.append(f"“{said}”等同类反映")
    if not what and strongest.series.startswith("trouble:"):
        what.append(f"“{strongest.keywords[0]}”等故障诉求" if strongest.keywords else "故障诉求")
    if not what:
        what.append("设备报错" if case.devices else "来访异常")
    people = f"{len(case.customers)} 位客户" if not case.by_device else f"{len(case.devices)} 台设备"
    return f"{place_of(case)} {'，'.join(what)}：已影响 {people}"


def _theme_of(case: Case) -> str:
    """The fault as agents write it down, of the strongest theme that may speak alone; '' if none does."""
    themes = [(-each.score, key) for key, each in case.witnessed.items() if key.startswith("theme:") and each.opens]
    return theme_text(min(themes)[1].partition(":")[2]) if themes else ""


def theme_text(theme: str) -> str:
    """Return the words of a theme without the number that tells it from others of the same words.

    >>> theme_text("错发，疑似仓库贴单错误·2"), theme_text("错发")
    ('错发，疑似仓库贴单错误', '错发')
    """
    return theme.rpartition("·")[0] or theme


def spoken_keywords(case: Case) -> list[str]:
    """Return the contrastive words of the witness that has most events and quotes, best first."""
    best = telling(case)
    return [] if best is None else list(best.keywords)


def telling(case: Case) -> Witnessed | None:
    """Return the witness whose words and quotes are shown: of those with quotes the one with most events."""
    spoken = list(case.witnessed.values())
    quoted = [each for each in spoken if each.quotes] or spoken
    return min(quoted, key=lambda each: (-each.weight, each.series), default=None)
