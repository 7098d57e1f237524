"""The entry point: global options, and commands that are imported when they are called.

Start-up is what a user feels most often: nothing here imports more than click.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

COMMANDS = {
    "apply": "kubexms.cli.apply:apply",
    "completion": "kubexms.cli.completion:completion",
    "destroy": "kubexms.cli.apply:destroy",
    "drift": "kubexms.cli.drift:drift",
    "explain": "kubexms.cli.explain:explain",
    "graph": "kubexms.cli.graph:graph",
    "hosts": "kubexms.cli.hosts:hosts",
    "init": "kubexms.cli.init:init",
    "plan": "kubexms.cli.plan:plan",
    "runs": "kubexms.cli.runs:runs",
    "schema": "kubexms.cli.explain:schema",
    "show": "kubexms.cli.show:show",
    "state": "kubexms.cli.state:state",
    "validate": "kubexms.cli.validate:validate",
    "version": "kubexms.cli.version:version",
}
SUMMARIES = {
    "apply": "Make it so: plan, ask, and change what differs.",
    "completion": "Print the completion script for a shell.",
    "destroy": "Leave every host as it was found.",
    "drift": "Compare hosts with what was last applied.",
    "explain": "Describe a step kind and its fields.",
    "graph": "Show the order of the steps.",
    "hosts": "Ask every host whether it answers, and for its facts.",
    "init": "Write a commented starter project.",
    "plan": "Show what would change; touches no host.",
    "runs": "List and show earlier runs.",
    "schema": "Print the JSON Schema of a kind of document.",
    "show": "Show a saved plan, or the state.",
    "state": "Look at the state, and correct it.",
    "validate": "Check the documents, without any host.",
    "version": "Print the version.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if near:
                error.message += f" Did you mean '{near[0]}'?"
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in sorted(COMMANDS)])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "-C",
    "directory",
    metavar="DIR",
    default=".",
    type=click.Path(path_type=Path),
    help="The project's directory.",
)
@click.option("--no-color", is_flag=True, help="No colour, also on a terminal (as NO_COLOR does).")
@click.pass_context
def cli(ctx: click.Context, directory: Path, no_color: bool) -> None:
    """Bring Linux hosts to a declared state: plan, apply, drift."""
    ctx.obj = {"directory": directory, "no_color": no_color or bool(os.environ.get("NO_COLOR"))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. Exit code 2 means changes or drift; a wrong usage is 1, like every error."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments), prog_name="kubexms", standalone_mode=False
        )
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = 1
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        code = _unforeseen(error)
    sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _unforeseen(error: Exception) -> int:
    """An error that should not have happened: one line, and how to see more."""
    if os.environ.get("KUBEXMS_TRACE"):
        raise error
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    click.echo(f"Error: unforeseen error in kubexms: {text}", err=True)
    click.echo("Please report it with the trace that KUBEXMS_TRACE=1 shows.", err=True)
    return 1


if __name__ == "__main__":
    main()
