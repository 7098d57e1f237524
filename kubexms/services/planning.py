"""Making a plan: nothing is locked, nothing is written, no host is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubexms.executor.events import Listener, RefreshFinished, RefreshStarted
from kubexms.plan.assemble import assemble, host_report
from kubexms.plan.checks import out_of_scope
from kubexms.plan.instances import Instances
from kubexms.plan.model import Plan, PlanOptions
from kubexms.plan.observe import Connector, HostAnswer
from kubexms.plan.planner import PlanListener, Planner
from kubexms.plan.selection import is_selective, matching
from kubexms.plan.working import HostWork, Planned, PlannedStep
from kubexms.services.living import with_living
from kubexms.services.project import Project
from kubexms.spec.address import Address
from kubexms.spec.inventory import Host
from kubexms.state.model import StateSnapshot

if TYPE_CHECKING:
    from kubexms.graph.model import StepGraph


@dataclass(slots=True)
class Prepared:
    """A plan together with the working form that applying it needs."""

    plan: Plan
    planned: Planned
    instances: Instances


def plan(project: Project, options: PlanOptions, *, listener: Listener, whole: bool = False) -> Plan:
    """Observe every host and say what would change. Read-only.

    With `whole` the plan holds its origin, too, as a saved plan does. Raises `ConfigError` and
    `PlanError`; hosts that cannot be asked are in the plan's report.
    """
    snapshot = with_living(project, project.store.snapshot())
    prepared = prepare(project, options, project.connector(snapshot), snapshot, listener=listener)
    if not whole:
        return prepared.plan
    from kubexms.plan.provenance import with_origin

    return with_origin(prepared.plan, prepared.planned, prepared.instances, project.loaded)


def prepare(
    project: Project,
    options: PlanOptions,
    connector: Connector,
    snapshot: StateSnapshot,
    *,
    listener: Listener,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Prepared:
    """The plan and its working form, through the given connector."""
    planner = Planner(
        project.loaded,
        project.registry,
        snapshot,
        project.concealer(),
        connector,
        options,
        resolver=project.resolver,
        parallelism=project.parallelism,
        listener=_Relay(listener),
    )
    planned = planner.plan()
    _refuse_cycles(project, planned)
    if options.replace:
        matching(planned.steps(), options.replace, "--replace", _silent(project, planned))
    chosen = selected(project, planned, options)
    if is_selective(options):
        hosts = {host.name for host in project.loaded.inventory.hosts}
        planned.diagnostics += out_of_scope(planned.hosts, snapshot.steps, chosen, hosts)
    made = assemble(planned, project.loaded, options, created=now(), selected=chosen)
    return Prepared(made, planned, planner.instances)


def graph_of(project: Project, planned: Planned) -> StepGraph:
    """The order of every step of the spec that was planned."""
    # only what orders steps needs a graph, whose library takes longer to import than a plan to decide
    from kubexms.graph.build import build_graph
    from kubexms.graph.model import StepNode

    tasks = tasks_of(project)
    nodes = [
        StepNode(
            step.instance.address,
            step.instance.position,
            tuple(Address.parse(text) for text in step.depends_on),
            tuple(Address.parse(text) for text in step.data),
            step.instance.step.ignore_errors,
        )
        for work in planned.hosts.values()
        for step in work.steps.values()
        if not step.change.leaving and (step.instance.address.module, step.instance.address.task) in tasks
    ]
    return build_graph(project.loaded.pipeline, nodes)


def _refuse_cycles(project: Project, planned: Planned) -> None:
    """Raise `GraphError` where steps wait for each other: a plan that cannot be applied is none.

    Only steps that need one whose place in the documents is after theirs can be part of a circle, so the
    graph is made for those alone.
    """
    modules = project.loaded.pipeline.modules
    places = {(m.name, t.name): (i, j) for i, m in enumerate(modules) for j, t in enumerate(m.tasks)}
    steps = planned.steps()

    def place(step: PlannedStep) -> tuple[int, int, int]:
        address = step.instance.address
        return (*places.get((address.module, address.task), (-1, -1)), step.instance.position)

    for step in steps.values():
        needed = [steps[text] for text in (*step.depends_on, *step.data) if text in steps]
        if not step.change.leaving and any(place(other) > place(step) for other in needed):
            graph_of(project, planned)
            return


def tasks_of(project: Project) -> frozenset[tuple[str, str]]:
    """Module and task of all that the pipeline has. In a repair there may be steps of none of them."""
    modules = project.loaded.pipeline.modules
    return frozenset((module.name, task.name) for module in modules for task in module.tasks)


def selected(project: Project, planned: Planned, options: PlanOptions) -> set[str] | None:
    """The addresses that `--target` and `--exclude` leave; None for all."""
    if not options.targets and not options.excludes:
        return None
    from kubexms.graph.select import select

    everything = planned.steps()
    silent = _silent(project, planned)
    targets = set(everything)
    if options.targets:
        targets = matching(everything, options.targets, "--target", silent)
    excluded = matching(everything, options.excludes, "--exclude", silent) if options.excludes else set()
    chosen = select(graph_of(project, planned), options.targets, options.excludes)
    leaving = {address for address, step in everything.items() if step.change.leaving}
    return set(chosen) | (leaving & (targets - excluded))


def _silent(project: Project, planned: Planned) -> list[Address]:
    """What there may be on hosts that did not answer, or are in maintenance."""
    hosts = [work.name for work in planned.hosts.values() if not work.usable]
    return [
        Address(module.name, task.name, step.name, host)
        for host in hosts
        for module in project.loaded.pipeline.modules
        for task in module.tasks
        for step in task.steps
    ]


class _Relay(PlanListener):
    """Turns the planner's calls into events."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def started(self, host: str) -> None:
        self._listener(RefreshStarted(host))

    def finished(self, answer: HostAnswer) -> None:
        work = HostWork(Host(name=answer.host), {}, {})
        work.answer = answer
        self._listener(RefreshFinished(host_report(work), answer.seconds))
