"""The terms that customers' texts and devices' codes hold, as keys that are the same in every process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.term_sketch import Bools, Keys
from qianshao.event import MAX_OWN_DIMS, Observation

MAX_READ_CHARS = 240
MAX_FAULTS = 4
MAX_LABELS = 100_000
"""Words whose keys are remembered; only speed depends on it."""

_NAME = re.compile(r"[A-Za-z0-9]+(?:[.\-_][A-Za-z0-9]+)*")
_NAMELIKE = re.compile(r"[A-Za-z].*[0-9]|[0-9].*[A-Za-z]|[0-9]+\.[0-9]+\.[0-9]|[A-Za-z]{2}")
_MASK = re.compile(r"〔[^〕]*〕|\[[^\[\]]{1,4}\]")
_CODE = re.compile(r"[A-Z]{1,5}[-_]?[0-9]{1,5}[A-Z]?")
_ODD = tuple(np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


class Label(NamedTuple):
    """What a key stands for."""

    words: str
    code: bool = False
    place: tuple[str, str] | None = None
    """The dimension value at which a known fault is new."""


class WordKeys(dict[str, int]):
    """The key of each word, the same in every process; words are remembered as long as there is room."""

    def __missing__(self, words: str) -> int:
        data = words.encode("utf-8", "surrogatepass")
        key = int.from_bytes(blake2b(data, digest_size=8).digest())
        if len(self) >= MAX_LABELS:
            self.clear()
        self[words] = key
        return key


class TermText:
    """The terms of many events as keys, each with the number of its event and a way back to its words."""

    def __init__(self, events: Sequence[Observation], keys: WordKeys) -> None:
        texts = [plain_text(event) for event in events]
        self._joined = "\n".join(texts)
        codes = np.frombuffer(self._joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        chinese = (codes >= 0x4E00) & (codes <= 0x9FFF)
        two = chinese[:-1] & chinese[1:]
        three = two[:-1] & two[1:]
        wide = codes.astype(np.uint64)
        pairs = wide[:-1] * _ODD[0] + wide[1:]
        triples = pairs[:-1] * _ODD[1] + wide[2:]
        self._twos, self._threes = np.flatnonzero(two), np.flatnonzero(three)
        owner_of = np.repeat(np.arange(len(events)), np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        names: list[int] = []
        named_by: list[int] = []
        self._labels: list[Label] = []
        for match in _NAME.finditer(self._joined):
            word = match.group().upper()
            if _NAMELIKE.search(word) is not None:
                names.append(keys[word])
                named_by.append(int(owner_of[match.start()]))
                self._labels.append(Label(word, code=_CODE.fullmatch(word) is not None))
        words: list[int] = []
        spoken: list[int] = []
        for number, event in enumerate(events):
            words.extend(map(keys.__getitem__, event.tokens))
            spoken.append(len(event.tokens))
            if event.kind == "device":
                labels = [Label(event.code.upper(), code=True)]
            elif event.terms:
                places = places_of(event)
                faults = [fault for fault in event.terms[:MAX_FAULTS] if not fault.isascii()]
                labels = [Label(fault, place=place) for fault in faults for place in places]
            else:
                continue
            for label in labels:
                names.append(keys[label.words if label.place is None else "\t".join((label.words, *label.place))])
                named_by.append(number)
            self._labels.extend(labels)
        tokens_of = np.array(words, dtype=np.uint64)
        token_owners = np.repeat(np.arange(len(events)), spoken)
        neighbours = np.flatnonzero(token_owners[1:] == token_owners[:-1])
        self._neighbours = neighbours
        self._events, self._first_token = events, np.cumsum(spoken) - spoken
        self.keys: Keys = np.concatenate(
            (
                _mixed(pairs[self._twos]),
                _mixed(triples[self._threes]),
                _mixed(tokens_of[neighbours] * _ODD[2] + tokens_of[neighbours + 1]) if len(words) else tokens_of,
                _mixed(np.array(names, dtype=np.uint64)),
            )
        )
        self.owners: NDArray[np.int64] = np.concatenate(
            (
                owner_of[self._twos],
                owner_of[self._threes],
                token_owners[neighbours],
                np.array(named_by, dtype=np.int64),
            )
        )
        self.named: Bools = np.arange(len(self.keys)) >= len(self.keys) - len(names)

    def label(self, index: int) -> Label:
        """Return what the key at a place stands for."""
        place = index
        for places, length in ((self._twos, 2), (self._threes, 3)):
            if place < len(places):
                start = int(places[place])
                return Label(self._joined[start : start + length])
            place -= len(places)
        if place < len(self._neighbours):
            owner = int(self.owners[index])
            token = int(self._neighbours[place]) - int(self._first_token[owner])
            return Label(" ".join(self._events[owner].tokens[token : token + 2]))
        return self._labels[place - len(self._neighbours)]


def plain_text(event: Observation) -> str:
    """The text that is heard: its beginning, without masks."""
    if event.kind == "device":
        return ""
    text = event.text[:MAX_READ_CHARS]
    if "〔" in text or "[" in text:
        text = _MASK.sub(" ", text)
    return text


def places_of(event: Observation) -> list[tuple[str, str]]:
    pairs = [("product", event.product), ("model", event.model), ("firmware", event.firmware)]
    if event.dims:
        pairs += sorted(event.dims.items())[:MAX_OWN_DIMS]
    return [(name, value) for name, value in pairs if value]


def _mixed(keys: Keys) -> Keys:
    """Spread keys over 64 bits; never 0, which is an empty place."""
    keys = (keys ^ (keys >> np.uint64(29))) * _ODD[1]
    keys = (keys ^ (keys >> np.uint64(32))) * _ODD[2]
    return (keys ^ (keys >> np.uint64(29))) | np.uint64(1)
