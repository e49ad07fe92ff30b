"""Street addresses: found by their tail (road and number, building, room) and extended to the left."""

from __future__ import annotations

import re

from models.masking.kinds import ADDRESS, HAN, Span

_NUMBER = r"(?:[0-9]{1,5}(?:-[0-9]{1,5}){0,2}|[一二三四五六七八九十百零两]{1,6}|[A-Za-z][0-9]{0,4}|[东南西北甲乙丙丁])"
_UNIT = rf"{_NUMBER} ?(?:号楼|号院|号|弄|栋|幢|座|单元|室|楼|层|房|户|组|队)[,， ]?"
_ROAD = r"(?:(?<!知)道|路|街|巷|胡同|村|镇|乡|小区|花园|花苑|家园|苑|公寓|大厦|广场|新城)"
_BLOCK = r"[0-9A-Za-z]{1,3}(?:栋|幢|号楼|座)(?=[0-9]{3})"
_TAIL = re.compile(
    rf"(?:(?P<road>{_ROAD})(?:{_UNIT}){{1,6}}|{_UNIT}(?:{_UNIT}){{1,6}}|{_BLOCK})(?:[0-9]{{2,4}}(?![0-9A-Za-z]))?"
)
_REGION = re.compile(
    rf"(?:省|自治区|(?<![城超夜门])市)(?=[{HAN}]{{2,22}}?(?:路|街|镇|乡|大道|村|小区|花园))[{HAN}]{{1,6}}?[市区县旗州](?:[{HAN}]{{1,5}}?[区县市])?"
    rf"(?:[{HAN}]{{1,9}}?(?:路|街道|街|镇|乡|大道|村|小区|花园))"
)
_REGION_GATE = re.compile(r"路|街|[镇乡村]|大道|小区|花园")
_REGION_NAME = re.compile(rf"[{HAN}]{{2}}")
_LEFT = 28
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
_TAIL_GATE = re.compile(r"(?<=[0-9一二三四五六七八九十百零两A-Za-z东南西北甲乙丙丁 ])[号弄栋幢座单室楼层房户组队]")


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
    for pattern, gate in ((_TAIL, _TAIL_GATE), (_REGION, _REGION_GATE)):
        if gate.search(text) is None:
            continue
        done = 0
        for found in pattern.finditer(text):
            if found.start() < done:
                continue
            left = max(done, found.start() - _LEFT)
            for stop in _STOP.finditer(text, left, found.start()):
                left = stop.end()
            if pattern is _REGION:
                if _REGION_NAME.match(text, left, found.start()) is None:
                    continue
            elif not _is_tail(found):
                continue
            spans.append((left, found.end(), ADDRESS))
            done = found.end()
    if "址" in text:
        spans += [
            (*found.span("address"), ADDRESS)
            for found in _CUED.finditer(text)
            if len(_WORD.findall(found["address"])) >= (1 if _ANY_DIGIT.search(found["address"]) is not None else 2)
        ]
    return _joined(spans)


def _joined(spans: list[Span]) -> list[Span]:
    """Make one of the parts of an address that touch (a street, then a community and its building)."""
    joined: list[Span] = []
    for start, end, token in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), token)
        else:
            joined.append((start, end, token))
    return joined
