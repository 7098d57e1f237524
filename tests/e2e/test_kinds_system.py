"""What the kinds of the system promise on a real host with systemd, beyond what every kind promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Fleet, Host

UNIT = (
    "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
)


@pytest.fixture(scope="module")
def host(fleet: Fleet) -> Host:
    return fleet.hosts[1]


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet, host: Host) -> ProjectDirectory:
    return ProjectDirectory(tmp_path, fleet, [host])


def invocation(host: Host, unit: str) -> str:
    """Which start of the unit this is."""
    return host.run(f"systemctl show -p InvocationID --value {unit}").stdout.strip()


def steps(config: str, **service: Any) -> list[dict[str, Any]]:
    """A unit, its configuration, and the service that is restarted for it."""
    return [
        {"name": "unit", "kind": "systemdUnit", "unit": "ks", "content": UNIT},
        {"name": "config", "kind": "file", "path": "/etc/ks.conf", "content": config},
        {
            "name": "service",
            "kind": "service",
            "unit": "ks",
            "enabled": True,
            "running": True,
            **(service or {"restartOn": ["config", "unit"]}),
        },
    ]


@pytest.fixture
def running(project: ProjectDirectory) -> Any:
    """The service runs with its first configuration; afterwards nothing of it is left."""
    project.pipeline(*steps("one\n"))
    project.apply()
    project.assert_empty_plan()
    yield project
    project.destroy()


class TestRestarts:
    def test_a_changed_source_restarts_once(self, running: ProjectDirectory, host: Host) -> None:
        first = invocation(host, "ks")
        running.pipeline(*steps("two\n"))
        running.apply()
        second = invocation(host, "ks")
        assert second != first
        running.assert_empty_plan()
        running.apply()
        assert invocation(host, "ks") == second

    def test_a_touched_source_restarts_nothing(self, running: ProjectDirectory, host: Host) -> None:
        first = invocation(host, "ks")
        host.run("touch /etc/ks.conf; chmod 600 /etc/ks.conf; chmod 644 /etc/ks.conf")
        running.assert_empty_plan()
        assert invocation(host, "ks") == first

    def test_a_lost_restart_is_made_up_for(self, running: ProjectDirectory, host: Host) -> None:
        """The file was written and the run died before the restart: whoever comes next sees it."""
        first = invocation(host, "ks")
        running.pipeline(*steps("two\n"))
        running.run("apply", "--auto-approve", "--target", "m/t/config@*")
        assert invocation(host, "ks") == first
        code, text = running.plan_code()
        assert code == 2
        assert "m/t/service" in text
        running.apply()
        assert invocation(host, "ks") != first
        running.assert_empty_plan()

    def test_a_controller_without_memory_sees_it_too(self, project: ProjectDirectory, host: Host) -> None:
        """Set up by hand: the change time of the file against the start time of the unit."""
        host.run(f"printf %s '{UNIT}' >/etc/systemd/system/kh.service; systemctl daemon-reload")
        host.run("echo one >/etc/kh.conf; sleep 0.05; systemctl start kh")
        config = {"name": "config", "kind": "file", "path": "/etc/kh.conf", "content": "one\n"}
        service = {"name": "service", "kind": "service", "unit": "kh", "running": True}
        project.pipeline(config, {**service, "restartOn": ["config"]})
        project.assert_empty_plan()
        host.run("sleep 0.05; echo two >/etc/kh.conf")
        project.pipeline({**config, "content": "two\n"}, {**service, "restartOn": ["config"]})
        first = invocation(host, "kh")
        project.apply()
        assert invocation(host, "kh") != first
        project.assert_empty_plan()
        project.destroy()
        assert host.run("systemctl is-active kh").stdout == "active\n", "it ran before kubexms came"
        host.run("systemctl stop kh; rm /etc/systemd/system/kh.service /etc/kh.conf; systemctl daemon-reload")

    def test_a_restart_by_somebody_else_took_it_in(self, running: ProjectDirectory, host: Host) -> None:
        running.pipeline(*steps("two\n"))
        running.run("apply", "--auto-approve", "--target", "m/t/config@*")
        host.run("sleep 0.05; systemctl restart ks")
        running.assert_empty_plan()

    def test_a_reload_keeps_it_running(self, running: ProjectDirectory, host: Host) -> None:
        running.pipeline(*steps("one\n", reloadOn=["config"]))
        running.apply()
        first = invocation(host, "ks")
        running.pipeline(*steps("three\n", reloadOn=["config"]))
        running.apply()
        assert invocation(host, "ks") == first
        running.assert_empty_plan()


class TestFailures:
    def test_a_unit_that_dies_says_why(self, project: ProjectDirectory, host: Host) -> None:
        unit = "[Service]\nExecStart=/bin/sh -c 'echo no such colour; exit 3'\n"
        project.pipeline(
            {"name": "unit", "kind": "systemdUnit", "unit": "kd", "content": unit},
            {"name": "service", "kind": "service", "unit": "kd", "running": True},
        )
        done = project.run("apply", "--auto-approve")
        assert done.returncode == 1
        assert "kd.service is not running after start" in done.stdout + done.stderr
        assert "no such colour" in done.stdout + done.stderr
        project.destroy()

    def test_a_unit_that_runs_and_ends_is_run_again_if_it_has_failed(
        self, project: ProjectDirectory, host: Host
    ) -> None:
        content = "[Service]\nType=oneshot\nExecStart=/bin/cat /etc/ks.conf\n"
        project.pipeline(
            {"name": "unit", "kind": "systemdUnit", "unit": "ks", "content": content},
            {"name": "last", "kind": "service", "unit": "ks", "succeeded": True},
        )
        project.apply()
        project.assert_empty_plan()
        assert invocation(host, "ks") == "", "nobody has started it"
        assert host.run("systemctl start ks").returncode != 0
        code, text = project.plan_code()
        assert code == 2
        assert "~ failed = true -> false" in text
        assert "ks.service has failed: exit-code" in text
        assert "~ failed = false -> true" in project.run("drift").stdout
        done = project.run("apply", "--auto-approve")
        assert done.returncode == 1
        assert "cat: /etc/ks.conf: No such file or directory" in done.stdout + done.stderr
        host.run("touch /etc/ks.conf", check=True)
        try:
            project.apply()
            project.assert_empty_plan()
        finally:
            project.destroy()
            host.run("rm /etc/ks.conf", check=True)

    def test_a_unit_whose_package_comes_later_can_be_planned(
        self, project: ProjectDirectory, host: Host
    ) -> None:
        project.pipeline({"name": "service", "kind": "service", "unit": "nosuch", "running": True})
        code, text = project.plan_code()
        assert code == 2
        assert "m/t/service" in text
        assert "will be created" in text

    def test_daemon_reload_is_made_up_for(self, running: ProjectDirectory, host: Host) -> None:
        host.run("touch /etc/systemd/system/ks.service")
        assert host.run("systemctl show -p NeedDaemonReload --value ks").stdout == "yes\n"
        code, text = running.plan_code()
        assert code == 2, text
        running.apply()
        assert host.run("systemctl show -p NeedDaemonReload --value ks").stdout == "no\n"
        running.assert_empty_plan()


def test_asking_many_units_is_one_question(project: ProjectDirectory, host: Host) -> None:
    units = host.run("systemctl list-unit-files --no-legend -t service | awk '{print $1}'").stdout.split()
    names = [unit for unit in units if "@" not in unit][:40]
    project.pipeline(
        *({"name": f"s{i}", "kind": "service", "unit": unit, "masked": True} for i, unit in enumerate(names))
    )
    code, text = project.plan_code()
    assert code == 2, text
