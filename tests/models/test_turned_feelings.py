"""Negation of negation, idioms, faint denial, irony and degree turn what the words of feeling say alone."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from models.lexicon import Lexicon
from models.understanding import Understanding
from qianshao.event import RawEvent


class Family(NamedTuple):
    """Sentences of one kind, and what their sentiment must be; the second half was written before the rules."""

    expected: str
    """`>0` positive, `>=0` not negative, `<=0` not positive, `<0` negative."""
    tuned: tuple[str, ...]
    held_out: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "double negation": Family(
        ">=0",
        (
            "从来没有失望过",
            "没有不满意的地方",
            "不是不好，就是小了点",
            "不能说不好",
            "没什么不满意的",
            "不得不说很好",
            "用了半年没失望过",
            "没有一次让我失望",
            "不会不推荐的",
            "没有哪里不满意",
            "并不是不喜欢",
            "从没觉得后悔",
            "不得不佩服师傅的手艺",
            "没有什么不好的",
        ),
        (
            "买了三次都没有让人失望",
            "一次都没失望过",
            "没有理由不给好评",
            "不是说不满意，挺好的",
            "没发现什么不好",
            "不得不承认味道真不错",
            "从来不会让人失望",
            "没有一点不舒服",
            "谁能不喜欢呢",
            "没啥不好的，放心买",
            "没有不好用的感觉",
            "无法不给五星",
            "没什么可抱怨的",
            "不得不夸一下客服",
        ),
    ),
    "idiom of praise": Family(
        ">=0",
        (
            "无可挑剔",
            "服务没的说",
            "质量没毛病",
            "真是没得挑",
            "好得没话说",
            "没得说，很专业",
            "挑不出毛病",
            "一点毛病都没有",
            "好吃到停不下来",
            "不要太好用",
            "房间相当可以，没话说",
            "味道杠杠的",
        ),
        (
            "这做工真的无可挑剔",
            "找不出一点毛病",
            "配送速度没的说",
            "师傅手艺没话讲",
            "挑不出一点儿刺",
            "完全没毛病，下次还买",
            "好用得不得了",
            "不要太方便哦",
            "客服没得说，耐心",
            "没有任何问题，用着挺顺手",
            "简直无懈可击",
            "好看得不行",
        ),
    ),
    "faint denial": Family(
        "<=0",
        (
            "不怎么好",
            "没有想象中好",
            "不怎么满意",
            "没那么好用",
            "谈不上满意",
            "没有说的那么好",
            "好什么好",
            "算不上干净",
            "没觉得好吃",
            "不见得有多方便",
            "好不到哪里去",
            "不像宣传的那么好",
            "好个屁",
        ),
        (
            "味道不怎么样",
            "没有图片上好看",
            "没有之前好吃了",
            "称不上舒服",
            "哪里好了",
            "满意个鬼",
            "没多好用",
            "并没有多干净",
            "质量不如以前好",
            "没感觉有多舒服",
            "不算好吃",
            "方便个屁，还不如自己去",
            "也没见得便宜",
        ),
    ),
    "sarcasm": Family(
        "<=0",
        (
            "真是“好”啊，三天坏两次",
            "呵呵",
            "太“贴心”了，凌晨三点打电话",
            "呵呵，这就是你们的服务",
            "你们可真行",
            "可真准时，晚了两个小时",
            "真会做生意，退货还要我出运费",
            "好一个售后，电话都没人接",
            "恭喜你们成功让我卸载",
            "厉害了，快递能送到隔壁市",
            "“正品”，一洗就掉色",
            "真棒，刚过保就坏",
        ),
        (
            "真“快”，等了五天",
            "呵呵，满意？",
            "好一个“免费”安装",
            "可真贴心，发票都不给开",
            "你们真牛，钱扣了货没有",
            "太“专业”了，装完门关不上",
            "佩服佩服，一个问题问了八遍",
            "真有你们的，又漏发",
            "多好的服务，挂我三次电话",
            "所谓的“极速退款”，半个月了",
            "呵呵呵，客服就会复制粘贴",
            "这效率绝了，一个月没修好",
        ),
    ),
    "thanks beside a fault": Family(
        "<0",
        (
            "谢谢啊又坏了",
            "谢谢，又离线了",
            "谢谢你们，还是打不开",
            "感谢，再次死机",
            "多谢，又扣了一次钱",
            "谢谢客服，问题还是没解决",
            "辛苦了，可是又漏水了",
            "感谢你们啊，门锁又失灵",
            "谢谢，重启以后还是连不上",
            "谢谢了，验证码还是收不到",
            "谢谢你，退款还是没到",
            "太感谢了，第三次送错",
        ),
        (
            "谢了啊，又白屏",
            "多谢多谢，又没信号了",
            "谢谢师傅，修完还是不制热",
            "感谢平台，再次取消我的订单",
            "谢谢哦，指纹又识别不了",
            "辛苦啦，但是屏幕还是花的",
            "感谢，升级之后又闪退",
            "谢谢，换了一个还是坏的",
            "真谢谢你们，又迟到一小时",
            "谢谢，还是没反应",
            "谢谢帮忙，依然登不上",
            "感谢回复，但仍然打不开",
        ),
    ),
    "degree of blame": Family(
        "<0",
        (
            "有点慢",
            "有点失望",
            "不太满意",
            "不太干净",
            "不太好用",
            "非常不满意",
            "非常差",
            "有点贵了",
            "稍微有点吵",
            "不是很好",
            "特别难吃",
            "太难用了",
        ),
        (
            "有点难吃",
            "不太舒服",
            "不太新鲜",
            "有点脏",
            "实在太慢了",
            "不是很满意",
            "不够干净",
            "非常不方便",
            "相当差劲",
            "有点卡顿，挺烦的",
            "不大好用",
            "味道有些怪，不太喜欢",
        ),
    ),
    "degree of praise": Family(
        ">0",
        (
            "非常满意",
            "相当不错",
            "特别好吃",
            "比较满意",
            "还算满意",
            "一点都不贵",
            "一点也不吵",
            "挺舒服的",
            "太好用了",
            "不错不错",
        ),
        (
            "十分方便",
            "非常干净",
            "蛮好吃的",
            "超级喜欢",
            "挺快的，很满意",
            "一点不慢",
            "还不错哦",
            "真心不错",
            "比想象中好",
            "味道比以前好多了",
        ),
    ),
}

HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">0": operator.gt,
    ">=0": operator.ge,
    "<=0": operator.le,
    "<0": operator.lt,
}


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding(b"a key of sixteen bytes")


def sentiments(understanding: Understanding, texts: Sequence[str]) -> list[float]:
    events = [
        RawEvent(id=str(number), kind="chat", ts=1, role="customer", text=text) for number, text in enumerate(texts)
    ]
    return [observation.sentiment for observation in understanding.label(events)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("half", ["tuned", "held_out"])
def test_sentences_of_a_family_are_felt_as_people_mean_them(understanding: Understanding, name: str, half: str) -> None:
    family = FAMILIES[name]
    texts = family.tuned if half == "tuned" else family.held_out
    holds = HOLDS[family.expected]
    missed = [
        (text, value)
        for text, value in zip(texts, sentiments(understanding, texts), strict=True)
        if not holds(value, 0)
    ]
    assert len(missed) <= 1, missed


@pytest.mark.parametrize(
    "text",
    ["没见过这么差的服务", "这不是骗人吗", "不能更慢了", "能不能别这么坑", "不是一般的慢，差劲", "不得不退货，太差了"],
)
def test_a_negation_that_denies_nothing_turns_nothing(understanding: Understanding, text: str) -> None:
    assert sentiments(understanding, [text])[0] < 0


@pytest.mark.parametrize(
    "text", ["谢谢，又麻烦你了", "谢谢，还是想问一下", "谢谢，欢迎再次光临", "不错，我会介绍“朋友”来", "谢谢，又快又好"]
)
def test_thanks_without_a_fault_are_no_irony(text: str) -> None:
    assert not Lexicon().feelings([text])[0].sarcasm


def test_degree_makes_the_same_feeling_stronger_or_weaker(understanding: Understanding) -> None:
    for weaker, stronger in (
        ("有点慢", "太慢了"),
        ("有点失望", "非常失望"),
        ("还算满意", "非常满意"),
        ("比较好吃", "特别好吃"),
    ):
        low, high = sentiments(understanding, [weaker, stronger])
        assert 0 < low / high < 1, (weaker, low, stronger, high)
