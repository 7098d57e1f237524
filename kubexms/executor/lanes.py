"""Lanes: where a host's work is done. Workers take tasks and return messages; they decide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from kubexms.errors import StateError
from kubexms.executor.events import Event, StepResult, StepStatus
from kubexms.graph.model import HookNode
from kubexms.plan.model import Change

FAILURES = frozenset({StepStatus.FAILED, StepStatus.UNREACHABLE, StepStatus.INTERRUPTED})
GOOD = frozenset({StepStatus.OK, StepStatus.IGNORED})


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Consecutive steps of one host, each of which waits for nothing but the ones before it here."""

    lane: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookTask:
    """The hooks of one side of a scope."""

    lane: str
    node: HookNode
    succeeded: bool = True
    """At the closing side: run `post` and close (True), or `onFailure`."""


Task: TypeAlias = StepBatch | HookTask

# Messages are written once and handed over; they are not frozen because that costs more than all the rest.


@dataclass(slots=True)
class Started:
    """A step or hook begins."""

    lane: str
    change: Change


@dataclass(slots=True)
class Finished:
    """A step or hook ended. `good`: what depends on it goes on."""

    lane: str
    result: StepResult
    good: bool
    fatal: StateError | None = None
    cause: str | None = None
    """An address because of which what depends on this does not go on, even if this ended well."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The lane has done its task; `rest` are steps it was given and has not begun."""

    lane: str
    rest: tuple[str, ...] = ()
    hook: HookTask | None = None
    good: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """A step that runs has something to say."""

    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Look at the stop signal."""


Message: TypeAlias = Started | Finished | Idle | Said | Wake | Event


class Performs(Protocol):
    """What carries out tasks."""

    def perform(self, task: Task) -> Iterator[Message]:
        """The messages of one task, the last of which is `Idle`. Any thread."""
        ...


class Lanes(Protocol):
    """Where tasks are carried out. Used by the coordinator's thread, but for `post`."""

    @property
    def capacity(self) -> int:
        """How many hosts are worked on at once."""
        ...

    def start(self, performer: Performs) -> None:
        """Get ready; before anything else."""
        ...

    def submit(self, task: Task) -> None:
        """Have a task carried out; its lane is busy until the `Idle` message."""
        ...

    def poll(self) -> Message | None:
        """The next message, if there is one."""
        ...

    def wait(self, timeout: float) -> Message | None:
        """The next message, or None after `timeout` seconds."""
        ...

    def post(self, message: Message) -> None:
        """Put a message in; from any thread or signal handler."""
        ...

    def close(self) -> None:
        """No further task. Does not wait for those that were aborted and still run."""
        ...
