"""Which devices report measurements unlike those of their model, and which of them deviates most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import log
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.river_parts import Forest, Window, adaptive_window, half_space_trees
from qianshao.clock import DAY_MS, MINUTE_MS
from qianshao.event import Observation

MAX_GROUPS = 128
"""Combinations of product and model that are remembered, about 100 KB each; the longest silent one leaves first."""
MAX_METRICS = 8
"""Metrics that are judged in one group; further names are passed over."""
MAX_NAMES = 64
"""Metrics that may become series, over all groups."""
MEMORY = 256
"""Vectors that a group is compared with."""
ENOUGH = 128
"""Vectors that must have been seen before any is judged, and before what has changed becomes ordinary."""
EVERY_MS = 5 * MINUTE_MS
"""Otherwise at most one vector in this time is remembered, so that the memory spans a day and its rhythm."""
REFIT = 1_024
"""Vectors remembered between two fits."""
SETTLED_MS = DAY_MS
"""A group speaks when it has been judged for so long: before, everything strange in it rises from nothing."""
STRANGE = 0.001
"""About the share of a group's ordinary vectors that count as strange."""

_TREES = 8
_HEIGHT = 4
_MARGIN = 2.0
"""The ordinary range takes the middle third of the scale, so that trees can cut off what lies outside."""
_FARTHEST = 2.0
"""Up to here the distance of the farthest metric counts beside the trees, which see little of one metric among many;
1/3 is where the ordinary range ends."""
_TAIL = 0.1
"""Share of the scores of the reference from which the tail is drawn out: so few vectors have no 999th of a thousand."""
_FEWEST_VALUES = 32
_LARGEST = 1e100
_LONGEST_NAME = 64
_TOLD = 4_096
_NAN = float("nan")


