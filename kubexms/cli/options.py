"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def project_options(command: F) -> F:
    """Which documents, environment and variables."""
    for option in reversed(
        [
            click.option(
                "-f", "--file", "files", multiple=True, type=PATH, help="Load only this file (repeatable)."
            ),
            click.option("-e", "--environment", metavar="NAME", help="The environment of the project."),
            click.option(
                "--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable (repeatable)."
            ),
            click.option(
                "--var-file",
                "var_files",
                multiple=True,
                type=PATH,
                help="Variables from a file (repeatable).",
            ),
        ]
    ):
        command = option(command)
    return command


def selection_options(command: F) -> F:
    """Which part of the plan."""
    for option in reversed(
        [
            click.option(
                "--target",
                "targets",
                multiple=True,
                metavar="GLOB",
                help="Only these addresses, and what they need.",
            ),
            click.option("--exclude", "excludes", multiple=True, metavar="GLOB", help="Not these addresses."),
            click.option(
                "--limit",
                multiple=True,
                metavar="HOSTS",
                help="Only these hosts (globs; role:NAME for a role).",
            ),
        ]
    ):
        command = option(command)
    return command


def change_options(command: F) -> F:
    """What a plan may do."""
    for option in reversed(
        [
            click.option("--replace", multiple=True, metavar="GLOB", help="Undo and make these anew."),
            click.option(
                "--allow-destroy",
                multiple=True,
                metavar="GLOB",
                help="Hosts to remove and addresses that may lose data.",
            ),
        ]
    ):
        command = option(command)
    return command


def parallelism_option(command: F) -> F:
    """How many hosts at once."""
    option = click.option(
        "--parallelism", type=click.IntRange(1, 1000), metavar="N", help="Hosts worked on at once."
    )
    return option(command)


def json_option(command: F) -> F:
    """Events as JSON, a line each."""
    return click.option("--json", "as_json", is_flag=True, help="Print a stream of JSON events.")(command)


class Duration(click.ParamType[float]):
    """Seconds: `30`, `30s`, `5m`, `1h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        units = {"s": 1.0, "m": 60.0, "h": 3600.0}
        text = str(value)
        number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
        try:
            return float(number) * units[unit]
        except ValueError:
            self.fail(f"{value!r} is not a duration; write 30s, 5m or 1h", param, ctx)


def lock_option(command: F) -> F:
    """How long to wait for the state's lock."""
    help_text = "Wait so long for another run's lock (30s, 5m)."
    return click.option("--lock-timeout", type=Duration(), default=0.0, metavar="DURATION", help=help_text)(
        command
    )
