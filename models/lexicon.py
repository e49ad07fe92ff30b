"""The taxonomy at work: topic cues, fault terms, codes, dangers and words of feeling found in one text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.hearsay import HEARSAY
from models.normalise import normalise
from models.phrases import GAP, Phrases
from qianshao.errors import ModelError

_MAX_TERMS = 12
_SARCASM_CHARS = 40
"""In a long text thanks and complaint stand side by side without irony."""


class Feeling(NamedTuple):
    """What the words of feeling say before any statistics."""

    score: float
    """Signed sum of positive and negative words, negated and weighted by degree."""
    positive: int
    negative: int
    sarcasm: bool
    """Thanks or praise beside a complaint, praise in quotation marks, or a phrase that only mocks."""
    turned: int
    """Words of the sum that say the opposite of what they say alone: 没有不满意, 无可挑剔, 好个屁."""


_KINDS = (
    "strong",
    "weak",
    "negators",
    "doubles",
    "positive",
    "negative",
    "thanks",
    "turns",
    "praise",
    "mockery",
    "neutral",
)
"""Of a phrase that stands in several lists, the last one here counts."""
# What may stand between a negation and the word that it turns: 没有一次让我失望, 没什么不满意.
_BETWEEN = re.compile(
    r"(?:[有过让令使人我你很太说到会是]|什么|[任何]{2}|啥|哪里|哪儿|一点儿?|半点|觉得|感到|感觉|发现|一次|特别|一个)*"
)
_LONGEST_BETWEEN = 8
# What may stand between a double negation and the word that it affirms: 不得不说味道真不错.
_DOUBLED = re.compile(r"(?:说|承认|讲)?[^，。！？；,.!?;\s]{0,4}")
_JUDGEMENTS = frozenset(("失望", "后悔", "遗憾", "郁闷", "差劲", "无聊", "讨厌"))
"""Complaints whose denial is praise; who says that nothing broke praises little."""
_EMPHATIC = re.compile(r"一点|从[来不没未]")
_ASKS = re.compile(r"[人我钱的了]{0,2}(?:吗|么|嘛|是什么)")
_QUOTED = re.compile('[“"「『‘]([^“”"「」『』‘’]{1,4})[”"」』’]')
# What comes again after thanks is a fault, unless it is a request, a visit, or 又快又好.
_AGAIN = re.compile(
    r"(?:(?<!又.)又|再次|第[二三四五六七八九十几2-9]次)(?!麻烦|打扰|来了?$|来问|问|想|要|辛苦|帮|是|买|下单|光临|入住|购买|合作|谢|感谢"
    r"|收到|可以|能|[^，。！？；]又)"
    r"|(?:还是|依然|仍然?|还|依旧)[^，。！？；,.!?;\s]{0,4}"
    r"(?:没|坏|(?<!不)错|花|卡|慢|不(?!错|麻烦|客气|用谢|打扰|懂|明白|会用))"
)
_CODE = re.compile(
    r"(?<![A-Za-z0-9\-])(?:[Ee][Rr][Rr]?[-_ ]?[0-9]{1,5}|[EWFewf][0-9]{2,5})(?![A-Za-z0-9])"
    r"|(?<=[码错报示])[:： 是]{0,2}([A-Za-z]{1,3}-?[0-9]{1,5})(?![A-Za-z0-9])"
)
_CLAUSE_END = re.compile(r"[，。！？；,.!?;…\s]")
_DENIED = re.compile(
    r"(?:没有?|不会|不是|并未|并没|从未|从没|未|没见|防止|以防|预防|避免|免得|杜绝|如果|万一|要是|假如|假设|会不会|是否|是不是|有没有|"
    r"不怕|害怕|担心|小心|当心|可能会?|不至于|不可能|谨防|警惕|别)(?:[^，。！？；,.!?;\s]{0,2})$|[无怕防不]$|真[的得地]$"
)
_ASKED = re.compile(r"[^，。！；,!;\s]{0,6}?(?:吗|嘛|么(?!办|处理|回事)|吧|没有?(?=[?？]|$)|不(?=[?？]|$))")
_STILL_ASSERTED = re.compile(r"怎么|咋|为什么|凭什么|谁负责|管不管|赔|知道吗|懂吗|你们看")
_FIGURATIVE = re.compile(r"[辣头好棒美糖盐酱]|性|(?:一样|似的|般)的")
_FIGURED = re.compile(
    r"(?:[气急渴说等]得|[气急渴]的|嗓子|喉咙|头顶|脑袋|肺|心里|眼睛|两眼|后院|屁股)[^，。！？；,.!?;\s]{0,4}$"
)
"""Before a word of danger: 气得冒烟, 嗓子冒火."""
_PRAISED = re.compile(r"(?:好[吃喝看玩听]|[辣笑美帅香鲜甜])[到道得][^，。！？；,.!?;\s]{0,4}$")
"""Before a fault or a danger that only praises: 好吃到爆炸, 辣得我头顶冒烟."""
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
    doubles: list[_PHRASE] = []
    praise: list[_PHRASE] = []
    mockery: list[_PHRASE] = []


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
        self.topics: tuple[str, ...] = tuple(own.topics)
        self.cues: dict[str, dict[str, list[str]]] = {
            topic: {"strong": spelt(each.strong), "weak": spelt(each.weak)} for topic, each in own.topics.items()
        }
        self._cues = Phrases({cue: cue for each in self.cues.values() for cue in (*each["strong"], *each["weak"])})
        numbers = {cue: number for number, cue in enumerate(self._cues.values)}
        self._cue_weights = np.zeros((len(numbers), len(self.topics)))
        for index, topic in enumerate(self.topics):
            for strength, weight in (("strong", 1.0), ("weak", 0.25)):
                for cue in self.cues[topic][strength]:
                    self._cue_weights[numbers[cue], index] += weight
        self.faults: dict[str, list[str]] = {fault: spelt(phrases) for fault, phrases in faults.items()}
        self.feeling_words: dict[str, list[str]] = {
            kind: spelt(getattr(feeling, kind)) for kind in _Feeling.__struct_fields__
        }
        dangers = {term: name for name, entry in danger.items() for term in spelt(entry.terms)}
        self._faults = Phrases({phrase: fault for fault, phrases in self.faults.items() for phrase in phrases})
        self._dangers = Phrases(dangers)
        self.dangers: tuple[str, ...] = tuple(danger)
        self._feelings = Phrases({word: kind for kind in _KINDS for word in self.feeling_words[kind]})
        self._praised = frozenset(self.feeling_words["positive"])
        self._both = frozenset(self.feeling_words["thanks"]) & frozenset(self.feeling_words["positive"])
        self.stop_words = frozenset(stop.words)
        self.words = tuple(sorted({*domain.words, *(fault for fault in self.faults if len(fault) <= 4)}))

    def topic_cues(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the sum of the weights of the cues that stand in each text, shape (texts, topics)."""
        found = self._cues.find(texts)
        sums = np.zeros((len(texts), len(self.topics)))
        np.add.at(sums, found.rows, self._cue_weights[found.values])
        return sums

    def terms(self, text: str) -> tuple[str, ...]:
        """Return canonical fault terms and codes, without repeats, in order of appearance; denied ones are left out.

        >>> Lexicon().terms("app一打开就退，错误码e207")
        ('闪退', 'E207')
        """
        return self.terms_of([text])[0]

    def terms_of(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the terms of each text of a batch."""
        return [self._terms(text, faults) for text, faults in zip(texts, self._faults.by_text(texts), strict=True)]

    @staticmethod
    def _terms(text: str, faults: Sequence[tuple[int, int, str]]) -> tuple[str, ...]:
        found = [
            (start, value)
            for start, end, value in faults
            if not _denied(text, start)
            and not _praised(text, start)
            and _INQUIRED.match(text, end) is None
            and not _would(text, start, end)
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
        """Return the first danger that a text names and asserts, '' if none.

        Denials, hearsay, worries and questions do not assert.

        >>> lexicon = Lexicon()
        >>> lexicon.danger("热水器冒烟了怎么办"), lexicon.danger("没有冒烟"), lexicon.danger("不会漏电吧")
        ('人身安全/冒烟起火', '', '')
        """
        return self.dangers_of([text])[0]

    def dangers_of(self, texts: Sequence[str]) -> list[str]:
        """Return the danger of each text of a batch."""
        return [name for name, _ in self.danger_readings(texts)]

    def danger_readings(self, texts: Sequence[str]) -> list[tuple[str, bool]]:
        """Return of each text the first danger that it asserts, and whether it names one without asserting any."""
        return [
            self._danger(text, named) if named else ("", False)
            for text, named in zip(texts, self._dangers.by_text(texts), strict=True)
        ]

    @staticmethod
    def _danger(text: str, named: Sequence[tuple[int, int, str]]) -> tuple[str, bool]:
        for start, end, name in named:
            if _denied(text, start) or _praised(text, start):
                continue
            if HEARSAY.search(text, max(0, start - _HEARSAY_WINDOW), start) is not None:
                continue
            if _GENERAL.search(text, end, end + _HEARSAY_WINDOW) is not None:
                continue
            tail = _tail(text, end)
            if _ASKED.match(tail) is not None and _STILL_ASSERTED.search(tail) is None:
                continue
            if _FIGURATIVE.match(tail) is not None or _FIGURED.search(text[max(0, start - 8) : start]) is not None:
                continue
            return name, False
        return "", bool(named)

    def feelings(self, texts: Sequence[str]) -> list[Feeling]:
        """Weigh words of feeling: negation turns, twice turns back, degree weights, thanks for a fault is irony.

        >>> happy, ironic = Lexicon().feelings(["谢谢，味道很好", "谢谢啊，又坏了"])
        >>> happy.score > 0 > ironic.score, ironic.sarcasm
        (True, True)
        """
        return [self._feeling(text, words) for text, words in zip(texts, self._feelings.by_text(texts), strict=True)]

    def _feeling(self, text: str, words: Sequence[tuple[int, int, str]]) -> Feeling:
        score = 0.0
        positive = negative = thanks = turned = 0
        negated_at = degree_at = doubled_at = -10
        degree = 1.0
        sarcasm = emphatic = praised = False
        thanked_at = -1
        for start, end, kind in words:
            if kind == "negators":
                if text[start] == "不" and _turns(text, negated_at, start):
                    negated_at, doubled_at = -10, end
                else:
                    negated_at, emphatic = end, _EMPHATIC.match(text, start) is not None
            elif kind == "doubles":
                doubled_at = end
            elif kind == "weak":
                degree_at, degree = end, 0.6
            elif kind == "strong" and (text[start:end] != "好" or start != doubled_at):
                degree_at, degree = end, 1.5
            elif kind == "turns":
                score *= 0.6
            elif kind != "neutral":
                sign = -1.0 if kind in ("negative", "mockery") else 1.0
                if kind == "thanks":
                    thanks += 1
                    sign = 0.4
                elif text[start:end] in self._both:
                    thanks += 1
                if thanks == 1 and thanked_at < 0:
                    thanked_at = end
                if kind in ("praise", "mockery"):
                    turned += 1
                    sarcasm |= kind == "mockery"
                elif doubled_at >= 0 and _DOUBLED.fullmatch(text, doubled_at, start) is not None:
                    turned += sign > 0
                elif _negated(text, negated_at, start):
                    if sign > 0:
                        sign *= -0.8
                    elif (text[start] == "不" or text[start:end] in _JUDGEMENTS or emphatic) and (
                        _turns(text, negated_at, start) and _ASKS.match(text, end) is None
                    ):
                        sign *= -0.8
                        turned += 1
                    else:
                        sign *= -0.4
                if start - degree_at <= 1:
                    sign *= degree
                score += sign
                positive += sign > 0
                praised |= kind == "positive" and sign > 0
                negative += sign < 0
        short = len(text) <= _SARCASM_CHARS
        again = not praised and thanks and _AGAIN.search(text, thanked_at) is not None
        if thanks and not negative and short and (again or self.terms(text)):
            negative, score = 1, score - 1.0
        if short and ("“" in text or '"' in text or "「" in text) and self._scare_quoted(text):
            sarcasm, negative, turned = True, negative + 1, turned + 1
        sarcasm = short and (sarcasm or (thanks > 0 and negative > 0))
        if sarcasm:
            score = min(score, 0.0) - 1.0
        return Feeling(score, positive, negative, sarcasm, turned)

    def _scare_quoted(self, text: str) -> bool:
        """Return whether praise stands alone in quotation marks."""
        return any(quoted == "好" or quoted in self._praised for quoted in _QUOTED.findall(text))


@cache
def shipped_lexicon() -> Lexicon:
    """Return the shipped taxonomy, read once per process."""
    return Lexicon()


def _denied(text: str, start: int) -> bool:
    return start > 0 and _DENIED.search(text[max(0, start - 8) : start]) is not None


def _praised(text: str, start: int) -> bool:
    before = text[max(0, start - 8) : start]
    return _PRAISED.search(before) is not None or (before.endswith("香") and text[start] in "炸爆")


def _turns(text: str, negated_at: int, start: int) -> bool:
    """Return whether nothing but particles stand between a negation that ends at one place and a word at another."""
    return (
        negated_at >= 0
        and start - negated_at <= _LONGEST_BETWEEN
        and _BETWEEN.fullmatch(text, negated_at, start) is not None
    )


def _negated(text: str, negated_at: int, start: int) -> bool:
    """Return whether a negation that ends at one place says the opposite of the word at another."""
    near = negated_at >= 0 and start - negated_at <= 2
    return (near and _CLAUSE_END.search(text, negated_at, start) is None) or _turns(text, negated_at, start)


def _would(text: str, start: int, end: int) -> bool:
    return _WOULD.search(text[max(0, start - 1) : start]) is not None and _ASKED.match(text, end) is not None


def _tail(text: str, end: int) -> str:
    """Return the rest of the clause, with the mark that ends it."""
    mark = _CLAUSE_END.search(text, end, end + 12)
    return text[end : end + 12] if mark is None else text[end : mark.end()]
