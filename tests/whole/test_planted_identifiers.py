"""Identifiers planted wherever a record can hold them are in nothing that leaves: files, store, queue, screen, page."""

from __future__ import annotations

import asyncio
import html
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from stdnum import luhn
from stdnum.cn import ric

from qianshao.app.console.archive import Archive
from qianshao.app.console.pages import console_app
from qianshao.app.scoring import read_changes
from qianshao.clock import from_rfc3339
from qianshao.config import KEY_ENVIRONMENT_VARIABLE, Config
from qianshao.event import KINDS
from qianshao.incident import IncidentChange
from sinks.clickhouse import Store

Write = Callable[[str, list[bytes]], Path]
Record = dict[str, object]

PEOPLE = 16
SAID = str.maketrans("0123456789", "零幺二三四五六七八九")
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
WORD = re.compile(r"[A-Za-z0-9_\-]{6,}")


class Person(NamedTuple):
    """Somebody who must not be found again."""

    phone: str
    email: str
    resident: str
    card: str
    name: str
    address: str
    wechat: str
    plate: str
    account: str
    openid: str
    imei: str
    mac: str


def person(rng: random.Random, number: int) -> Person:
    """Invent somebody."""

    def digits(count: int) -> str:
        return "".join(rng.choice("0123456789") for _ in range(count))

    body = f"110105{rng.randrange(1950, 2005)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{digits(3)}"
    card = f"6222{digits(11)}"
    return Person(
        phone=f"1{rng.choice('3578')}{digits(9)}",
        email=f"mailbox.{digits(3)}{chr(97 + number)}@example-post.com",
        resident=body + ric.calc_check_digit(body),
        card=card + luhn.calc_check_digit(card),
        name=rng.choice("王李张刘陈") + rng.choice("霁曦翊珩璟") + rng.choice("鸿骞熠晖澍"),
        address=f"阜通东大街{number + 61}号院{number % 9 + 1}号楼{digits(4)}室",
        wechat=f"zhao_wx{digits(4)}{chr(97 + number)}",
        plate=f"京{rng.choice('ABCEF')}{digits(3)}K{number % 10}",
        account=f"qn{digits(6)}{chr(97 + number)}x",
        openid="o" + "".join(rng.choice("abcdefXYZ0123456789_-") for _ in range(27)),
        imei=f"86{digits(13)}",
        mac=":".join(f"{rng.randrange(256):02X}" for _ in range(6)),
    )


def phone_spellings(phone: str) -> list[str]:
    """Ways in which people write and say a number."""
    spaced = f"{phone[:3]} {phone[3:7]} {phone[7:]}"
    said = phone.translate(SAID)
    return [
        phone,
        spaced,
        spaced.replace(" ", "-"),
        f"+86 {phone}",
        phone.translate(WIDE),
        spaced.translate(WIDE),
        said,
        f"{said[:3]}，{said[3:7]}，{said[7:]}",
        f"{said[:3]}嗯{said[3:7]}那个{said[7:]}",
    ]


def card_spellings(card: str) -> list[str]:
    """A card whole and in fours."""
    return [card, " ".join(card[place : place + 4] for place in range(0, 16, 4))]


def sentences(one: Person) -> list[str]:
    """Everything about somebody, each as a customer would tell it."""
    return [
        *(f"，我电话{spelling}" for spelling in phone_spellings(one.phone)),
        *(f" {spelling} " for spelling in phone_spellings(one.phone)[:6]),
        f"，邮箱{one.email}",
        f"，发到 {one.email.replace('@', ' @ ')} 吧",
        f"，身份证{one.resident}",
        f"，证件号码是{one.resident[:6]} {one.resident[6:14]} {one.resident[14:]}",
        *(f"，银行卡号{spelling}" for spelling in card_spellings(one.card)),
        f"，扣的是 {card_spellings(one.card)[1]} 这张",
        f"，我叫{one.name}",
        f"，联系人：{one.name}，请回电",
        f"，收货人{one.name}",
        f"，地址是北京市朝阳区{one.address}",
        f"，寄到{one.address}",
        f"，微信号{one.wechat}",
        f"，加我微信：{one.wechat}",
        f"，车牌{one.plate}",
        f"，账号{one.account}",
        f"，openid {one.openid}",
        f"，IMEI {one.imei}",
        f"，设备MAC {one.mac}",
    ]


def spoken_of(one: Person) -> set[str]:
    """Every string that would give somebody away."""
    phone = one.phone
    return {
        *phone_spellings(phone),
        *card_spellings(one.card),
        *(value for name, value in one._asdict().items() if name != "phone"),
        one.email.partition("@")[0],
        one.resident[:17],
        f"{one.resident[:6]} {one.resident[6:14]} {one.resident[14:]}",
        one.address[5:],
        one.mac.lower(),
        one.name.translate(WIDE),
    }


@pytest.fixture(scope="module")
def people() -> list[Person]:
    """Those who must not be found again."""
    rng = random.Random("people")
    return [person(rng, number) for number in range(PEOPLE)]


