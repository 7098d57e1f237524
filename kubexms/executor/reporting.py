"""Events of a run, in order and from one thread; and what is in flight, for progress and for a stop."""

from __future__ import annotations

from dataclasses import dataclass

from kubexms.executor.events import (
    Event,
    StepFinished,
    StepProgress,
    StepResult,
    StepStarted,
    Stopping,
    TaskFinished,
)
from kubexms.executor.job import Job
from kubexms.executor.schedule import TaskOnHost
from kubexms.plan.model import Change

PROGRESS = 10.0
"""Seconds between two progress events of one step."""
IDLE = 3600.0
"""Seconds to wait for a message when nothing is due."""


@dataclass(slots=True)
class InFlight:
    """A step or hook that runs."""

    lane: str
    change: Change
    since: float
    due: float


class Reporting:
    """Tells the listener. The coordinator's thread only."""

    def __init__(self, job: Job) -> None:
        self._listener = job.on_event
        self._clock = job.clock
        self.in_flight: dict[str, InFlight] = {}
        self.broken: Exception | None = None
        """What the listener raised: it is not called again."""

    def emit(self, event: Event) -> None:
        """Tell the listener, unless it failed before."""
        if self.broken is None:
            try:
                self._listener(event)
            except Exception as error:  # noqa: BLE001 - the work in flight has to end in order first
                self.broken = error

    def reraise(self) -> None:
        """Raise what the listener raised."""
        if self.broken is not None:
            raise self.broken

    def started(self, lane: str, change: Change) -> None:
        """A step or hook begins."""
        now = self._clock()
        self.in_flight[change.address] = InFlight(lane, change, now, now + PROGRESS)
        self.emit(StepStarted(change))

    def finished(self, change: Change, result: StepResult) -> None:
        """A step or hook ended, or was skipped."""
        self.in_flight.pop(change.address, None)
        self.emit(StepFinished(change, result))

    def said(self, key: str, message: str) -> None:
        """A step that runs has something to say."""
        item = self.in_flight.get(key)
        if item is not None:
            self.emit(StepProgress(item.change, self._clock() - item.since, message))

    def progress(self) -> float:
        """Tell of what has been running for long; returns the seconds until that is due again."""
        now = self._clock()
        wait = IDLE
        for item in self.in_flight.values():
            if item.due <= now:
                self.emit(StepProgress(item.change, now - item.since))
                item.due = max(item.due + PROGRESS, now)
            wait = min(wait, max(0.0, item.due - now))
        return wait

    def stopping(self) -> None:
        """The user asked to stop."""
        self.emit(Stopping(len(self.in_flight)))

    def task_finished(self, group: TaskOnHost) -> None:
        """A host has finished a task."""
        module, task = group.info.key
        self.emit(TaskFinished(module, task, group.host, group.changed, group.failed, group.ignored))
