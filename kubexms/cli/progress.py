"""Who listens to events: a live display on a terminal, plain lines elsewhere, a stream for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubexms import __version__
from kubexms.cli.app import App

if TYPE_CHECKING:
    from kubexms.executor.events import Event, Listener
    from kubexms.plan.model import Plan
    from kubexms.views.apply_live import LiveProgress
    from kubexms.views.ui_stream import Stream


def open_stream(app: App, operation: str = "apply") -> Stream:
    """Begin a stream of events; from now on diagnostics go into it, too."""
    from kubexms.views.ui_stream import Stream

    app.stream = Stream(app.write_line, app.now, __version__, operation)
    app.stream.begin()
    return app.stream


@contextmanager
def asking(app: App) -> Iterator[Listener]:
    """A listener for commands that only ask hosts: progress on standard error, if that is a terminal."""
    if app.stream is not None:
        yield app.stream
    elif app.is_terminal(sys.stderr):
        with _live(app, stderr=True) as live:
            yield live
    else:
        yield silent


def silent(event: Event) -> None:
    """Listens to nothing."""


@dataclass
class ApplyView:
    """The listener of an apply, and what must happen around its question."""

    listener: Listener
    live: LiveProgress | None = None

    def planned(self, plan: Plan) -> None:
        """The plan is known: the terminal belongs to it until the run starts."""
        if self.live is not None:
            self.live.plan(plan)


@contextmanager
def applying(app: App, *, prompting: bool = False) -> Iterator[ApplyView]:
    """What shows an apply; plain lines if it asks questions while it runs."""
    if app.stream is not None:
        yield ApplyView(app.stream)
    elif app.is_terminal() and not prompting:
        with _live(app, stderr=False) as live:
            yield ApplyView(live, live)
    else:
        from kubexms.views.apply_lines import ApplyLines

        yield ApplyView(ApplyLines(app.write, app.paint()))


def _live(app: App, *, stderr: bool) -> LiveProgress:
    from rich.console import Console

    from kubexms.views.apply_live import LiveProgress

    stream = sys.stderr if stderr else sys.stdout
    paint = app.paint(stream)
    options: dict[str, Any] = {"no_color": app.no_color or bool(app.environ.get("NO_COLOR"))}
    return LiveProgress(Console(file=stream, force_terminal=True, **options), paint, time.monotonic)
