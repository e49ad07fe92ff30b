"""Benchmark of reading texts: one core, raw text to labels, beside jieba and scikit-learn on the same texts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rich.console import RenderableType
from rich.table import Table

from models.features import feature_matrix
from models.feeling import heard
from models.label_space import Space
from models.lexicon import shipped_lexicon
from models.linear import load_seed
from models.masking import mask_normalised
from models.normalise import normalise
from models.online import LearnerLimits
from models.seed_corpus import sentiment_rows, topic_rows
from models.sentiment import SentimentModel
from models.tokens import Tokeniser
from models.topic import TopicModel
from qianshao.errors import QianshaoError

SEED = 20_261_122
BATCH = 512
PLAIN_BATCH = 1_000
MEAN_CHARS = 65
STEPS = ("normalise", "mask", "tokens", "features", "topic", "sentiment")
_PASSES = 3
_LABELS_A_TICK = 256

Labels = list[tuple[str, float, float]]


def bench_texts(count: int) -> list[str]:
    """Return distinct texts of about 65 characters, put together from the project's own sentences.

    One in ten names a phone or an order number, one in twenty is in mixed marks that only the reference tokenizer cuts.
    """
    source = random.Random(SEED)  # noqa: S311 - reproducible work, not a secret
    lexicon = shipped_lexicon()
    # One frame in forty is 急急急: with several sentences a text, ten times as many tripled characters as people write.
    rows = [*topic_rows(lexicon), *sentiment_rows(lexicon)]
    sentences = [row.text for row in rows if len(row.text) > 3 and "急急急" not in row.text]
    texts: dict[str, None] = {}
    while len(texts) < count:
        text = source.choice(sentences)
        goal = source.randrange(MEAN_CHARS - 20, MEAN_CHARS + 5)
        while len(text) < goal:
            text += source.choice("，。 ！") + source.choice(sentences)
        chance = source.random()
        if chance < 0.05:
            text += f"，电话1{source.randrange(3, 10)}{source.randrange(10**9):09d}"
        elif chance < 0.1:
            text += f"，订单{source.randrange(10**11, 10**12)}"
        elif chance < 0.15:
            text += source.choice(("，v3.2.1+OTA", "，E207_err", "，50%的时候", "，X2 Pro & Wi-Fi"))
        texts[text] = None
    return list(texts)


class Reading:
    """The shipped way from raw text to topic and sentiment, with a clock at every step and nothing remembered."""

    def __init__(self) -> None:
        lexicon = shipped_lexicon()
        seed = load_seed()
        self._bits = seed.bits
        self._tokeniser = Tokeniser(lexicon)
        self._topic = TopicModel(lexicon, seed.topic)
        self._sentiment = SentimentModel(lexicon, seed.sentiment)
        self._tokeniser.reference()
        self.seconds = dict.fromkeys(STEPS, 0.0)

    def label(self, texts: Sequence[str]) -> Labels:
        """Return (topic, confidence, sentiment) of each text of one batch."""
        ticks = [time.process_time()]
        normal = [normalise(text) for text in texts]
        ticks.append(time.process_time())
        masked = [mask_normalised(text) for text in normal]
        ticks.append(time.process_time())
        told = [heard(text) for text in masked]
        tokens = [self._tokeniser.content(self._tokeniser.words(text)) for text in told]
        ticks.append(time.process_time())
        matrix = feature_matrix(told, tokens, self._bits)
        ticks.append(time.process_time())
        topics = self._topic.label(told, matrix)
        ticks.append(time.process_time())
        sentiments = self._sentiment.label(told, matrix)
        ticks.append(time.process_time())
        for step, began, ended in zip(STEPS, ticks, ticks[1:], strict=False):
            self.seconds[step] += ended - began
        return [(topic, sure, value) for (topic, sure), value in zip(topics, sentiments, strict=True)]


class PlainReading(NamedTuple):
    """The usual libraries on the same texts."""

    same_work: Callable[[Sequence[str]], object]
    """Normalised and masked by us, then jieba, and the features that our layers read, hashed by scikit-learn."""
    words_only: Callable[[Sequence[str]], object]
    """What everybody would write first: raw texts, jieba, hashed words."""


def plain_reading() -> PlainReading:
    """Set up jieba and scikit-learn: two linear models over hashed words, with and without character n-grams."""
    from qianshao.app.usual import usual_reading

    usual = usual_reading()
    return PlainReading(
        lambda texts: usual.words_and_grams([mask_normalised(normalise(text)) for text in texts]), usual.words
    )


def learning_speed(count: int = 8 * BATCH) -> float:
    """Return how many labels a second the online layer learns, some hundreds at every tick."""
    lexicon = shipped_lexicon()
    tokeniser = Tokeniser(lexicon)
    limits = LearnerLimits()
    rows = [row for row in topic_rows(lexicon) if row.label]
    random.Random(SEED).shuffle(rows)  # noqa: S311 - reproducible work, not a secret
    rows = rows[:count]
    texts = [mask_normalised(normalise(row.text)) for row in rows]
    matrix = feature_matrix(texts, [tokeniser.content(tokeniser.words(text)) for text in texts], limits.bits)
    space = Space(limits, limits.max_types)
    began = time.process_time()
    for place, row in enumerate(rows):
        begin, end = matrix.indptr[place], matrix.indptr[place + 1]
        space.teach(matrix.indices[begin:end], matrix.data[begin:end], row.label, "")
        if (place + 1) % _LABELS_A_TICK == 0:
            space.advance(place)
    space.advance(len(rows))
    return len(rows) / (time.process_time() - began)


def bench_text(count: int = 16 * BATCH) -> dict[str, object]:
    """Measure the way from raw text to labels on one core.

    All sides read the same distinct texts in turns, three times; each side's fastest pass counts. Seconds are those of
    the processor, so that what else the machine does disturbs little.

    Parameters
    ----------
    count
        Number of texts.

    Returns
    -------
    dict
        `texts_per_second` and `steps` (share of each); `times_plain` against the same work (masking, words, character
        n-grams, two linear models) by jieba and scikit-learn; `times_words_only` against jieba and hashed words of raw
        texts, which is less work; `labels_learnt_per_second` of the online layer.

    Raises
    ------
    QianshaoError
        If two passes over the same texts label one of them differently.
    """
    texts = bench_texts(count)
    reading, plain = Reading(), plain_reading()
    reading.label(texts[:BATCH])
    passes: list[tuple[float, dict[str, float]]] = []
    plain_seconds: dict[str, list[float]] = {name: [] for name in PlainReading._fields}
    said: list[Labels] = []
    for _ in range(_PASSES):
        reading.seconds = dict.fromkeys(STEPS, 0.0)
        labels: Labels = []
        began = time.process_time()
        for start in range(0, count, BATCH):
            labels += reading.label(texts[start : start + BATCH])
        passes.append((time.process_time() - began, reading.seconds))
        said.append(labels)
        for name, read in plain._asdict().items():
            began = time.process_time()
            for start in range(0, count, PLAIN_BATCH):
                read(texts[start : start + PLAIN_BATCH])
            plain_seconds[name].append(time.process_time() - began)
    if any(labels != said[0] for labels in said):
        raise QianshaoError("bench text: the same texts were labelled differently in two passes; please report this")
    seconds, steps = min(passes, key=lambda each: each[0])
    plainly, barely = min(plain_seconds["same_work"]), min(plain_seconds["words_only"])
    return {
        "texts": count,
        "mean_characters": round(sum(map(len, texts)) / count, 1),
        "batch": BATCH,
        "texts_per_second": round(count / seconds, 1),
        "steps": {step: round(spent / seconds, 3) for step, spent in steps.items()},
        "plain_batch": PLAIN_BATCH,
        "plain_texts_per_second": round(count / plainly, 1),
        "times_plain": round(plainly / seconds, 2),
        "words_only_texts_per_second": round(count / barely, 1),
        "times_words_only": round(barely / seconds, 2),
        "labels_learnt_per_second": round(learning_speed(), 1),
    }


def bench_text_table(figures: Mapping[str, object]) -> RenderableType:
    """Draw what was measured: each step's share, then the speed beside the plain way."""
    steps = figures["steps"]
    assert isinstance(steps, Mapping)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    table.add_column("条/秒", justify="right", no_wrap=True)
    table.add_column("占比", justify="right", no_wrap=True)
    table.add_row(f"原文到标签，每批 {figures['batch']} 条", f"{figures['texts_per_second']:,.0f}", "100%")
    for step, share in steps.items():
        table.add_row(f"  {step}", "", f"{share:.0%}")
    table.add_row(
        f"同样的工作，jieba.lcut + scikit-learn，每批 {figures['plain_batch']} 条",
        f"{figures['plain_texts_per_second']:,.0f}",
        f"1/{figures['times_plain']}",
    )
    table.add_row(
        "只分词、只用词特征、不脱敏，jieba.lcut + scikit-learn",
        f"{figures['words_only_texts_per_second']:,.0f}",
        f"1/{figures['times_words_only']}",
    )
    table.add_row("在线学习（标签/秒）", f"{figures['labels_learnt_per_second']:,.0f}", "")
    return table
