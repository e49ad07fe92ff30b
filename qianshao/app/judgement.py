"""How good a text model is, drawn for people: figures, worst classes, confusions, mistakes."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qianshao.app.text_models import Judgement

_CLASSES_SHOWN = 8
_CONFUSIONS_SHOWN = 8


def judgement_report(judgement: Judgement, heading: str) -> RenderableType:
    """Draw a judgement; labels and texts come from data and are shown as typed, never as markup."""
    measured = judgement.quality
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("文本", f"{measured.rows:,} 条")
    facts.add_row("准确率", f"{measured.accuracy:.2%}")
    facts.add_row("宏平均 F1", f"{measured.macro_f1:.2%}")
    facts.add_row("校准误差", f"{measured.calibration_error:.2%}")
    facts.add_row("有把握的", f"{judgement.certain_share:.1%} 的文本，其准确率 {judgement.certain_accuracy:.2%}")
    if judgement.documents_per_second:
        facts.add_row("速度", f"{judgement.documents_per_second:,.0f} 条/秒")
    if judgement.unknown_labels:
        unknown = f"{'、'.join(judgement.unknown_labels[:5])}（模型没有学过，一律算错）"
        facts.add_row("未知标签", Text(unknown, style="yellow"))
    parts: list[RenderableType] = [Text(heading, style="bold"), facts]

    classes = _table("最弱的类别", ("条数", "精确率", "召回率", "F1"))
    for each in sorted(measured.classes, key=lambda each: (each.f1, each.label))[:_CLASSES_SHOWN]:
        shown = (f"{each.rows:,}", f"{each.precision:.1%}", f"{each.recall:.1%}", f"{each.f1:.1%}")
        classes.add_row(Text(each.label), *shown)
    parts += [Text(""), classes]
    if measured.confusions:
        confusions = _table("常见混淆（实际 → 判为）", ("条数", "占该类"))
        rows = {each.label: each.rows for each in measured.classes}
        for label, predicted, count in measured.confusions[:_CONFUSIONS_SHOWN]:
            confusions.add_row(Text(f"{label} → {predicted}"), f"{count:,}", f"{count / rows[label]:.1%}")
        parts += [Text(""), confusions]
    if judgement.mistakes:
        mistakes = _table("最自信的错误（已脱敏）", ("实际", "判为", "可信度"))
        for mistake in judgement.mistakes:
            mistakes.add_row(
                Text(mistake.text), Text(mistake.label), Text(mistake.predicted), f"{mistake.confidence:.0%}"
            )
        parts += [Text(""), mistakes]
    return Group(*parts)


def _table(first: str, others: tuple[str, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
