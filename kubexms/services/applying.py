"""Applying: under the lock, bound by the plan, every result durable before the next step begins."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kubexms import __version__
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import PlanError, StalePlan
from kubexms.executor.adopt import adoptions, attendance, host_states, next_order
from kubexms.executor.debug import Prompter
from kubexms.executor.events import (
    HOOK,
    Listener,
    RunFinished,
    RunResult,
    RunStarted,
    StepResult,
    StepStatus,
    Waiting,
)
from kubexms.executor.stop import StopSignal
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import HostStatus, Plan, PlanOptions
from kubexms.plan.planner import Planned
from kubexms.plan.staleness import Moved, moved_since
from kubexms.services.connecting import HostConnector
from kubexms.services.planning import Prepared, prepare
from kubexms.services.project import Project
from kubexms.services.running import RunSetup, run_changes
from kubexms.services.state import actor, lock_info
from kubexms.state.model import LockInfo, RunRecord, StepRecord, StepState
from kubexms.state.protocol import StateWriter

FRESH = 5.0
"""Seconds that an observation stays fresh: an approval that took longer makes apply look again."""


@dataclass(frozen=True)
class ApplyOptions:
    """How to apply."""

    fail_fast: bool = False
    on_stale: Literal["refuse", "skip-host"] = "refuse"
    lock_timeout: float = 0.0
    resume: bool = False
    debug: Prompter | None = None
    digest: str | None = None
    """The digest that the approver saw; the plan must have it."""


@dataclass(frozen=True)
class ApplyOutcome:
    """What came of it. `result` is None when nothing was to be done, or it was not approved."""

    plan: Plan
    result: RunResult | None
    approved: bool = True


def apply(
    project: Project,
    options: PlanOptions,
    apply_options: ApplyOptions,
    *,
    saved: Plan | None,
    approve: Callable[[Plan], bool],
    listener: Listener,
    stop: StopSignal,
) -> ApplyOutcome:
    """Bring hosts to the declared state, or refuse.

    Raises `StateLocked`, `StalePlan`, `PlanError`, `ConfigError` before anything is touched. What
    happens on hosts is in the result.
    """
    if saved is not None:
        options = saved.options
        _check_saved(project, saved, apply_options)
    connector = project.connector(keep=True)
    info = lock_info(project, options.operation)

    def waiting(holder: LockInfo) -> None:
        listener(waiting_for(holder))

    try:
        with project.store.lock(info, timeout=apply_options.lock_timeout, waiting=waiting) as writer:
            return _apply_locked(
                project, options, apply_options, saved, approve, listener, stop, connector, writer
            )
    finally:
        connector.close()


def waiting_for(holder: LockInfo) -> Waiting:
    """That the state is another run's."""
    since = f"{holder.created:%Y-%m-%d %H:%M:%S %Z}"
    return Waiting(f"the state's lock, held by {holder.who} for {holder.operation} since {since}")


def _apply_locked(
    project: Project,
    options: PlanOptions,
    apply_options: ApplyOptions,
    saved: Plan | None,
    approve: Callable[[Plan], bool],
    listener: Listener,
    stop: StopSignal,
    connector: HostConnector,
    writer: StateWriter,
) -> ApplyOutcome:
    prepared = prepare(project, options, connector, project.store.snapshot(), listener=listener)
    if saved is not None:
        stale = _bind(project, saved, prepared, apply_options)
        plan = _narrowed(prepared.plan, saved, frozenset(item.host for item in stale))
    else:
        stale = ()
        plan = prepared.plan
    _refuse_errors(plan)
    asked = time.monotonic()
    if not approve(plan):
        return ApplyOutcome(plan, None, approved=False)
    if saved is None and plan.effective and time.monotonic() - asked > FRESH:
        again = prepare(project, options, connector, project.store.snapshot(), listener=lambda event: None)
        _refuse_moved(moved_since(plan, again.plan, _dependencies(prepared)))
        prepared = again
        plan = _narrowed(again.plan, plan, frozenset())
    return _execute(project, plan, prepared, apply_options, saved, stale, listener, stop, connector, writer)


