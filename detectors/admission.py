"""Which codes and messages of devices become series, so that no device takes the places of all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from detectors.counts import Measured
from detectors.families import TemplateFamilies
from qianshao.clock import DAY_MS
from qianshao.event import Observation

MAX_WAITING = 5_000
"""Codes and templates that only one device has written; the longest waiting one leaves first."""
MOST = {"code": 2_500, "template": 1_500}
"""Values that may become series: what devices write cannot take the places of tickets, topics and themes."""


ALONE = 10
"""Codes that one device may bring up by itself; its further ones wait for a second device."""


class Admission:
    """Lets a template count once two devices have written it within a day, and the first of them with it.

    A hostile or broken device that writes ever new messages therefore never makes a series: its messages wait, push
    each other out, and wear nobody else's places. A code counts at once, so that what is expected of a rare one is
    learnt from its first device on; of a device that has brought up ten, further ones wait as well. Templates that
    differ in a name are one (`TemplateFamilies`); those that waited until it was known count with it.

    When it fails: two hostile devices together use up the places of one measure, and codes first seen later are not
    counted; all else is. Cost: one look-up for a known code.
    """

    def __init__(self) -> None:
        self._families = TemplateFamilies()
        self._waiting: dict[Measured, Observation] = {}
        self._admitted: dict[str, int] = dict.fromkeys(MOST, 0)
        self._brought: dict[int, int] = {}
        """Device → codes that it was the first to write; no more devices than codes."""

    def admit(
        self, measures: Sequence[Measured], observation: Observation, known: Callable[[Measured], bool]
    ) -> list[tuple[Observation, list[Measured]]]:
        """Return what is to be counted as what, in this order: the events that waited for this one, then itself.

        Parameters
        ----------
        measures
            What the event says: its code or template, perhaps a metric.
        known
            Whether a measure value is a series already.
        """
        counted: list[Measured] = []
        waited: list[Observation] = []
        for measured in measures:
            measure, value = measured
            if measure == "template":
                family = self._families.of(value, _who(observation))
                if family != value:
                    waited.extend(self._members(family, observation, known))
                measured = (measure, family)
            if measure not in MOST or known(measured):
                counted.append(measured)
                continue
            brought = self._brought.get(_who(observation), 0)
            if measure == "code" and brought < ALONE and measured not in self._waiting:
                if self._admitted[measure] < MOST[measure]:
                    self._brought[_who(observation)] = brought + 1
                    self._admitted[measure] += 1
                    counted.append(measured)
                continue
            if not waited:
                first = self._waiting.get(measured)
                if first is None or _who(first) == _who(observation):
                    self._wait(measured, first or observation)
                    continue
                waited.append(first)
            if self._admitted[measure] < MOST[measure]:
                self._waiting.pop(measured, None)
                self._admitted[measure] += 1
                counted.append(measured)
        words = [measured for measured in counted if measured[0] in MOST]
        return [*((each, words) for each in waited if words), (observation, counted)]

    def _members(self, family: str, observation: Observation, known: Callable[[Measured], bool]) -> list[Observation]:
        """Take what waits under the templates of a family that has just been found, one event a device."""
        if known(("template", family)):
            return []
        before, _, after = family.partition("*")
        found: dict[int, Observation] = {}
        for measured in [each for each in self._waiting if each[0] == "template"]:
            value = measured[1]
            if value.startswith(before) and value.endswith(after) and len(value) > len(before) + len(after):
                waiting = self._waiting.pop(measured)
                found.setdefault(_who(waiting), waiting)
        found.pop(_who(observation), None)
        return list(found.values())

    def _wait(self, measured: Measured, observation: Observation) -> None:
        self._waiting[measured] = observation
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def forget(self, now_ms: int) -> None:
        """Let go what has waited for more than a day."""
        for measured in [each for each, first in self._waiting.items() if first.ts < now_ms - DAY_MS]:
            del self._waiting[measured]

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "families": self._families.snapshot(),
            "waiting": [(measured, msgspec.to_builtins(first)) for measured, first in self._waiting.items()],
            "admitted": list(self._admitted.items()),
            "brought": list(self._brought.items()),
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._families.restore(state["families"])
        self._waiting = {
            (measure, value): msgspec.convert(first, Observation) for (measure, value), first in state["waiting"]
        }
        self._admitted = dict(state["admitted"])
        self._brought = dict(state["brought"])


def _who(observation: Observation) -> int:
    return observation.device or observation.customer
