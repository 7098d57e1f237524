"""Three members of etcd go back to one snapshot together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.cluster.projects import TESTBED, ClusterProject
from tests.e2e.cluster.restoring import ALLOW, fetched, marked, marks

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]
ROLES = {
    "cp1": "control-plane",
    "cp2": "control-plane",
    "cp3": "control-plane",
    "w1": "worker",
    "lb1": "load-balancer",
}
NODES = ("cp1", "cp2", "cp3", "w1")
PKI = "/etc/kubernetes/pki/etcd"


def test_a_majority_that_lost_its_data_comes_back(
    tmp_path: Path, cluster_hosts: ClusterHosts, artifacts: Path
) -> None:
    hosts = dict(zip(ROLES, cluster_hosts(len(ROLES)), strict=True))
    project = ClusterProject(tmp_path, cluster_hosts.fleet, artifacts)
    etcd = TESTBED["etcd"] | {"backup": {}}
    project.describe({name: (hosts[name], role) for name, role in ROLES.items()}, etcd=etcd)
    project.apply(timeout=1000)
    project.await_ready(*NODES)
    marked(project, "before")
    hosts["cp2"].run("systemctl start kubexms-etcd-snapshot", check=True, timeout=120)
    restore = fetched(project, hosts["cp2"], "/var/backups/etcd/*.db")
    marked(project, "after")

    # no quorum, and so no API any more
    for name in ("cp1", "cp2"):
        hosts[name].run("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd", check=True)
    project.describe(project.members, etcd=etcd | {"restore": restore})
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    project.apply(*ALLOW, timeout=1000)

    assert marks(project) == {"before"}
    project.await_ready(*NODES)
    flags = f"--cacert {PKI}/ca.crt --cert {PKI}/server.crt --key {PKI}/server.key"
    listed = hosts["cp3"].run(f"ETCDCTL_API=3 etcdctl {flags} member list", check=True).stdout
    assert sorted(line.split(", ")[1:3] for line in listed.splitlines()) == [
        ["started", name] for name in ("cp1", "cp2", "cp3")
    ]
    project.assert_empty_plan()
