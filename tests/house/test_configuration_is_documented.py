"""The example configuration explains every key, knows no other, and says the defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from qianshao.config import Config, Maintenance, load_config
from qianshao.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "qianshao.example.toml"
OPTIONAL_KEY = re.compile(r"^# (\w+ = |\[\[\w+\]\])", flags=re.MULTILINE)


def keys_of_config() -> dict[str, object]:
    """Every `section.key` of the configuration with its default."""
    sections = {field.name: field.default for field in msgspec.structs.fields(Config) if field.default != ()}
    return {
        f"{name}.{field.name}": getattr(section, field.name)
        for name, section in sections.items()
        for field in msgspec.structs.fields(type(section))
    } | {f"maintenance.{field.name}": None for field in msgspec.structs.fields(Maintenance)}


def keys_of_example(text: str) -> dict[str, object]:
    """Every `section.key`; of a section that may stand several times, those of the first."""
    sections = {name: keys[0] if isinstance(keys, list) else keys for name, keys in tomllib.loads(text).items()}
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


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
        elif not OPTIONAL_KEY.match(line):
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


WINDOW = '[[maintenance]]\nname = "升级"\nstart = {start}\nend = {end}\n'


def test_planned_work_is_read_from_times_as_toml_or_as_text(tmp_path: Path) -> None:
    written = tmp_path / "work.toml"
    times = ("2026-11-15T01:00:00+08:00", '"2026-11-14T19:00:00Z"')
    written.write_text(WINDOW.format(start=times[0], end=times[1]) + 'region = "华东"\n', "utf-8")
    (window,) = load_config(written).maintenance
    assert (window.start_ms, window.end_ms - window.start_ms) == (1_794_675_600_000, 7_200_000)
    assert (window.region, window.product) == ("华东", None)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-11-15T01:00:00", "2026-11-15T03:00:00+08:00", r"timezone.*maintenance\[0\]\.start"),
        ('"tomorrow"', "2026-11-15T03:00:00+08:00", r"RFC3339.*maintenance\[0\]\.start"),
        ("2026-11-15T01:00:00+08:00", "2026-11-15", r"datetime.*maintenance\[0\]\.end"),
        ("2026-11-15T01:00:00+08:00", "2026-11-14T17:00:00Z", r"maintenance\[0\]\.end.*is not after its start"),
    ],
)
def test_planned_work_that_is_malformed_is_refused_with_file_key_and_what_was_expected(
    tmp_path: Path, start: str, end: str, said: str
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(WINDOW.format(start=start, end=end), "utf-8")
    with pytest.raises(ConfigError, match=rf"wrong\.toml: .*{said}"):
        load_config(wrong)


def test_planned_work_knows_no_other_key(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(WINDOW.format(start='"2026-11-15T01:00:00Z"', end='"2026-11-15T02:00:00Z"') + "kinds = []\n")
    with pytest.raises(ConfigError, match=r"kinds.*maintenance\[0\]"):
        load_config(wrong)
