"""What a plan says besides its changes: its own diagnostics, and the hosts that did not answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.plan.model import HostReport, HostStatus, Plan
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text


def plan_diagnostics(plan: Plan) -> Iterator[Diagnostic]:
    """Diagnostics to show with a plan; hosts with the same trouble share one."""
    for item in plan.diagnostics:
        yield Diagnostic(Severity(item.severity), item.summary, item.detail, item.address)
    told = " ".join(item.summary + item.detail for item in plan.diagnostics)
    for status, what, then in (
        (
            HostStatus.UNREACHABLE,
            "could not be reached",
            "Nothing is planned for {them}; what is recorded stays.",
        ),
        (HostStatus.PARTIAL, "answered in part", "What is missing is unknown, and planned as such."),
    ):
        for why, names in by_error(report for report in plan.hosts if report.status is status):
            if why and why in told:
                continue
            subject = f"host {fold_text(names)}" if len(names) == 1 else f"{len(names)} hosts"
            detail = [f"on {fold_text(names)}"] if len(names) > 1 else []
            detail += [line for line in (why, then.format(them="it" if len(names) == 1 else "them")) if line]
            yield Diagnostic(Severity.WARNING, f"{subject} {what}", "\n".join(detail))


def by_error(reports: Iterable[HostReport]) -> list[tuple[str, list[str]]]:
    """Hosts by what went wrong with them, printable."""
    groups: dict[str, list[str]] = defaultdict(list)
    for report in reports:
        groups[report.error].append(report.name)
    return [(printable(error), names) for error, names in groups.items()]
