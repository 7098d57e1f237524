"""An apply on a terminal: a line per busy host that moves, above it what is worth keeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kubexms.executor.events import Event, RunStarted, StepFinished, StepProgress, StepStarted, TaskFinished
from kubexms.views.apply_human import event_lines
from kubexms.views.escaping import printable
from kubexms.views.paint import Paint

_SHOWN = 12
"""Busy hosts shown at most; the others are counted."""


class ApplyLive:
    """A listener that keeps a display up to date. A context manager: the display goes when it ends."""

    def __init__(
        self, paint: Paint, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paint = paint
        self._console = console or Console(highlight=False, markup=False, emoji=False)
        self._clock = clock
        self._busy: dict[str, tuple[str, float, str]] = {}
        self._total = self._done = 0
        self._live = Live(
            console=self._console, refresh_per_second=8, transient=True, get_renderable=self._render
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case RunStarted(changes=changes):
                self._total = changes
            case StepStarted(change):
                self._busy[change.host] = (change.address, self._clock(), "")
            case StepProgress(change, _, message):
                address, began, said = self._busy.get(change.host, (change.address, self._clock(), ""))
                self._busy[change.host] = (address, began, message or said)
            case StepFinished(change, _):
                self._done += 1
                self._busy.pop(change.host, None)
        if isinstance(event, StepProgress | TaskFinished):
            return
        for line in event_lines(event, self._paint):
            self._console.print(Text.from_ansi(line))

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 1))
        now = self._clock()
        for host, (address, began, message) in list(self._busy.items())[:_SHOWN]:
            step = address.rpartition("@")[0]
            said = printable(f"{step}  {message}") if message else printable(step)
            table.add_row(
                Text(f"  {printable(host)}", style="bold"),
                Text(said),
                Text(f"{now - began:.0f}s", style="dim"),
            )
        hidden = len(self._busy) - _SHOWN
        if hidden > 0:
            table.add_row(Text(f"  and {hidden} more hosts", style="dim"))
        table.add_row(Text(f"  {self._done} of {self._total} changes", style="dim"))
        return table
