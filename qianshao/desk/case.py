"""A case: everything the desk knows about one cause, from the first weak witness to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from qianshao.clock import MINUTE_MS
from qianshao.event import CLEARLY_NEGATIVE, DIMENSIONS, MAX_OWN_DIMS, Observation
from qianshao.finding import Finding, Suspect
from qianshao.incident import Severity, Similar, Status

Dims = dict[str, str | list[str]]

MAX_EVIDENCE = 500
"""Ids of events that a record names; a case keeps at most four times as many."""
MAX_PEOPLE = 50_000
"""Customers, and devices, that are told apart in one case."""
MAX_WITNESSED = 500
"""Measure values that speak in one case; the weakest makes room."""
MAX_SPEAKERS = 200
"""Customers of one measure value that are told apart in one case, those with the smallest numbers."""
MAX_NAMED = 200
"""Topics, dangers, dimensions and values of each that are counted by name in one case: the first ones seen."""
ARRIVAL_MS = 10 * MINUTE_MS
ARRIVALS = 60
HOUR_PIECES = 6
GROWING = 10
"""People in an hour, below which a doubling is chance."""
SURE = 0.8
"""Evidence of findings of which a smaller share is not ordinary does not carry an incident by itself."""
PURITY = 3
"""How much more the pure evidence of few says of a place than the mixed evidence of many."""
HARMED = 3
"""How much more those who are harmed say of a place than those who tell of something else at the same time."""
MOVES = 0.5
"""A finding moves the place of its measure value if it knows at least this share of the largest excess found so far: a
cause of everything is found in each line as well, in one after the other."""
UNNAMED_MEASURES = ("negative", "trouble")
"""What says that something is wrong, and not what: no two causes have it in common."""
LEAST_STATED = 4
"""Events that must state a dimension before they say where a case lies."""
ONE_PRODUCT = 0.8
"""So large a share of the telling events that state a product must state one for it to be named."""
ENOUGH = 3
"""Events that are enough to show an incident by."""
GOES_ON = 0.2
"""More than this share of a finding's evidence must lie outside what explains it, or it speaks of nothing else."""


def stated(event: Observation) -> dict[str, str]:
    """Return the dimensions that an event states, the common ones and the first of its own."""
    places = {name: value for name in DIMENSIONS if (value := event.dimension(name))}
    places.update(sorted(event.dims.items())[:MAX_OWN_DIMS])
    return places


def lies_elsewhere(places: Mapping[str, str], dims: Mapping[str, str | list[str]]) -> bool:
    """Say whether somebody states another value of a dimension than a place has; the channel does not count.

    >>> lies_elsewhere({"region": "华南", "channel": "app"}, {"region": ["华东", "华北"]})
    True
    """
    for name, values in dims.items():
        value = places.get(name)
        if value and name != "channel" and (value not in values if isinstance(values, list) else value != values):
            return True
    return False


def goes_on(finding: Finding, end: int) -> bool:
    """Say whether a finding speaks of what happens after a moment, not only of what led to it."""
    if not finding.evidence:
        return finding.window_end > end
    return sum(event.ts >= end for event in finding.evidence) > GOES_ON * len(finding.evidence)


class Witnessed(msgspec.Struct, kw_only=True):
    """What one measure value says in a case: its newest signal and where it lies."""

    witness: str
    kind: str
    series: str
    window_start: int
    window_end: int
    observed: float
    expected: float
    score: float
    opens: bool
    free_opens: bool
    """What it says without the evidence that has another explanation (`Case.waits`): only this opens an incident."""
    free_score: float
    dims: Dims
    """Where it lies: what the finding said whose excess this is."""
    excess: float
    """How many events speak beyond the ordinary in that place."""
    weight: int
    """Events that carried the newest finding."""
    keywords: tuple[str, ...]
    quotes: tuple[str, ...]
    who: list[int] = []
    """Customers who say it, of the newest finding, at most `MAX_SPEAKERS`."""


class Proof(msgspec.Struct, gc=False):
    """One event of the evidence: how telling it is, when it fell, and what it counts as."""

    weight: int
    ts: int
    sure: float
    """The share of the finding it came with that is not ordinary, the largest of several."""
    topic: str = ""
    danger: str = ""
    places: dict[str, str] = {}
    """Dimension → value, as far as the event states it."""


