"""Rolling work: batches, canaries, what stops them, and what waits for them."""

from __future__ import annotations

import pytest

from kubexms.executor.events import StepStatus
from kubexms.executor.job import Executor
from kubexms.graph.build import build_graph
from kubexms.graph.model import StepNode
from kubexms.spec.address import Address
from tests.contract.executor.scenario import (
    EXECUTORS,
    Recorder,
    ScriptedHooks,
    carry_out,
    everywhere,
    graph,
    module,
    pipeline,
    task,
)

HOSTS = [f"n{number}" for number in range(1, 9)]
FAILED = StepStatus.FAILED


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


@pytest.mark.parametrize("scope", ["task", "module"])
@pytest.mark.parametrize(
    ("parallel", "sizes"),
    [(1, [1] * 8), (3, [3, 3, 2]), ("25%", [2, 2, 2, 2]), ([1, 5, "25%"], [1, 5, 2])],
)
def test_a_batch_begins_when_the_one_before_has_ended(
    executor: Executor, scope: str, parallel: object, sizes: list[int]
) -> None:
    strategy = {"strategy": {"maxParallel": parallel}}
    text = {"modules": [module("m", task("a", "x", "y", **(strategy if scope == "task" else {})))]}
    if scope == "module":
        text["modules"][0].update(strategy)
    ran = carry_out(executor, graph(text, HOSTS))
    position = 0
    for size in sizes:
        batch, position = HOSTS[position : position + size], position + size
        later = HOSTS[position:]
        for host in batch:
            for other in later:
                assert ran.log.index(("end", f"m/a/y@{host}")) < ran.log.index(("begin", f"m/a/x@{other}"))


def test_a_failure_stops_the_batches_that_follow(executor: Executor) -> None:
    text = {"modules": [module("m", task("a", strategy={"maxParallel": 2})), module("k", task("b"))]}
    ran = carry_out(executor, graph(text, HOSTS), Recorder({"m/a/s@n3": FAILED}))
    assert [ran.status(f"m/a/s@{host}") for host in HOSTS] == ["ok", "ok", "failed", "ok"] + ["skipped"] * 4
    assert ran.results["m/a/s@n8"].message == "skipped because m/a/s@n3 failed in an earlier batch"
    assert {ran.status(f"k/b/s@{host}") for host in HOSTS} == {"skipped"}


def test_max_failures_are_tolerated(executor: Executor) -> None:
    strategy = {"maxParallel": 2, "maxFailures": 1}
    text = {"modules": [module("m", task("a", strategy=strategy)), module("k", task("b"))]}
    ran = carry_out(executor, graph(text, HOSTS), Recorder({"m/a/s@n3": FAILED}))
    assert [ran.status(f"m/a/s@{host}") for host in HOSTS].count("ok") == 7
    assert ran.status("k/b/s@n8") == "ok"
    ran = carry_out(executor, graph(text, HOSTS), Recorder({"m/a/s@n3": FAILED, "m/a/s@n5": FAILED}))
    assert [ran.status(f"m/a/s@n{number}") for number in (6, 7, 8)] == ["ok", "skipped", "skipped"]


def test_the_pipelines_strategy_holds_for_modules_without_one(executor: Executor) -> None:
    text = {"strategy": {"maxParallel": 1}, "modules": [module("m", task("a"), task("b"))]}
    ran = carry_out(executor, graph(text, ["n1", "n2"]))
    assert ran.log.index(("end", "m/b/s@n1")) < ran.log.index(("begin", "m/a/s@n2"))


def test_hooks_on_hosts_belong_to_the_batch(executor: Executor) -> None:
    hook = {"name": "drain", "run": "true", "on": "hosts"}
    hooks = {"pre": [hook], "post": [{**hook, "name": "uncordon"}]}
    text = {"modules": [module("m", task("a", strategy={"maxParallel": 1}, hooks=hooks))]}
    recorder = Recorder()
    ran = carry_out(executor, graph(text, ["n1", "n2"]), recorder, hooks=ScriptedHooks(recorder))
    assert ran.log.index(("close", "m/a@n1")) < ran.log.index(("open", "m/a@n2"))


def test_hosts_that_failed_before_do_not_stop_batches(executor: Executor) -> None:
    text = {"modules": [module("m", task("a"), task("b", strategy={"maxParallel": 1}))]}
    ran = carry_out(executor, graph(text, ["n1", "n2", "n3"]), Recorder({"m/a/s@n2": FAILED}))
    assert [ran.status(f"m/b/s@n{number}") for number in (1, 2, 3)] == ["ok", "skipped", "ok"]


def test_a_batch_that_waits_for_a_later_one_ends_with_a_message(executor: Executor) -> None:
    spec = pipeline({"modules": [module("m", task("a", strategy={"maxParallel": 1}))]})
    nodes = everywhere(spec, ["n1", "n2"])
    nodes[0] = StepNode(nodes[0].address, 0, depends_on=(Address("m", "a", "s", "n2"),))
    ran = carry_out(executor, build_graph(spec, nodes))
    assert ran.status("m/a/s@n1") == ran.status("m/a/s@n2") == "skipped"
    assert "cannot begin" in ran.results["m/a/s@n2"].message
