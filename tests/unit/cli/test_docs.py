"""The pages on commands and output say everything that there is, and nothing that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kubexms.cli.lazy import COMMANDS
from kubexms.cli.main import cli
from kubexms.views import wording

DOCS = Path(__file__).resolve().parents[3] / "docs"
COMMAND_PAGE = (DOCS / "commands.md").read_text("utf-8")
OUTPUT_PAGE = (DOCS / "output.md").read_text("utf-8")


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())


@pytest.mark.parametrize(
    ("name", "command"), list(_commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_on_the_page(name: str, command: click.Command) -> None:
    assert name in COMMAND_PAGE
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"{parameter.opts[-1]}" in COMMAND_PAGE, f"{name} {parameter.opts[-1]}"
    assert command.help, f"{name} has no help"


def test_every_option_on_the_page_exists() -> None:
    known = {flag for _, command in _commands() for parameter in command.params for flag in parameter.opts}
    known |= {flag for parameter in cli.params for flag in parameter.opts} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", COMMAND_PAGE)) <= known


def test_every_environment_variable_on_the_page_is_read_somewhere() -> None:
    sources = "".join(path.read_text("utf-8") for path in (DOCS.parent / "kubexms").rglob("*.py"))
    names = re.findall(r"^\| `([A-Z][A-Z_]+[A-Z])", COMMAND_PAGE, re.MULTILINE)
    assert names
    for name in names:
        assert name in sources


def test_signs_and_words_are_on_the_page() -> None:
    for action, words in wording.OUTCOMES.items():
        if action in wording.LEGEND:
            assert f"`{wording.SIGNS[action]}`" in OUTPUT_PAGE
            assert words in OUTPUT_PAGE
