"""The project's own benchmark: the real replay beside a plain batch loop, on the same fixed, seeded work."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flows.decode import Rejected, decode
from flows.sources.replay import FileReader
from flows.sources.world import write_world
from models.understanding import Understanding
from qianshao.clock import MINUTE_MS, from_rfc3339
from qianshao.config import DEMONSTRATION_KEY
from qianshao.errors import QianshaoError

SEED = 20_261_122
HOURS = 12
"""Long enough for incidents: the pipeline is measured while it has something to report."""

BATCH = 1_000
TOPICS = 20


class ReplayRun(msgspec.Struct, frozen=True, kw_only=True):
    """One replay as the outside sees it."""

    workers: int
    read: int
    counted: int
    events_per_second: float
    """By the replay's own clock, from the first record to the last byte written."""
    process_seconds: float
    """From the start of the command to its end."""
    peak_memory_mb: float
    """Of the largest process."""


class PlainRun(msgspec.Struct, frozen=True, kw_only=True):
    """The plain batch loop."""

    read: int
    texts: int
    minutes: int
    """Entries of minute × topic counted."""
    seconds: float


Replay = Callable[[Path, Path, int], ReplayRun]


def bench_pipeline(
    *, events: int = 60_000, workers: Sequence[int] = (2, 1), replay: Replay | None = None
) -> dict[str, object]:
    """Measure the whole replay with embedded sinks, and a plain loop that only reads, labels and counts.

    Parameters
    ----------
    events
        About so many events of ordinary traffic; incidents and dirt come on top.
    workers
        Process counts to measure.
    replay
        How to run a replay into a new folder; None = the command itself, in processes of its own.

    Returns
    -------
    dict
        `world`, `plain_loop`, `replay` (one entry per worker count, with `times_plain_loop`: events per second against
        the plain loop's, higher = faster), and `stages`: shares of one worker's time. `read`, `decode` and `understand`
        (normalise, mask, pseudonyms, tokens, topic, sentiment) are timed alone; `rest` is what remains of the replay's
        time: counting, detection, the desk and all sinks.

    Raises
    ------
    QianshaoError
        If a replay fails, or did not read the same records as the plain loop.
    """
    run = run_replay if replay is None else replay
    with tempfile.TemporaryDirectory(prefix="qianshao-bench-") as name:
        folder = Path(name)
        write_world(SEED, HOURS, events / (HOURS * 3600), folder / "world")
        path = folder / "world" / "events.jsonl.gz"
        runs = [run(path, folder / f"out-{count}", count) for count in workers]
        with gzip.open(path, "rb") as handle:
            lines = [line for line in handle.read().split(b"\n") if line.strip()]
        plain = plain_loop(lines)
        for one in runs:
            if one.read != plain.read:
                raise QianshaoError(
                    f"bench: the replay on {one.workers} workers read {one.read} records, the plain loop {plain.read}; "
                    "the figures cannot be compared, please report this"
                )
        stages = stage_seconds(path)
    plain_speed = plain.read / plain.seconds
    single = next((one for one in runs if one.workers == 1), None)
    return {
        "world": {"seed": SEED, "hours": HOURS, "records": plain.read, "texts": plain.texts},
        "plain_loop": {
            "what": "json, jieba, hashed words, two linear models, counts by minute; one process, batches of 1000",
            "seconds": round(plain.seconds, 3),
            "events_per_second": round(plain_speed, 1),
        },
        "replay": [
            {
                "workers": one.workers,
                "read": one.read,
                "counted": one.counted,
                "events_per_second": round(one.events_per_second, 1),
                "times_plain_loop": round(one.events_per_second / plain_speed, 3),
                "process_seconds": round(one.process_seconds, 3),
                "peak_memory_mb": round(one.peak_memory_mb, 1),
            }
            for one in runs
        ],
        "stages": None if single is None else _shares(stages, single.read / single.events_per_second),
    }


