"""Drift beside a running apply: it waits for nothing, and what is half-way is no drift."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import Reason
from tests.unit.services.drifting import Drifting, addresses


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    drifting = Drifting(tmp_path)
    drifting.steps(drifting.file("a", "one\n"))
    drifting.apply()
    return drifting


def slow(here: Drifting) -> subprocess.Popen[bytes]:
    """An apply whose step tears `a` down, waits for a word, and builds it up again."""
    a, started, go = here.target / "a", here.root / "started", here.root / "go"
    os.mkfifo(go)
    os.mkfifo(started)
    run = f"echo half >{a}; echo >{started}; cat {go}; echo one >{a}"
    here.steps(here.file("a", "one\n"), {"name": "z", "kind": "command", "run": run, "runs": "once"})
    argv = [sys.executable, "-m", "kubexms", "-C", str(here.root), "apply", "--auto-approve"]
    environment = {**os.environ, **here.environ, "CI": "", "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen(
        argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    started.read_text()  # ends when the step is in the middle of it
    return process


def let_go(here: Drifting, process: subprocess.Popen[bytes]) -> None:
    (here.root / "go").write_text("\n")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


def test_the_half_applied_moment_is_no_drift(here: Drifting) -> None:
    process = slow(here)
    try:
        during = [here.drift() for _ in range(3)]
        assert [addresses(report) for report in during] == [[], [], []]
        assert all(list(report.applying) == ["here"] for report in during)
        assert (here.target / "a").read_text() == "half\n"
    finally:
        let_go(here, process)
    after = here.drift()
    assert (after.exit_code, after.applying) == (0, {})


def test_a_plan_beside_an_apply_says_who_is_at_it(here: Drifting) -> None:
    process = slow(here)
    try:
        during = here.plan()
    finally:
        let_go(here, process)
    assert {c.address: c.reason for c in during.effective}["m/t/z@here"] is Reason.IN_PROGRESS
    assert not during.diagnostics, "nobody has to decide about a step whose run goes on"


def test_a_loop_beside_an_apply_never_reports_drift(here: Drifting) -> None:
    process = slow(here)
    reports: list[DriftReport] = [here.drift()]
    (here.root / "go").write_text("\n")
    while process.poll() is None:
        reports.append(here.drift())
    _, said = process.communicate()
    assert process.returncode == 0, said
    reports.append(here.drift())
    assert {report.exit_code for report in reports} == {0}


def test_an_apply_that_was_killed_hides_nothing(here: Drifting) -> None:
    process = slow(here)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    reasons = {change.address: change.reason for change in here.plan().effective}
    assert reasons["m/t/z@here"] is Reason.INTERRUPTED
    report = here.drift()
    assert addresses(report) == ["m/t/a@here"]
    assert (report.applying, report.behind) == ({}, ("here",))


def test_an_apply_that_was_killed_is_no_running_one_once_another_began(here: Drifting) -> None:
    process = slow(here)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    with here.project() as project:
        (dead,) = [run for run in project.store.runs() if run.status == "running"]
    here.steps(here.file("a", "two\n"))
    here.apply()
    with here.project() as project:
        runs = {run.id: run.status for run in project.store.runs()}
    assert runs.pop(dead.id) == "interrupted"
    assert "running" not in runs.values()
    assert "succeeded" in runs.values()
