"""A service goes on with the last good model when the configured one is damaged, and says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.store import Origin, load_model, save_model
from models.training import train
from qianshao.app.doctor import diagnose
from qianshao.app.service import with_good_models
from qianshao.config import Config, Models
from qianshao.errors import ModelError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "topic"
    texts = [f"{'门锁打不开' if number % 2 else '快递没收到'}{number}" for number in range(40)]
    done = train(texts, ["锁" if number % 2 else "送" for number in range(40)])
    save_model(folder, "topic", done.classifier, done.quality, done.folds, Origin("rows.csv", "0" * 64, 40, ""))
    return folder


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "topic"))


def damage(folder: Path) -> None:
    file = next(folder.glob("*.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x00\x00")


def test_a_sound_model_serves_from_its_folder_and_a_copy_is_kept(folder: Path, tmp_path: Path) -> None:
    config = with_good_models(Config(models=Models(topic=str(folder))), tmp_path / "kept")
    assert config.models.topic == str(folder)
    assert load_model(tmp_path / "kept" / "topic", "topic").classifier.labels == ("送", "锁")


def test_a_damaged_model_is_refused_and_the_last_good_one_serves(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = Config(models=Models(topic=str(folder)))
    with_good_models(given, tmp_path / "kept")
    damage(folder)
    with caplog.at_level("WARNING", "qianshao.service"):
        config = with_good_models(given, tmp_path / "kept")
    assert config.models.topic == str(tmp_path / "kept" / "topic")
    assert str(folder) in caplog.text
    assert "the last good one serves" in caplog.text


def test_a_damaged_model_without_a_good_one_before_it_is_an_error(folder: Path, tmp_path: Path) -> None:
    damage(folder)
    with pytest.raises(ModelError, match="topic"):
        with_good_models(Config(models=Models(topic=str(folder))), tmp_path / "kept")
    assert not (tmp_path / "kept" / "topic").exists()


def test_the_doctor_names_a_damaged_model(folder: Path, tmp_path: Path) -> None:
    damage(folder)
    path = tmp_path / "qianshao.toml"
    path.write_text(f'[models]\ntopic = "{folder}"\n[run]\nstate = "{tmp_path / "state"}"\n', "utf-8")
    found = {each.part: each for each in diagnose(path)}
    assert found["topic model"].ok is False
    assert str(folder) in found["topic model"].detail
