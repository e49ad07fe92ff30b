"""Train, evaluate and use text models: what stands behind three commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from models.classifier import BATCH, Classifier, Verdict
from models.evaluation import Quality, quality
from models.masking import mask
from models.store import Manifest, Origin, load_model, save_model
from models.tokens import load_vocabulary
from qianshao.app.labelled import TEXT, read_labelled, read_table, write_predictions
from qianshao.errors import InputError, OutputError

MISTAKES_SHOWN = 8
_EXAMPLE_CHARS = 60
# Texts with marks like these need the reference tokenizer, whose dictionary is read once.
_WARM_UP = ("预热 a+b_c", "门锁离线了")

Tell = Callable[[float, str], None]


class Mistake(NamedTuple):
    """A text that was labelled wrongly."""

    text: str
    """Masked and shortened."""
    label: str
    predicted: str
    confidence: float


class Judgement(NamedTuple):
    """How good a model is, for people and machines."""

    quality: Quality
    mistakes: tuple[Mistake, ...]
    """The most confident ones first."""
    unknown_labels: tuple[str, ...]
    """Labels of the data that the model cannot give."""
    documents_per_second: float
    """0 where labelling was not timed."""
    certain_share: float
    """Share of texts whose confidence reaches the model's own threshold."""
    certain_accuracy: float
    """Accuracy on these."""


def train_model(
    task: str, data: Path, out: Path, *, vocabulary: Path | None, created: str, tell: Tell
) -> tuple[Manifest, Judgement]:
    """Fit a model on a CSV file and write its folder.

    Parameters
    ----------
    task
        `topic` or `sentiment`.
    data
        CSV with `text,label`.
    out
        New or empty folder.
    vocabulary
        Words of one's own, one a line.
    created
        Time that the manifest will name, RFC 3339.
    tell
        Called with the share of the work that is done and what is being done.

    Raises
    ------
    UsageError
        If the data, the vocabulary or the folder is not as it must be; nothing is written then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is not a new or empty folder; name another")
    words = load_vocabulary(vocabulary) if vocabulary is not None else None
    texts, labels, table = read_labelled(data, empty_texts=False)
    # Fitting needs a library that takes a second to load and that nothing else in the commands needs.
    from models.training import train

    try:
        trained = train(texts, labels, words, tell)
    except InputError as error:
        raise InputError(f"{data}: {error}") from None
    origin = Origin(data.name, table.sha256, len(texts), created)
    manifest = save_model(out, task, trained.classifier, trained.quality, trained.folds, origin)
    verdicts = [
        Verdict(label, sure, sure >= trained.classifier.certain_from)
        for label, sure in zip(trained.predicted, trained.confidence.tolist(), strict=True)
    ]
    return manifest, judge(texts, labels, verdicts, trained.classifier.labels, 0.0)


def evaluate_model(task: str, model: Path, data: Path, tell: Tell) -> Judgement:
    """Label a CSV file with a model and compare.

    Raises
    ------
    InputError
        If the data is not as it must be, or none of its labels is one of the model's.
    ModelError
        If the model folder is not sound or for another task.
    """
    classifier = load_model(model, task).classifier
    texts, labels, _ = read_labelled(data, empty_texts=True)
    if not set(labels) & set(classifier.labels):
        raise InputError(
            f"{data}: none of its labels ({', '.join(sorted(set(labels))[:5])}) is one of the model's "
            f"({', '.join(classifier.labels[:5])}); name the data or the model that belongs to it"
        )
    verdicts, speed = _label(classifier, texts, tell)
    return judge(texts, labels, verdicts, classifier.labels, speed)


def predict_file(task: str, model: Path, data: Path, out: Path, tell: Tell) -> int:
    """Write a CSV file again with a label and a confidence beside every text; return the number of rows.

    Raises
    ------
    UsageError
        If the data is not as it must be or the output cannot be written.
    ModelError
        If the model folder is not sound or for another task.
    """
    if out.is_dir() or (out.exists() and out.samefile(data)):
        raise OutputError(f"{out}: is {'a folder' if out.is_dir() else 'the data itself'}; name another file")
    classifier = load_model(model, task).classifier
    table = read_table(data, (TEXT,))
    verdicts, _ = _label(classifier, table.cells(TEXT), tell)
    write_predictions(out, table, [each.label for each in verdicts], [each.confidence for each in verdicts])
    return len(table.rows)


def _label(classifier: Classifier, texts: Sequence[str], tell: Tell) -> tuple[list[Verdict], float]:
    """Label texts batch by batch; return verdicts and texts per second, from raw text to label."""
    classifier.label(_WARM_UP)
    verdicts: list[Verdict] = []
    began = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        verdicts += classifier.label(texts[start : start + BATCH])
        tell(len(verdicts) / len(texts), "")
    return verdicts, len(texts) / max(time.perf_counter() - began, 1e-9)


def judge(
    texts: Sequence[str], labels: Sequence[str], verdicts: Sequence[Verdict], known: Sequence[str], speed: float
) -> Judgement:
    """Compare verdicts with labels and choose the mistakes that people should see."""
    predicted = [each.label for each in verdicts]
    wrong = [place for place, label in enumerate(labels) if label != predicted[place]]
    wrong.sort(key=lambda place: -verdicts[place].confidence)
    certain = [place for place, each in enumerate(verdicts) if each.certain]
    right = sum(labels[place] == predicted[place] for place in certain)
    return Judgement(
        quality=quality(labels, predicted, [each.confidence for each in verdicts]),
        mistakes=tuple(
            Mistake(_shortened(texts[place]), labels[place], predicted[place], verdicts[place].confidence)
            for place in wrong[:MISTAKES_SHOWN]
        ),
        unknown_labels=tuple(sorted(set(labels) - set(known))),
        documents_per_second=speed,
        certain_share=len(certain) / len(labels),
        certain_accuracy=right / len(certain) if certain else 0.0,
    )


def _shortened(text: str) -> str:
    masked = mask(text)
    return masked if len(masked) <= _EXAMPLE_CHARS else masked[: _EXAMPLE_CHARS - 1] + "…"


def figures(judgement: Judgement) -> dict[str, object]:
    """Return a judgement as the JSON document that others script against."""
    measured = judgement.quality
    return {
        "accuracy": round(measured.accuracy, 6),
        "macro_f1": round(measured.macro_f1, 6),
        "documents_per_second": round(judgement.documents_per_second, 1),
        "documents": measured.rows,
        "calibration_error": round(measured.calibration_error, 4),
        "certain_share": round(judgement.certain_share, 4),
        "certain_accuracy": round(judgement.certain_accuracy, 4),
        "unknown_labels": list(judgement.unknown_labels),
        "classes": [
            {
                "label": each.label,
                "documents": each.rows,
                "precision": round(each.precision, 4),
                "recall": round(each.recall, 4),
                "f1": round(each.f1, 4),
            }
            for each in measured.classes
        ],
        "confusions": [
            {"label": one, "predicted": other, "documents": count} for one, other, count in measured.confusions[:20]
        ],
    }
