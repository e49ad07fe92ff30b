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
SLOGAN = "年终大促全场满三百减一百二，叠加店铺津贴再享折上折，错过再等一年，手慢无"
CHAIN = "通知！本月底起老账号要收服务费，把这段话发到三个群可自动续，881d73，刚发完就好了"


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


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(("喝完牛奶全家拉了一夜肚子", "擦完脸上起了一大片红疙瘩")), st.integers(1, 5)),
        max_size=20,
    )
)
def test_a_restored_memory_knows_what_was_told(turns: list[tuple[str, int]]) -> None:
    whole, first, second = Echoes(), Echoes(), Echoes()
    days = [said(text, customer, NOON + day * DAY_MS) for day, (text, customer) in enumerate(turns)]
    for each in days[: len(days) // 2]:
        assert whole.told_before(each) == first.told_before(each)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert [whole.told_before(each) for each in days[len(days) // 2 :]] == [
        second.told_before(each) for each in days[len(days) // 2 :]
    ]


def test_a_flood_of_long_texts_stays_within_the_bound() -> None:
    echoes = Echoes()
    for number in range(module.MAX_REMEMBERED + 500):
        echoes.pasted(said(f"{number:07d}" * 5, number + 1))
    assert len(echoes.snapshot()) <= module.MAX_REMEMBERED


def test_a_chain_letter_is_known_by_what_it_asks_for() -> None:
    assert Echoes().pasted(said(CHAIN, 1))
    assert Echoes().pasted(said("【转发】群里转满20人，免费领鸡蛋，名额有限，加VX acc845", 1))
    assert Echoes().pasted(said("【传给五个人】月底起小程序关停，不转的会封号（听说是真的）", 1))


def test_pieces_of_a_chain_letter_are_known_where_it_was_altered_or_is_read_aloud() -> None:
    echoes = Echoes()
    echoes.pasted(said(CHAIN, 1))
    heard = (
        "喂通知本月底起老账号要收服务费",
        "把这段话发道三个群可自动",
        "老账号要收服务费，把这段话发到家族群可自动续",
    )
    assert all(echoes.pasted(said(text, customer, kind="call")) for customer, text in enumerate(heard, start=2))
    assert not echoes.pasted(said(heard[0], 9, NOON + DAY_MS + MINUTE_MS))


def test_a_trouble_told_beside_a_chain_letter_counts() -> None:
    echoes = Echoes()
    echoes.pasted(said(CHAIN, 1))
    assert not echoes.pasted(said("老账号登不上去了，要收服务费吗，从早上到现在一直这样", 2))
    assert not echoes.pasted(said("昨天转发给家里人看了，锁还是连不上", 3))
    assert not echoes.pasted(said("人工转了三个人，马达还是不转", 4))


def test_who_is_in_danger_passes_nothing_on() -> None:
    swindled = said("他让我加微信，转发朋友圈，然后卡里的钱就没了", 1)
    assert Echoes().pasted(swindled)
    assert not Echoes().pasted(msgspec.structs.replace(swindled, danger="资金安全/诈骗"))


def test_a_piece_of_a_known_chain_letter_is_no_danger_where_it_sounds_like_one() -> None:
    echoes = Echoes()
    assert echoes.pasted(said("紧急通知，据内部人员说存款过万下月要交保管费，速转给亲戚朋友", 1))
    heard = said("存款过万下月要交保管费速转", 2, kind="call")
    assert echoes.pasted(msgspec.structs.replace(heard, danger="资金安全/诈骗"))
    assert not echoes.pasted(msgspec.structs.replace(said("我存款过万都被人转走了", 3), danger="资金安全/盗刷"))


def test_a_danger_that_another_told_word_for_word_days_ago_is_no_news() -> None:
    echoes = Echoes()
    story = "孩子吃完你们家的蛋糕吐了一整夜"
    assert not echoes.told_before(said(story, 1))
    assert not echoes.told_before(said(story, 2, NOON + DAY_MS))
    assert echoes.told_before(said(f"{story}！！", 3, NOON + DAY_MS + MINUTE_MS))


def test_who_tells_of_the_same_harm_again_is_no_echo_of_himself() -> None:
    echoes = Echoes()
    story = "孩子吃完你们家的蛋糕吐了一整夜"
    assert not any(echoes.told_before(said(story, 1, NOON + day * DAY_MS)) for day in range(4))


def test_short_cries_and_tickets_from_templates_are_news_each_time() -> None:
    echoes = Echoes()
    for day in range(4):
        assert not echoes.told_before(said("充电器冒烟了", day + 1, NOON + day * DAY_MS))
        assert not echoes.told_before(said("客户来电反映充电器冒烟请尽快处理", day + 1, NOON + day * DAY_MS, "ticket"))
