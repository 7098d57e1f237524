"""The history of drift for people: when a step began to differ, in what, and when that ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubexms.state.model import RunRecord, StepRecord
from kubexms.views.escaping import printable
from kubexms.views.folding import fold
from kubexms.views.moments import duration, moment
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.tables import table_lines

_HAPPENED = {"delete": "is gone", "create": "appeared"}
_SHOWN = 10
"""Lines of news below one run."""


def drift_news(run: RunRecord, results: Sequence[StepRecord]) -> Iterator[str]:
    """`began: os/kernel/limits@n[1,2] (value)`, `ended: …`; the same on many hosts is one line."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for record in results:
        if record.status == "ended":
            words = ("ended", "")
        elif record.since == run.started:
            words = ("began", _what(record))
        else:
            continue
        path, _, host = record.address.rpartition("@")
        groups.setdefault((*words, path), []).append(host)
    lines = [
        f"  {word}: {printable(path)}@{','.join(fold(hosts))}" + (f" ({what})" if what else "")
        for (word, what, path), hosts in sorted(groups.items())
    ]
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"  and {len(lines) - _SHOWN} more: `kubexms runs show {run.id}`"


def drift_run_text(run: RunRecord, results: Sequence[StepRecord], paint: Paint = plain) -> str:
    """One drift run: every step that differed, in what and since when, and those that no longer did."""
    lines = [
        f"{paint(Role.BOLD, 'Run')} {run.id}: {run.operation}",
        f"  by {printable(run.actor)}, {moment(run.started)}, took {duration(run.started, run.finished)}",
    ]
    if run.repeats:
        lines.append(f"  found the same {run.repeats + 1} times, the last time at {moment(run.last)}")
    rows = [(item.address, item.status, moment(item.since), _what(item)) for item in results]
    if rows:
        lines += ["", *table_lines(("ADDRESS", "STATUS", "SINCE", "WHAT"), rows, paint)]
    else:
        lines += ["", "No drift."]
    return "\n".join(lines) + "\n"


def _what(record: StepRecord) -> str:
    happened = _HAPPENED.get(record.action)
    return happened or ", ".join(printable(name) for name in record.changed)
