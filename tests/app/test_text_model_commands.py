"""train, evaluate and predict: what others script against, and messages with file and line."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

THINGS = ("外卖", "酒店", "手机", "快递", "客服", "衣服")
ROWS = [(f"{thing}{said}", label) for thing in THINGS for said, label in (("很好", "1"), ("太差了，退款", "0"))] * 4


def write_csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "reviews.csv", list(ROWS))


@pytest.fixture
def model(run: Run, data: Path, tmp_path: Path) -> Path:
    code, out, err = run("train", "sentiment", "--data", data, "--out", tmp_path / "model")
    assert code == 0, err
    assert "准确率" in out
    return tmp_path / "model"


def test_a_model_is_trained_evaluated_and_used(run: Run, data: Path, model: Path, tmp_path: Path) -> None:
    code, out, _ = run("evaluate", "sentiment", "--model", model, "--data", data, "--json")
    figures = json.loads(out)
    assert code == 0
    assert (figures["accuracy"], figures["macro_f1"], figures["documents"]) == (1.0, 1.0, len(ROWS))
    assert figures["documents_per_second"] > 0
    packed = tmp_path / "new.csv.gz"
    packed.write_bytes(gzip.compress('id,text\n7,"平板很好，\n喜欢"\n8,平板太差了，退款\n9,\n'.encode()))
    code, out, _ = run("predict", "sentiment", "--model", model, "--data", packed, "--out", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert code == 0
    assert [(row["id"], row["predicted"]) for row in rows[:2]] == [("7", "1"), ("8", "0")]
    assert rows[0]["text"] == "平板很好，\n喜欢"
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)


def test_predicting_again_on_the_output_replaces_the_columns(run: Run, data: Path, model: Path, tmp_path: Path) -> None:
    for source, target in ((data, "a.csv"), (tmp_path / "a.csv", "b.csv")):
        run("predict", "sentiment", "--model", model, "--data", source, "--out", tmp_path / target)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_report_masks_what_customers_wrote(run: Run, model: Path, tmp_path: Path) -> None:
    rows = [("很好，电话13812345678", "0"), ("[bold]太差了", "0"), ("很好", "未知")]
    code, out, _ = run("evaluate", "sentiment", "--model", model, "--data", write_csv(tmp_path / "odd.csv", rows))
    assert code == 0
    assert "13812345678" not in out
    assert "〔手机〕" in out
    assert "未知标签" in out


def test_training_says_in_json_how_good_it_is(run: Run, data: Path, tmp_path: Path) -> None:
    code, out, err = run("train", "topic", "--data", data, "--out", tmp_path / "topics", "--json")
    assert code == 0
    assert json.loads(out)["how"] == "5-fold cross-validation on the training data"
    assert "100%" in err


def test_words_of_ones_own_are_kept_with_the_model(run: Run, data: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# 型号\n云盾锁\t产品\nF.3-b\n", "utf-8")
    code, _, _ = run("train", "topic", "--data", data, "--out", tmp_path / "topics", "--words", words)
    assert code == 0
    assert {"云盾锁", "F.3-b"} <= set((tmp_path / "topics" / "vocabulary.txt").read_text("utf-8").split("\n"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text,tag\na,1\n", ["line 1", "no column 'label'", "text,tag"]),
        (b"", ["line 1", "no column 'text'"]),
        (b"text,label,text\na,1,b\n", ["line 1", "two columns 'text'"]),
        (b"text,label\n", ["no rows"]),
        (b"text,label\nok,1\n ,0\n", ["line 3", "text is empty"]),
        (b"text,label\nok,1\nok,\n", ["line 3", "label is empty"]),
        (b"text,label\nok,1\na,b,1\n", ["line 3", "3 cells instead of 2", "double quotes"]),
        ("text,label\nok,1\n很好,1\n".encode("gbk"), ["line 3", "not UTF-8"]),
        (b"text,label\n" + b"ok,1\n" * 20, ["same label"]),
        (b"text,label\na,1\nb,0\n", ["2 rows are too few"]),
        (gzip.compress(b"text,label\n" * 99, mtime=0)[:-9], ["damaged gzip"]),
        (b"text,label\n" + b"x" * 1_000_001 + b",1\n", ["line 2", "not CSV"]),
    ],
)
def test_data_that_cannot_be_learnt_from_is_named_with_its_line(
    run: Run, tmp_path: Path, content: bytes, said: list[str]
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    code, out, err = run("train", "topic", "--data", tmp_path / "bad.csv", "--out", tmp_path / "model")
    assert (code, out) == (2, "")
    assert "bad.csv" in err
    for part in said:
        assert part in err
    assert not (tmp_path / "model").exists()


def test_files_and_folders_that_are_not_there_or_not_free_are_refused(run: Run, data: Path, tmp_path: Path) -> None:
    code, _, err = run("train", "topic", "--data", tmp_path / "none.csv", "--out", tmp_path / "m")
    assert (code, "none.csv" in err) == (2, True)
    code, _, err = run("train", "topic", "--data", tmp_path, "--out", tmp_path / "m")
    assert (code, "is a folder" in err) == (2, True)
    code, _, err = run("train", "topic", "--data", data, "--out", tmp_path)
    assert (code, "not a new or empty folder" in err) == (2, True)
    code, _, err = run("train", "colour", "--data", data, "--out", tmp_path / "m")
    assert (code, "sentiment" in err) == (2, True)
    assert not (tmp_path / "m").exists()


def test_a_model_that_is_not_sound_or_not_for_this_fails(run: Run, data: Path, model: Path, tmp_path: Path) -> None:
    code, _, err = run("evaluate", "topic", "--model", model, "--data", data)
    assert (code, "is a model for sentiment" in err) == (1, True)
    code, _, err = run("evaluate", "sentiment", "--model", tmp_path / "no", "--data", data)
    assert (code, "manifest.json" in err) == (1, True)
    (model / "bias.npy").write_bytes(b"x")
    code, _, err = run("predict", "sentiment", "--model", model, "--data", data, "--out", tmp_path / "o.csv")
    assert (code, "bias.npy" in err) == (1, True)
    assert not (tmp_path / "o.csv").exists()


def test_data_of_another_task_is_refused_and_data_is_never_overwritten(
    run: Run, data: Path, model: Path, tmp_path: Path
) -> None:
    other = write_csv(tmp_path / "other.csv", [("门锁离线", "设备离线")])
    code, _, err = run("evaluate", "sentiment", "--model", model, "--data", other)
    assert (code, "none of its labels" in err) == (2, True)
    before = data.read_bytes()
    code, _, err = run("predict", "sentiment", "--model", model, "--data", data, "--out", data)
    assert (code, "the data itself" in err) == (2, True)
    assert data.read_bytes() == before
