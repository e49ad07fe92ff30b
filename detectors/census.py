"""The census of one shard: what every observation counts as, and who stands behind each count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from detectors.admission import Admission
from detectors.cells import Signature, signature
from detectors.counts import DENOMINATORS, FINE_MS, CountTable, Ints, Measured
from detectors.device_metrics import DeviceMetrics
from detectors.echoes import Echoes
from detectors.levels import Levels
from detectors.measures import device_measures, voice_measures
from detectors.recent import RecentEvents
from detectors.repeats import RepeatContacts
from detectors.rollouts import Rollouts
from detectors.trouble import MEASURE, troubled
from qianshao.clock import DAY_MS, HOUR_MS
from qianshao.event import DIMENSIONS, Observation
from qianshao.outcome import Rollup

MAX_VALUES = 5_000
"""Codes, templates and ticket types that are counted; further ones are still counted in everything else."""
MAX_SIGNATURES = 60_000
"""Combinations of dimensions as events carry them; further ones are counted without their own dimensions."""
MAX_WORDS = 200_000


class Counted(NamedTuple):
    """What the observations of one tick are to those who decide."""

    rows: Ints
    """Rows of the table in which somebody was new, ascending."""
    voices: list[Observation]
    """Those in which a customer, or an agent's ticket for one, says something that was not pasted, in order."""


