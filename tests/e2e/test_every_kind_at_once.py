"""One plan with every kind that can stand on one host: it writes nothing, and what follows is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubexms.step.registry import BUILT_IN
from tests.e2e.projects import ProjectDirectory
from tests.e2e.test_containerd_image import Image
from tests.e2e.test_every_kind import APART, CASES, assets, facts, only_looking, step
from tests.e2e.testbed import Fleet, Host
from tests.e2e.traces import written

PKI = "/etc/ktpki"
HERE = {"reboot", "certificateAuthority", "keyPair", "issuedCertificate", "containerdImage"}
"""Kinds that have tests of their own, and can stand beside all others on one host."""
ELSEWHERE = APART.keys() - HERE
"""What one host alone cannot show, with the reasons there: they need a cluster, or its etcd."""
LEAVES = tuple({path for case in CASES.values() for path in case.leaves})
BREAKS = {name: case.breaks for name, case in CASES.items() if case.breaks}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A host of its own, with openssl and containerd."""
    with Fleet() as own:
        [host] = own.up(1, data=("/var/lib/containerd",))
        host.run("apt-get -qq install -y --no-install-recommends openssl containerd", check=True)
        yield own


@pytest.fixture
def host(fleet: Fleet) -> Host:
    return fleet.hosts[0]


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet, host: Host) -> ProjectDirectory:
    assets(tmp_path)
    return ProjectDirectory(tmp_path, fleet, [host])


def besides(directory: Path, host: Host) -> dict[str, tuple[dict[str, Any], ...]]:
    """Kinds that have tests of their own, not because of a cluster, by task; the reboot comes last."""
    holders = {"holders": [host.name]}
    return {
        "pki": (
            {"name": "place", "kind": "directory", "path": PKI},
            {
                "name": "ca",
                "kind": "certificateAuthority",
                "path": f"{PKI}/ca",
                "commonName": "kt",
                **holders,
            },
            {"name": "sa", "kind": "keyPair", "path": f"{PKI}/sa", **holders},
            step(
                "issuedCertificate",
                path=f"{PKI}/server",
                commonName="kt",
                sans=["kt.example"],
                usages=["server"],
                authority=f"{PKI}/ca",
                **holders,
            ),
        ),
        "image": (Image(directory, "hello").imported(),),
        "reboot": (step("reboot", check="test -e /run/reboot-required"),),
    }


def test_every_kind_at_once(project: ProjectDirectory, host: Host, tmp_path: Path) -> None:
    tasks = {name: case.steps for name, case in CASES.items()} | besides(tmp_path, host)
    kinds = {item["kind"] for steps in tasks.values() for item in steps}
    assert kinds | ELSEWHERE == set(BUILT_IN)
    assert not kinds & ELSEWHERE
    for case in CASES.values():
        assert host.run(case.before).returncode == 0
    before, facts_before = written(host, LEAVES), facts(host)
    host.run("touch /run/reboot-required", check=True)
    project.modules({"name": "m", "tasks": [{"name": n, "steps": list(s)} for n, s in tasks.items()]})
    addresses = {f"m/{task}/{item['name']}@{host.name}" for task, steps in tasks.items() for item in steps}

    with only_looking(host):
        code, text = project.plan_code()
    assert code == 2, text
    # what looks only has nothing to do where it finds what it looks for; the kernel has the module built in
    idle = {f"m/{name}/it@{host.name}" for name in ("assert", "wait", "kernelModule")}
    for address in addresses - idle:
        assert f"# {address} " in text, text

    booted = host.init
    project.apply(timeout=600)
    assert host.init != booted
    with only_looking(host):
        project.assert_empty_plan()
    assert set(project.run("state", "list").stdout.split()) == addresses

    for name, broken in BREAKS.items():
        assert host.run(broken).returncode == 0, name
    with only_looking(host):
        drift = project.run("drift")
    assert drift.returncode == 2, drift.stdout + drift.stderr
    for name in BREAKS:
        assert f"m/{name}/it@{host.name}" in drift.stdout, drift.stdout
    with only_looking(host):
        code, text = project.plan_code()
    assert code == 2, text
    project.apply(timeout=600)
    project.assert_empty_plan()

    with only_looking(host):
        plan = project.run("plan", "--destroy")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    project.destroy(timeout=600)
    assert written(host, LEAVES) == before
    assert facts(host) == facts_before
    assert project.run("state", "list").stdout == ""
