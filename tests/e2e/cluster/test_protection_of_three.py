"""Audit and encryption at rest with three API servers, which never meet what they cannot read.

All the time a client writes and reads Secrets by the load balancer; no request of it fails. Each test goes on
from what the one before left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.test_protection import ETCDCTL, FILE, VERSION, key, readable, secret, stored
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
PLANES = ("cp1", "cp2", "cp3")
CLIENT = Path(__file__).parent / "secrets_client.py"
LOG = "/run/secrets.log"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(dict.fromkeys(PLANES, "control-plane") | {"lb1": "load-balancer"})
    made.apply(timeout=1500)
    made.await_ready(*PLANES)
    made.assert_empty_plan()
    secret(made, "before")
    return made


@contextmanager
def read_and_written(project: ClusterProject, *, cut_off: int = 0) -> Iterator[None]:
    """Meanwhile every request for Secrets by the load balancer succeeds, but for so many."""
    cp1, endpoint = project.machines["cp1"], f"{project.machines['lb1'].address}:6443"
    cp1.run("cat >/run/secrets_client.py", stdin=CLIENT.read_text(), check=True)
    command = f"systemd-run -q --unit secrets python3 /run/secrets_client.py {endpoint} {LOG}"
    cp1.run(command, check=True)
    try:
        yield
    finally:
        cp1.run("systemctl stop secrets", check=True)
    lines = [line.split(" ", 3) for line in (cp1.read(LOG) or "").splitlines()]
    print(Counter((line[1], line[2]) for line in lines))
    assert {line[1] for line in lines if line[2] == "ok"} == {"read", "write"}
    failed = [" ".join(line) for line in lines if line[2] != "ok"]
    assert len(failed) <= cut_off, "\n".join(failed)


def refused(project: ClusterProject, reason: str, **kubernetes: Any) -> None:
    """A plan with these settings is an error, which says so of all control planes."""
    right = project.spec["kubernetes"]
    project.describe(project.members, kubernetes=VERSION | kubernetes)
    code, text = project.plan_code()
    assert code == 1, text
    assert f"Error: cp[1-3] {reason}" in text, text
    project.describe(project.members, kubernetes=right)


def applied(project: ClusterProject, **kubernetes: Any) -> str:
    """The plan with these settings, which an apply then brings about while Secrets are read and written."""
    project.describe(project.members, kubernetes=VERSION | kubernetes)
    code, text = project.plan_code()
    assert code == 2, text
    with read_and_written(project):
        project.apply(timeout=1500)
    project.assert_empty_plan()
    return text


def all_encrypted(project: ClusterProject, key: str) -> None:
    """Whatever Secret there is, also those that changed while all were written anew."""
    asked = f"-n kube-system exec etcd-cp1 -- {ETCDCTL} get --prefix /registry/secrets/"
    names = project.kubectl(f"{asked} --keys-only | grep -c .")
    encrypted = project.kubectl(f"{asked} --print-value-only | grep -ao k8s:enc:secretbox:v1:{key}: | wc -l")
    assert int(names) == int(encrypted) > len(PLANES)


def started(hosts: dict[str, Host]) -> dict[str, str]:
    """The process of each API server."""
    return {name: hosts[name].run("pgrep -xo kube-apiserver", check=True).stdout for name in PLANES}


AUDIT: dict[str, Any] = {"audit": {"maxSize": 5}}
NOT_YET = "could not read secrets that others encrypt with the key"


def test_it_begins_when_all_can_read(project: ClusterProject, hosts: dict[str, Host]) -> None:
    encryption = {"keys": [key(project, "key1")]}
    refused(project, NOT_YET, apiServer=AUDIT, encryptionAtRest=encryption)
    applied(project, apiServer=AUDIT, encryptionAtRest=encryption | {"encrypt": False})
    assert all((hosts[name].read("/var/log/kubernetes/audit/audit.log") or "") != "" for name in PLANES)
    secret(project, "plain")
    assert "xyzzy-plain" in stored(project, "plain")

    text = applied(project, apiServer=AUDIT, encryptionAtRest=encryption)
    assert "demo-control-plane/files/encryption@cp[1-3]" in text
    assert "demo-encryption/stored/anew@cp1" in text
    all_encrypted(project, "key1")
    readable(project, "before", "plain")


def test_what_differs_on_one_is_put_right_there_alone(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    before, right = started(hosts), hosts["cp2"].read(FILE)
    hosts["cp2"].run(f"sed -i s/key1/key9/ {FILE}", check=True)
    with read_and_written(project):
        project.apply(timeout=900)
    project.assert_empty_plan()
    assert hosts["cp2"].read(FILE) == right
    after = started(hosts)
    assert [name for name in PLANES if after[name] != before[name]] == ["cp2"]


def test_the_key_changes(project: ClusterProject, hosts: dict[str, Host]) -> None:
    old, new = key(project, "key1"), key(project, "key2")
    refused(project, NOT_YET, apiServer=AUDIT, encryptionAtRest={"keys": [new, old]})
    refused(project, "encrypts with the key key1", apiServer=AUDIT, encryptionAtRest={"keys": [new]})
    applied(project, apiServer=AUDIT, encryptionAtRest={"keys": [old, new]})
    applied(project, apiServer=AUDIT, encryptionAtRest={"keys": [new, old]})
    all_encrypted(project, "key2")
    applied(project, apiServer=AUDIT, encryptionAtRest={"keys": [new]})
    readable(project, "before", "plain")
