"""Kill the controller anywhere: the next run picks up from what the hosts really are."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.projects import ProjectDirectory, file
from tests.e2e.testbed import Fleet


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> ProjectDirectory:
    return ProjectDirectory(tmp_path, fleet, fleet.hosts)


def test_sigkill_at_random_moments_then_converge(project: ProjectDirectory) -> None:
    names = [f"/etc/kubexms-crash/{n}" for n in range(40)]
    for host in project.hosts:
        host.run("mkdir -p /etc/kubexms-crash; echo original >/etc/kubexms-crash/0")
    before = [host.run("find /etc/kubexms-crash -type f | sort").stdout for host in project.hosts]
    project.pipeline(
        {"name": "dir", "kind": "directory", "path": "/etc/kubexms-crash"},
        *(file(f"f{n}", name, f"content {n}\n") for n, name in enumerate(names)),
    )
    dice = random.Random(4)
    for _ in range(5):
        with project.start("apply", "--auto-approve"):
            time.sleep(dice.uniform(0.8, 3.0))
    project.apply()
    project.assert_empty_plan()
    for host in project.hosts:
        assert host.read(names[39]) == "content 39\n"
    project.destroy()
    assert [host.run("find /etc/kubexms-crash -type f | sort").stdout for host in project.hosts] == before
    assert project.hosts[0].read(names[0]) == "original\n"


def test_interrupt_finishes_what_is_in_flight_and_says_so(project: ProjectDirectory) -> None:
    project.pipeline(
        {
            "name": "slow",
            "kind": "command",
            "run": "sleep 3; echo done >/etc/kubexms-slow",
            "creates": "/etc/kubexms-slow",
        },
        file("after", "/etc/kubexms-after", "x"),
    )
    with project.start("apply", "--auto-approve") as running:
        limit = time.monotonic() + 60
        while project.hosts[0].run("pgrep -x -f 'sleep 3'").returncode and time.monotonic() < limit:
            pass
        running.send_signal(signal.SIGINT)
        text, _ = running.communicate(timeout=60)
    assert running.returncode != 0
    assert project.hosts[0].read("/etc/kubexms-slow") == "done\n", text
    assert project.hosts[0].read("/etc/kubexms-after") is None, text
    project.apply()
    project.assert_empty_plan()
    for host in project.hosts:
        host.run("rm -f /etc/kubexms-slow")
    project.destroy()
    project.run("state", "rm", "m")
