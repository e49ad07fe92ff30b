"""The product's own stages, as every process of a flow builds them."""

from __future__ import annotations

from pathlib import Path

from detectors.bank import Bank
from detectors.calendar import Calendar
from detectors.trends import TrendBook
from flows.learning import Learning
from flows.pipeline import Stages
from models.classifier import Classifier
from models.masking import mask_excerpt
from models.online import Learner
from models.store import load_model
from models.understanding import Understanding
from qianshao.clock import MINUTE_MS, SECOND_MS
from qianshao.config import Config, pseudonym_key
from qianshao.desk.desk import Desk


def product_stages(config: Config, calendar: Path | None) -> Stages:
    """Return how this process builds its stages; models are loaded when the first batch comes.

    Raises
    ------
    ConfigError
        If the pseudonym key cannot be read.
    InputError
        If the calendar cannot be read.
    ModelError
        If a model folder of the configuration is not sound.
    """
    key, _ = pseudonym_key(config)
    zone = config.service.zone
    planned = Calendar.empty(zone) if calendar is None else Calendar.read(calendar, zone)
    decision_ms = config.service.decision_seconds * SECOND_MS
    topic, sentiment = _own(config.models.topic, "topic"), _own(config.models.sentiment, "sentiment")
    return Stages(
        labeller=lambda: Understanding(key, topic, sentiment),
        excerpt=mask_excerpt,
        learning=lambda: Learning(Learner()),
        bank=lambda root: Bank(config.detection, root=root, decision_ms=decision_ms, zone=zone, calendar=planned),
        desk=lambda: Desk(config),
        trends=lambda: TrendBook(zone, config.service.allowed_lateness_minutes * MINUTE_MS),
    )


def _own(folder: str | None, task: str) -> Classifier | None:
    return None if folder is None else load_model(Path(folder), task).classifier
