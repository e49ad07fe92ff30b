"""What a series is expected to be: its learnt share of everybody in the same cell, with its uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.counts import FINE_BINS, FINE_MS, HOURS, WINDOW_HOURS, WINDOWS, CountTable, Floats, Ints
from qianshao.clock import DAY_MS, HOUR_MS

HALF_LIFE_HOURS = 7 * 24
PARENT_WEIGHT = 30.0
"""How many customers the parent's share counts as, when a cell has little history of its own."""
SIGHT_PRIOR = 0.5
"""Customers a never-seen value is taken to have had already: it keeps the first one from being infinitely strange."""
MINIMUM_SHAPE = 0.5
HALF_OF_A_CELL = 0.5
"""A row with a larger share is what its cell ordinarily shows: the few others say nothing of it."""
SETTLED_CUSTOMERS = 400.0
SETTLED_MEAN = 0.8
"""Dispersion is learnt only where the share itself is known and brings about a customer an hour: the error of an
unknown share looks like dispersion, the more the rarer the series."""
HOLD_MS = DAY_MS
RELEARN_MS = DAY_MS
SETTLED_DAYS = 3
"""Days after which today is no ordinary day yet: it may be the start of a rise that goes on."""
PEAK_HALF_LIFE_DAYS = 5
"""How fast the highest ordinary count of a series is forgotten."""
DAY_ENDS_MS = 20 * HOUR_MS
"""When a day's peak joins the ordinary ones, in UTC (04:00 in China): a rise is not measured against its own start."""
LONG = WINDOW_HOURS >= 8.0
"""Windows in which a slow rise shows, and which are measured against what is older than yesterday: what rises for days
would become ordinary, and its unevenness dispersion, before it is strange."""
SLOW_CUSTOMERS = 30
"""So many in a long window, below which what is older tells a rise from chance worse than what is newest does."""
LONG_DAYS = 6
"""Days after which the older ones are enough to know a share by."""
OLDER = 0.5
"""At least this part of what is known of a cell must be older; a release is known by what it did today."""
LEARNT_LATE = "theme"
"""A measure whose values begin when they are learnt, not when their cause does: before, nobody could be counted."""
_SUMS = ("total", "surplus", "square")
_LEARNT = ("total", "missed", "share", "surplus", "square", "alpha", "older_share", "older_alpha")
_ALPHA_BOUNDS = (0.03, 0.5)
_ALPHA_WEIGHT = 20.0