class _Group:
    """What is known of one product and model: its newest vectors, and the trees grown from a copy of them."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        """Metric → column of the memory."""
        self.memory: NDArray[np.float64] = np.full((MEMORY, MAX_METRICS), _NAN)
        self.kept = 0
        """Vectors ever remembered; the next one goes to row `kept % MEMORY`."""
        self.newest = 0
        """Time of the vector remembered last."""
        self.wanted = ENOUGH
        """Vectors to remember before the next fit."""
        self.relearning = False
        """What is ordinary has changed: every vector is remembered until the next fit."""
        self.since = 0
        """Time of the first fit, 0 before it."""
        self.fits = 0
        self.reference: NDArray[np.float64] = np.empty((0, MAX_METRICS))
        """The memory as it was at the last fit; empty before it."""
        self.told = bytearray()
        """Verdicts since the window over them was made."""
        self.window: Window | None = None
        self.forest: Forest | None = None
        self.columns: list[tuple[int, float, float, float]] = []
        """Judged columns with middle, scale and typical value."""
        self.threshold = 0.0

    def ordered(self) -> NDArray[np.float64]:
        """Return the remembered vectors, oldest first."""
        if self.kept <= MEMORY:
            return self.memory[: self.kept].copy()
        return np.roll(self.memory, -(self.kept % MEMORY), axis=0)

    def remember(self, row: Sequence[float], ts: int) -> None:
        """Keep a vector, unless one was kept just now; fit when enough are kept."""
        if self.forest is not None and not self.relearning and ts - self.newest < EVERY_MS:
            return
        self.memory[self.kept % MEMORY] = row
        self.kept += 1
        self.newest = ts
        self.wanted -= 1
        if self.wanted <= 0:
            self.fit(ts)

    def fit(self, ts: int) -> None:
        """Learn what is ordinary from the memory; names that it does not hold any more leave."""
        rows = self.ordered()
        present = {name: column for name, column in self.names.items() if not np.isnan(rows[:, column]).all()}
        fresh = np.full((len(rows), MAX_METRICS), _NAN)
        for place, column in enumerate(present.values()):
            fresh[:, place] = rows[:, column]
        self.names = {name: place for place, name in enumerate(present)}
        self.memory[:] = _NAN
        self.memory[: len(rows)] = fresh
        self.kept = len(rows)
        self.since = self.since or ts
        self.fits += 1
        self.relearning = False
        self.reference = fresh
        self.grow()
        self.wanted = ENOUGH if self.forest is None or self.kept < MEMORY else REFIT

    def grow(self) -> None:
        """Grow trees, limits and threshold from the reference alone: the same reference gives the same ones."""
        rows = self.reference
        self.columns = []
        for column in range(MAX_METRICS):
            values = rows[~np.isnan(rows[:, column]), column]
            if len(values) < _FEWEST_VALUES:
                continue
            low, typical, high = (float(value) for value in np.quantile(values, (0.01, 0.5, 0.99)))
            middle = (low + high) / 2
            half = max((high - low) / 2, abs(middle) * 1e-3, 1e-9)
            self.columns.append((column, middle, 0.5 / ((1 + _MARGIN) * half), typical))
        if not self.columns:
            self.forest = None
            return
        forest = half_space_trees(self.fits, trees=_TREES, height=_HEIGHT, window=MEMORY)
        vectors = [self._scaled(row) for row in rows.tolist()]
        # The trees judge by the last full window: a shorter reference is told several times.
        for index in range(MEMORY):
            forest.learn_one(vectors[index % len(vectors)][0])
        self.forest = forest
        scores = np.array([forest.score_one(vector) + far for vector, far, _ in vectors])
        high = float(np.quantile(scores, 1 - _TAIL))
        beyond = scores[scores > high] - high
        excess = float(beyond.mean()) if len(beyond) else 0.0
        self.threshold = high + excess * log(_TAIL / STRANGE) + 1e-9

    def _scaled(self, row: Sequence[float]) -> tuple[dict[int, float], float, int]:
        """Return a vector on the scale of the trees, how far its farthest metric is off, and that column."""
        vector: dict[int, float] = {}
        farthest, deviating, far = 0.0, 0, 0.0
        for column, middle, scale, typical in self.columns:
            value = row[column]
            if value != value:
                value = typical
            place = 0.5 + (value - middle) * scale
            vector[column] = 0.0 if place < 0 else 1.0 if place > 1 else place
            off = abs(place - 0.5)
            if off > far:
                far = off
            deviation = abs(value - typical) * scale
            if deviation > farthest:
                farthest, deviating = deviation, column
        return vector, min(2 * far, _FARTHEST), deviating

    def judge(self, row: Sequence[float]) -> int:
        """Return the deviating column of a strange vector, −1 if it is ordinary or nothing is known yet."""
        if self.forest is None:
            return -1
        vector, far, deviating = self._scaled(row)
        strange = self.forest.score_one(vector) + far > self.threshold
        self._watch(strange)
        return deviating if strange else -1

    def _watch(self, strange: bool) -> None:
        """Follow how many are strange; when they become more, that is soon ordinary: learn it."""
        if len(self.told) >= _TOLD:
            self.retell(self.told[-_TOLD // 2 :])
        if self.window is None:
            self.window = adaptive_window()
        self.told.append(strange)
        self.window.update(float(strange))
        if self.window.drift_detected:
            if self.window.estimation > sum(self.told) / len(self.told):
                self.relearning = True
                self.wanted = ENOUGH
            self.retell(b"")

    def retell(self, told: Iterable[int]) -> None:
        """Make the window anew and tell it these verdicts: it has no state that could be read and written."""
        self.told = bytearray(told)
        self.window = adaptive_window() if self.told else None
        if self.window is not None:
            for strange in self.told:
                self.window.update(float(strange))


class DeviceMetrics:
    """Says of each device vector whether it is strange among those of its product and model.

    Per group river's half-space trees (Tan, Ting & Liu, IJCAI 2011) are grown from some of the vectors of about the
    last day, scaled by their own robust range. A vector is strange when its score and the distance of its farthest
    metric together exceed what about 99.9 % of the group's ordinary vectors reach, by an exponential tail; so a small
    share is always strange, and what counts is how many devices are so at once, which the bank decides. river's ADWIN
    follows the share of strange vectors: when it rises for good — new firmware with other values — the next 128 vectors
    become ordinary beside the old ones.

    When it fails: a slow drift of a whole model is learnt before it is strange; fewer than 128 vectors of a group say
    nothing; deviations only in how metrics go together are seen poorly among many metrics. Not finite, huge or missing
    numbers are harmless: they are passed over, clipped, or taken as typical.

    Notes
    -----
    Cost: about 15 µs a vector, nothing for other events. Memory is bounded by `maximum_groups`. river's detectors
    cannot be written as numbers: what they were told is kept and told again, which gives the same ones bit for bit.

    Parameters
    ----------
    maximum_groups
        Combinations of product and model that are remembered.

    >>> metrics = DeviceMetrics()
    >>> def report(minute: int, battery: float) -> str:
    ...     metric = {"battery": battery}
    ...     return metrics.update(Observation(id="", kind="device", ts=minute * 60_000, model="K1", metrics=metric))
    >>> any(report(minute, 80 + minute % 20) for minute in range(400)), report(400, 12)
    (False, 'battery')
    """

    def __init__(self, maximum_groups: int = MAX_GROUPS) -> None:
        self._maximum = maximum_groups
        self._groups: dict[tuple[str, str], _Group] = {}
        self._named: dict[str, None] = {}

    def update(self, observation: Observation) -> str:
        """Take the metrics of one device event, in order of time; name the one that deviates most if they are strange.

        Returns
        -------
        str
            '' if the vector is ordinary, or not enough is known of its group.
        """
        key = _key(observation)
        if key is None or not observation.metrics:
            return ""
        group = self._groups.pop(key, None)
        if group is None:
            group = _Group()
            if len(self._groups) >= self._maximum:
                del self._groups[next(iter(self._groups))]
        self._groups[key] = group
        row = _row(group.names, observation.metrics)
        column = group.judge(row)
        found = next((name for name, place in group.names.items() if place == column), "") if column >= 0 else ""
        group.remember(row, observation.ts)
        if found and found not in self._named:
            if len(self._named) >= MAX_NAMES:
                return ""
            self._named[found] = None
        return found

    def settled(self, events: Sequence[Observation], tick: int) -> bool:
        """Whether most of these strange events are of groups that have been judged for a day."""
        groups = [self._groups.get(key) for event in events if (key := _key(event)) is not None]
        known = sum(group is not None and 0 < group.since <= tick - SETTLED_MS for group in groups)
        return 2 * known > len(events)

    def words(self, name: str, events: Sequence[Observation]) -> list[str]:
        """Say for people how a metric deviates: typical of the group that most of the events are of, and observed."""
        by_group: dict[tuple[str, str], list[float]] = {}
        for event in events:
            key = _key(event)
            value = event.metrics.get(name)
            if key is not None and value is not None and value == value:
                by_group.setdefault(key, []).append(value)
        if not by_group:
            return []
        key = max(by_group, key=lambda each: (len(by_group[each]), each))
        group = self._groups.get(key)
        place = group.names.get(name) if group is not None else None
        typical = [each[3] for each in group.columns if each[0] == place] if group is not None else []
        usual = f"通常 {typical[0]:.4g}，" if typical else ""
        return [f"{name} {usual}现为 {median(by_group[key]):.4g}"]

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "named": list(self._named),
            "groups": [
                {
                    "key": key,
                    "names": list(group.names),
                    "memory": group.ordered().tobytes(),
                    "newest": group.newest,
                    "wanted": group.wanted,
                    "since": group.since,
                    "fits": group.fits,
                    "reference": group.reference.tobytes(),
                    "relearning": group.relearning,
                    "told": bytes(group.told),
                }
                for key, group in self._groups.items()
            ],
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._named = dict.fromkeys(state["named"])
        self._groups = {}
        for each in state["groups"]:
            group = _Group()
            group.names = {name: place for place, name in enumerate(each["names"])}
            rows = np.frombuffer(each["memory"]).reshape(-1, MAX_METRICS)
            group.memory[: len(rows)] = rows
            group.kept = len(rows)
            group.newest, group.wanted = each["newest"], each["wanted"]
            group.since, group.fits = each["since"], each["fits"]
            group.relearning = each["relearning"]
            group.reference = np.frombuffer(each["reference"]).reshape(-1, MAX_METRICS).copy()
            if len(group.reference):
                group.grow()
            group.retell(each["told"])
            product, model = each["key"]
            self._groups[product, model] = group


def _key(observation: Observation) -> tuple[str, str] | None:
    """Product and model; None where neither is known: unlike devices have nothing to be compared in."""
    if observation.product or observation.model:
        return observation.product or "", observation.model or ""
    return None


def _row(names: dict[str, int], metrics: Mapping[str, float]) -> list[float]:
    """Write metrics as a row, giving new names the next free columns."""
    row = [_NAN] * MAX_METRICS
    for name, value in islice(metrics.items(), MAX_NAMES):
        if value != value:
            continue
        place = names.get(name)
        if place is None:
            if len(names) >= MAX_METRICS or not 0 < len(name) <= _LONGEST_NAME:
                continue
            place = names[name] = len(names)
        row[place] = value if -_LARGEST < value < _LARGEST else _LARGEST if value > 0 else -_LARGEST
    return row
