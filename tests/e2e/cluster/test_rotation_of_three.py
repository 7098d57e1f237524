"""Three control planes get an address that moves as their endpoint, each in turn a certificate for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.e2e.cluster import pki
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.endpoints import answered, nothing_says, reached_by
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
PLANES = ("cp1", "cp2", "cp3")
ROLES = dict.fromkeys(PLANES, "control-plane") | dict.fromkeys(("lb1", "lb2"), "load-balancer")


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(ROLES)
    made.consist_of(*PLANES, "lb1")
    return made


def test_they_are_reached_by_their_load_balancer(project: ClusterProject, hosts: Mapping[str, Host]) -> None:
    project.apply(timeout=1500)
    project.await_ready(*PLANES)
    project.assert_empty_plan()
    reached_by(project, f"{hosts['lb1'].address}:6443")


def test_an_address_that_moves_becomes_the_endpoint(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    network = hosts["lb1"].address.rpartition(".")[0]
    virtual = f"{network}.200"
    project.consist_of(*ROLES, endpoint={"host": "k8s.test", "virtualIP": {"address": virtual}})
    code, text = project.plan_code()
    assert code == 2, text
    for name in PLANES:
        assert f"demo-control-plane/components/names@{name}" in text
    with answered(project):
        project.apply(timeout=1500)
    reached_by(project, "k8s.test:6443")
    for name in PLANES:
        served = pki.served_names(hosts[name], 6443)
        assert {"k8s.test", virtual, name, hosts[name].address} <= served
        assert not served & {hosts[other].address for other in (*PLANES, "lb1", "lb2") if other != name}
    project.assert_empty_plan()
    nothing_says(project, f"https://{hosts['lb1'].address}")


def test_load_balancers_leave_and_a_control_plane_that_is_the_endpoint_cannot(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.consist_of(*PLANES, endpoint={"host": hosts["cp3"].address})
    project.apply("--allow-destroy", "lb*", timeout=1500)
    reached_by(project, f"{hosts['cp3'].address}:6443")
    project.assert_empty_plan()
    project.consist_of("cp1", endpoint={"host": "k8s.test"})
    code, text = project.plan_code("--allow-destroy", "cp*")
    assert code == 1, text
    assert "which is its endpoint: that cannot leave" in text
