"""The names of the API server's certificate, and the endpoint, of a cluster that lives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pytest

from tests.e2e.cluster import pki
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.endpoints import answered, nothing_says, reached_by, told
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.running import Applying
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
ROLES = {"cp1": "control-plane", "w1": "worker", "lb1": "load-balancer"}
NODES = ("cp1", "w1")
NAMES = "demo-control-plane/components/names@cp1"
RETIRED = "demo-clients/retired/names@cp1"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterProject:
    made = new_cluster(ROLES)
    fetched = tmp_path_factory.mktemp("home") / "kubeconfig"
    made.consist_of(*NODES, kubeconfig={"path": str(fetched)})
    return made


@pytest.fixture(scope="module")
def untouched(project: ClusterProject) -> Before:
    return Before(project.machines.values())


@pytest.fixture(scope="module")
def named(project: ClusterProject) -> dict[str, list[str]]:
    """What the hosts files said before anything was done."""
    return {host.name: names(host) for host in project.machines.values()}


def test_a_cluster_is_reached_by_the_address_of_its_only_control_plane(
    project: ClusterProject, hosts: Mapping[str, Host], untouched: Before, named: dict[str, list[str]]
) -> None:
    project.apply(timeout=900)
    project.await_ready(*NODES)
    project.assert_empty_plan()
    reached_by(project, f"{hosts['cp1'].address}:6443")
    project.serve(2)


def test_names_that_are_added_are_served(project: ClusterProject, hosts: Mapping[str, Host]) -> None:
    names = {"apiServer": {"certSANs": ["api.example.com", "192.0.2.7"]}, "version": "1.20.2"}
    project.describe(project.members, kubernetes=names)
    code, text = project.plan_code()
    assert code == 2, text
    assert f"# {NAMES} will be updated in-place" in text
    assert re.search(r"missing += \[\n? *\"192.0.2.7\",\s+\"api.example.com\",?\s*\] -> \[\]", text), text
    assert re.search(r"\+ api\.example\.com", text), text
    assert "@w1" not in text
    kubelet = started(hosts["w1"], "kubelet")

    project.apply(timeout=400)
    assert {"api.example.com", "192.0.2.7", "cp1", "kubernetes"} <= pki.served_names(hosts["cp1"], 6443)
    assert "api.example.com" in told(project, "kubeadm-config")
    assert started(hosts["w1"], "kubelet") == kubelet
    project.await_ready(*NODES)
    project.assert_empty_plan()


def test_names_that_leave_the_document_leave_the_certificate(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    names = {"apiServer": {"certSANs": ["192.0.2.7"]}, "version": "1.20.2"}
    project.describe(project.members, kubernetes=names)
    code, text = project.plan_code()
    assert code == 2, text
    assert f"# {RETIRED} will be updated in-place" in text
    assert NAMES not in text
    project.apply(timeout=400)
    served = pki.served_names(hosts["cp1"], 6443)
    assert "192.0.2.7" in served
    assert "api.example.com" not in served
    assert "api.example.com" not in told(project, "kubeadm-config")
    project.assert_empty_plan()


def test_an_endpoint_that_leads_nowhere_is_refused(project: ClusterProject) -> None:
    network = project.machines["cp1"].address.rpartition(".")[0]
    for endpoint in ({"host": f"{network}.250"}, {"host": "nowhere.test", "resolve": False}):
        project.describe(project.members, endpoint=endpoint)
        code, text = project.plan_code()
        assert code == 1, text
        assert f"no API server of this cluster answers at {endpoint['host']}:6443" in text


def test_from_the_address_to_a_name(project: ClusterProject, hosts: Mapping[str, Host]) -> None:
    project.describe(project.members, endpoint={"host": "k8s.test"})
    code, text = project.plan_code()
    assert code == 2, text
    before = f"https://{hosts['cp1'].address}:6443"
    for address in ("demo-clients/workers/endpoint@w1", "demo-clients/planes/endpoint@cp1"):
        assert f"# {address} will be updated in-place" in text
    assert text.count(f'kubelet.conf = "{before}" -> "https://k8s.test:6443"') == 2, text
    assert re.search(rf'clusterInfo += "{before}" -> "https://k8s.test:6443"', text)
    assert re.search(rf'kubeProxy += "{before}" -> "https://k8s.test:6443"', text)
    assert f"# {NAMES} will be updated in-place" in text

    with answered(project):
        project.apply(timeout=600)
    reached_by(project, "k8s.test:6443")
    project.assert_empty_plan()


def test_a_change_that_is_cut_off_goes_on_with_the_next_apply(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.describe(project.members, endpoint={"host": "api.test", "port": 6443})
    with answered(project):
        with Applying(project) as applying:
            assert applying.until("apply_complete", "demo-clients/planes/endpoint@cp1"), applying.said()
            applying.kill()
        # the name of before is still good for those who go by it
        assert "k8s.test" in (hosts["w1"].read("/etc/hosts") or "")
        assert {"k8s.test", "api.test"} <= pki.served_names(hosts["cp1"], 6443)
        with Applying(project) as applying:
            assert applying.until("apply_start", "demo-clients/published/endpoint@cp1"), applying.said()
            applying.kill()
        project.apply(timeout=600)
    reached_by(project, "api.test:6443")
    project.assert_empty_plan()
    nothing_says(project, "k8s.test")


def test_a_name_that_stays_leads_to_a_load_balancer(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.consist_of(*ROLES)
    code, text = project.plan_code()
    assert code == 2, text
    assert "# demo-os/names/endpoint@" in text
    with answered(project):
        project.apply(timeout=600)
    entry = f"{hosts['lb1'].address} lb1 api.test"
    assert entry in " ".join((hosts["w1"].read("/etc/hosts") or "").split())
    reached_by(project, "api.test:6443")
    assert hosts["lb1"].address in pki.served_names(hosts["cp1"], 6443)
    project.assert_empty_plan()


def test_a_port_that_nodes_use_is_kept(project: ClusterProject) -> None:
    project.describe(project.members, endpoint={"host": "api.test", "port": 7443})
    code, text = project.plan_code()
    assert code == 1, text
    assert "nodes reach the API by this load balancer at another port" in text


def test_from_a_name_to_the_address_of_the_load_balancer(
    project: ClusterProject, hosts: Mapping[str, Host]
) -> None:
    project.describe(project.members, endpoint={})
    with answered(project):
        project.apply(timeout=600)
    reached_by(project, f"{hosts['lb1'].address}:6443")
    project.assert_empty_plan()
    nothing_says(project, "api.test")


def test_the_load_balancer_leaves_when_nobody_needs_it(
    project: ClusterProject, hosts: Mapping[str, Host], untouched: Before, named: dict[str, list[str]]
) -> None:
    project.consist_of(*NODES, endpoint={"host": "k8s.test"})
    with answered(project):
        project.apply("--allow-destroy", "lb1", timeout=600)
    reached_by(project, "k8s.test:6443")
    project.assert_empty_plan()
    address = hosts["lb1"].address
    nothing_says(project, address, written=f"//{address}")
    as_before(untouched, [hosts["lb1"]], named)


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: Mapping[str, Host], untouched: Before, named: dict[str, list[str]]
) -> None:
    project.destroy(timeout=600)
    as_before(untouched, hosts.values(), named)


def names(host: Host) -> list[str]:
    """The lines of its hosts file, without their white space: edits in any order keep no tabs."""
    return sorted(" ".join(line.split()) for line in (host.read("/etc/hosts") or "").splitlines())


def as_before(untouched: Before, hosts: Iterable[Host], named: dict[str, list[str]]) -> None:
    """Nothing else on these is other than before."""
    for host in hosts:
        since = [line for line in untouched.since(host).splitlines() if "files: etc/hosts " not in line]
        assert not since, "\n".join([host.name, *since])
        assert names(host) == named[host.name]


def started(host: Host, unit: str) -> str:
    """Another text after each start of the unit."""
    return host.run(f"systemctl show -P InvocationID {unit}", check=True).stdout
