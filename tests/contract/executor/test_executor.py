"""What every executor does with the same job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from kubexms.errors import ConnectionFailed, Interrupted, StateError, Unreachable
from kubexms.executor.events import (
    Event,
    StepFinished,
    StepResult,
    StepStarted,
    StepStatus,
    Stopping,
    TaskFinished,
)
from kubexms.executor.job import Executor, Job
from kubexms.executor.stop import StopSignal
from kubexms.graph.build import build_graph
from kubexms.graph.deletes import DeleteEntry, build_delete_graph
from kubexms.graph.model import StepNode
from kubexms.spec.address import Address
from tests.contract.executor.scenario import (
    EXECUTORS,
    Recorder,
    carry_out,
    changes_of,
    everywhere,
    graph,
    module,
    pipeline,
    result,
    task,
)

FAILED, UNREACHABLE = StepStatus.FAILED, StepStatus.UNREACHABLE


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


def before(log: Sequence[tuple[str, str]], first: str, second: str) -> bool:
    """Whether `first` ended before `second` began."""
    return log.index(("end", first)) < log.index(("begin", second))


def test_steps_run_in_order_on_each_host(executor: Executor) -> None:
    ran = carry_out(executor, graph({"modules": [module("m", task("a", "x", "y"), task("b"))]}, ["n1", "n2"]))
    for host in ("n1", "n2"):
        own = [key for what, key in ran.log if what == "begin" and key.endswith(host)]
        assert own == [f"m/a/x@{host}", f"m/a/y@{host}", f"m/b/s@{host}"]
    assert set(ran.results) == {f"m/{step}@{host}" for step in ("a/x", "a/y", "b/s") for host in ("n1", "n2")}


def test_a_module_begins_when_the_one_before_ended_everywhere(executor: Executor) -> None:
    ran = carry_out(
        executor, graph({"modules": [module("m", task("a")), module("k", task("b"))]}, ["n1", "n2"])
    )
    for first in ("m/a/s@n1", "m/a/s@n2"):
        for second in ("k/b/s@n1", "k/b/s@n2"):
            assert before(ran.log, first, second)


def test_dependents_are_skipped_and_say_because_of_whom(executor: Executor) -> None:
    order = graph(
        {"modules": [module("m", task("a", "x", "y"), task("b"), task("c", dependsOn=[]))]}, ["n1", "n2"]
    )
    ran = carry_out(executor, order, Recorder({"m/a/x@n1": FAILED}))
    assert ran.status("m/a/y@n1") == ran.status("m/b/s@n1") == "skipped"
    assert ran.results["m/b/s@n1"].message == "skipped because m/a/x@n1 failed"
    assert ran.status("m/c/s@n1") == "ok"
    assert ran.status("m/b/s@n2") == "ok"


def test_failed_hosts_drop_out_of_a_wait(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a")), module("k", task("b"))]}, ["n1", "n2", "n3"])
    ran = carry_out(executor, order, Recorder({"m/a/s@n1": UNREACHABLE}))
    assert [ran.status(f"k/b/s@n{n}") for n in (1, 2, 3)] == ["skipped", "ok", "ok"]


def test_when_nobody_succeeded_a_wait_does_not_end(executor: Executor) -> None:
    only = {"m/a": ["n1"]}
    order = graph({"modules": [module("m", task("a")), module("k", task("b"))]}, ["n1", "n2"], only)
    ran = carry_out(executor, order, Recorder({"m/a/s@n1": FAILED}))
    assert ran.status("k/b/s@n2") == "skipped"
    assert ran.results["k/b/s@n2"].message == "skipped because m/a/s@n1 failed"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"requireAll": True}, "skipped"),
        ({"maxFailures": 0}, "skipped"),
        ({"maxFailures": 1}, "ok"),
        ({}, "ok"),
    ],
)
def test_strict_waits(executor: Executor, strategy: dict[str, object], expected: str) -> None:
    text = {"modules": [module("m", task("a", strategy=strategy)), module("k", task("b"))]}
    ran = carry_out(executor, graph(text, ["n1", "n2"]), Recorder({"m/a/s@n1": FAILED}))
    assert ran.status("k/b/s@n2") == expected


def test_a_task_can_wait_for_all_hosts(executor: Executor) -> None:
    text = {"modules": [module("m", task("a"), task("b", dependsOn=[{"task": "a", "scope": "all"}]))]}
    ran = carry_out(executor, graph(text, ["n1", "n2"]))
    assert before(ran.log, "m/a/s@n2", "m/b/s@n1")
    assert before(ran.log, "m/a/s@n1", "m/b/s@n2")


def test_ignored_failures_let_dependents_go_on(executor: Executor) -> None:
    spec = pipeline({"modules": [module("m", task("a", "x", "y"))]})
    nodes = [
        StepNode(Address("m", "a", "x", "n1"), 0, ignore_errors=True),
        StepNode(Address("m", "a", "y", "n1"), 1),
    ]
    ran = carry_out(executor, build_graph(spec, nodes), Recorder({"m/a/x@n1": FAILED}))
    assert (ran.status("m/a/x@n1"), ran.status("m/a/y@n1")) == ("ignored", "ok")


def test_a_step_waits_for_steps_of_other_hosts_that_it_names(executor: Executor) -> None:
    spec = pipeline({"modules": [module("m", task("a"), task("b", dependsOn=[]))]})
    first, second = Address("m", "b", "s", "n2"), Address("m", "a", "s", "n1")
    nodes = [StepNode(second, 0, depends_on=(first,)), StepNode(first, 0)]
    ran = carry_out(executor, build_graph(spec, nodes))
    assert before(ran.log, str(first), str(second))
    ran = carry_out(executor, build_graph(spec, nodes), Recorder({str(first): FAILED}))
    assert ran.results[str(second)].message == "skipped because m/b/s@n2 failed"


def test_steps_without_a_change_are_passed_over(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a", "x", "y", "z"))]}, ["n1"])
    changes = {key: change for key, change in changes_of(order).items() if "/y@" not in key}
    ran = carry_out(executor, order, changes=changes)
    assert list(ran.results) == ["m/a/x@n1", "m/a/z@n1"]
    ran = carry_out(executor, order, Recorder({"m/a/x@n1": FAILED}), changes=changes)
    assert ran.results["m/a/z@n1"].message == "skipped because m/a/x@n1 failed"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("boom"), "failed"),
        (Unreachable("no route to n1"), "unreachable"),
        (Interrupted("stop"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(3), "failed"),
    ],
)
def test_whatever_work_raises_is_a_result(executor: Executor, error: BaseException, status: str) -> None:
    order = graph({"modules": [module("m", task("a"))]}, ["n1", "n2"])

    def work(key: str) -> StepResult:
        if key.endswith("n1"):
            raise error
        return result(key)

    results = executor.execute(Job(order, changes_of(order), work))
    assert [item.status.value for item in results] == [status, "ok"]
    if isinstance(error, ConnectionFailed):
        assert results[0].message == "no route to n1"


def test_after_a_state_error_nothing_begins(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a", "x", "y")), module("k", task("b"))]}, ["n1"])

    def work(key: str) -> StepResult:
        raise StateError("disk full")

    results = executor.execute(Job(order, changes_of(order), work))
    assert [item.status.value for item in results] == ["skipped", "failed", "skipped"]


def test_fail_fast_begins_nothing_after_a_failure(executor: Executor) -> None:
    text = {"modules": [module("m", task("a")), module("k", task("b"))]}
    ran = carry_out(executor, graph(text, ["n1", "n2"]), Recorder({"m/a/s@n1": FAILED}), fail_fast=True)
    assert ran.status("k/b/s@n2") == "skipped"
    assert ran.results["k/b/s@n2"].message.startswith("skipped because m/a/s@n1 failed")


def test_the_first_stop_finishes_what_is_in_flight(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a", "x", "y", "z"))]}, ["n1"])
    stop = StopSignal()
    events: list[Event] = []

    def work(key: str) -> StepResult:
        if key == "m/a/y@n1":
            stop.request()
        return result(key)

    results = executor.execute(Job(order, changes_of(order), work, stop=stop, on_event=events.append))
    assert [item.status.value for item in results] == ["ok", "ok", "skipped"]
    assert results[2].message == "the run was interrupted before this step began"
    assert sum(isinstance(event, Stopping) for event in events) == 1


def test_events_come_in_order_and_from_one_thread(executor: Executor) -> None:
    ran = carry_out(executor, graph({"modules": [module("m", task("a", "x", "y"))]}, ["n1", "n2"]))
    for host in ("n1", "n2"):
        own = [event for event in ran.events if _host(event) == host]
        kinds = [StepStarted, StepFinished, StepStarted, StepFinished, TaskFinished]
        assert [type(event) for event in own] == kinds


def test_a_task_counts_what_a_failed_step_wrote_as_failed_only(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a", "x", "y"))]}, ["n1"])
    events: list[Event] = []

    def work(key: str) -> StepResult:
        done = result(key, FAILED if key == "m/a/y@n1" else StepStatus.OK)
        return replace(done, changed=True)

    executor.execute(Job(order, changes_of(order), work, on_event=events.append))
    done = [event for event in events if isinstance(event, TaskFinished)]
    assert done == [TaskFinished("m", "a", "n1", changed=1, failed=1)]


def _host(event: Event) -> str:
    match event:
        case StepStarted(change=change) | StepFinished(change=change):
            return change.host
        case TaskFinished(host=host):
            return host
        case _:
            return ""


def test_a_listener_that_raises_ends_the_run_in_order(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a", "x", "y"), task("b"))]}, ["n1"])

    def listener(event: Event) -> None:
        raise BrokenPipeError("nobody reads")

    recorder = Recorder()
    with pytest.raises(BrokenPipeError):
        executor.execute(Job(order, changes_of(order), recorder, on_event=listener))
    assert len(recorder.begun) <= 3


def test_removals_go_in_the_reverse_of_what_was_recorded(executor: Executor) -> None:
    addresses = [Address("k", "b", "s", "n1"), Address("m", "a", "s", "n2"), Address("m", "a", "s", "n1")]
    order = build_delete_graph(
        [DeleteEntry(addresses[0], ("m", "m/a/s@n1")), *map(DeleteEntry, addresses[1:])]
    )
    ran = carry_out(executor, order)
    assert before(ran.log, "k/b/s@n1", "m/a/s@n2")
    ran = carry_out(executor, order, Recorder({"k/b/s@n1": FAILED}))
    assert ran.status("m/a/s@n1") == ran.status("m/a/s@n2") == "skipped"


def test_an_empty_graph_has_no_results(executor: Executor) -> None:
    assert carry_out(executor, graph({}, [])).results == {}


Make = Callable[[], Executor]


@pytest.mark.parametrize("make", EXECUTORS.values())
def test_a_module_without_hosts_is_not_in_the_way(make: Make) -> None:
    text = {"modules": [module("m", task("a")), module("e", task("n")), module("k", task("b"))]}
    spec = pipeline(text)
    order = build_graph(spec, everywhere(spec, ["n1", "n2"], {"e/n": []}))
    ran = carry_out(make(), order)
    assert before(ran.log, "m/a/s@n1", "k/b/s@n2")
    ran = carry_out(make(), order, Recorder({"m/a/s@n1": FAILED}))
    assert [ran.status("k/b/s@n1"), ran.status("k/b/s@n2")] == ["skipped", "ok"]