def _execute(
    project: Project,
    plan: Plan,
    prepared: Prepared,
    apply_options: ApplyOptions,
    saved: Plan | None,
    stale: tuple[Moved, ...],
    listener: Listener,
    stop: StopSignal,
    connector: HostConnector,
    writer: StateWriter,
) -> ApplyOutcome:
    planned = prepared.planned
    now = datetime.now(UTC)
    digest = plan_digest(saved or plan)
    run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    selected = {change.address for change in plan.changes}
    first = next_order(planned)
    adopted = adoptions(planned, selected, run=run_id, first_order=first)
    if planned.previous:
        writer.move([(old, new) for new, old in planned.previous.items()])
    _pass_on(writer, planned)
    hosts = [state for state in host_states(planned, now) if planned.snapshot.hosts.get(state.name) != state]
    writer.put_hosts(hosts)
    _resolve(writer, planned, adopted)
    known = {**planned.snapshot.hosts, **{host.name: host for host in hosts}}.values()
    if not plan.effective and not planned.snapshot.scopes:
        writer.put_hosts(attendance(known, _absent((), plan, stale), plan, now))
        left = RunResult("", unreachable=unreachable((), plan), stale=stale)
        if not left.failed:
            return ApplyOutcome(plan, None)
        listener(RunFinished(left))
        return ApplyOutcome(plan, left)
    record = RunRecord(
        id=run_id,
        operation="destroy" if plan.options.operation == "destroy" else "apply",
        actor=actor(),
        plan_digest=digest,
        started=now,
        tool_version=__version__,
    )
    kept = plan.model_copy(update={"changes": plan.effective})
    begin(project, kept, writer, record)
    if saved is not None:
        writer.mark_applied(digest)
    touched = tuple(sorted({change.host for change in plan.effective}))
    for work in planned.hosts.values():
        if work.name not in touched and not planned.snapshot.scopes:
            connector.release(work.name)
    listener(RunStarted(run_id, len(plan.effective), touched))
    setup = RunSetup(
        project,
        plan,
        prepared,
        connector,
        writer,
        run_id,
        digest,
        first + len(adopted),
        record.actor,
        lock_timeout=apply_options.lock_timeout,
    )
    results = run_changes(setup, apply_options.fail_fast, apply_options.debug, listener, stop)
    outcome = RunResult(run_id, results, stop.requested, unreachable(results, plan), stale)
    writer.put_hosts(attendance(known, _absent(results, plan, stale), plan, now))
    finish(project, plan=plan, writer=writer, record=record, outcome=outcome)
    listener(RunFinished(outcome))
    return ApplyOutcome(plan, outcome)


def _pass_on(writer: StateWriter, planned: Planned) -> None:
    """What is known of objects stands under the steps that are about them now, before any of these begins."""
    passed = {a: entry for work in planned.hosts.values() if work.usable for a, entry in work.passed.items()}
    writer.put_steps([entry for entry in passed.values() if entry is not None])
    writer.remove_steps([address for address, entry in passed.items() if entry is None])


def _resolve(writer: StateWriter, planned: Planned, adopted: list[StepState]) -> None:
    """Record what was found right; intents that observation has settled are closed with it."""
    writer.put_steps([entry for entry in adopted if entry.address not in planned.snapshot.intents])
    for entry in adopted:
        intent = planned.snapshot.intents.get(entry.address)
        if intent is not None:
            record = StepRecord(
                address=entry.address,
                kind=entry.kind,
                action=intent.action,
                status="ok",
                message="found done after an interruption",
            )
            writer.close_intent(record, run=intent.run, entry=entry)


def begin(project: Project, plan: Plan, writer: StateWriter, record: RunRecord) -> None:
    """Record that a run starts. Under the lock no other can be alive: those that seem to be were cut off."""
    for run in project.store.runs():
        if run.status == "running":
            writer.finish_run(run.model_copy(update={"status": "interrupted"}))
    writer.begin_run(record, plan=plan.to_json())


def finish(
    project: Project,
    *,
    plan: Plan,
    writer: StateWriter,
    record: RunRecord,
    outcome: RunResult,
) -> None:
    """Record how a run ended, and what of it has no record yet."""
    gone = {removal.host for removal in plan.removals if removal.allowed}
    if gone:
        left = {text.rpartition("@")[2] for text in project.store.snapshot().steps}
        for host in gone - left:
            writer.remove_host(host)
    unrecorded = [r for r in outcome.results if r.status is StepStatus.SKIPPED or r.kind == HOOK]
    writer.record([_record(result) for result in unrecorded], run=record.id)
    summary: dict[str, int] = {}
    for result in outcome.results:
        if result.kind == HOOK and result.status is StepStatus.OK:
            continue
        summary[result.status.value] = summary.get(result.status.value, 0) + 1
    status: Literal["succeeded", "failed", "interrupted"] = (
        "interrupted" if outcome.interrupted else "failed" if outcome.failed else "succeeded"
    )
    writer.finish_run(
        record.model_copy(update={"finished": datetime.now(UTC), "status": status, "summary": summary})
    )


def _record(result: StepResult) -> StepRecord:
    """Of what has no record yet: a step that was not begun, or a hook."""
    return StepRecord(
        address=result.address,
        kind=result.kind,
        action=result.action,
        status=result.status.value,
        seconds=round(result.seconds, 3),
        exit_status=result.exit_status,
        output_tail=result.stdout,
        error_tail=result.stderr,
        message=result.message,
        detail=result.detail,
    )


