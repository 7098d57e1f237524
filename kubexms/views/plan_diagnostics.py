"""What a plan says besides its changes: its own diagnostics, and the hosts that did not answer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.plan.model import HostReport, HostStatus, Plan
from kubexms.views.escaping import printable
from kubexms.views.folding import fold, fold_text


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


def folded_diagnostics(plan: Plan) -> Iterator[Diagnostic]:
    """The same for people: what differs in its host alone is told once, for all of them."""
    names = [report.name for report in plan.hosts]
    groups: dict[Diagnostic, dict[str, Diagnostic]] = defaultdict(dict)
    for item in plan_diagnostics(plan):
        host = item.address.rpartition("@")[2] if item.address else _subject(item.summary, names)
        groups[_without(item, host)][host] = item
    for alike, members in groups.items():
        if len(members) == 1:
            yield from members.values()
        else:
            yield _about(alike, ",".join(fold(members)))


_HOST = "\0"
"""Stands for the host in what is compared."""
_PORT = re.compile(r"\S+ port (\d+)(?=: )")


def _subject(summary: str, names: Iterable[str]) -> str:
    """The host that a summary begins with."""
    return next((name for name in names if summary.startswith((f"{name} is ", f"{name} could "))), "")


def _without(item: Diagnostic, host: str) -> Diagnostic:
    """What it says of any host: equal for two that say the same."""
    if not host:
        return item
    summary, detail, address = item.summary, item.detail, item.address
    if summary.startswith(f"{host} "):
        summary = _PORT.sub(r"port \1", _HOST + summary.removeprefix(host), count=1)
    summary, detail = (text.replace(f"@{host}", f"@{_HOST}") for text in (summary, detail))
    if address is not None:
        address = address.removesuffix(host) + _HOST
    return replace(item, summary=summary, detail=detail, address=address)


def _about(alike: Diagnostic, hosts: str) -> Diagnostic:
    """Said of several."""
    summary = alike.summary.replace(f"{_HOST} is ", f"{_HOST} are ", 1).replace(_HOST, hosts)
    address = alike.address.replace(_HOST, hosts) if alike.address is not None else None
    return replace(alike, summary=summary, detail=alike.detail.replace(_HOST, hosts), address=address)


def by_error(reports: Iterable[HostReport]) -> list[tuple[str, list[str]]]:
    """Hosts by what went wrong with them, printable."""
    groups: dict[str, list[str]] = defaultdict(list)
    for report in reports:
        groups[report.error].append(report.name)
    return [(printable(error), names) for error, names in groups.items()]
