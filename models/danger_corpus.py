"""Sentences that assert a danger and sentences that only look so: the grammar that the danger layer is fitted on."""

from __future__ import annotations

import random
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from models.seed_corpus import tellings, written
from models.sound import sounds

POSITIVES_PER_LINE = 26
NEGATIVES_PER_LINE = 26
SEEDS = (25, 26, 27)
"""The grammar is spread so many times: the layer is the mean of as many fits, for which sentences a line happens to be
spread over moves what one of them flags by a quarter."""
NOTHING = "-"
"""Heading of the lines that assert no danger."""

TELLINGS_PER_LINE = 3
"""Sentences of each line of the tellings of faults, which assert no danger either."""
_DANGEROUS = frozenset(("安全隐患", "食品安全", "诈骗信息", "信息隐私"))

_SLOTS: dict[str, str] = {
    "器": (
        "热水器|充电器|充电宝|电饭煲|路由器|吹风机|手环|手表|平板|手机|空调|台灯|电池|插线板|机器|你们家那个|"
        "摄像头|网关|烤箱|电水壶|扫地机|门锁|这东西|你们的产品|加湿器|电动车|电热毯|音箱|耳机|投影仪|洗衣机|"
        "豆浆机|按摩椅|门铃|新买的那台|"
    ),
    "处": (
        "插头|电线|充电口|接口|底部|后盖|电源|按键|外壳|开关|面板|机身|尾部|插座|插孔|适配器|电池仓|数据线|"
        "底座|电源线|主板|插口"
    ),
    "人": (
        "我|我爸|我妈|孩子|老婆|老公|奶奶|家里老人|我儿子|闺女|同事|宝宝|我们俩|全家|我弟|小孩|爷爷|女朋友|"
        "室友|客人|我岳母"
    ),
    "身": "手|胳膊|脚|脸|手指|腿|后背|额头|膝盖|手腕|脖子|嘴|眼睛|脚趾|皮肤|小腿|脑袋|屁股|肩膀|大腿",
    "食": (
        "饭|菜|盒饭|沙拉|海鲜|蛋糕|水果|牛奶|鸡肉|米线|寿司|奶茶|西瓜|酸奶|麻辣烫|卤味|粥|火锅|外卖|汤|虾|"
        "烧烤|月饼|凉皮|牛排|包子|零食|套餐|葡萄|香肠|早餐"
    ),
    "护": (
        "面膜|手表|表带|防晒|洗发水|衣服|护肤品|口红|内裤|被套|口罩|沐浴露|粉底|手环|尿不湿|香水|毛巾|洗衣液|耳环|面霜"
    ),
    "卡": "银行卡|信用卡|账户|卡|零钱|钱包|余额|支付宝|微信钱包|储蓄卡|花呗|账户余额|话费账户",
    "钱": (
        "三千|八百块|两千多|5000|四百九|一万二|1200元|六千八|两万|300块|十几万|九百|2680|一千五|五百元|"
        "三万多|幺八零零|七七零元|全部积蓄"
    ),
    "客": "客户反映|客户称|客户来电称|客户反馈|客户表示|用户反馈|用户称|用户投诉|客户|客户说|来电人称|顾客反映",
}
_BEFORE = (
    ("",) * 6,
    (
        "你好，",
        "您好，",
        "喂，",
        "客服，",
        "在吗，",
        "急！",
        "那个",
        "嗯，",
        "就是说",
        "我跟你讲，",
        "怎么回事，",
        "天哪，",
        "救命，",
    ),
    ("昨天", "今天早上", "刚才", "昨晚", "前天", "半夜", "中午", "上周", "买了没两天", "今天下午", "用了一个月"),
    (
        "我要投诉，",
        "你们管不管，",
        "请问一下，",
        "麻烦问下，",
        "真的是，",
        "我家",
        "我们家",
        "第二次了，",
        "说出来你都不信，",
    ),
)
_AFTER = (
    ("",) * 6,
    ("。", "！", "！！！", "，", "...", "啊", "呀", "呢", "哦", "吧", "[流泪]", "[怒]"),
    (
        "怎么办",
        "，怎么办啊",
        "，你们看怎么处理",
        "，谁负责",
        "，快派人来",
        "，给个说法",
        "，必须赔",
        "，吓死我了",
        "，太吓人了",
        "，我要退货",
    ),
    (
        "，我有照片",
        "，订单〔订单号〕",
        "，电话〔手机〕",
        "，在线等",
        "，快点处理",
        "，不是第一次了",
        "，老用户了",
        "，会曝光你们",
    ),
)
_WEIGHTS = (5, 2, 2, 2)
_CONTEXT_SECTIONS = (
    "设备离线",
    "设备故障",
    "应用故障",
    "支付扣款",
    "退款售后",
    "物流配送",
    "错发漏发",
    "商品质量",
    "预订订单",
    "改签退票",
    "发票",
    "优惠活动",
    "价格",
    "安装维修",
    "服务态度",
    "会员积分",
    "使用咨询",
    "nothing",
    "small talk",
    "positive",
    "negative",
    "neutral",
)
"""Written sentences of these stand beside others, and alone assert no danger."""


class DangerRow(NamedTuple):
    """One sentence, the kind of danger it asserts ('' = none), and the line of the grammar that it comes from."""

    text: str
    kind: str
    line: int


