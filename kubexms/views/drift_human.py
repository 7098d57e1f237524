"""Drift for people. A clean fleet says nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kubexms.plan.driftreport import DriftReport
from kubexms.views import wording
from kubexms.views.changes import Folded, change_lines, folded
from kubexms.views.escaping import printable
from kubexms.views.folding import fold, fold_text
from kubexms.views.moments import moment
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.values import plural


def drift_text(
    report: DriftReport, paint: Paint = plain, *, expand: bool = False, verbose: bool = False
) -> str:
    """What drifted and who could not be asked; empty when there is neither.

    With `verbose` everything that was found, and a sentence for a clean fleet.
    """
    if not (report.drifted or report.unreachable or report.repaired or verbose):
        return ""
    sections = [
        list(change_lines(group, paint, words=_words(group, report)))
        for group in folded(report.drifted, expand=expand)
    ]
    sections.append(list(_left(report)))
    sections.append(list(_apart(report, verbose=verbose)))
    sections.append(list(_conclusion(report, paint)))
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _words(group: Folded, report: DriftReport) -> str:
    """`has changed`, and since when, if that is known and was not just now."""
    addresses = [f"{group.path}@{host}" for host in group.hosts]
    known = [report.since[address] for address in addresses if address in report.since]
    since = min(known, default=None)
    happened = wording.happened(group.change)
    if since is None or since >= report.started:
        return happened
    return f"{happened} (found first at {moment(since)})"


def _left(report: DriftReport) -> Iterator[str]:
    """What a repair did not touch, and why."""
    for why, addresses in _grouped(report.left):
        yield f"Left as it is: {', '.join(_folded_addresses(addresses))}"
        yield f"  {why}"


def _apart(report: DriftReport, *, verbose: bool) -> Iterator[str]:
    """What is no drift, and explains why something may be missing above."""
    for why, hosts in _grouped(report.unreachable):
        yield f"Not reached: {fold_text(hosts)}" + (f" ({why})" if why else "")
    for why, addresses in _grouped(report.unknown):
        yield f"Not observed: {', '.join(_folded_addresses(addresses))} ({why})"
    for why, hosts in _grouped(report.maintenance):
        yield f"In maintenance, left alone: {fold_text(hosts)}" + (f" ({why})" if why else "")
    for run, hosts in _grouped(report.applying):
        yield f"Being changed by run {run}, so not judged: {fold_text(hosts)}"
    if report.behind:
        yield f"Behind, since they missed an apply or one did not finish: {fold_text(report.behind)}"
    if not verbose:
        return
    for host, when in sorted(report.facts_at.items()):
        yield f"Facts of {printable(host)}, which others are rendered with, are of {moment(when)}"
    for title, addresses in (
        ("Pending: the documents want it otherwise", [change.address for change in report.pending]),
        ("Untracked: never applied", list(report.untracked)),
    ):
        if addresses:
            yield f"{title}:"
            yield from (f"  {line}" for line in _folded_addresses(addresses))
    yield from (f"Note: {printable(note)}" for note in report.notes)


def _conclusion(report: DriftReport, paint: Paint) -> Iterator[str]:
    if report.repaired:
        yield f"{paint(Role.BOLD, 'Repaired:')} {plural(len(report.repaired), 'step')} as last applied."
    if report.drifted:
        hosts = {change.host for change in report.drifted}
        count = plural(len(report.drifted), "step")
        yield f"{paint(Role.BOLD, 'Drift:')} {count} on {plural(len(hosts), 'host')}."
        if not report.left:
            yield "`kubexms drift --repair` puts back what was applied, `kubexms plan` shows what is wanted."
    elif not report.unreachable:
        yield "No drift."
    else:
        yield f"No drift on the hosts that answered; {plural(len(report.unreachable), 'host')} did not."


def _folded_addresses(addresses: Sequence[str]) -> list[str]:
    paths: dict[str, list[str]] = defaultdict(list)
    for address in addresses:
        path, _, host = address.rpartition("@")
        paths[path].append(host)
    return [printable(f"{path}@{','.join(fold(hosts))}") for path, hosts in paths.items()]


def _grouped(reasons: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in reasons.items():
        groups[why].append(name)
    return [(printable(why), names) for why, names in groups.items()]
