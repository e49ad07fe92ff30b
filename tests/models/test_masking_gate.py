"""The gate before masking lets through exactly what any of its signs would."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from models.masking import text as masking

SLOWLY = re.compile(masking._SIGNS)
SIGN_CHARACTERS = "".join(sorted(set(re.sub(r"[\\|\[\]{}()?:.*+^-]", "", masking._SIGNS) + "(（【[ ]）】-_x9Z")))


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(st.sampled_from(SIGN_CHARACTERS), max_size=6), st.text(max_size=12)))
def test_looking_for_first_characters_first_changes_nothing(text: str) -> None:
    assert (masking._GATE.search(text) is None) == (SLOWLY.search(text) is None)


def test_every_character_that_begins_a_sign_is_looked_for() -> None:
    for character in SIGN_CHARACTERS:
        for other in (*SIGN_CHARACTERS, "老鼠", "x" * 27, "xid"):
            text = character + other
            assert (masking._GATE.search(text) is None) == (SLOWLY.search(text) is None), text
