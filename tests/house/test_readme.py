"""The two READMEs say the same, name only what exists, and give the commands that continuous integration runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "README.zh-CN.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)


def headings(text: str) -> list[int]:
    """Levels of the headings outside code blocks, in order."""
    return [len(match) for match in re.findall(r"^(#+) ", FENCE.sub("", text), flags=re.MULTILINE)]


def shell_lines(text: str) -> list[str]:
    return [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]


def tables(text: str) -> list[int]:
    """Number of rows of each table."""
    return [len(block.splitlines()) for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)]


def test_both_languages_have_the_same_headings_code_blocks_tables_and_items() -> None:
    assert headings(CHINESE) == headings(ENGLISH)
    assert FENCE.findall(CHINESE) == FENCE.findall(ENGLISH)
    assert tables(CHINESE) == tables(ENGLISH)
    assert CHINESE.count("\n- ") == ENGLISH.count("\n- ")


def test_the_readme_opens_with_one_sentence_and_then_the_two_commands() -> None:
    title, sentence = [part for part in ENGLISH.split("\n\n") if part][:2]
    assert title.startswith("# ")
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    assert shell_lines(ENGLISH)[:2] == ["make demo", "make test"]


def test_continuous_integration_runs_exactly_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    commands = [line for line in script.splitlines() if re.match(r"(make|pytest|\S*python|tox|uv)\b", line)]
    assert commands == ["make test"]
    assert "make test" in shell_lines(ENGLISH)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    text = page.read_text("utf-8")
    named = set(re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z][a-z-]*)", text))
    named |= {match[1] for line in shell_lines(text) if (match := re.match(r"make ([a-z-]+)", line))}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_local_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text("utf-8")))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_every_decision_is_listed_and_ends_in_how_we_will_know_it_was_wrong() -> None:
    folder = ROOT / "docs" / "adr"
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert len(decisions) >= 7
    index = (folder / "README.md").read_text("utf-8")
    for decision in decisions:
        assert f"]({decision.name})" in index
        last = decision.read_text("utf-8").strip().split("\n\n")[-1]
        assert last.startswith("**How we will know it was wrong.**"), decision.name
