"""The coordinator: one thread that owns all bookkeeping of a run. Workers only return values."""

from __future__ import annotations

import heapq

from kubexms.errors import StateError
from kubexms.executor.batching import next_batch
from kubexms.executor.countdown import Countdown
from kubexms.executor.events import Event, StepResult, StepStatus
from kubexms.executor.job import Job
from kubexms.executor.lanes import (
    Finished,
    HookTask,
    Idle,
    Lanes,
    Message,
    Said,
    Started,
    StepBatch,
    Task,
    Wake,
)
from kubexms.executor.performer import Approve, Performer, approve_all
from kubexms.executor.reporting import Reporting
from kubexms.executor.schedule import Lane
from kubexms.spec.address import Address

INTERRUPTED = "the run was interrupted before this step began"
CUT_SHORT = "interrupted while it ran: the next plan finds out how far it got"


class Coordinator:
    """Carries out one job on the given lanes. One use, in one thread; only `say` and `post` from others."""

    def __init__(self, job: Job, lanes: Lanes, *, approve: Approve = approve_all) -> None:
        self._job = job
        self._lanes = lanes
        self._performer = Performer(job, approve)
        self._reporting = Reporting(job)
        self._countdown = Countdown(job, self._reporting)
        self._tasks: dict[str, Task] = {}
        """What each busy lane was given."""
        self._hosts_busy = 0
        self._stopping = False
        self._abort_by: float | None = None
        self.fatal: StateError | None = None
        """Set when the state could not be written: not all that was done is recorded."""

    def run(self) -> tuple[StepResult, ...]:
        """Do everything; results of steps and hooks, sorted by address.

        Steps without a change have none. Raises only what a listener raised, after the work in
        flight has ended.
        """
        self._lanes.start(self._performer)
        self._job.stop.subscribe(self._wake)
        try:
            self._loop()
        finally:
            self._performer.halted = True
            self._job.stop.unsubscribe(self._wake)
            self._lanes.close()
        self._reporting.reraise()
        results = self._countdown.results
        results.sort(key=lambda item: _sort_key(item[0]))
        return tuple(result for _, result in results)

    def say(self, key: str, message: str) -> None:
        """Have a progress event emitted for a step that runs. Any thread."""
        self._lanes.post(Said(key, message))

    def post(self, event: Event) -> None:
        """Have an event emitted in the coordinator's thread. Any thread."""
        self._lanes.post(event)

    def _wake(self) -> None:
        self._lanes.post(Wake())

    # the loop -----------------------------------------------------------------------------------
    def _loop(self) -> None:
        countdown = self._countdown
        while True:
            self._heed_stop()
            countdown.drain()
            self._dispatch()
            if not self._tasks:
                if not countdown.unsettled:
                    return
                countdown.break_stall()
                continue
            message = self._lanes.poll() or self._wait()
            if message is not None:
                self._handle(message)
            elif self._abort_by is not None and self._job.clock() >= self._abort_by:
                self._give_up()

    def _wait(self) -> Message | None:
        timeout = self._reporting.progress()
        if self._abort_by is not None:
            timeout = min(timeout, max(0.0, self._abort_by - self._job.clock()))
        try:
            return self._lanes.wait(timeout)
        except KeyboardInterrupt:
            self._job.stop.request()
            return None

    def _handle(self, message: Message) -> None:
        match message:
            case Finished(lane=lane, result=result, good=good, fatal=fatal, cause=cause):
                self._countdown.finished(lane, result, good, cause)
                if fatal is not None:
                    self.fatal = self.fatal or fatal
                    self._halt("skipped because the state could not be written")
            case Started(lane=lane, change=change):
                self._reporting.started(lane, change)
                self._countdown.begun(change.address)
            case Idle(lane=lane):
                self._idle(lane, message)
            case Said(key=key, message=text):
                self._reporting.said(key, text)
            case Wake():
                pass
            case _:
                self._reporting.emit(message)

    def _idle(self, name: str, message: Idle) -> None:
        task = self._tasks.pop(name)
        lane = self._countdown.schedule.lane(name)
        self._hosts_busy -= lane is not self._countdown.schedule.controller
        lane.busy = False
        if isinstance(task, HookTask):
            self._countdown.hooks_done(task, message.good)
        else:
            self._countdown.returned(message.rest)
        self._countdown.enlist(lane)

    # dispatching --------------------------------------------------------------------------------
    def _dispatch(self) -> None:
        schedule, listed = self._countdown.schedule, self._countdown.listed
        controller = schedule.controller
        if controller.hooks and not controller.busy:
            self._submit(controller, controller.hooks.popleft())
        while listed and self._hosts_busy < self._lanes.capacity:
            lane = listed.popleft()
            lane.listed = False
            if lane.hooks:
                self._submit(lane, lane.hooks.popleft())
            elif lane.ready:
                numbers = next_batch(schedule, heapq.heappop(lane.ready))
                self._countdown.hand_out(numbers)
                self._submit(lane, StepBatch(lane.name, tuple(schedule.keys[number] for number in numbers)))

    def _submit(self, lane: Lane, task: Task) -> None:
        lane.busy = True
        self._hosts_busy += lane is not self._countdown.schedule.controller
        self._tasks[lane.name] = task
        self._lanes.submit(task)

    # stopping -----------------------------------------------------------------------------------
    def _halt(self, why: str) -> None:
        self._performer.halted = True
        self._countdown.halt(why)

    def _heed_stop(self) -> None:
        stop = self._job.stop
        if self._countdown.halted:
            self._performer.halted = True  # no worker goes on with the rest of its batch
        elif self._reporting.broken is not None:
            self._halt(INTERRUPTED)
        if stop.requested and not self._stopping:
            self._stopping = True
            self._reporting.stopping()
            self._halt(INTERRUPTED)
        if stop.now and self._abort_by is None:
            self._abort_by = self._job.clock() + self._job.grace
            self._job.abort()

    def _give_up(self) -> None:
        """What was aborted and has not ended is left behind; its results say so."""
        for name, task in list(self._tasks.items()):
            for item in [item for item in self._reporting.in_flight.values() if item.lane == name]:
                result = StepResult(
                    item.change.address,
                    item.change.kind,
                    item.change.action,
                    StepStatus.INTERRUPTED,
                    seconds=self._job.clock() - item.since,
                    message=CUT_SHORT,
                )
                self._countdown.finished(name, result, good=False)
            rest = task.keys if isinstance(task, StepBatch) else ()
            self._idle(name, Idle(name, rest, good=False))


def _sort_key(address: Address) -> tuple[str, str, str, str, str]:
    return (address.module, address.task, address.step, address.key or "", address.host)