def run_replay(path: Path, out: Path, workers: int) -> ReplayRun:
    """Run the replay command in a process of its own, so that memory and start are its own too.

    Raises
    ------
    QianshaoError
        If the command fails; the message carries the end of what it said.
    """
    code = "import sys; from qianshao.app.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "replay", str(path), "--out", str(out), "--workers", str(workers), "--json"]
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603 our own interpreter and arguments
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            end = said.read()[-2_000:].decode(errors="replace").strip()
            raise QianshaoError(f"bench: the replay on {workers} workers ended with code {process.returncode}: {end}")
    summary = json.loads((out / "summary.json").read_bytes())
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return ReplayRun(
        workers=workers,
        read=summary["read"],
        counted=summary["counted"],
        events_per_second=summary["events_per_second"],
        process_seconds=seconds,
        peak_memory_mb=usage.ru_maxrss / scale,
    )


def plain_loop(lines: Sequence[bytes]) -> PlainRun:
    """Do the plain job: parse, cut words, predict topic and sentiment in batches, count minutes in a dictionary.

    What everybody would write first. It masks nothing, knows no customers, detects nothing and stores nothing. Loading
    the dictionary and fitting the models are not timed.
    """
    # Only the benchmark needs these two here, and they are slow to load.
    import jieba
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    jieba.setLogLevel("ERROR")
    jieba.initialize()
    vectorizer = HashingVectorizer(analyzer=jieba.lcut, n_features=2**18, alternate_sign=False)
    topic, sentiment = SGDClassifier(random_state=0), SGDClassifier(random_state=0)
    # Any coefficients cost the same: what is measured is predicting, not how well.
    sample = vectorizer.transform([f"样本 {number} 设备离线 很失望 {number % 7}" for number in range(200)])
    topic.partial_fit(sample, [number % TOPICS for number in range(200)], classes=list(range(TOPICS)))
    sentiment.partial_fit(sample, [number % 2 for number in range(200)], classes=[0, 1])

    counts: Counter[tuple[int, int]] = Counter()
    texts_read = 0
    began = time.perf_counter()
    for start in range(0, len(lines), BATCH):
        texts, minutes = [], []
        for line in lines[start : start + BATCH]:
            spoken = _customers_words(line)
            if spoken is not None:
                minutes.append(spoken[0])
                texts.append(spoken[1])
        if texts:
            features = vectorizer.transform(texts)
            topics = topic.predict(features)
            sentiment.predict(features)
            counts.update(zip(minutes, topics.tolist(), strict=True))
            texts_read += len(texts)
    return PlainRun(read=len(lines), texts=texts_read, minutes=len(counts), seconds=time.perf_counter() - began)


def _customers_words(line: bytes) -> tuple[int, str] | None:
    """Give minute and text of a customer's turn or a ticket, None for anything else, also for a broken line."""
    try:
        event: Any = json.loads(line)
        text, ts = event["text"], event["ts"]
        if not text or (event["kind"] != "ticket" and event.get("role") != "customer"):
            return None
        return (from_rfc3339(ts) if isinstance(ts, str) else int(ts)) // MINUTE_MS, str(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def stage_seconds(path: Path) -> dict[str, float]:
    """Time the stages that one process can run alone, over the whole file, in the replay's own batches."""
    understanding = Understanding(DEMONSTRATION_KEY)
    understanding.label([])
    reader = FileReader(path, 0, BATCH)
    seconds = {"read": 0.0, "decode": 0.0, "understand": 0.0}
    while not reader.done:
        began = time.perf_counter()
        batch = reader.next()
        read = time.perf_counter()
        decoded = decode(batch.lines)
        parsed = time.perf_counter()
        understanding.label([event for event in decoded if event is not None and not isinstance(event, Rejected)])
        labelled = time.perf_counter()
        seconds["read"] += read - began
        seconds["decode"] += parsed - read
        seconds["understand"] += labelled - parsed
    return seconds


def _shares(seconds: dict[str, float], whole: float) -> dict[str, float]:
    shares = {name: round(value / whole, 3) for name, value in seconds.items()}
    shares["rest"] = round(max(0.0, 1.0 - sum(seconds.values()) / whole), 3)
    return shares
