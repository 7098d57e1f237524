"""From the command line's options to an opened project, and from errors to what a user reads."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubexms.diagnostics import Diagnostic
from kubexms.errors import KubexmsError
from kubexms.views.diagnostics import diagnostics_text
from kubexms.views.paint import Paint, plain

if TYPE_CHECKING:
    from kubexms.plan.model import PlanOptions
    from kubexms.services.project import Project
    from kubexms.views.ui_stream import Stream


class Session:
    """One command's surroundings: directory, colours, streams."""

    def __init__(self, context: click.Context) -> None:
        self.directory: Path = context.obj["directory"]
        self._no_color: bool = context.obj["no_color"]

    @property
    def on_terminal(self) -> bool:
        """Whether standard output is a terminal that understands control sequences."""
        return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def paint(self) -> Paint:
        """Colour for standard output, if it may have any."""
        return self._paint(sys.stdout.isatty())

    def _paint(self, terminal: bool) -> Paint:
        if self._no_color or not terminal or os.environ.get("TERM") == "dumb":
            return plain
        from kubexms.views.terminal import coloured

        return coloured()

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None off one."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def complain(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Diagnostics to standard error."""
        found = list(diagnostics)
        if found:
            click.echo(diagnostics_text(found, self._paint(sys.stderr.isatty())), err=True, nl=False)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn a `KubexmsError` into diagnostics and exit code 1."""
        try:
            yield
        except KubexmsError as error:
            self.complain(error.diagnostics)
            raise click.exceptions.Exit(1) from error

    @contextmanager
    def project(
        self, options: Mapping[str, Any], *, writes: bool = False, untrusted: bool = False
    ) -> Iterator[Project]:
        """The opened project; closed afterwards."""
        from kubexms.services.project import Settings, open_project

        with self.errors():
            settings = Settings(
                root=self.directory,
                files=tuple(options.get("files") or ()),
                environment=options.get("environment"),
                variables=_pairs(options.get("variables") or ()),
                var_files=tuple(options.get("var_files") or ()),
                environ=os.environ,
                parallelism=options.get("parallelism"),
                untrusted=untrusted,
            )
            project = open_project(settings, writes=writes)
            try:
                self.complain(project.loaded.warnings)
                yield project
            finally:
                project.close()


def plan_options(options: Mapping[str, Any], operation: str = "apply") -> PlanOptions:
    """What a plan is asked for, from the command's options."""
    from kubexms.plan.model import PlanOptions

    return PlanOptions.model_validate(
        {
            "operation": operation,
            "environment": options.get("environment"),
            "targets": options.get("targets") or (),
            "excludes": options.get("excludes") or (),
            "limit": options.get("limit") or (),
            "replace": options.get("replace") or (),
            "allow_destroy": options.get("allow_destroy") or (),
            "untrusted": bool(options.get("untrusted")),
        }
    )


def json_stream(operation: str) -> Stream:
    """The stream of JSON events on standard output."""
    from datetime import UTC, datetime

    from kubexms import __version__
    from kubexms.views.ui_stream import Stream

    return Stream(lambda line: click.echo(line), lambda: datetime.now(UTC), __version__, operation)


def _pairs(values: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name:
            raise click.UsageError(f"--var {value} is not NAME=VALUE")
        found[name] = text
    return found
