"""The cause behind a strange series: where it lies, and who stands behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from detectors.baseline import ShareBaseline
from detectors.counts import CountTable
from detectors.localise import BROAD, IMPLIES, WITHIN_PRODUCT, Cause, dimensions_of, localise
from detectors.recent import RecentEvents
from detectors.shares import LongRunShares
from qianshao.event import DIMENSIONS, WIDE_DIMENSIONS, Observation, values_of

STANDS_OUT = 2.0
"""By so much, in −log10, a cell must be stranger than the place that localisation names, to have the last word."""
ENOUGH_FOR_A_PLACE = 4
"""Fewer customers are named by the thing that they have, never by where they happen to live or to write."""
VAGUE = ("line", "channel")
"""Dimensions of a cell that say little of a cause: the same trouble is told in every channel."""


class Strange(msgspec.Struct, gc=False):
    """One series at one tick, stranger than a weak witness must be."""

    row: int
    score: float
    over: float
    """The score without what its series is asked more than others, or with what it is asked less."""
    window: int
    observed: float
    expected: float


class Causes:
    """Names the cause of what is strange in one shard, from the recent events and from who is ordinarily seen.

    Localisation has the first word, about all events of the measure value; the cell that alarmed has the last one where
    it stands out from the place that localisation names. Cost: that of `localise`, once or twice.

    Parameters
    ----------
    table, baseline, shares, recent
        The counts of the shard, what they should be, who is ordinarily seen, and the events behind the counts.
    root
        Whether the shard sees all lines.
    """

    def __init__(
        self, table: CountTable, baseline: ShareBaseline, shares: LongRunShares, recent: RecentEvents, *, root: bool
    ) -> None:
        self._table = table
        self._baseline = baseline
        self._shares = shares
        self._recent = recent
        self._root = root

    def of(
        self,
        value: int,
        top: Strange,
        strange: Sequence[Strange],
        start: int,
        place: Mapping[str, str],
        *,
        by_device: bool,
        weak: float,
    ) -> Cause:
        """Return where the cause of a measure value lies, and the events that agree.

        Parameters
        ----------
        value
            Number of the measure value.
        top
            Its series that speaks.
        strange
            All of its series that are strange.
        start
            Begin of the window in which it is, epoch milliseconds.
        place
            Where it lies, if the decision rests on that; {} = to be found.
        by_device
            Count distinct devices instead of customers.
        weak
            The score of the weakest witness.
        """
        anchor = dict(self._table.cells[int(self._table.row_cell[top.row])])
        fixed = {key: anchor[key] for key in ("line",) if key in anchor} | dict(place)
        cause = self._localised(value, top, start, fixed, [] if place else DIMENSIONS, by_device=by_device)
        if not place:
            place = self._told_by_cell(anchor, cause.dims, top, strange, 0.0 if by_device else weak)
            known = {name: each for name, each in cause.dims.items() if name not in place}
            place = {name: told for name, told in place.items() if not self._implied(value, known, name, told)}
            if place:
                fixed |= place
                rest = [name for name in DIMENSIONS if name not in fixed]
                cause = self._localised(value, top, start, fixed, rest, by_device=by_device)
        dims = {**cause.dims, **place}
        if not self._root and not dims.keys() - (WIDE_DIMENSIONS - {"line"}):
            dims = {**fixed, **dims}  # the shard of a line knows nobody else: whatever it finds lies in its line
        return Cause(dims, tuple(_able_to_state(cause.carried, dims)))

    def _localised(
        self, value: int, top: Strange, start: int, fixed: Mapping[str, str], names: Sequence[str], *, by_device: bool
    ) -> Cause:
        """Localise the events of a measure value that agree with what is fixed, among some dimensions."""
        agreeing = [event for event in self._recent.since(value, start) if event.agrees(fixed)]
        events = _able_to_state(agreeing, fixed)
        tried = dimensions_of(events, names) if names else []
        if top.observed < ENOUGH_FOR_A_PLACE:
            tried = [name for name in tried if name in BROAD or name in WITHIN_PRODUCT]
        return localise(
            events,
            self._expected_at(value, fixed, top),
            tried,
            lambda base, key: self._long_run(value, fixed, base, key),
            by_device=by_device,
        )

    def _told_by_cell(
        self,
        anchor: Mapping[str, str],
        dims: Mapping[str, str | list[str]],
        top: Strange,
        strange: Sequence[Strange],
        unheard: float,
    ) -> dict[str, str]:
        """Return what the strange cell says of its place beyond `dims`, if it stands out from what `dims` names.

        Localisation weighs all events of a value; where most of them are ordinary, the cell that was scored against its
        own history knows better. A place none of whose cells is strange is taken to have the score `unheard`: nothing
        for devices, which state where they are, the weakest for people, who seldom do.
        """
        place = {name: value for name, value in anchor.items() if name not in VAGUE}
        denied = {name for name, value in anchor.items() if value not in values_of(dims.get(name, value))}
        if denied & place.keys():
            return place  # what lies elsewhere is ordinary there: that place was not found strange
        beyond = {name: value for name, value in place.items() if dims.get(name) != value}
        if not beyond or denied:
            return {}
        named = set(dims.items()) if all(isinstance(value, str) for value in dims.values()) else set()
        cells = self._table.cells
        rival = max(
            (each.score for each in strange if set(cells[int(self._table.row_cell[each.row])]) <= named),
            default=unheard,
        )
        return beyond if top.score - rival >= STANDS_OUT else {}

    def _implied(self, value: int, dims: Mapping[str, str | list[str]], name: str, told: str) -> bool:
        """Return whether nearly everybody of a named place is of this one, too: a city lies in its region."""
        base = {key: each for key, each in dims.items() if isinstance(each, str)}
        named = name in ("product", "model") or not base
        return not named and self._long_run(value, base, base, name).get(told, 0.0) >= IMPLIES

    def _expected_at(self, value: int, fixed: Mapping[str, str], top: Strange) -> float:
        """Expected customers of a measure value in the broad cell in which its evidence was gathered."""
        table = self._table
        row = table.row(table.measured[value], tuple(sorted(fixed.items())))
        below = int(table.denominator[row]) if row >= 0 else -1
        if below < 0:
            return top.expected
        everybody = table.windows(np.array([below]))[0, top.window]
        return float(self._baseline.share[row] * everybody)

    def _long_run(self, value: int, fixed: Mapping[str, str], base: Mapping[str, str], name: str) -> dict[str, float]:
        """Long-run shares of one dimension's values, among everybody of the base for whom that dimension is known."""
        table = self._table
        below = int(table.denominator[table.rows_of_measured[value][0]])
        # The line was fixed by where the evidence was gathered; as an explanation it competes with its products.
        anchor = base if name in ("line", "product") else {**fixed, **base}
        return self._shares.of(int(table.row_measured[below]), anchor, name)


def _able_to_state(events: Sequence[Observation], dims: Mapping[str, str | list[str]]) -> list[Observation]:
    """Leave out who states none of a cause's own dimensions and came where nobody does.

    Not everybody says which version of the app he has, but who calls has none.
    """
    able = list(events)
    for name in dims.keys() - set(DIMENSIONS):
        channels = {event.channel for event in able if name in event.dims}
        able = [event for event in able if event.channel in channels]
    return able
