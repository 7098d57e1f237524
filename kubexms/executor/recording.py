"""What is durable of a step: the intent before its first write, and the result with its entry after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kubexms.config.template import Sensitive
from kubexms.errors import KubexmsError
from kubexms.executor.attempt import Attempt, plain_prior, removes
from kubexms.executor.entries import adopted_entry, applied_entry, resolved_entry, reverted_entry
from kubexms.executor.events import StepResult, StepStatus
from kubexms.plan.conceal import Concealer
from kubexms.plan.outputs import observed_outputs
from kubexms.plan.rights import become_root, denied
from kubexms.plan.working import PlannedStep
from kubexms.state.model import Intent, StepRecord, StepState
from kubexms.state.protocol import StateWriter
from kubexms.step.observation import Observation


class Recorder:
    """Writes intents, results and entries of one run. Thread-safe for different hosts."""

    def __init__(
        self,
        writer: StateWriter,
        conceal: Concealer,
        *,
        run: str,
        first_order: int,
        source_of: Callable[[PlannedStep], str] = lambda planned: "",
        reverting: bool = False,
    ) -> None:
        self._writer = writer
        self._conceal = conceal
        self._run = run
        self._order = first_order
        self._source_of = source_of
        self._reverting = reverting
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}

    def know(self, address: str, digest: str) -> None:
        """The observation digest of a step that has nothing to do in this run."""
        self._digests[address] = digest

    def intend(self, attempt: Attempt, before: Observation) -> None:
        """Durable before the first write: what is about to be done, and what was there before."""
        self._writer.open_intent(self._intent(attempt, before))

    def intend_together(self, attempts: Sequence[Attempt]) -> dict[str, Intent]:
        """The same for steps that share an exchange, by address."""
        intents = [self._intent(attempt, attempt.last_seen.observation) for attempt in attempts]
        self._writer.open_intents(intents)
        return {intent.address: intent for intent in intents}

    def _intent(self, attempt: Attempt, before: Observation) -> Intent:
        planned = attempt.planned
        rendered = attempt.rendered
        entry, open_intent = attempt.valid_entry(), planned.intent
        if entry is not None and entry.touched:
            prior = entry.prior
        elif open_intent is not None and open_intent.prior and open_intent.object_id == rendered.object_id:
            prior = open_intent.prior
        else:
            prior = plain_prior(before, rendered)
        attempt.prior = prior
        attempt.intended = True
        return Intent(
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

    def withdraw(self, attempts: Sequence[Attempt]) -> None:
        """Nothing was done about these. What an earlier run left open stays open."""
        self._writer.withdraw_intents(
            [item.planned.change.address for item in attempts if item.planned.intent is None]
        )

    def succeed_together(self, attempts: Sequence[Attempt], seconds: float) -> dict[str, StepResult]:
        """Steps that share an exchange and are as desired; those that had nothing to do have no outcome."""
        results: dict[str, StepResult] = {}
        done: list[tuple[StepRecord, StepState]] = []
        for attempt in attempts:
            result = self._result(attempt, StepStatus.OK, attempt.acted, seconds)
            results[result.address] = result
            done.append((_record(attempt.planned, result), self._kept(attempt, attempt.acted)))
        self._writer.close_intents(done, run=self._run)
        return results

    def succeed(self, attempt: Attempt, changed: bool, seconds: float) -> StepResult:
        """The step is as desired (or gone): its entry, its result, its intent closed."""
        result = self._result(attempt, StepStatus.OK, changed, seconds)
        record = _record(attempt.planned, result)
        if removes(attempt.planned):
            self._writer.close_intent(record, run=self._run, remove=True)
            return result
        self._writer.close_intent(record, run=self._run, entry=self._kept(attempt, changed))
        return result

    def _kept(self, attempt: Attempt, changed: bool) -> StepState:
        """The entry of a step that succeeded; later steps of the run know it."""
        printed = dict(attempt.outcome.outputs) if changed and attempt.outcome else {}
        made = changed and (attempt.intended or not attempt.parted)  # else only the object before was undone
        entry = self._entry(attempt, made, printed)
        self._hand_on(attempt, printed or entry.outputs)
        self._digests[attempt.planned.change.address] = entry.observation_digest
        return entry

    def fail(self, attempt: Attempt, error: KubexmsError, status: StepStatus, seconds: float) -> StepResult:
        """The step failed: its intent stays open where nobody knows how far it got."""
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

    def parted(self, attempt: Attempt) -> None:
        """What the step was about is undone: its entry goes before anything of the new object is begun."""
        self._writer.remove_steps([attempt.planned.change.address])
        attempt.parted = True

    def forget(self, planned: PlannedStep) -> StepResult:
        """Take a step out of the state."""
        result = StepResult(
            planned.change.address, planned.change.kind, planned.change.action.value, StepStatus.OK
        )
        self._writer.close_intent(_record(planned, result), run=self._run, remove=True)
        return result

    def _hand_on(self, attempt: Attempt, outputs: Mapping[str, object]) -> None:
        """Outputs for later steps of this run; what is or may hold a secret stays one."""
        assert attempt.instance is not None
        assert attempt.after is not None
        told: dict[str, object] = {
            name: Sensitive(value) if attempt.secret(value) else value for name, value in outputs.items()
        }
        told |= observed_outputs(attempt.instance, attempt.after.observation)
        if told:
            attempt.host.outputs[attempt.planned.instance.address.path] = told

    def _entry(self, attempt: Attempt, changed: bool, printed: Mapping[str, str]) -> StepState:
        planned, host = attempt.planned, attempt.host
        assert attempt.instance is not None
        assert attempt.after is not None
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
            entry = resolved_entry(entry, planned.intent, attempt.after.observation)
        else:
            kept = {name: value for name, value in printed.items() if not attempt.secret(value)}
            entry = applied_entry(entry, prior=attempt.prior, outputs=kept)
        return reverted_entry(entry, previous) if self._reverting else entry

    def keeps(self, attempt: Attempt) -> bool:
        """Whether a step that failed has an entry: it acted, and what it did can be seen."""
        observed = attempt.rendered.executor.runs(attempt.rendered.spec) == "observed"
        return attempt.acted and observed and not removes(attempt.planned)

    def _tainted(self, attempt: Attempt) -> StepState | None:
        """The entry of a step that acted and failed: its prior is kept, everything else is to be looked at.

        Steps that nothing can be seen of have no entry until they succeed: they run again.
        """
        if not self.keeps(attempt):
            return None
        seen = attempt.after or attempt.seen
        assert seen is not None
        assert attempt.instance is not None
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
        tainted = entry.model_copy(update={"touched": True, "prior": attempt.prior, "tainted": True})
        return reverted_entry(tainted, attempt.valid_entry()) if self._reverting else tainted

    def _source_digests(self, planned: PlannedStep) -> dict[str, str]:
        return {
            name: "+".join(self._digests.get(address, "") for address in addresses)
            for name, addresses in planned.sources.items()
        }

    def _next_order(self, previous: StepState | None) -> int:
        with self._lock:
            order = previous.order if previous else self._order
            self._order += 0 if previous else 1
        return order

    def _result(
        self,
        attempt: Attempt,
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
            detail=scrub.text(_advice(attempt, error)) if error is not None and not hidden else "",
            exit_status=outcome.status if outcome else None,
            stdout="" if hidden or outcome is None else scrub.text(outcome.stdout),
            stderr="" if hidden or outcome is None else scrub.text(outcome.stderr),
            remaining=attempt.remaining,
        )


def _advice(attempt: Attempt, error: KubexmsError) -> str:
    """What the error says that is to be done; where the host denied the right, who could have it."""
    outcome = attempt.outcome
    other_user = attempt.planned.change.kind == "command" and getattr(attempt.rendered.spec, "user", None)
    if error.detail or outcome is None or other_user or not outcome.status:
        return error.detail
    said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace")
    return become_root(attempt.host.facts) if denied(said) else ""


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
        detail=result.detail,
        changed=planned.change.changed,
    )
