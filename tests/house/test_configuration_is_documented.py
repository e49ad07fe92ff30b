"""The example configuration explains every key, knows no other, and says the defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from qianshao.config import Config, load_config
from qianshao.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "qianshao.example.toml"
OPTIONAL_KEY = re.compile(r"^# (\w+ = )", flags=re.MULTILINE)


def keys_of_config() -> dict[str, object]:
    """Every `section.key` of the configuration with its default."""
    sections = {field.name: field.default for field in msgspec.structs.fields(Config)}
    return {
        f"{name}.{field.name}": getattr(section, field.name)
        for name, section in sections.items()
        for field in msgspec.structs.fields(type(section))
    }


def keys_of_example(text: str) -> dict[str, object]:
    return {f"{section}.{key}": value for section, keys in tomllib.loads(text).items() for key, value in keys.items()}


def test_the_example_loads_as_it_stands_and_changes_nothing() -> None:
    assert load_config(EXAMPLE) == Config()


def test_the_example_shows_every_key_and_no_other() -> None:
    everything = OPTIONAL_KEY.sub(r"\1", EXAMPLE.read_text("utf-8"))
    assert sorted(keys_of_example(everything)) == sorted(keys_of_config())


def test_the_example_with_its_optional_keys_loads_too(tmp_path: Path) -> None:
    everything = tmp_path / "everything.toml"
    everything.write_text(OPTIONAL_KEY.sub(r"\1", EXAMPLE.read_text("utf-8")), "utf-8")
    assert load_config(everything) != Config()


def test_every_key_of_the_example_is_explained_right_above_it() -> None:
    # Two keys may share one explanation when they follow each other (quiet_start, quiet_end).
    unexplained = []
    explained = False
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if line.startswith("#") and not OPTIONAL_KEY.match(line):
            explained = True
        elif " = " in line:
            if not explained:
                unexplained.append(line)
        else:
            explained = False
    assert unexplained == []


def test_the_values_shown_are_the_defaults() -> None:
    defaults = keys_of_config()
    for key, value in keys_of_example(EXAMPLE.read_text("utf-8")).items():
        shown = tuple(value) if isinstance(value, list) else value
        assert shown == defaults[key], key


def test_an_unknown_key_is_refused_with_its_path(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[detection]\nfalse_alarms_per_dya = 1\n", "utf-8")
    with pytest.raises(ConfigError, match=r"wrong\.toml.*false_alarms_per_dya.*detection"):
        load_config(wrong)
