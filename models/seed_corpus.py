"""Texts that the project wrote itself, and the grammar that spreads them: what the seed model is fitted on."""

from __future__ import annotations

import random
import re
from functools import cache
from importlib.resources import files
from math import prod
from typing import NamedTuple

from models.lexicon import Lexicon
from models.phrases import GAP

TOPIC_ROWS = 260
"""Generated rows per topic, beside the written sentences."""
TELLINGS = 8
"""Most rows that one line of `topic_corpus.txt` is spread over."""


class Row(NamedTuple):
    """One text with its label."""

    text: str
    label: str


_BEFORE = (
    "",
    "",
    "",
    "",
    "你好，",
    "您好 ",
    "客服你好，",
    "请问",
    "麻烦问下",
    "我想问一下",
    "那个，",
    "喂，",
    "你们",
    "亲，",
    "在吗，",
    "急急急，",
    "怎么回事啊，",
    "服了，",
    "真是的，",
    "又来了，",
    "今天",
    "昨天开始",
    "刚才",
    "早上",
    "一大早",
    "从昨晚到现在",
    "我家",
    "家里",
    "我的",
    "我这边",
    "我们公司",
    "我妈家",
    "@客服 ",
    "就是说",
    "然后",
    "嗯",
    "对",
    "帮我看下",
    "客户反映",
    "客户来电称",
    "客户说",
    "用户投诉",
)
_AFTER = (
    "",
    "",
    "",
    "",
    "。",
    "？",
    "！！",
    "怎么办",
    "怎么回事",
    "什么情况啊",
    "是怎么回事啊",
    "帮我看看",
    "帮我处理一下",
    "麻烦快一点",
    "急用",
    "，在线等",
    "，谢谢",
    "能解决吗",
    "，怎么处理",
    "，已登记",
    "，待回复",
    "，请尽快",
    "了",
    "了吧",
    "啊",
    "，到底管不管",
    "，都两天了",
    "，已经三次了",
    "，求解决",
    "，是不是有问题",
    "，试过重启了没用",
    "，同事也一样",
    "，邻居家也这样",
)
_MISHEARD = {
    "退": "推",
    "款": "宽",
    "券": "卷",
    "票": "漂",
    "锁": "琐",
    "码": "马",
    "登": "等",
    "录": "路",
    "屏": "平",
    "扣": "口",
    "账": "帐",
    "卡": "咖",
    "闪": "散",
    "网": "往",
    "订": "定",
    "签": "千",
    "件": "见",
    "客": "克",
    "是": "事",
    "开": "凯",
    "纹": "文",
    "机": "几",
}
"""What speech recognition and hasty typing write for the words that faults are told with."""
_CHOICE = re.compile(r"\{([^{}]*)\}")
_MORE_AFTER = (
    "[抱拳]",
    "[流泪]",
    "🙏",
    "😂",
    "👎",
    "💔",
    "，我的号码〔手机〕",
    "，电话〔手机〕谢谢",
    " 订单号〔订单号〕",
    "，身份证〔身份证〕",
    "，我在重庆",
    "，从八点到现在",
    " 截图发过去了你看看",
    "，好几次了",
    "，快点处理",
    "，真服了",
    "，太坑了",
)
_HESITATIONS = ("那个", "嗯", "呃", "就是", "这个", "然后", "就是说", "哎")
_FILL = ("", "", "一直", "都", "怎么", "老是", "还", "又", "全")

