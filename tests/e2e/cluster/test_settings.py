"""Settings of a living cluster: each test goes on from what the one before left."""

from __future__ import annotations

import json

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.lives import Drift, assert_drift_is_repaired
from tests.e2e.cluster.projects import TESTBED, ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CONFIG = "/var/lib/kubelet/config.yaml"
NEW = {"version": "1.20.2", "apiServer": {"audit": {}}}
KUBERNETES = NEW | {"kubelet": {"config": {"maxPods": 60}}}
PROXY = TESTBED["kubeProxy"]["config"] | {"iptables": {"syncPeriod": "45s"}}


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane", "w1": "worker"}, kubernetes=NEW)
    made.apply(timeout=900)
    made.await_ready("cp1", "w1")
    made.assert_empty_plan()
    return made


def changes(project: ClusterProject, *lines: str) -> None:
    """The plan shows these lines; after an apply it is empty."""
    code, text = project.plan_code()
    assert code == 2, text
    for line in lines:
        assert line in text, text
    project.apply(timeout=600)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()


def capacity(project: ClusterProject) -> list[str]:
    return project.kubectl("get nodes -o jsonpath={.items[*].status.capacity.pods}").split()


def of_proxies(project: ClusterProject, field: str) -> set[str]:
    pods = json.loads(project.kubectl("-n kube-system get pods -l k8s-app=kube-proxy -o json"))["items"]
    return {pod["metadata"][field] for pod in pods}


def test_a_new_cluster_writes_requests_down(project: ClusterProject, hosts: dict[str, Host]) -> None:
    log = hosts["cp1"].read("/var/log/kubernetes/audit/audit.log") or ""
    assert '"requestURI":"/api/v1/namespaces/kube-system/configmaps/kubeadm-config' in log


def test_kubelets_take_another_configuration(project: ClusterProject, hosts: dict[str, Host]) -> None:
    pods = project.kubectl("get pods -A -o jsonpath={.items[*].metadata.uid}")
    project.describe(project.members, kubernetes=KUBERNETES)
    changes(
        project,
        "  # demo-configuration/control-plane/kubelet@cp1 will be updated in-place",
        "  # demo-configuration/worker/kubelet@w1 will be updated in-place",
        "          + maxPods: 60",
    )
    assert capacity(project) == ["60", "60"]
    assert project.kubectl("get pods -A -o jsonpath={.items[*].metadata.uid}") == pods
    # what joins and upgrades will read
    assert "maxPods: 60" in project.kubectl("-n kube-system get configmap kubelet-config-1.20 -o yaml")
    assert hosts["w1"].run(f"stat -c %a {CONFIG}").stdout.strip() == "644"


