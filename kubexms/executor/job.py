"""What an executor is given: the order, the changes, and the behaviour of one step and of hooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from kubexms.executor.events import Event, Listener, StepResult
from kubexms.executor.stop import StopSignal
from kubexms.graph.model import Scope, StepGraph
from kubexms.plan.model import Change
from kubexms.spec.pipeline import HookSpec

Work: TypeAlias = Callable[[str], StepResult]
"""Does one step, named by its address. Called in a worker thread, never twice at once for one host.

Whatever it raises becomes a failed result: `errors.ConnectionFailed` an unreachable one,
`errors.Interrupted` an interrupted one, and after an `errors.StateError` nothing more begins.
"""


class Together(Protocol):
    """Does consecutive steps of one host together, where that is cheaper. Called like `Work`."""

    def reach(self, keys: Sequence[str]) -> int:
        """How many of these steps, from the first, are best done together; 1 is the first alone."""
        ...

    def perform(self, keys: Sequence[str]) -> Mapping[str, StepResult]:
        """Do them together; the results of those that have ended. The others are then done alone, in order.

        What it raises is the result of all.
        """
        ...


class OneByOne:
    """Nothing is done together."""

    def reach(self, keys: Sequence[str]) -> int:
        """The first alone."""
        return 1

    def perform(self, keys: Sequence[str]) -> Mapping[str, StepResult]:
        """Nothing."""
        return {}


class HookRunner(Protocol):
    """What to do about the hooks of a scope. `scope.host` is empty for hooks on the controller."""

    def active(self, scope: Scope) -> bool:
        """Whether the scope has something to do, or was left open by an earlier run.

        Asked once per scope, in the coordinator's thread; must not block.
        """
        ...

    def open(self, scope: Scope) -> None:
        """The scope begins: durable in state before its first `pre` hook. In a worker thread."""
        ...

    def run(self, scope: Scope, hook: HookSpec) -> StepResult:
        """Run one hook. In a worker thread; may raise like `Work`."""
        ...

    def close(self, scope: Scope) -> None:
        """The scope's `post` hooks have run. Not called for a scope that failed. In a worker thread."""
        ...


class NoHooks:
    """A runner for pipelines without hooks, or for runs that leave them out: no scope is active."""

    def active(self, scope: Scope) -> bool:
        """Never."""
        return False

    def open(self, scope: Scope) -> None:
        """Nothing."""

    def run(self, scope: Scope, hook: HookSpec) -> StepResult:
        """Not reached, because no scope is active."""
        raise AssertionError(f"hook {hook.name} of an inactive scope")

    def close(self, scope: Scope) -> None:
        """Nothing."""


def ignore_event(event: Event) -> None:
    """A listener that does not listen."""


def nothing_to_abort() -> None:
    """An `abort` for work that cannot be cut short."""


@dataclass(slots=True)
class Job:
    """One run, as every executor takes it.

    `changes` says which steps take part: a step of the graph without a change is passed over as
    if it had succeeded (that is how `--target` works). Times are in seconds.
    """

    graph: StepGraph
    changes: Mapping[str, Change]
    work: Work
    together: Together = field(default_factory=OneByOne)
    hooks: HookRunner = field(default_factory=NoHooks)
    fail_fast: bool = False
    """After the first failure no further step begins."""
    on_event: Listener = ignore_event
    """Called in the coordinator's thread only."""
    stop: StopSignal = field(default_factory=StopSignal)
    abort: Callable[[], None] = nothing_to_abort
    """Makes the work in flight end soon (it interrupts connections); called at the second request to stop."""
    grace: float = 2.0
    """How long work in flight may take to end after `abort`; then it counts as interrupted."""
    clock: Callable[[], float] = time.monotonic
    """Never goes back; called from any thread."""


class Executor(Protocol):
    """How a job is carried out. The results depend on the job alone, not on the executor."""

    def execute(self, job: Job) -> tuple[StepResult, ...]:
        """Carry out `job` in the calling thread; the results of steps and hooks, sorted by address."""
        ...
