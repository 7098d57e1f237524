"""A command group that imports a command when it is used: `--help` and `version` stay quick."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("kubexms.cli.init:init", "Write a commented starter project."),
    "validate": ("kubexms.cli.validate:validate", "Check the documents; no host is asked."),
    "plan": ("kubexms.cli.plan:plan", "Show what would change; no host is changed."),
    "apply": ("kubexms.cli.apply:apply", "Make the changes of a plan."),
    "drift": ("kubexms.cli.drift:drift", "Say what changed on hosts since the last apply."),
    "destroy": ("kubexms.cli.apply:destroy", "Undo everything that is managed here."),
    "show": ("kubexms.cli.show:show", "Show a saved plan, or the state."),
    "graph": ("kubexms.cli.graph:graph", "Show the order of all steps."),
    "state": ("kubexms.cli.state:state", "Look at the state, and repair it."),
    "runs": ("kubexms.cli.runs:runs", "Look at what earlier runs did."),
    "hosts": ("kubexms.cli.hosts:hosts", "Ask every host whether it answers, and what it is."),
    "artifacts": ("kubexms.cli.artifacts:artifacts", "Keep the files that clusters are built from."),
    "explain": ("kubexms.cli.explain:explain", "Explain a step kind or a document, field by field."),
    "build": ("kubexms.cli.build:build", "Print the pipeline that a Cluster document stands for."),
    "schema": ("kubexms.cli.schema:schema", "Print the JSON Schema of a document kind."),
    "completion": ("kubexms.cli.completion:completion", "Print the completion script for a shell."),
    "version": ("kubexms.cli.version:version", "Print the version."),
}
"""Name -> where the command is, and its line in `--help`. In the order of `--help`."""

ENTRY_POINT_GROUP = "kubexms.commands"
"""Installed packages add commands here: `name = "package.module:command"`."""


class LazyGroup(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are met; those of other packages last."""
        return [*COMMANDS, *sorted(set(_added()) - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it."""
        found = COMMANDS.get(cmd_name)
        if found is not None:
            module, _, attribute = found[0].partition(":")
            return _command(getattr(importlib.import_module(module), attribute))
        entry = _added().get(cmd_name)
        return None if entry is None else _command(entry.load())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises a usage error that says where an option of a command goes."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            command = next((self.get_command(ctx, word) for word in given if word in COMMANDS), None)
            knows = [name for param in command.params for name in param.opts] if command is not None else ()
            if command is None or error.option_name not in knows:
                raise
            raise click.UsageError(
                f"{error.option_name} goes after the command: kubexms {command.name} {error.option_name} ...",
                ctx=click.Context(command, parent=ctx, info_name=command.name),
            ) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises a usage error that suggests the nearest command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that nothing is imported but what other packages add."""
        rows = [(name, text) for name, (_, text) in COMMANDS.items()]
        for name, entry in sorted(_added().items()):
            if name not in COMMANDS:
                rows.append((name, _command(entry.load()).get_short_help_str(limit=80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _added() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def _command(found: object) -> click.Command:
    assert isinstance(found, click.Command)
    return found