def test_a_configuration_that_no_kubelet_runs_with_stops_at_the_first(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    bad = {"maxPods": 60, "evictionHard": {"memory.available": "lots"}}
    project.describe(project.members, kubernetes=KUBERNETES | {"kubelet": {"config": bad}})
    done = project.run("apply", "--auto-approve", timeout=400)
    assert done.returncode == 1, done.stdout
    said = done.stdout + done.stderr
    assert "the kubelet does not run with this configuration; the one of before is back:" in said
    assert "quantities must match the regular expression" in said
    for host in hosts.values():
        assert "lots" not in (host.read(CONFIG) or "")
    assert "lots" not in project.kubectl("-n kube-system get configmap kubelet-config-1.20 -o yaml")
    project.describe(project.members, kubernetes=KUBERNETES)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()


def test_kube_proxy_takes_another_configuration(project: ClusterProject, hosts: dict[str, Host]) -> None:
    before = of_proxies(project, "uid")
    project.describe(project.members, kubeProxy={"config": PROXY})
    changes(project, '~ kube-proxy = "differs" -> "as specified"', "          +   syncPeriod: 45s")
    after = of_proxies(project, "uid")
    assert len(after) == 2
    assert not before & after


KUBECTL = "kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf -n kube-system"


def edited(configmap: str, how: str) -> str:
    """What somebody does to a ConfigMap."""
    return f"{KUBECTL} get configmap {configmap} -o yaml | sed '{how}' | {KUBECTL} replace -f -"


CLUSTER = "demo-configuration/cluster/kubeadm@cp1"
DRIFT: tuple[Drift, ...] = (
    (0, f"sed -i s/60/61/ {CONFIG}", "demo-configuration/control-plane/kubelet@cp1"),
    (1, f"rm {CONFIG}", "demo-configuration/worker/kubelet@w1"),
    (0, edited("kube-proxy", "s/syncPeriod: 45s/syncPeriod: 50s/"), CLUSTER),
    (0, edited("kubeadm-config", 's/election-timeout: .*/election-timeout: "6000"/'), CLUSTER),
    (0, edited("kubelet-config-1.20", "s/maxPods: 60/maxPods: 61/"), CLUSTER),
    (0, f"{KUBECTL} delete deployment coredns", CLUSTER),
)


def test_what_somebody_edited_is_put_right(project: ClusterProject, hosts: dict[str, Host]) -> None:
    assert_drift_is_repaired(project, list(hosts.values()), DRIFT, ("cp1", "w1"))
    assert "maxPods: 60\n" in (hosts["w1"].read(CONFIG) or "")
    assert "syncPeriod: 45s" in project.kubectl("-n kube-system get configmap kube-proxy -o yaml")
    project.kubectl("-n kube-system rollout status deployment/coredns --timeout=120s", timeout=130)


def test_a_restart_that_was_cut_off_is_made_up_for(project: ClusterProject, hosts: dict[str, Host]) -> None:
    hosts["w1"].run("touch /var/lib/kubexms/kubeadm/kubelet-restart", check=True)
    patch = '{"metadata": {"annotations": {"kubexms.io/rollout": "another"}}}'
    project.kubectl(f"-n kube-system patch configmap kube-proxy --type merge --patch '{patch}'")
    invocation = hosts["w1"].run("systemctl show -P InvocationID kubelet").stdout
    before = of_proxies(project, "uid")
    changes(project, "~ loaded = false -> true", '~ kube-proxy = "not restarted" -> "as specified"')
    assert hosts["w1"].run("systemctl show -P InvocationID kubelet").stdout != invocation
    assert not before & of_proxies(project, "uid")


def test_the_domain_of_services_is_fixed(project: ClusterProject) -> None:
    network = project.spec["network"]
    project.describe(project.members, network=network | {"dnsDomain": "other.local"})
    code, text = project.plan_code()
    assert code == 1, text
    assert "made with another value of network.dnsDomain, which cannot change" in text
    project.describe(project.members, network=network)


MANIFESTS = "/etc/kubernetes/manifests"


def process(host: Host, name: str = "kube-apiserver") -> str:
    return host.run(f"pgrep -xo {name}").stdout.strip()


def test_etcd_takes_another_flag(project: ClusterProject, hosts: dict[str, Host]) -> None:
    before = process(hosts["cp1"], "etcd"), process(hosts["cp1"])
    arguments = TESTBED["etcd"]["extraArgs"] | {"snapshot-count": "5000"}
    project.describe(project.members, etcd={"extraArgs": arguments})
    changes(project, '~ etcd    = "differs" -> "as specified"', "          +     - --snapshot-count=5000")
    after = process(hosts["cp1"], "etcd"), process(hosts["cp1"])
    assert "--snapshot-count=5000" in hosts["cp1"].run(f"tr '\\0' '\\n' </proc/{after[0]}/cmdline").stdout
    assert after[0] != before[0]
    assert "snapshot-count" in project.kubectl("-n kube-system get configmap kubeadm-config -o yaml")

    hosts["cp1"].run(f"sed -i s/snapshot-count=5000/snapshot-count=6000/ {MANIFESTS}/etcd.yaml", check=True)
    assert "demo-control-plane/components/manifests@cp1" in project.run("drift").stdout
    changes(project, "          -     - --snapshot-count=6000")


def test_etcd_that_does_not_start_gets_its_flags_back(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    right = project.spec["etcd"]
    wrong = {"extraArgs": right["extraArgs"] | {"snapshot-count": "many"}}
    project.describe(project.members, etcd=wrong)
    done = project.run("apply", "--auto-approve", timeout=600)
    assert done.returncode == 1, done.stdout
    said = done.stdout + done.stderr
    assert "etcd does not work with this configuration; the one of before is back:" in said
    assert 'invalid value "many" for flag -snapshot-count' in said
    assert "--snapshot-count=5000" in (hosts["cp1"].read(f"{MANIFESTS}/etcd.yaml") or "")
    project.describe(project.members, etcd=right)
    project.apply(timeout=600)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
