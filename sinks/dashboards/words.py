"""Two languages from one definition: every text that a dashboard shows stands once, in Chinese and in English."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


class Text(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str

    def into(self, language: Language) -> str:
        """Return the text in one language.

        >>> Text("客户", "customers").into("en")
        'customers'
        """
        return self.zh if language == "zh" else self.en


class Choice(NamedTuple):
    """A stored word with the text and the colour in which it is shown."""

    value: str
    text: Text
    colour: str


# The colours are those of the live page.
SEVERITIES: tuple[Choice, ...] = (
    Choice("P1", Text("P1 特急", "P1"), "#b3202c"),
    Choice("P2", Text("P2 紧急", "P2"), "#b4480f"),
    Choice("P3", Text("P3 一般", "P3"), "#86600a"),
    Choice("P4", Text("P4 轻微", "P4"), "#2c5f9e"),
)
STATUSES: tuple[Choice, ...] = (
    Choice("watching", Text("观察", "watching"), "#8a97a0"),
    Choice("open", Text("进行中", "open"), "#b3202c"),
    Choice("acknowledged", Text("已接手", "acknowledged"), "#b4480f"),
    Choice("mitigated", Text("趋于缓解", "mitigated"), "#86600a"),
    Choice("resolved", Text("已恢复", "resolved"), "#0f6b50"),
    Choice("merged", Text("已并入", "merged"), "#2c5f9e"),
    Choice("dismissed", Text("已排除", "dismissed"), "#52616d"),
)
CHANGES: tuple[Choice, ...] = (
    Choice("watched", Text("开始观察", "watched"), "#8a97a0"),
    Choice("opened", Text("立案", "opened"), "#b3202c"),
    Choice("updated", Text("更新", "updated"), "#2c5f9e"),
    Choice("acknowledged", Text("接手", "acknowledged"), "#b4480f"),
    Choice("escalated", Text("升级", "escalated"), "#b3202c"),
    Choice("mitigated", Text("趋于缓解", "mitigated"), "#86600a"),
    Choice("resolved", Text("恢复", "resolved"), "#0f6b50"),
    Choice("reopened", Text("再次发生", "reopened"), "#b3202c"),
    Choice("merged", Text("并入", "merged"), "#2c5f9e"),
    Choice("dismissed", Text("排除", "dismissed"), "#52616d"),
)
PUSH_STATES: tuple[Choice, ...] = (
    Choice("proposed", Text("待批准", "proposed"), "#86600a"),
    Choice("approved", Text("已批准", "approved"), "#2c5f9e"),
    Choice("queued", Text("已排队", "queued"), "#2c5f9e"),
    Choice("leased", Text("发送中", "leased"), "#2c5f9e"),
    Choice("delivered", Text("已送达", "delivered"), "#0f6b50"),
    Choice("failed", Text("失败", "failed"), "#b3202c"),
    Choice("cancelled", Text("已取消", "cancelled"), "#52616d"),
    Choice("expired", Text("已过期", "expired"), "#52616d"),
)
TREND_STATES: tuple[Choice, ...] = (
    Choice("rising", Text("上升", "rising"), "#b4480f"),
    Choice("new", Text("新出现", "new"), "#b3202c"),
    Choice("seasonal", Text("季节性", "seasonal"), "#2c5f9e"),
    Choice("falling", Text("下降", "falling"), "#0f766e"),
    Choice("resolved", Text("已解决", "resolved"), "#0f6b50"),
)
ACCENT = "#0f766e"
EXPECTED = "#5b8f8a"
BAND = "#cfe6e3"
OUTSIDE = "#c22f2f"
CALM = "#0f6b50"
WARNING = "#b4480f"
