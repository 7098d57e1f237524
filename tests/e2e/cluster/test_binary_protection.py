"""Audit and encryption at rest without kubeadm: flags of a unit, and the same files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.test_protection import audited, key, readable, secret
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

KUBERNETES = {"version": "1.20.2", "type": "binary", "schedulableControlPlanes": True}
PKI = "/etc/kubernetes/pki/etcd"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster, artifacts: Path) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane"}, kubernetes=KUBERNETES | {"apiServer": {"audit": {}}})
    made.apply(timeout=900)
    made.await_ready("cp1")
    made.assert_empty_plan()
    (etcdctl,) = [path for path in artifacts.rglob("etcdctl") if path.is_file()]
    shutil.copy(etcdctl, f"/proc/{made.machines['cp1'].init}/root/usr/local/bin/etcdctl")
    return made


def stored(host: Host, name: str) -> str:
    """What etcd holds of a Secret, as far as it is text."""
    command = f"ETCDCTL_API=3 etcdctl --cacert {PKI}/ca.crt --cert {PKI}/server.crt --key {PKI}/server.key"
    asked = f"{command} get --print-value-only /registry/secrets/default/{name} | tr -cd '[:print:]'"
    return host.run(f"chmod +x /usr/local/bin/etcdctl; {asked}", check=True).stdout


def started(host: Host) -> str:
    return host.run("systemctl show -P InvocationID kube-apiserver", check=True).stdout


def applied(project: ClusterProject, **kubernetes: object) -> None:
    project.consist_of("cp1", kubernetes=KUBERNETES | {"apiServer": {"audit": {}}} | kubernetes)
    project.apply(timeout=400)
    project.assert_empty_plan()


def test_a_new_cluster_writes_requests_down(project: ClusterProject, hosts: dict[str, Host]) -> None:
    secret(project, "before")
    assert audited(hosts["cp1"], requestURI="/api/v1/namespaces/default/secrets?fieldManager=kubectl-create")


def test_secrets_are_encrypted_and_another_key_restarts_the_unit(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    host = hosts["cp1"]
    applied(project, encryptionAtRest={"keys": [key(project, "key1")]})
    secret(project, "first")
    assert stored(host, "first").startswith("k8s:enc:secretbox:v1:key1:")
    assert stored(host, "before").startswith("k8s:enc:secretbox:v1:key1:")
    before = started(host)
    applied(project, encryptionAtRest={"keys": [key(project, "key2"), key(project, "key1")]})
    assert started(host) != before
    assert stored(host, "first").startswith("k8s:enc:secretbox:v1:key2:")
    readable(project, "before", "first")


def test_it_is_not_taken_out_while_it_encrypts(project: ClusterProject, hosts: dict[str, Host]) -> None:
    right = project.spec["kubernetes"]
    project.consist_of("cp1", kubernetes=KUBERNETES)
    code, text = project.plan_code()
    assert code == 1, text
    assert "this control plane encrypts what it stores" in text
    applied(project, encryptionAtRest=right["encryptionAtRest"] | {"encrypt": False})
    project.consist_of("cp1", kubernetes=KUBERNETES)
    project.apply(timeout=400)
    project.assert_empty_plan()
    readable(project, "before", "first")
    assert "xyzzy-first" in stored(hosts["cp1"], "first")
