"""A service goes on with the last good model when the configured one is damaged, and says so."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from models.own_files import OwnFiles
from models.store import Origin, load_model, save_model
from models.tokens import Vocabulary
from models.training import train
from qianshao.app.doctor import diagnose
from qianshao.app.service import tell_of_models
from qianshao.config import Models
from qianshao.errors import ConfigError, ModelError


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


def told(kept: Path, **files: object) -> OwnFiles:
    opened = OwnFiles(Models(**{key: str(file) for key, file in files.items()}), kept)
    tell_of_models(opened, kept)
    return opened


def test_a_sound_model_serves_from_its_folder_and_a_copy_is_kept(folder: Path, tmp_path: Path) -> None:
    assert told(tmp_path / "kept", topic=folder).health()[0].path == str(folder)
    assert load_model(tmp_path / "kept" / "topic", "topic").classifier.labels == ("送", "锁")


def test_a_damaged_model_is_refused_and_the_last_good_one_serves(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tmp_path / "kept"
    told(kept, topic=folder)
    damage(folder)
    with caplog.at_level("WARNING", "qianshao.service"):
        opened = told(kept, topic=folder)
    assert opened.health()[0].path == str(kept / "topic")
    assert opened.serving().topic is not None
    assert str(folder) in caplog.text
    assert "the last good one serves" in caplog.text
    assert load_model(kept / "topic", "topic").classifier.labels == ("送", "锁"), "the copy was not overwritten"


def test_a_damaged_model_without_a_good_one_before_it_is_an_error(folder: Path, tmp_path: Path) -> None:
    damage(folder)
    with pytest.raises(ModelError, match="topic"):
        told(tmp_path / "kept", topic=folder)
    assert not (tmp_path / "kept" / "topic").exists()


def test_a_sentiment_model_that_does_not_say_what_is_good_is_refused_before_it_serves(
    folder: Path, tmp_path: Path
) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"topic"', '"sentiment"'), "utf-8")
    with pytest.raises(ModelError, match="does not say which one is good"):
        told(tmp_path / "kept", sentiment=folder)


def test_reading_again_takes_what_is_sound_and_leaves_what_is_not(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words, taxonomy = tmp_path / "words.txt", tmp_path / "taxonomy.toml"
    words.write_text("云盾锁\n", "utf-8")
    taxonomy.write_text('version = "1"\n[topics]\n"孵化" = {}\n', "utf-8")
    opened = told(tmp_path / "kept", topic=folder, vocabulary=words, taxonomy=taxonomy)
    before = opened.serving()
    damage(folder)
    words.write_text("云盾锁\n灵犀版\n", "utf-8")
    taxonomy.write_text("[topics", "utf-8")
    opened.reload()
    with caplog.at_level("INFO", "qianshao.service"):
        tell_of_models(opened, tmp_path / "kept")
    after = opened.serving()
    assert after.topic is before.topic
    assert after.lexicon is before.lexicon
    assert after.vocabulary == Vocabulary.of(["云盾锁", "灵犀版"])
    topic, vocabulary, topics = opened.health()
    assert str(folder) in topic.refused
    assert vocabulary.refused == ""
    assert "2 words" in vocabulary.serving
    assert vocabulary.serving in caplog.text
    assert "taxonomy.toml: taxonomy: is not TOML" in topics.refused

    taxonomy.write_text('version = "2"\n[topics]\n"育雏" = {}\n', "utf-8")
    opened.reload()
    assert (opened.serving().lexicon.topics, opened.health()[2].refused) == (("育雏",), "")


@pytest.mark.parametrize(
    ("key", "content", "reason"),
    [
        ("vocabulary", "长短" * 21, "line 1"),
        ("vocabulary", None, "cannot be read"),
        ("taxonomy", "version", "is not TOML"),
        ("taxonomy", None, "cannot be read"),
    ],
)
def test_broken_words_or_topics_are_an_error_of_the_configuration(
    tmp_path: Path, key: str, content: str | None, reason: str
) -> None:
    file = tmp_path / "broken.txt"
    if content is not None:
        file.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=rf"^models\.{key}.*broken\.txt.*{reason}"):
        told(tmp_path / "kept", **{key: file})


def test_the_doctor_says_which_words_and_topics_serve_and_names_a_damaged_model(folder: Path, tmp_path: Path) -> None:
    damage(folder)
    words, taxonomy = tmp_path / "words.txt", tmp_path / "taxonomy.toml"
    words.write_text("# ours\n云盾锁\n", "utf-8")
    taxonomy.write_text('version = "1"\n', "utf-8")
    path = tmp_path / "qianshao.toml"
    path.write_text(
        f'[models]\ntopic = "{folder}"\nvocabulary = "{words}"\ntaxonomy = "{taxonomy}"\n'
        f'[run]\nstate = "{tmp_path / "state"}"\n',
        "utf-8",
    )
    found = {each.part: each for each in diagnose(path, date(2026, 11, 23))}
    assert found["topic model"].ok is False
    assert str(folder) in found["topic model"].detail
    assert found["vocabulary"].ok
    assert found["vocabulary"].detail == f"{words}: version {Vocabulary.of(['云盾锁']).version}, 1 words"
    assert found["taxonomy"].ok is False
    assert "`topics`" in found["taxonomy"].detail
