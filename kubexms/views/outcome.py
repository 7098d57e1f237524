"""What came of a run, counted and put into words: what every apply view shares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import exit_words
from kubexms.executor.events import HOOK, RunResult, StepResult, StepStatus
from kubexms.step.contract import ActionKind
from kubexms.views.folding import natural

SHOWN = 20
"""Lines of each output stream that are shown of a step that failed; its result keeps more."""
FAILURES = frozenset({StepStatus.FAILED, StepStatus.INTERRUPTED, StepStatus.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Totals:
    """Objects that a run added, changed and destroyed; what was right already does not count."""

    added: int = 0
    changed: int = 0
    destroyed: int = 0

    @classmethod
    def of(cls, result: RunResult) -> Totals:
        """Counted from the results; a replacement is added and destroyed."""
        done = Counter(
            item.action
            for item in result.results
            if item.status is StepStatus.OK and item.changed and item.kind != HOOK
        )
        replaced = done[ActionKind.REPLACE]
        return cls(
            added=done[ActionKind.CREATE] + replaced,
            changed=done[ActionKind.UPDATE] + done[ActionKind.RUN],
            destroyed=done[ActionKind.DELETE] + replaced,
        )

    def line(self, operation: str) -> str:
        """The words after which other tools look: `Apply complete! Resources: …`."""
        if operation == "destroy":
            return f"Destroy complete! Resources: {self.destroyed} destroyed."
        return f"{operation.capitalize()} complete! Resources: {self.figures()}."

    def figures(self) -> str:
        """`1 added, 0 changed, 2 destroyed`."""
        return f"{self.added} added, {self.changed} changed, {self.destroyed} destroyed"


@dataclass(slots=True)
class HostTally:
    """One host's line in the recap."""

    host: str
    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    ignored: int = 0
    """Failures that the step says do not matter."""
    unreachable: str | None = None
    """Why; None: it could be reached."""
    stale: bool = False
    """It was left out, because something moved on it since the plan was made."""

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong on this host."""
        return not self.failed and not self.skipped and not self.stale and self.unreachable is None


def tallies(result: RunResult) -> list[HostTally]:
    """Every host of the run in natural order, those with trouble last."""
    hosts: dict[str, HostTally] = {}
    for item in result.results:
        if item.kind == HOOK and item.status in (StepStatus.OK, StepStatus.IGNORED):
            continue
        name = item.address.rpartition("@")[2]
        tally = hosts.setdefault(name, HostTally(name))
        match item.status:
            case StepStatus.IGNORED:
                tally.ignored += 1
            case StepStatus.OK:
                tally.ok += 1
                tally.changed += item.changed
            case StepStatus.SKIPPED:
                tally.skipped += 1
            case StepStatus.UNREACHABLE:
                tally.unreachable = tally.unreachable or item.message or "lost"
            case StepStatus.FAILED | StepStatus.INTERRUPTED:
                tally.failed += 1
    for name, why in result.unreachable.items():
        hosts.setdefault(name, HostTally(name)).unreachable = why
    for moved in result.stale:
        tally = hosts.setdefault(moved.host, HostTally(moved.host))
        tally.stale = tally.unreachable is None
    return sorted(hosts.values(), key=lambda tally: (not tally.clean, natural(tally.host)))


def stale_diagnostics(result: RunResult) -> list[Diagnostic]:
    """What moved on the hosts that were left out; what could not be reached is told elsewhere."""
    return [
        Diagnostic(
            Severity.WARNING,
            f"{moved.host} was left out: the {moved.what} of a step moved since the plan was made",
            moved.detail,
            moved.address,
        )
        for moved in result.stale
        if moved.host not in result.unreachable
    ]


def failure_diagnostic(result: StepResult) -> Diagnostic:
    """A step that did not work, in full: what, where, what remains, and the tail of what it said."""
    parts = [result.message] if result.message else []
    if result.exit_status is not None and exit_words(result.exit_status) not in result.message:
        parts.append(exit_words(result.exit_status))
    if result.attempts > 1:
        parts.append(f"after {result.attempts} tries")
    if result.remaining:
        parts.append(f"still different: {', '.join(result.remaining)}")
    for name, text in (("stderr", result.stderr), ("stdout", result.stdout)):
        if text.strip() and (name == "stdout" or not result.message.endswith(f": {text.strip()}")):
            lines = text.rstrip("\n").split("\n")
            left_out = len(lines) - SHOWN
            told = f"{name}, its last {SHOWN} lines (`kubexms runs show` has {left_out} more):"
            parts += [told if left_out > 0 else f"{name}:", *(f"  {line}" for line in lines[-SHOWN:])]
    if result.detail:
        parts.append(result.detail.rstrip("\n"))
    ignored = result.status is StepStatus.IGNORED
    severity = Severity.WARNING if ignored else Severity.ERROR
    return Diagnostic(severity, _summary(result), "\n".join(parts), result.address)


def _summary(result: StepResult) -> str:
    host = result.address.rpartition("@")[2]
    match result.status:
        case StepStatus.INTERRUPTED:
            return f"{result.kind} was interrupted on {host}"
        case StepStatus.UNREACHABLE:
            return f"{result.kind} could not be finished on {host}"
        case StepStatus.IGNORED:
            return f"{result.kind} failed on {host}, which is ignored here"
        case _:
            return f"{result.kind} failed on {host}"
