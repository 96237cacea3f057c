"""The documents say what is there: links lead somewhere, commands and options exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from lidarpan.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = typer.main.get_command(app)


def links(page):
    return re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    local = [link for link in links(page) if not link.startswith(("http://", "https://"))]
    wrong = [link for link in local if not (page.parent / link).exists()]
    assert not wrong


def test_every_page_is_in_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text()
    missing = [p.name for p in (ROOT / "docs").glob("*.md") if f": {p.name}" not in contents]
    assert not missing


def commands(page):
    """Every command line of a page: indented or fenced, or between backticks."""
    text = page.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        found = re.match(r"(?:    |\$ )(?:\.venv/bin/)?lidarpan (.*)", line)
        if found:
            yield found[1]
    for found in re.findall(r"`lidarpan ([a-z][^`]*)`", text):
        yield found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    wrong = []
    for line in commands(page):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            wrong.append(f"cannot be split: {line}")
            continue
        command, used = COMMANDS, []
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
            used.append(command.name)
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        known |= {"--help", "-h"}
        if command is COMMANDS and words and not words[0].startswith("-"):
            wrong.append(f"no command {words[0]}: {line}")
        wrong += [
            f"{' '.join(used)} has no {word.split('=')[0]}"
            for word in words
            if word.startswith("--") and word.split("=")[0] not in known
        ]
    assert not wrong
