"""Three control planes with stacked etcd behind haproxy, and a worker, from bare hosts."""

from __future__ import annotations

import datetime

import pytest

from tests.e2e.cluster import pki
from tests.e2e.cluster.conftest import NewCluster
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
TWENTY_YEARS = 7300


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    return new_cluster(MEMBERS, certificates={"authorityDays": TWENTY_YEARS})


def test_bare_hosts_become_a_cluster(project: ClusterProject) -> None:
    project.apply(timeout=800)
    project.await_ready(*NODES)
    project.assert_empty_plan()


def test_control_planes_that_join_have_the_same_authorities(hosts: dict[str, Host]) -> None:
    least = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=TWENTY_YEARS - 1)
    for name in ("ca", "etcd/ca", "front-proxy-ca"):
        assert pki.ends(hosts["cp1"], f"{name}.crt") > least
        files = f"cd {pki.KUBERNETES}/pki && sha256sum {name}.crt {name}.key"
        assert len({hosts[plane].run(files, check=True).stdout for plane in ("cp1", "cp2", "cp3")}) == 1


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
