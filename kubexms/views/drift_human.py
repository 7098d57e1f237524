"""Drift for people and as JSON. A clean fleet says nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pydantic import JsonValue

from kubexms.plan.model import Change
from kubexms.views import wording
from kubexms.views.changes import change_lines, folded
from kubexms.views.escaping import printable
from kubexms.views.folding import fold, fold_text
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.plan_json import resource_change
from kubexms.views.values import plural


class DriftView(Protocol):
    """What drift found; each drifted change leads from what was applied to what is there now."""

    @property
    def drifted(self) -> tuple[Change, ...]: ...
    @property
    def pending(self) -> tuple[Change, ...]: ...
    @property
    def unreachable(self) -> Mapping[str, str]: ...
    @property
    def behind(self) -> tuple[str, ...]: ...
    @property
    def untracked(self) -> tuple[str, ...]: ...
    @property
    def unknown(self) -> Mapping[str, str]: ...
    @property
    def maintenance(self) -> Mapping[str, str]: ...


def drift_text(
    report: DriftView, paint: Paint = plain, *, expand: bool = False, verbose: bool = False
) -> str:
    """What drifted and who could not be asked; empty when there is neither.

    With `verbose` everything that was found, and a sentence for a clean fleet.
    """
    if not report.drifted and not report.unreachable and not verbose:
        return ""
    sections = [
        list(change_lines(group, paint, words=wording.happened(group.change)))
        for group in folded(report.drifted, expand=expand)
    ]
    sections.append(list(_apart(report, verbose=verbose)))
    sections.append(list(_conclusion(report, paint)))
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _apart(report: DriftView, *, verbose: bool) -> Iterator[str]:
    """What is no drift, and explains why something may be missing above."""
    for why, hosts in _grouped(report.unreachable):
        yield f"Not reached: {fold_text(hosts)}" + (f" ({why})" if why else "")
    for why, addresses in _grouped(report.unknown):
        yield f"Not observed: {', '.join(printable(address) for address in addresses)} ({why})"
    for why, hosts in _grouped(report.maintenance):
        yield f"In maintenance, left alone: {fold_text(hosts)}" + (f" ({why})" if why else "")
    if report.behind:
        yield f"Behind, since their last run did not finish: {fold_text(report.behind)}"
    if not verbose:
        return
    for title, addresses in (
        ("Pending: the documents want it otherwise", [change.address for change in report.pending]),
        ("Untracked: never applied", list(report.untracked)),
    ):
        if addresses:
            yield f"{title}:"
            yield from (f"  {line}" for line in _folded_addresses(addresses))


def _conclusion(report: DriftView, paint: Paint) -> Iterator[str]:
    if report.drifted:
        hosts = {change.host for change in report.drifted}
        count = plural(len(report.drifted), "step")
        yield f"{paint(Role.BOLD, 'Drift:')} {count} on {plural(len(hosts), 'host')}."
        yield "`kubexms plan` shows what would put this right."
    elif not report.unreachable:
        yield "No drift."
    else:
        yield f"No drift on the hosts that answered; {plural(len(report.unreachable), 'host')} did not."


def drift_json(report: DriftView) -> dict[str, JsonValue]:
    """Everything that was found, clean or not."""
    return {
        "format_version": "1.0",
        "drifted": [resource_change(change) for change in report.drifted],
        "pending": [change.address for change in report.pending],
        "unreachable": dict(report.unreachable),
        "behind": list(report.behind),
        "untracked": list(report.untracked),
        "unknown": dict(report.unknown),
        "maintenance": dict(report.maintenance),
    }


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
