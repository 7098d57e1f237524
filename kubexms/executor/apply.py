"""Applying one step on one host: intent, guard, action, verification, result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from kubexms.errors import (
    ConnectionFailed,
    GuardChanged,
    Interrupted,
    KubexmsError,
    NotConverged,
    StepError,
)
from kubexms.executor.attempt import Attempt, HostRun, alike, difference, moved, removes, store_name
from kubexms.executor.clock import Clock
from kubexms.executor.context import ExchangeContext, expected
from kubexms.executor.events import StepResult, StepStatus
from kubexms.executor.outcome import Scrubber, raise_for_failure
from kubexms.executor.peers import Peers
from kubexms.executor.recording import Recorder
from kubexms.executor.releasing import let_go, releasing
from kubexms.executor.wanted import loses_more, request_for, wanted, worse
from kubexms.plan.compare import compare
from kubexms.plan.questions import Seen, read_single
from kubexms.plan.rendered import Instance, Rendered, waited_for
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import Claim, Outcome
from kubexms.spec.pipeline import Retries
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.observation import Observation, Presence

Rerender = Callable[[PlannedStep, HostRun], Instance]
"""Renders a step again, now that outputs and facts are known."""


class StepApplier:
    """Applies steps. Thread-safe for different hosts.

    Every path ends in a `StepResult` and a durable record; nothing is raised but programming errors.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        lineage: str,
        rerender: Rerender,
        progress: Callable[[PlannedStep, str], None],
        stopping: Callable[[], bool],
        peers: Peers,
    ) -> None:
        self._recorder = recorder
        self._lineage = lineage
        self._rerender = rerender
        self._progress = progress
        self._stopping = stopping
        self._clock = Clock(stopping)
        self._peers = peers

    def apply(self, planned: PlannedStep, host: HostRun, seen: Seen | None) -> StepResult:
        """Bring one step about and record how it went."""
        began = time.monotonic()
        attempt = Attempt(planned, host, seen)
        retries = planned.instance.step.retries or Retries(attempts=1)
        delay = retries.delay
        while True:
            attempt.number += 1
            try:
                changed = self._try(attempt)
                return self._recorder.succeed(attempt, changed, time.monotonic() - began)
            except Interrupted as error:
                return self._recorder.fail(attempt, error, StepStatus.INTERRUPTED, time.monotonic() - began)
            except ConnectionFailed as error:
                return self._recorder.fail(attempt, error, StepStatus.UNREACHABLE, time.monotonic() - began)
            except KubexmsError as error:
                if attempt.number < retries.attempts and not self._stopping():
                    why = attempt.scrub.text(error.summary)
                    self._progress(planned, f"attempt {attempt.number} failed ({why}); again in {delay:g} s")
                    try:
                        self._clock.sleep(delay)
                    except Interrupted:
                        return self._recorder.fail(
                            attempt, error, StepStatus.FAILED, time.monotonic() - began
                        )
                    delay *= retries.backoff
                    attempt.seen = None
                    continue
                status = StepStatus.IGNORED if planned.instance.step.ignore_errors else StepStatus.FAILED
                result = self._recorder.fail(attempt, error, status, time.monotonic() - began)
                if attempt.intended and not self._recorder.keeps(attempt) and planned.entry is None:
                    with contextlib.suppress(KubexmsError):  # the failure is what counts
                        release = releasing(planned.change.address, attempt.rendered.object_id, self._lineage)
                        host.connection.act(release)
                return result

    # one try ------------------------------------------------------------------------------
    def _try(self, attempt: Attempt) -> bool:
        """Returns whether anything was done on the host."""
        planned, host = attempt.planned, attempt.host
        removing = removes(planned)
        attempt.instance = planned.instance if removing else self._rerender(planned, host)
        rendered = attempt.instance.rendered
        attempt.scrub = Scrubber.of(rendered)
        if waits := waited_for(attempt.instance):
            raise StepError(
                f"{min(waits)} is still not known",
                detail="The step that gives it did not run, or did not give it.",
            )
        context = self._context(attempt, rendered, removing)
        if expected(attempt.seen, rendered) is None:
            attempt.seen = context.look()
            context = self._context(attempt, rendered, removing)
        if removing:
            return self._undo(attempt, context)
        parted = planned.former is not None and not attempt.parted
        if parted:
            self._part(attempt)
        return self._bring_about(attempt, context) or parted

    def _part(self, attempt: Attempt) -> None:
        """Undo what the step was about. Its backups go last: until the state knows, it may happen again."""
        former, entry = attempt.planned.former, attempt.planned.entry
        assert former is not None
        assert entry is not None
        rendered = former.rendered
        context = self._context(attempt, rendered, False)
        outcome = rendered.executor.run_undo(context, rendered.spec, entry.prior or Observation.absent())
        if outcome.owner is not None:
            raise StepError(f"another project manages this object (state lineage {outcome.owner})")
        raise_for_failure(outcome, attempt.timeout)
        attempt.host.acted = True
        self._recorder.parted(attempt)
        let_go(attempt.planned, attempt.host, self._lineage)

    def _bring_about(self, attempt: Attempt, context: ExchangeContext) -> bool:
        planned, rendered, host = attempt.planned, attempt.rendered, attempt.host
        for _ in range(3):
            assert attempt.seen is not None
            found = wanted(planned, rendered, attempt.seen.observation)
            if found.action is ActionKind.NO_OP:
                attempt.after = attempt.seen
                return False
            if worse(found, planned):
                raise GuardChanged(
                    f"the host changed: this would now be a {found.action.value}, "
                    f"the plan said {planned.change.action.value}",
                    detail="Plan again and look at what would happen.",
                )
            attempt.request = request_for(planned, found, attempt.seen.observation)
            if loses_more(attempt.request, rendered, planned):
                raise GuardChanged(
                    "this would lose data, which the plan did not say",
                    detail="Plan again and look at what would happen.",
                )
            self._recorder.intend(attempt, attempt.seen.observation)
            try:
                outcome = self._perform(context, rendered, attempt.request)
            finally:
                attempt.outcome = context.acted or attempt.outcome
            attempt.outcome = outcome
            if outcome.owner is not None:
                raise StepError(
                    f"another project manages this object (state lineage {outcome.owner})",
                    detail="Take it out of that project and apply that; then plan again here.",
                )
            if outcome.acted:
                host.acted = True
                self._verify(attempt, outcome)
                return True
            # what could not be seen has not changed because it can be seen now
            blind = attempt.seen.observation.presence is Presence.UNKNOWN
            attempt.seen = context.before
            now = wanted(planned, rendered, attempt.last_seen.observation)
            # nor what has become right meanwhile, by itself or through another host
            right = now.action is ActionKind.NO_OP
            if not host.acted and not blind and not right and not alike(found, now):
                raise GuardChanged(moved(found, now), detail="Plan again and look at what would happen.")
            context = self._context(attempt, rendered, False)
        raise GuardChanged("the host keeps changing while kubexms looks at it; nothing was done")

    def _perform(self, context: ExchangeContext, rendered: Rendered, request: ChangeRequest) -> Outcome:
        executor, spec = rendered.executor, rendered.spec
        if request.action is ActionKind.REPLACE:
            removal = executor.undo(spec, Observation.absent())
            if removal is not None:
                outcome = executor.run_undo(context, spec, Observation.absent())
                if not outcome.acted:
                    return outcome
                raise_for_failure(outcome, removal.timeout)
                request = replace(request, action=ActionKind.CREATE, before=Observation.absent())
        return executor.run(context, spec, request)

    def _verify(self, attempt: Attempt, outcome: Outcome) -> None:
        rendered = attempt.rendered
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
            # the plan shows it again until whom it waits for has done its part
            if remaining.changed and rendered.executor.awaits(rendered.spec, observation) >= {
                *remaining.changed
            }:
                return
            raise NotConverged(difference(rendered, remaining, observation))

    def _undo(self, attempt: Attempt, context: ExchangeContext) -> bool:
        planned, rendered = attempt.planned, attempt.rendered
        entry = planned.entry
        assert entry is not None
        prior = entry.prior or Observation.absent()
        for _ in range(3):
            self._recorder.intend(attempt, attempt.last_seen.observation)
            try:
                outcome = rendered.executor.run_undo(context, rendered.spec, prior)
            finally:
                attempt.outcome = context.acted or attempt.outcome
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
            before, attempt.seen = attempt.last_seen.observation, context.before
            if not attempt.host.acted:
                _still_to_remove(rendered, prior, before, attempt.last_seen.observation)
            context = self._context(attempt, rendered, True)
        raise GuardChanged("the host keeps changing while kubexms looks at it; nothing was done")

    # pieces -------------------------------------------------------------------------------
    def _context(self, attempt: Attempt, rendered: Rendered, release: bool) -> ExchangeContext:
        planned = attempt.planned
        timeout = planned.instance.step.timeout
        owned = rendered.executor.owns(rendered.spec)
        attempt.timeout = timeout or 600.0
        return ExchangeContext(
            attempt.host.connection,
            rendered,
            token=planned.change.address,
            store=store_name(rendered.object_id, self._lineage),
            claim=Claim(rendered.object_id, self._lineage, release) if owned or release else None,
            expect=expected(attempt.seen, rendered) if rendered is attempt.rendered else None,
            clock=self._clock,
            progress=lambda message: self._progress(planned, attempt.scrub.text(message)),
            timeout=timeout,
            peers=self._peers,
        )


def _still_to_remove(rendered: Rendered, prior: Observation, before: Observation, now: Observation) -> None:
    """Raise `GuardChanged` unless what is to be removed is what it was, in all that a plan shows of it.

    What is gone by now needs no second thought, nor does what nobody had seen. The answers themselves are
    not compared: what they tell besides moves by itself.
    """
    if before.presence is Presence.UNKNOWN:
        return
    if now.presence is Presence.UNKNOWN:
        raise GuardChanged(f"it cannot be seen any more ({now.reason}); nothing was done")
    if now.presence is Presence.ABSENT is prior.presence:
        return
    was, found = compare(rendered, before), compare(rendered, now)
    if not alike(was, found):
        raise GuardChanged(moved(was, found), detail="Plan again and look at what would happen.")
