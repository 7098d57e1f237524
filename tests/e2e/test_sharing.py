"""Package steps that share a transaction, on a real host: blame, crashes, holds, and the way back."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Fleet, Host

_HISTORY = "grep -c '^Commandline: apt-get .* install' /var/log/apt/history.log 2>/dev/null || true"


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> ProjectDirectory:
    return ProjectDirectory(tmp_path, fleet, fleet.hosts[:1])


def package(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "package", "packages": [name], **more}


def installed(host: Host) -> str:
    return host.run(
        "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'; apt-mark showauto"
    ).stdout


def transactions(host: Host) -> int:
    """How many times apt was told to install something that changed the host."""
    return int(host.run(_HISTORY).stdout or "0")


def results(project: ProjectDirectory) -> dict[str, str]:
    """The statuses of the last run."""
    run = json.loads(project.run("runs", "list", "--json").stdout)[0]["id"]
    shown = json.loads(project.run("runs", "show", run, "--json").stdout)
    return {step["address"].split("/")[2].split("@")[0]: step["status"] for step in shown["results"]}


def test_one_transaction_there_and_back(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    before, count = installed(host), transactions(host)
    project.pipeline(package("tree"), package("jq"), package("rsync", hold=True), package("hello", hold=True))
    project.apply()
    assert transactions(host) == count + 2  # those that are held share one of their own
    assert host.run("apt-mark showhold").stdout.split() == ["hello", "rsync"]
    project.assert_empty_plan()
    # what jq needs came with "tree" as well, and stays as long as jq does
    project.pipeline(package("jq"))
    project.apply()
    assert "jq" in installed(host)
    assert "rsync" not in installed(host)
    project.assert_empty_plan()
    project.destroy()
    assert installed(host) == before


def test_the_package_that_does_not_exist_is_the_one_that_failed(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    before = installed(host)
    project.pipeline(package("tree"), package("hello"), package("no-such-package"), package("rsync"))
    done = project.run("apply", "--auto-approve", "--json")
    assert done.returncode == 1
    assert results(project) == {
        "tree": "ok", "hello": "ok", "no-such-package": "failed", "rsync": "skipped"
    }  # fmt: skip
    assert "Unable to locate package no-such-package" in done.stdout
    assert "rsync" not in installed(host)
    project.pipeline(package("tree"), package("hello"), package("rsync"))
    project.apply()
    project.assert_empty_plan()
    project.destroy()
    assert installed(host) == before


def test_killed_in_the_middle_of_a_transaction(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    before = installed(host)
    names = ("tree", "jq", "hello", "rsync")
    project.pipeline(*(package(name) for name in names))
    with project.start("apply", "--auto-approve"):
        limit = time.monotonic() + 60
        while host.run("pgrep -x dpkg").returncode != 0 and time.monotonic() < limit:
            pass
    project.apply()
    assert set(names) <= set(installed(host).split())
    project.assert_empty_plan()
    project.destroy()
    assert installed(host) == before
