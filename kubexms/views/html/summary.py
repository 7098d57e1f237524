"""What a plan touches, in figures: by action, module and role."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubexms.plan.model import Change, HostStatus, Plan
from kubexms.step.contract import ActionKind
from kubexms.views.escaping import printable
from kubexms.views.html.blocks import CLASSES, SIGNS, WORDS
from kubexms.views.radius import NOUNS, Radius, by_module, by_role
from kubexms.views.values import plural


@dataclass(frozen=True, slots=True)
class Tile:
    """One action and how many changes it has."""

    action: str
    css: str
    sign: str
    word: str
    count: int


FIGURES = ("add", "change", "destroy", "forget")


@dataclass(frozen=True, slots=True)
class Touched:
    """A row of a table of what is touched."""

    name: str
    hosts: str
    figures: Mapping[str, int]
    """Of each of `FIGURES`."""
    interrupts: str


def tiles(changes: Iterable[Change], words: Mapping[ActionKind, str] = WORDS) -> list[Tile]:
    """Each action that occurs, in the order of the legend; unchanged steps last."""
    found = Counter(change.action for change in changes)
    kinds = [*(kind for kind in CLASSES if kind is not ActionKind.NO_OP), ActionKind.NO_OP]
    return [
        Tile(kind.value, CLASSES[kind], SIGNS[kind], words[kind], found[kind])
        for kind in kinds
        if found[kind]
    ]


def modules(plan: Plan) -> list[Touched]:
    """Modules with something to do, in the order of the pipeline."""
    ranks = {module.name: number for number, module in enumerate(plan.order)}
    found = sorted(by_module(plan), key=lambda item: ranks.get(item.name, len(ranks)))
    return [_touched(item, 0) for item in found]


def roles(plan: Plan) -> list[Touched]:
    """Roles whose hosts are touched; a host with two roles counts in both."""
    sizes = Counter(role for report in plan.hosts for role in report.roles)
    return [_touched(item, sizes[item.name]) for item in by_role(plan)]


def _touched(item: Radius, of: int) -> Touched:
    counts = item.counts
    return Touched(
        printable(item.name),
        f"{len(item.hosts)} of {of}" if of else str(len(item.hosts)),
        dict(zip(FIGURES, (counts.add, counts.change, counts.remove, counts.forget), strict=True)),
        ", ".join(_some(count, NOUNS[disruption]) for disruption, count in item.disruptions.items()),
    )


def _some(count: int, noun: str) -> str:
    return f"{count} with data loss" if noun == "data loss" else plural(count, noun)


def modules_of(changes: Iterable[Change]) -> list[tuple[str, int, int]]:
    """(module, changes, hosts), by name."""
    members: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        members[change.address.partition("/")[0]].append(change)
    return [
        (printable(name), len(members[name]), len({change.host for change in members[name]}))
        for name in sorted(members)
    ]


def verdict(plan: Plan) -> tuple[str, str]:
    """(class, one word) for the head of the page."""
    if plan.errored:
        return "bad", "cannot be applied"
    if not plan.effective:
        partial = any(r.status in {HostStatus.UNREACHABLE, HostStatus.PARTIAL} for r in plan.hosts)
        return ("warn", "incomplete") if partial else ("good", "clean")
    return "", ""
