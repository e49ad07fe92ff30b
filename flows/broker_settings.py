"""The settings with which every client of ours, whether it reads, writes or examines, connects to the broker."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from qianshao.config import KAFKA_VARIABLE, Kafka, secret
from qianshao.errors import ConfigError

CLIENT_ID = "qianshao"
LOGGER = "qianshao.kafka"

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::[0-9]{1,5})?")

# Without a handler of its own the messages would go to stderr through the handler of last resort.
_logger = logging.getLogger(LOGGER)
_logger.addHandler(logging.NullHandler())


def client_settings(kafka: Kafka) -> dict[str, object]:
    """Return the librdkafka settings that every client of ours shares: address, security, name, a quiet logger.

    Parameters
    ----------
    kafka
        Section `[kafka]`.

    Returns
    -------
    dict
        New on every call; what the library has to say goes to the logger `qianshao.kafka`.

    Raises
    ------
    ConfigError
        If there is no address, a secret or a file is missing, or keys contradict each other; nothing is connected to.
    """
    if not (kafka.bootstrap or "").strip():
        raise ConfigError('kafka.bootstrap: is not set; name the brokers, such as "127.0.0.1:9092"')
    addresses = [address.strip() for address in (kafka.bootstrap or "").split(",")]
    for address in addresses:
        if _ADDRESS.fullmatch(address) is None:
            raise ConfigError(f"kafka.bootstrap: {address!r} is no address; write host:port, several with commas")
    settings: dict[str, object] = {
        "bootstrap.servers": ",".join(addresses),
        "security.protocol": kafka.security,
        "client.id": CLIENT_ID,
        "log_level": 4,
        "logger": _logger,
    }
    sasl, tls = kafka.security.startswith("sasl"), kafka.security.endswith("ssl")
    if sasl:
        password = secret(KAFKA_VARIABLE, "kafka.password_file", kafka.password_file)
        if not kafka.username or not password:
            missing = "kafka.password_file" if kafka.username else "kafka.username"
            raise ConfigError(
                f"{missing}: is missing, but kafka.security is {kafka.security!r}; "
                f"set kafka.username and kafka.password_file (or {KAFKA_VARIABLE})"
            )
        settings |= {
            "sasl.mechanism": kafka.mechanism,
            "sasl.username": kafka.username,
            "sasl.password": password,
        }
    elif kafka.username is not None or kafka.password_file is not None:
        raise ConfigError(
            f"kafka.username, kafka.password_file: would not be used, kafka.security is {kafka.security!r}; "
            'write "sasl_plaintext" or "sasl_ssl", or remove them'
        )
    files = {
        "ssl.ca.location": ("kafka.ca_file", kafka.ca_file),
        "ssl.certificate.location": ("kafka.certificate_file", kafka.certificate_file),
        "ssl.key.location": ("kafka.key_file", kafka.key_file),
    }
    if (kafka.certificate_file is None) != (kafka.key_file is None):
        given, other = ("certificate_file", "key_file") if kafka.key_file is None else ("key_file", "certificate_file")
        raise ConfigError(f"kafka.{given}: is set without kafka.{other}; a client certificate needs both")
    for setting, (key, value) in files.items():
        if value is None:
            continue
        if not tls:
            raise ConfigError(
                f'{key}: would not be used, kafka.security is {kafka.security!r}; write "ssl" or "sasl_ssl", '
                "or remove it"
            )
        try:
            Path(value).read_bytes()
        except OSError as error:
            raise ConfigError(f"{key} {value}: cannot be read ({error.strerror}); name a PEM file") from None
        settings[setting] = value
    return settings
