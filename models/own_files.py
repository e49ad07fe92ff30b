"""The files of `[models]`: read at the start and again on demand; of each the last good one serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from models.classifier import TASKS, Classifier
from models.lexicon import Lexicon, shipped_lexicon
from models.own import OwnFeelings
from models.store import ModelShelf, Stored, load_model
from models.tokens import Vocabulary, load_vocabulary
from qianshao.config import Models
from qianshao.errors import ConfigError, InputError, ModelError


class Serving(NamedTuple):
    """What reads texts now; None = the shipped model, or no words of one's own."""

    topic: Classifier | None
    sentiment: Classifier | None
    vocabulary: Vocabulary | None
    lexicon: Lexicon


class FileHealth(NamedTuple):
    """How one file or folder of `[models]` is doing."""

    key: str
    """Its key in `[models]`."""
    path: str
    """What serves was read from here."""
    serving: str
    """Version of what serves, and how much it is."""
    refused: str
    """Why what stands there now does not serve, '' if it does."""


class OwnFiles:
    """Models, words and topics of one's own.

    Parameters
    ----------
    settings
        Names the files.
    kept
        Folder with copies of models that were sound before, by task. Such a copy serves while the configured folder is
        not sound. None = nothing but what is configured.

    Raises
    ------
    ModelError
        If a model folder is not sound and no copy of one is.
    ConfigError
        If the vocabulary or the taxonomy is refused.
    """

    def __init__(self, settings: Models, kept: Path | None = None) -> None:
        self._settings = settings
        self._shelves = {task: ModelShelf(task, _load) for task in TASKS if getattr(settings, task) is not None}
        self._refused: dict[str, str] = {}
        for task, shelf in self._shelves.items():
            if not self._offer(task) and (kept is None or not shelf.offer(kept / task)):
                raise ModelError(self._refused[task])
        self._vocabulary: Vocabulary | None = None
        self._lexicon = shipped_lexicon()
        self._read_vocabulary()
        self._read_taxonomy()

    def reload(self) -> None:
        """Read everything again; what is refused goes on as it was, and `health` says why."""
        for task in self._shelves:
            self._offer(task)
        for key, read in (("vocabulary", self._read_vocabulary), ("taxonomy", self._read_taxonomy)):
            self._try(key, read)

    def _offer(self, task: str) -> bool:
        shelf = self._shelves[task]
        good = shelf.offer(Path(getattr(self._settings, task)))
        self._refused[task] = shelf.health().refused
        return good

    def _try(self, key: str, read: Callable[[], None]) -> None:
        self._refused[key] = ""
        try:
            read()
        except ConfigError as error:
            self._refused[key] = str(error)

    def _read_vocabulary(self) -> None:
        if self._settings.vocabulary is None:
            return
        try:
            self._vocabulary = load_vocabulary(Path(self._settings.vocabulary))
        except InputError as error:
            raise ConfigError(f"models.vocabulary: {error}") from None

    def _read_taxonomy(self) -> None:
        file = self._settings.taxonomy
        if file is None:
            return
        try:
            self._lexicon = Lexicon(Path(file).read_text("utf-8-sig"))
        except OSError as error:
            raise ConfigError(
                f"models.taxonomy {file}: cannot be read ({error.strerror}); name a TOML file with topics"
            ) from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"models.taxonomy {file}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
        except ModelError as error:
            raise ConfigError(f"models.taxonomy {file}: {error}") from None

    def serving(self) -> Serving:
        """Return what serves now."""
        topic, sentiment = (self._shelves[task].classifier if task in self._shelves else None for task in TASKS)
        return Serving(topic, sentiment, self._vocabulary, self._lexicon)

    def health(self) -> list[FileHealth]:
        """Say of each file what serves, and what was refused."""
        found = []
        for task, shelf in self._shelves.items():
            health = shelf.health()
            found.append(FileHealth(task, health.folder, f"model {health.serving}", self._refused[task]))
        if self._settings.vocabulary is not None and self._vocabulary is not None:
            words = self._vocabulary
            said = f"version {words.version}, {len(words.words):,} words"
            found.append(FileHealth("vocabulary", self._settings.vocabulary, said, self._refused.get("vocabulary", "")))
        if self._settings.taxonomy is not None:
            said = f"version {self._lexicon.version}, {len(self._lexicon.topics)} topics"
            found.append(FileHealth("taxonomy", self._settings.taxonomy, said, self._refused.get("taxonomy", "")))
        return found


def _load(folder: Path, task: str | None) -> Stored:
    """Read a model and make sure that it can stand in the place of the shipped one."""
    stored = load_model(folder, task)
    if task == "sentiment":
        OwnFeelings(stored.classifier)
    return stored
