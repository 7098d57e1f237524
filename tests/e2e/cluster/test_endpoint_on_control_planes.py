"""Three control planes that keep the endpoint's address among themselves, with no hosts besides."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.test_endpoint import becomes, through_the_endpoint

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
BOTH = "control-plane load-balancer"
ROLES = {"cp1": BOTH, "cp2": BOTH, "cp3": BOTH, "w1": "worker"}
PLANES = ("cp1", "cp2", "cp3")


def test_the_address_moves_when_its_control_plane_loses_power(
    new_cluster: NewCluster,
) -> None:
    project = new_cluster(ROLES)
    hosts = project.machines
    address = hosts["cp1"].address.rpartition(".")[0] + ".200"
    project.consist_of(*ROLES, endpoint={"host": "k8s.test", "port": 8443, "virtualIP": {"address": address}})
    project.apply(timeout=700)
    project.await_ready(*ROLES)
    project.assert_empty_plan()
    assert "https://k8s.test:8443" in (hosts["w1"].read("/etc/kubernetes/kubelet.conf") or "")

    def holders(names: tuple[str, ...]) -> list[str]:
        shown = "ip -4 -o address show"
        return [name for name in names if f" {address}/" in hosts[name].run(shown, timeout=20).stdout]

    [first] = holders(PLANES)
    others = tuple(name for name in PLANES if name != first)
    hosts[first].crash()
    becomes(lambda: [str(len(holders(others)))], ["1"])
    through_the_endpoint(hosts)
    project.kubectl("create namespace meanwhile", on=others[0])
    hosts[first].start()
    hosts[first].wait_ready()
    project.kubectl("wait --for=condition=Ready node --all --timeout=180s", on=others[0], timeout=190)
    project.assert_empty_plan()
    assert len(holders(PLANES)) == 1
