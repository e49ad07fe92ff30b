"""Words of one text: jieba is the reference, rjieba the fast path where both are known to agree."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import jieba
import rjieba

from models.lexicon import Lexicon
from models.normalise import normalise
from qianshao.errors import InputError

_WORD_FREQUENCY = 3_000
_MASK_OR_EMOTE = re.compile(r"〔[^〕]{0,8}〕|\[[^\[\]]{1,4}\]")
# Models, versions and hyphenated names that both tokenizers would split.
_WHOLE = (
    r"(?<![A-Za-z0-9])(?:[vV]?[0-9]+(?:\.[0-9]+){1,3}[A-Za-z]{0,2}|[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+"
    r"|[A-Za-z]{1,6}[0-9]{1,5}[A-Za-z]{0,2}(?: (?:Pro|Plus|Max|Ultra|Mini|Lite|SE|pro|plus|max|ultra|mini|lite))?"
    r"|OS [0-9]+(?:\.[0-9]+)*)(?![A-Za-z0-9])"
)
# Outside these the two tokenizers may differ (+ # - . _ % & and rare characters): such texts go to jieba.
_AGREED = re.compile(r"[\u4e00-\u9fa5A-Za-z0-9\s，。！？；：、（）《》“”‘’…～【】!?,;:()~@*/=\"'<>]*")
# 擦擦擦 and 不好不好不 can be cut in two equally likely ways, and the two choose differently.
_TIE = re.compile(r"([\u4e00-\u9fa5])(?:\1\1|([\u4e00-\u9fa5])\1\2\1)")
_MARKS = re.compile(r"([，。！？；：、（）《》“”…～【】]+)")
_CHINESE = re.compile(r"[\u4e00-\u9fa5]+")
_LATIN = re.compile(r"[A-Za-z0-9]")
_CONTENT = re.compile(r"[\u4e00-\u9fff]|[A-Za-z]")
_NUMERAL = re.compile(r"[0-9.零〇一二三四五六七八九十百千万亿两几个点半块元分钟小时天月年号次件份]+")
_MAX_ODD = 100
"""How far into a text odd clauses go to jieba: it takes 6 µs a character and more for a longer clause."""
MAX_TOKENS = 200
_MOST_JUDGED = 200_000
MAX_VOCABULARY = 100_000
MAX_WORD_CHARS = 40


class Vocabulary(NamedTuple):
    """Words of one's own that stay whole: products, models, codes, service terms.

    >>> Vocabulary.of(["云盾锁", "X9 Pro Max", "云盾锁"]).words
    ('X9 Pro Max', '云盾锁')
    """

    words: tuple[str, ...]
    version: str
    """Names the content: equal words give the same version, whatever their order and file."""

    @classmethod
    def of(cls, words: Iterable[str]) -> Vocabulary:
        """Make one from words in any order; repeats count once."""
        unique = tuple(sorted(set(words) - {""}))
        return cls(unique, hashlib.sha256("\n".join(unique).encode("utf-8", "replace")).hexdigest()[:16])


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary file: one word a line, UTF-8; empty lines and lines that begin with `#` do not count.

    What stands behind a tab is a note for people. Read it again to reload it: a vocabulary never changes, and a
    `Tokeniser` made with the old one goes on working when the new file is refused.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8, or a word is longer than 40 characters; the message names the line.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file with one word a line") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    words: list[str] = []
    for number, line in enumerate(lines, 1):
        word = normalise(line.split("\t", 1)[0])
        if not word or word.startswith("#"):
            continue
        if len(word) > MAX_WORD_CHARS:
            raise InputError(
                f"{path}, line {number}: a word has more than {MAX_WORD_CHARS} characters; one word a line"
            )
        words.append(word)
    if len(words) > MAX_VOCABULARY:
        raise InputError(f"{path}: holds {len(words):,} words, at most {MAX_VOCABULARY:,} are allowed; keep your own")
    return Vocabulary.of(words)


@lru_cache(maxsize=4)
def _fast(words: tuple[str, ...]) -> rjieba.Jieba:
    """Return the fast tokenizer with its domain words, one for the whole process."""
    tokenizer = rjieba.Jieba()
    for word in words:
        tokenizer.add_word(word, _WORD_FREQUENCY, "n")
    return tokenizer


@lru_cache(maxsize=4)
def _reference(words: tuple[str, ...]) -> jieba.Tokenizer:
    """Return jieba with its domain words, one for the whole process; reading the dictionary takes 0.6 s."""
    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    # Not through its cache file: that stands in the shared temporary folder, where anybody may have put it.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    for word in words:
        # jieba adds to its total without taking back what the word counted before; rjieba takes it back, and near ties
        # depend on the total.
        tokenizer.total -= tokenizer.FREQ.get(word, 0)
        tokenizer.add_word(word, _WORD_FREQUENCY, "n")
    return tokenizer


def _agree(text: str) -> bool:
    """Return whether both tokenizers are known to cut a text alike."""
    return _AGREED.fullmatch(text) is not None and _TIE.search(text) is None


class _Content(dict[str, bool]):
    """Whether a word is content; each word is judged once, as long as there is room."""

    def __init__(self, stop: frozenset[str], domain: frozenset[str]) -> None:
        super().__init__()
        self._stop, self._domain = stop, domain

    def __missing__(self, word: str) -> bool:
        content = (
            len(word) > 1
            and word not in self._stop
            and _CONTENT.search(word) is not None
            and (word in self._domain or _NUMERAL.fullmatch(word) is None)
        )
        if len(self) < _MOST_JUDGED and len(word) <= MAX_WORD_CHARS:
            self[word] = content
        return content


class Tokeniser:
    """Cut texts into words.

    Both tokenizers are given the same domain words. jieba's dictionary (0.6 s) is only read when the first text needs
    it.

    Parameters
    ----------
    lexicon
        The taxonomy: its domain words and its stop words.
    vocabulary
        Words of one's own. Chinese ones are given to the tokenizers; the others (`X9 Pro Max`, `F.3-b`) are cut out
        before, because tokenizers split at their marks.
    """

    def __init__(self, lexicon: Lexicon, vocabulary: Vocabulary | None = None) -> None:
        known = Vocabulary.of((*lexicon.words, *(vocabulary.words if vocabulary is not None else ())))
        self.vocabulary = known
        """Every word that this tokeniser keeps whole; its version names what the cuts depend on."""
        own = set(vocabulary.words) if vocabulary is not None else set()
        mixed = sorted((word for word in own if _CHINESE.fullmatch(word) is None), key=lambda word: (-len(word), word))
        self._words = tuple(word for word in known.words if word not in set(mixed))
        self._fast = _fast(self._words)
        spelled = "|".join(
            ("(?<![A-Za-z0-9])" if word[0].isascii() else "")
            + re.escape(word)
            + ("(?![A-Za-z0-9])" if word[-1].isascii() else "")
            for word in mixed
        )
        self._whole = re.compile(f"{spelled}|{_WHOLE}" if spelled else _WHOLE)
        self._latin_only = all(_LATIN.search(word) is not None for word in mixed)
        self._kept = _Content(lexicon.stop_words, frozenset(known.words))

    def reference(self) -> jieba.Tokenizer:
        """Return the jieba tokenizer, reading its dictionary on first use."""
        return _reference(self._words)

    def cut(self, text: str) -> list[str]:
        """Return what jieba cuts, by the fast path where it is known to agree; the odd clauses alone go to jieba.

        jieba cuts what stands between two of these marks without looking beyond them.
        """
        return self._cut(text, len(text))

    def _cut(self, text: str, odd: int) -> list[str]:
        """Cut a text; clauses that end behind the first `odd` characters take the fast path, whatever they hold."""
        if odd <= 0 or _agree(text):
            cut: list[str] = self._fast.cut(text)
            return cut
        words: list[str] = []
        end = 0
        for piece in _MARKS.split(text):
            if piece:
                end += len(piece)
                words += self._fast.cut(piece) if end > odd or _agree(piece) else self.reference().cut(piece)
        return words

    def words(self, text: str) -> list[str]:
        """Cut a text, keeping `X2 Pro`, `v3.2.1`, `E207` and `Wi-Fi` whole; masks are left out.

        Beyond the first 100 characters odd clauses may be cut otherwise than jieba would: so that no text, however
        long and strange, costs more than a few milliseconds.
        """
        if "〔" in text or "[" in text:
            text = _MASK_OR_EMOTE.sub(" ", text)
        if self._latin_only and _LATIN.search(text) is None:
            return self._cut(text, _MAX_ODD)
        whole = [(match.start(), match.end()) for match in self._whole.finditer(text)]
        if not whole:
            return self._cut(text, _MAX_ODD)
        words: list[str] = []
        done = 0
        for start, end in whole:
            if done < start:
                words += self._cut(text[done:start], _MAX_ODD - done)
            words.append(text[start:end])
            done = end
        if done < len(text):
            words += self._cut(text[done:], _MAX_ODD - done)
        return words

    def content(self, words: list[str]) -> tuple[str, ...]:
        """Keep content words: domain terms and words of two characters or more; no stop words, no bare numbers."""
        kept = self._kept
        return tuple([word for word in words if kept[word]][:MAX_TOKENS])
