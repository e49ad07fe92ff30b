"""Device messages: equal causes are equal strings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.template import MAX_TEMPLATE_CHARS, message_template


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("mqtt connect timeout retry=8 host=10.0.0.7", "mqtt connect timeout retry=* host=*"),
        ("pay resp=E1002 balance insufficient trace=87612345", "pay resp=E1002 balance insufficient trace=*"),
        ("heartbeat ok up=1252h rssi=-93", "heartbeat ok up=*h rssi=*"),
        ("bind fail user=〔手机〕", "bind fail user=*"),
        ("panic at 0x7ffe12ab thread 12", "panic at * thread *"),
        ("upload 3f2b8c9d-1a2b-3c4d-5e6f-7a8b9c0d1e2f failed", "upload * failed"),
        ("token 9f86d081884c7d65 expired", "token * expired"),
        ('open "/data/a.log" failed', "open * failed"),
        ("p2p relay timeout 2349ms", "p2p relay timeout *ms"),
        ("battery low 12%", "battery low *%"),
        ("LK5251778933 rebooted", "* rebooted"),
        ("anr in com.edu.player pid=17", "anr in * pid=*"),
        ("clean done area=12m2", "clean done area=*m2"),
        ("bind fail user=zhang", "bind fail user=*"),
        ("task owner: 张伟, retries exhausted", "task owner: *, retries exhausted"),
        ("lost Device_Id=kitchen-plug", "lost Device_Id=*"),
        ("绑定失败 用户=张伟 原因=超时", "绑定失败 用户=* 原因=超时"),
        ("open /data/face/a.bin failed: permission denied", "open * failed: permission denied"),
        ("get https://ota.example.cn/a?b=c failed", "get * failed"),
        ("door state=jammed", "door state=jammed"),
        ("write failed err=EIO reason=full", "write failed err=EIO reason=full"),
        ("java.net.SocketTimeoutException in sync", "java.net.SocketTimeoutException in sync"),
        ("user = not set", "user = not set"),
        ("on/off relay v3.2.1 stuck", "on/off relay v3.2.1 stuck"),
    ],
)
def test_numbers_and_identifiers_become_stars_and_codes_stay(message: str, template: str) -> None:
    assert message_template(message) == template


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_messages_that_differ_in_a_number_share_a_template(one: int, other: int) -> None:
    assert message_template(f"sd card write error sector={one}") == message_template(
        f"sd card write error sector={other}"
    )


def test_a_template_is_bounded() -> None:
    assert len(message_template("x y " * 5_000)) <= MAX_TEMPLATE_CHARS