# saved plans ------------------------------------------------------------------------------
def _check_saved(project: Project, saved: Plan, options: ApplyOptions) -> None:
    digest = plan_digest(saved)
    if options.digest is not None and options.digest != digest:
        raise PlanError(
            f"the plan's digest is {digest}, not {options.digest}",
            detail="This is not the plan that was approved. Nothing was touched.",
        )
    snapshot = project.store.snapshot()
    known = bool(snapshot.steps or snapshot.applied_plans)
    if saved.workspace != project.loaded.workspace or (known and saved.lineage != snapshot.meta.lineage):
        raise PlanError(
            f"the plan was made for workspace {saved.workspace} with lineage {saved.lineage}, "
            f"this state is {project.loaded.workspace} with lineage {snapshot.meta.lineage}",
            detail="Apply it where it was made, or plan here.",
        )
    if saved.errored:
        raise PlanError("the plan holds errors and cannot be applied", detail="`kubexms show` lists them.")
    begun = digest in snapshot.applied_plans
    if begun and not options.resume:
        raise StalePlan(
            "this plan has been applied already; a plan applies once",
            detail="If that run did not finish, continue it with `apply --resume`; else plan again.",
        )
    if options.resume and not begun:
        raise PlanError("there is no run of this plan to resume", detail="Apply it without --resume.")


def _bind(project: Project, saved: Plan, prepared: Prepared, options: ApplyOptions) -> tuple[Moved, ...]:
    """Refuse what moved since; returns what moved on hosts to leave out. Raises `StalePlan`."""
    moved = moved_since(saved, prepared.plan, _dependencies(prepared))
    if options.resume:
        digest = plan_digest(saved)
        own = {run.id for run in project.store.runs(limit=1000) if run.plan_digest == digest}
        mine = {text for text, entry in prepared.planned.snapshot.steps.items() if entry.run in own}
        mine |= {text for text, intent in prepared.planned.snapshot.intents.items() if intent.run in own}
        moved = [item for item in moved if item.address not in mine and item.what != "dependency"]
    if options.on_stale == "skip-host":
        return tuple(moved)
    _refuse_moved(moved)
    return ()


def _dependencies(prepared: Prepared) -> dict[str, tuple[str, ...]]:
    return {text: (*step.depends_on, *step.data) for text, step in prepared.planned.steps().items()}


def _refuse_moved(moved: list[Moved]) -> None:
    if not moved:
        return
    count = len({item.address for item in moved})
    summary = f"the plan is stale: {count} step{'s' if count > 1 else ''} moved since it was made"
    advice = (
        "Nothing was touched. Plan again; or `--on-stale=skip-host` applies it to the hosts "
        "on which nothing moved."
    )
    steps = (
        Diagnostic(Severity.ERROR, f"{item.address}: {item.what} moved", item.detail, item.address)
        for item in moved
    )
    raise StalePlan(summary, diagnostics=[*steps, Diagnostic(Severity.ERROR, summary, advice)])


def _narrowed(fresh: Plan, saved: Plan, skipped: frozenset[str]) -> Plan:
    """The fresh plan's changes that the saved one has, without the hosts to leave out."""
    wanted = {change.address for change in saved.effective if change.host not in skipped}
    changes = tuple(change for change in fresh.changes if not change.effective or change.address in wanted)
    return fresh.model_copy(update={"changes": changes, "diagnostics": fresh.diagnostics})


def _refuse_errors(plan: Plan) -> None:
    errors = [d for d in plan.diagnostics if d.severity == "error"]
    if errors:
        raise PlanError(
            errors[0].summary,
            diagnostics=[Diagnostic(Severity.ERROR, d.summary, d.detail, d.address) for d in errors],
        )


def _absent(results: tuple[StepResult, ...], plan: Plan, stale: tuple[Moved, ...]) -> set[str]:
    """Hosts that were not asked or left out, and those on which something did not come about."""
    away = {item.host for item in stale}
    away |= {h.name for h in plan.hosts if h.status in (HostStatus.UNREACHABLE, HostStatus.MAINTENANCE)}
    fine = (StepStatus.OK, StepStatus.IGNORED)
    return away | {r.address.rpartition("@")[2] for r in results if r.status not in fine}


def unreachable(results: tuple[StepResult, ...], plan: Plan) -> dict[str, str]:
    """Hosts that could not be asked, and those that were lost on the way."""
    lost = {report.name: report.error for report in plan.hosts if report.status is HostStatus.UNREACHABLE}
    for result in results:
        if result.status is StepStatus.UNREACHABLE:
            host = result.address.rpartition("@")[2]
            lost[host] = result.message.removeprefix(f"{host}: ")
    return lost
