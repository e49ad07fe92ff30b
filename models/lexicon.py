"""The taxonomy at work: topic cues, fault terms, codes, dangers and words of feeling found in one text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.normalise import normalise
from qianshao.errors import ModelError

GAP = "~"
_GAP_PATTERN = r"[^，。！？；,.!?;\s]{0,4}?"
_MAX_TERMS = 12
_PAIR_BITS = 18
_SARCASM_CHARS = 40
"""In a long text thanks and complaint stand side by side without irony."""

Trie = dict[str, "Trie"]
_Matcher = Callable[[str, int], "re.Match[str] | None"]


def phrase_pattern(phrases: Iterable[str]) -> str:
    """Return a regular expression that finds the longest of many phrases at each place.

    A prefix tree keeps it linear: alternatives differ in their first character, and a gap (`~`) spans at most four
    characters of one clause.

    >>> phrase_pattern(["退款", "退款慢", "退~钱"])
    '退(?:款(?:慢)?|[^，。！？；,.!?;\\\\s]{0,4}?钱)'
    """
    root: Trie = {}
    for phrase in phrases:
        node = root
        for symbol in phrase:
            node = node.setdefault(symbol, {})
        node[""] = {}

    def write(node: Trie) -> str:
        literals = [symbol for symbol in sorted(node) if symbol not in ("", GAP)]
        branches = [re.escape(symbol) + write(node[symbol]) for symbol in literals]
        if GAP in node:
            branches.append(_GAP_PATTERN + write(node[GAP]))
        if not branches:
            return ""
        if "" in node:
            return f"(?:{'|'.join(branches)})?"
        return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"

    return write(root)


class Found(NamedTuple):
    """Phrases found in a batch of texts, in order."""

    rows: list[int]
    """Number of the text."""
    starts: list[int]
    """Where the phrase begins in its text."""
    ends: list[int]
    values: list[str]

    def by_text(self, count: int) -> list[list[tuple[int, int, str]]]:
        """Return (start, end, value) of the phrases of each of `count` texts."""
        lists: list[list[tuple[int, int, str]]] = [[] for _ in range(count)]
        for row, start, end, value in zip(*self, strict=True):
            lists[row].append((start, end, value))
        return lists


class Phrases:
    """Many phrases, each with a value, found in many texts at once.

    Where a phrase may begin is decided for a whole batch by looking up pairs of neighbouring characters in a table.
    Only there are phrases tried: by their lengths, or by a pattern where one that begins like this has a gap.
    One pattern over all phrases and texts costs five times more.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._exact = {phrase: value for phrase, value in values.items() if GAP not in phrase}
        gapped = sorted((phrase for phrase in values if GAP in phrase), key=lambda phrase: (-len(phrase), phrase))
        self._gapped = [
            (phrase[0], re.compile(_GAP_PATTERN.join(map(re.escape, phrase.split(GAP)))), values[phrase])
            for phrase in gapped
        ]
        singles = {phrase for phrase in values if len(phrase) == 1}
        early = {phrase[0] for phrase in gapped if phrase[1] == GAP}
        by_pair: dict[str, list[str]] = {}
        for phrase in values:
            if len(phrase) > 1 and phrase[0] not in early:
                by_pair.setdefault(phrase[:2], []).append(phrase)
        self._plans: dict[str, tuple[int, ...] | _Matcher] = {}
        """What to try at a pair, or else at a single character: lengths, longest first, or a pattern."""
        for pair, phrases in by_pair.items():
            alone = [pair[0]] if pair[0] in singles else []
            if any(GAP in phrase for phrase in phrases):
                self._plans[pair] = re.compile(phrase_pattern([*phrases, *alone])).match
            else:
                self._plans[pair] = tuple(sorted({len(phrase) for phrase in (*phrases, *alone)}, reverse=True))
        for first in sorted(singles - early):
            self._plans[first] = (1,)
        for first in sorted(early):
            self._plans[first] = re.compile(phrase_pattern([each for each in values if each[0] == first])).match
        self._pairs = np.zeros(1 << _PAIR_BITS, dtype=np.bool_)
        self._pairs[_pair_hash(_codes("".join(by_pair)))[::2]] = True
        self._firsts = _codes("".join(sorted(singles | early)))

    def find(self, texts: Sequence[str]) -> Found:
        """Find the phrases of each text, without overlaps, leftmost longest first."""
        # No phrase reaches over a line break.
        joined = "\n".join([*texts, ""])
        codes = _codes(joined)
        if len(codes) < 2:
            return Found([], [], [], [])
        possible = self._pairs[_pair_hash(codes)]
        if len(self._firsts):
            possible |= np.isin(codes[:-1], self._firsts)
        plans, exact = self._plans, self._exact
        starts: list[int] = []
        ends: list[int] = []
        values: list[str] = []
        done = 0
        for start in np.flatnonzero(possible).tolist():
            if start < done:
                continue
            plan = plans.get(joined[start : start + 2]) or plans.get(joined[start])
            if plan is None:
                # Another pair of characters has the same hash.
                continue
            if isinstance(plan, tuple):
                for length in plan:
                    value = exact.get(joined[start : start + length])
                    if value is not None:
                        done = start + length
                        break
                else:
                    continue
            else:
                match = plan(joined, start)
                if match is None:
                    continue
                words, done = match.group(), match.end()
                value = exact.get(words) or self._gapped_value(words)
            starts.append(start)
            ends.append(done)
            values.append(value)
        begins = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1, out=begins[1:])
        places = np.array(starts, dtype=np.int64)
        rows = np.searchsorted(begins, places, side="right") - 1
        offsets = begins[rows]
        return Found(
            rows.tolist(), (places - offsets).tolist(), (np.array(ends, dtype=np.int64) - offsets).tolist(), values
        )

    def _gapped_value(self, words: str) -> str:
        return next(
            value
            for first, pattern, value in self._gapped
            if first == words[0] and pattern.fullmatch(words) is not None
        )


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _pair_hash(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Hash each character with its neighbour to the right."""
    return ((codes[:-1] * np.uint32(0x9E3779B1)) ^ (codes[1:] * np.uint32(0x85EBCA6B))) >> np.uint32(32 - _PAIR_BITS)


class Feeling(NamedTuple):
    """What the words of feeling say before any statistics."""

    score: float
    """Signed sum of positive and negative words, negated and weighted by degree."""
    positive: int
    negative: int
    sarcasm: bool
    """Thanks or praise beside a complaint."""


_CODE = re.compile(
    r"(?<![A-Za-z0-9\-])(?:[Ee][Rr][Rr]?[-_ ]?[0-9]{1,5}|[EWFewf][0-9]{2,5})(?![A-Za-z0-9])"
    r"|(?<=[码错报示])[:： 是]{0,2}([A-Za-z]{1,3}-?[0-9]{1,5})(?![A-Za-z0-9])"
)
_CLAUSE_END = re.compile(r"[，。！？；,.!?;…\s]")
_DENIED = re.compile(
    r"(?:没有?|不会|不是|并未|并没|从未|从没|未|没见|防止|以防|预防|避免|免得|杜绝|如果|万一|要是|假如|假设|会不会|是否|是不是|有没有|"
    r"不怕|害怕|担心|小心|当心|可能会?|不至于|不可能|谨防|警惕|别)(?:[^，。！？；,.!?;\s]{0,2})$|[无怕防不]$"
)
_ASKED = re.compile(r"[^，。！；,!;\s]{0,6}?(?:吗|嘛|么(?!办|处理|回事)|吧|没有?(?=[?？]|$)|不(?=[?？]|$))")
_STILL_ASSERTED = re.compile(r"怎么|咋|为什么|凭什么|谁负责|管不管|赔|知道吗|懂吗|你们看")
_FIGURATIVE = re.compile(r"[辣头好棒美糖盐酱]|性")
_HEARSAY = re.compile(r"网上|听说|据说|新闻|别的牌子|别的品牌|其他品牌|别人家|看到有人|有家的|怕")
_GENERAL = re.compile(r"有检测吗|没事吧|会不会|注意事项|怎么预防")
_HEARSAY_WINDOW = 20
_INQUIRED = re.compile(r"吗|嘛")
_WOULD = re.compile(r"[会能]$")


_PHRASE = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[^~\n]([^\n]*[^~\n])?$")]
"""A gap stands between characters, never at an end."""
_NAME = Annotated[str, Meta(min_length=1, max_length=64)]


class _Cues(msgspec.Struct, forbid_unknown_fields=True):
    strong: list[_PHRASE] = []
    weak: list[_PHRASE] = []


class _Danger(msgspec.Struct, forbid_unknown_fields=True):
    terms: list[_PHRASE]


class _Feeling(msgspec.Struct, forbid_unknown_fields=True):
    positive: list[_PHRASE]
    negative: list[_PHRASE]
    negators: list[_PHRASE]
    strong: list[_PHRASE]
    weak: list[_PHRASE]
    thanks: list[_PHRASE]
    neutral: list[_PHRASE]
    turns: list[_PHRASE]


class _Words(msgspec.Struct, forbid_unknown_fields=True):
    words: list[_NAME]


class _Taxonomy(msgspec.Struct, forbid_unknown_fields=True):
    """A taxonomy file; a section that is None is the shipped one."""

    version: _NAME
    topics: Annotated[dict[_NAME, _Cues], Meta(min_length=1, max_length=200)]
    faults: dict[_NAME, list[_PHRASE]] | None = None
    danger: dict[_NAME, _Danger] | None = None
    feeling: _Feeling | None = None
    domain: _Words | None = None
    stop: _Words | None = None


def _taxonomy(toml: str) -> _Taxonomy:
    try:
        return msgspec.convert(tomllib.loads(toml), _Taxonomy)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"taxonomy: is not TOML ({error}); start from models/taxonomy.toml") from None
    except msgspec.ValidationError as error:
        raise ModelError(f"taxonomy: {error}; start from models/taxonomy.toml") from None


@cache
def _shipped_taxonomy() -> _Taxonomy:
    return _taxonomy(files("models").joinpath("taxonomy.toml").read_text(encoding="utf-8"))


def _as_texts(phrases: Iterable[str]) -> list[str]:
    """Write phrases as normalised texts spell them."""
    return [GAP.join(map(normalise, phrase.split(GAP))) for phrase in phrases]


class Lexicon:
    """The shipped taxonomy, or a user's own.

    Parameters
    ----------
    toml
        Text of a taxonomy file with `version` and `[topics]`; the sections that it leaves out are the shipped ones.
        Phrases may be written in any script and width. None = the shipped one.

    Raises
    ------
    ModelError
        If the text is not TOML, lacks one of these two, or holds anything that a taxonomy does not; the message names
        where.

    Notes
    -----
    In batches of hundreds a scan costs about 2–8 µs on a chat turn, alone about 30 µs. It knows surface forms only: a
    fault told in other words is left to the topic model and to the detectors of unseen terms.
    """

    def __init__(self, toml: str | None = None) -> None:
        shipped = _shipped_taxonomy()
        own = shipped if toml is None else _taxonomy(toml)
        spelt = list if toml is None else _as_texts
        feeling = own.feeling or shipped.feeling
        domain, stop = own.domain or shipped.domain, own.stop or shipped.stop
        danger = shipped.danger if own.danger is None else own.danger
        faults = shipped.faults if own.faults is None else own.faults
        if feeling is None or domain is None or stop is None or danger is None or faults is None:
            raise ModelError("models/taxonomy.toml: lacks a section; install Qianshao again")
        self.version = own.version
        cues: dict[str, str] = {}
        self._cue_weights: dict[str, list[tuple[int, float]]] = {}
        self.topics: tuple[str, ...] = tuple(own.topics)
        self.cues: dict[str, dict[str, list[str]]] = {
            topic: {"strong": spelt(each.strong), "weak": spelt(each.weak)} for topic, each in own.topics.items()
        }
        for index, topic in enumerate(self.topics):
            for strength, weight in (("strong", 1.0), ("weak", 0.25)):
                for cue in self.cues[topic][strength]:
                    cues[cue] = cue
                    self._cue_weights.setdefault(cue, []).append((index, weight))
        self.faults: dict[str, list[str]] = {fault: spelt(phrases) for fault, phrases in faults.items()}
        self.feeling_words: dict[str, list[str]] = {
            kind: spelt(getattr(feeling, kind)) for kind in _Feeling.__struct_fields__
        }
        dangers = {term: name for name, entry in danger.items() for term in spelt(entry.terms)}
        self._cues = Phrases(cues)
        self._faults = Phrases({phrase: fault for fault, phrases in self.faults.items() for phrase in phrases})
        self._dangers = Phrases(dangers)
        self._feelings = Phrases(
            {
                word: kind
                for kind in ("strong", "weak", "negators", "positive", "negative", "thanks", "turns", "neutral")
                for word in self.feeling_words[kind]
            }
        )
        self._both = frozenset(self.feeling_words["thanks"]) & frozenset(self.feeling_words["positive"])
        self.stop_words = frozenset(stop.words)
        self.words = tuple(sorted({*domain.words, *(fault for fault in self.faults if len(fault) <= 4)}))

    def topic_cues(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the sum of the weights of the cues that stand in each text, shape (texts, topics)."""
        found = self._cues.find(texts)
        places: list[int] = []
        weights: list[float] = []
        width = len(self.topics)
        for row, cue in zip(found.rows, found.values, strict=True):
            for topic, weight in self._cue_weights[cue]:
                places.append(row * width + topic)
                weights.append(weight)
        sums = np.bincount(np.array(places, dtype=np.int64), weights, len(texts) * width)
        return sums.astype(np.float64).reshape(len(texts), width)

    def terms(self, text: str) -> tuple[str, ...]:
        """Return canonical fault terms and codes, without repeats, in order of appearance; denied ones are left out.

        >>> Lexicon().terms("app一打开就退，错误码e207")
        ('闪退', 'E207')
        """
        return self.terms_of([text])[0]

    def terms_of(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the terms of each text of a batch."""
        return [
            self._terms(text, faults)
            for text, faults in zip(texts, self._faults.find(texts).by_text(len(texts)), strict=True)
        ]

    @staticmethod
    def _terms(text: str, faults: Sequence[tuple[int, int, str]]) -> tuple[str, ...]:
        found = [
            (start, value)
            for start, end, value in faults
            if not _denied(text, start) and _INQUIRED.match(text, end) is None and not _would(text, start, end)
        ]
        found += [
            (match.start(), (match.group(1) or match.group()).upper().replace(" ", ""))
            for match in _CODE.finditer(text)
        ]
        if not found:
            return ()
        found.sort()
        return tuple(dict.fromkeys(value for _, value in found))[:_MAX_TERMS]

    def danger(self, text: str) -> str:
        """Return the first danger that a text asserts, '' if none; denials, hearsay, worries and questions do not.

        >>> lexicon = Lexicon()
        >>> lexicon.danger("热水器冒烟了怎么办"), lexicon.danger("没有冒烟"), lexicon.danger("不会漏电吧")
        ('人身安全', '', '')
        """
        return self.dangers_of([text])[0]

    def dangers_of(self, texts: Sequence[str]) -> list[str]:
        """Return the danger of each text of a batch."""
        return [
            self._danger(text, named)
            for text, named in zip(texts, self._dangers.find(texts).by_text(len(texts)), strict=True)
        ]

    @staticmethod
    def _danger(text: str, named: Sequence[tuple[int, int, str]]) -> str:
        for start, end, name in named:
            if _denied(text, start) or _HEARSAY.search(text, max(0, start - _HEARSAY_WINDOW), start) is not None:
                continue
            if _GENERAL.search(text, end, end + _HEARSAY_WINDOW) is not None:
                continue
            tail = _tail(text, end)
            if _ASKED.match(tail) is not None and _STILL_ASSERTED.search(tail) is None:
                continue
            if _FIGURATIVE.match(tail) is not None:
                continue
            return name
        return ""

    def feelings(self, texts: Sequence[str]) -> list[Feeling]:
        """Weigh words of feeling: negation turns, degree weights, thanks beside a complaint is sarcasm.

        >>> happy, ironic = Lexicon().feelings(["谢谢，味道很好", "谢谢啊，又坏了"])
        >>> happy.score > 0 > ironic.score, ironic.sarcasm
        (True, True)
        """
        return [
            self._feeling(text, words)
            for text, words in zip(texts, self._feelings.find(texts).by_text(len(texts)), strict=True)
        ]

    def _feeling(self, text: str, words: Sequence[tuple[int, int, str]]) -> Feeling:
        score = 0.0
        positive = negative = thanks = 0
        negated_at = degree_at = -10
        degree = 1.0
        for start, end, kind in words:
            if kind == "negators":
                negated_at = end
            elif kind == "strong":
                degree_at, degree = end, 1.5
            elif kind == "weak":
                degree_at, degree = end, 0.6
            elif kind == "turns":
                score *= 0.6
            elif kind != "neutral":
                sign = -1.0 if kind == "negative" else 1.0
                if kind == "thanks":
                    thanks += 1
                    sign = 0.4
                elif text[start:end] in self._both:
                    thanks += 1
                if start - negated_at <= 2 and _CLAUSE_END.search(text, negated_at, start) is None:
                    sign *= -0.8 if sign > 0 else -0.4
                if start - degree_at <= 1:
                    sign *= degree
                score += sign
                positive += sign > 0
                negative += sign < 0
        if thanks and not negative and len(text) <= _SARCASM_CHARS and self.terms(text):
            negative, score = 1, score - 1.0
        sarcasm = thanks > 0 and negative > 0 and len(text) <= _SARCASM_CHARS
        if sarcasm:
            score = min(score, 0.0) - 1.0
        return Feeling(score, positive, negative, sarcasm)


@cache
def shipped_lexicon() -> Lexicon:
    """Return the shipped taxonomy, read once per process."""
    return Lexicon()


def _denied(text: str, start: int) -> bool:
    return start > 0 and _DENIED.search(text[max(0, start - 8) : start]) is not None


def _would(text: str, start: int, end: int) -> bool:
    return _WOULD.search(text[max(0, start - 1) : start]) is not None and _ASKED.match(text, end) is not None


def _tail(text: str, end: int) -> str:
    """Return the rest of the clause, with the mark that ends it."""
    mark = _CLAUSE_END.search(text, end, end + 12)
    return text[end : end + 12] if mark is None else text[end : mark.end()]
