"""Street addresses: found by their tail (road and number, building, room) and extended to the left."""

from __future__ import annotations

import re

from models.masking.kinds import ADDRESS, HAN, Span

_NUMBER = r"(?:[0-9]{1,5}(?:-[0-9]{1,5}){0,2}|[一二三四五六七八九十百零两]{1,6}|[A-Za-z][0-9]{0,4}|[东南西北甲乙丙丁])"
_UNIT = rf"{_NUMBER} ?(?:[弄栋幢座室楼层房户组队]|号[楼院]?|单元)[,， ]?"
_ROAD = r"(?:(?<!知)道|路|街|巷|胡同|村|镇|乡|小区|花园|花苑|家园|苑|公寓|大厦|广场|新城)"
_BLOCK = r"[0-9A-Za-z]{1,3}(?:栋|幢|号楼|座)(?=[0-9]{3})"
_TAIL = re.compile(
    rf"(?:(?P<road>{_ROAD})(?:{_UNIT}){{1,6}}|{_UNIT}(?:{_UNIT}){{1,6}}|{_BLOCK})(?:[0-9]{{2,4}}(?![0-9A-Za-z]))?"
)
_REGION = re.compile(
    rf"[省区市](?:(?<=省)|(?<=自治区)|(?<=市)(?<![城超夜门].))(?=[{HAN}]{{2,22}}?(?:路|街|镇|乡|大道|村|小区|花园))[{HAN}]{{1,6}}?[市区县旗州](?:[{HAN}]{{1,5}}?[区县市])?"
    rf"(?:[{HAN}]{{1,9}}?(?:路|街道|街|镇|乡|大道|村|小区|花园))"
)
_REGION_GATE = re.compile(r"路|街|[镇乡村]|大道|小区|花园")
_REGION_HEAD = re.compile("[省市治]")
_REGION_NAME = re.compile(rf"[{HAN}]{{2}}")
_LEFT = 28
_MANY_PARTS, _MANY_REGIONS = 150, 500
"""More parts of addresses than any person writes: every stretch that holds one goes whole, unread."""
_STRETCH = re.compile(rf"[{HAN}0-9A-Za-z\-]++")
_STOP = re.compile(r"在|到|是|给|的|了|吗|寄|送|住|从|去|我|你|[改换]成|地址|为|帮|请|[^\u4e00-\u9fff0-9A-Za-z\-]")
_CUED = re.compile(r"(?:地址|住址)(?:是|为|在|改成|改为|[:： ]){1,3}(?P<address>[^，。！？,!?;；〔〕]{5,60})")
_WORD = re.compile(r"[省市区县镇乡村路街道栋弄室幢]|[0-9一二三四五六七八九十]号")
_ANY_DIGIT = re.compile(r"[0-9]")
# Without a road or a community, what could be a hotel's floor is no address: it takes a unit, a staircase, a room.
_BARE = re.compile(
    r"(?:[栋幢弄]|单元|号楼|号院|座)[,， ]?.*?(?:室|[栋幢号户房]|单元|[0-9]{3})[,， ]?$|[栋幢弄单].*?[楼层]"
)
_FLOORS = re.compile(r"[^0-9号弄栋幢座单室房户]*[楼层][,， ]?")
_GATE = re.compile(r"[号弄栋幢座元室楼层房户省市区址]")
# The first unit of a tail, its number just before it. It begins with the rarer character: that is searched fast.
_TAIL_GATE = re.compile(
    r"[号弄栋幢座单室楼层房户组队](?<=[0-9一二三四五六七八九十百零两A-Za-z东南西北甲乙丙丁 ].)(?:(?<!单)|元)"
)
_BEFORE_UNIT = 24
"""How far before its first unit a tail may begin: road, number, space."""
_BEHIND_UNIT = 12
"""How far behind its last unit a tail may end: comma, number of a room, and what must not follow it."""


def _is_tail(found: re.Match[str]) -> bool:
    road = found["road"]
    if road is None:
        return _BARE.search(found.group()) is not None
    return _FLOORS.fullmatch(found.group(), len(road)) is None


def addresses(text: str) -> list[Span]:
    """Find street addresses, in order and without overlaps."""
    spans: list[Span] = []
    if _GATE.search(text) is None:
        return spans
    units = [found.start() for found in _TAIL_GATE.finditer(text)]
    if len(units) > _MANY_PARTS:
        return _stretches(text, _TAIL_GATE)
    done = 0
    for first, last in _windows(units):
        for found in _TAIL.finditer(text, max(done, first), last):
            if _is_tail(found):
                spans.append((_left_of(text, found, done), found.end(), ADDRESS))
                done = found.end()
    if _REGION_GATE.search(text) is not None:
        if len(text) > _MANY_REGIONS and len(_REGION_HEAD.findall(text)) > _MANY_REGIONS:
            return _stretches(text, _REGION_GATE)
        done = 0
        for found in _REGION.finditer(text):
            left = _left_of(text, found, done)
            if _REGION_NAME.match(text, left, found.start()) is not None:
                spans.append((left, found.end(), ADDRESS))
                done = found.end()
    if "址" in text:
        spans += [
            (*found.span("address"), ADDRESS)
            for found in _CUED.finditer(text)
            if len(_WORD.findall(found["address"])) >= (1 if _ANY_DIGIT.search(found["address"]) is not None else 2)
        ]
    return _joined(spans)


def _windows(units: list[int]) -> list[tuple[int, int]]:
    """Return the stretches in which a tail with one of these units must lie whole."""
    windows: list[tuple[int, int]] = []
    for place in units:
        first, last = max(0, place - _BEFORE_UNIT), place + _BEHIND_UNIT
        if windows and first <= windows[-1][1]:
            windows[-1] = (windows[-1][0], last)
        else:
            windows.append((first, last))
    return windows


def _left_of(text: str, found: re.Match[str], done: int) -> int:
    """Return where the address begins that a tail or a region gave away."""
    left = max(done, found.start() - _LEFT)
    for stop in _STOP.finditer(text, left, found.start()):
        left = stop.end()
    return left


def _stretches(text: str, part: re.Pattern[str]) -> list[Span]:
    return [
        (*found.span(), ADDRESS) for found in _STRETCH.finditer(text) if part.search(text, *found.span()) is not None
    ]


def _joined(spans: list[Span]) -> list[Span]:
    """Make one of the parts of an address that touch (a street, then a community and its building)."""
    joined: list[Span] = []
    for start, end, token in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), token)
        else:
            joined.append((start, end, token))
    return joined
