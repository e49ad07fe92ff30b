"""Folders of trained models: a manifest and plain arrays; whatever is damaged, foreign or newer is refused."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from models.classifier import TASKS, Classifier, Shape, Weights
from models.evaluation import Quality
from models.tokens import Vocabulary
from qianshao import __version__
from qianshao.errors import ModelError, OutputError

MANIFEST = "manifest.json"
VOCABULARY = "vocabulary.txt"
FORMAT = 1
_KIND = "qianshao-text-classifier"
_MAX_MANIFEST_BYTES = 1 << 20
_MAX_FILE_BYTES = 1 << 30
_MAX_BITS = 24
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "jieba", "rjieba")


class Origin(NamedTuple):
    """What a model was trained on."""

    data: str
    """Name of the data file, without its folder."""
    sha256: str
    """Of the bytes of the data file."""
    rows: int
    created: str
    """RFC 3339; passed in by whoever started the training."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    bytes: int


class Manifest(msgspec.Struct):
    """What stands in manifest.json. Unknown fields are ignored: a later minor version may add some."""

    kind: str
    format: int
    task: str
    labels: list[str]
    certain_from: float
    shape: dict[str, int]
    vocabulary: str
    """Version of the words that were kept whole."""
    version: str
    """Hash over all files: names this model."""
    created: str
    data: dict[str, str | int]
    metrics: dict[str, Any]
    program: str
    libraries: dict[str, str]
    files: dict[str, _File]


class Stored(NamedTuple):
    """A model read from its folder."""

    classifier: Classifier
    manifest: Manifest


def save_model(
    folder: Path, task: str, classifier: Classifier, quality: Quality, folds: int, origin: Origin
) -> Manifest:
    """Write a model into a new or empty folder; it appears whole or not at all.

    Raises
    ------
    OutputError
        If the folder holds something, or cannot be written.
    """
    files: dict[str, bytes] = {VOCABULARY: "".join(f"{word}\n" for word in classifier.reader.vocabulary.words).encode()}
    for name, array in classifier.weights._asdict().items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    listed = {name: _File(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())}
    manifest = Manifest(
        kind=_KIND,
        format=FORMAT,
        task=task,
        labels=list(classifier.labels),
        certain_from=classifier.certain_from,
        shape={name: int(value) for name, value in classifier.reader.shape._asdict().items()},
        vocabulary=classifier.reader.vocabulary.version,
        version=hashlib.sha256("".join(entry.sha256 for entry in listed.values()).encode()).hexdigest()[:16],
        created=origin.created,
        data={"name": origin.data, "sha256": origin.sha256, "rows": origin.rows},
        metrics={
            "how": f"{folds}-fold cross-validation on the training data",
            "accuracy": round(quality.accuracy, 4),
            "macro_f1": round(quality.macro_f1, 4),
            "calibration_error": round(quality.calibration_error, 4),
        },
        program=__version__,
        libraries={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        files=listed,
    )
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder}: is not empty; name a new folder")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, data in files.items():
            _write(partial / name, data)
        _write(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); free space or name another folder"
        ) from None
    return manifest


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def load_model(folder: Path, task: str | None = None) -> Stored:
    """Read a model and check every byte of it.

    Parameters
    ----------
    folder
        Written by `save_model`.
    task
        What it must be for: `topic` or `sentiment`; None = either.

    Raises
    ------
    ModelError
        If the folder is missing, incomplete, damaged, for another task, not ours, or of a newer format; the message
        names the file.
    """
    manifest = _manifest(folder)
    if task is not None and manifest.task != task:
        raise ModelError(f"{folder}: is a model for {manifest.task}, not for {task}; name the folder of a {task} model")
    expected = {VOCABULARY, *(f"{name}.npy" for name in Weights._fields)}
    if set(manifest.files) != expected:
        odd = ", ".join(sorted(set(manifest.files) ^ expected))
        raise ModelError(f"{folder / MANIFEST}: lists other files than this program reads ({odd}); train it again")
    data = {name: _checked(folder / name, entry) for name, entry in manifest.files.items()}
    try:
        weights = Weights(
            **{name: np.load(io.BytesIO(data[f"{name}.npy"]), allow_pickle=False) for name in Weights._fields}
        )
        vocabulary = Vocabulary.of(data[VOCABULARY].decode("utf-8").split("\n"))
        features = manifest.shape
        # Folders written before syllables were read have none.
        shape = Shape(features["bits"], features["chars"], bool(features["pairs"]), features.get("syllables", 0))
    except (ValueError, KeyError, EOFError) as error:
        raise ModelError(f"{folder}: cannot be read ({error}); train it again") from None
    wrong = _contradiction(manifest, weights, vocabulary, shape)
    if wrong:
        raise ModelError(f"{folder / MANIFEST}: {wrong}; train it again")
    return Stored(Classifier(manifest.labels, weights, vocabulary, manifest.certain_from, shape), manifest)


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    again = "name a folder written by `qianshao train`"
    try:
        with path.open("rb") as handle:
            raw = handle.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); {again}") from None
    try:
        head = msgspec.json.decode(raw)
        if not isinstance(head, dict) or head.get("kind") != _KIND:
            raise ModelError(f"{path}: is not the manifest of a text model; {again}")
        if head.get("format") != FORMAT:
            raise ModelError(
                f"{path}: has format {head.get('format')}, this program reads {FORMAT}; "
                "update Qianshao or train the model again"
            )
        return msgspec.convert(head, Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: is damaged ({error}); {again}") from None


def _checked(path: Path, entry: _File) -> bytes:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size == entry.bytes <= _MAX_FILE_BYTES else b""
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); train the model again") from None
    if size != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelError(f"{path}: is not the file that was written (its hash differs); train the model again")
    return data


