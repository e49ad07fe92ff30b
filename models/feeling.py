"""What a text says with faces and what it says while it thinks: emoji as tokens of feeling, words of hesitation."""

from __future__ import annotations

import re

JOY = "〔喜〕"
PRAISE = "〔赞〕"
THANKS = "〔谢〕"
ANGER = "〔怒〕"
SORROW = "〔哀〕"
DISGUST = "〔厌〕"
SHOCK = "〔惊〕"
IRONY = "〔讽〕"

POSITIVE = frozenset({JOY, PRAISE, THANKS})
NEGATIVE = frozenset({ANGER, SORROW, DISGUST, IRONY})
"""〔惊〕 belongs to neither. 🙂 and [微笑] are irony, as most Chinese writers under fifty mean them."""

_EMOJI = {
    JOY: "😀😃😄😁😆😊☺😉😍🥰😘😚😋😎🤗🥳😸😺😻❤♥💕💖💗💓💛💚💙💜🧡🌹🎉🎊😂🤣😹😇😌",
    PRAISE: "👍👏💪👌🆒💯✌🌟⭐",
    THANKS: "🙏🤝🫶",
    ANGER: "😠😡🤬👿😤💢👎🖕🔪💣🗯",
    SORROW: "😢😭😞😔😟🙁☹😣😖😫😩🥺😥😰😿💔😪😓😿",
    DISGUST: "🤮🤢💩🙄😒🤦😑😷🤡😾🥴",
    SHOCK: "😱😨😳😲🤯😮😧😵❓❗🙀",
    IRONY: "🙂🙃😏",
}
_EMOTES = {
    JOY: "呲牙 愉快 开心 哈哈 大笑 可爱 爱心 心 玫瑰 鲜花 拥抱 笑哭 破涕为笑 憨笑 偷笑 嘿哈 耶 庆祝 爱你 色 调皮 得意",
    PRAISE: "强 赞 鼓掌 OK ok 胜利 good 给力 666 加油 点赞",
    THANKS: "抱拳 合十 握手 感谢 谢谢 作揖",
    ANGER: "发怒 怒 怒骂 生气 愤怒 抓狂 咒骂 敲打 菜刀 炸弹 弱 鄙视 差评",
    SORROW: "流泪 大哭 难过 委屈 快哭了 泪 悲伤 伤心 心碎 失望 叹气 苦涩 可怜 裂开 衰",
    DISGUST: "吐 白眼 便便 恶心 嘘 捂脸 无语 翻白眼 猪头 抠鼻 黑线",
    SHOCK: "惊恐 惊讶 吓 震惊 疑问 晕 尴尬 汗 冷汗",
    IRONY: "微笑 再见 呵呵 阴险 坏笑 右哼哼 左哼哼 傲慢 旺柴 吃瓜",
}
_TOKEN = {
    **{emoji: token for token, all_emoji in _EMOJI.items() for emoji in all_emoji},
    **{f"[{emote}]": token for token, emotes in _EMOTES.items() for emote in emotes.split()},
}
_LONGEST_EMOTE = max(map(len, _TOKEN)) - 2
_FACES = "".join(key for key in _TOKEN if len(key) == 1)
# Ranges are four times faster to look for than a hundred single characters; every face lies in one.
_MAY_FEEL = re.compile("[\\[\u2600-\u2bff\U0001f000-\U0001faff]")
_FACE = re.compile(rf"[{_FACES}]|\[[^\[\]]{{1,{_LONGEST_EMOTE}}}\]")
# 那个 and 然后 stand for something in writing: they go only where pauses show that they do not. 哎 and 唉 are sighs.
_PAUSE = "，,、 …"
# Every branch begins with characters of its own, so that places where none can begin are passed over quickly.
_HESITATION = re.compile(
    rf"[嗯呃]+[{_PAUSE}]*|怎么说呢[{_PAUSE}]*|就是说(?![曹你我他她它])|那个(?:那个)+|这个(?:这个)+"
    rf"|(?<![^{_PAUSE}。])(?:[那这]个|然后|就是|[额诶喂啊哦])+(?:[{_PAUSE}]+|$)"
)


def feeling_tokens(text: str) -> tuple[str, ...]:
    """Return the feeling of each emoji and chat emote of a normalised text, in order; unknown ones are left out.

    >>> feeling_tokens("门锁又坏了😡😡[微笑]"), feeling_tokens("门锁好了")
    (('〔怒〕', '〔怒〕', '〔讽〕'), ())
    """
    if _MAY_FEEL.search(text) is None:
        return ()
    return tuple([_TOKEN[face] for face in _FACE.findall(text) if face in _TOKEN])


def heard(text: str) -> str:
    """Return a normalised text without the words of hesitation that speech recognition writes down.

    Topic, sentiment, terms and keywords are read from it; what people are shown stays as it is.

    >>> heard("嗯，那个，门锁就是说离线了😡")
    '门锁离线了😡'
    """
    return _HESITATION.sub("", text)
