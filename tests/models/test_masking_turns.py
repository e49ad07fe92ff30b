"""Masking: an identifier said in two turns survives in neither; answers that are no identifiers do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.masking import mask_normalised, mask_shown
from models.normalise import normalise
from models.understanding import Understanding
from qianshao.event import RawEvent

DIGITS = "0123456789"
FORMS = {
    "ascii": DIGITS,
    "full width": "０１２３４５６７８９",
    "said": "零幺二三四五六七八九",
    "read": "〇一二三四五六七八九",
}
VALUES = frozenset("".join(FORMS.values()))
CUES = {
    "〔手机〕": ["我手机号是", "电话", "联系电话：", "我的手机号码是"],
    "〔身份证〕": ["身份证号是", "证件号："],
    "〔银行卡〕": ["卡号", "银行卡号是", "我的卡号是"],
    "〔订单号〕": ["订单号", "我的订单号是", "快递单号："],
}


def turn(text: str) -> str:
    return mask_normalised(normalise(text), turn=True)


def left(text: str) -> str:
    return "".join(character for character in text if character in VALUES)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(CUES)).flatmap(lambda token: st.tuples(st.just(token), st.sampled_from(CUES[token]))),
    st.text(DIGITS, min_size=3, max_size=8).filter(lambda part: part[:2] not in ("11", "12", "10", "95", "96", "40")),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["", "，", "嗯", "，然后", "…", " 呃"]),
)
def test_the_first_part_goes_behind_its_cue(cue: tuple[str, str], part: str, form: str, behind: str) -> None:
    masked = turn("你好，" + cue[1] + part.translate(str.maketrans(DIGITS, FORMS[form])) + behind)
    assert left(masked) == ""
    # A part that has the shape of another identifier may be called that.
    assert cue[0] in masked or len(part) >= 7
    assert turn(masked) == masked


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["", "嗯，", "对，", "后面是", "后四位", "尾号", "然后是", "接着是 ", "好的 "]),
    st.text(DIGITS, min_size=4, max_size=8).filter(
        lambda part: part[-2:] not in ("00", "99") and part[:2] not in ("19", "20", "12") and len(set(part)) > 1
    ),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["", "。", "谢谢", "，没了", "嗯"]),
)
def test_the_second_part_goes_alone_or_behind_what_announces_it(cue: str, part: str, form: str, behind: str) -> None:
    masked = turn(cue + part.translate(str.maketrans(DIGITS, FORMS[form])) + behind)
    assert left(masked.replace(normalise(cue), "", 1)) == ""
    assert turn(masked) == masked


@pytest.mark.parametrize(
    ("turns", "masked"),
    [
        (("我手机号是138", "后面是12345678"), ("我手机号是〔手机〕", "后面是〔号码〕")),
        (("138 1234", "5678"), ("〔手机〕", "〔号码〕")),
        (("幺三八幺二三", "嗯 四五六七八"), ("〔号码〕", "嗯 〔号码〕")),
        (("身份证33010619900101", "123X"), ("身份证〔身份证〕", "〔号码〕")),
        (("卡号6222 0212", "您继续", "3456 7890 123"), ("卡号〔银行卡〕", "您继续", "〔号码〕")),
        (("5678是后四位",), ("〔号码〕是后四位",)),
    ],
)
def test_an_identifier_in_two_turns_survives_in_neither(turns: tuple[str, ...], masked: tuple[str, ...]) -> None:
    assert tuple(map(turn, turns)) == masked


@pytest.mark.parametrize(
    "text",
    [
        "报错 404",
        "E207",
        "错误码5021",
        "299",
        "5000",
        "1999",
        "2025",
        "404",
        "再不处理我打12345",
        "客服电话400",
        "我打了电话12315",
        "66666",
        "一二三",
        "10:30",
        "12-25",
        "500-600",
        "3.14159",
        "￥3650",
        "2500元",
        "买了1500块的东西",
        "型号是KFR3526",
        "下单2024年12月",
        "等了三个小时",
        "后面 299",
    ],
)
def test_codes_prices_years_and_known_numbers_survive_as_answers(text: str) -> None:
    assert turn(text) == text


def test_only_turns_of_a_conversation_lose_parts_of_numbers_and_in_what_is_shown_too() -> None:
    understanding = Understanding(b"key of a test")
    chat, device = understanding.label(
        [
            RawEvent(id="1", kind="chat", ts=0, role="customer", text="嗯，５６７８"),
            RawEvent(id="2", kind="device", ts=0, device="LK0001", message="5678"),
        ]
    )
    assert (chat.text, chat.shown) == ("嗯，〔号码〕", "")
    assert device.text == "5678"
    assert mask_shown("後面是５６７８", turn=True) == "後面是〔号码〕"


def test_a_turn_is_masked_alike_whatever_stands_before_it_in_its_batch() -> None:
    source = random.Random(2)
    turns = ["我手机号是138", "12345678", "嗯", "您继续", "五六七八", "299", "后面是5678"]
    alone = [Understanding(b"key").label([RawEvent(id="1", kind="call", ts=0, text=text)])[0].text for text in turns]
    order = list(range(len(turns))) * 3
    source.shuffle(order)
    batch = Understanding(b"key").label(
        [RawEvent(id=str(at), kind="call", ts=at, conversation="c", text=turns[each]) for at, each in enumerate(order)]
    )
    assert [observation.text for observation in batch] == [alone[each] for each in order]


@pytest.mark.parametrize(
    "text",
    [
        "微信 abcdefgh",
        "加我微信 lovelycat",
        "vx:zhangsanfeng",
        "wx号zhangsan",
        "微信号 lovelycat",
        "加v lovelycat",
        "V信lovelycat",
    ],
)
def test_a_wechat_name_of_letters_goes_behind_a_bare_cue(text: str) -> None:
    masked = turn(text + "，谢谢")
    assert masked.endswith("〔微信〕，谢谢")


@pytest.mark.parametrize(
    "text",
    [
        "微信 pay 付不了",
        "微信 app 打不开",
        "微信 iOS 版",
        "微信支付失败",
        "WeChat Pay failed",
        "微信wifi连不上",
        "微信 Android 版闪退",
        "微信iPhone版",
        "微信 windows 版",
        "微信 login error",
        "wxpayment failed",
        "加vip会员",
    ],
)
def test_ordinary_words_behind_wechat_stay(text: str) -> None:
    assert turn(text) == text
