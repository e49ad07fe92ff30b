"""Model folders: whole or refused; the last good model serves and health says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.classifier import Classifier
from models.store import MANIFEST, ModelShelf, Origin, load_model, save_model
from models.training import Trained, train
from qianshao.errors import ModelError, OutputError

TEXTS = [f"{thing}{said}" for thing in ("外卖", "酒店", "手机", "快递") for said in ("很好", "太差了", "不错", "坏了")]
LABELS = ["1", "0", "1", "0"] * 4
ORIGIN = Origin("reviews.csv", "0" * 64, len(TEXTS), "2026-01-01T00:00:00.000+08:00")


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(TEXTS, LABELS)


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    save_model(tmp_path / "model", "sentiment", trained.classifier, trained.quality, trained.folds, ORIGIN)
    return tmp_path / "model"


def answers(classifier: Classifier | None) -> list[tuple[str, float, bool]]:
    assert classifier is not None
    return [tuple(verdict) for verdict in classifier.label([*TEXTS, "", "没见过的话"])]


def test_a_model_read_again_answers_exactly_the_same(trained: Trained, folder: Path) -> None:
    stored = load_model(folder, "sentiment")
    assert answers(stored.classifier) == answers(trained.classifier)
    assert stored.manifest.data == {"name": "reviews.csv", "sha256": "0" * 64, "rows": 16}
    assert stored.manifest.created == ORIGIN.created


def test_equal_models_have_equal_folders(trained: Trained, folder: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again", "sentiment", trained.classifier, trained.quality, trained.folds, ORIGIN)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()
    }


def test_nothing_is_left_beside_a_written_model(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_folder_that_holds_something_is_left_alone(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        save_model(tmp_path, "topic", trained.classifier, trained.quality, trained.folds, ORIGIN)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        (folder / MANIFEST).write_text(json.dumps(manifest | fields), "utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda folder: flip(folder / "rarity.npy"), r"rarity\.npy"),
        (lambda folder: flip(folder / "vocabulary.txt"), r"vocabulary\.txt"),
        (lambda folder: (folder / "bias.npy").unlink(), r"bias\.npy"),
        (lambda folder: (folder / "columns.npy").write_bytes(b""), r"columns\.npy"),
        (lambda folder: (folder / MANIFEST).unlink(), r"manifest\.json"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"\xff{"), r"manifest\.json.*damaged"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), r"manifest\.json.*not the manifest"),
        (edit(kind="another program"), "not the manifest of a text model"),
        (edit(format=2), r"has format 2, this program reads 1.*update"),
        (edit(files={}), r"manifest\.json.*other files"),
        (edit(labels=["0", "1", "2"]), r"does not fit rarity\.npy"),
        (edit(labels=["0", "0"]), "too few labels"),
        (edit(shape={"bits": 60, "chars": 4, "pairs": 1}), "impossible shape"),
        (edit(shape={"bits": 3, "chars": 4, "pairs": 1}), r"does not fit columns\.npy"),
        (edit(certain_from="high"), r"manifest\.json.*damaged"),
        (edit(vocabulary="0" * 16), "another vocabulary"),
    ],
)
def test_what_is_damaged_foreign_or_newer_is_refused_by_name(
    folder: Path, damage: Callable[[Path], object], named: str
) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=named):
        load_model(folder)


def test_a_model_for_another_task_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a model for sentiment, not for topic"):
        load_model(folder, "topic")


def test_an_array_of_objects_is_never_unpickled(folder: Path) -> None:
    import hashlib

    np.save(folder / "bias.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    data = (folder / "bias.npy").read_bytes()
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest["files"]["bias.npy"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(folder)


def test_the_last_good_model_serves_while_a_bad_one_is_refused_and_health_says_so(
    trained: Trained, folder: Path, tmp_path: Path
) -> None:
    shelf = ModelShelf("sentiment")
    assert not shelf.health().ok
    assert shelf.classifier is None
    assert shelf.offer(folder)
    before = answers(shelf.classifier)
    good = shelf.health()
    assert good.ok
    flip(folder / "rarity.npy")
    assert not shelf.offer(folder)
    assert not shelf.health().ok
    assert shelf.health().serving == good.serving
    assert "rarity.npy" in shelf.health().refused
    assert answers(shelf.classifier) == before
    save_model(tmp_path / "next", "sentiment", trained.classifier, trained.quality, trained.folds, ORIGIN)
    assert shelf.offer(tmp_path / "next")
    assert shelf.health() == (good.serving, str(tmp_path / "next"), "")