_SUBJECTS: dict[str, tuple[str, ...]] = {
    "设备离线": ("门锁", "摄像头", "热水器", "设备", "网关", "门琐", "智能插座", "监控", "手环", "音箱", "空调"),
    "设备故障": (
        "门锁",
        "摄像头",
        "热水器",
        "平板",
        "手机",
        "屏幕",
        "指纹",
        "充电器",
        "电池",
        "扫地机",
        "耳机",
        "按键",
    ),
    "应用故障": ("app", "APP", "小程序", "页面", "网页", "你们软件", "新版本", "首页", "订单页", "系统"),
    "安全隐患": ("热水器", "充电宝", "插头", "电线", "充电器", "电池", "门锁", "平板", "电饭煲", "路由器"),
    "账号登录": ("账号", "手机号", "新手机", "我老婆的账号", "APP", "验证码", "密码", "微信登录"),
    "支付扣款": ("钱包", "银行卡", "这笔", "订单", "零钱", "话费", "会员", "一笔钱", "扫码的时候"),
    "退款售后": ("这单", "钱", "商品", "衣服", "手机", "申请", "上周的订单", "商家", "平台"),
    "物流配送": ("包裹", "快递", "外卖", "骑手", "订单", "我的东西", "水果", "生鲜", "物流信息"),
    "错发漏发": ("商家", "店家", "外卖", "收到的", "快递", "饮料", "配件", "赠品", "衣服"),
    "商品质量": ("衣服", "手机壳", "耳机", "鞋子", "数据线", "包", "杯子", "裤子", "洗发水", "书"),
    "食品安全": ("饭", "菜", "水果", "外卖", "汤", "肉", "牛奶", "面条", "麻辣烫", "海鲜", "米饭"),
    "预订订单": ("酒店", "房间", "前台", "订单", "民宿", "餐厅", "门票", "大床房"),
    "改签退票": ("机票", "航班", "火车票", "高铁票", "行程", "飞机", "返程票"),
    "发票": ("发票", "电子发票", "公司抬头", "酒店发票", "这单"),
    "优惠活动": ("券", "红包", "优惠券", "活动", "双十二", "满减", "新人礼"),
    "价格": ("价格", "同一款", "昨天买的", "别家", "这个价", "标价"),
    "安装维修": ("师傅", "门锁", "热水器", "空调", "安装", "上门", "维修"),
    "服务态度": ("客服", "骑手", "师傅", "前台", "你们", "店员", "配送员", "上一个客服"),
    "诈骗信息": ("有人", "短信", "电话", "一个链接", "我卡里", "对方", "自称你们的人"),
    "信息隐私": ("我的信息", "摄像头", "手机号", "地址", "你们", "总有人"),
    "会员积分": ("会员", "积分", "权益", "等级", "卡", "里程"),
    "使用咨询": ("门锁", "摄像头", "平板", "热水器", "手机", "这个", "app", "音箱"),
}

_GOOD_THINGS = (
    "味道",
    "质量",
    "服务",
    "客服",
    "师傅",
    "骑手",
    "房间",
    "环境",
    "包装",
    "速度",
    "手感",
    "画质",
    "效果",
    "早餐",
    "位置",
    "书",
    "衣服",
    "手机",
    "水果",
    "",
)