def _contradiction(manifest: Manifest, weights: Weights, vocabulary: Vocabulary, shape: Shape) -> str:
    """Say where files that are whole do not fit together; '' if they do."""
    rows, width = len(weights.columns), 1 if len(manifest.labels) == 2 else len(manifest.labels)
    if manifest.task not in TASKS or len(manifest.labels) < 2 or len(set(manifest.labels)) != len(manifest.labels):
        return "names an unknown task or too few labels"
    if not 1 <= shape.bits <= _MAX_BITS or not 1 <= shape.chars <= 8 or not 0 <= shape.syllables <= 8:
        return "has features of an impossible shape"
    if vocabulary.version != manifest.vocabulary:
        return "names another vocabulary than the folder holds"
    wanted: Mapping[str, tuple[tuple[int, ...], str]] = {
        "columns": ((rows,), "i"),
        "scales": ((rows, 2), "f"),
        "rarity": ((rows, width), "f"),
        "inequality": ((rows, 1 if width == 1 else 0), "f"),
        "bias": ((width,), "f"),
        "temperature": ((), "f"),
    }
    for name, (form, kind) in wanted.items():
        array = getattr(weights, name)
        if array.shape != form or array.dtype.kind != kind or not np.isfinite(array).all():
            return f"does not fit {name}.npy"
    columns = weights.columns
    if rows and (columns[0] < 0 or columns[-1] >= 1 << shape.bits or (np.diff(columns) <= 0).any()):
        return "does not fit columns.npy"
    return ""


class ShelfHealth(NamedTuple):
    """What a shelf serves and what it last refused."""

    serving: str
    """Version of the model that serves, '' before the first."""
    folder: str
    refused: str
    """Why the newest offer was refused, '' if it was not."""

    @property
    def ok(self) -> bool:
        """Whether the newest model that was offered is the one that serves."""
        return bool(self.serving) and not self.refused


class ModelShelf:
    """The last good model serves; a new one takes its place only after every check.

    Parameters
    ----------
    task
        What its models are for.
    load
        Reads a folder; `load_model` unless a test says otherwise.
    """

    def __init__(self, task: str, load: Callable[[Path, str | None], Stored] = load_model) -> None:
        self._task = task
        self._load = load
        self._stored: Stored | None = None
        self._health = ShelfHealth("", "", "")

    def offer(self, folder: Path) -> bool:
        """Take the model of a folder if it is sound; return whether it serves now. It never raises `ModelError`."""
        try:
            stored = self._load(folder, self._task)
        except ModelError as error:
            self._health = self._health._replace(refused=str(error))
            return False
        self._stored = stored
        self._health = ShelfHealth(stored.manifest.version, str(folder), "")
        return True

    @property
    def classifier(self) -> Classifier | None:
        """The model that serves; None before the first good one."""
        return self._stored.classifier if self._stored is not None else None

    def health(self) -> ShelfHealth:
        """Return what serves and what was refused last."""
        return self._health
