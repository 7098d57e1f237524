"""What takes its time on real hosts: detached commands, and waiting for ports, pages and checks."""

from __future__ import annotations

import base64
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import ProjectDirectory, file
from tests.e2e.testbed import Fleet, Host

LOG = "/run/kubexms-long.log"
DONE = "/run/kubexms-long.done"


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> ProjectDirectory:
    """On one of the hosts; it is left without what these tests make."""
    host = fleet.hosts[0]
    host.run(f"rm -f {LOG} {DONE}")
    return ProjectDirectory(tmp_path, fleet, [host])


def detached(seconds: int, **when: Any) -> dict[str, Any]:
    """A command that says when it begins and when it ends."""
    run = f"echo begun >>{LOG}; sleep {seconds}; echo ended | tee -a {LOG}; touch {DONE}"
    return {"name": "long", "kind": "command", "run": run, "detach": True, **when}


def until(host: Host, check: str) -> None:
    """Wait until a check succeeds on a host."""
    limit = time.monotonic() + 60
    while host.run(check).returncode:
        assert time.monotonic() < limit, check


@pytest.mark.parametrize("when", [{"creates": DONE}, {"runs": "once"}], ids=["creates", "once"])
def test_a_detached_command_outlives_its_controller(project: ProjectDirectory, when: dict[str, Any]) -> None:
    host = project.hosts[0]
    word = "{{ outputs['m/t/long'].word }}" if "runs" in when else "ended"
    project.pipeline(
        detached(6, outputs={"word": "stdout"}, **when), file("after", "/etc/kubexms-long", word + "\n")
    )
    with project.start("apply", "--auto-approve"):
        until(host, f"test -s {LOG}")
    assert host.read(DONE) is None, "it was killed too late"
    code, text = project.plan_code()
    assert code == 2, text
    project.apply()
    assert host.read(LOG) == "begun\nended\n"
    assert host.read("/etc/kubexms-long") == "ended\n"
    project.assert_empty_plan()
    assert host.run("systemctl list-units --all 'kubexms-*' --no-legend").stdout == ""
    project.destroy()


def test_what_a_detached_command_printed_is_taken_though_it_is_done(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    word = "{{ outputs['m/t/long'].word }}\n"
    project.pipeline(
        detached(2, outputs={"word": "stdout"}, creates=DONE, undo=f"rm -f {DONE}"),
        file("after", "/etc/kubexms-long", word),
    )
    with project.start("apply", "--auto-approve"):
        until(host, f"test -s {LOG}")
    until(host, f"test -e {DONE} && ! systemctl is-active -q 'kubexms-*'")
    code, text = project.plan_code()
    assert code == 2, text
    assert "m/t/long@host1 will be run\n  # (an earlier run did not finish here)" in text
    project.apply()
    assert host.read(LOG) == "begun\nended\n"
    assert host.read("/etc/kubexms-long") == "ended\n"
    project.assert_empty_plan()
    project.destroy()


def test_a_detached_command_that_failed_meanwhile_is_told_with_its_output(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    failing = detached(3, creates=DONE)
    failing["run"] = failing["run"].replace(f"touch {DONE}", "echo out of luck >&2; exit 7")
    project.pipeline(failing)
    with project.start("apply", "--auto-approve"):
        until(host, f"test -s {LOG}")
    until(host, f"grep ended {LOG}")
    done = project.run("apply", "--auto-approve")
    assert done.returncode == 1
    assert "exit status 7: out of luck" in done.stdout
    assert host.read(LOG) == "begun\nended\n"
    project.run("state", "rm", "m")


SERVED = "HTTP/1.0 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nready\\n"


def later(host: Host, port: int) -> None:
    """A page that is served on the host from three seconds on."""
    unit = f"[Socket]\\nListenStream={port}\\nAccept=yes\\n"
    service = "[Service]\\nStandardInput=socket\\nExecStart=-/bin/sh /run/kubexms-page\\n"
    host.run(f"printf '{unit}' >/run/systemd/system/kubexms-page.socket")
    host.run(f"printf '{service}' >/run/systemd/system/kubexms-page@.service")
    host.run(f"cat >/run/kubexms-page <<'EOF'\nread request\nprintf '{SERVED}'\nEOF\n")
    host.run("systemctl daemon-reload")
    host.run(
        "systemd-run --on-active=3 --timer-property=AccuracySec=100ms systemctl start kubexms-page.socket"
    )


TARGETS: dict[str, tuple[dict[str, Any], str]] = {
    "tcp": ({"tcp": {"port": 8099}}, "127.0.0.1 port 8099"),
    "http": ({"http": {"url": "http://127.0.0.1:8099/", "contains": "ready"}}, "http://127.0.0.1:8099/"),
    "command": (
        {"command": "systemctl is-active kubexms-page.socket"},
        "systemctl is-active kubexms-page.socket",
    ),
}


def waiting(fleet: Fleet, limit: float) -> dict[str, Any]:
    """A module in which each host waits in another way."""
    tasks = [
        {
            "name": name,
            "runOnHosts": [host.name],
            "steps": [{"name": "up", "kind": "wait", "interval": 0.3, "limit": limit, **target}],
        }
        for (name, (target, _)), host in zip(TARGETS.items(), fleet.hosts, strict=True)
    ]
    return {"name": "m", "tasks": tasks}


def test_waits_until_it_is_there(tmp_path: Path, fleet: Fleet) -> None:
    project = ProjectDirectory(tmp_path, fleet, fleet.hosts)
    tool = base64.b64encode(Path(str(shutil.which("busybox"))).read_bytes()).decode()
    asks_for_pages = fleet.hosts[list(TARGETS).index("http")]
    asks_for_pages.run(
        "base64 -d >/usr/local/bin/wget; chmod 755 /usr/local/bin/wget", stdin=tool, check=True
    )
    project.modules(waiting(fleet, 60))
    code, text = project.plan_code()
    assert code == 2, text
    for _, what in TARGETS.values():
        assert f'> wait "{what}"' in text
    try:
        for host in fleet.hosts:
            later(host, 8099)
        project.apply()
        project.assert_empty_plan()
        for host in fleet.hosts:
            host.run("systemctl stop kubexms-page.socket")
        project.modules(waiting(fleet, 1))
        failed = project.run("apply", "--auto-approve")
        assert failed.returncode == 1, failed.stdout
        for name, host in zip(TARGETS, fleet.hosts, strict=True):
            assert re.search(rf"m/{name}/up@{host.name}: .* does not \w+ after 1 s", failed.stdout), (
                failed.stdout
            )
    finally:
        for host in fleet.hosts:
            host.run("systemctl stop kubexms-page.socket")
            host.run("rm -f /run/systemd/system/kubexms-page* /run/kubexms-page /usr/local/bin/wget")
            host.run("systemctl daemon-reload; systemctl reset-failed")
    project.run("state", "rm", "m")
