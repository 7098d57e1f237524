"""Drift: hosts against what was last applied to them. Takes no lock and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubexms.executor.events import Listener
from kubexms.plan.model import Change, HostStatus, PlanOptions
from kubexms.services.planning import prepare
from kubexms.services.project import Project
from kubexms.step.observation import Presence


@dataclass(frozen=True)
class DriftReport:
    """What drifted, and apart from it what is otherwise not as it could be."""

    drifted: tuple[Change, ...] = ()
    pending: tuple[Change, ...] = ()
    """Changes of the spec that are not applied yet."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    behind: tuple[str, ...] = ()
    """Hosts on which the last run did not finish."""
    untracked: tuple[str, ...] = ()
    """Addresses that were never applied."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Address -> why it could not be observed."""
    maintenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """2 drift (wins), 3 no drift but hosts unreachable, 0 clean."""
        return 2 if self.drifted else 3 if self.unreachable else 0


def drift(project: Project, options: PlanOptions, *, listener: Listener) -> DriftReport:
    """Compare every host with its last applied steps."""
    prepared = prepare(project, options, project.connector(), project.store.snapshot(), listener=listener)
    plan, planned = prepared.plan, prepared.planned
    drifted = {change.address for change in plan.drift}
    behind = sorted({address.rpartition("@")[2] for address in planned.snapshot.intents})
    unknown = {
        address: seen.observation.reason
        for work in planned.hosts.values()
        if work.answer is not None
        for address, seen in work.answer.seen.items()
        if address in work.entries and seen.observation.presence is Presence.UNKNOWN
    }
    return DriftReport(
        drifted=plan.drift,
        pending=tuple(change for change in plan.effective if change.address not in drifted),
        unreachable={h.name: h.error for h in plan.hosts if h.status is HostStatus.UNREACHABLE},
        behind=tuple(behind),
        untracked=tuple(c.address for c in plan.changes if c.address not in planned.snapshot.steps),
        unknown=unknown,
        maintenance={h.name: h.error for h in plan.hosts if h.status is HostStatus.MAINTENANCE},
    )
