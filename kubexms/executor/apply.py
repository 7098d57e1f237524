"""Applying one step on one host: intent, guard, action, verification, result."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import JsonValue

from kubexms.errors import (
    ActionFailed,
    ConnectionFailed,
    GuardChanged,
    Interrupted,
    KubexmsError,
    NotConverged,
    StepError,
)
from kubexms.executor.context import Clock, ExchangeContext, expected
from kubexms.executor.entries import adopted_entry, applied_entry
from kubexms.executor.events import StepResult, StepStatus
from kubexms.executor.outcome import Scrubber, raise_for_failure
from kubexms.plan.compare import Comparison, compare
from kubexms.plan.conceal import Concealer
from kubexms.plan.questions import Seen, read_single
from kubexms.plan.rendered import Instance, Rendered
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import Action, Claim, Connection, Outcome
from kubexms.spec.pipeline import Retries
from kubexms.state.model import Intent, StepRecord, StepState
from kubexms.state.protocol import StateWriter
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.observation import Observation, Presence

_WORSE = {
    ActionKind.NO_OP: 0,
    ActionKind.CREATE: 1,
    ActionKind.RUN: 1,
    ActionKind.UPDATE: 1,
    ActionKind.REPLACE: 2,
    ActionKind.DELETE: 3,
}


@dataclass(slots=True)
class HostRun:
    """One host during a run. Used by one worker at a time."""

    name: str
    connection: Connection
    machine_id: str
    facts: Mapping[str, JsonValue]
    acted: bool = False
    """An earlier step of this run changed something here: later observations may have moved with it."""
    outputs: dict[str, dict[str, object]] = field(default_factory=dict)


Rerender = Callable[[PlannedStep, HostRun], Instance]
"""Renders a step again, now that outputs and facts are known."""


class StepApplier:
    """Applies steps. Thread-safe for different hosts.

    Every path ends in a `StepResult` and a durable record; nothing is raised but programming errors.
    """

    def __init__(
        self,
        writer: StateWriter,
        conceal: Concealer,
        *,
        run: str,
        lineage: str,
        first_order: int,
        rerender: Rerender,
        progress: Callable[[PlannedStep, str], None],
        stopping: Callable[[], bool],
        source_of: Callable[[PlannedStep], str] = lambda planned: "",
    ) -> None:
        self._writer = writer
        self._conceal = conceal
        self._run = run
        self._lineage = lineage
        self._order = first_order
        self._rerender = rerender
        self._progress = progress
        self._stopping = stopping
        self._clock = Clock(stopping)
        self._source_of = source_of
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}

    def apply(self, planned: PlannedStep, host: HostRun, seen: Seen | None) -> StepResult:
        """Bring one step about and record how it went."""
        began = time.monotonic()
        attempt = _Attempt(planned, host, seen)
        retries = planned.instance.step.retries or Retries(attempts=1)
        delay = retries.delay
        while True:
            attempt.number += 1
            try:
                changed = self._try(attempt)
                return self._succeed(attempt, changed, time.monotonic() - began)
            except Interrupted as error:
                return self._fail(attempt, error, StepStatus.INTERRUPTED, time.monotonic() - began)
            except ConnectionFailed as error:
                return self._fail(attempt, error, StepStatus.UNREACHABLE, time.monotonic() - began)
            except KubexmsError as error:
                if attempt.number < retries.attempts and not self._stopping():
                    self._progress(
                        planned, f"attempt {attempt.number} failed ({error.summary}); again in {delay:g} s"
                    )
                    try:
                        self._clock.sleep(delay)
                    except Interrupted:
                        return self._fail(attempt, error, StepStatus.FAILED, time.monotonic() - began)
                    delay *= retries.backoff
                    attempt.seen = None
                    continue
                status = StepStatus.IGNORED if planned.instance.step.ignore_errors else StepStatus.FAILED
                return self._fail(attempt, error, status, time.monotonic() - began)

    # one try ------------------------------------------------------------------------------
    def _try(self, attempt: _Attempt) -> bool:
        """Returns whether anything was done on the host."""
        planned, host = attempt.planned, attempt.host
        removing = _removes(planned)
        attempt.instance = planned.instance if removing else self._rerender(planned, host)
        rendered = attempt.instance.rendered
        attempt.scrub = Scrubber.of(rendered)
        if rendered.unknown:
            waits = sorted(set(rendered.unknown.values()))[0]
            raise StepError(
                f"{waits} is still not known",
                detail="The step that gives it did not run, or did not give it.",
            )
        context = self._context(attempt, rendered, removing)
        if expected(attempt.seen, rendered) is None:
            attempt.seen = context.look()
            context = self._context(attempt, rendered, removing)
        return self._undo(attempt, context) if removing else self._bring_about(attempt, context)

    def _bring_about(self, attempt: _Attempt, context: ExchangeContext) -> bool:
        planned, rendered, host = attempt.planned, _rendered(attempt), attempt.host
        for _ in range(3):
            assert attempt.seen is not None
            found = self._wanted(planned, rendered, attempt.seen.observation)
            if found.action is ActionKind.NO_OP:
                attempt.after = attempt.seen
                return False
            if _WORSE[found.action] > max(_WORSE[planned.change.action], 1):
                raise GuardChanged(
                    f"the host changed: this would now be a {found.action.value}, the plan said {planned.change.action.value}",
                    detail="Plan again and look at what would happen.",
                )
            attempt.request = self._request(planned, found, attempt.seen.observation)
            self._intend(attempt, attempt.seen.observation)
            outcome = self._perform(context, rendered, attempt.request)
            attempt.outcome = outcome
            if outcome.owner is not None:
                raise StepError(
                    f"another project manages this object (state lineage {outcome.owner})",
                    detail="Remove it there first (`kubexms state rm`, or take the step out and apply).",
                )
            if outcome.acted:
                host.acted = True
                self._verify(attempt, outcome)
                return True
            attempt.seen = context.before
            if not host.acted and not _alike(
                found, self._wanted(planned, rendered, _seen(attempt).observation)
            ):
                raise GuardChanged(
                    "the host changed between the observation and the action; nothing was done",
                    detail="Plan again and look at what would happen.",
                )
            context = self._context(attempt, rendered, False)
        raise GuardChanged("the host keeps changing while kubexms looks at it; nothing was done")

    def _perform(self, context: ExchangeContext, rendered: Rendered, request: ChangeRequest) -> Outcome:
        executor, spec = rendered.executor, rendered.spec
        if request.action is ActionKind.REPLACE:
            removal = executor.undo(spec, Observation.absent())
            if removal is not None:
                outcome = context.exchange(removal, verify=False)
                if not outcome.acted:
                    return outcome
                raise_for_failure(outcome, removal.timeout)
                request = replace(request, action=ActionKind.CREATE, before=Observation.absent())
        return executor.run(context, spec, request)

    def _verify(self, attempt: _Attempt, outcome: Outcome) -> None:
        rendered = _rendered(attempt)
        accepted = getattr(rendered.spec, "expected_status", None)
        raise_for_failure(outcome, attempt.timeout, frozenset(accepted) if accepted else frozenset({0}))
        if outcome.after:
            attempt.after = read_single(rendered, outcome.after)
        elif attempt.after is None:
            attempt.after = attempt.seen
        if rendered.executor.runs(rendered.spec) != "observed":
            return
        assert attempt.after is not None
        observation = attempt.after.observation
        remaining = compare(rendered, observation, attempt.planned.instance.step.ignore_changes)
        if observation.presence is Presence.UNKNOWN:
            if attempt.seen is not None and attempt.seen.observation.presence is Presence.UNKNOWN:
                return
            raise NotConverged(f"it ran, but its result cannot be observed: {observation.reason}")
        if remaining.action is not ActionKind.NO_OP:
            attempt.remaining = remaining.changed
            raise NotConverged(_difference(rendered, remaining))

    def _undo(self, attempt: _Attempt, context: ExchangeContext) -> bool:
        planned, rendered = attempt.planned, _rendered(attempt)
        entry = planned.entry
        assert entry is not None
        prior = entry.prior or Observation.absent()
        action = rendered.executor.undo(rendered.spec, prior) or Action(":")
        for _ in range(3):
            self._intend(attempt, _seen(attempt).observation)
            outcome = context.exchange(action)
            attempt.outcome = outcome
            if outcome.acted:
                attempt.host.acted = True
                raise_for_failure(outcome, attempt.timeout)
                after = read_single(rendered, outcome.after).observation
                if prior.presence is Presence.ABSENT and after.presence is Presence.PRESENT:
                    raise NotConverged("it was removed, and is still there")
                return True
            if outcome.owner is not None:
                raise StepError(f"another project manages this object (state lineage {outcome.owner})")
            attempt.seen = context.before
            if not attempt.host.acted:
                raise GuardChanged(
                    "the host changed between the observation and the action; nothing was done"
                )
            context = self._context(attempt, rendered, True)
        raise GuardChanged("the host keeps changing while kubexms looks at it; nothing was done")

    # pieces -------------------------------------------------------------------------------
    def _context(self, attempt: _Attempt, rendered: Rendered, release: bool) -> ExchangeContext:
        planned = attempt.planned
        timeout = planned.instance.step.timeout
        attempt.timeout = timeout or 600.0
        return ExchangeContext(
            attempt.host.connection,
            rendered,
            token=planned.change.address,
            store=_store(planned, self._lineage),
            claim=Claim(rendered.object_id, self._lineage, release),
            expect=expected(attempt.seen, rendered),
            clock=self._clock,
            progress=lambda message: self._progress(planned, message),
            timeout=timeout,
        )

    def _wanted(self, planned: PlannedStep, rendered: Rendered, observation: Observation) -> Comparison:
        """What is to be done now; for steps that nothing can be seen of, what the plan said."""
        found = compare(rendered, observation, planned.instance.step.ignore_changes if planned.entry else ())
        change = planned.change
        if rendered.executor.runs(rendered.spec) != "observed":
            return Comparison(ActionKind.RUN, ("run",))
        if change.action is ActionKind.REPLACE and found.action is not ActionKind.CREATE:
            return Comparison(ActionKind.REPLACE, found.changed)
        if (
            found.action is ActionKind.NO_OP
            and change.effective
            and change.triggered_by
            and rendered.desired is not None
        ):
            return Comparison(change.action)
        return found

    def _request(self, planned: PlannedStep, found: Comparison, before: Observation) -> ChangeRequest:
        entry = planned.entry
        prior = entry.prior if entry is not None else None
        return ChangeRequest(
            found.action, before, frozenset(found.changed), planned.change.triggered_by, prior
        )

    def _intend(self, attempt: _Attempt, before: Observation) -> None:
        planned = attempt.planned
        rendered = _rendered(attempt)
        entry, open_intent = attempt.valid_entry(), planned.intent
        if entry is not None and entry.touched:
            prior = entry.prior
        elif open_intent is not None and open_intent.prior is not None:
            prior = open_intent.prior
        else:
            prior = _plain(before, rendered)
        attempt.prior = prior
        self._writer.open_intent(
            Intent(
                address=planned.change.address,
                run=self._run,
                kind=planned.change.kind,
                action=planned.change.action.value,
                spec=self._conceal.spec(rendered),
                spec_digest=self._conceal.spec_digest(rendered),
                prior=prior,
                object_id=rendered.object_id,
                machine_id=attempt.host.machine_id,
                at=datetime.now(UTC),
            )
        )
        attempt.intended = True

    # results ------------------------------------------------------------------------------
    def _succeed(self, attempt: _Attempt, changed: bool, seconds: float) -> StepResult:
        planned, host = attempt.planned, attempt.host
        result = self._result(attempt, StepStatus.OK, changed, seconds)
        record = _record(planned, result)
        if _removes(planned):
            self._writer.close_intent(record, run=self._run, remove=True)
            return result
        entry = self._entry(attempt, changed)
        if entry.outputs:
            host.outputs[planned.instance.address.path] = dict(entry.outputs)
        self._digests[planned.change.address] = entry.observation_digest
        self._writer.close_intent(record, run=self._run, entry=entry)
        return result

    def _entry(self, attempt: _Attempt, changed: bool) -> StepState:
        planned, host = attempt.planned, attempt.host
        assert attempt.instance is not None and attempt.after is not None
        previous = attempt.valid_entry()
        entry = adopted_entry(
            replace(planned, instance=attempt.instance),
            attempt.after.observation,
            self._conceal,
            run=self._run,
            machine_id=host.machine_id,
            order=self._next_order(previous),
            source=self._source_of(planned),
            source_digests=self._source_digests(planned),
            previous=previous,
        )
        if not changed:
            return entry
        outputs = attempt.outcome.outputs if attempt.outcome else {}
        return applied_entry(entry, attempt.instance, prior=attempt.prior, outputs=outputs)

    def _source_digests(self, planned: PlannedStep) -> dict[str, str]:
        return {
            name: "+".join(self._digests.get(address, "") for address in addresses)
            for name, addresses in planned.sources.items()
        }

    def forget(self, planned: PlannedStep) -> StepResult:
        """Take a step out of the state; its host is not even asked."""
        result = StepResult(
            planned.change.address, planned.change.kind, planned.change.action.value, StepStatus.OK
        )
        self._writer.close_intent(_record(planned, result), run=self._run, remove=True)
        return result

    def know(self, address: str, digest: str) -> None:
        """The observation digest of a step that has nothing to do in this run."""
        self._digests[address] = digest

    def _fail(self, attempt: _Attempt, error: KubexmsError, status: StepStatus, seconds: float) -> StepResult:
        result = self._result(
            attempt, status, attempt.outcome is not None and attempt.outcome.acted, seconds, error
        )
        record = _record(attempt.planned, result)
        if not attempt.intended:
            self._writer.record([record], run=self._run)
        elif status in (StepStatus.INTERRUPTED, StepStatus.UNREACHABLE):
            self._writer.keep_intent(record, run=self._run)
        else:
            self._writer.close_intent(record, run=self._run, entry=self._tainted(attempt))
        return result

    def _tainted(self, attempt: _Attempt) -> StepState | None:
        """The entry of a step that acted and failed: its prior is kept, everything else is to be looked at.

        Steps that nothing can be seen of have no entry until they succeed: they run again.
        """
        acted = attempt.outcome is not None and attempt.outcome.acted
        if (
            not acted
            or _removes(attempt.planned)
            or _rendered(attempt).executor.runs(_rendered(attempt).spec) != "observed"
        ):
            return None
        seen = attempt.after or attempt.seen
        assert seen is not None and attempt.instance is not None
        entry = adopted_entry(
            replace(attempt.planned, instance=attempt.instance),
            seen.observation,
            self._conceal,
            run=self._run,
            machine_id=attempt.host.machine_id,
            order=self._next_order(attempt.valid_entry()),
            source=self._source_of(attempt.planned),
            previous=attempt.valid_entry(),
        )
        return entry.model_copy(update={"touched": True, "prior": attempt.prior, "tainted": True})

    def _next_order(self, previous: StepState | None) -> int:
        with self._lock:
            order = previous.order if previous else self._order
            self._order += 0 if previous else 1
        return order

    def _result(
        self,
        attempt: _Attempt,
        status: StepStatus,
        changed: bool,
        seconds: float,
        error: KubexmsError | None = None,
    ) -> StepResult:
        planned, outcome = attempt.planned, attempt.outcome
        hidden = planned.instance.step.sensitive
        scrub = attempt.scrub
        return StepResult(
            address=planned.change.address,
            kind=planned.change.kind,
            action=planned.change.action.value,
            status=status,
            changed=changed,
            seconds=seconds,
            attempts=attempt.number,
            message=scrub.text(error.summary) if error is not None else "",
            exit_status=outcome.status if outcome else None,
            stdout="" if hidden or outcome is None else scrub.text(outcome.stdout),
            stderr="" if hidden or outcome is None else scrub.text(outcome.stderr),
            remaining=attempt.remaining,
        )


@dataclass(slots=True)
class _Attempt:
    """What is known while one step is applied."""

    planned: PlannedStep
    host: HostRun
    seen: Seen | None
    number: int = 0
    instance: Instance | None = None
    request: ChangeRequest | None = None
    outcome: Outcome | None = None
    after: Seen | None = None
    prior: Observation | None = None
    intended: bool = False
    timeout: float = 600.0
    remaining: tuple[str, ...] = ()
    scrub: Scrubber = field(default_factory=lambda: Scrubber(()))

    def valid_entry(self) -> StepState | None:
        """The state's entry unless the host was reinstalled since."""
        entry = self.planned.entry
        machine = self.host.machine_id
        if entry is not None and entry.machine_id and machine and entry.machine_id != machine:
            return None
        return entry


