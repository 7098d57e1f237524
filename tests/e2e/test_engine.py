"""The main job on real hosts over SSH: plan, apply, an empty plan, drift, repair, destroy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.e2e.projects import ProjectDirectory, file
from tests.e2e.testbed import Fleet


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> ProjectDirectory:
    return ProjectDirectory(tmp_path, fleet, fleet.hosts)


MOTD = "/etc/kubexms-test/motd"


def test_plan_apply_empty_plan_drift_repair_destroy(project: ProjectDirectory) -> None:
    before = [host.upper_listing() for host in project.hosts]
    project.pipeline(
        {"name": "dir", "kind": "directory", "path": "/etc/kubexms-test", "mode": "0755"},
        file("motd", MOTD, "hello {{ host.name }}\n", mode="0644"),
    )
    code, text = project.plan_code()
    assert code == 2, text
    assert "Plan: 6 to add, 0 to change, 0 to destroy." in text
    assert [host.upper_listing() for host in project.hosts] == before

    assert "Apply complete! Resources: 6 added, 0 changed, 0 destroyed." in project.apply()
    assert [host.read(MOTD) for host in project.hosts] == [f"hello {host.name}\n" for host in project.hosts]
    project.assert_empty_plan()
    assert project.run("drift").returncode == 0

    project.hosts[1].run(f"echo vandal >{MOTD}")
    drift = project.run("drift")
    assert drift.returncode == 2, drift.stdout + drift.stderr
    assert f"m/t/motd@{project.hosts[1].name}" in drift.stdout
    code, text = project.plan_code()
    assert code == 2
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in text
    assert "-vandal" in text.replace("- vandal", "-vandal")
    project.apply()
    project.assert_empty_plan()

    project.destroy()
    for host in project.hosts:
        assert host.run("test -e /etc/kubexms-test || echo gone").stdout == "gone\n"
    assert not json.loads(project.run("state", "pull").stdout).get("steps")


def test_one_connection_and_one_channel_per_host_for_a_plan(project: ProjectDirectory) -> None:
    project.pipeline(*(file(f"f{n}", f"/etc/kubexms-{n}", "x") for n in range(30)))
    before = [host.ssh_activity() for host in project.hosts]
    assert project.plan_code()[0] == 2
    for host, earlier in zip(project.hosts, before, strict=True):
        spent = host.ssh_activity() - earlier
        assert (spent.connections, spent.accepted, spent.channels) == (1, 1, 1)


def test_an_unreachable_host_fails_alone(project: ProjectDirectory) -> None:
    project.pipeline(file("motd", "/etc/kubexms-alone", "x"))
    project.hosts[0].disconnect()
    try:
        project.inventory(connectTimeout=3)
        done = project.run("apply", "--auto-approve")
        assert done.returncode == 1
        assert project.hosts[0].name in done.stdout + done.stderr
        assert project.hosts[1].read("/etc/kubexms-alone") == "x"
        assert project.hosts[2].read("/etc/kubexms-alone") == "x"
    finally:
        project.hosts[0].reconnect()
    project.apply()
    project.assert_empty_plan()
    project.destroy()


def test_a_saved_plan_binds_and_applies_once(project: ProjectDirectory) -> None:
    project.pipeline(file("a", "/etc/kubexms-bound", "one\n"))
    assert project.run("plan", "--out", "plan.kxp").returncode == 0
    project.hosts[2].run("echo somebody >/etc/kubexms-bound")
    refused = project.run("apply", "plan.kxp")
    assert refused.returncode == 1
    assert f"m/t/a@{project.hosts[2].name}" in refused.stdout + refused.stderr
    assert project.hosts[0].read("/etc/kubexms-bound") is None
    done = project.run("apply", "--on-stale=skip-host", "plan.kxp")
    assert project.hosts[0].read("/etc/kubexms-bound") == "one\n", done.stdout + done.stderr
    assert project.hosts[2].read("/etc/kubexms-bound") == "somebody\n"
    again = project.run("apply", "plan.kxp")
    assert again.returncode == 1
    assert "applies once" in again.stdout + again.stderr
    project.destroy()
    project.hosts[2].run("rm -f /etc/kubexms-bound")


def test_two_applies_at_once_wait_or_refuse(project: ProjectDirectory) -> None:
    project.pipeline({"name": "slow", "kind": "command", "run": "sleep 4", "runs": "once"})
    with project.start("apply", "--auto-approve") as first:
        deadline = time.monotonic() + 30
        while not list((project.root / "state").glob("*.lock")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        second = project.run("apply", "--auto-approve")
        assert second.returncode == 1
        assert "lock" in (second.stdout + second.stderr).lower()
        third = project.run("apply", "--auto-approve", "--lock-timeout", "60")
        assert third.returncode == 0, third.stdout + third.stderr
        text, _ = first.communicate(timeout=60)
        assert first.returncode == 0, text
    project.run("state", "rm", "m")


def test_a_check_that_writes_is_stopped_and_reported(project: ProjectDirectory) -> None:
    project.pipeline(
        {"name": "sly", "kind": "command", "run": "true", "unless": "touch /etc/sly && test -e /etc/sly"}
    )
    before = [host.upper_listing() for host in project.hosts]
    code, text = project.plan_code()
    assert code == 2, text
    assert "guard" in text
    assert [host.upper_listing() for host in project.hosts] == before
    assert project.hosts[0].read("/etc/sly") is None
