"""A cluster without kubeadm, from bare hosts to bare hosts: each test goes on from what one before left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.lives import Drift, assert_becomes_a_cluster, assert_drift_is_repaired, assert_serves
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.stamping import stamped
from tests.e2e.testbed import Host

KUBERNETES = {"version": "1.20.2", "type": "binary"}
PKI = "/etc/kubernetes/pki"
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hosts(cluster_hosts: ClusterHosts) -> list[Host]:
    return cluster_hosts(3)


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, cluster_hosts: ClusterHosts, hosts: list[Host], artifacts: Path
) -> ClusterProject:
    project = ClusterProject(tmp_path_factory.mktemp("cluster"), cluster_hosts.fleet, artifacts)
    project.describe(
        {"cp1": (hosts[0], "control-plane"), "w1": (hosts[1], "worker")},
        kubernetes=KUBERNETES,
        nodes={"w1": {"labels": {"disk": "ssd"}}},
        certificates={"lifetimeDays": 40, "authorityDays": 1000},
        kubeconfig={"path": str(project.root / "kube/config")},
    )
    return project


def serial(host: Host, name: str) -> str:
    """Which certificate it is."""
    return host.run(f"openssl x509 -noout -serial -in {PKI}/{name}.crt", check=True).stdout


def started(host: Host, *units: str) -> list[str]:
    """Which start of each unit runs."""
    return host.run(f"systemctl show -P InvocationID {' '.join(units)}", check=True).stdout.split()


def test_bare_hosts_become_a_cluster(project: ClusterProject, hosts: list[Host], untouched: Before) -> None:
    created = ("demo-pki/authorities/ca@cp1", "demo-workers/member/node@w1")
    assert_becomes_a_cluster(project, hosts, created, ("cp1", "w1"))
    assert not hosts[0].run("ls /etc/kubernetes/manifests").stdout
    assert hosts[0].run(f"openssl x509 -noout -checkend $((999 * 86400)) -in {PKI}/ca.crt").returncode == 0


def test_the_administrator_has_a_kubeconfig(project: ClusterProject, artifacts: Path) -> None:
    config = project.root / "kube/config"
    assert config.stat().st_mode & 0o777 == 0o600
    (kubectl,) = [path for path in artifacts.rglob("kubectl") if path.is_file()]
    asked = [str(kubectl), "--kubeconfig", str(config), "--cache-dir", "/dev/null/no", "get", "nodes"]
    done = project.fleet.exec(asked)
    assert done.returncode == 0, done.stderr
    assert "cp1" in done.stdout


def test_pods_are_reached_through_a_service_and_through_kubelets(project: ClusterProject) -> None:
    assert_serves(project, 2, ("cp1", "w1"))
    project.kubectl("-n kube-system rollout status deploy/coredns --timeout=120s", timeout=130)


def test_a_second_worker_joins(project: ClusterProject, hosts: list[Host]) -> None:
    units = ("kube-apiserver", "kubelet")
    before = started(hosts[0], *units)
    project.describe(project.members | {"w2": (hosts[2], "worker")})
    project.apply(timeout=400)
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()
    assert started(hosts[0], *units) == before


DRIFT: tuple[Drift, ...] = (
    (0, "sed -i s/privileged=true/privileged=false/ /etc/systemd/system/kube-apiserver.service",
     "demo-control-plane/apiserver/unit@cp1"),
    (0, f"rm {PKI}/scheduler.key", "demo-control-plane/credentials/scheduler@cp1"),
    (1, "systemctl stop kubelet", "demo-workers/member/kubelet@w1"),
    (1, f"cp {PKI}/kube-proxy.crt {PKI}/kubelet.crt", "demo-workers/member/kubelet-certificate@w1"),
    (2, "echo 'maxPods: 3' >>/etc/kubernetes/kubelet.yaml", "demo-workers/member/kubelet-configuration@w2"),
)  # fmt: skip


def test_drift_is_named_and_repaired(project: ClusterProject, hosts: list[Host]) -> None:
    assert_drift_is_repaired(project, hosts, DRIFT, ("cp1", "w1", "w2"))


def test_a_flag_changes_one_unit(project: ClusterProject, hosts: list[Host]) -> None:
    before = started(hosts[0], "kube-apiserver", "etcd")
    project.describe(
        project.members, kubernetes={**KUBERNETES, "apiServer": {"extraArgs": {"event-ttl": "2h"}}}
    )
    code, text = project.plan_code()
    assert code == 2, text
    assert "+     --event-ttl=2h" in text
    project.apply(timeout=400)
    project.assert_empty_plan()
    after = started(hosts[0], "kube-apiserver", "etcd")
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True]
    assert "--event-ttl=2h" in hosts[0].run("tr '\\0' '\\n' </proc/$(pidof kube-apiserver)/cmdline").stdout


def test_certificates_are_renewed_before_they_end(project: ClusterProject, hosts: list[Host]) -> None:
    names = ("apiserver", "etcd/server", "admin", "scheduler", "kubelet", "kube-proxy")
    before = [serial(hosts[0], name) for name in names] + [serial(hosts[1], "kubelet")]
    authority = serial(hosts[0], "ca")
    running = started(hosts[0], "kube-apiserver", "etcd", "kube-scheduler", "kubelet")
    project.describe(project.members, certificates={"renewBeforeDays": 60, "lifetimeDays": 365})
    assert "the certificate ends on" in project.plan_code()[1]
    project.apply(timeout=400)
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()
    after = [serial(hosts[0], name) for name in names] + [serial(hosts[1], "kubelet")]
    assert not set(before) & set(after)
    assert serial(hosts[0], "ca") == authority
    again = started(hosts[0], "kube-apiserver", "etcd", "kube-scheduler", "kubelet")
    assert not set(running) & set(again)
    served = hosts[0].run(
        "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    )
    assert served.stdout == serial(hosts[0], "apiserver")


def test_another_version_node_by_node(project: ClusterProject) -> None:
    project.describe(
        project.members, kubernetes={**KUBERNETES, "version": "1.20.3"}, artifacts=str(stamped("v1.20.3"))
    )
    code, text = project.plan_code()
    assert code == 2, text
    assert '~ version    = "1.20.2" -> "1.20.3"' in text or "drains the node" in text
    project.apply(timeout=600)
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()
    versions = project.kubectl("get nodes -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
    assert versions.split() == ["v1.20.3"] * 3
    assert '"gitVersion": "v1.20.3"' in project.kubectl("get --raw /version")
    assert not project.kubectl("get nodes -o jsonpath={.items[*].spec.unschedulable}").strip()
    project.kubectl("rollout status deploy/web --timeout=120s", timeout=130)

    project.describe(project.members, kubernetes={**KUBERNETES, "version": "1.20.2"})
    code, text = project.plan_code()
    assert code == 1, text
    assert "Kubernetes does not go back to 1.20.2" in text
    project.describe(project.members, kubernetes={**KUBERNETES, "version": "1.20.3"})


def test_what_is_fixed_is_refused(project: ClusterProject) -> None:
    right = project.spec["kubernetes"]
    project.describe(project.members, network={"serviceCidr": "10.201.0.0/16"})
    code, text = project.plan_code()
    assert code == 1, text
    assert "made with another value of network.serviceCidr" in text
    project.describe(
        project.members, network={"serviceCidr": "10.200.0.0/16"}, kubernetes={**right, "type": "kubeadm"}
    )
    code, text = project.plan_code()
    assert code == 1, text
    assert "put kubernetes.type back to binary" in text or "certificates.lifetimeDays needs" in text
    project.describe(project.members, kubernetes=right)


def test_a_worker_leaves(project: ClusterProject, hosts: list[Host], untouched: Before) -> None:
    project.describe({name: member for name, member in project.members.items() if name != "w2"})
    project.apply("--allow-destroy", "w2", timeout=400)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    untouched.assert_again(hosts[2:])


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: list[Host], untouched: Before
) -> None:
    project.destroy(timeout=400)
    untouched.assert_again(hosts[:2])
