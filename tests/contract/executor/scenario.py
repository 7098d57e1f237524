"""Small pipelines, and executors that carry them out with scripted results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kubexms.executor.concurrent import ConcurrentExecutor
from kubexms.executor.debug import Choice, DebugExecutor
from kubexms.executor.events import Event, StepResult, StepStatus
from kubexms.executor.job import Executor, HookRunner, Job, NoHooks
from kubexms.executor.looking import HostLook, Look
from kubexms.graph.build import build_graph
from kubexms.graph.model import Scope, StepGraph, StepNode
from kubexms.plan.model import Change
from kubexms.spec.address import Address
from kubexms.spec.pipeline import HookSpec, PipelineSpec
from kubexms.step.contract import ActionKind


class RunToEnd:
    """A user who lets everything run."""

    def ask(self, change: Change) -> Choice:
        return Choice.RUN

    def inspect(self, change: Change, look: Look) -> None:
        raise AssertionError("nobody asked to look")


NOWHERE = HostLook({}, lambda host: None)
"""Nothing to look at."""

EXECUTORS: Mapping[str, Callable[[], Executor]] = {
    "concurrent": lambda: ConcurrentExecutor(4),
    "one at a time": lambda: ConcurrentExecutor(1),
    "debug": lambda: DebugExecutor(RunToEnd(), NOWHERE),
}


def pipeline(text: Mapping[str, object]) -> PipelineSpec:
    """A pipeline from its JSON form."""
    return PipelineSpec.from_json(text)


def module(name: str, *tasks: Mapping[str, object], **more: object) -> dict[str, object]:
    """A module in JSON form."""
    return {"name": name, "tasks": list(tasks), **more}


def task(name: str, *steps: str, **more: object) -> dict[str, object]:
    """A task in JSON form."""
    return {"name": name, "steps": [{"name": step, "kind": "x"} for step in steps or ("s",)], **more}


def everywhere(
    spec: PipelineSpec, hosts: Sequence[str], only: Mapping[str, Sequence[str]] | None = None
) -> list[StepNode]:
    """Every step on every host, tasks in `only` (`module/task`) on those alone."""
    return [
        StepNode(Address(m.name, t.name, s.name, host), order)
        for m in spec.modules
        for t in m.tasks
        for host in (only or {}).get(f"{m.name}/{t.name}", hosts)
        for order, s in enumerate(t.steps)
    ]


def graph(
    text: Mapping[str, object], hosts: Sequence[str], only: Mapping[str, Sequence[str]] | None = None
) -> StepGraph:
    """The graph of a pipeline on hosts."""
    spec = pipeline(text)
    return build_graph(spec, everywhere(spec, hosts, only))


def changes_of(order: StepGraph) -> dict[str, Change]:
    """A change for each step."""
    keys = (str(node.address) for node in order.steps())
    return {key: Change(address=key, kind="x", action=ActionKind.UPDATE) for key in keys}


def result(address: str, status: StepStatus = StepStatus.OK, kind: str = "x") -> StepResult:
    """A result of the given status."""
    action = "run" if kind == "hook" else "update"
    return StepResult(address, kind, action, status, changed=status is StepStatus.OK)


@dataclass
class Recorder:
    """Work that notes when it begins and ends, and fails where it is told to. Thread-safe."""

    outcomes: Mapping[str, StepStatus] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    meanwhile: Callable[[str], None] = lambda key: None

    def __call__(self, key: str) -> StepResult:
        with self.lock:
            self.log.append(("begin", key))
        self.meanwhile(key)
        with self.lock:
            self.log.append(("end", key))
        return result(key, self.outcomes.get(key, StepStatus.OK))

    @property
    def begun(self) -> list[str]:
        """What ran, in order."""
        return [key for what, key in self.log if what == "begin"]


class ScriptedHooks:
    """Hooks that note what they do, on the same log as the steps."""

    def __init__(self, recorder: Recorder, *, fails: Sequence[str] = (), idle: Sequence[str] = ()) -> None:
        self._recorder = recorder
        self._fails = set(fails)
        self._idle = set(idle)

    def active(self, scope: Scope) -> bool:
        return str(scope) not in self._idle

    def _note(self, what: str, name: str) -> None:
        with self._recorder.lock:
            self._recorder.log.append((what, name))

    def open(self, scope: Scope) -> None:
        self._note("open", str(scope))

    def close(self, scope: Scope) -> None:
        self._note("close", str(scope))

    def run(self, scope: Scope, hook: HookSpec) -> StepResult:
        name = hook.name + (f"@{scope.host}" if scope.host else "")
        self._note("hook", name)
        status = StepStatus.FAILED if name in self._fails else StepStatus.OK
        return result("", status, kind="hook")


@dataclass
class Ran:
    """What came of a job."""

    results: dict[str, StepResult]
    log: list[tuple[str, str]]
    events: list[Event]

    def status(self, key: str) -> str:
        """The status of one result; empty if there is none."""
        return self.results[key].status.value if key in self.results else ""


def carry_out(
    executor: Executor,
    order: StepGraph,
    recorder: Recorder | None = None,
    *,
    hooks: HookRunner | None = None,
    fail_fast: bool = False,
    changes: Mapping[str, Change] | None = None,
) -> Ran:
    """Run a graph; the results by address, what happened in order, and the events."""
    recorder = recorder or Recorder()
    events: list[Event] = []
    job = Job(
        order,
        changes_of(order) if changes is None else changes,
        recorder,
        hooks=hooks or NoHooks(),
        fail_fast=fail_fast,
        on_event=events.append,
    )
    results = executor.execute(job)
    addresses = [Address.parse(item.address) for item in results]
    assert addresses == sorted(addresses)
    assert len(set(addresses)) == len(addresses)
    return Ran({item.address: item for item in results}, recorder.log, events)
