"""Whether a message is mostly no error: what most devices write at the level of information is none from a few."""

from __future__ import annotations

from typing import Any

from qianshao.event import Observation

LOUD = frozenset(("warn", "error", "fatal"))
QUIET = frozenset(("info", "debug"))
MILD_DEVICES = 3.0
"""So many device hours at the level of information must be known before it can be said."""
MOSTLY_MILD = 0.75
KEPT_AN_HOUR = 0.97
"""How much of what is known is left after an hour."""
FORGOTTEN = 0.5
MAX_TEMPLATES = 5_000
"""Messages that are remembered; the one that was written the longest ago leaves first."""
MAX_DEVICES = 200
"""Devices that are told apart in an hour, of each message and level."""


class Levels:
    """Counts at which level devices write each message without a code, every device once an hour.

    When it fails: the first few devices of a message whose others have not written yet; a fault that the same message
    announces at the level of information. Cost: two look-ups a message.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}
        """Message → device hours at the level of information, and above it."""
        self._hour: dict[str, tuple[set[int], set[int]]] = {}

    def see(self, observation: Observation) -> None:
        """Take what a device wrote, in order of time."""
        if not observation.template or observation.code:
            return
        if observation.template not in self._hour and len(self._hour) >= MAX_TEMPLATES:
            return
        devices = self._hour.setdefault(observation.template, (set(), set()))[observation.level in LOUD]
        if len(devices) < MAX_DEVICES:
            devices.add(observation.device or observation.customer)

    def mild(self, template: str) -> bool:
        """Return whether most devices that write a message say that it is only information."""
        quiet, loud = self._of(template)
        return quiet >= MILD_DEVICES and quiet >= MOSTLY_MILD * (quiet + loud)

    def close_hour(self) -> None:
        """Fade what is known, and take the hour that ends."""
        known = {}
        for template, counts in self._known.items():
            if KEPT_AN_HOUR * sum(counts) >= FORGOTTEN:
                known[template] = (KEPT_AN_HOUR * counts[0], KEPT_AN_HOUR * counts[1])
        self._known = known
        for template, devices in self._hour.items():
            quiet, loud = self._known.pop(template, (0.0, 0.0))
            self._known[template] = (quiet + len(devices[0]), loud + len(devices[1]))
        self._hour = {}
        while len(self._known) > MAX_TEMPLATES:
            del self._known[next(iter(self._known))]

    def _of(self, template: str) -> tuple[float, float]:
        quiet, loud = self._known.get(template, (0.0, 0.0))
        devices = self._hour.get(template, ((), ()))
        return quiet + len(devices[0]), loud + len(devices[1])

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "known": [(template, *counts) for template, counts in self._known.items()],
            "hour": [(template, sorted(quiet), sorted(loud)) for template, (quiet, loud) in self._hour.items()],
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._known = {template: (quiet, loud) for template, quiet, loud in state["known"]}
        self._hour = {template: (set(quiet), set(loud)) for template, quiet, loud in state["hour"]}
