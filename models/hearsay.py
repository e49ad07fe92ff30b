"""Hearsay: what people read, saw or were told of, and did not live through."""

from __future__ import annotations

import re

_SOURCE = r"(?:网上|网友|抖音|朋友圈|微博|小红书|快手|头条|公众号|贴吧|知乎|论坛|[bB]站|群里?|新闻|热搜|短视频)"
_RETOLD = re.compile(
    rf"{_SOURCE}[上里中]?(?:的人|好多人|很多人|都|全|有人|大家|天天|一直)*在?(?:说|传|讲|聊|爆料)"
    rf"|看(?:到|了|见)?(?:个|那个|条)?{_SOURCE}|刷到|热搜|都在传|听(?:别?人|网友|他们)说|据说|吃瓜|辟谣|内幕"
    r"|看到.{2,15}你们?(?:怎么|咋个?|如何)看|是哪(?:家|个牌子|个品牌)"
)
"""Somebody else's words, of nobody who is named."""
_LIVED = re.compile(
    r"我(?:家|妈|爸|们家|孩子|儿子|女儿|老[公婆]|爷爷|奶奶|也|被|的手|刚|昨|今|当|现在)(?!.{0,3}(?:怕|担心|没))|自己也|不光|亲眼"
    r"|也(?:被|吐|拉|起了|冒|漏|麻|中招|遇到|出现|炸|烧|着)|(?:孩子|老人|宝宝|娃|老[公婆])(?:也|被|喝|吃|用|碰|摸|手|一)"
)
"""The speaker, or somebody of his, lived through it."""
HEARSAY = re.compile(
    r"网上(?![买购订办充拍预申下])|听说|据说|新闻|别的牌子|别的品牌|其他品牌|别人家|看到有人|有家的|怕|热搜|刷到|都在传"
    r"|(?:抖音|朋友圈|微博|小红书|快手|头条|群里?|视频)[上里]?(?:都|全|有人|大家)*在?(?:说|传|讲)"
)
"""Before a word of danger: it befell others, or is feared."""


def only_heard(text: str) -> bool:
    """Return whether a text retells what others say, and nothing that its speaker lived through.

    >>> only_heard("网上说充电宝冒烟"), only_heard("网上说漏电，我昨天也被电了"), only_heard("网上买的充电宝冒烟了")
    (True, False, False)
    """
    return _RETOLD.search(text) is not None and _LIVED.search(text) is None
