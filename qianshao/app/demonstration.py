"""The demonstration: the recorded smart-lock world through everything, evidence cards, then the live page."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from qianshao.app.card import build_card
from qianshao.app.progress import Gauge
from qianshao.app.terminal import card_panel, incident_line, screen
from qianshao.app.wording import moment_of
from qianshao.outcome import Outcome

if TYPE_CHECKING:
    from qianshao.app.rehearsal import Rehearsal

WORLD = "smart_lock"

WORKERS = 1


def run_demonstration(out: Path | None, serve: bool) -> int:
    """Play the recorded world, show each incident as it opens and as a card, and serve the page.

    Parameters
    ----------
    out
        Where the files go; None = a temporary folder that is removed at the end.
    serve
        Whether to serve the page until Ctrl-C.

    Returns
    -------
    int
        Exit code.
    """
    show = screen(stderr=False)
    show.print(Text("前哨 · 录制的智能门锁世界，走完整条数据流（加载引擎约需几秒）", style="bold"))
    with _folder(out) as folder:
        return _play(show, folder, keep=out is not None, serve=serve)


def _play(show: Console, folder: Path, *, keep: bool, serve: bool) -> int:
    # These bring the engines; the first line is on the screen by now.
    from qianshao.app import rehearsal
    from qianshao.app.summary import DEMONSTRATION_KEY_NOTE, accounting_text
    from replay_data import world_path

    world = world_path(WORLD)
    calendar = world / "calendar.csv"
    order = rehearsal.check(
        [world / "events.jsonl.gz"],
        folder,
        truth=world / "truth.json",
        calendar=calendar if calendar.exists() else None,
        workers=WORKERS,
    )
    zone = order.config.service.zone
    with Gauge(show if show.is_terminal else screen(stderr=True), "回放") as gauge:

        def observe(fraction: float, outcome: Outcome) -> None:
            for change in outcome.incidents:
                if change.change in ("opened", "reopened"):
                    show.print(incident_line(change))
            gauge.show(fraction, moment_of(outcome.watermark, zone) if outcome.watermark > 0 else "")

        report = rehearsal.rehearse(order, observe)

    for change in report.opened:
        if change.status != "merged":
            show.print()
            show.print(card_panel(build_card(report.history(change.incident), report.leads.get(change.incident))))
    show.print()
    show.print(
        Text(f"读入 {accounting_text(report.total)}；提议主动告知 {report.pushes_proposed:,} 条，一条也没有发送")
    )
    if report.order.demonstration_key:
        show.print(Text(DEMONSTRATION_KEY_NOTE, style="dim"))
    if keep:
        show.print(Text(f"文件在 {folder}"))
    if report.failure:
        show.print(Text(report.failure, style="red"))
        return 1
    if serve:
        _serve(show, report)
    else:
        show.print(Text("没有打开页面；加上 --serve 就会打开"))
    return 0


def _serve(show: Console, report: Rehearsal) -> None:
    from qianshao.app.console.archive import Archive
    from qianshao.app.console.pages import console_app
    from qianshao.app.console.server import address, listen, serve
    from qianshao.app.query_endpoint import serve_queries
    from sinks.clickhouse import Store

    settings = report.order.config.console
    listener = listen(settings.host, settings.port, search=True)
    if settings.port and listener.getsockname()[1] != settings.port:
        show.print(Text(f"端口 {settings.port} 已被占用，改用 {listener.getsockname()[1]}", style="yellow"))
    store = Store(report.order.store, report.order.config.clickhouse.retention_days)
    try:
        reader = Archive(store, report.order.config.service.zone, lambda: report.watermark, finished=True)
        app = console_app(reader, leads=report.leads, host=settings.host)
        with _stopped_by_signals(), serve_queries(store, report.order.config.clickhouse) as queries:
            show.print(Text(f"查询端口 {queries} （只读，ClickHouse 的 HTTP 接口，Grafana 可直接接入）"))
            show.print(Text(f"页面 {address(listener)} （按 Ctrl-C 结束）", style="bold"))
            serve(app, listener)
    finally:
        listener.close()
        store.close()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM are how serving ends: not an error, and the temporary folder is still to be removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="qianshao-demo-") as name:
        yield Path(name)
