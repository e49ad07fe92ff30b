"""The whole of reading one event: nothing raw remains, and the batch changes nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.understanding import Understanding
from qianshao.event import Observation, RawEvent

KEY = b"a key of sixteen bytes"


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding(KEY)


def one(understanding: Understanding, **fields: object) -> Observation:
    event = msgspec.convert({"id": "e1", "kind": "chat", "ts": 1, **fields}, RawEvent)
    return understanding.label([event])[0]


PLANTED = {
    "phone": "13812345678",
    "account": "zhang_san_88",
    "device": "LK5251778933",
    "openid": "o6_g-pQZJp_o9qS4phqV9q2vmgNV",
    "email": "zhang.san@example.com",
    "name": "张三丰",
}
IDENTIFIERS = [*PLANTED.values(), "h97993090", "T690554733"]
PLACES = [
    "text",
    "message",
    "channel",
    "line",
    "product",
    "model",
    "firmware",
    "region",
    "role",
    "type",
    "status",
    "level",
    "code",
]

planted = st.sampled_from(IDENTIFIERS)
framed = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "我是", "E207 ", "门锁离线了 ", "user=", "电话"]),
    planted,
    st.sampled_from(["", "谢谢", "，急", " ok"]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["chat", "call", "ticket", "device", "rating"]),
    st.dictionaries(st.sampled_from(PLACES), framed, max_size=6),
    st.dictionaries(st.one_of(st.sampled_from(["app", "phone", "门店"]), planted), framed, max_size=3),
    st.dictionaries(
        st.sampled_from(["agent", "note", "caller", "nick"]),
        st.one_of(framed, st.lists(framed, max_size=2), st.just(13812345678)),
        max_size=3,
    ),
)
def test_identifiers_of_the_event_survive_in_no_field(
    understanding: Understanding, kind: str, fields: dict[str, str], dims: dict[str, str], extra: dict[str, object]
) -> None:
    event = RawEvent(
        id="13812345678-1",
        kind=kind,
        ts=1,
        customer=dict(PLANTED),
        conversation="h97993090",
        ticket="T690554733",
        device=PLANTED["device"],
        dims=dims,
        extra=extra,
        metrics={"13812345678": 1.0, "caller": 13812345678.0, "rssi": -71.0},
        **fields,  # type: ignore[arg-type]
    )
    written = msgspec.json.encode(understanding.label([event])[0]).decode()
    for identifier in IDENTIFIERS:
        assert identifier not in written, (identifier, written)
    assert '"rssi":-71.0' in written


def test_a_phone_that_is_not_the_customers_own_is_masked_too(understanding: Understanding) -> None:
    seen = one(
        understanding,
        text="让他打１３９ ０００１ ０００２，或者幺三九零零零幺零零零三",
        type="回电13900010004",
        message="x",
    )
    written = msgspec.json.encode(seen).decode()
    assert written.count("〔手机〕") == 3
    assert "1390001" not in written


def test_product_names_versions_and_codes_pass_unchanged(understanding: Understanding) -> None:
    fields = {
        "line": "智能家居",
        "product": "智能门锁",
        "model": "L1 Pro",
        "firmware": "OS 3.1",
        "region": "华东",
        "channel": "app",
        "code": "E207",
    }
    seen = one(
        understanding,
        kind="device",
        level="error",
        message="fp sensor read fail cnt=3",
        dims={"app_version": "8.4.2", "门店": "C002"},
        **fields,
    )
    assert {name: getattr(seen, name) for name in fields} == fields
    assert seen.dims == {"app_version": "8.4.2", "门店": "C002"}
    assert seen.template == "fp sensor read fail cnt=*"
    assert (seen.level, seen.topic, seen.tokens, seen.sentiment) == ("error", "", (), 0.0)


def test_a_customers_complaint_is_read_in_full(understanding: Understanding) -> None:
    seen = one(
        understanding,
        role="customer",
        text="門鎖離線了，遠程打不開，錯誤碼E207，氣死我了",
        customer={"phone": "13812345678"},
    )
    assert seen.text == "门锁离线了，远程打不开，错误码E207，气死我了"
    assert seen.topic == "设备离线"
    assert seen.topic_confidence > 0.45
    assert seen.terms == ("离线", "远程失效", "E207")
    assert {"门锁", "离线", "E207"} <= set(seen.tokens)
    assert seen.sentiment < -0.5
    assert seen.danger == ""
    assert seen.customer != 0


@pytest.mark.parametrize("role", ["agent", "bot"])
def test_agents_and_bots_have_no_voice(understanding: Understanding, role: str) -> None:
    seen = one(understanding, role=role, text="您的门锁离线了，冒烟了吗，非常抱歉")
    assert (seen.topic, seen.tokens, seen.terms, seen.sentiment, seen.danger) == ("", (), (), 0.0, "")


def test_a_ticket_is_read_but_not_felt(understanding: Understanding) -> None:
    seen = one(understanding, kind="ticket", type="设备离线", text="客户反映门锁离线，非常生气")
    assert (seen.topic, seen.terms, seen.sentiment) == ("设备离线", ("离线",), 0.0)


def test_the_customer_falls_back_to_the_device_then_to_the_conversation(understanding: Understanding) -> None:
    full = one(understanding, customer={"account": "u12345"}, device="LK1", conversation="c1")
    device = one(understanding, device="LK1", conversation="c1")
    conversation = one(understanding, conversation="c1")
    assert full.customer not in (0, full.device, full.conversation)
    assert device.customer == device.device == full.device
    assert conversation.customer == conversation.conversation == full.conversation
    assert one(understanding).customer == 0


EVENTS = [
    RawEvent(
        id=str(number), kind=kind, ts=number, role="customer", text=text, customer={"account": f"user{number % 7}"}
    )
    for number, (kind, text) in enumerate(
        (kind, text)
        for kind in ("chat", "call", "ticket", "device")
        for text in (
            "门锁离线了",
            "好的谢谢",
            "退款一直没到账，电话13812345678",
            "味道不错",
            "",
            "E207 Wi-Fi连不上",
            "𠮷😀怎么开会员",
        )
    )
]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, len(EVENTS)), st.permutations(range(len(EVENTS))))
def test_the_cut_and_the_order_of_batches_change_nothing(size: int, order: list[int]) -> None:
    whole = {seen.id: seen for seen in Understanding(KEY).label(EVENTS)}
    shuffled = [EVENTS[index] for index in order]
    reader = Understanding(KEY)
    pieces = [reader.label(shuffled[start : start + size]) for start in range(0, len(shuffled), size)]
    assert [seen.id for piece in pieces for seen in piece] == [event.id for event in shuffled]
    assert all(seen == whole[seen.id] for piece in pieces for seen in piece)


def test_another_process_reads_the_same(understanding: Understanding) -> None:
    text = "门锁离线了，客服没人理，E207"
    program = f"""
import sys, msgspec
from models.understanding import Understanding
from qianshao.event import RawEvent
event = RawEvent(id="1", kind="chat", ts=1, text={text!r}, customer={{"account": "u12345"}})
print(msgspec.json.encode(Understanding({KEY!r}).label([event])).hex())
"""
    here = msgspec.json.encode([one(understanding, id="1", text=text, customer={"account": "u12345"})]).hex()
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert there == here


def test_reading_never_loads_scikit_learn() -> None:
    program = "import sys, models.understanding as u; u.Understanding(b'k' * 16); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "\ud800" * 20_000,
        "e" + "\u0301" * 19_999,
        "\x00" * 20_000,
        "\u202e门" * 10_000,
        "1 " * 10_000,
        "打不开" * 6_600,
        "不" * 20_000,
        "E" * 20_000,
        "查~" * 9_000,
        "a-" * 10_000,
        "登录" * 10_000,
        "😀" * 20_000,
    ],
)
def test_hostile_texts_neither_crash_nor_take_long(understanding: Understanding, text: str) -> None:
    started = time.process_time()
    seen = one(understanding, text=text, customer={"account": text[:300] or "x"}, dims={text[:50]: text})
    msgspec.json.encode(seen)
    assert time.process_time() - started < 2.0
