"""The blast radius of a plan: how many hosts and changes, by module and by role, and what is interrupted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubexms.plan.model import Change, Counts, Plan, counted
from kubexms.step.contract import ActionKind, Disruption

NOUNS: Mapping[Disruption, str] = {
    Disruption.DATA_LOSS: "data loss",
    Disruption.REBOOT: "reboot",
    Disruption.DRAIN: "drain",
    Disruption.RESTART: "restart",
}
"""What applying interrupts, worst first, as one of many."""
_RANKS = {disruption: rank for rank, disruption in enumerate(NOUNS)}


@dataclass(frozen=True, slots=True)
class Radius:
    """What one module or role is in for."""

    name: str
    hosts: frozenset[str]
    counts: Counts
    disruptions: Mapping[Disruption, int] = field(default_factory=dict)
    """How many changes interrupt what, worst first; harmless ones are not counted."""


def radius(name: str, changes: Iterable[Change]) -> Radius:
    """The radius of these changes."""
    members = list(changes)
    found: Counter[Disruption] = Counter(
        change.disruption for change in members if change.disruption is not Disruption.NONE
    )
    return Radius(
        name,
        frozenset(change.host for change in members),
        counted(members),
        {disruption: found[disruption] for disruption in NOUNS if found[disruption]},
    )


def by_module(plan: Plan) -> list[Radius]:
    """One for each module that changes, sorted by name."""
    groups: dict[str, list[Change]] = defaultdict(list)
    for change in plan.effective:
        groups[change.address.partition("/")[0]].append(change)
    return [radius(name, groups[name]) for name in sorted(groups)]


def by_role(plan: Plan) -> list[Radius]:
    """One for each role that changes, sorted by name; a host with several roles counts in each."""
    roles = {report.name: report.roles for report in plan.hosts}
    groups: dict[str, list[Change]] = defaultdict(list)
    for change in plan.effective:
        for role in roles.get(change.host, ()):
            groups[role].append(change)
    return [radius(name, groups[name]) for name in sorted(groups)]


def dangerous(change: Change) -> bool:
    """Whether it destroys or interrupts something."""
    return (
        change.action in (ActionKind.DELETE, ActionKind.REPLACE) or change.disruption is not Disruption.NONE
    )


def urgency(change: Change) -> int:
    """A sort key: data loss first, then destruction, interruptions, the rest."""
    if change.disruption is Disruption.DATA_LOSS:
        return 0
    if change.action in (ActionKind.DELETE, ActionKind.REPLACE):
        return 1
    if change.disruption is not Disruption.NONE:
        return 2 + _RANKS[change.disruption]
    return 9 if change.action is not ActionKind.FORGET else 10
