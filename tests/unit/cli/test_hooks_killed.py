"""Hooks that fail, are killed, or are left behind by a run that was: what is told, and what closes them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.local import LocalProject


@pytest.fixture
def project(tmp_path: Path) -> LocalProject:
    return LocalProject(tmp_path / "project")


def hooked(project: LocalProject, where: str, value: str, *, pre: str = "true", post: str = "true") -> None:
    """A file within `pre`, `post` and `onFailure`, each of which leaves a line."""
    log, target = project.root / "log", project.root / "file"
    hooks: dict[str, list[dict[str, Any]]] = {
        "pre": [{"name": "out", "on": where, "run": f"echo out >>{log}; {pre}"}],
        "post": [{"name": "in", "on": where, "run": f"echo in >>{log}; {post}"}],
        "onFailure": [{"name": "bad", "on": where, "run": f"echo bad >>{log}"}],
    }
    step = {"name": "s", "kind": "file", "path": str(target), "content": value}
    project.tasks({"name": "t", "hooks": hooks, "steps": [step]})


def ran(project: LocalProject) -> list[str]:
    """The hooks that ran since this was asked last."""
    log = project.root / "log"
    lines = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


@pytest.mark.parametrize("where", ["controller", "hosts"])
def test_a_hook_that_is_killed_is_told_and_its_scope_is_closed_by_the_next_run(
    project: LocalProject, where: str
) -> None:
    hooked(project, where, "a\n", pre="echo first; echo second >&2; kill -9 $$")
    failed = project.run("apply", "--auto-approve")
    assert failed.returncode == 1
    told = failed.stdout + failed.stderr
    assert "SIGKILL" in told
    assert "second" in told
    assert "stdout:\n    first" in told
    assert ran(project) == ["out", "bad"]
    assert not (project.root / "file").exists()

    hooked(project, where, "a\n", post="kill -9 $$")
    assert project.run("apply", "--auto-approve").returncode == 1
    assert ran(project) == ["out", "in", "bad"]

    hooked(project, where, "a\n")
    plan = project.run("plan", "--detailed-exitcode")
    assert "runs, because an earlier run left its scope open" in plan.stdout
    assert "runs before its scope" not in plan.stdout
    assert "Closing what an earlier run left open." in project.apply()
    assert ran(project) == ["in"]

    assert "Hooks" not in project.apply()
    assert ran(project) == []


@pytest.mark.parametrize("where", ["controller", "hosts"])
@pytest.mark.parametrize("edit", ["kept", "withdrawn"])
def test_a_run_that_is_killed_in_a_hook_has_its_scope_closed_by_the_next(
    project: LocalProject, where: str, edit: str
) -> None:
    hooked(project, where, "a\n")
    project.apply()
    ran(project)
    # the hook ends kubexms, whose process id it is given, and itself
    pre = f'cd {project.root}; while ! [ -s pid ]; do :; done; kill -9 "$(cat pid)"; kill -9 $$'
    hooked(project, where, "b\n", pre=pre)
    with subprocess.Popen(
        project.command("apply", "--auto-approve"), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as killed:
        (project.root / "pid").write_text(str(killed.pid))
        assert killed.wait() == -9
    assert ran(project) == ["out"]
    assert (project.root / "file").read_text() == "a\n"

    hooked(project, where, "b\n" if edit == "kept" else "a\n")
    project.apply()
    assert ran(project) == (["out", "in"] if edit == "kept" else ["in"])
    assert (project.root / "file").read_text() == ("b\n" if edit == "kept" else "a\n")
    assert "Hooks" not in project.apply()


def test_the_second_interrupt_ends_what_a_hook_runs(project: LocalProject) -> None:
    alive = project.root / "alive"
    os.mkfifo(alive)
    hooked(project, "controller", "a\n", pre=f"exec 3>{alive}; sleep 1000 | sleep 1000")
    with (
        subprocess.Popen(
            project.command("apply", "--auto-approve"),
            text=True,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        ) as running,
        alive.open() as held,
    ):
        assert running.stdout is not None
        running.send_signal(signal.SIGINT)
        for line in running.stdout:
            if line.startswith("Stopping: "):
                break
        running.send_signal(signal.SIGINT)
        told = running.stdout.read()
        assert running.wait() == 130
        assert held.read() == "", "nobody holds it any more"
    assert "hook out: stopped; what it ran was ended" in told
    assert "the apply was stopped: 1 step interrupted, 1 step skipped" in told


def test_all_that_a_hook_said_is_kept_with_its_run(project: LocalProject) -> None:
    hooked(project, "controller", "a\n", pre="echo one; echo two; exit 3")
    assert project.run("apply", "--auto-approve").returncode == 1
    run = project.run("runs", "list").stdout.splitlines()[1].split()[0]
    shown = project.run("runs", "show", run).stdout
    assert "hook out: exit status 3: two" in shown
    assert "stdout:\n    one\n    two" in shown
