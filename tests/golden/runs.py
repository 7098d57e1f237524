"""Runs that the golden files show: what an apply says while it goes, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubexms.executor.events import (
    Event,
    RunFinished,
    RunResult,
    RunStarted,
    StepFinished,
    StepProgress,
    StepResult,
    StepStarted,
    StepStatus,
    Stopping,
    TaskFinished,
    Waiting,
)
from kubexms.plan.model import Change
from kubexms.step.contract import ActionKind
from tests.golden.cases import create, update

RUN = "20260301-120000-abc123"


def _overlay(host: str) -> Change:
    return create(f"os/kernel/overlay@{host}", "kernelModule", {"loaded": True}, summary="overlay")


def _config(host: str) -> Change:
    return update(
        f"runtime/containerd/config@{host}",
        "file",
        {"mode": "0644"},
        {"mode": "0600"},
        summary="/etc/containerd/config.toml",
    )


def _result(change: Change, status: StepStatus = StepStatus.OK, **more: object) -> StepResult:
    changed = status is StepStatus.OK
    return StepResult(change.address, change.kind, change.action, status, changed, 2.4, **more)  # type: ignore[arg-type]


def _good() -> Iterator[Event]:
    """Two tasks on three hosts."""
    hosts = ("n1", "n2", "n3")
    results = []
    yield RunStarted(RUN, 6, hosts)
    for task, make in (("os/kernel", _overlay), ("runtime/containerd", _config)):
        module, _, name = task.partition("/")
        for host in hosts:
            change = make(host)
            yield StepStarted(change)
            results.append(_result(change))
            yield StepFinished(change, results[-1])
            yield TaskFinished(module, name, host, 1, 0)
    yield RunFinished(RunResult(RUN, tuple(sorted(results, key=lambda result: result.address))))


def _bad() -> Iterator[Event]:
    """A lock, a failure with output, an ignored one, what was skipped because of it, a lost host, Ctrl-C."""
    overlay, config, lost = _overlay("n1"), _config("n1"), _overlay("n3")
    yield Waiting("the state's lock, held by ci@runner since 11:58:03 for apply")
    yield RunStarted(RUN, 4, ("n1", "n2", "n3"))
    yield StepStarted(overlay)
    yield Waiting("another package manager's lock", overlay.address)
    yield StepProgress(overlay, 10.0)
    yield StepProgress(overlay, 20.0, "unpacking\x1b[2J")
    failed = _result(
        overlay,
        StepStatus.FAILED,
        attempts=3,
        message="the script ended with 1",
        exit_status=1,
        stderr="modprobe: FATAL: Module overlay not found\n  in directory /lib/modules\n",
        stdout="looking\x07\n",
        detail="Load it by hand to see why.\n",
    )
    yield StepFinished(overlay, failed)
    skipped = _result(config, StepStatus.SKIPPED, message="os/kernel/overlay@n1 failed")
    yield StepFinished(config, skipped)
    yield TaskFinished("os", "kernel", "n1", 0, 1)
    ignored_change = _config("n2")
    ignored = _result(ignored_change, StepStatus.IGNORED, message="it did not converge", remaining=("mode",))
    yield StepFinished(ignored_change, ignored)
    yield TaskFinished("runtime", "containerd", "n2", 0, 0)
    yield Stopping(1)
    gone = _result(lost, StepStatus.UNREACHABLE, message="connection reset by peer")
    yield StepFinished(lost, gone)
    results = tuple(sorted((failed, skipped, ignored, gone), key=lambda result: result.address))
    yield RunFinished(RunResult(RUN, results, True, {"n3": "connection reset by peer"}))


def _destroyed() -> Iterator[Event]:
    """Everything is undone."""
    change = Change(address="os/kernel/overlay@n1", kind="kernelModule", action=ActionKind.DELETE)
    yield RunStarted(RUN, 1, ("n1",))
    yield StepStarted(change)
    result = _result(change)
    yield StepFinished(change, result)
    yield RunFinished(RunResult(RUN, (result,)))


@dataclass(frozen=True, slots=True)
class RunCase:
    """One directory of golden files."""

    name: str
    events: Callable[[], Iterator[Event]]
    operation: str = "apply"


RUNS = (RunCase("run-good", _good), RunCase("run-bad", _bad), RunCase("run-destroy", _destroyed, "destroy"))
