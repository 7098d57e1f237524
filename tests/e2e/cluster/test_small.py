"""One control plane and workers, from bare hosts: each test goes on from what the one before left."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host
from tests.e2e.traces import written

LABELS = {"w1": {"labels": {"disk": "ssd"}}}
Untouched = dict[str, dict[str, tuple[str, ...]]]
# packages' own records and caches, and containerd's data
LEFT_BY_OTHERS = (
    "var/lib/dpkg",
    "var/lib/apt",
    "var/cache",
    "var/lib/containerd",
    "usr/share",
    "etc/ld.so.cache",
)
# below these, containerd and the kubelet make directories for CNI, plugins and volumes, and leave them empty
EMPTY = ("etc/cni", "opt/containerd", "usr/libexec/kubernetes")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane", "w1": "worker", "w2": "worker"})
    made.consist_of("cp1", "w1", nodes=LABELS)
    return made


@pytest.fixture(scope="module")
def hosts(project: ClusterProject) -> list[Host]:
    return list(project.machines.values())


@pytest.fixture(scope="module")
def untouched(hosts: list[Host]) -> Untouched:
    """What is on each host's disk before anything is done to it."""
    return {host.name: written(host, LEFT_BY_OTHERS) for host in hosts}


def added(host: Host, untouched: Untouched) -> set[str]:
    """What is there now, or is other than before."""
    before, now = untouched[host.name], written(host, LEFT_BY_OTHERS)
    differing = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
    empty = {path for path in differing if path.startswith(EMPTY) and now.get(path, ("",))[0] == "directory"}
    return differing - empty


def test_bare_hosts_become_a_cluster(
    project: ClusterProject, hosts: list[Host], untouched: Untouched
) -> None:
    before = [host.upper_listing() for host in hosts]
    code, text = project.plan_code()
    assert code == 2, text
    for address in ("demo-control-plane/member/node@cp1", "demo-workers/member/node@w1"):
        assert f"# {address} will be created" in text
    assert [host.upper_listing() for host in hosts] == before, "a plan wrote to a host"

    project.apply(timeout=500)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()


def test_pods_of_both_nodes_are_reached_through_a_service(project: ClusterProject) -> None:
    address = project.serve(2)
    pods = project.pods_of_web()
    assert set(pods.values()) == {"cp1", "w1"}
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)


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
    address = project.serve(3)
    pods = project.pods_of_web()
    assert set(pods.values()) == {"cp1", "w1", "w2"}
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)


# which host, what somebody does to it, and the address that must be named
DRIFT = (
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
    for place, breaks, _ in DRIFT:
        hosts[place].run(breaks, check=True)
    report = project.run("drift")
    assert report.returncode == 2, report.stdout + report.stderr
    for _, _, address in DRIFT:
        assert address in report.stdout
    project.apply()
    project.assert_empty_plan()
    assert project.run("drift").stdout == ""
    project.await_ready("cp1", "w1", "w2")


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


def test_a_worker_leaves(project: ClusterProject, hosts: list[Host], untouched: Untouched) -> None:
    project.consist_of("cp1", "w1")
    assert "refused: pass --allow-destroy w2 to remove it" in project.plan_code()[1]
    project.apply("--allow-destroy", "w2", timeout=400)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    left = added(hosts[2], untouched)
    assert not left, " ".join(sorted(left))


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: list[Host], untouched: Untouched
) -> None:
    project.destroy(timeout=400)
    for host in hosts[:2]:
        left = added(host, untouched)
        assert not left, " ".join(sorted(left))
