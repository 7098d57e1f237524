"""Drift as one HTML file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from kubexms.plan.driftreport import NEVER, DriftReport
from kubexms.step.contract import ActionKind
from kubexms.views import wording
from kubexms.views.changes import Folded, folded
from kubexms.views.escaping import printable
from kubexms.views.folding import fold, fold_text
from kubexms.views.html.blocks import WORDS, HostSets, block
from kubexms.views.html.lines import Budget
from kubexms.views.html.page import data, moment, render
from kubexms.views.html.sections import OPEN, sections
from kubexms.views.html.summary import modules_of, tiles
from kubexms.views.values import plural

_HAPPENED = dict.fromkeys(WORDS, "changed") | {
    ActionKind.DELETE: "gone",
    ActionKind.CREATE: "appeared",
}


def drift_html(report: DriftReport) -> str:
    """What drifted, and apart from it what was not judged, as one page. Ends with a newline.

    The same laws as for `plan_html`.
    """
    sets, budget = HostSets(), Budget()
    blocks = [
        block(group, sets, budget, happened=_happened(group, report)) for group in folded(report.drifted)
    ]
    tone, headline = _verdict(report)
    name = " / ".join(part for part in (report.project, report.workspace) if part)
    return render(
        "drift.html",
        title=printable(f"kubexms drift · {name}" if name else "kubexms drift"),
        tone=tone,
        headline=headline,
        facts=list(_facts(report)),
        tiles=tiles(report.drifted, _HAPPENED),
        apart=list(_apart(report)),
        modules=modules_of(report.drifted),
        missing=list(_missing(report)),
        notes=[printable(note) for note in report.notes],
        lists=list(_lists(report)),
        sections=sections(blocks, ()),
        unfold=len(blocks) <= OPEN,
        total=len(report.drifted),
        sets=data(sets.lists()),
        paths=sorted({(item.module, f"{item.module}/{item.task}") for item in blocks}),
    )


def _happened(group: Folded, report: DriftReport) -> str:
    """`has changed`, and since when, if that is known and was not just now."""
    known = (report.since.get(f"{group.path}@{host}") for host in group.hosts)
    since = min((when for when in known if when is not None), default=report.started)
    words = wording.happened(group.change)
    return words if since >= report.started else f"{words}, found first at {moment(since)}"


def _verdict(report: DriftReport) -> tuple[str, str]:
    if report.drifted:
        hosts = {change.host for change in report.drifted}
        return "warn", f"Drift: {plural(len(report.drifted), 'step')} on {plural(len(hosts), 'host')}."
    if report.unreachable:
        missing = plural(len(report.unreachable), "host")
        return "warn", f"No drift on the hosts that answered; {missing} did not."
    return "good", "No drift."


def _facts(report: DriftReport) -> Iterator[tuple[str, str]]:
    if report.started != NEVER:
        yield "looked", moment(report.started)
        yield "took", f"{report.seconds:.1f} s"
    looked_at = report.looked_at
    hosts = {address.rpartition("@")[2] for address in looked_at}
    yield "compared", f"{plural(len(looked_at), 'step')} on {plural(len(hosts), 'host')}"
    if report.tool_version:
        yield "kubexms", printable(report.tool_version)


def _apart(report: DriftReport) -> Iterator[str]:
    """What the head of the page says of what is no drift."""
    found = (
        (len(report.repaired), "step", "repaired"),
        (len(report.left), "step", "left by the repair"),
        (len(report.unreachable), "host", "not reached"),
        (len(report.unknown), "step", "not observed"),
        (len(report.applying), "host", "being changed"),
        (len(report.behind), "host", "behind"),
        (len(report.maintenance), "host", "in maintenance"),
    )
    return (f"{plural(count, noun)} {words}" for count, noun, words in found if count)


def _missing(report: DriftReport) -> Iterator[tuple[str, str, list[str], str]]:
    """(class, title, names, why) of what explains why something may be missing, and of a repair."""
    for why, names in _grouped(report.left):
        yield "warn", "Left as it is by the repair", _addresses(names), why
    for why, names in _grouped(report.unreachable):
        yield "warn", "Not reached", [printable(fold_text(names))], why
    for why, names in _grouped(report.unknown):
        yield "warn", "Not observed", _addresses(names), why
    for run, names in _grouped(report.applying):
        yield "", "Not judged", [printable(fold_text(names))], f"Run {run} was changing it meanwhile."
    if report.behind:
        why = "An apply was missed, or one did not finish."
        yield "warn", "Behind", [printable(fold_text(report.behind))], why
    for why, names in _grouped(report.maintenance):
        yield "", "In maintenance, left alone", [printable(fold_text(names))], why
    for host, when in sorted(report.facts_at.items()):
        why = f"Its facts, which others are rendered with, are of {moment(when)}."
        yield "", "Old facts", [printable(host)], why


def _lists(report: DriftReport) -> Iterator[tuple[str, str, str, list[str]]]:
    """(id, title, note, addresses)."""
    pending = (change.address for change in report.pending)
    for name, title, note, addresses in (
        ("repaired", "Repaired", "put back as last applied", report.repaired),
        ("pending", "Pending", "the documents want it otherwise, and it has not been applied", pending),
        ("untracked", "Untracked", "never applied", report.untracked),
    ):
        found = _addresses(addresses)
        if found:
            yield name, title, note, found


def _grouped(reasons: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in reasons.items():
        groups[why].append(name)
    return [(printable(why), names) for why, names in groups.items()]


def _addresses(addresses: Iterable[str]) -> list[str]:
    """Addresses of the same step as one."""
    paths: dict[str, list[str]] = defaultdict(list)
    for address in addresses:
        path, _, host = address.rpartition("@")
        paths[path].append(host)
    return [printable(f"{path}@{','.join(fold(hosts))}") for path, hosts in paths.items()]
