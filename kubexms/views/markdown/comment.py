"""The comment: what a reviewer must see first, every change folded, cut to what a comment may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import HostStatus, Plan, Reason
from kubexms.views import wording
from kubexms.views.changes import folded
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text
from kubexms.views.markdown.blocks import Block, Hosts, blocks, fit
from kubexms.views.markdown.markup import capped, code, fenced
from kubexms.views.plan_diagnostics import by_error, folded_diagnostics
from kubexms.views.plan_human import NO_CHANGES, NO_CHANGES_SEEN, plan_line
from kubexms.views.plan_json import rfc3339
from kubexms.views.radius import NOUNS, Radius, by_module, by_role, radius
from kubexms.views.values import plural

COMMENT_LIMIT = 65_000
"""Bytes; GitHub refuses comments of more than 65,536 characters."""
SUMMARY_LIMIT = 1_000_000
"""Bytes; GitHub drops a step's summary of more than 1 MiB."""
_MOST = 20
"""Entries of a list beside the changes: warnings, hooks, roles."""
_ROOM = 8_000
"""Bytes of one such list."""
_OTHERWISE = re.compile(r"[^A-Za-z0-9._-]")


def marker(plan: Plan) -> str:
    """The comment's first line, by which a bot finds it again: one for each project and workspace."""
    project, workspace = (_OTHERWISE.sub("_", text) for text in (plan.project, plan.workspace))
    return f"<!-- kubexms plan {project} {workspace} -->"


def plan_markdown(plan: Plan, limit: int = COMMENT_LIMIT) -> str:
    """The comment, of at most `limit` bytes. Diffs go first where it gets too long, then whole changes."""
    hosts = Hosts()
    urgent, other = blocks(plan, hosts)
    start = _joined([*_head(plan), *_diagnostics(plan), *_radius(plan), *_removals(plan)])
    end = _joined([*_besides(plan), *hosts.legend(), _foot(plan)])
    room = limit - len((start + end).encode()) - 500  # headings, and what is said of what is left out
    fitted = fit([*urgent, *other], room)
    parts = [start]
    for title, members in (("Destroys or interrupts", urgent), ("Changes", other)):
        shown = [fitted.texts[id(block)] for block in members if id(block) in fitted.texts]
        if shown:
            parts.append(f"#### {title}\n\n" + "\n".join(shown) + "\n\n")
    parts.append(_left_out(fitted.bare, fitted.missing))
    return "".join([*parts, end]).rstrip("\n") + "\n"


def _joined(parts: list[str]) -> str:
    return "".join(part + "\n\n" for part in parts)


def _head(plan: Plan) -> Iterator[str]:
    yield marker(plan)
    what = "kubexms plan to destroy" if plan.options.operation == "destroy" else "kubexms plan"
    names = ", ".join(code(text, 80) for text in (plan.project, plan.workspace) if text)
    yield f"<h3>{what}: {names}</h3>"
    if plan.errored:
        yield "**This plan holds errors and cannot be applied.**"
        return
    partial = any(report.status in {HostStatus.UNREACHABLE, HostStatus.PARTIAL} for report in plan.hosts)
    if not plan.effective:
        yield f"**{NO_CHANGES_SEEN if partial else NO_CHANGES}** {_hosts(plan)}."
        return
    yield f"**{plan_line(plan.counts())}** {', '.join([_hosts(plan), *_told(plan)])}."


def _hosts(plan: Plan) -> str:
    touched = len({change.host for change in plan.effective})
    asked = sum(report.status in {HostStatus.OK, HostStatus.PARTIAL} for report in plan.hosts)
    silent = sum(report.status is HostStatus.UNREACHABLE for report in plan.hosts)
    text = f"On {touched} of {plural(asked, 'host')}" if touched else plural(asked, "host") + " compared"
    return text + (f", **{plural(silent, 'host')} unreachable**" if silent else "")


def _told(plan: Plan) -> Iterator[str]:
    counts = plan.counts()
    found = radius("", plan.effective).disruptions
    yield from (f"**{_some(count, NOUNS[disruption])}**" for disruption, count in found.items())
    drifted = sum(change.reason is Reason.DRIFT for change in plan.effective)
    if drifted:
        yield f"{drifted} to put right what drifted"
    if counts.forget:
        yield f"{counts.forget} to forget"


def _some(count: int, noun: str) -> str:
    return f"{count} with data loss" if noun == "data loss" else plural(count, noun)


def _diagnostics(plan: Plan) -> Iterator[str]:
    found = sorted(folded_diagnostics(plan), key=lambda item: item.severity is not Severity.ERROR)
    rows = [_diagnostic(item) for item in found]
    yield from capped(rows, _MOST, _ROOM, lambda left: f"<p>… and {plural(left, 'more diagnostic')}.</p>")


