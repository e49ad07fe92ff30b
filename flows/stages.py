"""The product's own stages, as every process of a flow builds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.bank import Bank
from detectors.calendar import Calendar
from detectors.trends import TrendBook
from flows.learning import Learning
from flows.pipeline import Stages
from models.masking import mask_excerpt
from models.meaning import shipped_encoder
from models.online import Learner
from models.own_files import OwnFiles
from models.themes import Themes
from models.understanding import Understanding
from qianshao.clock import MINUTE_MS, SECOND_MS
from qianshao.config import Config, pseudonym_key
from qianshao.desk.desk import Desk
from qianshao.event import Observation, RawEvent


class Reading:
    """Understanding with the files of `[models]`, which it reads again when it is told to, and with meaning."""

    def __init__(self, key: bytes, files: OwnFiles) -> None:
        self._files = files
        self._understanding = Understanding(key, *files.serving())
        self._encoder = shipped_encoder()

    def label(self, events: Sequence[RawEvent]) -> list[Observation]:
        """Return one observation for each event."""
        observations = self._understanding.label(events)
        self._encoder.interpret(observations)
        return observations

    def pseudonym(self, value: str) -> int:
        """Return the pseudonym of a conversation or a ticket."""
        return self._understanding.pseudonym(value)

    def reload(self) -> None:
        """Read the files again; of each the last good one serves."""
        self._files.reload()
        self._understanding.serve(*self._files.serving())


def kept_models(config: Config) -> Path:
    """Return where the running service keeps copies of models that were sound."""
    return Path(config.run.state) / "models"


def live_stages(config: Config, calendar: Path | None) -> Stages:
    """Return the stages of the running service: a model that is not sound any more is replaced by its last good copy.

    Raises what `product_stages` raises.
    """
    return product_stages(config, calendar, kept_models(config))


def product_stages(config: Config, calendar: Path | None, kept: Path | None = None) -> Stages:
    """Return how this process builds its stages.

    Parameters
    ----------
    config, calendar
        Settings, and planned days.
    kept
        Folder with copies of models that were sound, None = none.

    Raises
    ------
    ConfigError
        If the pseudonym key, the vocabulary or the taxonomy cannot be read.
    InputError
        If the calendar cannot be read.
    ModelError
        If a model folder of the configuration is not sound and no copy of it is.
    """
    key, _ = pseudonym_key(config)
    zone = config.service.zone
    planned = Calendar.empty(zone) if calendar is None else Calendar.read(calendar, zone)
    decision_ms = config.service.decision_seconds * SECOND_MS
    files = OwnFiles(config.models, kept)
    return Stages(
        labeller=lambda: Reading(key, files),
        excerpt=mask_excerpt,
        learning=lambda: Learning(Learner(), Themes()),
        bank=lambda root: Bank(
            config.detection,
            root=root,
            decision_ms=decision_ms,
            zone=zone,
            calendar=planned,
        ),
        desk=lambda: Desk(config),
        trends=lambda: TrendBook(zone, config.service.allowed_lateness_minutes * MINUTE_MS),
    )