def plant(record: Record, number: int, people: list[Person]) -> Record:
    """Put one person's identifiers into every place of a record that takes them."""
    one = people[number % len(people)]
    told = sentences(one)
    said, other = told[7 * number % len(told)], told[(7 * number + 5) % len(told)]
    customer = dict(record["customer"]) if isinstance(record.get("customer"), dict) else {}  # type: ignore[call-overload]
    planted = {
        **record,
        "customer": {
            **customer,
            "phone": one.phone,
            "email": one.email,
            "id_card": one.resident,
            "name": one.name,
            "wechat": one.wechat,
        },
        "dims": {
            **(record["dims"] if isinstance(record.get("dims"), dict) else {}),  # type: ignore[dict-item]
            "gateway": phone_spellings(one.phone)[number % 6],
            "phone": one.phone,
            "mail": one.email,
            "account": one.account,
            "owner": one.resident,
            "site": f"北京市朝阳区{one.address}",
            f"tel {one.phone}": "1",
        },
        "操作员备注": f"客户{said}{other}",
        "raw": {
            "phone": one.phone,
            "number": int(one.phone),
            "ids": [one.resident, one.card, int(one.card), {"姓名": one.name, "text": said}],
            one.phone: "key",
            "device": one.imei,
            "address": one.address,
        },
    }
    if isinstance(record.get("text"), str):
        planted["text"] = f"{record['text']}{said}"
    if isinstance(record.get("message"), str):
        planted["message"] = f"{record['message']} user {one.phone} mail {one.email} imei={one.imei} {one.mac}"
    if record["kind"] == "ticket":
        planted["status"] = f"待回电 {one.phone}"
    if number % 97 == 0:
        planted |= {"channel": f"热线 {one.phone}", "type": f"投诉 {one.email}", "code": one.phone}
        planted |= {"region": f"北京市朝阳区{one.address}", "product": f"门锁 {one.plate}", "line": one.resident}
    if record["kind"] == "device":
        planted["metrics"] = {"rssi": -40, "dial": float(one.phone), f"call {one.phone}": 1}
    return planted


