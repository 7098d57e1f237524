"""An apply where there is no terminal: one line per finished task, every failure in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubexms.executor.events import (
    Event,
    RefreshFinished,
    RefreshStarted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepProgress,
    StepStarted,
    StepStatus,
    Stopping,
    TaskFinished,
    Waiting,
)
from kubexms.views.diagnostics import diagnostic_lines
from kubexms.views.escaping import printable
from kubexms.views.outcome import FAILURES, failure_diagnostic
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.values import plural


class ApplyLines:
    """A `Listener` that writes whole lines. `write` gets text that ends with a newline."""

    def __init__(
        self, write: Callable[[str], None], paint: Paint = plain, *, width: int | None = None
    ) -> None:
        self._write = write
        self._paint = paint
        self._width = width
        self._gap = False

    def __call__(self, event: Event) -> None:
        """Write what `event` has to say, if anything."""
        text = "".join(f"{line}\n" for line in event_lines(event, self._paint, width=self._width))
        if text:
            failure = isinstance(event, StepFinished)
            self._write("\n" + text if failure or self._gap else text)
            self._gap = failure


def event_lines(event: Event, paint: Paint, *, width: int | None = None) -> Iterator[str]:
    """The lines for one event; none for most."""
    match event:
        case RunStarted(_, changes, hosts):
            if changes:
                yield f"Applying {plural(changes, 'change')} on {plural(len(hosts), 'host')}."
            else:
                yield "Closing what an earlier run left open."
        case TaskFinished():
            yield task_line(event, paint)
        case StepProgress(change, seconds, message):
            said = f" {printable(message)}" if message else ""
            path, _, host = change.address.rpartition("@")
            after = f" ({seconds:.0f}s)" if seconds else ""
            yield f"[{printable(host)}] {printable(path)}: still at work{after}{said}"
        case StepFinished(_, result) if result.status in FAILURES or result.status is StepStatus.IGNORED:
            yield from diagnostic_lines(failure_diagnostic(result), paint, width=width)
        case Waiting(what, address):
            yield (
                f"{printable(address)}: waiting for {printable(what)}"
                if address
                else f"Waiting for {printable(what)}"
            )
        case Stopping(count):
            yield paint(Role.WARNING, stopping_line(count))
        case RefreshStarted() | RefreshFinished() | StepStarted() | StepFinished() | RunFinished():
            return


def task_line(event: TaskFinished, paint: Paint) -> str:
    """`[n1] os/kernel: 3 changed`."""
    parts = []
    if event.changed:
        parts.append(paint(Role.CHANGE, f"{event.changed} changed"))
    if event.failed:
        parts.append(paint(Role.ERROR, f"{event.failed} failed"))
    if event.ignored:
        parts.append(paint(Role.WARNING, f"{event.ignored} ignored"))
    words = ", ".join(parts) or paint(Role.GOOD, "ok")
    return f"[{printable(event.host)}] {printable(event.module)}/{printable(event.task)}: {words}"


def stopping_line(count: int) -> str:
    """What a first Ctrl-C is answered with."""
    if not count:
        return "Stopping."
    return f"Stopping: {plural(count, 'step')} in flight will be finished. Interrupt again to stop now."
