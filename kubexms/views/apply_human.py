"""An apply as it happens: one line per finished task off a terminal, every failure in full, a recap at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubexms.executor.events import (
    Event,
    RunFinished,
    RunResult,
    StepFinished,
    StepProgress,
    StepStatus,
    Stopping,
    TaskFinished,
    Waiting,
)
from kubexms.views.diagnostics import diagnostic_lines
from kubexms.views.escaping import printable
from kubexms.views.outcome import FAILURES, HostTally, Totals, failure_diagnostic, tallies
from kubexms.views.paint import Paint, Role, plain


class ApplyLines:
    """A listener that writes plain lines. `write` gets each line without its end."""

    def __init__(self, write: Callable[[str], None], paint: Paint = plain) -> None:
        self._write = write
        self._paint = paint

    def __call__(self, event: Event) -> None:
        """Say what is worth a line."""
        for line in event_lines(event, self._paint):
            self._write(line)


def event_lines(event: Event, paint: Paint = plain) -> Iterator[str]:
    """The lines for one event; none for most."""
    match event:
        case TaskFinished(module, task, host, changed, failed):
            what = f"{changed} changed" + (f", {failed} failed" if failed else "")
            yield f"[{printable(host)}] {module}/{task}: {paint(Role.ERROR if failed else Role.GOOD, what)}"
        case StepFinished(change, result):
            if result.status in FAILURES or result.status is StepStatus.IGNORED:
                yield ""
                yield from diagnostic_lines(failure_diagnostic(result), paint)
                yield ""
        case StepProgress(change, seconds, message):
            elapsed = f" [{int(seconds)}s]" if seconds >= 1 else ""
            said = f": {printable(message)}" if message else ""
            yield paint(
                Role.DIM, f"[{printable(change.host)}] still at {printable(change.address)}{elapsed}{said}"
            )
        case Waiting(what, address):
            yield paint(
                Role.DIM, f"Waiting: {printable(what)}" + (f" ({printable(address)})" if address else "")
            )
        case Stopping(in_flight):
            yield paint(
                Role.WARNING,
                f"Stopping: {in_flight} step{'s' if in_flight != 1 else ''} in flight will finish. Again to stop now.",
            )
        case RunFinished():
            pass
        case _:
            pass


def recap_lines(result: RunResult, operation: str = "apply", paint: Paint = plain) -> Iterator[str]:
    """A line per host, those with trouble last, and the conclusion."""
    hosts = tallies(result)
    if hosts:
        yield ""
        yield paint(Role.BOLD, "Recap:")
        width = max(len(tally.host) for tally in hosts)
        yield from (_recap_line(tally, width, paint) for tally in hosts)
    yield ""
    totals = Totals.of(result)
    if result.interrupted:
        yield paint(Role.WARNING, f"Interrupted. Resources: {totals.figures()}.")
        yield "What was done is recorded; apply again to go on."
    elif result.failed:
        word = "Destroy" if operation == "destroy" else "Apply"
        yield paint(Role.ERROR, f"{word} failed. Resources: {totals.figures()}.")
        yield "What was done is recorded; apply again once the cause is mended."
    else:
        yield paint(Role.GOOD, totals.line(operation))


def _recap_line(tally: HostTally, width: int, paint: Paint) -> str:
    if tally.unreachable is not None:
        return f"  {printable(tally.host):{width}}  {paint(Role.ERROR, f'unreachable: {printable(tally.unreachable)}')}"
    parts = [f"{tally.ok} ok", f"{tally.changed} changed"]
    if tally.failed:
        parts.append(paint(Role.ERROR, f"{tally.failed} failed"))
    if tally.skipped:
        parts.append(paint(Role.SKIPPED, f"{tally.skipped} skipped"))
    return f"  {printable(tally.host):{width}}  {', '.join(parts)}"
