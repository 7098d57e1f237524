"""Without kubeadm: the endpoint of a living cluster, to a name, a load balancer, an address that moves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.e2e.cluster import pki
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.endpoints import answered, nothing_says, reached_by
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.running import Applying
from tests.e2e.cluster.test_binary import KUBERNETES, started
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
ROLES = {"cp1": "control-plane", "w1": "worker", "lb1": "load-balancer"}
NODES = ("cp1", "w1")
NAMES = "demo-control-plane/credentials/apiserver@cp1"
RETIRED = "demo-clients/retired/apiserver@cp1"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterProject:
    made = new_cluster(ROLES, kubernetes=KUBERNETES)
    made.consist_of(*NODES, kubeconfig={"path": str(tmp_path_factory.mktemp("home") / "kubeconfig")})
    return made


def test_a_cluster_is_reached_by_the_address_of_its_only_control_plane(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.apply(timeout=900)
    project.await_ready(*NODES)
    project.assert_empty_plan()
    reached_by(project, f"{hosts['cp1'].address}:6443")


def test_an_endpoint_that_leads_nowhere_is_refused(project: ClusterProject) -> None:
    nowhere = project.machines["cp1"].address.rpartition(".")[0] + ".250"
    project.describe(project.members, endpoint={"host": nowhere})
    code, text = project.plan_code()
    assert code == 1, text
    assert f"no API server of this cluster answers at {nowhere}:6443" in text


def test_to_a_name_also_when_it_is_cut_off(project: ClusterProject, hosts: Mapping[str, Host]) -> None:
    project.describe(project.members, endpoint={"host": "k8s.test"})
    before = f"https://{hosts['cp1'].address}:6443"
    code, text = project.plan_code()
    assert code == 2, text
    for address in (NAMES, "demo-clients/planes/endpoint@cp1", "demo-clients/workers/endpoint@w1"):
        assert f"# {address} will be updated in-place" in text
    assert text.count(f'"{before}" -> "https://k8s.test:6443"') == 4, text

    with answered(project):
        with Applying(project) as applying:
            assert applying.until("apply_complete", "demo-clients/planes/endpoint@cp1"), applying.said()
            applying.kill()
        project.apply(timeout=600)
    reached_by(project, "k8s.test:6443")
    project.assert_empty_plan()


def test_a_name_that_stays_leads_to_a_load_balancer(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.consist_of(*ROLES)
    with answered(project):
        project.apply(timeout=600)
    entry = f"{hosts['lb1'].address} lb1 k8s.test"
    assert entry in " ".join((hosts["w1"].read("/etc/hosts") or "").split())
    reached_by(project, "k8s.test:6443")
    project.assert_empty_plan()


def test_to_an_address_that_moves(project: ClusterProject, hosts: Mapping[str, Host]) -> None:
    address = hosts["cp1"].address.rpartition(".")[0] + ".200"
    project.describe(project.members, endpoint={"virtualIP": {"address": address}})
    code, text = project.plan_code()
    assert code == 2, text
    assert f"# {RETIRED} will be updated in-place" in text
    with answered(project):
        project.apply(timeout=600)
    reached_by(project, f"{address}:6443")
    assert address in pki.served_names(hosts["cp1"], 6443)
    project.assert_empty_plan()
    nothing_says(project, "k8s.test")


def test_kubeconfigs_of_nodes_are_as_they_were_made(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    kubelet = started(hosts["w1"], "kubelet")
    hosts["w1"].run("sed -i s/kubelet.crt/other.crt/ /etc/kubernetes/kubelet.conf", check=True)
    report = project.run("drift")
    assert report.returncode == 2, report.stderr
    assert "demo-clients/workers/endpoint@w1" in report.stdout
    hosts["w1"].run("sed -i s/other.crt/kubelet.crt/ /etc/kubernetes/kubelet.conf", check=True)
    hosts["w1"].run("sed -i 's/name: demo/name: other/' /etc/kubernetes/kube-proxy.conf", check=True)
    project.apply(timeout=400)
    assert "name: other" not in (hosts["w1"].read("/etc/kubernetes/kube-proxy.conf") or "")
    assert started(hosts["w1"], "kubelet") != kubelet
    project.await_ready(*NODES)
    project.assert_empty_plan()


def test_the_load_balancer_leaves_when_nobody_needs_it(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.consist_of(*NODES, endpoint={})
    with answered(project):
        project.apply("--allow-destroy", "lb1", timeout=600)
    reached_by(project, f"{hosts['cp1'].address}:6443")
    project.assert_empty_plan()
    project.destroy(timeout=600)
