"""Control planes that go: machines that died are replaced, and three control planes become one."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
ROLES = {
    "cp1": "control-plane",
    "cp2": "control-plane",
    "cp3": "control-plane",
    "w1": "worker",
    "lb1": "load-balancer",
    "cp4": "control-plane",
}
PKI = "/etc/kubernetes/pki/etcd"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(ROLES)
    made.consist_of("cp1", "cp2", "cp3", "w1", "lb1")
    made.apply(timeout=1000)
    made.await_ready("cp1", "cp2", "cp3", "w1")
    made.assert_empty_plan()
    return made


def members(project: ClusterProject) -> set[str]:
    """The names of etcd's members, all of which must be started."""
    flags = f"--cacert {PKI}/ca.crt --cert {PKI}/server.crt --key {PKI}/server.key"
    listed = project.kubectl(f"-n kube-system exec etcd-cp1 -- etcdctl {flags} member list")
    rows = [line.split(", ") for line in listed.splitlines()]
    assert {row[1] for row in rows} == {"started"}
    return {row[2] for row in rows}


def test_nothing_may_leave_the_others_without_a_control_plane(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    before = [host.upper_listing() for host in hosts.values()]
    project.consist_of("cp4", "w1", "lb1")
    code, text = project.plan_code("--allow-destroy", "cp*")
    assert code == 1
    assert "without cp1, cp2 and cp3 cluster demo has no control plane" in text
    assert "add cp4 and apply, and take cp1, cp2 and cp3 out afterwards" in text
    assert [host.upper_listing() for host in hosts.values()] == before
    project.consist_of("cp1", "cp2", "cp3", "w1", "lb1")


def test_a_dead_control_plane_is_replaced(project: ClusterProject, hosts: dict[str, Host]) -> None:
    hosts["cp3"].crash()
    project.consist_of("cp3", "w1", "lb1")
    code, text = project.plan_code("--allow-destroy", "cp*")
    assert code == 1
    assert "without cp1 and cp2 cluster demo has no control plane" in text

    project.consist_of("cp1", "cp2", "cp4", "w1", "lb1", lostNodes=["cp3"])
    project.kubectl("wait --for=condition=Ready=Unknown node/cp3 --timeout=180s", timeout=190)
    forgotten = project.run("state", "forget", "--host", "cp3")
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    code, text = project.plan_code()
    assert code == 2, text
    assert '# demo-control-plane/lost/node["cp3"]@cp1 will be' in text
    project.apply(timeout=1000)
    project.await_ready("cp1", "cp2", "cp4", "w1")
    assert members(project) == {"cp1", "cp2", "cp4"}
    project.assert_empty_plan()


def test_three_control_planes_become_one(project: ClusterProject, hosts: dict[str, Host]) -> None:
    address = project.serve(2)
    project.consist_of("cp1", "w1", "lb1", lostNodes=[])
    code, text = project.plan_code("--allow-destroy", "cp*")
    assert code == 2, text
    project.apply("--allow-destroy", "cp*", timeout=1000)
    project.await_ready("cp1", "w1")
    assert members(project) == {"cp1"}
    project.assert_empty_plan()
    for name in ("cp2", "cp4"):
        assert hosts[name].run("test ! -e /etc/kubernetes && test ! -e /var/lib/etcd/member").returncode == 0
    for name in ("cp1", "w1"):
        routes = hosts[name].run("ip route show proto 75", check=True).stdout.splitlines()
        assert len(routes) == 1, routes
    pods = project.pods_of_web()
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)
