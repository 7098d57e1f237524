"""Three control planes with stacked etcd behind haproxy, and a worker, from bare hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
MEMBERS = {
    "cp1": "control-plane",
    "cp2": "control-plane",
    "cp3": "control-plane",
    "w1": "worker",
    "lb1": "load-balancer",
}
NODES = ("cp1", "cp2", "cp3", "w1")


@pytest.fixture(scope="module")
def hosts(cluster_hosts: ClusterHosts) -> dict[str, Host]:
    return dict(zip(MEMBERS, cluster_hosts(len(MEMBERS)), strict=True))


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    cluster_hosts: ClusterHosts,
    hosts: dict[str, Host],
    artifacts: Path,
) -> ClusterProject:
    made = ClusterProject(tmp_path_factory.mktemp("cluster"), cluster_hosts.fleet, artifacts)
    made.describe({name: (hosts[name], role) for name, role in MEMBERS.items()})
    return made


def test_bare_hosts_become_a_cluster(project: ClusterProject) -> None:
    project.apply(timeout=800)
    project.await_ready(*NODES)
    project.assert_empty_plan()


def test_the_endpoint_serves_while_a_control_plane_is_off(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    hosts["cp1"].crash()
    kubeconfig = hosts["cp2"].read("/etc/kubernetes/admin.conf")
    assert kubeconfig is not None
    assert hosts["lb1"].address in kubeconfig
    project.kubectl("create namespace meanwhile", on="cp2")
    hosts["cp1"].start()
    hosts["cp1"].wait_ready()
    project.kubectl("wait --for=condition=Ready node --all --timeout=180s", on="cp2", timeout=190)
    project.assert_empty_plan()
