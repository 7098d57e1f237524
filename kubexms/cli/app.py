"""What every command is given: where it runs, where it writes, and which services it calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from kubexms.cli.seam import InstalledServices, Services

if TYPE_CHECKING:
    from kubexms.views.paint import Paint
    from kubexms.views.ui_stream import Stream


@dataclass
class App:
    """One invocation. Tests give other services, streams and clocks."""

    services: Services = field(default_factory=InstalledServices)
    root: Path = Path()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    interactive: bool | None = None
    """Whether somebody can answer a question; None: whether stdin is a terminal."""
    read_line: Callable[[], str] = field(default_factory=lambda: sys.stdin.readline)
    """The next line of what somebody types; empty at the end."""
    stream: Stream | None = None
    """Where diagnostics go when the command writes a stream of events."""
    no_color: bool = False
    broken: bool = False
    """Nobody reads standard output any more."""

    def path(self, name: str | Path) -> Path:
        """A path as if kubexms had been started in the directory of `-C`."""
        return self.root / name

    def write(self, text: str) -> None:
        """Write to standard output. A reader that left changes nothing of what is being done."""
        if self.broken:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self._give_up()

    def write_line(self, text: str) -> None:
        """The same with a line end."""
        self.write(text + "\n")

    def flush(self) -> None:
        """Get rid of what others left in the buffer of standard output."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            self._give_up()

    def complain(self, text: str) -> None:
        """Write to standard error."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except BrokenPipeError:
            pass

    def _give_up(self) -> None:
        self.broken = True
        # whatever is still buffered must not raise at exit
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

    @property
    def can_ask(self) -> bool:
        """Whether somebody can answer a question."""
        return sys.stdin.isatty() if self.interactive is None else self.interactive

    def is_terminal(self, stream: IO[str] | None = None) -> bool:
        """Whether standard output (or `stream`) is a terminal that understands control sequences."""
        return (stream or sys.stdout).isatty() and self.environ.get("TERM") != "dumb"

    def paint(self, stream: IO[str] | None = None) -> Paint:
        """Colour where it is welcome: a terminal, neither `NO_COLOR` nor `--no-color`; or `FORCE_COLOR`."""
        from kubexms.views.paint import plain

        refused = self.no_color or bool(self.environ.get("NO_COLOR"))
        if refused or not (self.is_terminal(stream) or self.environ.get("FORCE_COLOR")):
            return plain
        from kubexms.views.terminal import coloured

        return coloured()

    def error_paint(self) -> Paint:
        """The same for standard error."""
        return self.paint(sys.stderr)

    def width(self, stream: IO[str] | None = None) -> int | None:
        """Columns to wrap prose to; None off a terminal."""
        if not self.is_terminal(stream):
            return None
        import shutil

        return shutil.get_terminal_size().columns


pass_app = click.make_pass_decorator(App)
