"""Content words of one text: jieba is the reference, rjieba the fast path where both are known to agree."""

from __future__ import annotations

import logging
import re

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


class Tokeniser:
    """Cut texts into content words.

    Both tokenizers are given the same domain words. jieba's dictionary (0.6 s) is only read when the first text needs
    it, and never through its cache file in the shared temporary folder.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._stop = lexicon.stop_words
        self._words = lexicon.words
        self._domain = frozenset(lexicon.words)
        self._fast = rjieba.Jieba()
        for word in self._words:
            self._fast.add_word(word, _WORD_FREQUENCY, "n")
        self._reference: jieba.Tokenizer | None = None

    def reference(self) -> jieba.Tokenizer:
        """Return the jieba tokenizer, reading its dictionary on first use."""
        if self._reference is None:
            jieba.setLogLevel(logging.ERROR)
            tokenizer = jieba.Tokenizer()
            tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
            tokenizer.initialized = True
            for word in self._words:
                tokenizer.add_word(word, _WORD_FREQUENCY, "n")
            self._reference = tokenizer
        return self._reference

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
