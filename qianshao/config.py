"""Configuration: TOML into frozen typed sections; unknown keys are refused, secrets come from files or environment."""

from __future__ import annotations

import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from qianshao.errors import ConfigError

DEMONSTRATION_KEY = b"qianshao-demonstration-key-published"
"""Pseudonym key of a replay without a configuration. It is public: anyone can recompute them, and replay says so."""

KEY_ENVIRONMENT_VARIABLE = "QIANSHAO_PSEUDONYM_KEY"

Positive = Annotated[int, Meta(gt=0)]
NotNegative = Annotated[int, Meta(ge=0)]


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[service]`: clock and accounting."""

    timezone: str = "Asia/Shanghai"
    decision_seconds: Positive = 10
    reorder_seconds: NotNegative | None = None
    """None = 300 in a replay, 5 live."""
    allowed_lateness_minutes: NotNegative = 10
    dedup_hours: Positive = 48

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which every timestamp is written and days are cut."""
        return ZoneInfo(self.timezone)


class Privacy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[privacy]`: where the pseudonym key is."""

    pseudonym_key_file: str | None = None


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[identity]`: One-ID, identifiers seen together are one customer."""

    link: bool = True
    maximum: Annotated[int, Meta(ge=1_000)] = 200_000
    """Linked identifiers that are remembered; what was not seen for the longest time is forgotten first."""


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[models]`: models and words of your own beside or in the place of the shipped ones."""

    topic: str | None = None
    """Folder written by `qianshao train topic`."""
    sentiment: str | None = None
    """Folder written by `qianshao train sentiment`."""
    vocabulary: str | None = None
    """File with words of your own that must stay whole, one a line."""
    taxonomy: str | None = None
    """TOML file with topics of your own in the place of the shipped ones."""


class Detection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[detection]`: the knob is a budget."""

    false_alarms_per_day: Annotated[float, Meta(gt=0)] = 0.2
    minimum_customers: Annotated[int, Meta(ge=2)] = 4
    maximum_series: Annotated[int, Meta(ge=1000)] = 200_000


class PushSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[push]`: inside which limits a proactive message may be proposed."""

    quiet_start: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "22:00"
    quiet_end: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "08:00"
    maximum_per_customer_per_day: Positive = 1
    maximum_per_incident: Positive = 5_000
    valid_hours: Positive = 24
    channels: tuple[str, ...] = ("app", "sms")


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[run]`: the running service."""

    state: str = "qianshao-state"
    """Folder of everything that must survive a restart; one process at a time owns it."""
    workers: Annotated[int, Meta(ge=1, le=8)] = 1
    snapshot_seconds: Positive = 30
    calendar: str | None = None

    @property
    def store(self) -> Path:
        """Folder of the embedded store where `clickhouse.path` names none."""
        return Path(self.state) / "store"


class Kafka(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[kafka]`: where events come from and where decisions go."""

    bootstrap: str | None = None
    """host:port, several separated by commas. None = no Kafka."""
    events: Annotated[tuple[str, ...], Meta(min_length=1)] = (
        "cs.chat",
        "cs.calls",
        "cs.tickets",
        "cs.devices",
        "cs.ratings",
    )
    actions: str = "qianshao.actions"
    incidents: str = "qianshao.incidents"
    pushes: str = "qianshao.push"
    trends: str = "qianshao.trends"
    deadletters: str = "qianshao.deadletter"
    group: str = "qianshao"
    start: Literal["earliest", "latest"] = "earliest"
    idle_seconds: Positive = 15
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


class ClickHouse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[clickhouse]`: the store, embedded in this process or on a server."""

    url: str | None = None
    """http:// or https:// address of a server; None = embedded."""
    database: str = "qianshao"
    user: str = "qianshao_writer"
    password_file: str | None = None
    ca_file: str | None = None
    path: str | None = None
    """Folder of the embedded store. None = `store` inside the output or state folder."""
    retention_days: Positive = 90
    query_port: Annotated[int, Meta(ge=0, le=65535)] = 8123
    """Loopback port on which the embedded store answers read-only queries over ClickHouse's HTTP interface."""


