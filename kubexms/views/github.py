"""Annotations on the lines of the documents, as GitHub's runner reads them from standard output.

Source of the format: https://docs.github.com/actions/reference/workflow-commands-for-github-actions, and
the escaping of https://github.com/actions/toolkit (`%`, CR, LF; in properties `:` and `,`, too).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from kubexms.diagnostics import Severity
from kubexms.plan.model import Plan
from kubexms.plan.origin import Place
from kubexms.views import wording
from kubexms.views.changes import Folded, folded, label
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text
from kubexms.views.plan_diagnostics import plan_diagnostics
from kubexms.views.radius import dangerous, urgency
from kubexms.views.values import plural

MOST = 10
"""Annotations of each level that GitHub shows of one step of a job; it drops the others."""
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})
Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark on a line; without a place it is one on the run."""

    level: Level
    title: str
    message: str
    place: Place | None = None


def github_annotations(plan: Plan, directory: str = "") -> str:
    """One line for each step that changes, whatever the number of its hosts, and for each error and warning.

    `directory` is the project's, relative to the repository. What destroys or interrupts is a warning, the
    rest a notice. Worst first, at most `MOST` of a level; what is left out is counted in a plain last line.
    """
    every = [*_of_diagnostics(plan), *_of_changes(plan)]
    shown = [
        annotation
        for level in ("error", "warning", "notice")
        for annotation in [item for item in every if item.level == level][:MOST]
    ]
    lines = [_line(annotation, directory) for annotation in shown]
    left = len(every) - len(shown)
    if left:
        lines.append(f"{plural(left, 'more annotation')}: GitHub shows {MOST} of each level.")
    return "".join(f"{line}\n" for line in lines)


def _of_diagnostics(plan: Plan) -> Iterator[Annotation]:
    for item in plan_diagnostics(plan):
        level: Level = "error" if item.severity is Severity.ERROR else "warning"
        parts = [text for text in (item.address, item.detail) if text]
        title = printable(item.summary)
        yield Annotation(level, title, "\n".join(parts) or title, _place(plan, item.address or ""))


def _of_changes(plan: Plan) -> Iterator[Annotation]:
    by_step: dict[str, list[Folded]] = {}
    for group in sorted(folded(plan.effective), key=lambda group: urgency(group.change)):
        by_step.setdefault(_step(group.path), []).append(group)
    for step, groups in by_step.items():
        level: Level = "warning" if any(dangerous(group.change) for group in groups) else "notice"
        yield Annotation(level, step, "\n".join(_told(groups)), _place(plan, step))


def _told(groups: list[Folded]) -> Iterator[str]:
    """A line for each way in which a step changes; the first few."""
    for group in groups[:MOST]:
        change = group.change
        why = [text for text in (wording.reason(change), wording.disruption(change)) if text]
        yield (
            f"{wording.SIGNS[change.action]} {group.path.split('/', 2)[2]} {wording.outcome(change)} on "
            f"{fold_text(group.hosts)}: {change.kind} {label(group)}"
            + (f" ({'; '.join(why)})" if why else "")
        )
    if len(groups) > MOST:
        yield f"… and {len(groups) - MOST} more"


def _step(address: str) -> str:
    """`module/task/step` of an address or of a path."""
    module, _, rest = address.rpartition("@")[0].partition("/") if "@" in address else address.partition("/")
    task, _, step = rest.partition("/")
    return f"{module}/{task}/{step.partition('[')[0]}"


def _place(plan: Plan, address: str) -> Place | None:
    return plan.origin.places.get(_step(address)) if plan.origin is not None and address else None


def _line(annotation: Annotation, directory: str) -> str:
    properties: list[tuple[str, str | int]] = []
    place = annotation.place
    if place is not None:
        properties += [("file", posixpath.normpath(posixpath.join(directory, place.file)))]
        properties += [("line", place.line)]
        if place.end_line is not None and place.end_column is not None:
            # columns count only where the place is on one line
            properties += [("endLine", place.end_line)]
            if place.end_line == place.line:
                properties += [("col", place.column), ("endColumn", place.end_column)]
    properties += [("title", printable(annotation.title))]
    message = "\n".join(printable(line) for line in annotation.message.split("\n"))
    return f"::{annotation.level} {_joined(properties)}::{message.translate(_DATA)}"


def _joined(properties: Iterable[tuple[str, str | int]]) -> str:
    return ",".join(f"{name}={str(value).translate(_PROPERTY)}" for name, value in properties)