class Case(msgspec.Struct, kw_only=True):
    """State of one incident."""

    incident: str
    status: Status = "watching"
    version: int = 0
    created: int
    opened_at: int | None = None
    first_seen: int
    last_evidence: int
    severity: Severity = "P4"
    dims: Dims = {}
    witnessed: dict[str, Witnessed] = {}
    """By measure and value, such as "code:E2007"."""
    customers: dict[int, int] = {}
    """Each with the time of the newest event."""
    devices: dict[int, int] = {}
    evidence: dict[str, Proof] = {}
    everywhere: Dims = {}
    """The place in which several products fail at once; {} = one thing fails."""
    messages: int = 0
    topics: dict[str, int] = {}
    places: dict[str, dict[str, int]] = {}
    """Dimension → value → events that state it."""
    upset: set[int] = set()
    """Customers who wrote something clearly negative."""
    arrivals: dict[int, int] = {}
    """By piece of `ARRIVAL_MS`: customers, or devices without one, who were new then; the newest `ARRIVALS` pieces."""
    dangers: dict[str, int] = {}
    """How many events assert which danger, `family/kind`."""
    let_go: int = 0
    """Events up to this time that are not among the evidence were counted, and let go of for room."""
    told_customers: int = 0
    """Customers at the last record written: what growth is measured from."""
    told_dims: Dims = {}
    told_witnesses: int = 0
    told_people: int = 0
    """Customers or devices, whichever are more, at the last record."""
    told_severity: Severity = "P4"
    told_grounds: tuple[int, ...] = ()
    """On what that severity stands, `severity.Grounds`."""
    told_danger: bool = False
    silenced_until: int = 0
    """Until then growth is not told; 0 = not silenced."""
    absorbs_until: int = 0
    """A person dismissed it: until then it swallows further evidence of its cause; 0 = nobody did."""
    verdict: Literal["", "true", "false"] = ""
    """What a person says: whether it was a real one."""
    parent: str | None = None
    """The incident it was merged into; while it is watched, the open one that explains it."""
    waits: Literal["", "inhibited_by_parent", "maintenance_window"] = ""
    """Why it is watched although its evidence would open an incident, as far as that was told."""
    freed_at: int = 0
    """When the incident that explained it ended; 0 = none did. Only evidence that goes on after that may open it."""
    maintenance: str = ""
    """The planned work that explained its newest held evidence."""
    planned_until: int = 0
    """When that work no longer explains anything; 0 = none did."""
    similar: list[Similar] | None = None
    """Incidents of the past that it is like, as they were known when it opened; None = it has not opened."""
    by_device: bool = False
    returned: list[str] = []
    """Silences among the witnesses that are over."""
    suspect: Suspect | None = None
    """What was in roll-out there, as the newest finding that knows of it says."""

    def take(self, finding: Finding, *, planned: bool = False) -> None:
        """Add a finding to what is known; cost linear in its evidence.

        Parameters
        ----------
        finding
            What belongs to this case.
        planned
            Whether planned work explains it.
        """
        key = f"{finding.series.measure}:{finding.series.value}"
        before = self.witnessed.get(key)
        held = planned or (
            self.freed_at > 0 and finding.series.measure != "danger" and not goes_on(finding, self.freed_at)
        )
        self.returned = [each for each in self.returned if each != key]
        sure = max(0.0, 1.0 - finding.expected / max(finding.observed, 1.0))
        # Much that is hardly strange says less of a place than a little that is, and of a place that is wider than what
        # was found strange only so much is known.
        known = min(1.0, finding.observed / max(_somebodies(finding), 1))
        excess, dims = len(finding.evidence) * known * sure**PURITY, finding.dims
        if before is not None and excess < MOVES * before.excess:
            excess, dims = before.excess, before.dims
        self.witnessed[key] = Witnessed(
            witness=finding.witness,
            kind=finding.kind,
            series=str(finding.series),
            window_start=finding.window_start if before is None else min(before.window_start, finding.window_start),
            window_end=finding.window_end,
            observed=finding.observed,
            expected=finding.expected,
            score=finding.score if before is None else max(before.score, finding.score),
            opens=finding.opens or (before is not None and before.opens),
            free_opens=(finding.opens and not held) or (before is not None and before.free_opens),
            free_score=max(0.0 if held else finding.score, 0.0 if before is None else before.free_score),
            dims=dims,
            excess=excess,
            weight=len(finding.evidence),
            keywords=finding.keywords,
            quotes=finding.quotes,
            who=sorted({event.customer for event in finding.evidence if event.customer})[:MAX_SPEAKERS],
        )
        self.last_evidence = finding.tick
        self.suspect = finding.suspect or self.suspect
        for event in self._concerned(finding):
            proof = self.evidence.get(event.id)
            telling = 1 + bool(event.terms) + 2 * bool(event.danger) + bool(event.code)
            if proof is not None:
                proof.weight = min(proof.weight + 1, 50)
                proof.sure = max(proof.sure, sure)
                continue
            self.first_seen = min(self.first_seen, event.ts)
            if self._is_new(event.customer, event.device):
                piece = event.ts // ARRIVAL_MS
                self.arrivals[piece] = self.arrivals.get(piece, 0) + 1
            _meet(self.customers, event.customer, event.ts)
            _meet(self.devices, event.device, event.ts)
            if event.sentiment < CLEARLY_NEGATIVE and event.customer in self.customers:
                self.upset.add(event.customer)
            if event.ts > self.let_go:
                self._count(
                    event.id,
                    Proof(
                        weight=telling,
                        ts=event.ts,
                        sure=sure,
                        topic=event.topic,
                        danger=event.danger,
                        places=stated(event),
                    ),
                )
        self._make_room(key)
        self.dims = self._explaining_dims()

    def fails_everywhere(self, place: Dims) -> None:
        """Know from now on that whatever lies in a place fails, not one product there."""
        self.everywhere = place
        self.dims = self._explaining_dims()

    def absorb(self, other: Case) -> None:
        """Take over what another case of the same cause knows."""
        for key, theirs in other.witnessed.items():
            ours = self.witnessed.setdefault(key, theirs)
            if ours is not theirs:
                ours.opens = ours.opens or theirs.opens
                ours.score = max(ours.score, theirs.score)
                ours.free_opens = ours.free_opens or theirs.free_opens
                ours.free_score = max(ours.free_score, theirs.free_score)
                ours.window_start = min(ours.window_start, theirs.window_start)
                if theirs.excess > ours.excess:
                    ours.excess, ours.dims = theirs.excess, theirs.dims
        for name, proof in other.evidence.items():
            if name not in self.evidence and proof.ts > self.let_go:
                self._count(name, proof)
        self.messages += other.messages - len(other.evidence)
        self.suspect = self.suspect or other.suspect
        for danger, number in other.dangers.items():
            if danger not in self.dangers and len(self.dangers) < MAX_NAMED:
                self.dangers[danger] = number
        self.let_go = max(self.let_go, other.let_go)
        self.everywhere = self.everywhere or other.everywhere
        if other.planned_until > self.planned_until:
            self.maintenance, self.planned_until = other.maintenance, other.planned_until
        for mine, others in ((self.customers, other.customers), (self.devices, other.devices)):
            for who in sorted(others):
                _meet(mine, who, others[who])
        self.upset |= other.upset & self.customers.keys()
        for piece, number in other.arrivals.items():
            self.arrivals[piece] = max(self.arrivals.get(piece, 0), number)
        self.first_seen = min(self.first_seen, other.first_seen)
        self._make_room("")
        self.dims = self._explaining_dims()

    def _is_new(self, customer: int, device: int) -> bool:
        who, people = (customer, self.customers) if customer else (device, self.devices)
        return who != 0 and who not in people and len(people) < MAX_PEOPLE

    def _count(self, name: str, proof: Proof) -> None:
        """Take one event that was not counted before."""
        self.messages += 1
        self.evidence[name] = proof
        named = [(self.topics, proof.topic), (self.dangers, proof.danger)]
        for dimension, value in proof.places.items():
            if dimension in self.places or len(self.places) < MAX_NAMED:
                named.append((self.places.setdefault(dimension, {}), value))
        for counts, label in named:
            if label and (label in counts or len(counts) < MAX_NAMED):
                counts[label] = counts.get(label, 0) + 1

    def _make_room(self, newest: str) -> None:
        """Let go of what there is too much of: old events that tell little, and the weakest measure values."""
        if len(self.evidence) > 4 * MAX_EVIDENCE:
            rest = self.evidence_ids()[MAX_EVIDENCE:]
            rest.sort(key=lambda name: (-self.evidence[name].ts, name))
            # The newest stay: findings repeat them, and an event must not be counted twice.
            for name in rest[MAX_EVIDENCE:]:
                self.let_go = max(self.let_go, self.evidence.pop(name).ts)
        while len(self.arrivals) > ARRIVALS:
            del self.arrivals[min(self.arrivals)]
        while len(self.witnessed) > MAX_WITNESSED:
            weakest = min(
                (each.opens, each.score, each.window_end, key) for key, each in self.witnessed.items() if key != newest
            )
            del self.witnessed[weakest[-1]]

    def _concerned(self, finding: Finding) -> Sequence[Observation]:
        """Return the evidence of a finding without that of others whom a broader finding happens to bring along.

        Those who say that they are elsewhere are others as long as they are fewer than half; else the place is wrong.
        What says no more than that something is wrong is of a case only where that lies.
        """
        unnamed = finding.series.measure in UNNAMED_MEASURES
        if not self.dims or (self.opened_at is None and not unnamed):
            return finding.evidence
        here = [event for event in finding.evidence if not lies_elsewhere(stated(event), self.dims)]
        return here if unnamed or 2 * len(here) > len(finding.evidence) else finding.evidence

    def evidence_ids(self) -> list[str]:
        """Return the ids of the evidence, the most telling first."""
        return [
            name for name, _ in sorted(self.evidence.items(), key=lambda item: (-item[1].weight, item[1].ts, item[0]))
        ]

    def carrying_ids(self) -> list[str]:
        """Return the ids of the evidence that carries the incident, the most telling first.

        Watched for weak reasons, a case gathers much that is ordinary. Where enough is known better, what lies outside
        the place that is named is left out, and what came with findings that were mostly ordinary.
        """
        names = self.evidence_ids()
        for keep in (
            lambda proof: not lies_elsewhere(proof.places, self.dims),
            lambda proof: proof.sure >= SURE,
        ):
            some = [name for name in names if keep(self.evidence[name])]
            names = some if len(some) >= ENOUGH else names
        return names

    def _explaining_dims(self) -> Dims:
        """The dimensions of the witness that knows most of what is not ordinary.

        Devices state theirs always, people seldom. Where whatever lies in a place fails, it is the place.
        """
        if self.everywhere:
            return self.everywhere
        best = max(
            self.witnessed.items(),
            key=lambda item: (
                item[1].kind in ("silence", "drop"),
                item[1].witness == "devices" and item[1].weight >= 8,
                item[1].excess * (HARMED if item[0].startswith("danger:") else 1),
                item[0],
            ),
        )
        return self._with_product(best[1].dims)

    def _with_product(self, dims: Dims) -> Dims:
        """Name the product in place of its line, where nearly all that is not ordinary and states one states it."""
        if "line" not in dims or "product" in dims:
            return dims
        counts: dict[str, int] = {}
        for proof in self.evidence.values():
            product = proof.places.get("product")
            if product and proof.sure >= SURE and not lies_elsewhere(proof.places, dims):
                counts[product] = counts.get(product, 0) + 1
        most = max(counts, key=lambda each: (counts[each], each), default="")
        if not most or counts[most] < max(LEAST_STATED, ONE_PRODUCT * sum(counts.values())):
            return dims
        return {name: value for name, value in dims.items() if name != "line"} | {"product": most}

    def growth(self) -> float:
        """Return how many times as many people came in the newest hour as in an hour before it; 1 = it just began.

        Up to five hours before count, from the first arrival on; an hour of fewer than `GROWING` people is no growth.
        """
        if not self.arrivals:
            return 1.0
        end = self.last_evidence // ARRIVAL_MS
        begin = max(min(self.arrivals), end - 6 * HOUR_PIECES + 1)
        newest = sum(number for piece, number in self.arrivals.items() if piece > end - HOUR_PIECES)
        before = sum(number for piece, number in self.arrivals.items() if begin <= piece <= end - HOUR_PIECES)
        if newest < GROWING or not before:
            return 1.0
        return newest / before * max(end - HOUR_PIECES - begin + 1, HOUR_PIECES) / HOUR_PIECES

    def people(self) -> int:
        """Return how many customers are hurt, or devices where more of them are."""
        return max(len(self.customers), len(self.devices))

    def silent(self) -> bool:
        """Return whether a source that fell silent is among the witnesses."""
        return any(each.kind in ("silence", "drop") for each in self.witnessed.values())

    def witnesses(self) -> int:
        """Return how many independent sources speak: contacts, tickets, devices."""
        return len({each.witness for each in self.witnessed.values()})


def _somebodies(finding: Finding) -> int:
    """Distinct customers, or devices where they are what was counted, behind the evidence of a finding."""
    if finding.witness == "devices":
        return len({event.device for event in finding.evidence if event.device})
    return len({event.customer for event in finding.evidence if event.customer})


def _meet(people: dict[int, int], who: int, ts: int) -> None:
    """Note that somebody spoke, 0 = nobody; beyond the bound nobody new is told apart."""
    if who and (who in people or len(people) < MAX_PEOPLE):
        people[who] = max(people.get(who, ts), ts)
