"""The doctor: every part that the service needs, looked at once, with what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detectors.calendar import Calendar
from detectors.holidays import KNOWN_UNTIL
from flows import broker
from flows.live import StateFolder
from models.classifier import TASKS
from models.own_files import OwnFiles
from qianshao.config import Config, Models, load_config, pseudonym_key
from qianshao.errors import QianshaoError
from qianshao.examined import Examined
from sinks import examination, grafana_push
from sinks.dashboards import alert_rules, dashboards

MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("?", "yellow")}


def diagnose(path: Path, today: date) -> list[Examined]:
    """Look at every part that a configuration names, changing nothing.

    Parameters
    ----------
    path
        The configuration.
    today
        Day on which the calendar of public holidays is to be good, and planned work not yet over.

    Returns
    -------
    list of Examined
        In the order in which a start needs them: configuration, key, models, calendar, planned work, state, broker and
        topics, store, Grafana.
    """
    try:
        config = load_config(path)
    except QianshaoError as error:
        return [Examined(part="configuration", ok=False, detail=str(error))]
    found = [Examined(part="configuration", ok=True, detail=str(path)), _key(config), *_models(config)]
    found += [_holidays(today), *_maintenance(config, today), *_state(config)]
    found += broker.examine(config.kafka)
    found += examination.examine(config.clickhouse, config.run.store)
    language = config.grafana.language
    found += grafana_push.examine(config, dashboards(language), alert_rules(language))
    return found


def _key(config: Config) -> Examined:
    part = "pseudonym key"
    try:
        published = pseudonym_key(config)[1]
    except QianshaoError as error:
        return Examined(part=part, ok=False, detail=str(error))
    if published:
        detail = "only the published demonstration key; name a file of your own in privacy.pseudonym_key_file"
        return Examined(part=part, ok=False, detail=detail)
    return Examined(part=part, ok=True, detail="your own")


def _models(config: Config) -> list[Examined]:
    found = []
    for key in Models.__struct_fields__:
        file: str | None = getattr(config.models, key)
        if file is None:
            continue
        part = f"{key} model" if key in TASKS else key
        try:
            (health,) = OwnFiles(Models(**{key: file})).health()
        except QianshaoError as error:
            found.append(Examined(part=part, ok=False, detail=str(error)))
        else:
            found.append(Examined(part=part, ok=True, detail=f"{file}: {health.serving}"))
    return found


def _holidays(today: date) -> Examined:
    known = f"public holidays are known until {KNOWN_UNTIL}"
    if today <= KNOWN_UNTIL:
        return Examined(part="calendar", ok=True, detail=known)
    fallback = "since then only those of a fixed date count; update the package chinesecalendar"
    return Examined(part="calendar", ok=None, detail=f"{known}, {fallback}")


def _maintenance(config: Config, today: date) -> list[Examined]:
    found = []
    for window in config.maintenance:
        begin, end = (moment.astimezone(config.service.zone) for moment in (window.start, window.end))
        detail = f"{window.name}: {begin.isoformat(timespec='minutes')} to {end.isoformat(timespec='minutes')}"
        past = end.date() < today
        if past:
            detail += " lies in the past; take its [[maintenance]] out of the configuration"
        found.append(Examined(part="maintenance", ok=None if past else True, detail=detail))
    return found


def _state(config: Config) -> list[Examined]:
    folder = Path(config.run.state)
    found = []
    if not folder.exists():
        found.append(Examined(part="state folder", ok=True, detail=f"{folder} is made at the first start"))
    else:
        try:
            StateFolder(folder, config.pipeline.shards).close()
        except QianshaoError as error:
            running = "another process runs on it" in str(error)
            found.append(Examined(part="state folder", ok=None if running else False, detail=str(error)))
        else:
            found.append(Examined(part="state folder", ok=True, detail=f"{folder} is ours"))
    if config.run.calendar is not None:
        try:
            Calendar.read(Path(config.run.calendar), config.service.zone)
        except QianshaoError as error:
            found.append(Examined(part="calendar", ok=False, detail=str(error)))
        else:
            found.append(Examined(part="calendar", ok=True, detail=config.run.calendar))
    return found


def diagnosis_table(found: Sequence[Examined]) -> RenderableType:
    """Draw one line for each part, and the verdict below."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in found:
        mark, style = MARKS[each.ok]
        table.add_row(Text(mark, style=style), each.part, Text(each.detail, style="" if each.ok else style))
    wrong = sum(each.ok is False for each in found)
    verdict = f"{wrong} of {len(found)} parts need attention" if wrong else f"all {len(found)} parts are well"
    return Group(table, Text(), Text(verdict, style="bold red" if wrong else "bold green"))
