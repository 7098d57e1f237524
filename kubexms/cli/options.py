"""The options that commands share, and what they become."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from kubexms.cli.app import App

if TYPE_CHECKING:
    from kubexms.plan.model import PlanOptions
    from kubexms.services.project import Project, Settings

F = TypeVar("F", bound=Callable[..., Any])

_PROJECT = (
    click.option(
        "-f", "--file", "files", multiple=True, metavar="FILE", help="Load this document only; repeatable."
    ),
    click.option(
        "-e", "--environment", "environment", metavar="NAME", help="The environment of the Project document."
    ),
    click.option(
        "--var", "variables", multiple=True, metavar="NAME=VALUE", help="Give a variable; repeatable."
    ),
    click.option(
        "--var-file", "var_files", multiple=True, metavar="FILE", help="Give variables from a file."
    ),
    click.option("--parallelism", type=click.IntRange(1, 1000), metavar="N", help="Hosts worked on at once."),
)
_TRUST = (
    click.option(
        "--untrusted",
        is_flag=True,
        help="Run nothing that the documents bring: no checks, no local or secret commands.",
    ),
)
_SELECTION = (
    click.option(
        "--target", "targets", multiple=True, metavar="GLOB", help="Only these addresses, and what they need."
    ),
    click.option("--exclude", "excludes", multiple=True, metavar="GLOB", help="Not these addresses."),
    click.option("--limit", multiple=True, metavar="HOSTS", help="Only these hosts: globs, role:NAME."),
)
_CHANGES = (
    click.option(
        "--replace", multiple=True, metavar="GLOB", help="Replace these, though they are as they should be."
    ),
    click.option(
        "--allow-destroy",
        multiple=True,
        metavar="GLOB",
        help="Allow hosts to be removed and data to be lost here.",
    ),
)
_OUTPUT = (
    click.option("--json", "as_json", is_flag=True, help="Write JSON."),
    click.option(
        "--no-color",
        is_flag=True,
        help="No colour, also on a terminal.",
        expose_value=False,
        is_eager=True,
        callback=lambda ctx, param, value: _uncoloured(ctx, value),
    ),
)
_EXPAND = (click.option("--expand", is_flag=True, help="Do not fold hosts with the same change into one."),)


class Duration(click.ParamType[float]):
    """Seconds: `30`, `30s`, `5m`, `1h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of seconds. Raises a usage error."""
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if match is None:
            self.fail(f"'{value}' is not a duration; write 30s, 5m or 1h", param, ctx)
        return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2] or "s"]


_LOCK = (
    click.option(
        "--lock-timeout",
        type=Duration(),
        default=0.0,
        metavar="DURATION",
        help="Wait so long for another run (5m).",
    ),
)


def _uncoloured(ctx: click.Context, value: bool) -> None:
    app = ctx.find_object(App)
    if value and app is not None:
        app.no_color = True


def _together(decorators: tuple[Callable[[Any], Any], ...]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


project_options = _together((*_PROJECT, *_TRUST))
"""Which project, with which variables."""
own_project_options = _together(_PROJECT)
"""The same for what changes hosts: who applies documents trusts them."""
selection_options = _together(_SELECTION)
"""Which part of it."""
change_options = _together(_CHANGES)
"""What else it may do."""
output_options = _together(_OUTPUT)
"""How to say it."""
color_option = _together(_OUTPUT[1:])
"""Without colour."""
lock_option = _together(_LOCK)
"""How long to wait for another run."""
expand_option = _together(_EXPAND)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The values of the shared options; a command takes them as `**options`."""

    files: tuple[str, ...] = ()
    environment: str | None = None
    variables: tuple[str, ...] = ()
    var_files: tuple[str, ...] = ()
    parallelism: int | None = None
    untrusted: bool = False
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    allow_destroy: tuple[str, ...] = ()

    def given(self) -> dict[str, str]:
        """`--var` as a mapping; the last one wins. Raises a usage error."""
        found = {}
        for text in self.variables:
            name, equals, value = text.partition("=")
            if not equals or not name:
                raise click.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="--var")
            found[name] = value
        return found

    def narrowing(self) -> list[str]:
        """The flags given that say what a plan is to hold: a saved plan has them already.

        Variables are not among them: a saved plan keeps no secret, so whoever applies it gives it again.
        """
        flags = {
            "--file": self.files,
            "--environment": self.environment,
            "--untrusted": self.untrusted,
            "--target": self.targets,
            "--exclude": self.excludes,
            "--limit": self.limit,
            "--replace": self.replace,
            "--allow-destroy": self.allow_destroy,
        }
        return [flag for flag, value in flags.items() if value]


def settings_for(
    app: App,
    options: PlanOptions,
    parallelism: int | None = None,
    *,
    use: Literal["ask", "act"] | None = None,
) -> Settings:
    """How to open the project of a plan; paths stay relative to the directory of `-C`.

    `use` says what follows for the hosts: asked, or changed as well. They are connected to meanwhile.
    """
    from kubexms.services.project import Foreseen, Settings

    return Settings(
        root=app.root,
        files=tuple(Path(name) for name in options.files),
        environment=options.environment,
        variables=options.variables,
        var_files=tuple(Path(name) for name in options.var_files),
        environ=app.environ,
        parallelism=parallelism,
        untrusted=options.untrusted,
        foreseen=Foreseen(options.limit, acting=use == "act") if use is not None else None,
    )


def plan_options(chosen: Chosen, operation: Literal["apply", "destroy", "drift"] = "apply") -> PlanOptions:
    """What the flags ask for."""
    from kubexms.plan.model import PlanOptions

    return PlanOptions(
        operation=operation,
        environment=chosen.environment,
        targets=chosen.targets,
        excludes=chosen.excludes,
        limit=chosen.limit,
        replace=chosen.replace,
        allow_destroy=chosen.allow_destroy,
        untrusted=chosen.untrusted,
        variables=chosen.given(),
        var_files=chosen.var_files,
        files=chosen.files,
    )


def recorded(options: PlanOptions, project: Project) -> PlanOptions:
    """What may be kept of the options in plans and in the state: no value of a sensitive variable.

    Whoever applies a saved plan gives such values again; the plan is bound to their keyed digests.
    """
    declared = project.loaded.pipeline.variables
    secret = {name for name, spec in declared.items() if spec.sensitive or spec.value_from is not None}
    kept = {name: value for name, value in options.variables.items() if name not in secret}
    return options.model_copy(update={"variables": kept})
