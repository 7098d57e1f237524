"""Carrying out tasks: whatever a step or hook raises becomes a result, so that no run ever hangs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import TypeAlias

from kubexms.errors import ConnectionFailed, Interrupted, KubexmsError, StateError
from kubexms.executor.events import HOOK, StepResult, StepStatus
from kubexms.executor.job import Job
from kubexms.executor.lanes import GOOD, Finished, HookTask, Idle, Message, Started, StepBatch, Task
from kubexms.graph.model import HookSide, StepNode
from kubexms.plan.model import Change
from kubexms.spec.pipeline import HookSpec
from kubexms.step.contract import ActionKind

Approve: TypeAlias = Callable[[Change], StepResult | bool]
"""Asked before each step: True goes on, False leaves it and the rest for later, a result stands for it."""


def approve_all(change: Change) -> StepResult | bool:  # noqa: ARG001 - it has an answer for each
    """Go on."""
    return True


class Performer:
    """Carries out tasks, one message at a time; whatever is raised becomes a result. Any thread."""

    def __init__(self, job: Job, approve: Approve = approve_all) -> None:
        self._job = job
        self._approve = approve
        self.halted = False
        """Set by the coordinator: begin no further step."""

    def perform(self, task: Task) -> Iterator[Message]:
        """The messages of one task; the last one is `Idle`."""
        return self._steps(task) if isinstance(task, StepBatch) else self._hooks(task)

    def _steps(self, task: StepBatch) -> Iterator[Message]:
        lane, keys, together = task.lane, task.keys, self._job.together
        # a user who is asked about each step sees one at a time
        merging = self._approve is approve_all
        position = 0
        while position < len(keys) and not self._stopped():
            count = together.reach(keys[position:]) if merging else 1
            group = keys[position : position + count]
            left = yield from self._several(lane, group) if count > 1 else self._one(lane, group[0])
            position += count
            if left is not None:
                yield Idle(lane, (*left, *keys[position:]))
                return
        yield Idle(lane, keys[position:])

    def _stopped(self) -> bool:
        return self.halted or self._job.stop.requested

    def _one(self, lane: str, key: str) -> Generator[Message, None, tuple[str, ...] | None]:
        """Returns None to go on, else which of its steps have not begun."""
        change = self._job.changes[key]
        verdict = self._approve(change)
        if verdict is False:
            return (key,)
        if isinstance(verdict, StepResult):
            yield Finished(lane, verdict, good=True)
            return None
        yield Started(lane, change)
        finished = self._step(lane, key)
        yield finished
        return None if finished.good else ()

    def _step(self, lane: str, key: str) -> Finished:
        work = functools.partial(self._job.work, key)
        return self._guarded(lane, self._job.changes[key], work, self._ignores(key))

    def _ignores(self, key: str) -> bool:
        node: StepNode = self._job.graph.dag.nodes[key]["node"]
        return node.ignore_errors

    def _several(self, lane: str, keys: tuple[str, ...]) -> Generator[Message, None, tuple[str, ...] | None]:
        """Steps that are done together; those that have not ended by that are done alone, in order.

        Some may have ended well though one before them fails: what depends on them goes no further than if
        it had been done in order. The last is told of first: whoever is told of a failure skips what follows.
        """
        for key in keys:
            yield Started(lane, self._job.changes[key])
        ended = self._performed(lane, keys)
        for position, key in enumerate(keys):
            finished = ended.pop(key, None)
            if finished is None:
                if self._stopped():
                    yield from ended.values()
                    return tuple(other for other in keys[position:] if other not in ended)
                finished = self._step(lane, key)
            if not finished.good:
                for other in reversed(ended.values()):
                    other.cause = key
                    yield other
                yield finished
                return tuple(other for other in keys[position + 1 :] if other not in ended)
            yield finished
        return None

    def _performed(self, lane: str, keys: tuple[str, ...]) -> dict[str, Finished]:
        begun = self._job.clock()
        fatal: StateError | None = None
        try:
            results = dict(self._job.together.perform(keys))
        except BaseException as error:  # noqa: BLE001 - a worker that raises must never hang the run
            fatal = error if isinstance(error, StateError) else None
            results = {key: self._raised(self._job.changes[key], error, begun) for key in keys}
        return {
            key: self._finished(lane, self._job.changes[key], results[key], self._ignores(key), fatal)
            for key in keys
            if key in results
        }

    def _hooks(self, task: HookTask) -> Iterator[Message]:
        node, runner = task.node, self._job.hooks
        good = task.succeeded
        if node.side is HookSide.OPEN:
            opened = self._bookkeeping(task, "open", lambda: runner.open(node.scope))
            if opened is not None:
                yield opened
                good = False
            for hook in node.pre:
                if good:
                    good = yield from self._hook(task, hook)
        else:
            for hook in node.post:
                if good:
                    good = yield from self._hook(task, hook)
            if not good:
                for hook in node.on_failure:
                    yield from self._hook(task, hook)
            else:
                closed = self._bookkeeping(task, "close", lambda: runner.close(node.scope))
                if closed is not None:
                    yield closed
                    good = False
        yield Idle(task.lane, hook=task, good=good)

    def _hook(self, task: HookTask, hook: HookSpec) -> Generator[Message, None, bool]:
        change = Change(address=str(task.node.address(hook)), kind=HOOK, action=ActionKind.RUN)
        verdict = self._approve(change)
        if isinstance(verdict, StepResult):
            yield Finished(task.lane, verdict, good=True)
            return True
        if verdict is False:
            return False
        yield Started(task.lane, change)
        run = self._job.hooks.run
        finished = self._guarded(task.lane, change, lambda: run(task.node.scope, hook), hook.ignore_errors)
        yield finished
        return finished.good

    def _bookkeeping(self, task: HookTask, what: str, act: Callable[[], None]) -> Finished | None:
        """Open or close the scope in state; a message only if that failed."""
        hook = HookSpec(name=what, run="")
        change = Change(address=str(task.node.address(hook)), kind=HOOK, action=ActionKind.RUN)

        def run() -> StepResult:
            act()
            return StepResult(change.address, change.kind, change.action, StepStatus.OK)

        finished = self._guarded(task.lane, change, run, ignore=False)
        return None if finished.good else finished

    def _guarded(self, lane: str, change: Change, act: Callable[[], StepResult], ignore: bool) -> Finished:
        begun = self._job.clock()
        fatal: StateError | None = None
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - a worker that raises must never hang the run
            fatal = error if isinstance(error, StateError) else None
            result = self._raised(change, error, begun)
        return self._finished(lane, change, result, ignore, fatal)

    def _raised(self, change: Change, error: BaseException, begun: float) -> StepResult:
        return StepResult(
            address=change.address,
            kind=change.kind,
            action=change.action,
            status=_status(error),
            seconds=self._job.clock() - begun,
            message=_told(error),
            detail=error.detail if isinstance(error, KubexmsError) else "",
        )

    def _finished(
        self, lane: str, change: Change, result: StepResult, ignore: bool, fatal: StateError | None
    ) -> Finished:
        if result.address != change.address:
            result = replace(result, address=change.address)
        if ignore and result.status is StepStatus.FAILED and fatal is None:
            result = replace(result, status=StepStatus.IGNORED)
        return Finished(lane, result, result.status in GOOD, fatal)


def _status(error: BaseException) -> StepStatus:
    if isinstance(error, ConnectionFailed):
        return StepStatus.UNREACHABLE
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return StepStatus.INTERRUPTED
    return StepStatus.FAILED


def _told(error: BaseException) -> str:
    if isinstance(error, KubexmsError):
        return error.summary
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
