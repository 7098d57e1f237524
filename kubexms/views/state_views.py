"""State and its history for people and as JSON: entries, runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from kubexms.errors import exit_words
from kubexms.state.model import RunRecord, StepRecord, StepState
from kubexms.step.observation import Presence
from kubexms.views.drift_history import drift_news, drift_run_text
from kubexms.views.escaping import printable, quoted
from kubexms.views.moments import duration, moment
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.tables import table_lines
from kubexms.views.values import Side, ValueWriter

_COLUMN = 4


def state_list_text(entries: Sequence[StepState]) -> str:
    """One address a line; empty for none."""
    return "".join(f"{printable(entry.address)}\n" for entry in entries)


def state_show_text(entries: Sequence[StepState], paint: Paint = plain) -> str:
    """Each entry as a block in the shape of a plan."""
    return "\n".join("\n".join(_entry(entry, paint)) + "\n" for entry in entries)


def _entry(entry: StepState, paint: Paint) -> Iterator[str]:
    writer = ValueWriter(paint)
    yield paint(Role.BOLD, f"# {printable(entry.address)}")
    if entry.tainted:
        yield paint(Role.WARNING, "# its last apply failed: what is recorded here cannot be relied on")
    yield f"{entry.kind} {quoted(entry.address.rpartition('@')[0].rpartition('/')[2])} {{"
    pairs: list[tuple[str, Side, Side]] = [
        (name, value, value) for name, value in sorted(entry.attributes.items())
    ]
    yield from writer.attributes(pairs, _COLUMN)
    yield "}"
    facts = [
        ("last applied", f"{moment(entry.updated)}" + (f" by run {entry.run}" if entry.run else "")),
        ("before kubexms", _prior(entry)),
        ("declared at", entry.source),
        ("depends on", ", ".join(entry.depends_on)),
    ]
    for name, text in facts:
        if text:
            yield f"{_indent(name)}{printable(text)}"


def _indent(name: str) -> str:
    return f"# {name + ':':16}"


def _prior(entry: StepState) -> str:
    if entry.prior is None:
        return "as it is now" if not entry.touched else ""
    match entry.prior.presence:
        case Presence.ABSENT:
            return "it was not there"
        case Presence.PRESENT:
            return "it was there; removing the step puts that back"
        case Presence.UNKNOWN:
            return "unknown"


def state_json(entries: Sequence[StepState]) -> JsonValue:
    """The entries as data, every field written."""
    return [entry.model_dump(mode="json", by_alias=True) for entry in entries]


def runs_text(
    runs: Sequence[RunRecord],
    paint: Paint = plain,
    *,
    drift: Mapping[str, Sequence[StepRecord]] | None = None,
) -> str:
    """A table, newest first; below a drift run whose id is in `drift`, what began to drift and what ended."""
    if not runs:
        return "Nothing has run yet.\n"
    rows = [
        (
            run.id,
            run.operation,
            run.status,
            moment(run.started),
            duration(run.started, run.finished),
            summary(run),
            run.actor,
        )
        for run in runs
    ]
    head = ("RUN", "OPERATION", "STATUS", "STARTED", "TOOK", "STEPS", "BY")
    lines: list[str] = []
    for position, line in enumerate(table_lines(head, rows, paint)):
        lines.append(line)
        if position:
            lines += drift_news(runs[position - 1], (drift or {}).get(runs[position - 1].id, ()))
    return "".join(f"{line}\n" for line in lines)


def run_text(run: RunRecord, results: Sequence[StepRecord], paint: Paint = plain) -> str:
    """One run with every result; what did not work comes last, in full."""
    if run.operation == "drift":
        return drift_run_text(run, results, paint)
    lines = [
        f"{paint(Role.BOLD, 'Run')} {run.id}: {run.operation} {run.status}",
        f"  by {printable(run.actor)}, {moment(run.started)}, took {duration(run.started, run.finished)}",
    ]
    if run.plan_digest:
        lines.append(f"  plan {run.plan_digest}")
    good = [item for item in results if item.status == "ok"]
    bad = [item for item in results if item.status != "ok"]
    if results:
        rows = [
            (item.address, item.action, item.status, f"{item.seconds:.1f}s", ", ".join(item.changed))
            for item in [*good, *bad]
        ]
        lines += ["", *table_lines(("ADDRESS", "ACTION", "STATUS", "TOOK", "CHANGED"), rows, paint)]
    for item in bad:
        lines += ["", *_failure(item, paint)]
    return "\n".join(lines) + "\n"


def _failure(item: StepRecord, paint: Paint) -> Iterator[str]:
    role = Role.SKIPPED if item.status == "skipped" else Role.ERROR
    yield f"{paint(role, item.status)} {printable(item.address)}"
    for told in (item.message, item.detail):
        yield from (f"  {printable(line)}" for line in told.rstrip("\n").split("\n") if told)
    if item.exit_status is not None and exit_words(item.exit_status) not in item.message:
        yield f"  {exit_words(item.exit_status)}"
    for name, text in (("stderr", item.error_tail), ("stdout", item.output_tail)):
        if text.strip():
            yield f"  {name}:"
            yield from (f"    {printable(line)}" for line in text.rstrip("\n").split("\n"))


def run_json(run: RunRecord, results: Sequence[StepRecord] | None = None) -> dict[str, JsonValue]:
    """A run, with its results where they are given."""
    data: dict[str, JsonValue] = run.model_dump(mode="json", by_alias=True)
    if results is not None:
        data["results"] = [item.model_dump(mode="json", by_alias=True) for item in results]
    return data


def summary(run: RunRecord) -> str:
    """`3 ok, 1 failed`; of drift runs also how often the same was found."""
    words = ", ".join(f"{count} {word}" for word, count in run.summary.items() if count)
    if run.operation == "drift":
        words = words or "no drift"
        if run.repeats:
            words += f", {run.repeats + 1} times"
    return words or "-"
