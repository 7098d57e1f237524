"""Authorities, shared keys and certificates on real hosts: made once, copied, signed, renewed, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Fleet
from tests.e2e.traces import written

PKI = "/etc/kt/pki"
HOLDERS = ["host1", "host2"]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet() as own:
        for host in own.up(3):
            host.run("apt-get -qq install -y --no-install-recommends openssl", check=True)
        yield own


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> Iterator[ProjectDirectory]:
    made = ProjectDirectory(tmp_path, fleet, fleet.hosts)
    yield made
    made.destroy()


def describe(project: ProjectDirectory, lasting: int = 3650, **leaf: Any) -> None:
    """An authority on two hosts, its certificate on the third, and a certificate of its own on each."""
    ca = {
        "name": "ca",
        "kind": "certificateAuthority",
        "path": f"{PKI}/ca",
        "commonName": "kt-ca",
        "lifetimeDays": lasting,
    }
    sa = {"name": "sa", "kind": "keyPair", "path": f"{PKI}/sa", "holders": HOLDERS}
    issued = {
        "name": "server",
        "kind": "issuedCertificate",
        "path": f"{PKI}/server",
        "commonName": "{{ host.name }}",
        "sans": ["{{ host.name }}", "{{ host.address }}"],
        "usages": ["server", "client"],
        "authority": f"{PKI}/ca",
        "holders": HOLDERS,
        **leaf,
    }
    directory = {"name": "pki", "kind": "directory", "path": PKI}
    tasks = [
        {
            "name": "held",
            "runOnHosts": HOLDERS,
            "steps": [directory, {**ca, "holders": HOLDERS}, sa],
        },
        {
            "name": "trusted",
            "runOnHosts": ["host3"],
            "dependsOn": [{"task": "held", "scope": "all"}],
            "steps": [directory, {**ca, "holders": HOLDERS, "withKey": False}],
        },
        {
            "name": "issued",
            "dependsOn": [{"task": "held", "scope": "all"}, {"task": "trusted", "scope": "all"}],
            "steps": [issued],
        },
    ]
    project.modules({"name": "m", "tasks": tasks})


def test_an_authority_and_what_it_signs(fleet: Fleet, project: ProjectDirectory, tmp_path: Path) -> None:
    one, two, three = fleet.hosts
    before = [written(host) for host in fleet.hosts]
    describe(project)
    code, text = project.plan_code()
    assert code == 2, text
    project.apply()
    project.assert_empty_plan()
    sums = [host.run(f"cat {PKI}/ca.crt {PKI}/ca.key {PKI}/sa.* | sha256sum").stdout for host in (one, two)]
    assert sums[0] == sums[1]
    assert three.run(f"ls {PKI}").stdout.split() == ["ca.crt", "server.crt", "server.key"]
    for host in fleet.hosts:
        said = host.run(f"openssl verify -CAfile {PKI}/ca.crt -verify_ip {host.address} {PKI}/server.crt")
        assert said.returncode == 0, said.stdout + said.stderr
    secrets = [line for path in ("ca.key", "sa.key", "server.key")
               for line in one.run(f"sed 1d {PKI}/{path}").stdout.splitlines()[:3]]  # fmt: skip
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not [line for line in secrets if line.encode() in kept]

    # somebody removes a key, and somebody puts another certificate in place
    two.run(f"rm {PKI}/ca.key", check=True)
    three.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=host3 -keyout {PKI}/server.key "
        f"-out {PKI}/server.crt -days 9 -addext subjectAltName=DNS:host3,IP:{three.address}",
        check=True,
    )
    drift = project.run("drift")
    assert drift.returncode == 2, drift.stdout + drift.stderr
    assert "m/held/ca@host2" in drift.stdout
    assert "m/issued/server@host3" in drift.stdout
    project.apply()
    project.assert_empty_plan()
    assert two.run(f"cat {PKI}/ca.crt {PKI}/ca.key {PKI}/sa.* | sha256sum").stdout == sums[0]

    # renewed before its end, and by whoever answers
    describe(project, renewBeforeDays=400, lifetimeDays=800)
    code, text = project.plan_code()
    assert code == 2, text
    assert "the certificate ends on" in text
    assert "Plan: 0 to add, 3 to change, 0 to destroy." in text
    project.apply()
    project.assert_empty_plan()

    project.destroy()
    assert [written(host) for host in fleet.hosts] == before


def test_no_second_authority_while_a_holder_is_silent(fleet: Fleet, project: ProjectDirectory) -> None:
    one, two, three = fleet.hosts
    describe(project, lasting=100)
    two.crash()
    done = project.run("apply", "--auto-approve")
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    assert f"no holder can give the certificate authority {PKI}/ca" in text
    assert one.run(f"ls {PKI}").stdout == ""
    two.start()
    two.wait_ready()
    project.apply()
    project.assert_empty_plan()
    _, text = project.plan_code()
    assert f"the certificate authority {PKI}/ca ends on" in text
    verify = three.run(f"openssl verify -CAfile {PKI}/ca.crt {PKI}/server.crt")
    assert verify.returncode == 0, verify.stderr
