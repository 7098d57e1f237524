"""Hooks: when they run, on what, and what their failures do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from kubexms.executor.events import StepStatus
from kubexms.executor.job import Executor
from tests.contract.executor.scenario import (
    EXECUTORS,
    Ran,
    Recorder,
    ScriptedHooks,
    carry_out,
    graph,
    module,
    task,
)

HOSTS = ["n1", "n2"]


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


def hooks(on: str, *, ignore: bool = False) -> dict[str, object]:
    def one(name: str) -> list[dict[str, object]]:
        return [{"name": name, "run": "true", "on": on, **({"ignoreErrors": True} if ignore else {})}]

    return {"pre": one("pre"), "post": one("post"), "onFailure": one("fail")}


def run(
    executor: Executor,
    text: Mapping[str, object],
    *,
    outcomes: Mapping[str, StepStatus] | None = None,
    fails: Sequence[str] = (),
    idle: Sequence[str] = (),
) -> Ran:
    recorder = Recorder(outcomes or {})
    order = graph(text, HOSTS)
    return carry_out(executor, order, recorder, hooks=ScriptedHooks(recorder, fails=fails, idle=idle))


def noted(ran: Ran) -> list[str]:
    return [f"{what} {name}" for what, name in ran.log if what not in ("begin", "end")]


def at(ran: Ran, what: str, name: str) -> int:
    return ran.log.index((what, name))


def test_hooks_of_a_task_on_the_controller_run_once_around_it(executor: Executor) -> None:
    ran = run(executor, {"modules": [module("m", task("a", "x", "y", hooks=hooks("controller")))]})
    assert noted(ran) == ["open m/a", "hook pre", "hook post", "close m/a"]
    assert at(ran, "hook", "pre") < min(at(ran, "begin", f"m/a/x@{host}") for host in HOSTS)
    assert at(ran, "hook", "post") > max(at(ran, "end", f"m/a/y@{host}") for host in HOSTS)
    assert ran.status("m/a/hook[pre]@controller") == "ok"


def test_hooks_on_hosts_run_around_each_host(executor: Executor) -> None:
    text = {"modules": [module("m", task("a", hooks=hooks("hosts")), task("b"))]}
    ran = run(executor, text, outcomes={"m/a/s@n1": StepStatus.FAILED})
    assert [entry for entry in noted(ran) if entry.endswith("n1")] == [
        "open m/a@n1",
        "hook pre@n1",
        "hook fail@n1",
    ]
    assert [entry for entry in noted(ran) if entry.endswith("n2")] == [
        "open m/a@n2",
        "hook pre@n2",
        "hook post@n2",
        "close m/a@n2",
    ]
    assert at(ran, "hook", "post@n2") < at(ran, "begin", "m/b/s@n2")
    assert ran.status("m/b/s@n1") == "skipped"


def test_scopes_nest(executor: Executor) -> None:
    text = {
        "hooks": hooks("controller"),
        "modules": [
            module("m", task("a", hooks=hooks("controller")), hooks=hooks("controller")),
            module("k", task("b")),
        ],
    }
    ran = run(executor, text)
    opened = [name for what, name in ran.log if what == "open"]
    closed = [name for what, name in ran.log if what == "close"]
    assert opened == ["", "m", "m/a"]
    assert closed == ["m/a", "m", ""]
    assert at(ran, "close", "m") < at(ran, "begin", "k/b/s@n1")
    assert at(ran, "close", "") > at(ran, "end", "k/b/s@n2")


def test_scopes_with_nothing_to_do_have_no_hooks(executor: Executor) -> None:
    ran = run(executor, {"modules": [module("m", task("a", hooks=hooks("controller")))]}, idle=["m/a"])
    assert noted(ran) == []
    assert ran.status("m/a/s@n1") == "ok"


@pytest.mark.parametrize("on", ["controller", "hosts"])
def test_a_failed_pre_blocks_its_scope(executor: Executor, on: str) -> None:
    fails = ["pre"] if on == "controller" else ["pre@n1"]
    ran = run(executor, {"modules": [module("m", task("a", hooks=hooks(on)))]}, fails=fails)
    where = "controller" if on == "controller" else "n1"
    assert ran.status(f"m/a/hook[pre]@{where}") == "failed"
    assert ran.results["m/a/s@n1"].message == f"skipped because m/a/hook[pre]@{where} failed"
    assert ran.status("m/a/s@n2") == ("skipped" if on == "controller" else "ok")
    assert ran.status(f"m/a/hook[fail]@{where}") == "ok"
    assert ran.status(f"m/a/hook[post]@{where}") == ""


def test_an_ignored_pre_failure_blocks_nothing(executor: Executor) -> None:
    text = {"modules": [module("m", task("a", hooks=hooks("controller", ignore=True)))]}
    ran = run(executor, text, fails=["pre"])
    assert ran.status("m/a/hook[pre]@controller") == "ignored"
    assert ran.status("m/a/s@n1") == "ok"


def test_a_failed_post_is_a_failure(executor: Executor) -> None:
    text = {"modules": [module("m", task("a", hooks=hooks("controller"))), module("k", task("b"))]}
    ran = run(executor, text, fails=["post"])
    assert ran.status("m/a/hook[post]@controller") == "failed"
    assert ran.status("m/a/hook[fail]@controller") == "ok"
    assert "close m/a" not in noted(ran)
    assert ran.results["k/b/s@n1"].message == "skipped because m/a/hook[post]@controller failed"


def test_on_failure_runs_when_a_host_failed(executor: Executor) -> None:
    text = {"modules": [module("m", task("a"), hooks=hooks("controller")), module("k", task("b"))]}
    ran = run(executor, text, outcomes={"m/a/s@n1": StepStatus.FAILED})
    assert noted(ran) == ["open m", "hook pre", "hook fail"]
    assert ran.status("k/b/s@n2") == "ok"


def test_tolerated_failures_do_not_fail_the_scope(executor: Executor) -> None:
    text = {"modules": [module("m", task("a"), hooks=hooks("controller"), strategy={"maxFailures": 1})]}
    ran = run(executor, text, outcomes={"m/a/s@n1": StepStatus.FAILED})
    assert noted(ran) == ["open m", "hook pre", "hook post", "close m"]


def test_a_scope_that_was_never_entered_has_no_hooks(executor: Executor) -> None:
    text = {
        "modules": [
            module("m", task("a", strategy={"requireAll": True})),
            module("k", task("b", hooks=hooks("controller"))),
        ]
    }
    ran = run(executor, text, outcomes={"m/a/s@n1": StepStatus.FAILED})
    assert noted(ran) == []
    assert ran.status("k/b/s@n2") == "skipped"


def test_a_scope_left_open_by_an_earlier_run_is_closed(executor: Executor) -> None:
    order = graph({"modules": [module("m", task("a", hooks=hooks("hosts")))]}, HOSTS)
    recorder = Recorder()
    ran = carry_out(executor, order, recorder, hooks=ScriptedHooks(recorder, idle=["m/a@n1"]), changes={})
    assert noted(ran) == ["hook post@n2", "close m/a@n2"]
    assert list(ran.results) == ["m/a/hook[post]@n2"]
