"""What only threads can show: how many at once, a stop that cannot wait, progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kubexms.executor.concurrent import ConcurrentExecutor
from kubexms.executor.coordinator import Coordinator
from kubexms.executor.events import (
    Event,
    StepFinished,
    StepProgress,
    StepResult,
    StepStatus,
    Stopping,
    Waiting,
)
from kubexms.executor.job import Job
from kubexms.executor.lanes import Idle, Message, Performs, Task
from kubexms.executor.stop import StopSignal
from tests.contract.executor.scenario import Recorder, changes_of, graph, module, result, task

LIMIT = 20.0
"""Seconds after which a test that hangs gives up."""


def test_as_many_hosts_as_allowed_at_once() -> None:
    order = graph({"modules": [module("m", task("a", "x", "y"))]}, [f"n{number}" for number in range(12)])
    together = threading.Barrier(4)
    inside: set[str] = set()
    most: list[int] = []

    def meanwhile(key: str) -> None:
        inside.add(key)
        most.append(len(inside))
        together.wait(LIMIT)
        inside.discard(key)

    recorder = Recorder(meanwhile=meanwhile)
    results = ConcurrentExecutor(4).execute(Job(order, changes_of(order), recorder))
    assert len(results) == 24
    assert max(most) == 4


def test_parallelism_is_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ConcurrentExecutor(0)


def test_the_second_stop_returns_although_work_does_not() -> None:
    order = graph({"modules": [module("m", task("a", "x", "y"))]}, ["n1", "n2", "n3"])
    stop, release, aborted = StopSignal(), threading.Event(), threading.Event()
    entered = threading.Barrier(3)
    events: list[Event] = []

    def work(key: str) -> StepResult:
        if key == "m/a/x@n3":
            entered.wait(LIMIT)
            stop.request()
            stop.request()
            return result(key)
        entered.wait(LIMIT)
        release.wait(LIMIT)
        return result(key)

    job = Job(order, changes_of(order), work, stop=stop, abort=aborted.set, grace=0.0, on_event=events.append)
    try:
        results = {item.address: item for item in ConcurrentExecutor(3).execute(job)}
    finally:
        release.set()
    assert aborted.is_set()
    assert len(results) == 6
    assert results["m/a/x@n1"].status is StepStatus.INTERRUPTED
    assert "how far it got" in results["m/a/x@n1"].message
    assert {results[f"m/a/y@n{number}"].status for number in (1, 2, 3)} == {StepStatus.SKIPPED}
    assert sum(isinstance(event, StepFinished) for event in events) == 6
    assert any(isinstance(event, Stopping) for event in events)


def test_an_abort_that_ends_the_work_lets_it_report() -> None:
    order = graph({"modules": [module("m", task("a"))]}, ["n1"])
    stop, ended = StopSignal(), threading.Event()

    def work(key: str) -> StepResult:
        stop.request()
        stop.request()
        ended.wait(LIMIT)
        return result(key, StepStatus.INTERRUPTED)

    job = Job(order, changes_of(order), work, stop=stop, abort=ended.set, grace=LIMIT)
    assert [item.status for item in ConcurrentExecutor(1).execute(job)] == [StepStatus.INTERRUPTED]


class FakeTime:
    """A clock that moves only when the coordinator waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowLanes:
    """One task that takes `seconds` of fake time between its first message and the others."""

    capacity = 1

    def __init__(self, time: FakeTime, seconds: float) -> None:
        self._time = time
        self._until = seconds
        self._messages: Iterator[Message] = iter(())
        self._performer: Performs | None = None
        self._begun = False
        self.posted: list[Message] = []

    def start(self, performer: Performs) -> None:
        self._performer = performer

    def submit(self, task: Task) -> None:
        assert self._performer is not None
        self._messages = self._performer.perform(task)

    def poll(self) -> Message | None:
        if self.posted:
            return self.posted.pop(0)
        if not self._begun:
            self._begun = True
            return next(self._messages)
        return None if self._time.now < self._until else next(self._messages, Idle("n1"))

    def wait(self, timeout: float) -> Message | None:
        self._time.now = min(self._until, self._time.now + timeout)
        return None

    def post(self, message: Message) -> None:
        self.posted.append(message)

    def close(self) -> None:
        pass


def test_progress_every_ten_seconds() -> None:
    order = graph({"modules": [module("m", task("a"))]}, ["n1"])
    time = FakeTime()
    events: list[Event] = []
    job = Job(order, changes_of(order), result, clock=time, on_event=events.append)
    Coordinator(job, SlowLanes(time, 34.0)).run()
    assert [event.seconds for event in events if isinstance(event, StepProgress)] == [10.0, 20.0, 30.0]


def test_workers_speak_through_the_coordinator() -> None:
    order = graph({"modules": [module("m", task("a"))]}, ["n1"])
    events: list[Event] = []
    threads: set[int] = set()

    def listener(event: Event) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    def work(key: str) -> StepResult:
        coordinator.say(key, "half of it")
        coordinator.post(Waiting("apt"))
        return result(key)

    coordinator = ConcurrentExecutor(1).coordinator(Job(order, changes_of(order), work, on_event=listener))
    coordinator.run()
    said = [event.message for event in events if isinstance(event, StepProgress)]
    assert said == ["half of it"]
    assert Waiting("apt") in events
    assert threads == {threading.get_ident()}


def test_a_host_stays_on_its_worker_for_consecutive_steps() -> None:
    order = graph(
        {"modules": [module("m", task("a", *(f"s{number:02}" for number in range(20))))]}, ["n1", "n2"]
    )
    where: dict[str, set[str]] = {}

    def work(key: str) -> StepResult:
        where.setdefault(key.rpartition("@")[2], set()).add(threading.current_thread().name)
        return result(key)

    ConcurrentExecutor(2).execute(Job(order, changes_of(order), work))
    assert {len(names) for names in where.values()} == {1}


def test_signals_are_requests() -> None:
    import signal

    stop = StopSignal()
    before = signal.getsignal(signal.SIGTERM)
    with stop.on_signals():
        signal.raise_signal(signal.SIGTERM)
        assert (stop.requested, stop.now) == (True, False)
        signal.raise_signal(signal.SIGINT)
        assert stop.now
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_cause_named_does_not_depend_on_who_failed_first() -> None:
    strict = task("a", strategy={"requireAll": True})
    text = {"modules": [module("m", strict), module("k", task("b", dependsOn=["m/a"]))]}
    order = graph(text, ["n1", "n2"], {"k/b": ["n3"]})
    seen = threading.Event()

    def listener(event: Event) -> None:
        if isinstance(event, StepFinished) and event.result.address == "m/a/s@n2":
            seen.set()

    def work(key: str) -> StepResult:
        if key == "m/a/s@n1":
            assert seen.wait(LIMIT)
        return result(key, StepStatus.FAILED)

    results = ConcurrentExecutor(2).execute(Job(order, changes_of(order), work, on_event=listener))
    assert results[0].message == "skipped because m/a/s@n1 failed"
