"""Which word of a device message is a name: templates that differ in nothing else become one."""

from __future__ import annotations

import re
from typing import Any

MAX_SKELETONS = 5_000
"""Templates with one word left out that are watched; the longest unseen one leaves first."""
MAX_FAMILIES = 1_000
WORDS = 8
"""Different words that one place must have had before they are taken for names."""
MANY_WORDS = 64
"""So many different words, most of them said by several devices, are names too: no machine has as many parts."""
DEVICES = 5
"""Devices that must have said words which nobody else said: one device cannot make a family."""
MOST_TOKENS = 20

_SEVERAL = 0
_CODE = re.compile(r"[A-Za-z]{1,5}[-_]?[0-9]{1,5}[A-Za-z]?|.*(?:Exception|Error|Failure|Fault)")
_TELLING = re.compile(r"err|error|errno|code|reason|cause|state|status|result|resp|ret|level|mode|type|signal")
"""Keys whose value says what failed: it is never taken for a name."""


class TemplateFamilies:
    """Learns from many devices which place of a template holds a name, and replaces it by `*` from then on.

    What one message cannot say, many do: a name is said by one device each, a part or a state by many. A place is a
    name's once it has had eight different words around which all else was equal, at least half of them said by one
    device only, and those by five devices at least. It takes events in the order of the intake, which no order of
    arrival and no number of workers changes.

    When it fails: two names in one message are found only where one of them repeats; eight rare parts, each broken on
    one device, are taken for names. Codes, errors and the values of keys such as `reason` never are.
    Cost: about 1 µs a word of a message that has no code. Memory is bounded.

    >>> families = TemplateFamilies()
    >>> for device, name in enumerate("anna bo chen dan eva fang guo han".split(), start=1):
    ...     written = families.of(f"album of {name} not synced", device)
    >>> written, families.of("album of xu not synced", 9)
    ('album of * not synced', 'album of * not synced')
    """

    def __init__(self) -> None:
        self._words: dict[str, dict[str, int]] = {}
        """Skeleton → word → the one device that said it, `_SEVERAL` if more did; least recently seen first."""
        self._families: dict[str, None] = {}

    def of(self, template: str, device: int) -> str:
        """Learn one message of a device, in order of time, and return its template without the names known by now."""
        tokens = template.split(" ")
        if not 3 <= len(tokens) <= MOST_TOKENS:
            return template
        places = [place for place, token in enumerate(tokens) if _word(token)]
        for place in places:
            if len(tokens) - tokens.count("*") < 3:
                break  # two words at least must stand
            key, word = _parted(tokens[place])
            skeleton = " ".join((*tokens[:place], f"{key}*", *tokens[place + 1 :]))
            if skeleton in self._families or self._learn(skeleton, word, device):
                self._families.pop(skeleton, None)
                self._families[skeleton] = None
                if len(self._families) > MAX_FAMILIES:
                    del self._families[next(iter(self._families))]
                tokens[place] = f"{key}*"
        return " ".join(tokens)

    def _learn(self, skeleton: str, word: str, device: int) -> bool:
        """Remember who said a word at this place; return whether its words are names by now."""
        words = self._words.pop(skeleton, None) or {}
        self._words[skeleton] = words
        if len(self._words) > MAX_SKELETONS:
            del self._words[next(iter(self._words))]
        said = words.get(word)
        words[word] = device if said is None or said == device else _SEVERAL
        single = {each for each in words.values() if each != _SEVERAL}
        alone = sum(each != _SEVERAL for each in words.values())
        if len(words) >= WORDS and 2 * alone >= len(words) and len(single) >= DEVICES:
            del self._words[skeleton]
            return True
        if len(words) < MANY_WORDS:
            return False
        del self._words[skeleton]
        return 2 * alone < len(words)

    def snapshot(self) -> Any:
        """Return the state as builtin types."""
        return {
            "words": [(skeleton, list(words.items())) for skeleton, words in self._words.items()],
            "families": list(self._families),
        }

    def restore(self, state: Any) -> None:
        """Take over a state written by `snapshot`."""
        self._words = {skeleton: dict(words) for skeleton, words in state["words"]}
        self._families = dict.fromkeys(state["families"])


def _parted(token: str) -> tuple[str, str]:
    """Part a token into its key with the sign, '' without one, and its word."""
    key, sign, word = token.partition("=")
    return (key + sign, word) if sign else ("", token)


def _word(token: str) -> bool:
    """Return whether a token could be, or end in, a name."""
    key, word = _parted(token)
    if _TELLING.fullmatch(key[:-1].lower().rpartition("_")[2]) or "*" in word:
        return False
    return sum(char.isalpha() for char in word) >= 2 and _CODE.fullmatch(word) is None
