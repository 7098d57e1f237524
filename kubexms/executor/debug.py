"""The executor for looking closely: one thread, and a question before each step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

from kubexms.executor.coordinator import Coordinator
from kubexms.executor.events import StepResult, StepStatus
from kubexms.executor.job import Job
from kubexms.executor.lanes import Message, Performs, Task
from kubexms.executor.looking import Look
from kubexms.plan.model import Change


class Choice(StrEnum):
    """What the user wants before a step."""

    CONTINUE = "continue"
    SKIP = "skip"
    """Leave this step out; what depends on it goes on all the same."""
    INSPECT = "inspect"
    """Look at the host, then ask again."""
    RUN = "run"
    """Go on to the end without asking."""
    QUIT = "quit"


class Prompter(Protocol):
    """Shows a step and asks. Called in the thread of `execute`."""

    def ask(self, change: Change) -> Choice:
        """What to do about the step (or hook) that comes next."""
        ...

    def inspect(self, change: Change, look: Look) -> None:
        """Let the user look at the host of a step; then `ask` is called again."""
        ...


class InlineLanes:
    """Lanes without threads: a task advances when the coordinator waits for messages."""

    def __init__(self) -> None:
        self._performer: Performs | None = None
        self._running: deque[Iterator[Message]] = deque()
        self._posted: deque[Message] = deque()

    @property
    def capacity(self) -> int:
        """One host at a time."""
        return 1

    def start(self, performer: Performs) -> None:
        """Remember who performs."""
        self._performer = performer

    def submit(self, task: Task) -> None:
        """Queue it: nothing runs before the coordinator asks for messages."""
        assert self._performer is not None
        self._running.append(self._performer.perform(task))

    def poll(self) -> Message | None:
        """What was posted, else the next message of the oldest task."""
        if self._posted:
            return self._posted.popleft()
        while self._running:
            message = next(self._running[0], None)
            if message is not None:
                return message
            self._running.popleft()
        return None

    def wait(self, timeout: float) -> Message | None:
        """Never waits: there is a message as long as a task is unfinished."""
        return self.poll()

    def post(self, message: Message) -> None:
        """Put a message in."""
        self._posted.append(message)

    def close(self) -> None:
        """Forget what has not begun."""
        self._running.clear()


class DebugExecutor:
    """Single-threaded: before each step the user continues, skips, inspects, runs to the end or quits."""

    def __init__(self, prompter: Prompter, look: Look) -> None:
        self._prompter = prompter
        self._look = look

    def coordinator(self, job: Job) -> Coordinator:
        """The coordinator of one run, for callers that post progress to it."""
        asking = True

        def approve(change: Change) -> StepResult | bool:
            nonlocal asking
            while asking:
                match self._prompter.ask(change):
                    case Choice.INSPECT:
                        self._prompter.inspect(change, self._look)
                    case Choice.CONTINUE:
                        return True
                    case Choice.RUN:
                        asking = False
                    case Choice.QUIT:
                        job.stop.request()
                        return False
                    case Choice.SKIP:
                        return StepResult(
                            change.address,
                            change.kind,
                            change.action,
                            StepStatus.SKIPPED,
                            message="skipped by the user",
                        )
            return True

        return Coordinator(job, InlineLanes(), approve=approve)

    def execute(self, job: Job) -> tuple[StepResult, ...]:
        """Carry out `job`; see `Coordinator.run`."""
        return self.coordinator(job).run()
