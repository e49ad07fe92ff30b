"""What the desk remembers of incidents that are over, and which of them a new one is like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from qianshao.desk.case import Case, Dims
from qianshao.desk.correlate import contradict
from qianshao.desk.wording import about_of, spoken_keywords, theme_text
from qianshao.incident import Likeness

MAX_PAST = 500
"""Incidents remembered; beyond it the one that ended first is forgotten."""
MOST_SIMILAR = 3
MAX_NAMED = 20
"""Codes, themes and words remembered of one incident, each."""
MAX_SAID = 200
"""Characters of a person's reason that are remembered."""

WEIGHTS: Mapping[Likeness, int] = {
    "same_code": 4,
    "same_theme": 3,
    "same_terms": 2,
    "same_topic": 1,
    "same_place": 1,
}
"""How much each likeness counts, the most telling first."""
LEAST = 3
"""A code or a theme is enough; words need the place or the topic beside them, and these two are not enough."""
WORDS = 2
"""So many keywords in common, or one term, are the same words."""


class Past(msgspec.Struct, kw_only=True):
    """One incident that is over."""

    incident: str
    title: str
    dims: Dims
    topic: str
    codes: list[str]
    themes: list[str]
    terms: list[str]
    keywords: list[str]
    opened_at: int
    ended_at: int
    verdict: Literal["", "true", "false"]
    said: str


class Alike(msgspec.Struct, kw_only=True):
    """A remembered incident and in what a new one is like it."""

    past: Past
    why: list[Likeness]


class Memory:
    """Remembers the incidents that were opened and are over; cost of a question: linear in what is remembered.

    Fails where one cause comes back under another code in another place with other words.
    """

    def __init__(self) -> None:
        self._past: dict[str, Past] = {}

    def keep(self, case: Case, title: str, ended_at: int, said: str = "") -> None:
        """Remember a case that was opened and has ended."""
        assert case.opened_at is not None
        before = self._past.pop(case.incident, None)
        self._past[case.incident] = Past(
            incident=case.incident,
            title=title,
            dims=case.dims,
            topic=about_of(case).topic or "",
            codes=_values(case, "code"),
            themes=[theme_text(value) for value in _values(case, "theme")],
            terms=[*_values(case, "term"), *_values(case, "danger")],
            keywords=spoken_keywords(case)[:MAX_NAMED],
            opened_at=case.opened_at,
            ended_at=ended_at,
            verdict="false" if case.status == "dismissed" else case.verdict,
            said=said[:MAX_SAID] or (before.said if before else ""),
        )
        while len(self._past) > MAX_PAST:
            del self._past[next(iter(self._past))]

    def judge(self, incident: str, verdict: Literal["", "true", "false"], said: str) -> None:
        """Note what a person says of an incident, if it is remembered."""
        past = self._past.get(incident)
        if past is not None:
            past.verdict, past.said = verdict, said[:MAX_SAID] or past.said

    def forget(self, incident: str) -> None:
        """Let go of an incident that is not over after all, or is part of another."""
        self._past.pop(incident, None)

    def like(self, case: Case) -> list[Alike]:
        """Return up to three remembered incidents that a case is like: the most similar, of equals the newest."""
        known = {
            "same_code": set(_values(case, "code")),
            "same_theme": {theme_text(value) for value in _values(case, "theme")},
            "terms": {*_values(case, "term"), *_values(case, "danger")},
            "keywords": set(spoken_keywords(case)[:MAX_NAMED]),
        }
        topic = about_of(case).topic
        found = []
        for past in self._past.values():
            if past.incident == case.incident:
                continue
            holds: dict[Likeness, bool] = {
                "same_code": not known["same_code"].isdisjoint(past.codes),
                "same_theme": not known["same_theme"].isdisjoint(past.themes),
                "same_terms": not known["terms"].isdisjoint(past.terms)
                or len(known["keywords"].intersection(past.keywords)) >= WORDS,
                "same_topic": bool(topic) and topic == past.topic,
                "same_place": _same_place(case.dims, past.dims),
            }
            why = [likeness for likeness in WEIGHTS if holds[likeness]]
            score = sum(WEIGHTS[likeness] for likeness in why)
            if score >= LEAST:
                found.append((-score, -past.ended_at, past.incident, Alike(past=past, why=why)))
        return [alike for *_, alike in sorted(found, key=lambda each: each[:3])[:MOST_SIMILAR]]

    def snapshot(self) -> list[Past]:
        """Return the state."""
        return list(self._past.values())

    def restore(self, state: Iterable[Past]) -> None:
        """Take over a state written by `snapshot`."""
        self._past = {past.incident: past for past in state}


def _values(case: Case, measure: str) -> list[str]:
    """The values of a measure that speak in a case, the strangest first."""
    found = [(-each.score, key) for key, each in case.witnessed.items() if key.startswith(f"{measure}:")]
    return [key.partition(":")[2] for _, key in sorted(found)][:MAX_NAMED]


def _same_place(one: Dims, other: Dims) -> bool:
    """They name a value of one dimension in common, besides the channel, and contradict each other in none."""
    shared = one.keys() & other.keys() - {"channel", "line"}
    return bool(shared) and not contradict(one, other)