@cache
def grammar() -> tuple[tuple[str, str], ...]:
    """Return (kind, line) of every line of the grammar."""
    lines: list[tuple[str, str]] = []
    kind = ""
    for line in files("models").joinpath("danger_corpus.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif line and not line.startswith("#"):
            lines.append((kind, line))
    return tuple(lines)


def spread(line: str, source: random.Random) -> str:
    """Write one sentence of a line: of every choice one branch, of every slot one filling, `?` = perhaps.

    >>> spread("(烟|烟)冒出来", random.Random(1))
    '烟冒出来'
    """
    return _written(_branches(line), source)


class _Part(NamedTuple):
    """A piece of a branch: text as it stands, the fillings of a slot, or a choice in brackets."""

    what: str | tuple[str, ...] | list[list[_Part]]
    perhaps: bool
    """Whether it is left out half of the time."""


@cache
def _branches(line: str) -> list[list[_Part]]:
    """Read a line once: it is written a hundred times."""
    branches, end = _choice(line, 0)
    if end != len(line):
        raise ValueError(f"grammar of dangers: a bracket is closed that was not opened: {line}")
    return branches


def _choice(line: str, start: int) -> tuple[list[list[_Part]], int]:
    """Read branches up to the closing bracket or the end; return them and where reading stopped."""
    branches: list[list[_Part]] = [[]]
    place = start
    while place < len(line) and line[place] != ")":
        if line[place] == "|":
            branches.append([])
            place += 1
            continue
        part: str | tuple[str, ...] | list[list[_Part]]
        if plain := _PLAIN.match(line, place):
            part, place = plain[0], plain.end()
        elif line[place] == "(":
            part, place = _choice(line, place + 1)
            place += 1
        elif line[place] == "<":
            close = line.index(">", place)
            part, place = tuple(_SLOTS[line[place + 1 : close]].split("|")), close + 1
        else:
            part, place = line[place], place + 1
        perhaps = place < len(line) and line[place] == "?"
        branches[-1].append(_Part(part, perhaps))
        place += perhaps
    return branches, place


_PLAIN = re.compile(r"[^()|<?]+(?!\?)")
"""What stands there as it is written; the last character before a `?` is perhaps there."""


def _written(branches: list[list[_Part]], source: random.Random) -> str:
    """Write all branches and choose one: what is drawn for one depends on no other's being chosen."""
    written = []
    for branch in branches:
        text = ""
        for what, perhaps in branch:
            if isinstance(what, str):
                part = what
            elif isinstance(what, tuple):
                part = source.choice(what)
            else:
                part = _written(what, source)
            if not perhaps or source.random() < 0.5:
                text += part
        written.append(text)
    return source.choice(written)


class _Misheard:
    """Characters that speech recognition takes for each other, among those of the corpus."""

    def __init__(self, texts: list[str]) -> None:
        characters = sorted(set("".join(texts)))
        codes = sounds(np.array([ord(each) for each in characters], dtype=np.uint32))
        self._sound = dict(zip(characters, codes.tolist(), strict=True))
        self._alike: dict[int, list[str]] = {}
        for character, sound in self._sound.items():
            self._alike.setdefault(sound, []).append(character)

    def write(self, text: str, source: random.Random) -> str:
        """Replace about every eighth character by one of the same sound, and leave out marks."""
        written = (
            source.choice(self._alike[self._sound[each]]) if source.random() < 0.12 and each in self._sound else each
            for each in text
        )
        return "".join(each for each in written if each not in "，。！？")


def _around(text: str, source: random.Random, context: list[str]) -> str:
    """Put a sentence between what people say before and after, now and then beside an unrelated sentence."""
    (before,) = source.choices(_BEFORE, _WEIGHTS)
    (after,) = source.choices(_AFTER, _WEIGHTS)
    text = source.choice(before) + text + source.choice(after)
    chance = source.random()
    if chance < 0.35:
        text = source.choice(context) + source.choice("，。 ，") + text
    if 0.2 < chance < 0.55:
        text += source.choice("，。 ，") + source.choice(context)
    return text


def danger_rows(seed: int) -> list[DangerRow]:
    """Return the corpus, the same for one seed: every line spread, with context, hasty typing and misheard words."""
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    context = [sentence for section in _CONTEXT_SECTIONS for sentence in written().get(section, [])]
    rows: list[DangerRow] = []
    for number, (heading, line) in enumerate(grammar()):
        kind = "" if heading == NOTHING else heading
        for index in range(POSITIVES_PER_LINE if kind else NEGATIVES_PER_LINE):
            text = spread(line, source)
            rows.append(DangerRow(text if index % 4 == 0 else _around(text, source, context), kind, number))
    first = len(grammar())
    for line in (
        line for section, some in written("topic_corpus.txt").items() if section not in _DANGEROUS for line in some
    ):
        context += tellings(line, source, TELLINGS_PER_LINE)
    for number, sentence in enumerate(context):
        rows += [
            DangerRow(sentence, "", first + number),
            DangerRow(_around(sentence, source, context), "", first + number),
        ]
    misheard = _Misheard([row.text for row in rows])
    rows += [row._replace(text=misheard.write(row.text, source)) for row in rows if source.random() < 0.2]
    return [row for row in rows if row.text]
