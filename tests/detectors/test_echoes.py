"""Pasted texts: copies of one long text count once or twice, however they are dressed; troubles said alike count."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import echoes as module
from detectors.echoes import Echoes
from qianshao.clock import DAY_MS, MINUTE_MS
from qianshao.event import Observation

NOON = 1_765_425_600_000
SLOGAN = "家人们帮我砍一刀，还差五毛钱就能提现一百元，谢谢大家，复制口令年终砍价打开应用"


def said(text: str, customer: int, ts: int = NOON, kind: str = "chat") -> Observation:
    return Observation(id=f"{customer}-{ts}", kind=kind, ts=ts, customer=customer, text=text)


def test_the_third_customer_who_pastes_a_text_repeats_it() -> None:
    echoes = Echoes()
    assert [echoes.pasted(said(SLOGAN, customer)) for customer in (1, 2, 3, 4)] == [False, False, True, True]


def test_words_and_signs_around_a_pasted_text_change_nothing() -> None:
    echoes = Echoes()
    dressed = (SLOGAN, f"@客服 {SLOGAN}", f"{SLOGAN}！！谢谢", SLOGAN.replace("，", " "), f"在吗，{SLOGAN}")
    assert sum(echoes.pasted(said(text, customer)) for customer, text in enumerate(dressed, start=1)) >= 2


def test_one_customer_who_repeats_a_text_is_no_echo() -> None:
    echoes = Echoes()
    assert not any(echoes.pasted(said(SLOGAN, 1, NOON + turn * MINUTE_MS)) for turn in range(80))


def test_short_troubles_in_the_same_words_are_no_echo() -> None:
    echoes = Echoes()
    assert not any(echoes.pasted(said("升级固件以后联不上网，能不能退回老版本", customer)) for customer in range(1, 50))


def test_tickets_are_written_from_templates_and_are_no_echo() -> None:
    echoes = Echoes()
    assert not any(echoes.pasted(said(SLOGAN, customer, kind="ticket")) for customer in range(1, 9))


def test_a_text_that_nobody_said_for_a_day_begins_anew() -> None:
    echoes = Echoes()
    for customer in (1, 2, 3):
        echoes.pasted(said(SLOGAN, customer))
    assert not echoes.pasted(said(SLOGAN, 4, NOON + DAY_MS + MINUTE_MS))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((SLOGAN, SLOGAN[3:], SLOGAN * 2)), st.integers(1, 5)), max_size=40))
def test_a_restored_memory_says_what_the_uninterrupted_one_says(turns: list[tuple[str, int]]) -> None:
    whole, first, second = Echoes(), Echoes(), Echoes()
    for text, customer in turns[: len(turns) // 2]:
        assert whole.pasted(said(text, customer)) == first.pasted(said(text, customer))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    for text, customer in turns[len(turns) // 2 :]:
        assert whole.pasted(said(text, customer)) == second.pasted(said(text, customer))


def test_a_flood_of_long_texts_stays_within_the_bound() -> None:
    echoes = Echoes()
    for number in range(module.MAX_REMEMBERED + 500):
        echoes.pasted(said(f"{number:07d}" * 5, number + 1))
    assert len(echoes.snapshot()) <= module.MAX_REMEMBERED