def _diagnostic(item: Diagnostic) -> str:
    word = "Error" if item.severity is Severity.ERROR else "Warning"
    where = f" with {code(item.address)}" if item.address else ""
    lines = [printable(line) for line in item.detail.splitlines() if line][:10]
    detail = f"\n\n{fenced(lines)}" if lines else ""
    return f"<p><b>{word}:</b> {code(item.summary)}{where}</p>{detail}"


def _radius(plan: Plan) -> Iterator[str]:
    if not plan.effective:
        return
    heads = "".join(f"<th>{name}</th>" for name in ("", "hosts", "add", "change", "destroy", "interrupts"))
    rows = [*_rows("module", by_module(plan)), *_rows("role", by_role(plan))]
    yield "\n".join(["<table>", f"<tr>{heads}</tr>", *rows, "</table>"])


def _rows(what: str, found: list[Radius]) -> list[str]:
    rows = []
    for item in found:
        interrupts = ", ".join(_some(count, NOUNS[name]) for name, count in item.disruptions.items())
        counts = item.counts
        figures = (len(item.hosts), counts.add, counts.change, counts.remove, interrupts)
        cells = "".join(f"<td>{figure or ''}</td>" for figure in figures)
        rows.append(f"<tr><td>{what} {code(item.name, 80)}</td>{cells}</tr>")
    return capped(
        rows, _MOST, _ROOM, lambda left: f'<tr><td colspan="6">… and {plural(left, f"more {what}")}</td></tr>'
    )


def _removals(plan: Plan) -> Iterator[str]:
    rows = [
        f"<li>{code(removal.host, 100)}: {plural(removal.steps, 'step')}, "
        + ("allowed" if removal.allowed else "<b>refused</b> without --allow-destroy")
        + "</li>"
        for removal in plan.removals
    ]
    if rows:
        yield "\n".join(["<p><b>Hosts that left the inventory</b></p>", "<ul>", *_items(rows), "</ul>"])


def _items(rows: list[str]) -> list[str]:
    return capped(rows, _MOST, _ROOM, lambda left: f"<li>… and {left} more</li>")


def _besides(plan: Plan) -> Iterator[str]:
    """What is neither changed nor wrong: moves, drift that stays, hooks, hosts that are left alone."""
    rows = [*_moves(plan), *_drift(plan), *_hooks(plan), *_aside(plan)]
    if rows:
        title = f"<details><summary>{len(rows)} more to know</summary>"
        yield "\n".join([title, "<ul>", *_items(rows), "</ul>", "</details>"])


def _moves(plan: Plan) -> Iterator[str]:
    moved = [change for change in plan.changes if change.previous_address not in (None, change.address)]
    for group in folded(moved):
        old = str(group.change.previous_address).rpartition("@")[0]
        yield f"<li>{code(old)} has moved to {code(group.address)}</li>"


def _drift(plan: Plan) -> Iterator[str]:
    reverted = {change.address for change in plan.effective}
    for group in folded(change for change in plan.drift if change.address not in reverted):
        yield f"<li>{code(group.address)} {wording.happened(group.change)} on the host, and is left so</li>"


def _hooks(plan: Plan) -> Iterator[str]:
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for hook in plan.hooks:
        path, _, host = hook.address.rpartition("@")
        when = "an earlier run left its scope open" if hook.left_open else hook.phase
        grouped.setdefault((path, when, hook.run), []).append(host)
    for (path, phase, run), names in grouped.items():
        yield f"<li>hook {code(f'{path}@{fold_text(names)}')} ({phase}): {code(run.strip(), 200)}</li>"


def _aside(plan: Plan) -> Iterator[str]:
    for why, names in by_error(report for report in plan.hosts if report.status is HostStatus.MAINTENANCE):
        yield f"<li>in maintenance, left alone: {code(fold_text(names))} {code(why, 200)}</li>"
    unguarded = [report.name for report in plan.hosts if report.guard == "unavailable"]
    if unguarded:
        yield f"<li>checks ran without the read-only guard on {code(fold_text(unguarded))}</li>"


def _left_out(bare: list[Block], missing: list[Block]) -> str:
    told = []
    if bare:
        told.append(f"{plural(sum(block.size for block in bare), 'change')} shown without a diff")
    if missing:
        told.append(f"{plural(sum(block.size for block in missing), 'change')} left out")
    if not told:
        return ""
    return f"**Too long for a comment: {', '.join(told)}.** All of it: `kubexms show PLANFILE`\n\n"


def _foot(plan: Plan) -> str:
    how = f" To apply exactly this: <code>kubexms apply --digest {plan_digest(plan)} PLANFILE</code>."
    made = (
        f"Made {rfc3339(plan.created)} by kubexms {code(plan.tool_version, 40)}, state serial {plan.serial}."
    )
    return f"<p><sub>{made}{'' if plan.errored else how}</sub></p>"
