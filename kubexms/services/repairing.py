"""`drift --repair`: puts back what was last applied, under the lock, step by step verified as an apply is."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kubexms import __version__
from kubexms.errors import GraphError, PlanError
from kubexms.executor.adopt import next_order
from kubexms.executor.events import Listener, RunFinished, RunResult, RunStarted, StepStatus
from kubexms.executor.stop import StopSignal
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import Plan, PlanOptions
from kubexms.plan.reverting import Reverting, as_applied, reverting
from kubexms.services.connecting import HostConnector
from kubexms.services.drift import DriftReport, remembered, report_of
from kubexms.services.planning import Prepared, graph_of, prepare
from kubexms.services.project import Project
from kubexms.services.running import RunSetup, run_changes
from kubexms.services.runs import begin, finish, unreachable, waiting_for
from kubexms.services.state import actor, lock_info
from kubexms.spec.pipeline import Hooks
from kubexms.state.model import LockInfo, RunRecord
from kubexms.state.protocol import StateWriter
from kubexms.step.contract import Disruption


@dataclass(frozen=True)
class RepairOptions:
    """How far a repair may go."""

    max_changes: int
    """More changes than these, and nothing is done at all: that is no drift any more but something else."""
    allow: frozenset[str] = frozenset()
    """Disruptions that are allowed, and `command`."""
    lock_timeout: float = 0.0


@dataclass(frozen=True)
class RepairOutcome:
    """What came of it. `plan` holds the reverting changes; `result` is None if none was carried out."""

    report: DriftReport
    plan: Plan
    result: RunResult | None = None
    approved: bool = True


def repair(
    project: Project,
    options: PlanOptions,
    repair_options: RepairOptions,
    *,
    approve: Callable[[Plan], bool],
    listener: Listener,
    stop: StopSignal,
) -> RepairOutcome:
    """Put drifted steps back as they were last applied; edits of the documents are not applied by that.

    The report is about what is left after it. Raises `StateLocked`, `ConfigError`, `PlanError`.
    """
    if options.untrusted:
        raise PlanError("--repair does not go with --untrusted", detail="It changes hosts.")
    connector = project.connector(keep=True)
    started = datetime.now(UTC)

    def waiting(holder: LockInfo) -> None:
        listener(waiting_for(holder))

    try:
        info = lock_info(project, "repair")
        with project.store.lock(info, timeout=repair_options.lock_timeout, waiting=waiting) as writer:
            prepared = prepare(project, options, connector, project.store.snapshot(), listener=listener)
            report = report_of(project, prepared, started)
            found = _bounded(prepared, report, repair_options)
            changes = tuple(step.change for step in found.steps.values())
            drifted = {change.address: change for change in report.drifted}
            plan = prepared.plan.model_copy(
                update={"changes": changes, "drift": tuple(drifted.values()), "hooks": (), "removals": ()}
            )
            report = replace(report, left=found.left)
            outcome = RepairOutcome(report, plan)
            applied = _as_applied(project, prepared, found)
            if plan.effective and not approve(plan):
                outcome = replace(outcome, approved=False)
            elif plan.effective:
                wait = repair_options.lock_timeout
                outcome = _execute(project, outcome, applied, connector, writer, listener, stop, wait)
    finally:
        connector.close()
    ended = datetime.now(UTC)
    # in the history it is a look at the hosts as the repair left them
    since = remembered(project, replace(outcome.report, started=ended)).since
    report = replace(outcome.report, seconds=(ended - started).total_seconds(), since=since)
    return replace(outcome, report=report)


def _bounded(prepared: Prepared, report: DriftReport, options: RepairOptions) -> Reverting:
    planned = prepared.planned
    drifted = {change.address for change in report.drifted}
    found = reverting(planned.hosts.values(), drifted, planned.conceal, options.allow)
    count = sum(step.change.effective for step in found.steps.values())
    if count > options.max_changes:
        why = f"putting all back takes {count} changes, and --max-changes allows {options.max_changes}"
        return Reverting({}, {**dict.fromkeys(sorted(drifted), why), **found.left})
    return found


@dataclass(frozen=True)
class _Applied:
    """The hosts as a run sees them that knows nothing but what was last applied."""

    prepared: Prepared
    as_recorded: bool
    """Edits of the documents turned the order round: only the recorded one has no circle."""


def _as_applied(project: Project, prepared: Prepared, found: Reverting) -> _Applied:
    """Raises `PlanError` where neither order would do."""
    planned = prepared.planned
    hosts = {name: as_applied(work, found.steps) for name, work in planned.hosts.items()}
    # scopes that another run left open stay open: closing them is for an apply
    snapshot = planned.snapshot.model_copy(update={"scopes": {}})
    applied = replace(prepared, planned=replace(planned, hosts=hosts, snapshot=snapshot))
    if not any(step.change.effective for step in found.steps.values()):
        return _Applied(applied, as_recorded=False)
    try:
        graph_of(project, applied.planned)
    except GraphError as error:
        interrupts = any(step.change.disruption is not Disruption.NONE for step in found.steps.values())
        if interrupts and _has_hooks(project):
            raise PlanError(
                "the documents order steps otherwise than they were applied, so hooks have no place",
                detail=f"{error.summary}. Apply the edits, or repair without --allow-disruption.",
            ) from error
        return _Applied(applied, as_recorded=True)
    return _Applied(applied, as_recorded=False)


def _has_hooks(project: Project) -> bool:
    pipeline = project.loaded.pipeline
    tasks = [task for module in pipeline.modules for task in module.tasks]
    hooks = [pipeline.hooks, *(m.hooks for m in pipeline.modules), *(task.hooks for task in tasks)]
    return any(one != Hooks() for one in hooks)


def _execute(
    project: Project,
    outcome: RepairOutcome,
    applied: _Applied,
    connector: HostConnector,
    writer: StateWriter,
    listener: Listener,
    stop: StopSignal,
    lock_timeout: float,
) -> RepairOutcome:
    plan, planned = outcome.plan, applied.prepared.planned
    now = datetime.now(UTC)
    record = RunRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        operation="repair",
        actor=actor(),
        plan_digest=plan_digest(plan),
        started=now,
        tool_version=__version__,
    )
    if planned.previous:
        writer.move([(old, new) for new, old in planned.previous.items()])
    begin(project, plan.model_copy(update={"changes": plan.effective}), writer, record)
    listener(
        RunStarted(record.id, len(plan.effective), tuple(sorted({change.host for change in plan.effective})))
    )
    setup = RunSetup(
        project,
        plan,
        applied.prepared,
        connector,
        writer,
        record.id,
        record.plan_digest,
        next_order(planned),
        record.actor,
        reverting=True,
        lock_timeout=lock_timeout,
        as_recorded=applied.as_recorded,
    )
    results = run_changes(setup, False, None, listener, stop)
    result = RunResult(record.id, results, stop.requested, unreachable(results, plan))
    finish(project, plan=plan, writer=writer, record=record, outcome=result)
    listener(RunFinished(result))
    connector.close()
    again = prepare(
        project, plan.options, project.connector(), project.store.snapshot(), listener=lambda event: None
    )
    fresh = report_of(project, again, outcome.report.started)
    return replace(outcome, result=result, report=_after(outcome.report, fresh, result))


def _after(before: DriftReport, now: DriftReport, result: RunResult) -> DriftReport:
    """What is left of the drift, as the hosts say it: what follows from something may be right with it."""
    failed = {item.address: item.message for item in result.results if item.status is not StepStatus.OK}
    left = {change.address: change for change in now.drifted}
    # one that failed half-way has no record to be held against any more, but it is not as it was applied
    left |= {change.address: change for change in before.drifted if change.address in failed}
    # and of one that nobody can see now nobody knows that it is right again
    left |= {c.address: c for c in before.drifted if c.address not in {*left, *now.looked_at}}
    why = {**before.left, **{address: f"it failed: {failed[address]}" for address in failed}}
    return replace(
        now,
        drifted=tuple(left[address] for address in sorted(left)),
        repaired=tuple(sorted(change.address for change in before.drifted if change.address not in left)),
        left={address: why[address] for address in sorted(left) if address in why},
        unreachable={**now.unreachable, **result.unreachable},
    )