class Grafana(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[grafana]`: where dashboards and annotations go, and how Grafana reaches the store."""

    url: str | None = None
    """http:// or https:// address. None = no Grafana."""
    token_file: str | None = None
    ca_file: str | None = None
    folder: str = "前哨 Qianshao"
    language: Literal["zh", "en"] = "zh"
    clickhouse_host: str = "127.0.0.1"
    clickhouse_port: Annotated[int, Meta(ge=1, le=65535)] = 8123
    clickhouse_secure: bool = False
    clickhouse_user: str = "qianshao_reader"
    clickhouse_password_file: str | None = None


class Console(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[console]`: the live page; loopback by default."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8787


class Pipeline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[pipeline]`: sizes that change speed and memory, never results."""

    batch_size: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    shards: Annotated[int, Meta(ge=1, le=256)] = 4


Moment = Annotated[datetime, Meta(tz=True)]
Named = Annotated[str, Meta(min_length=1)]


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[maintenance]]`: planned work; what customers and devices say of it is recorded and opens no incident."""

    name: Named
    start: Moment
    end: Moment
    line: Named | None = None
    """The dimensions that are worked on; what none of them names is everything."""
    product: Named | None = None
    model: Named | None = None
    firmware: Named | None = None
    region: Named | None = None
    channel: Named | None = None

    @property
    def start_ms(self) -> int:
        """Begin, epoch milliseconds."""
        return round(self.start.timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """End, epoch milliseconds."""
        return round(self.end.timestamp() * 1000)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a person can set. Every key is explained in `qianshao.example.toml`."""

    service: Service = Service()
    privacy: Privacy = Privacy()
    identity: Identity = Identity()
    models: Models = Models()
    detection: Detection = Detection()
    push: PushSettings = PushSettings()
    run: Run = Run()
    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    grafana: Grafana = Grafana()
    console: Console = Console()
    pipeline: Pipeline = Pipeline()
    maintenance: tuple[Maintenance, ...] = ()


def load_config(path: Path) -> Config:
    """Read a TOML file into a `Config`.

    Raises
    ------
    ConfigError
        If the file is missing, is not TOML, or holds an unknown key or a wrong value; the message names file and key.
    """
    try:
        with path.open("rb") as handle:
            data = tomllib.load(handle)
    except OSError as error:
        raise ConfigError(f"configuration {path}: cannot be read ({error.strerror}); give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path}: is not TOML ({error}); see qianshao.example.toml") from None
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"configuration {path}: {error}; see qianshao.example.toml for every key") from None
    try:
        _ = config.service.zone
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(
            f"configuration {path}: service.timezone {config.service.timezone!r} is unknown; "
            "use a name such as Asia/Shanghai"
        ) from None
    for place, window in enumerate(config.maintenance):
        if window.end <= window.start:
            raise ConfigError(
                f"configuration {path}: maintenance[{place}].end {window.end.isoformat()} is not after its start "
                f"{window.start.isoformat()}; expected a later moment, RFC 3339 with an offset"
            )
    return config


def pseudonym_key(config: Config) -> tuple[bytes, bool]:
    """Return the pseudonym key and whether it is the published demonstration key.

    The environment variable goes before the file, the file before the demonstration key.

    Raises
    ------
    ConfigError
        If the key file cannot be read or the key is shorter than 16 bytes.
    """
    value = os.environ.get(KEY_ENVIRONMENT_VARIABLE)
    if value is not None:
        key, origin = value.encode(), f"environment variable {KEY_ENVIRONMENT_VARIABLE}"
    elif config.privacy.pseudonym_key_file is not None:
        origin = f"privacy.pseudonym_key_file {config.privacy.pseudonym_key_file}"
        try:
            key = Path(config.privacy.pseudonym_key_file).read_bytes().strip()
        except OSError as error:
            raise ConfigError(f"{origin}: cannot be read ({error.strerror}); name a file with the key") from None
    else:
        return DEMONSTRATION_KEY, True
    if len(key) < 16:
        raise ConfigError(f"{origin}: holds {len(key)} bytes; a pseudonym key needs at least 16 random bytes")
    return key, key == DEMONSTRATION_KEY


KAFKA_VARIABLE = "QIANSHAO_KAFKA_PASSWORD"
CLICKHOUSE_VARIABLE = "QIANSHAO_CLICKHOUSE_PASSWORD"
CLICKHOUSE_READER_VARIABLE = "QIANSHAO_CLICKHOUSE_READER_PASSWORD"
GRAFANA_VARIABLE = "QIANSHAO_GRAFANA_TOKEN"


def secret(variable: str, key: str, file: str | None) -> str | None:
    """Return a secret from an environment variable or, without it, from a file; None if neither is given.

    Parameters
    ----------
    variable
        Name of the environment variable.
    key
        Configuration key that names the file, for the message.
    file
        Path of the file; surrounding white space is not part of the secret.

    Raises
    ------
    ConfigError
        If the file cannot be read or is empty.
    """
    value = os.environ.get(variable)
    if value is not None or file is None:
        return value
    try:
        value = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key} {file}: cannot be read ({error}); name a file that holds only the secret") from None
    if not value:
        raise ConfigError(f"{key} {file}: is empty; write the secret into it, or set {variable}")
    return value
