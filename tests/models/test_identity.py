"""Pseudonyms: equal people get equal numbers, nothing else does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from models.identity import Pseudonyms

KEY = b"a key of sixteen bytes"


def test_spellings_of_one_phone_are_one_person() -> None:
    pseudonyms = Pseudonyms(KEY)
    spellings = ["13800138000", "+86 138-0013-8000", "１３８００１３８０００", " 138 0013 8000", "008613800138000"]
    assert len({pseudonyms.of(spelling) for spelling in spellings}) == 1
    assert pseudonyms.of("13800138001") != pseudonyms.of("13800138000")


def test_another_key_gives_other_pseudonyms() -> None:
    assert Pseudonyms(KEY).of("13800138000") != Pseudonyms(KEY + b"!").of("13800138000")


@pytest.mark.parametrize(
    ("identifiers", "chosen"),
    [
        ({"phone": "13800138000", "account": "u1"}, "u1"),
        ({"device": "LK1", "phone": "13800138000"}, "13800138000"),
        ({"device": "LK1", "openid": "o6"}, "o6"),
        ({"email": "b@c.cn", "card": "62"}, "62"),
        ({"account": " ", "phone": "", "device": "LK1"}, "LK1"),
    ],
)
def test_the_preferred_identifier_names_the_customer(identifiers: dict[str, str], chosen: str) -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.customer(identifiers) == pseudonyms.of(chosen) != 0


def test_nobody_is_zero_and_somebody_never_is() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert (
        pseudonyms.of(None) == pseudonyms.of("") == pseudonyms.customer({}) == pseudonyms.customer({"phone": " "}) == 0
    )
    assert all(0 < pseudonyms.of(str(number)) < 2**64 for number in range(1000))


def test_pseudonyms_are_the_same_in_another_process() -> None:
    program = f"from models.identity import Pseudonyms; print(Pseudonyms({KEY!r}).of('门锁\\ud800'))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(printed) == Pseudonyms(KEY).of("门锁\ud800")
