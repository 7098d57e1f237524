"""Drift on real hosts: units whose files drift, repairs that may restart or not, an apply beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import ProjectDirectory, file
from tests.e2e.testbed import Fleet, Host

UNIT = "[Service]\nExecStart=/bin/sh -c 'exec sleep infinity'\n"
CONFIG = "/etc/kd/config"
STEPS: tuple[dict[str, Any], ...] = (
    {"name": "dir", "kind": "directory", "path": "/etc/kd"},
    {"name": "unit", "kind": "systemdUnit", "unit": "kd.service", "content": UNIT},
    file("config", CONFIG, "setting = 1\n", mode="0644"),
    {"name": "service", "kind": "service", "unit": "kd", "running": True, "restartOn": ["config"]},
)


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> ProjectDirectory:
    project = ProjectDirectory(tmp_path, fleet, fleet.hosts)
    project.pipeline(*STEPS)
    project.apply()
    return project


def invocation(host: Host) -> str:
    return host.run("systemctl show -P InvocationID kd", check=True).stdout.strip()


def report(project: ProjectDirectory, *arguments: str, code: int) -> dict[str, Any]:
    done = project.run("drift", "--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit_code"] == code
    return found


def test_a_unit_is_restarted_by_a_repair_only_if_it_must_and_may(project: ProjectDirectory) -> None:
    one, two, three = project.hosts
    try:
        started = [invocation(host) for host in project.hosts]
        one.run(f"echo vandal >{CONFIG}", check=True)
        two.run(f"echo vandal >{CONFIG}; systemctl restart kd", check=True)
        restarted = invocation(two)
        assert restarted != started[1]
        assert [entry["address"] for entry in report(project, code=2)["drifted"]] == [
            f"m/t/config@{one.name}",
            f"m/t/config@{two.name}",
        ]

        first = report(project, "--repair", "--auto-approve", code=2)
        assert first["repaired"] == [f"m/t/config@{one.name}"]
        assert "--allow-disruption restart" in first["left"][f"m/t/config@{two.name}"]
        assert one.read(CONFIG) == "setting = 1\n"
        assert (one.read(CONFIG), two.read(CONFIG)) == ("setting = 1\n", "vandal\n")
        assert (invocation(one), invocation(two)) == (started[0], restarted), "nothing was restarted"

        second = report(project, "--repair", "--auto-approve", "--allow-disruption", "restart", code=0)
        assert second["repaired"] == [f"m/t/config@{two.name}"]
        assert two.read(CONFIG) == "setting = 1\n"
        assert invocation(two) not in (restarted, started[1])
        assert (invocation(one), invocation(three)) == (started[0], started[2])
        project.assert_empty_plan()
    finally:
        project.destroy()


def test_a_stopped_unit_is_started_again(project: ProjectDirectory) -> None:
    host = project.hosts[2]
    try:
        host.run("systemctl stop kd", check=True)
        assert report(project, code=2)["drifted"][0]["kubexms"]["changed"] == ["running"]
        assert report(project, "--repair", "--auto-approve", code=0)["repaired"] == [
            f"m/t/service@{host.name}"
        ]
        assert host.run("systemctl is-active kd").stdout == "active\n"
        project.assert_empty_plan()
    finally:
        project.destroy()


def test_drift_beside_a_slow_apply_never_waits_and_never_cries_wolf(project: ProjectDirectory) -> None:
    try:
        slow = f"echo half >{CONFIG}; sleep 6; printf 'setting = 1\\n' >{CONFIG}"
        project.pipeline(*STEPS, {"name": "slow", "kind": "command", "run": slow, "runs": "once"})
        busy = 0
        with project.start("apply", "--auto-approve") as process:
            while process.poll() is None:
                found = report(project, code=0)
                busy += bool(found["applying"])
            assert process.returncode == 0, process.stdout.read() if process.stdout else ""
        assert busy, "none of the looks fell into the apply"
        assert report(project, code=0)["applying"] == {}
    finally:
        project.destroy()
