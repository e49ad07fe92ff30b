"""The stages of the dataflow, put together from the rooms."""

from __future__ import annotations

from pathlib import Path

from detectors.bank import Bank
from detectors.calendar import Calendar
from detectors.trends import TrendBook
from flows.pipeline import Stages
from models.masking import mask_excerpt
from models.understanding import Understanding
from qianshao.clock import MINUTE_MS, SECOND_MS
from qianshao.config import Config, pseudonym_key
from qianshao.desk.desk import Desk


def make_stages(config: Config, calendar: Path | None) -> Stages:
    """Say how each stage is built; called in every process of a replay.

    Parameters
    ----------
    config
        Settings.
    calendar
        Planned days, None = none.

    Raises
    ------
    ConfigError, InputError
        If the pseudonym key or the calendar cannot be read.
    """
    zone = config.service.zone
    key, _ = pseudonym_key(config)
    days = Calendar.empty(zone) if calendar is None else Calendar.read(calendar, zone)

    def bank(root: bool) -> Bank:
        decision_ms = config.service.decision_seconds * SECOND_MS
        return Bank(config.detection, root=root, decision_ms=decision_ms, zone=zone, calendar=days)

    return Stages(
        labeller=lambda: Understanding(key),
        excerpt=mask_excerpt,
        bank=bank,
        desk=lambda: Desk(config),
        trends=lambda: TrendBook(zone, config.service.allowed_lateness_minutes * MINUTE_MS),
    )
