"""Chinese words for what people read: measures, dimensions, kinds, states, reasons, times and numbers."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from qianshao.clock import to_rfc3339

MEASURE_NAMES: dict[str, str] = {
    "contacts": "客户来访",
    "topic": "主题",
    "ticket_type": "工单类型",
    "term": "用语",
    "theme": "故障主题",
    "likeness": "同类说法",
    "trouble": "故障诉求",
    "negative": "负面情绪",
    "danger": "危险信号",
    "code": "设备代码",
    "template": "设备日志",
    "metric": "设备指标",
    "tickets": "工单",
    "devices": "设备上报",
    "chats": "在线会话",
    "calls": "来电",
    "ratings": "满意度评分",
    "channel": "渠道",
    "repeat": "重复来访",
    "returned": "再次来访",
}

DIMENSION_NAMES: dict[str, str] = {
    "line": "业务线",
    "product": "产品",
    "model": "型号",
    "firmware": "固件",
    "region": "地区",
    "channel": "渠道",
}

KIND_NAMES: dict[str, str] = {
    "rise": "升高",
    "drop": "下降",
    "silence": "中断",
    "new": "首次出现",
    "shift": "变化",
    "repeat": "重复来访",
    "device": "设备升高",
}

CHANGE_NAMES: dict[str, str] = {
    "watched": "开始观察",
    "opened": "立案",
    "updated": "更新",
    "acknowledged": "已接手",
    "escalated": "升级",
    "mitigated": "趋于缓解",
    "resolved": "恢复",
    "reopened": "再次发生",
    "merged": "并入",
    "dismissed": "排除",
}

STATUS_NAMES: dict[str, str] = {
    "watching": "观察中",
    "open": "进行中",
    "acknowledged": "处理中",
    "mitigated": "缓解中",
    "resolved": "已恢复",
    "merged": "已并入",
    "dismissed": "已排除",
}

SEVERITY_NAMES: dict[str, str] = {"P1": "特别重大", "P2": "重大", "P3": "较大", "P4": "一般"}

ONGOING: frozenset[str] = frozenset({"open", "acknowledged", "mitigated"})
"""Statuses in which an incident is happening and people should see it first."""

REASON_NAMES: dict[str, str] = {
    "weak_witness": "只有一个来源的弱证据，先观察",
    "inhibited_by_parent": "一起更大的、已立案的事件足以解释，只收集证据，不另行告知",
    "parent_ended": "解释它的事件已经结束，证据仍在继续",
    "faded_with_parent": "随着解释它的事件一同平息",
    "maintenance_window": "在计划维护的时间和范围之内，只收集证据，不告知",
    "maintenance_overran": "计划维护应已结束，证据仍在继续",
    "faded_with_maintenance": "计划维护之后没有新的证据",
    "overwhelming_rise": "一个来源的证据已经足够强",
    "two_witnesses": "两个独立来源相互印证",
    "never_seen_code": "出现了从未见过的信号",
    "channel_silent": "本应有的来访没有来",
    "came_back": "中断已经恢复",
    "danger_reported": "有客户说到人身、资金或信息危险",
    "joined_open_incident": "与一起已立案的故障同因",
    "same_cause": "与另一起故障同因，合并处理",
    "more_customers": "受影响的客户继续增加",
    "another_witness": "又有一个独立来源印证",
    "growing_faster": "最近一小时增加得更快",
    "mostly_negative": "一半以上的客户情绪明显负面",
    "spreading": "波及更多来源、产品、渠道或地区",
    "place_narrowed": "影响范围更加明确",
    "evidence_after_resolution": "恢复之后又有新的证据",
    "weak_evidence_faded": "弱证据已经消退",
    "no_new_evidence": "一段时间没有新的证据",
    "by_person": "由人决定",
    "severity_rose_while_silenced": "静默期间级别升高",
    "silence_ended": "静默结束，其间又有变化",
    "danger_after_dismissal": "排除之后有客户说到危险",
    "tripled_after_dismissal": "排除之后受影响的客户增至三倍",
}

LIKENESS_NAMES: dict[str, str] = {
    "same_code": "同一设备代码",
    "same_theme": "同一故障主题",
    "same_terms": "相同用语",
    "same_topic": "同一主题",
    "same_place": "同一范围",
}

VERDICT_NAMES: dict[str, str] = {"true": "当时判为属实", "false": "当时判为误报"}

DEAD_LETTER_NAMES: dict[str, str] = {
    "line_too_long": "行过长",
    "not_json": "不是 JSON",
    "not_utf8": "不是 UTF-8",
    "not_an_object": "不是 JSON 对象",
    "missing_id": "缺少 id",
    "bad_id": "id 不合规",
    "missing_kind": "缺少 kind",
    "unknown_kind": "未知的 kind",
    "missing_timestamp": "缺少时间",
    "bad_timestamp": "时间写法有误",
    "implausible_timestamp": "时间不可信",
    "bad_field": "字段类型不对",
    "text_too_long": "文本过长",
}

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def dimension_value(value: str | list[str]) -> str:
    """Write one dimension's value; several values stand beside each other.

    >>> dimension_value(["华东", "华南"])
    '华东、华南'
    """
    return value if isinstance(value, str) else "、".join(value)


def dimensions(dims: dict[str, str | list[str]]) -> list[tuple[str, str]]:
    """Name the dimensions of an incident with their values, in the order of the house and own ones last.

    >>> dimensions({"shop": "A7", "region": ["华东", "华南"], "product": "门锁"})
    [('产品', '门锁'), ('地区', '华东、华南'), ('shop', 'A7')]
    """
    order = {name: place for place, name in enumerate(DIMENSION_NAMES)}
    names = sorted(dims, key=lambda name: (order.get(name, len(order)), name))
    return [(DIMENSION_NAMES.get(name, name), plain(dimension_value(dims[name]))) for name in names]


def series_name(series: str) -> tuple[str, str]:
    """Name a series for people: what is counted, and under which dimensions.

    Parameters
    ----------
    series
        A series as it stands in a signal, for example ``code:E207|firmware=2.2.0``.

    Returns
    -------
    tuple of str
        The name and the dimensions, '' without any.

    >>> series_name("code:E207|firmware=2.2.0|region=华东")
    ('设备代码 E207', '固件 2.2.0 · 地区 华东')
    >>> series_name("contacts:")
    ('客户来访', '')
    """
    head, *pairs = series.split("|")
    measure, _, value = head.partition(":")
    name = MEASURE_NAMES.get(measure, measure)
    if value:
        name = f"{name} {value}" if value.isascii() else f"{name}「{value}」"
    dims = []
    for pair in pairs:
        key, _, dim = pair.partition("=")
        dims.append(f"{DIMENSION_NAMES.get(key, key)} {dim}")
    return name, " · ".join(dims)


def number(value: float) -> str:
    """Write a count or an expectation: whole when large, one digit when small, thousands apart.

    >>> number(0.04), number(2.26), number(37.0), number(12345.6)
    ('0.04', '2.3', '37', '12,346')
    """
    if value == int(value) or abs(value) >= 20:
        return f"{value:,.0f}"
    if abs(value) >= 0.1:
        return f"{value:.1f}"
    return f"{value:.2f}"


def multiple(observed: float, expected: float) -> str:
    """Say how far an observation is from its expectation, '' when they are about equal.

    >>> multiple(40, 4), multiple(1, 10), multiple(5, 0.0), multiple(10, 10)
    ('10 倍', '少 90%', '', '')
    """
    if expected <= 0:
        return ""
    ratio = observed / expected
    if ratio >= 1000:
        return "1000 倍以上"
    if ratio >= 1.1:
        return f"{ratio:.0f} 倍" if ratio >= 9.5 else f"{ratio:.1f} 倍"
    if ratio <= 0.9:
        return f"少 {100 * (1 - ratio):.0f}%"
    return ""


def chance(score: float) -> str:
    """Say how unlikely a score is by chance alone; beyond 10⁻¹² further digits would be a false precision.

    >>> chance(6.31), chance(42.0), chance(0.4)
    ('≈ 10⁻⁶', '< 10⁻¹²', '> 0.1')
    """
    if score < 1:
        return "> 0.1"
    sign = "≈" if score < 13 else "<"
    return f"{sign} 10⁻" + str(min(12, int(score))).translate(_SUPERSCRIPTS)


def moment(text: str) -> datetime:
    """Read one of our own timestamps, keeping its offset."""
    return datetime.fromisoformat(text)


def clock(text: str) -> str:
    """Hour and minute of one of our own timestamps.

    >>> clock("2026-03-02T14:02:10.000+08:00")
    '14:02'
    """
    return f"{moment(text):%H:%M}"


def day_and_clock(text: str) -> str:
    """Month, day, hour and minute of one of our own timestamps.

    >>> day_and_clock("2026-03-02T14:02:10.000+08:00")
    '3月2日 14:02'
    """
    at = moment(text)
    return f"{at.month}月{at.day}日 {at:%H:%M}"


def span(duration: timedelta) -> str:
    """Write how long something lasted, in the two largest units.

    >>> [span(timedelta(minutes=length)) for length in (0.5, 12, 135, 2940)]
    ['30 秒', '12 分钟', '2 小时 15 分钟', '2 天 1 小时']
    """
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} 秒"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} 分钟"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} 小时 {minutes} 分钟" if minutes else f"{hours} 小时"
    days, hours = divmod(hours, 24)
    return f"{days} 天 {hours} 小时" if hours else f"{days} 天"


def between(start: str, end: str) -> str:
    """Write how long it is from one of our timestamps to another."""
    return span(moment(end) - moment(start))


def change_name(change: str, version: int) -> str:
    """Name a change; a case that was watched already goes on being watched.

    >>> change_name("watched", 1), change_name("watched", 2), change_name("opened", 2)
    ('开始观察', '继续观察', '立案')
    """
    if change == "watched" and version > 1:
        return "继续观察"
    return CHANGE_NAMES.get(change, change)


def parent_name(status: str) -> str:
    """Say what the parent of an incident is to it: where it went, or what explains it.

    >>> parent_name("merged"), parent_name("watching")
    ('并入', '由其解释')
    """
    return "并入" if status == "merged" else "由其解释"


def reason_text(reason: str) -> str:
    """Explain a named reason in Chinese; a name we do not know is shown as it is."""
    return REASON_NAMES.get(reason, reason)


def moment_of(ts_ms: int, zone: ZoneInfo) -> str:
    """Month, day, hour and minute of epoch milliseconds in `zone`.

    >>> moment_of(1_772_431_320_000, ZoneInfo("Asia/Shanghai"))
    '3月2日 14:02'
    """
    return day_and_clock(to_rfc3339(ts_ms, zone))


def plain(text: str) -> str:
    """Make a text from an event safe to show: control and direction characters, which steer a terminal, become spaces.

    >>> plain("离线\x1b[2J了\u202e")
    '离线 [2J了 '
    """
    return "".join(" " if unicodedata.category(char) in {"Cc", "Cf"} else char for char in text)
