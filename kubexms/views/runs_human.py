"""Runs and their results for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kubexms.state.model import RunRecord, StepRecord
from kubexms.views.escaping import printable, printable_lines
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.tables import table


def runs_text(runs: Sequence[RunRecord], paint: Paint = plain) -> str:
    """A table of runs, newest first."""
    if not runs:
        return "No runs yet.\n"
    heads = ("RUN", "OPERATION", "STATUS", "STARTED", "SECONDS", "BY", "RESULTS")
    rows = [
        (run.id, run.operation, run.status, _moment(run.started), _seconds(run), run.actor, _summary(run))
        for run in runs
    ]
    return "".join(f"{line}\n" for line in table(heads, rows, paint))


def run_text(run: RunRecord, results: Sequence[StepRecord], paint: Paint = plain) -> str:
    """One run in full."""
    return "".join(f"{line}\n" for line in _run(run, results, paint))


def _run(run: RunRecord, results: Sequence[StepRecord], paint: Paint) -> Iterator[str]:
    yield f"{paint(Role.BOLD, run.id)}  {run.operation} by {printable(run.actor)}, {run.status}"
    yield f"started {_moment(run.started)}, took {_seconds(run)} s, kubexms {run.tool_version}"
    if run.plan_digest:
        yield f"plan {run.plan_digest}"
    yield ""
    rows = [
        (r.status, r.action, r.reason, f"{r.seconds:.2f}", r.address)
        for r in sorted(results, key=lambda r: r.address)
    ]
    if rows:
        yield from table(("STATUS", "ACTION", "REASON", "SECONDS", "ADDRESS"), rows, paint)
    for result in results:
        if result.message:
            yield ""
            yield f"{paint(Role.ERROR, result.status)} {printable(result.address)}: {printable(result.message)}"
            yield from (f"  {line}" for line in printable_lines(result.error_tail or result.output_tail))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _seconds(run: RunRecord) -> str:
    return "-" if run.finished is None else f"{(run.finished - run.started).total_seconds():.1f}"


def _summary(run: RunRecord) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(run.summary.items()))