@cache
def written(file: str = "seed_corpus.txt") -> dict[str, list[str]]:
    """Return the written sentences by section: topics, `nothing`, `small talk`, `positive`, `negative`, `neutral`."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in files("models").joinpath(file).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            current.append(line)
    return sections


def _filled(cue: str, source: random.Random) -> str:
    return cue.replace(GAP, source.choice(_FILL))


def _noisy(text: str, source: random.Random) -> str:
    """Drop or double a character now and then, as typing and speech recognition do."""
    if len(text) > 5 and source.random() < 0.15:
        place = source.randrange(len(text))
        text = text[:place] + text[place + 1 :] if source.random() < 0.6 else text[:place] + text[place] + text[place:]
    if source.random() < 0.2:
        text = text.replace("，", source.choice(("", " ", "，")))
    return text


def tellings(line: str, source: random.Random, most: int = TELLINGS) -> list[str]:
    """Return different sentences that a line stands for, at most `most`: `{a|b|}` is one of its parts.

    >>> sorted(tellings("{锁|门}打不开{了|}", random.Random(0)))
    ['锁打不开', '锁打不开了', '门打不开', '门打不开了']
    """
    choices = [part.split("|") for part in _CHOICE.findall(line)]
    count = prod(map(len, choices))
    sentences = []
    for number in sorted(source.sample(range(count), min(count, most))):
        sentence = line
        for choice in choices:
            number, place = divmod(number, len(choice))
            sentence = _CHOICE.sub(choice[place], sentence, count=1)
        sentences.append(sentence)
    return sentences


def _spoken(text: str, source: random.Random) -> str:
    """Say it as a recogniser hears it now and then: hesitations, words said twice, characters of the same sound."""
    if source.random() < 0.2:
        place = source.randrange(len(text) + 1)
        text = text[:place] + source.choice(_HESITATIONS) + text[place:]
    if len(text) > 4 and source.random() < 0.1:
        place = source.randrange(len(text) - 2)
        text = text[: place + 2] + text[place:]
    if source.random() < 0.15:
        heard = [place for place, character in enumerate(text) if character in _MISHEARD]
        if heard:
            place = source.choice(heard)
            text = text[:place] + _MISHEARD[text[place]] + text[place + 1 :]
    return text


def framed(sentence: str, source: random.Random) -> str:
    """Return a sentence as it may be said or typed, with words before and after it."""
    said = source.choice(_BEFORE) + _spoken(sentence, source) + source.choice(_AFTER + _MORE_AFTER)
    return _noisy(said, source)


def told_rows(seed: int = 13) -> list[Row]:
    """Return the sentences of `topic_corpus.txt`, each once as it stands and once as it may be said or typed."""
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    rows = [Row(before + after, "") for before in _BEFORE for after in _MORE_AFTER if source.random() < 0.5]
    for section, lines in written("topic_corpus.txt").items():
        label = "" if section == "nothing" else section
        for line in lines:
            for sentence in tellings(line, source):
                rows += [Row(sentence, label), Row(framed(sentence, source), label)]
    return rows


def topic_rows(lexicon: Lexicon, seed: int = 7) -> list[Row]:
    """Return the topic corpus: written sentences, cue words in frames, and texts of no topic (label '')."""
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    rows: list[Row] = []
    for topic in lexicon.topics:
        cues, subjects = lexicon.cues[topic]["strong"], _SUBJECTS.get(topic, ("",))
        for sentence in written().get(topic, []):
            rows += [
                Row(_noisy(source.choice(_BEFORE) + sentence + source.choice(_AFTER), source), topic) for _ in range(5)
            ]
            rows.append(Row(sentence, topic))
        for number in range(TOPIC_ROWS):
            said = _filled(cues[number % len(cues)], source)
            subject = source.choice(subjects) if source.random() < 0.7 else ""
            body = said if source.random() < 0.25 else subject + source.choice(_FILL) + said
            rows.append(Row(_noisy(source.choice(_BEFORE) + body + source.choice(_AFTER), source), topic))
    nothing = [*written()["nothing"], *written()["small talk"], *written()["positive"]]
    for sentence in nothing:
        rows.append(Row(sentence, ""))
        rows += [Row(_noisy(source.choice(_BEFORE) + sentence + source.choice(_AFTER), source), "") for _ in range(3)]
    for before in _BEFORE:
        for after in _AFTER:
            if source.random() < 0.3:
                rows.append(Row(before + after, ""))
    rows += [row for row in told_rows() if not row.label or row.label in lexicon.topics]
    return [row for row in rows if row.text]


def sentiment_rows(lexicon: Lexicon, seed: int = 11) -> list[Row]:
    """Return the sentiment corpus, labels `positive`, `neutral` and `negative`."""
    source = random.Random(seed)  # noqa: S311 - a reproducible corpus, not a secret
    degree = ("", "", "很", "非常", "真的", "特别", "太", "挺", "比较", "超级")
    rows: list[Row] = []
    for label in ("positive", "negative", "neutral"):
        sentences = written()[label]
        for sentence in sentences:
            rows.append(Row(sentence, label))
            rows += [
                Row(_noisy(source.choice(_BEFORE[:20]) + sentence + source.choice(_AFTER[:8]), source), label)
                for _ in range(3)
            ]
        for _ in range(400 if label != "neutral" else 150):
            joined = source.choice(("，", "。", " ", "！", "")).join(
                source.sample(sentences, source.choice((2, 2, 3, 4)))
            )
            rows.append(Row(_noisy(joined, source), label))
    positive, negative = lexicon.feeling_words["positive"], lexicon.feeling_words["negative"]
    for words, label, flipped in ((positive, "positive", "negative"), (negative, "negative", "positive")):
        for word in words:
            for _ in range(4):
                rows.append(
                    Row(
                        source.choice(_GOOD_THINGS)
                        + source.choice(degree)
                        + word
                        + source.choice(("", "了", "！", "。", "的")),
                        label,
                    )
                )
            if label == "positive":
                rows.append(
                    Row(source.choice(_GOOD_THINGS) + source.choice(("不", "不太", "一点都不", "没有")) + word, flipped)
                )
    for topic in lexicon.topics:
        if topic not in (
            "使用咨询",
            "发票",
            "预订订单",
            "会员积分",
            "优惠活动",
            "价格",
            "安装维修",
            "改签退票",
            "退款售后",
        ):
            rows += [Row(sentence, "negative") for sentence in written().get(topic, [])]
    rows += [Row(sentence, "neutral") for sentence in written()["使用咨询"]]
    rows += [Row(source.choice(_BEFORE[:12]) + sentence, "neutral") for sentence in written()["small talk"]]
    rows += [Row(before + after, "neutral") for before in _BEFORE[:20] for after in _AFTER[:5]]
    return [row for row in rows if row.text]
