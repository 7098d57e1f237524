"""One control plane and workers, from bare hosts: each test goes on from what the one before left."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.lives import Drift, assert_becomes_a_cluster, assert_drift_is_repaired, assert_serves
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

LABELS = {"w1": {"labels": {"disk": "ssd"}}}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane", "w1": "worker", "w2": "worker"})
    made.consist_of("cp1", "w1", nodes=LABELS)
    return made


@pytest.fixture(scope="module")
def hosts(project: ClusterProject) -> list[Host]:
    return list(project.machines.values())


def test_bare_hosts_become_a_cluster(project: ClusterProject, hosts: list[Host], untouched: Before) -> None:
    created = ("demo-control-plane/member/node@cp1", "demo-workers/member/node@w1")
    assert_becomes_a_cluster(project, hosts, created, ("cp1", "w1"))


def test_pods_of_both_nodes_are_reached_through_a_service(project: ClusterProject) -> None:
    assert_serves(project, 2, ("cp1", "w1"))


def test_a_second_worker_joins(project: ClusterProject, hosts: list[Host]) -> None:
    project.consist_of("cp1", "w1", "w2")
    code, text = project.plan_code()
    assert code == 2, text
    # the others learn its name and the way to its pods, and nothing else
    touched = {line.split()[1] for line in text.splitlines() if line.startswith("  # demo-")}
    others = {address for address in touched if not address.endswith("@w2")}
    assert {address.partition("@")[0] for address in others} == {
        'demo-os/names/entry["w2"]',
        "demo-network/bridge/pods",
    }
    started = [host.run("systemctl show -P InvocationID kubelet containerd").stdout for host in hosts[:2]]

    project.apply(timeout=400)
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()
    assert [
        host.run("systemctl show -P InvocationID kubelet containerd").stdout for host in hosts[:2]
    ] == started
    assert_serves(project, 3, ("cp1", "w1", "w2"))


DRIFT: tuple[Drift, ...] = (
    (1, "systemctl stop kubelet", "demo-workers/member/kubelet@w1"),
    (1, "sysctl -qw net.ipv4.ip_forward=0", 'demo-os/kernel/parameter["net.ipv4.ip_forward"]@w1'),
    (
        0,
        "kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf label node w1 disk-",
        'demo-nodes/settings/node["w1"]@cp1',
    ),
    (0, "ip route del $(ip route | awk '/via 10.99.0.12/ {print $1}')", "demo-network/bridge/pods@cp1"),
    (
        2,
        "ctr -n k8s.io images rm docker.io/library/busybox:1.35",
        'demo-images/worker/image["docker.io/library/busybox:1.35"]@w2',
    ),
    (
        2,
        "echo '# mine' >>/etc/systemd/system/kubelet.service",
        "demo-runtime/kubernetes/kubelet-unit@w2",
    ),
)


def test_drift_is_named_and_repaired(project: ClusterProject, hosts: list[Host]) -> None:
    assert_drift_is_repaired(project, hosts, DRIFT, ("cp1", "w1", "w2"))


def test_an_edited_manifest_of_the_api_server_is_put_right(
    project: ClusterProject, hosts: list[Host]
) -> None:
    manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    before = hosts[0].read(manifest)
    hosts[0].run(f"sed -i '/- --allow-privileged=true/a\\    - --v=3' {manifest}", check=True)
    assert hosts[0].read(manifest) != before
    assert "demo-control-plane/components/manifests@cp1" in project.run("drift").stdout
    assert "- --v=3" in project.plan_code()[1]
    project.apply()
    assert hosts[0].read(manifest) == before
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()


def test_a_worker_leaves(project: ClusterProject, hosts: list[Host], untouched: Before) -> None:
    project.consist_of("cp1", "w1")
    assert "refused: pass --allow-destroy w2 to remove it" in project.plan_code()[1]
    project.apply("--allow-destroy", "w2", timeout=400)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    untouched.assert_again(hosts[2:])


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: list[Host], untouched: Before
) -> None:
    project.destroy(timeout=400)
    untouched.assert_again(hosts[:2])
