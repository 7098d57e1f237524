"""Several steps of one host in one exchange, where their kind can merge what they do.

The promises are those of a step alone: all are guarded, by one comparison; an intent of each is durable
before the first write; each is asked about afterwards, and its result is durable before anything
further begins. What did not come about so is done alone afterwards, which says whose fault it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kubexms.errors import ActionFailed, ConnectionFailed, Interrupted, KubexmsError
from kubexms.executor.attempt import Attempt, HostRun, alike, removes, store_name
from kubexms.executor.context import expected
from kubexms.executor.events import StepResult, StepStatus
from kubexms.executor.outcome import Scrubber
from kubexms.executor.recording import Recorder
from kubexms.executor.wanted import request_for, wanted, worse
from kubexms.plan.compare import compare
from kubexms.plan.questions import Questions, Seen, joint, read
from kubexms.plan.rendered import waited_for
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import Action, Claim, Exchange, Member, Outcome, records_digest
from kubexms.state.model import Intent
from kubexms.step.contract import ActionKind, Part
from kubexms.step.observation import Presence

MOST = 64
"""Steps of one exchange at most: a stop waits for what is in flight."""
_TRIES = 3


class StepsTogether:
    """Implements `job.Together`. Thread-safe for different hosts."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        steps: Mapping[str, PlannedStep],
        seen: Callable[[str], Seen | None],
        host: Callable[[str], HostRun],
        lineage: str,
    ) -> None:
        self._recorder = recorder
        self._steps = steps
        self._seen = seen
        self._host = host
        self._lineage = lineage
        self._left: dict[str, tuple[Intent, Seen]] = {}

    def resume(self, key: str) -> tuple[PlannedStep, Seen | None]:
        """A step as it is to be done alone: what a shared exchange may have done to it is not its prior."""
        planned = self._steps[key]
        if key not in self._left:
            return planned, self._seen(key)
        intent, seen = self._left[key]
        return replace(planned, intent=intent), seen

    # which --------------------------------------------------------------------------------------
    def reach(self, keys: Sequence[str]) -> int:
        """As far as they are of one kind that says that they can share."""
        first = self._trait(keys[0])
        if first is None:
            return 1
        count = 1
        for key in keys[1:MOST]:
            if self._trait(key) != first:
                break
            count += 1
        return count

    def _trait(self, key: str) -> Hashable | None:
        """What steps have in common that can share; None: this one goes alone."""
        planned = self._steps[key]
        change, step, rendered = planned.change, planned.instance.step, planned.instance.rendered
        if (
            change.action not in (ActionKind.CREATE, ActionKind.UPDATE)
            or change.triggered_by
            or planned.former is not None
            or removes(planned)
            or waited_for(planned.instance)
            or step.timeout is not None
            or expected(self._seen(key), rendered) is None
        ):
            return None
        trait = rendered.executor.shares(rendered.spec)
        return None if trait is None else (rendered.executor.kind, trait)

    # doing --------------------------------------------------------------------------------------
    def perform(self, keys: Sequence[str]) -> Mapping[str, StepResult]:
        """One exchange, or a few if the host moves. Those that are not as desired by then have no result."""
        began = time.monotonic()
        try:
            host = self._host(self._steps[keys[0]].change.host)
        except ConnectionFailed:
            return {}  # the first alone says so, and the others are skipped because of it
        attempts = [self._attempt(key, host) for key in keys]
        for _ in range(_TRIES):
            acting = self._calling(attempts)
            parts = [self._part(attempt) for attempt in acting]
            action = acting[0].rendered.executor.merge(parts) if len(parts) > 1 else None
            if action is None:
                return {}
            questions = joint([attempt.rendered for attempt in acting])
            intents = self._recorder.intend_together(acting)
            try:
                outcome = host.connection.act(self._exchange(questions, acting, parts, action))
            except ActionFailed:  # the host could not begin
                self._recorder.withdraw(acting)
                return {}
            except (Interrupted, ConnectionFailed) as error:
                return self._lost(acting, error, time.monotonic() - began)
            if outcome.acted:
                return self._ended(attempts, intents, questions, outcome, time.monotonic() - began)
            self._recorder.withdraw(acting)
            if outcome.owner is not None or not _moved(host, acting, questions, outcome):
                return {}
        return {}

    def _attempt(self, key: str, host: HostRun) -> Attempt:
        planned = self._steps[key]
        attempt = Attempt(planned, host, self._seen(key), number=1, instance=planned.instance)
        attempt.scrub = Scrubber.of(attempt.rendered)
        return attempt

    def _calling(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Those for which something is to be done; none at all if one of them needs a closer look."""
        acting: list[Attempt] = []
        for attempt in attempts:
            found = wanted(attempt.planned, attempt.rendered, attempt.last_seen.observation)
            if found.action is ActionKind.NO_OP:
                continue
            if worse(found, attempt.planned):
                return []
            attempt.request = request_for(attempt.planned, found, attempt.last_seen.observation)
            acting.append(attempt)
        return acting

    def _part(self, attempt: Attempt) -> Part[Any]:
        rendered, request = attempt.rendered, attempt.request
        assert request is not None
        alone = rendered.executor.action(rendered.spec, request)
        return Part(rendered.spec, request, alone, store_name(rendered.object_id, self._lineage))

    def _exchange(
        self, questions: Questions, acting: Sequence[Attempt], parts: Sequence[Part[Any]], action: Action
    ) -> Exchange:
        members = [
            Member(part.store, Claim(attempt.rendered.object_id, self._lineage), part.alone.backup)
            for attempt, part in zip(acting, parts, strict=True)
        ]
        seen = [acting[int(name)].last_seen.record for slot in questions.slots for name in slot]
        return Exchange(
            token=acting[0].planned.change.address,
            probe=questions.fragments,
            action=replace(action, backup=members[0].backup),
            expect=records_digest([record for record in seen if record is not None]),
            store=members[0].store,
            claim=members[0].claim,
            companions=tuple(members[1:]),
        )

    def _lost(self, acting: Sequence[Attempt], error: KubexmsError, seconds: float) -> dict[str, StepResult]:
        """Nobody knows how far any of them got."""
        status = StepStatus.INTERRUPTED if isinstance(error, Interrupted) else StepStatus.UNREACHABLE
        return {
            attempt.planned.change.address: self._recorder.fail(attempt, error, status, seconds)
            for attempt in acting
        }

    def _ended(
        self,
        attempts: Sequence[Attempt],
        intents: Mapping[str, Intent],
        questions: Questions,
        outcome: Outcome,
        seconds: float,
    ) -> dict[str, StepResult]:
        attempts[0].host.acted = True
        after = read(questions, outcome.after) if outcome.after else {}
        acting = [attempt for attempt in attempts if attempt.planned.change.address in intents]
        right = [attempt for attempt in attempts if attempt.planned.change.address not in intents]
        for attempt in right:
            attempt.after = attempt.seen
        untouched: list[Attempt] = []
        for number, attempt in enumerate(acting):
            attempt.after = seen = after.get(str(number))
            if seen is not None and _converged(attempt, seen):
                # what it said was said for all, and may hold what another one hides
                attempt.outcome = replace(outcome, status=0, stdout=b"", stderr=b"", outputs={})
                right.append(attempt)
            elif seen is not None and seen.record == attempt.last_seen.record:
                untouched.append(attempt)
            else:
                address = attempt.planned.change.address
                self._left[address] = (intents[address], seen or attempt.last_seen)
        self._recorder.withdraw(untouched)
        return self._recorder.succeed_together(right, seconds)


def _converged(attempt: Attempt, seen: Seen) -> bool:
    if seen.observation.presence is Presence.UNKNOWN:
        return False
    ignored = attempt.planned.instance.step.ignore_changes
    return compare(attempt.rendered, seen.observation, ignored).action is ActionKind.NO_OP


def _moved(host: HostRun, acting: Sequence[Attempt], questions: Questions, outcome: Outcome) -> bool:
    """Take in what the guard saw instead; False if that is not due to what this run did before."""
    fresh = read(questions, outcome.before)
    for number, attempt in enumerate(acting):
        seen = fresh[str(number)]
        planned, rendered = attempt.planned, attempt.rendered
        before = wanted(planned, rendered, attempt.last_seen.observation)
        if seen.record is None or not (
            host.acted or alike(before, wanted(planned, rendered, seen.observation))
        ):
            return False
        attempt.seen = seen
    return True
