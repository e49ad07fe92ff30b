"""The running service: every part opened and named, the flow, the live page, the query port."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.broker import ensure_topics
from flows.broker_settings import client_settings
from flows.live import StateFolder, run_live
from flows.stages import kept_models, live_stages
from models.classifier import TASKS
from models.own_files import OwnFiles
from qianshao import __version__
from qianshao.app.console.archive import Archive
from qianshao.app.console.pages import console_app
from qianshao.app.console.server import address, listen, serving
from qianshao.app.query_endpoint import serve_queries
from qianshao.config import KEY_ENVIRONMENT_VARIABLE, Config, load_config, pseudonym_key
from qianshao.errors import ConfigError
from qianshao.outcome import Outcome
from sinks import queries
from sinks.annotations import Annotations
from sinks.clickhouse import Store, open_store
from sinks.grafana import GrafanaPort
from sinks.push_queue import PushQueue
from sinks.sink import Sink

RECONCILED_INCIDENTS = 1_000
"""Newest incidents whose annotations are looked after at a start."""

TELL_SECONDS = 60.0
"""Dead letters are told of at most so often."""

log = logging.getLogger("qianshao.service")


def run_service(path: Path) -> None:
    """Run until Ctrl-C or SIGTERM.

    Parameters
    ----------
    path
        The configuration.

    Raises
    ------
    UsageError
        If a setting cannot work; nothing was started.
    QianshaoError
        If a part that is needed is not there or fails.
    """
    config = load_config(path)
    check(config, path)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    with ExitStack() as stack:
        state = StateFolder(Path(config.run.state), config.pipeline.shards)
        stack.callback(state.close)
        files = OwnFiles(config.models, kept_models(config))
        tell_of_models(files, kept_models(config))
        for name in ensure_topics(config.kafka):
            log.info("topic %s: created", name)
        store = open_store(config.clickhouse, config.run.store)
        stack.callback(store.close)
        watch = _Watch(store, files, kept_models(config))
        sinks: list[Sink] = [store, PushQueue(state.path / "push_queue.sqlite3", config.service.zone)]
        stack.callback(sinks[-1].close)
        page = stack.enter_context(_page(config, store, watch))
        if config.grafana.url is not None:
            annotations = Annotations(GrafanaPort(config.grafana), live_page=page, language=config.grafana.language)
            stack.callback(annotations.close)
            annotations.reconcile(queries.newest_incidents(store, RECONCILED_INCIDENTS, reported=True))
            sinks.append(annotations)
        where = config.clickhouse.url
        if where is None:
            where = (
                f"embedded in {state.path}, read-only at {stack.enter_context(serve_queries(store, config.clickhouse))}"
            )
        log.info("qianshao %s: live page at %s; store %s", __version__, page, where)
        log.info("events from %s at %s", ", ".join(config.kafka.events), config.kafka.bootstrap)
        run_live(config, state, sinks, observe=watch.note, make_stages=live_stages)
    log.info("state saved; start again with the same configuration to go on")


def check(config: Config, path: Path) -> None:
    """Refuse settings with which the service must not run.

    Raises
    ------
    ConfigError
        If there is no broker to read from, or no key of one's own: pseudonyms of real customers made with the published
        key are as good as their numbers.
    """
    client_settings(config.kafka)
    if pseudonym_key(config)[1]:
        raise ConfigError(
            f"configuration {path}: privacy.pseudonym_key_file is not set; real customers need a key of your own: "
            f"name a file with at least 16 random bytes, or set {KEY_ENVIRONMENT_VARIABLE}"
        )


def tell_of_models(files: OwnFiles, kept: Path) -> None:
    """Say which models and words serve and which were refused, and keep a copy of every model that is sound.

    Parameters
    ----------
    files
        Just read.
    kept
        Folder of the copies: such a copy serves at a start at which the configured folder is not sound.
    """
    for each in files.health():
        if each.refused:
            log.warning("%s; the last good one serves: %s from %s", each.refused, each.serving, each.path)
            continue
        log.info("%s: %s from %s", each.key, each.serving, each.path)
        if each.key in TASKS:
            _keep(Path(each.path), kept / each.key)


def _keep(folder: Path, copy: Path) -> None:
    """Put a copy in the place of an older one, whole or not at all."""
    fresh, stale = copy.with_suffix(".new"), copy.with_suffix(".old")
    for leftover in (fresh, stale):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        shutil.copytree(folder, fresh)
        if copy.exists():
            copy.rename(stale)
        fresh.rename(copy)
    except OSError as error:
        log.warning("%s: no copy of the model could be kept (%s)", copy, error)
    shutil.rmtree(stale, ignore_errors=True)


class _Watch:
    """What the page and the log know of the running flow."""

    def __init__(self, store: Store, files: OwnFiles, kept: Path) -> None:
        self._watermark = queries.watermark(store)
        self._files, self._kept = files, kept
        self._dead = 0
        self._told = -TELL_SECONDS

    @property
    def watermark(self) -> int:
        return self._watermark

    def note(self, outcome: Outcome) -> None:
        self._watermark = max(self._watermark, outcome.watermark)
        for change in outcome.incidents:
            if change.opened_at is not None:
                log.info(
                    "incident %s version %d: %s (%s) %s %s",
                    *(change.incident, change.version, change.change, change.reason, change.severity, change.title),
                )
        for done in outcome.actions:
            detail = f" ({done.detail})" if done.detail else ""
            log.info("action %s: %s %s%s", done.action.id, done.action.action, done.state, detail)
        if any(done.action.action == "reload" for done in outcome.actions):
            # The processes that read texts read the files themselves; this copy of them is for the log and the shelf.
            self._files.reload()
            tell_of_models(self._files, self._kept)
        self._dead += len(outcome.deadletters)
        if outcome.deadletters and time.monotonic() - self._told >= TELL_SECONDS:
            letter = outcome.deadletters[-1]
            log.warning(
                "%d dead letters since the last such line; the newest: %s at %s position %d",
                *(self._dead, letter.reason, letter.source, letter.position),
            )
            self._dead, self._told = 0, time.monotonic()


@contextmanager
def _page(config: Config, store: Store, watch: _Watch) -> Iterator[str]:
    listener = listen(config.console.host, config.console.port, search=False)
    reader = Archive(store, config.service.zone, lambda: watch.watermark, finished=False)
    app = console_app(reader, leads={}, host=config.console.host)
    with serving(app, listener):
        yield address(listener)
