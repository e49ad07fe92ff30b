"""The one sentence at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from qianshao.app import wording
from qianshao.incident import IncidentChange

Tone = Literal["calm", "watch", "alarm"]


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence of status and how loud it is."""

    tone: Tone
    text: str


def headline(incidents: Sequence[IncidentChange], watching: int) -> Headline:
    """Say in one sentence whether something is wrong now.

    Parameters
    ----------
    incidents
        Newest states of incidents that were opened, in any order.
    watching
        Number of weak traces under watch.

    >>> headline([], 0).text
    '一切正常：没有正在发生的批量故障'
    """
    ongoing = [incident for incident in incidents if incident.status in wording.ONGOING]
    if ongoing:
        worst = min(ongoing, key=lambda incident: (incident.severity, -incident.customers, incident.incident))
        # A title ends in its own count of people, which the sentence gives after the place and the fault.
        subject = wording.plain(worst.title).partition("：已影响")[0]
        people = f"影响 {worst.customers:,} 位客户" if worst.customers else f"涉及 {worst.devices:,} 台设备"
        detail = f"{subject}，{people}，始于 {wording.clock(worst.first_seen)}"
        if len(ongoing) == 1:
            return Headline(tone="alarm", text=f"1 起批量故障正在发生：{detail}")
        return Headline(tone="alarm", text=f"{len(ongoing)} 起批量故障正在发生，最严重的是{detail}")
    past = f"此前的 {len(incidents)} 起批量故障均已结束" if incidents else "没有正在发生的批量故障"
    if watching:
        return Headline(tone="watch", text=f"一切正常：{past}，另有 {watching} 处迹象在观察")
    return Headline(tone="calm", text=f"一切正常：{past}")
