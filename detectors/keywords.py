"""Contrastive keywords and telling quotes: what these texts say that the others do not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from qianshao.event import Observation

PRIOR_DOCUMENTS = 10.0
"""Weight of the background as a prior, in documents: more makes rare words need more evidence."""

MINIMUM_DOCUMENTS = 2
"""A word of one document only is an accident, not a keyword (unless there is one document only)."""

SMALLEST_PRIOR = 0.5
"""A word that the background never says is taken to be said there by half a document: unseen is not impossible."""

MINIMUM_SCORE = 1.0
"""Standard errors by which a word must stand out."""

DIVERSITY = 0.35
"""Share of maximal marginal relevance given to being different from the quotes already chosen."""

NEAR_IDENTICAL = 0.8
"""Two texts whose character bigrams overlap (Jaccard) by this much are the same quote."""

MOST_WORDS = 8
"""Words that a finding shows."""

MAXIMUM_CANDIDATES = 200
"""Quotes are chosen among this many best-scored texts, which bounds the pairwise comparisons."""


def keyword_scores(
    foreground: Sequence[Collection[str]], background: Mapping[str, int], background_documents: int
) -> dict[str, float]:
    """Score every word of `foreground` by how much more often its documents hold it than the background's do.

    Document-frequency log-odds with an informative Dirichlet prior, as a z-score (Monroe, Colaresi and Quinn 2008,
    "Fightin' Words", Political Analysis 16(4):372). Frequencies are of documents, so that one customer who repeats a
    word eighty times says it once.

    Fails when the foreground is most of the background: nothing then stands out against itself.

    Parameters
    ----------
    foreground
        Words of each document; repeats inside a document do not count.
    background
        Word → number of background documents that hold it; may or may not include the foreground.
    background_documents
        Number of background documents.

    Returns
    -------
    dict
        Word → z-score, of those that stand out by a standard error. Cost: one pass over the words.
    """
    documents = len(foreground)
    frequency: Counter[str] = Counter()
    for words in foreground:
        frequency.update(set(words))
    needed = min(MINIMUM_DOCUMENTS, documents)
    rest = max(background_documents, 0)
    scores: dict[str, float] = {}
    for word, count in frequency.items():
        if count < needed:
            continue
        behind = min(background.get(word, 0), rest)
        share = (behind + count) / (rest + documents)
        prior = min(max(PRIOR_DOCUMENTS * share, SMALLEST_PRIOR), PRIOR_DOCUMENTS - SMALLEST_PRIOR)
        said, unsaid = count + prior, documents - count + PRIOR_DOCUMENTS - prior
        said_behind, unsaid_behind = behind + prior, rest - behind + PRIOR_DOCUMENTS - prior
        difference = math.log(said / unsaid) - math.log(said_behind / unsaid_behind)
        # The documents without the word matter as much as those with it: of a word that is nearly everywhere they are
        # the few that carry the difference.
        error = math.sqrt(1.0 / said + 1.0 / unsaid + 1.0 / said_behind + 1.0 / unsaid_behind)
        score = difference / error
        if score >= MINIMUM_SCORE:
            scores[word] = score
    return scores


def keywords(
    foreground: Sequence[Collection[str]], background: Mapping[str, int], background_documents: int, limit: int
) -> list[str]:
    """Return the at most `limit` most contrastive words of `foreground`, best first; equal scores in word order.

    See `keyword_scores` for the measure, the parameters and when it fails.

    >>> complaints = [{"送错", "外卖"}, {"送错", "骑手"}, {"送错", "外卖"}]
    >>> keywords(complaints, {"外卖": 90, "骑手": 40, "送错": 1}, 100, 2)
    ['送错']
    """
    scores = keyword_scores(foreground, background, background_documents)
    return sorted(scores, key=lambda word: (-scores[word], word))[:limit]


def quotes(texts: Sequence[tuple[str, Collection[str]]], keywords: Sequence[str], limit: int = 5) -> list[str]:
    """Choose at most `limit` texts that say the keywords, each adding something to those before it.

    Texts are scored by the keywords they hold (earlier keywords weigh more, long texts are discounted), then taken by
    maximal marginal relevance; a text nearly identical to a chosen one is never taken. Texts without any keyword are
    taken only when none has one. Independent of the order of `texts`.

    Parameters
    ----------
    texts
        Pairs of masked text and its words.
    keywords
        Best first, as `keywords` returns them.
    limit
        Number of quotes.

    Returns
    -------
    list of str
        Most telling first. Cost: `limit` × 200 comparisons of short texts.

    >>> quotes([("门锁离线了", {"门锁", "离线"}), ("门锁离线了！", {"门锁", "离线"}), ("你好", {"你好"})], ["离线"], 2)
    ['门锁离线了']
    """
    weight = {word: 1.0 / (rank + 1.0) for rank, word in enumerate(keywords)}
    words_of: dict[str, set[str]] = {}
    for text, words in texts:
        stripped = text.strip()
        if stripped:
            words_of.setdefault(stripped, set()).update(words)
    relevance = {
        # Past sixty characters a quote stops being one: the reader has to search for its point.
        text: sum(weight[word] for word in sorted(words) if word in weight) / (1.0 + max(0, len(text) - 60) / 60.0)
        for text, words in words_of.items()
    }
    if any(value > 0.0 for value in relevance.values()):
        relevance = {text: value for text, value in relevance.items() if value > 0.0}
    candidates = sorted(relevance, key=lambda text: (-relevance[text], len(text), text))[:MAXIMUM_CANDIDATES]
    best = max((relevance[text] for text in candidates), default=0.0) or 1.0
    grams = {text: _bigrams(text) for text in candidates}
    nearest = dict.fromkeys(candidates, 0.0)
    chosen: list[str] = []
    while candidates and len(chosen) < limit:
        # max() keeps the first of equals, and candidates are in order of relevance, length and text.
        pick = max(candidates, key=lambda text: (1 - DIVERSITY) * relevance[text] / best - DIVERSITY * nearest[text])
        chosen.append(pick)
        for text in candidates:
            nearest[text] = max(nearest[text], _overlap(grams[text], grams[pick]))
        candidates = [text for text in candidates if nearest[text] < NEAR_IDENTICAL]
    return chosen


def _bigrams(text: str) -> frozenset[str]:
    # Punctuation and spaces do not make a quote another one.
    plain = "".join(character for character in text if character.isalnum())
    return frozenset(plain[i : i + 2] for i in range(max(1, len(plain) - 1)))


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)


def shown_quotes(events: Sequence[Observation], words: Sequence[str]) -> tuple[str, ...]:
    """Return at most five telling texts of events in the spelling of those who wrote them, best first."""
    texts = [(event.text, event.tokens) for event in events if event.tokens]
    shown = {event.text.strip(): event.shown for event in events if event.shown}
    return tuple(shown.get(quote, quote) for quote in quotes(texts, words)) if texts else ()


def telling_words(events: Sequence[Observation], vocabulary: Mapping[str, int], documents: int) -> list[str]:
    """Return at most `MOST_WORDS` words that events have more than the `documents` whose words `vocabulary` counts."""
    texts = [event.tokens for event in events if event.tokens]
    return keywords(texts, vocabulary, max(documents, 1), MOST_WORDS) if texts else []