def _rendered(attempt: _Attempt) -> Rendered:
    assert attempt.instance is not None
    return attempt.instance.rendered


def _seen(attempt: _Attempt) -> Seen:
    assert attempt.seen is not None
    return attempt.seen


def _removes(planned: PlannedStep) -> bool:
    """Whether the step left the spec, so that its object is undone rather than brought about."""
    from kubexms.plan.model import Reason

    return planned.change.action is ActionKind.DELETE and planned.change.reason in (
        Reason.REMOVED_FROM_SPEC,
        Reason.DESTROY,
    )


def _alike(before: Comparison, now: Comparison) -> bool:
    return (before.action, before.changed, before.before) == (now.action, now.changed, now.before)


def _plain(observation: Observation, rendered: Rendered) -> Observation:
    """An observation as state may keep it: sensitive attributes and texts left out."""
    hidden = rendered.sensitive_attributes
    attributes = {name: value for name, value in observation.attributes.items() if name not in hidden}
    return observation.model_copy(update={"attributes": attributes, "extra": {}})


def _difference(rendered: Rendered, remaining: Comparison) -> str:
    parts: list[str] = []
    for name in remaining.changed:
        if name in rendered.sensitive_attributes:
            parts.append(name)
            continue
        now = (remaining.before or {}).get(name)
        want = (remaining.after or {}).get(name)
        parts.append(f"{name} is {now!r}, not {want!r}")
    what = "; ".join(parts) or f"it would still need a {remaining.action.value}"
    return f"the step ran without an error, but did not converge: {what}"


def _store(planned: PlannedStep, lineage: str) -> str:
    address = planned.change.previous_address or planned.change.address
    return hashlib.sha256(f"{lineage}\0{address}".encode()).hexdigest()[:32]


def _record(planned: PlannedStep, result: StepResult) -> StepRecord:
    return StepRecord(
        address=result.address,
        kind=result.kind,
        action=result.action,
        status=result.status.value,
        reason=planned.change.reason.value if planned.change.reason else "",
        seconds=round(result.seconds, 3),
        attempts=result.attempts,
        exit_status=result.exit_status,
        output_tail=result.stdout,
        error_tail=result.stderr,
        message=result.message,
        changed=planned.change.changed,
    )


__all__ = ["ActionFailed", "HostRun", "StepApplier"]
