"""From the planner's working form to the plan that is shown, saved and bound."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from datetime import datetime

from kubexms import __version__
from kubexms.config.project import LoadedProject
from kubexms.errors import Unreachable
from kubexms.plan.driftcheck import drifted
from kubexms.plan.model import (
    Change,
    HostReport,
    HostStatus,
    Plan,
    PlanDiagnostic,
    PlannedHook,
    PlanOptions,
    Removal,
)
from kubexms.plan.order import order_of
from kubexms.plan.rights import unseen_for_lack_of_rights
from kubexms.plan.working import HostWork, Planned
from kubexms.runtime.facts import MEASURED
from kubexms.spec.address import CONTROLLER, Address
from kubexms.spec.pipeline import Hooks
from kubexms.state.digest import digest


def assemble(
    planned: Planned,
    project: LoadedProject,
    options: PlanOptions,
    *,
    created: datetime,
    selected: set[str] | None = None,
) -> Plan:
    """The plan; with `selected`, only of these addresses."""
    steps = planned.steps()
    chosen = {address: step for address, step in steps.items() if selected is None or address in selected}
    changes = sorted(
        (step.change for step in chosen.values()), key=lambda change: Address.parse(change.address)
    )
    drift = [
        change
        for work in planned.hosts.values()
        for change in drifted(work, planned.conceal)
        if selected is None or change.address in selected
    ]
    meta = planned.snapshot.meta
    diagnostics = [d for d in planned.diagnostics if selected is None or d.address in chosen]
    diagnostics += unseen_for_lack_of_rights(planned.hosts)
    return Plan.model_construct(
        tool_version=__version__,
        created=created,
        project=project.root.name,
        workspace=project.workspace,
        lineage=meta.lineage,
        serial=meta.serial,
        spec_digest=digest([project.pipeline.to_json(), project.inventory.to_json()]),
        options=options,
        hosts=tuple(host_report(work) for work in sorted(planned.hosts.values(), key=lambda work: work.name)),
        changes=tuple(changes),
        drift=tuple(sorted(drift, key=lambda change: Address.parse(change.address))),
        order=() if options.operation == "destroy" else order_of(project.pipeline, steps.values()),
        hooks=tuple(_hooks(project, changes, planned.snapshot.scopes)),
        removals=tuple(_removals(planned, project)),
        diagnostics=tuple(_warned(project, options) + diagnostics + _unasked(planned, project, options)),
    )


def host_report(work: HostWork) -> HostReport:
    """How one host answered."""
    answer = work.answer
    if answer is None:
        reason = work.host.maintenance.reason if work.host.maintenance else ""
        return HostReport(name=work.name, status=HostStatus.MAINTENANCE, error=reason, roles=work.host.roles)
    if answer.error is not None:
        return HostReport(
            name=work.name,
            status=HostStatus.UNREACHABLE,
            error=answer.error.about(work.name),
            roles=work.host.roles,
        )
    return HostReport(
        name=work.name,
        status=HostStatus.OK if answer.complete else HostStatus.PARTIAL,
        rounds=answer.rounds,
        guard=answer.guard,
        machine_id=str(answer.facts.get("machine_id", "")),
        facts_digest=digest({name: value for name, value in answer.facts.items() if name not in MEASURED}),
        roles=work.host.roles,
    )


def _hooks(
    project: LoadedProject, changes: Iterable[Change], open_scopes: Collection[str]
) -> list[PlannedHook]:
    """Hooks of scopes with something to bring about, and what closes scopes that a run left open.

    What only leaves has no hooks: its scope may not be there any more.
    """
    active = [Address.parse(change.address) for change in changes if change.effective and not change.leaving]
    scopes: list[tuple[str, str, Hooks, list[Address]]] = [("", "", project.pipeline.hooks, active)]
    for module in project.pipeline.modules:
        within = [a for a in active if a.module == module.name]
        scopes.append((module.name, "", module.hooks, within))
        scopes += [
            (module.name, task.name, task.hooks, [a for a in within if a.task == task.name])
            for task in module.tasks
        ]
    planned: list[PlannedHook] = []
    for module_name, task_name, hooks, within in scopes:
        left_open = _open_hosts(module_name, task_name, open_scopes)
        for phase, members in (("pre", hooks.pre), ("post", hooks.post), ("onFailure", hooks.on_failure)):
            for hook in members:
                again = left_open if phase == "post" else set()
                if hook.on == "hosts":
                    hosts = sorted({a.host for a in within} | (again - {""}))
                else:
                    hosts = [CONTROLLER] if within or "" in again else []
                for host in hosts:
                    address = Address(module_name, task_name, "hook", host, hook.name)
                    busy = within if hook.on == "controller" else [a for a in within if a.host == host]
                    planned.append(
                        PlannedHook(
                            address=str(address),
                            phase=phase,  # type: ignore[arg-type]
                            run=hook.run,
                            on=hook.on,
                            left_open=not busy,
                        )
                    )
    return planned


def _open_hosts(module: str, task: str, open_scopes: Collection[str]) -> set[str]:
    """The hosts on which a scope is open in the state; "" stands for the controller."""
    path = f"{module}/{task}" if task else module
    return {scope.partition("@")[2] for scope in open_scopes if scope.partition("@")[0] == path}


def _removals(planned: Planned, project: LoadedProject) -> list[Removal]:
    known = {host.name for host in project.inventory.hosts}
    counts: dict[str, int] = {}
    for address in planned.snapshot.steps:
        host = address.rpartition("@")[2]
        if host not in known:
            counts[host] = counts.get(host, 0) + 1
    return [
        Removal(host=host, steps=count, allowed=host in planned.hosts)
        for host, count in sorted(counts.items())
    ]


def _warned(project: LoadedProject, options: PlanOptions) -> list[PlanDiagnostic]:
    """What the documents were warned of when they were read: nobody runs `validate` before each plan."""
    if options.operation != "apply":
        return []
    found: list[PlanDiagnostic] = []
    for item in project.warnings:
        # a plan is passed around: where a colleague keeps the project is nothing to tell
        name = os.path.relpath(item.source.filename, project.root) if item.source else ""
        where = f"In {name} line {item.source.line}. " if item.source else ""
        found.append(PlanDiagnostic(severity="warning", summary=item.summary, detail=where + item.detail))
    return found


def _unasked(planned: Planned, project: LoadedProject, options: PlanOptions) -> list[PlanDiagnostic]:
    """The hosts that did not answer: a warning each, an error where somebody wants one to be removed."""
    known = {host.name for host in project.inventory.hosts}
    found: list[PlanDiagnostic] = []
    for work in planned.hosts.values():
        if work.answer is None or work.answer.error is None:
            continue
        error = work.answer.error
        what = "is unreachable" if isinstance(error, Unreachable) else "could not be asked"
        summary = f"{work.name} {what}: {error.about(work.name)}"
        if work.name in known or options.operation == "destroy":
            detail = error.detail or "Nothing is planned on it."
            found.append(PlanDiagnostic(severity="warning", summary=summary, detail=detail))
            continue
        detail = (
            f"{work.name} is to be removed, and nothing on it can be undone now. Repair it, or plan without "
            f"removing it. If it is gone for good, forget it (`kubexms state forget --host {work.name}`), "
            "and if it was a node of a cluster, name it in the cluster's lostNodes."
        )
        found.append(PlanDiagnostic(severity="error", summary=summary, detail=detail))
    return found
