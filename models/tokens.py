"""Content words of one text: jieba is the reference, rjieba the fast path where both are known to agree."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

import jieba
import rjieba

from models.lexicon import Lexicon

_WORD_FREQUENCY = 3_000
_MASK_OR_EMOTE = re.compile(r"〔[^〕]{0,8}〕|\[[^\[\]]{1,4}\]")
# Models, versions and hyphenated names that both tokenizers would split.
_WHOLE = re.compile(
    r"(?<![A-Za-z0-9])(?:[vV]?[0-9]+(?:\.[0-9]+){1,3}[A-Za-z]{0,2}|[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+"
    r"|[A-Za-z]{1,6}[0-9]{1,5}[A-Za-z]{0,2}(?: (?:Pro|Plus|Max|Ultra|Mini|Lite|SE|pro|plus|max|ultra|mini|lite))?"
    r"|OS [0-9]+(?:\.[0-9]+)*)(?![A-Za-z0-9])"
)
# Outside these the two tokenizers may differ (+ # - . _ % & and rare characters): such texts go to jieba.
_AGREED = re.compile(r"[\u4e00-\u9fa5A-Za-z0-9\s，。！？；：、（）《》“”‘’…～【】!?,;:()~@*/=\"'<>]*")
_CONTENT = re.compile(r"[\u4e00-\u9fff]|[A-Za-z]")
_NUMERAL = re.compile(r"[0-9.零〇一二三四五六七八九十百千万亿两几个点半块元分钟小时天月年号次件份]+")
MAX_TOKENS = 200


@lru_cache(maxsize=2)
def _fast(words: tuple[str, ...]) -> rjieba.Jieba:
    """Return the fast tokenizer with its domain words, one for the whole process."""
    tokenizer = rjieba.Jieba()
    for word in words:
        tokenizer.add_word(word, _WORD_FREQUENCY, "n")
    return tokenizer


@lru_cache(maxsize=2)
def _reference(words: tuple[str, ...]) -> jieba.Tokenizer:
    """Return jieba with its domain words, one for the whole process; reading the dictionary takes 0.6 s."""
    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    # Not through its cache file: that stands in the shared temporary folder, where anybody may have put it.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    for word in words:
        tokenizer.add_word(word, _WORD_FREQUENCY, "n")
    return tokenizer


class Tokeniser:
    """Cut texts into content words.

    Both tokenizers are given the same domain words. jieba's dictionary (0.6 s) is only read when the first text needs
    it.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._stop = lexicon.stop_words
        self._words = lexicon.words
        self._domain = frozenset(lexicon.words)
        self._fast = _fast(self._words)

    def reference(self) -> jieba.Tokenizer:
        """Return the jieba tokenizer, reading its dictionary on first use."""
        return _reference(self._words)

    def cut(self, text: str) -> list[str]:
        """Return what jieba cuts, by the fast path where it is known to agree."""
        if _AGREED.fullmatch(text) is not None:
            cut: list[str] = self._fast.cut(text)
            return cut
        return list(self.reference().cut(text))

    def words(self, text: str) -> list[str]:
        """Cut a text, keeping `X2 Pro`, `v3.2.1`, `E207` and `Wi-Fi` whole; masks are left out."""
        text = _MASK_OR_EMOTE.sub(" ", text)
        whole = [(match.start(), match.end()) for match in _WHOLE.finditer(text)]
        if not whole:
            return self.cut(text)
        words: list[str] = []
        done = 0
        for start, end in whole:
            if done < start:
                words += self.cut(text[done:start])
            words.append(text[start:end])
            done = end
        if done < len(text):
            words += self.cut(text[done:])
        return words

    def content(self, words: list[str]) -> tuple[str, ...]:
        """Keep content words: domain terms and words of two characters or more; no stop words, no bare numbers."""
        stop = self._stop
        return tuple(
            [
                word
                for word in words
                if len(word) > 1
                and word not in stop
                and _CONTENT.search(word) is not None
                and (word in self._domain or _NUMERAL.fullmatch(word) is None)
            ][:MAX_TOKENS]
        )