def broken(number: int, people: list[Person], ts: int) -> list[bytes]:
    """Records about somebody that cannot be counted, one of every sort."""
    one = people[number % len(people)]
    told = sentences(one)
    said = told[(number // len(people)) % len(told)]
    record: Record = {"id": f"bad{number}", "kind": "chat", "ts": ts, "text": said, "conversation": f"talk{number:06d}"}
    record["customer"] = {"phone": one.phone, "account": one.account, "name": one.name, "address": one.address}
    whole = json.dumps(record, ensure_ascii=False)
    escaped = json.dumps(record)
    return [
        whole[:-1].encode(),
        whole[len(whole) // 3 :].encode(),
        escaped[:-9].encode(),
        json.dumps({**record, "customer": None, "role": said}).encode(),
        whole.replace(said, "".join(f"\\u{ord(character):04x}" for character in said))[:-1].encode(),
        whole.replace('":', '"=', 2).encode(),
        whole.encode().replace(b'"text"', b'"te\xff\xfext"'),
        whole.encode("gbk"),
        whole.encode("utf-16").replace(b"\n", b" "),
        f"[{whole}]".encode(),
        json.dumps(whole, ensure_ascii=False).encode(),
        json.dumps({**record, "kind": one.phone}, ensure_ascii=False).encode(),
        json.dumps({**record, "kind": f"信件{said}"}, ensure_ascii=False).encode(),
        json.dumps({**record, "id": None}, ensure_ascii=False).encode(),
        json.dumps({**record, "id": one.phone + "0" * 128}, ensure_ascii=False).encode(),
        json.dumps({**record, "ts": one.phone}, ensure_ascii=False).encode(),
        json.dumps({**record, "ts": 1000}, ensure_ascii=False).encode(),
        json.dumps({**record, "ts": ts + 10 * 86_400_000}, ensure_ascii=False).encode(),
        json.dumps({**record, "region": int(one.phone)}, ensure_ascii=False).encode(),
        json.dumps({**record, "role": one.name}, ensure_ascii=False).encode(),
        json.dumps({**record, "score": 9, "text": f"{one.name}的锁坏了，{one.account}"}, ensure_ascii=False).encode(),
        json.dumps({**record, "text": said + "长" * 20_001}, ensure_ascii=False).encode(),
        f"2026-03-02 14:00:01 INFO call from={one.phone} email {one.email} {said}".encode(),
        f'姓名:{one.name},{one.phone},"{one.address}",{one.resident},{one.card}'.encode(),
    ]


class Remains(NamedTuple):
    """All that a run left behind."""

    texts: dict[str, str]
    """By where it was found."""
    dead: int
    change_texts: str
    """Titles, quotes and keywords of the incidents."""


@pytest.fixture(scope="module")
def planted(world: list[bytes], people: list[Person], write: Write) -> tuple[Path, list[Record]]:
    """The world with somebody's identifiers in every record, and every sort of broken record in between."""
    lines: list[bytes] = []
    records: list[Record] = []
    for line in world:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("kind") in KINDS and record.get("ts"):
            number = len(records)
            records.append(record)
            lines.append(json.dumps(plant(record, number, people), ensure_ascii=False).encode())
            if number % 24 == 5 and number > 100 and isinstance(record["ts"], int):
                lines += broken(number // 24, people, record["ts"])
    one = people[0]
    long = {
        "id": "long",
        "kind": "chat",
        "ts": 1,
        "text": f"{one.phone} {one.email} " * 40_000,
        "customer": one._asdict(),
    }
    lines.append(json.dumps(long).encode())
    return write("planted.jsonl", lines), records


@pytest.fixture(scope="module")
def remains(planted: tuple[Path, list[Record]], tmp_path_factory: pytest.TempPathFactory) -> Remains:
    """Run the command over the planted world and gather everything that can be read afterwards."""
    out = tmp_path_factory.mktemp("planted") / "out"
    command = [sys.executable, "-m", "qianshao.app.cli", "replay", str(planted[0]), "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name != KEY_ENVIRONMENT_VARIABLE}
    ran = subprocess.run(
        command, capture_output=True, timeout=120, check=True, env={**environment, "PYTHONIOENCODING": "utf-8"}
    )
    texts = {"standard output": ran.stdout.decode(), "standard error": ran.stderr.decode()}
    for file in sorted(out.rglob("*")):
        if file.is_file():
            texts[str(file.relative_to(out))] = file.read_bytes().decode("utf-8", "replace")
    texts |= queue_texts(out / "push_queue.sqlite3")
    changes = read_changes(out / "incidents.jsonl")
    store = Store(out / "store")
    try:
        tables = store.select("SELECT name FROM system.tables WHERE database = currentDatabase()")
        for (table,) in tables:
            texts[f"table {table}"] = "\n".join(map(str, store.select(f"SELECT * FROM {table}")))
        now = max(from_rfc3339(change.at) for change in changes)
        texts |= asyncio.run(page_texts(Archive(store, Config().service.zone, lambda: now, finished=True), changes))
    finally:
        store.close()
    texts = {name: html.unescape(ESCAPE.sub(lambda code: chr(int(code[1], 16)), text)) for name, text in texts.items()}
    return Remains(
        texts,
        json.loads(texts["summary.json"])["dead"],
        "".join(f"{change.title}{change.quotes}{change.keywords}{change.about}" for change in changes),
    )


def queue_texts(path: Path) -> dict[str, str]:
    """Every row of the push queue."""
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    finally:
        connection.close()
    return {f"queue {name}": "\n".join(map(str, found)) for name, found in rows.items()}


async def page_texts(reader: Archive, changes: list[IncidentChange]) -> dict[str, str]:
    """Every page and every answer of the console."""
    app = console_app(reader, leads={}, host="127.0.0.1")
    named = sorted({change.incident for change in changes})
    paths = ["/", "/api/status", "/api/incidents", "/incidents/none", "/api/incidents/none"]
    paths += [f"{root}/{name}" for name in named for root in ("/incidents", "/api/incidents")]
    texts = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for path in paths:
            answer = await client.get(path)
            assert answer.status_code == (404 if path.endswith("/none") else 200)
            texts[f"page {path}"] = answer.text
    return texts


def test_the_plants_reached_every_output(remains: Remains, planted: tuple[Path, list[Record]]) -> None:
    said = remains.change_texts
    assert len(set(re.findall("〔.+?〕", said))) >= 2, "quotes of incidents were planted"
    assert len(set(re.findall("〔.+?〕", remains.texts["table events"]))) >= 10
    assert remains.dead > 20 * 24
    assert len(remains.texts["deadletters.jsonl"].splitlines()) == remains.dead
    for name in ("table incidents", "table pushes", "table trends", "queue push", "pushes.jsonl", "trends.jsonl"):
        assert remains.texts[name].count("\n") >= 1
    assert "设备离线" in remains.texts["page /"]
    assert len(remains.texts["page /api/incidents"]) > 500
    assert "立案" in remains.texts["standard output"]
    assert any(name.startswith("store/") for name in remains.texts)


def test_nobody_is_found_again(remains: Remains, people: list[Person]) -> None:
    secrets = sorted({secret for one in people for secret in spoken_of(one)})
    found = {
        f"{name}: {secret!r} in {text[max(0, at - 90) : at + 40]!r}"
        for name, text in remains.texts.items()
        for secret in secrets
        if (at := text.find(secret)) >= 0
    }
    assert not found, "\n".join(sorted(found))


def test_no_account_device_conversation_or_ticket_is_found_again(
    remains: Remains, planted: tuple[Path, list[Record]]
) -> None:
    records = planted[1]
    own: set[str] = set()
    for record in records:
        customer = record.get("customer")
        own.update(customer.values() if isinstance(customer, dict) else ())
        own.update(str(record[name]) for name in ("device", "conversation", "ticket") if name in record)
    own = {value for value in own if WORD.fullmatch(value)} - {str(record["id"]) for record in records}
    assert len(own) > 1_000
    found = {f"{name}: {word}" for name, text in remains.texts.items() for word in own.intersection(WORD.findall(text))}
    assert not found, "\n".join(sorted(found))