class ShareBaseline:
    """Share model per series, vectorised over the rows of a `CountTable`.

    It answers: how many distinct customers of this series were to be expected among all those seen in the same cell and
    window? A promotion day or a Monday peak raises both and is therefore no surprise. The share is a Gamma posterior
    with a half-life of a week, drawn to the parent cell's share; its uncertainty and the hourly overdispersion make the
    prediction negative binomial. Learning is winsorised, and a series in alarm learns its own expectation. What many
    have in long windows is measured against what is older than yesterday, as with the guard band of EARS C2 (Hutwagner
    et al. 2003).

    When it fails: a cause that makes *every* topic of a cell rise alike moves no share; a series that is most of its
    cell (share above one half) hides part of its own rise. Cost: one pass over all rows an hour, about 0.1 µs a row.
    """

    def __init__(self, table: CountTable) -> None:
        self.table = table
        self.total: Floats = np.zeros(0)
        self.missed: Floats = np.zeros(0)
        """Of everybody in a row's cell, those who came before its value was known."""
        self.share: Floats = np.zeros(0)
        self.surplus: Floats = np.zeros(0)
        self.square: Floats = np.zeros(0)
        self.alpha: Floats = np.zeros(0)
        self.older_share: Floats = np.zeros(0)
        """As `share` and `alpha`, of what is older than yesterday."""
        self.older_alpha: Floats = np.zeros(0)
        self.news: Floats = np.zeros((2, len(_SUMS), 0))
        """What today and yesterday brought to each of `_SUMS`."""
        self.alarmed_until: Ints = np.zeros(0, dtype=np.int64)
        self.measure_alpha: dict[str, float] = {}
        self.peak: NDArray[np.float32] = np.zeros((0, WINDOWS), dtype=np.float32)
        self.today: NDArray[np.float32] = np.zeros((0, WINDOWS), dtype=np.float32)
        self.yesterday: NDArray[np.float32] = np.zeros((0, WINDOWS), dtype=np.float32)
        self.days = 0
        self.hours = 0.0
        """Hours learnt from, as many as weigh in `total`."""
        self.follow()

    def follow(self) -> None:
        """Give the rows that appeared since the last call their parent's share."""
        have, want = len(self.total), self.table.n
        if want <= have:
            return
        for name in ("total", "missed", "share", "surplus", "square", "older_share"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(want - have))))
        self.news = np.concatenate((self.news, np.zeros((2, len(_SUMS), want - have))), axis=2)
        self.alpha = np.concatenate((self.alpha, np.full(want - have, 0.12)))
        self.older_alpha = np.concatenate((self.older_alpha, np.full(want - have, 0.12)))
        self.alarmed_until = np.concatenate((self.alarmed_until, np.zeros(want - have, dtype=np.int64)))
        for name in ("peak", "today", "yesterday"):
            setattr(
                self, name, np.concatenate((getattr(self, name), np.zeros((want - have, WINDOWS), dtype=np.float32)))
            )
        for row in range(have, want):
            parent = int(self.table.parent[row])
            below = int(self.table.denominator[row])
            measure = self.table.measured[int(self.table.row_measured[row])][0]
            if measure == LEARNT_LATE:
                above = int(self.table.denominator[parent]) if parent >= 0 else below
                late = self.missed[parent] / max(self.total[above], 1.0) if parent >= 0 else 1.0
                self.missed[row] = late * self.total[below]
            if parent >= 0:
                self.share[row] = self.share[parent]
                self.alpha[row] = self.alpha[parent]
                self.older_share[row], self.older_alpha[row] = self.older_share[parent], self.older_alpha[parent]
            else:
                seen = self.total[below] - self.missed[row] if below >= 0 else 0.0
                self.share[row] = SIGHT_PRIOR / (seen + PARENT_WEIGHT)
                self.alpha[row] = self.measure_alpha.get(measure, 0.15)
                self.older_share[row], self.older_alpha[row] = self.share[row], self.alpha[row]

    def slow(self, counts: Floats) -> NDArray[np.bool_]:
        """Return which windows are measured against what is older: (rows, windows), shaped as `counts`."""
        return np.asarray(LONG & (counts >= SLOW_CUSTOMERS))

    def expected(self, rows: Ints, everybody: Floats, slow: NDArray[np.bool_]) -> Floats:
        """Return expected counts for `rows`, shaped as `everybody` and `slow`: (rows, windows)."""
        self.follow()
        share = np.where(slow, self.older_share[rows, None], self.share[rows, None])
        mean: Floats = share * everybody + 1e-6
        return mean

    def beside(self, rows: Ints, others: Floats) -> Floats:
        """Return expected counts beside so many who are none of the row's: (rows, windows), shaped as `others`.

        Where most who come are a row's victims, they would raise what is expected of them; the others do not. Infinite
        where a row is ordinarily more than half of its cell.
        """
        self.follow()
        share = self.share[rows]
        odds = np.where(share <= HALF_OF_A_CELL, share / np.maximum(1.0 - share, HALF_OF_A_CELL), np.inf)
        mean: Floats = odds[:, None] * (others + 1e-6)
        return mean

    def own(self, rows: Ints) -> Floats:
        """Return what rows had in windows so long, whoever else came: (rows, windows), shaped as `expected`.

        Devices that report themselves at night are not counted again by day, when people bring about errors: the share
        of all who are new then says little of them.
        """
        self.follow()
        rate: Floats = self.total[rows] / max(self.hours, 1.0)
        each: Floats = rate[:, None] * WINDOW_HOURS
        return each

    def spread(self, rows: Ints, slow: NDArray[np.bool_]) -> Floats:
        """Return the relative variance of predictions: dispersion, and how little the share is known; as `expected`."""
        parents = self.table.parent[rows]
        prior = np.where(parents >= 0, PARENT_WEIGHT * self.share[parents], SIGHT_PRIOR)
        newest = self.alpha[rows] + 1.0 / np.maximum(self.total[rows] + prior, MINIMUM_SHAPE)
        if not slow.any():
            return np.repeat(newest[:, None], WINDOWS, axis=1)
        older = self.older_alpha[rows] + 1.0 / np.maximum(self._known(rows)[0] + prior, MINIMUM_SHAPE)
        return np.where(slow, older[:, None], newest[:, None])

    def watch(self) -> None:
        """Note the short windows as they stand; call once at the end of each bin, before the table rolls on."""
        self.follow()
        table = self.table
        table.settle()
        n, end = table.n, (table.bin + 1) * FINE_MS
        calm = np.flatnonzero((self.alarmed_until[:n] <= end) & (table.fine[:n, table.bin % FINE_BINS] > 0))
        if len(calm):
            self.today[calm] = np.maximum(self.today[calm], table.windows(calm))

    def learn(self) -> None:
        """Learn from the hour that is ending; call once at the end of each hour, before the table rolls on."""
        self.follow()
        table = self.table
        n = table.n
        if n == 0:
            return
        table.settle()
        slot = (table.bin // 12) % HOURS
        seen = table.hour[:n, slot].astype(np.float64)
        below = table.denominator[:n]
        has = below >= 0
        everybody = np.where(has, seen[below], 0.0)
        mean = self.share[:n] * everybody
        deviation = np.sqrt(mean + self.alpha * mean * mean)
        taken = np.where(has, np.minimum(seen, mean + 2.5 * deviation + 1.0), seen)
        now = (table.bin + 1) * FINE_MS
        taken = np.where(has & (self.alarmed_until > now), np.minimum(taken, mean), taken)
        decay = 0.5 ** (1.0 / HALF_LIFE_HOURS)
        self.total = self.total * decay + taken
        self.hours = self.hours * decay + 1.0
        self.missed *= decay
        settled = has & (np.where(has, self.total[below], 0.0) >= SETTLED_CUSTOMERS) & (mean >= SETTLED_MEAN)
        settled &= seen <= mean + 3.0 * deviation + 1.0  # an incident is no dispersion
        surplus, square = np.where(settled, (taken - mean) ** 2 - mean, 0.0), np.where(settled, mean * mean, 0.0)
        self.surplus = self.surplus * decay + surplus
        self.square = self.square * decay + square
        self.news *= decay
        self.news[0] += (taken, surplus, square)
        calm = np.flatnonzero(self.alarmed_until <= now)
        self.today[calm] = np.maximum(self.today[calm], table.windows(calm))
        if (now - DAY_ENDS_MS) % DAY_MS < HOUR_MS:
            over = self.today if self.days < SETTLED_DAYS else self.yesterday
            self.peak = np.maximum(self.peak * np.float32(0.5 ** (1.0 / PEAK_HALF_LIFE_DAYS)), over)
            self.yesterday, self.today = self.today, np.zeros_like(self.today)
            self.days += 1
            self.news = np.stack((np.zeros_like(self.news[0]), self.news[0]))
        self.share = self._shares(self.total, np.where(has, self.total[below] - self.missed, 0.0))
        self.alpha, pooled = self._dispersion(self.surplus, self.square)
        self.measure_alpha.update(pooled)
        if self.days < LONG_DAYS:
            self.older_share, self.older_alpha = self.share, self.alpha
            return
        rows = np.arange(n)
        self.older_share = self._shares(*self._known(rows))
        self.older_alpha, _ = self._dispersion(self._older("surplus", rows), self._older("square", rows))

    def _older(self, name: str, rows: Ints) -> Floats:
        """Return one of `_SUMS` without what today and yesterday brought."""
        whole: Floats = getattr(self, name)[rows]
        today, yesterday = self.news[:, _SUMS.index(name), rows]
        older: Floats = whole - today - yesterday
        return older

    def _known(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return the customers of rows, and everybody in their cells, who are older than yesterday, as far as enough.

        A cell of which most became known since is taken as it is, and what goes on being learnt.
        """
        below = self.table.denominator[rows]
        everybody = np.where(below >= 0, self.total[below] - self.missed[rows], 0.0)
        earlier = np.where(below >= 0, self._older("total", below) - self.missed[rows], 0.0)
        late = np.array([measure == LEARNT_LATE for measure, _ in self.table.measured])[self.table.row_measured[rows]]
        enough = (self.days >= LONG_DAYS) & (earlier >= OLDER * everybody) & ~late
        return np.where(enough, self._older("total", rows), self.total[rows]), np.where(enough, earlier, everybody)

    def _shares(self, customers: Floats, everybody: Floats) -> Floats:
        """Return the share of each row, drawn to that of its parent."""
        n = len(customers)
        has, depths, share = self.table.denominator[:n] >= 0, self.table.depth[:n], self.share.copy()
        for depth in range(int(depths.max()) + 1):
            rows = np.flatnonzero(has & (depths == depth))
            if not len(rows):
                continue
            if depth == 0:
                share[rows] = (customers[rows] + SIGHT_PRIOR) / (everybody[rows] + PARENT_WEIGHT)
            else:
                above = share[self.table.parent[rows]]
                share[rows] = (customers[rows] + PARENT_WEIGHT * above) / (everybody[rows] + PARENT_WEIGHT)
        return share

    def _dispersion(self, surplus: Floats, square: Floats) -> tuple[Floats, dict[str, float]]:
        """Return the dispersion of each row, drawn to that of its measure, and that of each measure."""
        measures = np.array([measure for measure, _ in self.table.measured])
        names = measures[self.table.row_measured[: len(surplus)]] if len(measures) else measures
        alpha, pooled = self.alpha.copy(), {}
        for measure in sorted(set(measures.tolist())):
            rows = np.flatnonzero(names == measure)
            whole = float(np.clip((surplus[rows].sum() + 2.4) / (square[rows].sum() + 20.0), *_ALPHA_BOUNDS))
            pooled[measure] = whole
            alpha[rows] = np.clip(
                (surplus[rows] + _ALPHA_WEIGHT * whole) / (square[rows] + _ALPHA_WEIGHT), *_ALPHA_BOUNDS
            )
        return alpha, pooled

    def history(self, rows: Ints) -> Floats:
        """Return how many customers of everybody the expectation of each row rests on."""
        self.follow()
        below = self.table.denominator[rows]
        return np.where(below >= 0, self.total[below] - self.missed[rows], self.total[rows])

    def alarm(self, rows: Ints, now: int) -> None:
        """Hold the learning of `rows` at their own expectation for a day, then let them learn for a day at least.

        Without the maximum a series that was expected too low at first would be held there by its own alarms.
        """
        self.follow()
        free = rows[self.alarmed_until[rows] + RELEARN_MS <= now]
        self.alarmed_until[free] = now + HOLD_MS

    def snapshot(self) -> dict[str, Any]:
        """Return the state as numbers and bytes."""
        self.follow()
        return {
            **{name: getattr(self, name).tobytes() for name in _LEARNT},
            "news": self.news.tobytes(),
            "peak": self.peak.tobytes(),
            "today": self.today.tobytes(),
            "yesterday": self.yesterday.tobytes(),
            "days": self.days,
            "hours": self.hours,
            "alarmed_until": self.alarmed_until.tobytes(),
            "measure_alpha": sorted(self.measure_alpha.items()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`."""
        for name in _LEARNT:
            setattr(self, name, np.frombuffer(state[name], dtype=np.float64).copy())
        self.news = np.frombuffer(state["news"], dtype=np.float64).reshape(2, len(_SUMS), -1).copy()
        self.alarmed_until = np.frombuffer(state["alarmed_until"], dtype=np.int64).copy()
        for name in ("peak", "today", "yesterday"):
            setattr(self, name, np.frombuffer(state[name], dtype=np.float32).reshape(-1, WINDOWS).copy())
        self.days = state["days"]
        self.hours = state["hours"]
        self.measure_alpha = dict(state["measure_alpha"])
