"""Small stand-ins for the stages, exact about what a stage may and may not depend on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flows.pipeline import Stages
from qianshao.action import Action, ActionOutcome
from qianshao.clock import to_rfc3339
from qianshao.config import Config
from qianshao.event import Observation, RawEvent
from qianshao.finding import Finding
from qianshao.incident import About, IncidentChange
from qianshao.outcome import Outcome, Rollup
from qianshao.push import Push, Trend
from qianshao.series import Series

START = 1_765_382_400_000
"""2025-12-11T00:00:00+08:00."""

STEP = 10_000


def line(number: int, ts: int, **fields: object) -> bytes:
    """One valid record."""
    record = {"id": f"e{number}", "kind": "chat", "ts": ts, "line": "家居", "product": "门锁", **fields}
    return json.dumps(record, ensure_ascii=False).encode()


def excerpt(raw: bytes) -> str:
    """Shows nothing of the record."""
    return f"〔{len(raw)}〕"


class CopyingLabeller:
    """Copies what tests look at."""

    def label(self, events: Sequence[RawEvent]) -> list[Observation]:
        """One observation for each event."""
        return [
            Observation(id=e.id, kind=e.kind, ts=e.ts, line=e.line, product=e.product, text=e.text or "")
            for e in events
        ]

    def pseudonym(self, value: str) -> int:
        """Its length."""
        return len(value)

    def reload(self) -> None:
        """Nothing to read again."""


class TickingBank:
    """Speaks at every tick at which something was counted, about exactly what was counted at it."""

    def __init__(self, root: bool) -> None:
        self.root = root
        self.watermark = 0

    def advance(self, observations: Sequence[Observation], watermark: int) -> tuple[list[Finding], list[Rollup]]:
        """Count each observation at the first tick after it and after everything decided."""
        by_tick: dict[int, list[Observation]] = {}
        for observation in observations:
            tick = max(observation.ts // STEP * STEP, self.watermark) + STEP
            by_tick.setdefault(tick, []).append(observation)
        self.watermark = watermark
        return [
            Finding(
                series=Series("contacts", "root" if self.root else "line", ()),
                kind="rise",
                tick=tick,
                window_start=tick - STEP,
                window_end=tick,
                observed=len(seen),
                expected=0.0,
                score=1.0,
                witness="contacts",
                evidence=tuple(seen),
            )
            for tick, seen in sorted(by_tick.items())
        ], []

    def snapshot(self) -> bytes:
        """The watermark."""
        return str(self.watermark).encode()

    def restore(self, data: bytes) -> None:
        """Take it over."""
        self.watermark = int(data)


class TellingDesk:
    """One incident for each finding."""

    def __init__(self, config: Config) -> None:
        self.zone = config.service.zone

    def advance(
        self,
        findings: Sequence[Finding],
        watermark: int,
        actions: Sequence[tuple[int, Action]] = (),
        renamed: Sequence[tuple[int, int, int]] = (),
    ) -> tuple[list[IncidentChange], list[Push], list[ActionOutcome]]:
        """Tell all, and note every action."""
        assert all(finding.tick <= watermark for finding in findings)
        assert all(tick <= watermark for tick, _ in actions)
        assert all(tick <= watermark for tick, _, _ in renamed)
        noted = [ActionOutcome(action=action, state="recorded", detail="", tick=tick) for tick, action in actions]
        return [self.tell(finding) for finding in findings], [], noted

    def tell(self, finding: Finding) -> IncidentChange:
        """Everything that could differ between two runs stands in it."""
        return IncidentChange(
            incident=f"{finding.series}@{finding.tick}",
            version=1,
            change="opened",
            status="open",
            reason="test",
            at=to_rfc3339(finding.tick, self.zone),
            opened_at=None,
            first_seen="",
            severity="P4",
            title="",
            dims={},
            about=About(),
            signals=[],
            customers=len(finding.evidence),
            messages=0,
            devices=0,
            keywords=[],
            quotes=[o.text for o in finding.evidence],
            evidence=[f"{o.id} {o.ts} {o.line}" for o in finding.evidence],
            confidence=0.0,
        )

    def snapshot(self) -> bytes:
        """No state."""
        return b""

    def restore(self, data: bytes) -> None:
        """No state."""


class NoTrends:
    """Never tells anything."""

    def advance(
        self, observations: Sequence[Observation], watermark: int, incidents: Sequence[IncidentChange]
    ) -> list[Trend]:
        """Nothing."""
        return []

    def snapshot(self) -> bytes:
        """No state."""
        return b""

    def restore(self, data: bytes) -> None:
        """No state."""


class NoLearning:
    """Learns nothing."""

    def adapt(self, observations: Sequence[Observation], actions: Sequence[tuple[int, Action]]) -> None:
        """Leaves them as they are."""

    def snapshot(self) -> bytes:
        """No state."""
        return b""

    def restore(self, data: bytes) -> None:
        """No state."""


def plain_stages(config: Config, calendar: Path | None) -> Stages:
    """All stand-ins."""
    return Stages(
        labeller=CopyingLabeller,
        excerpt=excerpt,
        learning=NoLearning,
        bank=TickingBank,
        desk=lambda: TellingDesk(config),
        trends=NoTrends,
    )


class BreakingLabeller(CopyingLabeller):
    """Fails at one event."""

    def label(self, events: Sequence[RawEvent]) -> list[Observation]:
        """Fails when it meets the text."""
        if any(event.text == "break" for event in events):
            raise ZeroDivisionError("the planted fault")
        return super().label(events)


def breaking_stages(config: Config, calendar: Path | None) -> Stages:
    """Stand-ins of which the labeller fails."""
    return msgspec.structs.replace(plain_stages(config, calendar), labeller=BreakingLabeller)


def homesick_stages(config: Config, calendar: Path | None) -> Stages:
    """Stand-ins that can be built in the test's own process only."""
    if "pytest" not in sys.modules:
        raise LookupError("not here")
    return plain_stages(config, calendar)


class Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.closed = 0

    def write(self, outcome: Outcome) -> None:
        """Keep it."""
        assert not self.closed
        assert outcome.sequence == len(self.outcomes)
        self.outcomes.append(outcome)

    def close(self) -> None:
        """Count it."""
        self.closed += 1

    @property
    def incidents(self) -> bytes:
        """What incidents.jsonl would hold."""
        return b"\n".join(msgspec.json.encode(change) for outcome in self.outcomes for change in outcome.incidents)
