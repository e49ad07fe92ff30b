"""Reloads and corrections through the whole dataflow: when they take effect, and for whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from flow_fakes import START, STEP, CopyingLabeller, line, plain_stages

from flows.batch import Emission, Failed, RawBatch
from flows.engine import build_flow
from flows.learning import Learning
from flows.stages import Reading
from flows.watermark import FOLLOWERS
from flows.worker import run_flow
from models.online import Learner
from models.own_files import OwnFiles
from models.themes import Themes
from qianshao.config import Config, Models, Service
from qianshao.event import Observation, RawEvent
from qianshao.meaning import WIDTH
from qianshao.outcome import Outcome

CONFIG = Config(service=Service(reorder_seconds=0))


class Script:
    """Reads what a test wrote, one batch after the other, each when the time before it has been decided."""

    def __init__(self, batches: Sequence[tuple[int, RawBatch]]) -> None:
        self._batches = list(batches)
        self.watermark = 0
        self.outcomes: list[Outcome] = []
        self.failure: Exception | None = None
        self._asked = 0

    @property
    def ended(self) -> bool:
        return not self._batches or self.failure is not None

    def seek(self, position: bytes | None) -> None:
        assert position is None

    def next(self, newest: int | None) -> RawBatch | None:
        after, batch = self._batches[0]
        if self.watermark < after:
            self._asked += 1
            if self._asked > 2_000:
                self.failure = AssertionError(f"nothing was decided up to {after}")
            return None
        del self._batches[0]
        return batch

    def position(self) -> None:
        return None

    def resume(self, written: bytes | None) -> None:
        assert written is None

    def take(self, emission: Emission | Failed) -> None:
        if isinstance(emission, Failed):
            self.failure = emission.exception()
            return
        self.outcomes.append(emission.outcome)
        self.watermark = emission.outcome.watermark

    def written(self) -> None:
        return None


def events(sequence: int, *lines: bytes, last: bool = False) -> RawBatch:
    return RawBatch(
        source="events", partition=0, sequence=sequence, first=1 + 100 * sequence, lines=list(lines), last=last
    )


def actions(**fields: object) -> RawBatch:
    record = {"id": "a1", "by": "王班长", "at": START + 3 * STEP, **fields}
    lines = [json.dumps(record, ensure_ascii=False).encode()]
    return RawBatch(source="actions", partition=1, sequence=0, first=1, lines=lines, actions=True, last=True)


def run(script: Script, stages: object) -> list[Observation]:
    flow = build_flow(script, ("events", "actions"), stages, CONFIG, workers=1, durable=False)  # type: ignore[arg-type]
    run_flow(flow, [], 0)
    if script.failure is not None:
        raise script.failure
    return [observation for outcome in script.outcomes for observation in outcome.counted]


class FileLabeller(CopyingLabeller):
    """Says on each observation what stands in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.reload()

    def reload(self) -> None:
        self._said = self._file.read_text("utf-8")

    def label(self, events: Sequence[RawEvent]) -> list[Observation]:
        return [msgspec.structs.replace(each, topic=self._said) for each in super().label(events)]


def test_a_reload_takes_effect_at_its_tick_for_all_that_is_read_after_it(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_text("old", "utf-8")

    def labeller() -> FileLabeller:
        made = FileLabeller(file)
        file.write_text("new", "utf-8")
        return made

    script = Script(
        [
            (0, actions(action="reload")),
            # The clock believes a first record when so many others agree with it.
            (0, events(0, *(line(100 + number, START) for number in range(FOLLOWERS)), line(2, START + 2 * STEP))),
            (0, events(1, line(3, START + 3 * STEP), line(4, START + 4 * STEP + 1))),
            (START + 4 * STEP, events(2, line(5, START + 5 * STEP), line(6, START + 7 * STEP), last=True)),
        ]
    )
    seen = run(script, msgspec.structs.replace(plain_stages(CONFIG, None), labeller=labeller))
    assert [(each.id, each.topic) for each in seen[FOLLOWERS:]] == [
        *((f"e{number}", "old") for number in (2, 3, 4)),
        *((f"e{number}", "new") for number in (5, 6)),
    ]


def test_words_of_ones_own_are_read_again_and_broken_ones_leave_the_good_ones_serving(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("云盾锁灵犀版\n", "utf-8")
    files = OwnFiles(Models(vocabulary=str(words)))
    reading = Reading(b"k" * 16, files)

    def tokens(text: str) -> tuple[str, ...]:
        event = RawEvent(id="e", kind="chat", ts=START, role="customer", text=text)
        return reading.label([event])[0].tokens

    assert "云盾锁灵犀版" in tokens("云盾锁灵犀版打不开")
    words.write_bytes(b"\xff\xfe\xff")
    reading.reload()
    assert "云盾锁灵犀版" in tokens("云盾锁灵犀版打不开")
    assert "is not UTF-8" in files.health()[0].refused
    words.write_text("月光门铃摩登版\n", "utf-8")
    reading.reload()
    assert "云盾锁灵犀版" not in tokens("云盾锁灵犀版打不开")
    assert "月光门铃摩登版" in tokens("月光门铃摩登版没声音")


def test_what_may_tell_of_trouble_is_read_with_its_meaning() -> None:
    texts = ("门锁升级以后连不上网了", "太好用了谢谢你们")
    events = [RawEvent(id="e", kind="chat", ts=START, role="customer", text=text) for text in texts]
    fault, praise = Reading(b"k" * 16, OwnFiles(Models())).label(events)
    assert (fault.trouble or 0.0) > 0.6
    assert len(fault.meaning) == WIDTH
    assert (praise.trouble, praise.meaning) == (0.0, b"")


def test_a_correction_that_comes_in_reaches_what_is_said_after_its_tick() -> None:
    said = partial(line, conversation="c1", role="customer", text="那个东西转不动了")
    script = Script(
        [
            (0, events(0, said(1, START), said(2, START + 4 * STEP - 1))),
            (0, actions(action="relabel", conversation="c1", topic="设备故障", type="云台卡住")),
            (0, events(1, said(3, START + 4 * STEP), said(4, START + 5 * STEP), last=True)),
        ]
    )
    stages = msgspec.structs.replace(
        plain_stages(CONFIG, None),
        labeller=lambda: Reading(b"k" * 16, OwnFiles(Models())),
        learning=lambda: Learning(Learner(), Themes()),
    )
    seen = {each.id: (each.topic, each.guess) for each in run(script, stages)}
    assert [seen[name] == ("设备故障", "云台卡住") for name in ("e1", "e2", "e3", "e4")] == [False, False, True, True]
    (done,) = (done for outcome in script.outcomes for done in outcome.actions)
    assert (done.tick, done.action.conversation != 0) == (START + 4 * STEP, True)
