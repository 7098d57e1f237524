"""What happens during a plan or an apply, as data: the views and the log subscribe to it.

Events are delivered by one thread, in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from kubexms.plan.model import Change, HostReport
from kubexms.plan.staleness import Moved

HOOK = "hook"
"""The kind of results that are no step's."""


class StepStatus(StrEnum):
    """The outcome of one step on one host."""

    OK = "ok"
    FAILED = "failed"
    IGNORED = "ignored"
    """Failed with `ignoreErrors`."""
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step on one host ended."""

    address: str
    kind: str
    action: str
    status: StepStatus
    changed: bool = False
    """Something was done on the host (False: it was already as desired)."""
    seconds: float = 0.0
    attempts: int = 1
    message: str = ""
    """What went wrong, or because of whom it was skipped."""
    detail: str = ""
    """More about what went wrong, and what to do; sensitive values removed."""
    exit_status: int | None = None
    stdout: str = ""
    stderr: str = ""
    """Tails, sensitive values removed."""
    remaining: tuple[str, ...] = ()
    """Attributes that still differ when it did not converge."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a whole run ended. `results` are sorted by address."""

    run: str
    results: tuple[StepResult, ...] = ()
    interrupted: bool = False
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Host -> why."""
    stale: tuple[Moved, ...] = ()
    """What moved on the hosts that were left out for it (`--on-stale=skip-host`)."""

    @property
    def failed(self) -> bool:
        """Whether anything did not work, or was left out."""
        bad = {StepStatus.FAILED, StepStatus.INTERRUPTED, StepStatus.UNREACHABLE, StepStatus.SKIPPED}
        left_out = bool(self.unreachable or self.stale)
        return self.interrupted or left_out or any(r.status in bad for r in self.results)


@dataclass(frozen=True, slots=True)
class RefreshStarted:
    """A host is being asked."""

    host: str


@dataclass(frozen=True, slots=True)
class RefreshFinished:
    """A host has answered, or not."""

    report: HostReport
    seconds: float


@dataclass(frozen=True, slots=True)
class RunStarted:
    """An apply begins."""

    run: str
    changes: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins on its host."""

    change: Change


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step is still running (every 10 seconds), or says something."""

    change: Change
    seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended."""

    change: Change
    result: StepResult


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A host has finished a task."""

    module: str
    task: str
    host: str
    changed: int
    failed: int
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something external is waited for: a lock, a host that reboots, a foreign package manager."""

    what: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The user asked to stop: what is in flight is finished."""

    in_flight: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """An apply ended."""

    result: RunResult


Event: TypeAlias = (
    RefreshStarted
    | RefreshFinished
    | RunStarted
    | StepStarted
    | StepProgress
    | StepFinished
    | TaskFinished
    | Waiting
    | Stopping
    | RunFinished
)
Listener: TypeAlias = Callable[[Event], None]
