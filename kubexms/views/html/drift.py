"""Drift as one HTML file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from kubexms.step.contract import ActionKind
from kubexms.views.changes import folded
from kubexms.views.drift_human import DriftView
from kubexms.views.escaping import printable
from kubexms.views.folding import fold, fold_text
from kubexms.views.html.blocks import WORDS, HostSets, block
from kubexms.views.html.lines import Budget
from kubexms.views.html.page import data, render
from kubexms.views.html.sections import OPEN, sections
from kubexms.views.html.summary import modules_of, tiles
from kubexms.views.values import plural

_HAPPENED = dict.fromkeys(WORDS, "changed") | {
    ActionKind.DELETE: "gone",
    ActionKind.CREATE: "appeared",
}


def drift_html(report: DriftView, *, facts: Mapping[str, str] | None = None, title: str = "") -> str:
    """What drifted, and apart from it who could not be asked, as one page. Ends with a newline.

    `facts` are names and values for the head of the page (when, of which workspace), `title` what
    the report is about. The same laws as for `plan_html`.
    """
    sets, budget = HostSets(), Budget()
    blocks = [block(group, sets, budget, past=True) for group in folded(report.drifted)]
    tone, headline = _verdict(report)
    return render(
        "drift.html",
        title=printable(f"kubexms drift · {title}" if title else "kubexms drift"),
        tone=tone,
        headline=headline,
        facts=[(printable(name), printable(value)) for name, value in (facts or {}).items()],
        tiles=tiles(report.drifted, _HAPPENED),
        apart=_apart(report),
        modules=modules_of(report.drifted),
        unreachable=_reasons(report.unreachable),
        unknown=_reasons(report.unknown, addresses=True),
        maintenance=_reasons(report.maintenance),
        behind=printable(fold_text(report.behind)),
        pending=_addresses(change.address for change in report.pending),
        untracked=_addresses(report.untracked),
        sections=sections(blocks, ()),
        unfold=len(blocks) <= OPEN,
        total=len(report.drifted),
        sets=data(sets.lists()),
        paths=sorted({(item.module, f"{item.module}/{item.task}") for item in blocks}),
    )


def _apart(report: DriftView) -> list[str]:
    """What the head of the page says of what may be missing."""
    found = (
        (len(report.unreachable), "host", "not reached"),
        (len(report.unknown), "step", "not observed"),
        (len(report.behind), "host", "behind"),
        (len(report.maintenance), "host", "in maintenance"),
    )
    return [f"{plural(count, noun)} {words}" for count, noun, words in found if count]


def _verdict(report: DriftView) -> tuple[str, str]:
    if report.drifted:
        hosts = {change.host for change in report.drifted}
        return "warn", f"Drift: {plural(len(report.drifted), 'step')} on {plural(len(hosts), 'host')}."
    if report.unreachable:
        missing = plural(len(report.unreachable), "host")
        return "warn", f"No drift on the hosts that answered; {missing} did not."
    return "good", "No drift."


def _reasons(reasons: Mapping[str, str], *, addresses: bool = False) -> list[tuple[list[str], str]]:
    """(names, why) with those of the same reason together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in reasons.items():
        groups[why].append(name)
    return [
        (_addresses(names) if addresses else [printable(fold_text(names))], printable(why))
        for why, names in groups.items()
    ]


def _addresses(addresses: Iterable[str]) -> list[str]:
    """Addresses of the same step as one."""
    paths: dict[str, list[str]] = defaultdict(list)
    for address in addresses:
        path, _, host = address.rpartition("@")
        paths[path].append(host)
    return [printable(f"{path}@{','.join(fold(hosts))}") for path, hosts in paths.items()]