class Census:
    """Counts every observation of one shard under what it means, and remembers what that takes.

    A device counts under its code, its message or its strange metric, a ticket under its type, a customer under what is
    said: topic, theme, terms, mood, danger, trouble, coming back; each also among everybody, of whom the others are a
    share. Not counted as said are pasted texts, dangers copied from earlier days, messages that are no error to most
    devices, and what one device alone makes up. What is to be expected, and what is strange, is not known here.

    When it fails: beyond `MAX_VALUES` values and `MAX_SIGNATURES` combinations of dimensions, an observation counts
    under less than it says. Cost: about 50 µs an event that counts somebody. Memory is bounded.

    Parameters
    ----------
    root
        Whether the shard sees all lines.
    maximum
        Series that are counted; finer cells are not opened beyond it.

    Attributes
    ----------
    table
        The counts of distinct somebodies, by series.
    recent
        The events of the last day behind them.
    metrics
        What the devices of a model ordinarily report.
    rollouts
        Which versions are being brought out.
    vocabulary, documents
        In how many texts each word was said, of how many; older ones weigh less every day.
    learnt
        When each theme was first counted, by the number of its measure value.
    """

    def __init__(self, *, root: bool, maximum: int) -> None:
        self._root = root
        self.table = CountTable(root=root, maximum=maximum)
        # Named before anything else: their numbers are the same in every table and snapshot.
        self._everybody = {name: self.table.measured_id((name, "")) for name in DENOMINATORS}
        self.recent = RecentEvents()
        self.metrics = DeviceMetrics()
        self.rollouts = Rollouts()
        self._repeats = RepeatContacts(root=root)
        self._echoes = Echoes()
        self._admission = Admission()
        self._levels = Levels()
        self.vocabulary: dict[str, int] = {}
        self.documents = 0
        self.learnt: dict[int, int] = {}

    # -- counting ----------------------------------------------------------------------------------------------------

    def count(self, observations: Sequence[Observation], tick: int) -> Counted:
        """Count the ordered observations that are decided on at `tick`, which lies in the table's bin or ends it."""
        touched: set[int] = set()
        voices = [observation for observation in observations if self._count(observation, tick, touched)]
        return Counted(np.array(sorted(touched), dtype=np.int64), voices)

    def _count(self, observation: Observation, tick: int, touched: set[int]) -> bool:
        """Count one observation, add the rows in which it is new; return whether it is a voice."""
        kind = observation.kind
        who = observation.customer
        self.rollouts.see(observation)
        if kind == "device":
            self._levels.see(observation)
            measures = [each for each in device_measures(observation) if not self._mild(each)]
            if observation.metrics and not (self._root and observation.line):  # a line's own shard judges them
                deviating = self.metrics.update(observation)
                if deviating:
                    measures.append(("metric", deviating))
            for each, counted in self._admission.admit(measures, observation, self.table.knows):
                self._enter(each, each.device or each.customer, "devices", counted, tick, touched)
            return False
        if kind == "rating" or (kind != "ticket" and observation.role not in (None, "customer")):
            return False
        if kind == "ticket":
            measures = [("ticket_type", observation.type)] if observation.type else []
            self._enter(observation, who, "tickets", measures, tick, touched)
        if self._echoes.pasted(observation):
            self._enter(observation, who, "contacts", [], tick, touched)
            return False
        measures = voice_measures(observation)
        if observation.danger and self._echoes.told_before(observation):
            measures = [each for each in measures if each[0] != "danger"]
        if self._repeats.see(observation):
            measures.append(("returned", observation.topic))
        if troubled(observation):
            measures.append(MEASURE)
        self._enter(observation, who, "contacts", measures, tick, touched)
        if observation.tokens:
            self._learn_words(observation)
        return True

    def _mild(self, measured: Measured) -> bool:
        """Return whether a message without a code is no error to most devices that write it."""
        return measured[0] == "template" and self._levels.mild(measured[1])

    def _enter(
        self,
        observation: Observation,
        who: int,
        everybody: str,
        measures: Sequence[Measured],
        tick: int,
        touched: set[int],
    ) -> None:
        """Count one somebody among everybody, and under each measure value."""
        if not who:
            return
        table = self.table
        signed = self._bounded(signature(observation))
        number = table.signature_id(signed)
        ts = tick - 1
        table.count(self._everybody[everybody], number, who, ts)
        for measured in measures:
            if len(table.measured) >= MAX_VALUES and not table.knows(measured):
                continue
            value = table.measured_id(measured)
            touched.update(table.count(value, number, who, ts))
            self.recent.add(value, observation)
            if measured[0] == "theme":
                self.learnt.setdefault(value, ts)

    def _bounded(self, signed: Signature) -> Signature:
        """Return a signature that is known or still fits: beyond the bound its own dimensions go first, then all."""
        table = self.table
        if table.signatures < MAX_SIGNATURES or table.knows_signature(signed):
            return signed
        common = tuple(pair for pair in signed if pair[0] in DIMENSIONS)
        return common if table.knows_signature(common) else ()

    def _learn_words(self, observation: Observation) -> None:
        self.documents += 1
        vocabulary = self.vocabulary
        for token in dict.fromkeys(observation.tokens):
            vocabulary[token] = vocabulary.get(token, 0) + 1
        if len(vocabulary) > MAX_WORDS:
            self._thin_vocabulary()

    def _thin_vocabulary(self) -> None:
        """Halve the word counts, daily or when too many: the background follows the season, rare words leave."""
        self.documents = (self.documents + 1) // 2
        self.vocabulary = {word: number // 2 for word, number in self.vocabulary.items() if number >= 2}

    # -- rolling time ------------------------------------------------------------------------------------------------

    def close_bin(self) -> list[Rollup]:
        """Go on to the next five-minute bin, at the end of an hour without what is too old; return who came back.

        Whoever reads the bin that ends has to read it before.
        """
        end = (self.table.bin + 1) * FINE_MS
        rollups = self._repeats.close_bin(end - FINE_MS)
        if end % HOUR_MS == 0:
            self.recent.forget(end)
            self._repeats.forget(end)
            self._admission.forget(end)
            self._levels.close_hour()
            self.rollouts.forget(end)
        if end % DAY_MS == 0:
            self._thin_vocabulary()
        self.table.roll()
        return rollups

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return the state as builtin types and bytes."""
        return {
            "table": self.table.snapshot(),
            "recent": self.recent.snapshot(),
            "repeats": self._repeats.snapshot(),
            "metrics": self.metrics.snapshot(),
            "echoes": self._echoes.snapshot(),
            "admission": self._admission.snapshot(),
            "levels": self._levels.snapshot(),
            "rollouts": self.rollouts.snapshot(),
            "vocabulary": list(self.vocabulary.items()),
            "documents": self.documents,
            "learnt": list(self.learnt.items()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state written by `snapshot`, in a census that has counted nothing."""
        self.table.restore(state["table"])
        self.recent.restore(state["recent"])
        self._repeats.restore(state["repeats"])
        self.metrics.restore(state["metrics"])
        self._echoes.restore(state["echoes"])
        self._admission.restore(state["admission"])
        self._levels.restore(state["levels"])
        self.rollouts.restore(state["rollouts"])
        self.vocabulary = dict(state["vocabulary"])
        self.documents = state["documents"]
        self.learnt = dict(state["learnt"])
