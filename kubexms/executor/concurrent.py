"""The executor for every day: many hosts at once, one step at a time on each."""

from __future__ import annotations

from kubexms.executor.coordinator import Coordinator
from kubexms.executor.events import StepResult
from kubexms.executor.job import Job
from kubexms.executor.threads import ThreadLanes


class ConcurrentExecutor:
    """Works on up to `parallelism` hosts at once; hooks on the controller come on top."""

    def __init__(self, parallelism: int) -> None:
        if parallelism < 1:
            raise ValueError("parallelism is at least 1")
        self.parallelism = parallelism

    def coordinator(self, job: Job) -> Coordinator:
        """The coordinator of one run, for callers that post progress to it."""
        return Coordinator(job, ThreadLanes(self.parallelism))

    def execute(self, job: Job) -> tuple[StepResult, ...]:
        """Carry out `job`; see `Coordinator.run`."""
        return self.coordinator(job).run()
