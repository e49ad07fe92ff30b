"""Every command is in the README and every command of the README exists; its session runs as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from qianshao.app import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *ROOT.glob("docs/**/*.md")])


def command_group() -> click.Group:
    """The command line as click knows it."""
    return cli.cli


def every_command(group: click.Group) -> dict[str, click.Command]:
    """Each command by its words, those inside groups too."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": value for inner, value in every_command(command).items()}
    return found


def command_lines(text: str) -> list[list[str]]:
    """Each line of a shell block that calls qianshao, split into words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("qianshao ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_shows_exists(page: Path) -> None:
    commands = command_group().commands
    text = page.read_text("utf-8")
    assert set(re.findall(r"`qianshao ([a-z]+)", text)) <= commands.keys()
    for _, name, *arguments in command_lines(text):
        command = commands[name]
        while isinstance(command, click.Group):
            command = command.commands[arguments.pop(0)]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {argument for argument in arguments if argument.startswith("--")} <= options


def test_every_command_is_in_the_readme() -> None:
    commands = {name: command for name, command in every_command(command_group()).items() if not command.hidden}
    assert command_group().commands.keys() >= set(re.findall(r"`qianshao ([a-z]+)", README))
    assert [name for name in commands if not re.search(rf"`qianshao {name}\b", README)] == []


def test_every_command_and_option_explains_itself() -> None:
    silent = []
    for name, command in every_command(command_group()).items():
        if not command.help:
            silent.append(name)
        silent += [
            f"{name} {option.name}" for option in command.params if isinstance(option, click.Option) and not option.help
        ]
    assert silent == []


def run_block(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block of the README as a person would paste it, in `folder`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-e", "-c", block],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def block_with(words: str) -> str:
    (block,) = [block for block in BLOCKS if words in block]
    return block


def test_the_readmes_own_events_are_all_counted(tmp_path: Path) -> None:
    run = run_block(block_with("cat > events.jsonl"), tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    out = tmp_path / "replayed"
    for name in ("incidents.jsonl", "pushes.jsonl", "deadletters.jsonl", "trends.jsonl", "summary.json"):
        assert (out / name).is_file(), name
        assert f"`{name}`" in README
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert (summary["read"], summary["counted"]) == (3, 3)


def test_the_readmes_world_is_made_replayed_and_scored(tmp_path: Path) -> None:
    run = run_block(block_with("qianshao world"), tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads((tmp_path / "scored" / "summary.json").read_text("utf-8"))
    assert summary["read"] == sum(summary[part] for part in ("counted", "late", "dead", "duplicate", "dropped"))
    for figure in ("precision", "recall", "severe_recall", "customers_seen_p50"):
        assert figure in summary
