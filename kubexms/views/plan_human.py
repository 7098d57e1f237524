"""A plan for people, in Terraform's shape and wording; other tools parse the exact lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from kubexms.plan.model import Counts, HostStatus, Plan, PlannedHook, Reason
from kubexms.step.contract import ActionKind
from kubexms.views import wording
from kubexms.views.changes import change_lines, folded
from kubexms.views.diagnostics import diagnostics_text
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.plan_diagnostics import by_error, folded_diagnostics
from kubexms.views.values import plural, signed

NO_CHANGES = "No changes. Your infrastructure matches the configuration."
NO_CHANGES_SEEN = "No changes. The hosts that answered match the configuration."
NOTHING_SEEN = "No host answered, so nothing was compared."


def plan_text(plan: Plan, paint: Paint = plain, *, expand: bool = False, width: int | None = None) -> str:
    """The whole plan; nothing is left out but the middle of very long line diffs. Ends with a newline."""
    sections = [
        _changes(plan, paint, expand=expand),
        _moves(plan, paint, expand=expand),
        _drift(plan, expand=expand),
        _removals(plan, paint),
        _hooks(plan.hooks, paint),
        _hosts(plan),
        diagnostics_text(folded_diagnostics(plan), paint, width=width).rstrip("\n").splitlines(),
        _conclusion(plan, paint),
    ]
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section))) + "\n"


def plan_line(counts: Counts) -> str:
    """`Plan: N to add, N to change, N to destroy.`"""
    return f"Plan: {counts.add} to add, {counts.change} to change, {counts.remove} to destroy."


def _changes(plan: Plan, paint: Paint, *, expand: bool) -> Iterator[str]:
    if not plan.effective:
        return
    used = {change.action for change in plan.effective}
    yield "kubexms will perform the actions below, which are marked as follows:"
    for action, words in wording.LEGEND.items():
        if action in used:
            yield f"{signed(wording.SIGNS[action], paint, 4)}{words}"
    for group in folded(plan.effective, expand=expand):
        yield ""
        yield from change_lines(group, paint)


def _moves(plan: Plan, paint: Paint, *, expand: bool) -> Iterator[str]:
    moved = [change for change in plan.changes if change.previous_address and not change.effective]
    for group in folded(moved, expand=expand):
        yield from change_lines(group, paint)


def _drift(plan: Plan, *, expand: bool) -> Iterator[str]:
    """What changed on hosts and stays as it is; what the plan puts right has its own block above."""
    reverted = {change.address for change in plan.effective}
    kept = [change for change in plan.drift if change.address not in reverted]
    if not kept:
        return
    yield "Changed on the hosts since the last apply, and left so by this plan:"
    for group in folded(kept, expand=expand):
        yield f"  # {group.address} {wording.happened(group.change)}" + (
            f" ({printable(', '.join(group.change.changed))})"
            if group.change.action is ActionKind.UPDATE
            else ""
        )


def _removals(plan: Plan, paint: Paint) -> Iterator[str]:
    if not plan.removals:
        return
    yield "Hosts that left the inventory:"
    width = max(len(printable(removal.host)) for removal in plan.removals)
    for removal in plan.removals:
        sign = signed("-", paint, 4)
        verdict = (
            "allowed by --allow-destroy"
            if removal.allowed
            else f"refused: pass --allow-destroy {printable(removal.host)} to remove it"
        )
        role = Role.DIM if removal.allowed else Role.WARNING
        radius = plural(removal.steps, "step")
        yield f"{sign}{printable(removal.host):{width}}  {radius}, {paint(role, verdict)}"


def _hooks(hooks: Iterable[PlannedHook], paint: Paint) -> Iterator[str]:
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for hook in hooks:
        path, _, host = hook.address.rpartition("@")
        grouped[path, "left open" if hook.left_open else hook.phase, hook.run].append(host)
    if not grouped:
        return
    yield "Hooks, which run only if their scope has something to do:"
    for (path, phase, run), hosts in grouped.items():
        first, *more = run.strip().splitlines() or [""]
        command = printable(first) + (f" (… {plural(len(more), 'more line')})" if more else "")
        yield f"  # {printable(path)}@{fold_text(hosts)} {_PHASES.get(phase, phase)}"
        yield f"      {paint(Role.DIM, command)}"


_PHASES = {
    "pre": "runs before its scope",
    "post": "runs after its scope",
    "onFailure": "runs if its scope fails",
    "left open": "runs, because an earlier run left its scope open",
}


def _hosts(plan: Plan) -> Iterator[str]:
    maintenance = [report for report in plan.hosts if report.status is HostStatus.MAINTENANCE]
    for why, names in by_error(maintenance):
        yield f"In maintenance, left alone: {fold_text(names)}" + (f" ({why})" if why else "")
    unguarded = [report.name for report in plan.hosts if report.guard == "unavailable"]
    if unguarded:
        yield f"Checks ran without the read-only guard on {fold_text(unguarded)}."


def _conclusion(plan: Plan, paint: Paint) -> Iterator[str]:
    counts = plan.counts()
    if plan.errored:
        yield paint(Role.BOLD, "This plan holds errors and cannot be applied.")
        return
    if not plan.effective:
        if _silent(plan):
            yield paint(Role.BOLD, NOTHING_SEEN)
            return
        yield paint(Role.BOLD, NO_CHANGES_SEEN) if _partial(plan) else paint(Role.GOOD, NO_CHANGES)
        yield ""
        yield _compared(plan, counts)
        return
    bold = paint(Role.BOLD, "Plan:")
    yield bold + plan_line(counts).removeprefix("Plan:")
    if counts.forget:
        left = "it is" if counts.forget == 1 else "they are"
        yield f"{plural(counts.forget, 'step')} to forget: no longer managed, and left as {left}."
    drifted = sum(change.reason is Reason.DRIFT for change in plan.effective)
    if drifted:
        yield (
            f"{plural(drifted, 'change')} put right what changed on the hosts."
            if drifted != 1
            else ("1 change puts right what changed on its host.")
        )


def _silent(plan: Plan) -> bool:
    asked = [report.status for report in plan.hosts if report.status is not HostStatus.MAINTENANCE]
    return bool(asked) and all(status is HostStatus.UNREACHABLE for status in asked)


def _partial(plan: Plan) -> bool:
    return any(report.status in {HostStatus.UNREACHABLE, HostStatus.PARTIAL} for report in plan.hosts)


def _compared(plan: Plan, counts: Counts) -> str:
    asked = [report for report in plan.hosts if report.status in {HostStatus.OK, HostStatus.PARTIAL}]
    steps, hosts = plural(counts.unchanged, "step"), plural(len(asked), "host")
    return f"kubexms compared {steps} on {hosts} with the configuration and found no differences."
