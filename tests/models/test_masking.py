"""Masking: planted identifiers go in every surface form, codes and order-like numbers are not mistaken."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric

from models.masking import CARD, PHONE, mask, mask_excerpt, mask_extra, mask_field, own_identifiers

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
SPOKEN = str.maketrans("0123456789", "零幺二三四五六七八九")
READ = str.maketrans("0123456789", "〇一二三四五六七八九")

mobile = st.builds(
    lambda second, rest: f"1{second}{rest}", st.sampled_from("3456789"), st.text("0123456789", min_size=9, max_size=9)
)
around = st.sampled_from(
    ["", "我的电话是", "怎么开会员，", "tel:", "打这个号 ", "门锁离线了 ", "联系方式", "号码", "嗯那个"]
)
behind = st.sampled_from(["", "，尽快回我", " 联系我", "谢谢", "。", "帮我看下", "号"])


def forms(number: str) -> list[str]:
    """Write a mobile number in every way in which people and speech recognition write it."""
    return [
        number,
        "+86" + number,
        "+86 " + number,
        "86-" + number,
        number.translate(FULL_WIDTH),
        number.translate(SPOKEN),
        number.translate(READ),
        f"{number[:3]} {number[3:7]} {number[7:]}",
        f"{number[:3]}-{number[3:7]}-{number[7:]}",
        f"{number[:3]}－{number[3:7]}－{number[7:]}".translate(FULL_WIDTH),
        " ".join(number),
        f"{number[:3].translate(SPOKEN)} {number[3:7].translate(SPOKEN)} {number[7:].translate(SPOKEN)}",
        f"{number[:4].translate(SPOKEN)}呃{number[4:8].translate(READ)}那个{number[8:]}",
        number[:5] + "\u200b" + number[5:],
        f"（{number[:3]}）{number[3:]}",
    ]


def plain(text: str) -> str:
    """Bring a text back to bare ASCII digits, fillers removed: what an attacker would read out of it."""
    table = str.maketrans("０１２３４５６７８９零〇幺一二三四五六七八九", "0123456789001123456789")
    return "".join(character for character in text.translate(table) if character in "0123456789")


@settings(max_examples=120, deadline=None)
@given(mobile, around, behind)
def test_a_mobile_number_survives_in_none_of_its_forms(number: str, before: str, after: str) -> None:
    for form in forms(number):
        masked = mask(before + form + after)
        assert plain(masked) == "", (form, masked)
        assert "〔" in masked


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.integers(1950, 2009), st.integers(1, 12), st.integers(1, 28), around, behind)
def test_a_resident_id_is_masked_written_whole_spaced_and_in_full_width(
    serial: int, year: int, month: int, day: int, before: str, after: str
) -> None:
    body = f"330106{year}{month:02d}{day:02d}{serial % 1000:03d}"
    number = body + ric.calc_check_digit(body + "0")
    for form in (number, number.lower(), number.translate(FULL_WIDTH), f"{number[:6]} {number[6:14]} {number[14:]}"):
        masked = mask(before + form + after)
        assert plain(masked) == "", (form, masked)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["622202", "621483", "436742"]), st.text("0123456789", min_size=9, max_size=12))
def test_a_bank_card_is_masked_by_its_context_and_by_its_groups(prefix: str, rest: str) -> None:
    number = prefix + rest
    number += luhn.calc_check_digit(number)
    grouped = " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    assert CARD in mask(f"卡号{number}")
    assert plain(mask(f"退到这张卡 {grouped} 上")) == ""
    assert plain(mask(f"卡号{number.translate(FULL_WIDTH)}，帮我查")) == ""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("发我邮箱WANG37074@163.COM", "发我邮箱〔邮箱〕"),
        ("发到xiaoyu09053＠163.com谢谢", "发到〔邮箱〕谢谢"),
        ("邮箱 abc.d @ qq 。com", "邮箱 〔邮箱〕"),
        ("车牌京A·12345停不了", "车牌〔车牌〕停不了"),
        ("我是粤BD12345", "我是〔车牌〕"),
        ("座机010-62345678", "座机〔座机〕"),
        ("座机（0571）88234567", "座机（〔座机〕"),
        ("免贵姓欧阳", "免贵姓〔姓名〕"),
        ("我叫王小明，要退款", "我叫〔姓名〕，要退款"),
        ("收件人：张三", "收件人：〔姓名〕"),
        ("李建国先生投诉", "〔姓名〕先生投诉"),
        ("微信号abc_123加我", "微信号〔微信〕加我"),
        ("加微信 zhang-wei88", "加微信 〔微信〕"),
        ("序列号LK5251778933", "序列号〔设备号〕"),
        ("账号uebe3eaa8a登不上", "账号〔账号〕登不上"),
        ("订单号Z445296750865", "订单号〔订单号〕"),
        ("定单号Q6四0三7然后24六4572", "定单号〔订单号〕"),
        ("我住广东省深圳市南山区解放东路390号29幢1461室，快点", "我住〔地址〕快点"),
        ("送到朝阳北大街106号24幢681室", "送到〔地址〕"),
        ("收货地址：幸福小区3号楼2单元501", "收货地址：〔地址〕"),
        ("openid是o6_g-pQZJp_o9qS4phqV9q2vmgNV", "openid是〔账号〕"),
    ],
)
def test_each_kind_of_identifier_gets_its_token(text: str, kept: str) -> None:
    assert mask(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "错误码E207，固件v3.2.1，L1 Pro，C002",
        "app 8.4.2闪退，系统OS 3.1",
        "价格在500-600元，评分4.5分以上",
        "2025-12-11 15:36:47下的单",
        "昨天20251211买的，20点到现在",
        "微信支付失败，微信里打不开",
        "地址在哪里呢请告诉我吧",
        "手机号登录不了",
        "这个城市小区不错，我知道1号有活动",
        "KFR-35GW/26空调，iPhone15，Wi-Fi连不上",
        "heartbeat ok up=1252h rssi=-93",
        "一二三四五，五个人等了一两个小时",
        "票价一00-一五零元的",
    ],
)
def test_codes_versions_prices_and_dates_survive(text: str) -> None:
    assert mask(text) == text


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(
                [
                    "13800138000",
                    "幺三八",
                    "订单号",
                    "〔手机〕",
                    "地址是",
                    "我叫张三",
                    "市",
                    "省",
                    "3号",
                    "路",
                    "a@b.cn",
                    "卡号",
                    "Z1",
                    "62220212",
                    " ",
                    "-",
                    "×",
                    "零零零零零零零",
                    "微信",
                    "ab_1",
                ]
            ),
        ),
        max_size=8,
    ).map("".join)
)
@example("省省市省市路1号2号〔地址〕")
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


def test_order_numbers_are_hardly_ever_taken_for_cards_or_phones() -> None:
    source = random.Random(3)
    wrong = 0
    for _ in range(4000):
        number = "".join(source.choices("0123456789", k=source.choice((12, 13, 16, 18))))
        masked = mask(source.choice(("订单号", "单号是", "Z", "帮我查订单 ")) + number)
        wrong += CARD in masked or PHONE in masked
    assert wrong <= 4


def test_dimension_values_keep_batches_and_lose_identifiers() -> None:
    for value in ("B2025111203", "智能门锁", "L1 Pro", "OS 3.1", "8.4.2", "E207", "华东", "20251211001", "A-1234567"):
        assert mask_field(value) == value
    for value in (
        "13812345678",
        "tel 138 1234 5678",
        "一三八一二三四五六七八",
        "a.b@qq.com",
        "11010519491231002X",
        "京A12345",
    ):
        assert plain(mask_field(value)) == ""
        assert "〔" in mask_field(value)


def test_unknown_fields_lose_identifiers_at_any_depth_and_under_any_type() -> None:
    own = own_identifiers({"account": "ud556b982b"})
    extra: dict[str, object] = {
        "agent": "A032",
        "note": "回电13812345678",
        "number": 13812345678,
        "nested": [{"caller": {"first": "秘密的人"}}, {"remark": ["ud556b982b"]}],
        "13912345678": 1,
    }
    text = mask_extra(extra, own)
    for leak in ("13812345678", "13912345678", "秘密的人", "ud556b982b"):
        assert leak not in text
    assert '"agent":"A032"' in text


def test_extra_that_is_too_deep_or_too_long_is_left_out_or_cut() -> None:
    nested: dict[str, object] = {"a": 1}
    for _ in range(3_000):
        nested = {"a": nested}
    assert len(mask_extra(nested, [])) < 200
    assert mask_extra({"a": "好" * 10_000}, []) in ('{"a":"好好好"}', "")


@settings(max_examples=80, deadline=None)
@given(mobile, st.integers(0, 14), st.integers(0, 60), st.sampled_from(["utf-8", "gb18030"]))
def test_an_excerpt_of_a_broken_record_shows_no_number(number: str, form: int, cut: int, encoding: str) -> None:
    said = forms(number)[form % len(forms(number))]
    record = (
        '{"id":"a1","kind":"chat","customer":{"account":"zhangsan_secret","name":"张三丰"},'
        f'"text":"我电话{said}","device":"LK5251778933"'
    )
    raw = record.encode(encoding, "replace")
    for piece in (raw, raw[: max(0, len(raw) - cut)], b"\xff\xfe" + raw, b"[" + raw):
        shown = mask_excerpt(piece)
        assert number not in shown
        assert said not in shown
        assert "zhangsan_secret" not in shown
        assert "LK5251778933" not in shown
        assert len(shown) <= 200
        assert shown.isprintable()


def test_an_excerpt_blanks_a_truncated_customer_and_escaped_digits() -> None:
    assert mask_excerpt(b'{"id":"a1","customer":{"nick":{"x":"Zorro"},"phone":"138') == '{"id":"a1","customer":…'
    shown = mask_excerpt(b'{"text":"\\u0031\\u0033\\u0038\\u0031\\u0032\\u0033\\u0034\\u0035\\u0036\\u0037\\u0038"}')
    assert plain(shown) == ""
    assert "Zorro" not in mask_excerpt(b'{\\"customer\\": {\\"nick\\": \\"Zorro\\"}, \\"a\\": 1')
    assert mask_excerpt(b"") == ""
    assert mask_excerpt("13812345678".encode("utf-16")).count("〔") == 1


@pytest.mark.parametrize("quote", ['"', '\\"'])
def test_an_excerpt_shows_what_its_customer_is_called_nowhere(quote: str) -> None:
    record = (
        '{"text":"张三丰的锁坏了，账户lisi_home","customer":{"name":"张三丰","account":"lisi_home"},"role":"张三丰"}'
    )
    shown = mask_excerpt(record.replace('"', quote).encode())
    assert "张三丰" not in shown
    assert "lisi_home" not in shown
    assert "锁坏了" in shown


@pytest.mark.parametrize(
    "text",
    [
        "1" * 20_000,
        "1 " * 10_000,
        "幺三" * 10_000,
        "a" * 19_000 + "@",
        "a.a-" * 5_000,
        "weixin" * 3_300,
        "macmac" * 3_300,
        "路1号" * 6_000,
        "市区" * 10_000,
        "省市县路" * 5_000,
        "1栋" * 10_000,
        "地址是" * 6_000,
        "我叫" * 10_000,
        "a1" * 10_000,
        "京A" * 10_000,
        "aa:" * 6_600,
        "-" * 20_000,
        "{" * 20_000,
        '"customer":' * 1_800,
    ],
)
def test_hostile_texts_are_masked_in_linear_time(text: str) -> None:
    started = time.process_time()
    mask(text)
    mask_field(text)
    mask_excerpt(text.encode())
    assert time.process_time() - started < 1.0
