"""How characters sound: one code per syllable, so that words which speech recognition misspells stay alike."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

import numpy as np
from numpy.typing import NDArray

from qianshao.errors import ModelError

_BASIC = 0x10000
"""Characters beyond the first plane are too rare to be misheard; they stand for themselves."""
_SYLLABLES_FROM = 1 << 21
"""Above every code point, so that a syllable is never taken for a character."""


def _readings() -> dict[int, str]:
    """Return pypinyin's readings of single characters; its own door loads all its phrases first, half a second."""
    package = find_spec("pypinyin")
    found = PathFinder.find_spec("pinyin_dict", package.submodule_search_locations if package is not None else None)
    if found is None or found.loader is None:
        raise ModelError("pypinyin: its readings of characters are missing; install Qianshao again")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    readings: dict[int, str] = module.pinyin_dict
    return readings


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint32]:
    """Return the code of every character of the first plane; 0.15 s, once in a process."""
    codes = np.arange(_BASIC, dtype=np.uint32)
    syllables: dict[str, int] = {}
    for character, readings in _readings().items():
        if character < _BASIC:
            # The most usual reading, without its tone: recognisers and hasty typists err in tones most.
            usual = unicodedata.normalize("NFD", readings.split(",")[0].replace("ü", "v"))
            plain = "".join(letter for letter in usual if not unicodedata.combining(letter))
            codes[character] = _SYLLABLES_FROM + syllables.setdefault(plain, len(syllables))
    return codes


def sounds(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return what characters sound like: equal codes for equal syllables without tone, other characters themselves.

    Parameters
    ----------
    codes
        Code points, any shape.

    Returns
    -------
    ndarray
        Same shape. A character that is read in several ways counts as its most usual reading, whatever its word.

    Notes
    -----
    About 2 ns a character. Source of the readings: pypinyin. It fails on sounds that dialects confuse (n and l, z and
    zh): they stay apart.

    >>> import numpy as np
    >>> code = lambda text: np.array([ord(each) for each in text], dtype=np.uint32)
    >>> bool((sounds(code("门锁离线")) == sounds(code("们所理县"))).all())
    True
    """
    table = _table()
    return np.where(codes < _BASIC, table[np.minimum(codes, _BASIC - 1)], codes)
