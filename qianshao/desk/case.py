"""A case: everything the desk knows about one cause, from the first weak witness to the end."""

from __future__ import annotations

from typing import Literal

import msgspec

from qianshao.finding import Finding, Suspect
from qianshao.incident import Severity, Status

Dims = dict[str, str | list[str]]

MAX_EVIDENCE = 500
MAX_PEOPLE = 50_000


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
    dims: Dims
    weight: int
    """Events that carried the newest finding."""
    keywords: tuple[str, ...]
    quotes: tuple[str, ...]


class Proof(msgspec.Struct, gc=False):
    """One event of the evidence: how telling it is, and when it fell."""

    weight: int
    ts: int


class Case(msgspec.Struct, kw_only=True):
    """State of one incident."""

    incident: str
    status: Status
    version: int
    created: int
    opened_at: int | None
    first_seen: int
    last_evidence: int
    severity: Severity
    dims: Dims
    witnessed: dict[str, Witnessed]
    """By measure and value, such as "code:E2007"."""
    customers: set[int]
    devices: set[int]
    evidence: dict[str, Proof]
    messages: int
    topics: dict[str, int]
    products: dict[str, int]
    dangers: dict[str, int] = {}
    """How many events assert which danger, `family/kind`."""
    told_customers: int = 0
    """Customers at the last record written: what growth is measured from."""
    told_dims: Dims = {}
    told_witnesses: int = 0
    told_people: int = 0
    """Customers or devices, whichever are more, at the last record."""
    told_severity: Severity = "P4"
    told_danger: bool = False
    silenced_until: int = 0
    """Until then growth is not told; 0 = not silenced."""
    absorbs_until: int = 0
    """A person dismissed it: until then it swallows further evidence of its cause; 0 = nobody did."""
    verdict: Literal["", "true", "false"] = ""
    """What a person says: whether it was a real one."""
    parent: str | None = None
    by_device: bool = False
    returned: list[str] = []
    """Silences among the witnesses that are over."""
    suspect: Suspect | None = None
    """What was in roll-out there, as the newest finding that knows of it says."""

    def take(self, finding: Finding) -> None:
        """Add a finding to what is known; cost linear in its evidence."""
        key = f"{finding.series.measure}:{finding.series.value}"
        before = self.witnessed.get(key)
        self.returned = [each for each in self.returned if each != key]
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
            dims=finding.dims,
            weight=len(finding.evidence),
            keywords=finding.keywords,
            quotes=finding.quotes,
        )
        self.last_evidence = finding.tick
        self.suspect = finding.suspect or self.suspect
        for event in finding.evidence:
            proof = self.evidence.get(event.id)
            telling = 1 + bool(event.terms) + 2 * bool(event.danger) + bool(event.code)
            if proof is not None:
                proof.weight = min(proof.weight + 1, 50)
                continue
            self.first_seen = min(self.first_seen, event.ts)
            self.messages += 1
            self.evidence[event.id] = Proof(telling, event.ts)
            if event.customer and len(self.customers) < MAX_PEOPLE:
                self.customers.add(event.customer)
            if event.device and len(self.devices) < MAX_PEOPLE:
                self.devices.add(event.device)
            if event.topic:
                self.topics[event.topic] = self.topics.get(event.topic, 0) + 1
            if event.product:
                self.products[event.product] = self.products.get(event.product, 0) + 1
            if event.danger:
                self.dangers[event.danger] = self.dangers.get(event.danger, 0) + 1
        if len(self.evidence) > 4 * MAX_EVIDENCE:
            for name in self.evidence_ids()[2 * MAX_EVIDENCE :]:
                del self.evidence[name]
        self.dims = self._explaining_dims()

    def absorb(self, other: Case) -> None:
        """Take over what another case of the same cause knows."""
        for key, witnessed in other.witnessed.items():
            self.witnessed.setdefault(key, witnessed)
        for name, proof in other.evidence.items():
            self.evidence.setdefault(name, proof)
        self.customers |= other.customers
        self.devices |= other.devices
        self.messages = max(self.messages, len(self.evidence))
        self.first_seen = min(self.first_seen, other.first_seen)
        self.suspect = self.suspect or other.suspect
        for danger, number in other.dangers.items():
            self.dangers[danger] = self.dangers.get(danger, 0) + number

    def evidence_ids(self) -> list[str]:
        """Return the ids of the evidence, the most telling first."""
        return [
            name for name, _ in sorted(self.evidence.items(), key=lambda item: (-item[1].weight, item[1].ts, item[0]))
        ]

    def _explaining_dims(self) -> Dims:
        """The dimensions of the witness that knows most: devices state theirs always, people seldom."""
        best = max(
            self.witnessed.items(),
            key=lambda item: (
                item[1].kind in ("silence", "drop"),
                item[1].witness == "devices" and item[1].weight >= 8,
                item[1].weight,
                item[0],
            ),
        )
        return best[1].dims

    def people(self) -> int:
        """Return how many customers are hurt, or devices where more of them are."""
        return max(len(self.customers), len(self.devices))

    def witnesses(self) -> int:
        """Return how many independent sources speak: contacts, tickets, devices."""
        return len({each.witness for each in self.witnessed.values()})
