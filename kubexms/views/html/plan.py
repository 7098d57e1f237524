"""A plan as one HTML file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from kubexms.diagnostics import Diagnostic
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import Change, HostReport, HostStatus, Plan, PlannedHook
from kubexms.views import wording
from kubexms.views.changes import folded
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text
from kubexms.views.html.blocks import HostSets, block
from kubexms.views.html.drawing import drawing
from kubexms.views.html.geometry import HEAD, WIDTH
from kubexms.views.html.layout import lay_out
from kubexms.views.html.lines import Budget
from kubexms.views.html.page import data, moment, render
from kubexms.views.html.sections import OPEN, sections
from kubexms.views.html.summary import FIGURES, modules, roles, tiles, verdict
from kubexms.views.plan_diagnostics import by_error, plan_diagnostics
from kubexms.views.plan_human import NO_CHANGES, NO_CHANGES_SEEN, plan_line
from kubexms.views.values import plural


def plan_html(plan: Plan) -> str:
    """The whole plan as one page that fetches nothing and reads without scripts. Ends with a newline.

    Deterministic. Holds no sensitive value, since the plan has none. Everything that hosts and
    documents said is escaped, and control and bidirectional characters in it are spelled out.
    """
    sets, budget = HostSets(), Budget()
    effective = plan.effective
    written = plan.origin.places if plan.origin is not None else {}
    blocks = [block(group, sets, budget, places=written) for group in folded(effective)]
    shown = sections(blocks, plan.order)
    places = {group.path: group.id for section in reversed(shown) for group in section.groups}
    drawn = drawing(plan)
    touched = modules(plan)
    tone, told = verdict(plan)
    return render(
        "plan.html",
        title=_title(plan),
        tone=tone,
        verdict=told,
        headline=_headline(plan),
        facts=_facts(plan),
        tiles=tiles(plan.changes),
        modules=touched,
        figures=[name for name in FIGURES if any(row.figures[name] for row in touched)],
        roles=roles(plan),
        diagnostics=list(map(_diagnostic, plan_diagnostics(plan))),
        removals=[(printable(r.host), plural(r.steps, "step"), r.allowed) for r in plan.removals],
        maintained=_by_error(plan.hosts, HostStatus.MAINTENANCE),
        sections=shown,
        unfold=len(blocks) <= OPEN,
        total=len(effective),
        places=places,
        picture=None if drawn is None else lay_out(drawn),
        drawn=drawn,
        box_width=WIDTH,
        box_head=HEAD,
        order=plan.order,
        moves=_moves(plan),
        kept=_kept(plan),
        hooks=_hooks(plan.hooks),
        hosts=[_host(report) for report in plan.hosts],
        sets=data(sets.lists()),
        paths=sorted({(item.module, f"{item.module}/{item.task}") for item in blocks}),
    )


def _title(plan: Plan) -> str:
    name = " / ".join(part for part in (plan.project, plan.workspace) if part)
    return printable(f"kubexms {'destroy plan' if plan.options.operation == 'destroy' else 'plan'} · {name}")


def _headline(plan: Plan) -> str:
    if plan.errored:
        return "This plan holds errors and cannot be applied."
    if not plan.effective:
        partial = any(r.status in {HostStatus.UNREACHABLE, HostStatus.PARTIAL} for r in plan.hosts)
        return NO_CHANGES_SEEN if partial else NO_CHANGES
    return plan_line(plan.counts())


def _facts(plan: Plan) -> list[tuple[str, str]]:
    """What the plan was made from; values of variables are left out: they may be secrets."""
    options = plan.options
    said = [
        ("made", moment(plan.created)),
        ("kubexms", plan.tool_version),
        ("environment", options.environment or ""),
        ("state", f"serial {plan.serial}" + (f", lineage {plan.lineage[:8]}" if plan.lineage else "")),
        ("digest", plan_digest(plan)),
        ("targets", ", ".join(options.targets)),
        ("excluded", ", ".join(options.excludes)),
        ("limited to", ", ".join(options.limit)),
        ("to replace", ", ".join(options.replace)),
        ("may destroy", ", ".join(options.allow_destroy)),
        ("variables given", ", ".join(sorted(options.variables))),
        ("checks of the documents", "not run (--untrusted)" if options.untrusted else ""),
    ]
    return [(name, printable(value)) for name, value in said if value]


def _diagnostic(item: Diagnostic) -> tuple[str, str, str, str]:
    """(severity, summary, detail, where)."""
    return (
        item.severity.value,
        printable(item.summary),
        "\n".join(printable(line) for line in item.detail.splitlines()),
        printable(str(item.address or "")),
    )


def _by_error(hosts: Sequence[HostReport], status: HostStatus) -> list[tuple[str, str]]:
    groups = by_error(report for report in hosts if report.status is status)
    return [(printable(fold_text(names)), why) for why, names in groups]


def _moves(plan: Plan) -> list[tuple[str, str, str]]:
    """(from, to, hosts) of steps that only change their name."""
    moved = [change for change in plan.changes if change.previous_address and not change.effective]
    return [
        (
            printable((group.change.previous_address or "").rpartition("@")[0]),
            printable(group.path),
            printable(fold_text(group.hosts)),
        )
        for group in folded(moved)
    ]


def _kept(plan: Plan) -> list[tuple[str, str]]:
    """What changed on hosts and stays so."""
    reverted = {change.address for change in plan.effective}
    kept: list[Change] = [change for change in plan.drift if change.address not in reverted]
    return [(group.address, wording.happened(group.change)) for group in folded(kept)]


_PHASES = {
    "pre": "before",
    "post": "after",
    "onFailure": "on failure",
    "left open": "an earlier run left its scope open",
}


def _hooks(hooks: Sequence[PlannedHook]) -> list[tuple[str, str, str, str]]:
    """(path, when, where, script)."""
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for hook in hooks:
        path, _, host = hook.address.rpartition("@")
        grouped[path, "left open" if hook.left_open else hook.phase, hook.run].append(host)
    return [
        (
            printable(path),
            _PHASES.get(phase, phase),
            printable(fold_text(hosts)),
            "\n".join(printable(line) for line in run.strip().splitlines()),
        )
        for (path, phase, run), hosts in grouped.items()
    ]


def _host(report: HostReport) -> tuple[str, str, str, str, str, str]:
    """(name, status, roles, round trips, guard, what went wrong)."""
    return (
        printable(report.name),
        report.status.value,
        printable(", ".join(report.roles)),
        str(report.rounds),
        printable(report.guard),
        printable(report.error),
    )
