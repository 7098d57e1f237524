"""Looking without planning: hosts and their facts, and the order of the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from kubexms.executor.events import Listener
from kubexms.graph.model import StepGraph
from kubexms.plan.model import HostReport, PlanOptions
from kubexms.plan.observe import HostAnswer, observe_all
from kubexms.plan.questions import Questions
from kubexms.plan.selection import limited
from kubexms.services.planning import graph_of, prepare
from kubexms.services.project import Project


@dataclass(frozen=True)
class HostInfo:
    """One host: whether it answers, as what, and its facts."""

    name: str
    roles: tuple[str, ...]
    address: str
    reachable: bool
    error: str = ""
    maintenance: str = ""
    seconds: float = 0.0
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


def hosts(project: Project, limit: tuple[str, ...] = ()) -> tuple[HostInfo, ...]:
    """Ask every host for its facts, also those in maintenance."""
    chosen = limited(project.loaded.inventory.hosts, limit)
    answers = observe_all(
        [host.name for host in chosen],
        project.connector(),
        prepare=lambda host: Questions(),
        again=lambda answer: None,
        parallelism=project.parallelism,
        deadline=project.loaded.spec.plan_deadline,
        started=lambda host: None,
        finished=lambda answer: None,
    )
    found: list[HostInfo] = []
    for host in chosen:
        answer: HostAnswer = answers[host.name]
        found.append(
            HostInfo(
                host.name,
                host.roles,
                host.connection.address or host.name,
                answer.error is None,
                answer.error.about(host.name) if answer.error else "",
                host.maintenance.reason if host.maintenance else "",
                answer.seconds,
                answer.facts,
            )
        )
    return tuple(found)


def graph(
    project: Project, options: PlanOptions | None = None, *, listener: Listener = lambda event: None
) -> StepGraph:
    """The order of every step on every host. Asks the hosts, because facts may select steps."""
    prepared = prepare(
        project, options or PlanOptions(), project.connector(), project.store.snapshot(), listener=listener
    )
    return graph_of(project, prepared.planned)


__all__ = ["HostInfo", "HostReport", "graph", "hosts"]
