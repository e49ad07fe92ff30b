"""The keys of [kafka] become one set of settings, or a message that names the key to correct."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from flows.broker_settings import client_settings
from qianshao.config import KAFKA_VARIABLE, Kafka
from qianshao.errors import ConfigError


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A password, a certificate and a key."""
    for name in ("password", "certificate", "key"):
        (tmp_path / name).write_text(f" {name}-text\n", "utf-8")
    return {name: str(tmp_path / name) for name in ("password", "certificate", "key")}


def settings(**keys: Any) -> dict[str, object]:
    return client_settings(Kafka(**{"bootstrap": "127.0.0.1:9092", **keys}))


def test_addresses_may_be_several_and_of_any_kind() -> None:
    assert settings(bootstrap="a:9092, b.example:9093,[::1]:9094,c")["bootstrap.servers"] == (
        "a:9092,b.example:9093,[::1]:9094,c"
    )


def test_the_password_comes_from_its_file_and_the_environment_goes_before(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"security": "sasl_ssl", "username": "qianshao", "password_file": files["password"]}
    made = settings(**keys)
    assert (made["sasl.mechanism"], made["sasl.username"]) == ("SCRAM-SHA-512", "qianshao")
    assert made["sasl.password"] == "password-text"
    monkeypatch.setenv(KAFKA_VARIABLE, "from-the-environment")
    assert settings(**keys)["sasl.password"] == "from-the-environment"


def test_certificates_are_passed_on_as_files(files: dict[str, str]) -> None:
    made = settings(security="ssl", certificate_file=files["certificate"], key_file=files["key"])
    assert (made["ssl.certificate.location"], made["ssl.key.location"]) == (files["certificate"], files["key"])
    assert "ssl.ca.location" not in made


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"bootstrap": None}, r"kafka\.bootstrap: is not set"),
        ({"bootstrap": " "}, r"kafka\.bootstrap: is not set"),
        ({"bootstrap": "http://127.0.0.1:9092"}, r"kafka\.bootstrap: 'http://127\.0\.0\.1:9092' is no address"),
        ({"bootstrap": "a:9092,"}, r"kafka\.bootstrap: '' is no address"),
        ({"security": "sasl_ssl"}, r"kafka\.username: is missing"),
        ({"security": "sasl_ssl", "username": "q"}, rf"kafka\.password_file: is missing.*{KAFKA_VARIABLE}"),
        ({"security": "sasl_ssl", "username": "q", "password_file": "/none"}, r"kafka\.password_file /none"),
        ({"username": "q"}, r"kafka\.username.*would not be used"),
        ({"password_file": "/none", "security": "ssl"}, r"kafka\.password_file: would not be used"),
        ({"ca_file": "/none"}, r"kafka\.ca_file: would not be used"),
        ({"ca_file": "/none", "security": "ssl"}, r"kafka\.ca_file /none: cannot be read"),
        ({"certificate_file": "/none", "security": "ssl"}, r"kafka\.certificate_file: is set without kafka\.key_file"),
        ({"key_file": "/none", "security": "ssl"}, r"kafka\.key_file: is set without kafka\.certificate_file"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_its_key(
    keys: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KAFKA_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=named):
        settings(**keys)


def test_the_client_library_writes_into_our_log_and_not_to_the_terminal(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    producer = Producer(settings(bootstrap="127.0.0.1:1"))
    with caplog.at_level(logging.WARNING, "qianshao.kafka"):
        for _ in range(200):
            producer.poll(0.05)
            if caplog.records:
                break
    assert "Connection refused" in caplog.text
    assert capfd.readouterr().err == ""
