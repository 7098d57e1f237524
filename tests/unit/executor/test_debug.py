"""The debug executor asks before each step."""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.executor.debug import Choice, DebugExecutor
from kubexms.executor.events import StepResult
from kubexms.executor.job import Job
from kubexms.executor.looking import HostLook, Look
from kubexms.executor.stop import StopSignal
from kubexms.plan.model import Change
from tests.contract.executor.scenario import Recorder, ScriptedHooks, changes_of, graph, module, task


class Answers:
    """Gives the scripted answers, then runs to the end; notes what it was asked about."""

    def __init__(self, *choices: Choice) -> None:
        self._choices = list(choices)
        self.asked: list[str] = []
        self.looked: list[str] = []

    def ask(self, change: Change) -> Choice:
        self.asked.append(change.address)
        return self._choices.pop(0) if self._choices else Choice.RUN

    def inspect(self, change: Change, look: Look) -> None:
        assert look.observe(change) is None
        self.looked.append(change.address)


def debug(
    answers: Answers, steps: Sequence[str] = ("x", "y", "z"), hooks: bool = False
) -> tuple[tuple[StepResult, ...], Recorder, list[str], StopSignal]:
    pre = {"hooks": {"pre": [{"name": "drain", "run": "true"}]}} if hooks else {}
    order = graph({"modules": [module("m", task("a", *steps, **pre))]}, ["n1"])
    recorder, stop = Recorder(), StopSignal()
    executor = DebugExecutor(answers, HostLook({}, lambda host: None))
    runner = ScriptedHooks(recorder)
    results = executor.execute(Job(order, changes_of(order), recorder, hooks=runner, stop=stop))
    return results, recorder, answers.looked, stop


def test_continue_asks_again_at_the_next_step() -> None:
    answers = Answers(*[Choice.CONTINUE] * 3)
    results, _, _, _ = debug(answers)
    assert answers.asked == ["m/a/x@n1", "m/a/y@n1", "m/a/z@n1"]
    assert {item.status.value for item in results} == {"ok"}


def test_run_asks_no_more() -> None:
    answers = Answers(Choice.CONTINUE, Choice.RUN)
    debug(answers)
    assert answers.asked == ["m/a/x@n1", "m/a/y@n1"]


def test_inspect_shows_the_host_and_asks_again() -> None:
    answers = Answers(Choice.INSPECT, Choice.INSPECT, Choice.RUN)
    _, _, looked, _ = debug(answers)
    assert looked == ["m/a/x@n1"] * 2
    assert answers.asked == ["m/a/x@n1"] * 3


def test_skip_leaves_one_step_out() -> None:
    results, recorder, _, _ = debug(Answers(Choice.SKIP, Choice.RUN))
    assert recorder.begun == ["m/a/y@n1", "m/a/z@n1"]
    assert results[0].status.value == "skipped"
    assert results[0].message == "skipped by the user"


def test_quit_leaves_the_rest() -> None:
    results, recorder, _, stop = debug(Answers(Choice.CONTINUE, Choice.QUIT))
    assert recorder.begun == ["m/a/x@n1"]
    assert [item.status.value for item in results] == ["ok", "skipped", "skipped"]
    assert stop.requested


def test_hooks_are_asked_about_too() -> None:
    answers = Answers(Choice.SKIP, Choice.RUN)
    results, recorder, _, _ = debug(answers, hooks=True)
    assert answers.asked == ["m/a/hook[drain]@controller", "m/a/x@n1"]
    assert recorder.begun == ["m/a/x@n1", "m/a/y@n1", "m/a/z@n1"]
    assert [item.status.value for item in results] == ["skipped", "ok", "ok", "ok"]


def test_quit_at_a_hook_begins_nothing() -> None:
    results, recorder, _, _ = debug(Answers(Choice.QUIT), hooks=True)
    assert recorder.begun == []
    assert {item.status.value for item in results} == {"skipped"}
