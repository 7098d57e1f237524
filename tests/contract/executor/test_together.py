"""What every executor does with steps of which several are done together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from kubexms.errors import Interrupted, StateError, Unreachable
from kubexms.executor.concurrent import ConcurrentExecutor
from kubexms.executor.events import Event, StepFinished, StepResult, StepStarted, StepStatus
from kubexms.executor.job import Executor, Job
from kubexms.executor.stop import StopSignal
from kubexms.graph.build import build_graph
from kubexms.graph.model import StepGraph
from kubexms.spec.address import Address
from tests.contract.executor.scenario import (
    EXECUTORS,
    Recorder,
    changes_of,
    everywhere,
    graph,
    module,
    pipeline,
    result,
    task,
)

FAILED, UNREACHABLE = StepStatus.FAILED, StepStatus.UNREACHABLE
STEPS = ("w", "x", "y", "z")


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


@dataclass
class Pairs:
    """Does up to `most` steps whose names are in `shared` together; `left` are not done by that."""

    recorder: Recorder
    shared: Sequence[str] = STEPS
    left: Sequence[str] = ()
    most: int = 10
    error: BaseException | None = None
    meanwhile: Callable[[], None] = lambda: None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def _may(self, key: str) -> bool:
        return Address.parse(key).step in self.shared

    def reach(self, keys: Sequence[str]) -> int:
        count = 0
        while count < min(len(keys), self.most) and self._may(keys[count]):
            count += 1
        return max(count, 1)

    def perform(self, keys: Sequence[str]) -> Mapping[str, StepResult]:
        self.asked.append(tuple(keys))
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return {key: result(key) for key in keys if Address.parse(key).step not in self.left}


@dataclass
class Ran:
    results: dict[str, StepResult]
    recorder: Recorder
    together: Pairs
    events: list[Event]

    @property
    def statuses(self) -> list[str]:
        """Of the steps of one host, in their order."""
        keys = sorted(self.results, key=lambda key: (key.split("/")[1], key))
        return [self.results[key].status.value for key in keys]


def carry_out(
    executor: Executor,
    order: StepGraph,
    *,
    fails: Mapping[str, StepStatus] | None = None,
    fail_fast: bool = False,
    stop: StopSignal | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    **pairs: object,
) -> Ran:
    recorder = Recorder({f"m/a/{name}@n1": status for name, status in (fails or {}).items()})
    together = replace(Pairs(recorder, meanwhile=meanwhile), **pairs)  # type: ignore[arg-type]
    events: list[Event] = []
    job = Job(
        order,
        changes_of(order),
        recorder,
        together=together,
        fail_fast=fail_fast,
        on_event=events.append,
        stop=stop or StopSignal(),
    )
    results = executor.execute(job)
    assert len({item.address for item in results}) == len(results)
    begun = [event.change.address for event in events if isinstance(event, StepStarted)]
    ended = [event.change.address for event in events if isinstance(event, StepFinished)]
    assert len(set(begun)) == len(begun)
    assert sorted(ended) == sorted(item.address for item in results)
    return Ran({item.address: item for item in results}, recorder, together, events)


def one_task(*more: object, hosts: Sequence[str] = ("n1",)) -> StepGraph:
    return graph({"modules": [module("m", task("a", *STEPS), *more)]}, hosts)  # type: ignore[arg-type]


def merges(executor: Executor) -> bool:
    """Whoever is asked about each step sees one at a time."""
    return isinstance(executor, ConcurrentExecutor)


def test_what_can_be_done_together_is_and_the_rest_is_done_in_order(executor: Executor) -> None:
    ran = carry_out(executor, one_task(task("b")), shared=("x", "y"))
    assert ran.statuses == ["ok"] * 5
    if merges(executor):
        assert ran.together.asked == [("m/a/x@n1", "m/a/y@n1")]
        assert ran.recorder.begun == ["m/a/w@n1", "m/a/z@n1", "m/b/s@n1"]
    else:
        assert (ran.together.asked, len(ran.recorder.begun)) == ([], 5)


def test_each_host_by_itself(executor: Executor) -> None:
    ran = carry_out(executor, one_task(hosts=("n1", "n2")), most=3)
    assert ran.statuses == ["ok"] * 8
    hosts = {tuple(Address.parse(key).host for key in keys) for keys in ran.together.asked}
    assert hosts == ({("n1",) * 3, ("n2",) * 3} if merges(executor) else set())


def test_what_did_not_come_about_together_is_done_alone(executor: Executor) -> None:
    ran = carry_out(executor, one_task(task("b")), left=("x", "z"))
    assert ran.statuses == ["ok"] * 5
    if merges(executor):
        assert ran.recorder.begun == ["m/a/x@n1", "m/a/z@n1", "m/b/s@n1"]


@pytest.mark.parametrize("left", [("x", "y", "z"), STEPS])
def test_the_one_that_fails_alone_is_the_one_that_failed(executor: Executor, left: Sequence[str]) -> None:
    ran = carry_out(executor, one_task(task("b")), left=left, fails={"x": FAILED})
    assert ran.statuses == ["ok", "failed", "skipped", "skipped", "skipped"]
    for name in ("a/y", "a/z", "b/s"):
        assert ran.results[f"m/{name}@n1"].message == "skipped because m/a/x@n1 failed"


def test_steps_that_ended_well_beside_a_failure_do_not_let_anything_go_on(executor: Executor) -> None:
    ran = carry_out(executor, one_task(task("b")), left=("x",), fails={"x": FAILED})
    beside = "ok" if merges(executor) else "skipped"
    assert ran.statuses == ["ok", "failed", beside, beside, "skipped"]
    assert ran.results["m/b/s@n1"].message == "skipped because m/a/x@n1 failed"


def test_an_ignored_failure_lets_the_rest_go_on(executor: Executor) -> None:
    spec = pipeline({"modules": [module("m", task("a", *STEPS))]})
    nodes = [replace(node, ignore_errors=node.address.step == "x") for node in everywhere(spec, ["n1"])]
    ran = carry_out(executor, build_graph(spec, nodes), left=("x", "y"), fails={"x": FAILED})
    assert ran.statuses == ["ok", "ignored", "ok", "ok"]


def test_fail_fast_begins_nothing_more(executor: Executor) -> None:
    ran = carry_out(executor, one_task(task("b")), left=("x", "y"), fails={"x": FAILED}, fail_fast=True)
    assert ran.results["m/a/x@n1"].status is FAILED
    assert ran.results["m/a/y@n1"].status is ran.results["m/b/s@n1"].status is StepStatus.SKIPPED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreachable("gone"), "unreachable"),
        (Interrupted("stop"), "interrupted"),
        (RuntimeError("boom"), "failed"),
    ],
)
def test_whatever_it_raises_is_the_result_of_all(error: BaseException, status: str) -> None:
    ran = carry_out(ConcurrentExecutor(2), one_task(task("b")), shared=("x", "y", "z"), error=error)
    assert ran.statuses == ["ok", status, status, status, "skipped"]
    assert ran.results["m/b/s@n1"].message == "skipped because m/a/x@n1 failed"


def test_lost_state_ends_the_run() -> None:
    order = one_task(task("b"), hosts=("n1", "n2"))
    job = Job(order, changes_of(order), Recorder(), together=Pairs(Recorder(), error=StateError("disk full")))
    coordinator = ConcurrentExecutor(1).coordinator(job)
    statuses = {item.address: item.status.value for item in coordinator.run()}
    assert coordinator.fatal is not None
    assert statuses["m/b/s@n1"] == statuses["m/a/w@n2"] == "skipped"


@pytest.mark.parametrize("left", [(), ("x", "z")])
def test_a_request_to_stop_lets_them_end_and_begins_nothing_more(left: Sequence[str]) -> None:
    stop = StopSignal()
    ran = carry_out(ConcurrentExecutor(1), one_task(task("b")), left=left, stop=stop, meanwhile=stop.request)
    expected = ["skipped" if name in left else "ok" for name in STEPS]
    assert ran.statuses == [*expected, "skipped"]
    assert ran.recorder.begun == []


def test_batches_of_hosts_are_kept() -> None:
    text = {"modules": [module("m", task("a", *STEPS, strategy={"maxParallel": 1}))]}
    ran = carry_out(ConcurrentExecutor(4), graph(text, ["n1", "n2"]), left=("x",), fails={"x": FAILED})
    assert [keys[0] for keys in ran.together.asked] == ["m/a/w@n1"]
    assert {key for key, item in ran.results.items() if item.status is StepStatus.SKIPPED} == {
        f"m/a/{name}@n2" for name in STEPS
    }
