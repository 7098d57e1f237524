"""Applying: under the lock, bound by the plan, every result durable before the next step begins."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kubexms import __version__
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import PlanError
from kubexms.executor.adopt import adoptions, attendance, host_states, next_order
from kubexms.executor.debug import Prompter
from kubexms.executor.events import (
    Listener,
    RunFinished,
    RunResult,
    RunStarted,
)
from kubexms.executor.stop import StopSignal
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import Plan, PlanOptions
from kubexms.plan.staleness import Moved
from kubexms.plan.working import Planned
from kubexms.services.binding import bind, check_saved, confirm, narrowed
from kubexms.services.connecting import HostConnector
from kubexms.services.planning import Prepared, prepare
from kubexms.services.project import Project
from kubexms.services.running import RunSetup, run_changes
from kubexms.services.runs import absent, begin, finish, unreachable, waiting_for
from kubexms.services.state import actor, lock_info
from kubexms.state.model import HostState, LockInfo, RunRecord, StepRecord, StepState
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
        check_saved(project, saved, digest=apply_options.digest, resume=apply_options.resume)
    connector = project.connector(keep=True)
    info = lock_info(project, options.operation)

    def waiting(holder: LockInfo) -> None:
        listener(waiting_for(holder))

    try:
        with project.store.lock(info, timeout=apply_options.lock_timeout, waiting=waiting) as writer:
            return _Applying(project, apply_options, saved, listener, stop, connector, writer).go(
                options, approve
            )
    finally:
        connector.close()


@dataclass(frozen=True)
class _Applying:
    """One apply, under the lock of the state."""

    project: Project
    how: ApplyOptions
    saved: Plan | None
    listener: Listener
    stop: StopSignal
    connector: HostConnector
    writer: StateWriter

    def go(self, options: PlanOptions, approve: Callable[[Plan], bool]) -> ApplyOutcome:
        prepared = self._prepare(options, self.listener)
        stale: tuple[Moved, ...] = ()
        plan = prepared.plan
        if self.saved is not None:
            skip = self.how.on_stale == "skip-host"
            stale = bind(self.project, self.saved, prepared, resume=self.how.resume, skip_hosts=skip)
            plan = narrowed(plan, self.saved, frozenset(item.host for item in stale))
        _refuse_errors(plan)
        asked = time.monotonic()
        if not approve(plan):
            return ApplyOutcome(plan, None, approved=False)
        if self.saved is None and plan.effective and time.monotonic() - asked > FRESH:
            again = self._prepare(options, lambda event: None)
            plan = confirm(plan, prepared, again)
            prepared = again
        return self._execute(plan, prepared, stale)

    def _prepare(self, options: PlanOptions, listener: Listener) -> Prepared:
        snapshot = self.project.store.snapshot()
        return prepare(self.project, options, self.connector, snapshot, listener=listener)

    def _execute(self, plan: Plan, prepared: Prepared, stale: tuple[Moved, ...]) -> ApplyOutcome:
        planned, writer = prepared.planned, self.writer
        now = datetime.now(UTC)
        run = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        first = next_order(planned)
        selected = {change.address for change in plan.changes}
        adopted = adoptions(planned, selected, run=run, first_order=first)
        known = self._note(planned, adopted, now)
        if not plan.effective and not planned.snapshot.scopes:
            writer.put_hosts(attendance(known, absent((), plan, stale), plan, now))
            left = RunResult("", unreachable=unreachable((), plan), stale=stale)
            if not left.failed:
                return ApplyOutcome(plan, None)
            self.listener(RunFinished(left))
            return ApplyOutcome(plan, left)
        record = self._begin(run, plan, now)
        touched = tuple(sorted({change.host for change in plan.effective}))
        if not planned.snapshot.scopes:
            for name in planned.hosts.keys() - set(touched):
                self.connector.release(name)
        self.listener(RunStarted(run, len(plan.effective), touched))
        setup = RunSetup(
            self.project,
            plan,
            prepared,
            self.connector,
            writer,
            run,
            record.plan_digest,
            first + len(adopted),
            record.actor,
            lock_timeout=self.how.lock_timeout,
        )
        results = run_changes(setup, self.how.fail_fast, self.how.debug, self.listener, self.stop)
        outcome = RunResult(run, results, self.stop.requested, unreachable(results, plan), stale)
        writer.put_hosts(attendance(known, absent(results, plan, stale), plan, now))
        finish(self.project, plan=plan, writer=writer, record=record, outcome=outcome)
        self.listener(RunFinished(outcome))
        return ApplyOutcome(plan, outcome)

    def _note(self, planned: Planned, adopted: list[StepState], now: datetime) -> Collection[HostState]:
        """Record what the looks told, whatever becomes of the run; returns all hosts that are known now."""
        if planned.previous:
            self.writer.move([(old, new) for new, old in planned.previous.items()])
        _pass_on(self.writer, planned)
        before = planned.snapshot.hosts
        hosts = [state for state in host_states(planned, now) if before.get(state.name) != state]
        self.writer.put_hosts(hosts)
        _resolve(self.writer, planned, adopted)
        return {**before, **{host.name: host for host in hosts}}.values()

    def _begin(self, run: str, plan: Plan, now: datetime) -> RunRecord:
        digest = plan_digest(self.saved or plan)
        record = RunRecord(
            id=run,
            operation="destroy" if plan.options.operation == "destroy" else "apply",
            actor=actor(),
            plan_digest=digest,
            started=now,
            tool_version=__version__,
        )
        kept = plan.model_copy(update={"changes": plan.effective})
        begin(self.project, kept, self.writer, record)
        if self.saved is not None:
            self.writer.mark_applied(digest)
        return record


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


def _refuse_errors(plan: Plan) -> None:
    errors = [d for d in plan.diagnostics if d.severity == "error"]
    if errors:
        raise PlanError(
            errors[0].summary,
            diagnostics=[Diagnostic(Severity.ERROR, d.summary, d.detail, d.address) for d in errors],
        )
