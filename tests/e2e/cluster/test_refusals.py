"""What the plan of a cluster that is there says of hosts and APIs that are not as they should be."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host
from tests.e2e.traces import written

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROLES = {"cp1": "control-plane", "w1": "worker", "w2": "worker", "bare": "control-plane"}
LABELS = {"w1": {"labels": {"disk": "ssd"}}}
FORWARDING = 'os/kernel/parameter["net.ipv4.ip_forward"]@w1'
BUSY = ("var/lib/kubelet", "var/log", "var/lib/containerd", "var/lib/cni", "run")
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(ROLES)
    made.consist_of("cp1", "w1", "w2", nodes=LABELS)
    made.apply(timeout=700)
    made.await_ready("cp1", "w1", "w2")
    made.assert_empty_plan()
    return made


def test_a_member_of_another_cluster(project: ClusterProject, hosts: dict[str, Host], tmp_path: Path) -> None:
    """Somebody takes a worker of one cluster for a bare host of another one."""
    other = ClusterProject(tmp_path, project.fleet, Path(project.spec["artifacts"]), name="other")
    other.describe({"bare": (hosts["bare"], "control-plane"), "n1": (hosts["w1"], "worker")})
    before = {name: disk(host) for name, host in hosts.items()}
    code, text = other.plan_code()
    assert code == 1
    assert "this host is a member of another cluster (cluster demo), not of other (" in text
    assert "if it may leave that one, run `kubeadm reset` there first" in text
    assert "which cannot change: put it back, or take the host out if it is another cluster's" in text
    assert 'other-os/names/entry["n1"]@n1 manages an object that another project manages' in text
    assert {name: disk(host) for name, host in hosts.items()} == before


def test_a_worker_that_trusts_another_authority(project: ClusterProject, hosts: dict[str, Host]) -> None:
    """It comes from a cluster of the same name and address, which was made anew meanwhile."""
    other, worker = hosts["cp1"].read("/etc/kubernetes/pki/front-proxy-ca.crt"), hosts["w1"]
    assert other is not None
    data = base64.b64encode(other.encode()).decode()
    conf = "/etc/kubernetes/kubelet.conf"
    worker.run(f"cp -p {conf} /root/kubelet.conf", check=True)
    worker.run(
        f"sed -i 's|certificate-authority-data: .*|certificate-authority-data: {data}|' {conf}", check=True
    )
    try:
        code, text = project.plan_code()
    finally:
        worker.run(f"mv /root/kubelet.conf {conf}", check=True)
    assert code == 1
    assert "member of another cluster (it trusts another CA than that of the API), not of demo" in text
    assert "with demo-workers/member/node@w1" in text
    project.assert_empty_plan()


def test_the_only_control_plane_cannot_leave(project: ClusterProject, hosts: dict[str, Host]) -> None:
    before = {name: disk(host) for name, host in hosts.items()}
    project.consist_of("w1", "w2")
    code, text = project.plan_code("--allow-destroy", "cp1")
    assert code == 1
    assert "cluster 'demo' has no control plane" in text
    address = hosts["cp1"].address
    project.consist_of("bare", "w1", "w2", endpoint={"host": address})
    code, text = project.plan_code("--allow-destroy", "cp1")
    project.consist_of("cp1", "w1", "w2", endpoint={})
    assert code == 1
    assert "without cp1 cluster demo has no control plane, and bare, w1 and w2 would be left with" in text
    assert "add bare and apply, and take cp1 out afterwards" in text
    assert {name: disk(host) for name, host in hosts.items()} == before


def test_the_api_server_is_down(project: ClusterProject, hosts: dict[str, Host]) -> None:
    """What hosts can tell is told; what only the API can is unknown, and said to be, with the reason."""
    cp1 = hosts["cp1"]
    cp1.run(f"mv {MANIFEST} /root/held.yaml", check=True)
    cp1.run("while pgrep -x kube-apiserver; do sleep 0.2; done", timeout=120)
    hosts["w1"].run("sysctl -qw net.ipv4.ip_forward=0", check=True)
    code, text = project.plan_code()
    assert code == 2, text
    changes = dict(change.split(" ", 1) for change in text.split("\n  # demo-")[1:])
    for address in ("control-plane/components/manifests@cp1", FORWARDING):
        assert "(drift: the host changed since it was last applied)" in changes[address]
    for address in ("network/bridge/pods@cp1", "network/bridge/pods@w1", 'nodes/settings/node["w1"]@cp1'):
        assert "# could not be observed: the API does not answer: The connection" in changes[address]
        assert "drift" not in changes[address]
    assert "2 changes put right what changed on the hosts." in text
    drift = project.run("drift")
    assert drift.returncode == 2, drift.stdout + drift.stderr
    assert "Drift: 2 steps on 2 hosts." in drift.stdout
    assert "Not observed: demo-network/bridge/pods@cp1,w[1,2]" in drift.stdout

    project.apply(timeout=400)
    assert cp1.read(MANIFEST) == cp1.read("/root/held.yaml")
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()


def test_a_node_that_is_down_holds_up_no_other(project: ClusterProject, hosts: dict[str, Host]) -> None:
    """A DaemonSet would replace no pod while one is not available; here the others are replaced."""
    hosts["w2"].crash()
    project.kubectl("wait --for=condition=Ready=Unknown node/w2 --timeout=180s", timeout=190)
    before = proxies(project)
    config = project.spec["kubeProxy"]["config"] | {"iptables": {"syncPeriod": "45s"}}
    project.describe(project.members, kubeProxy={"config": config})
    done = project.run("apply", "--auto-approve", timeout=400)
    said = done.stdout + done.stderr
    assert "demo-configuration/cluster/kubeadm@cp1" in said
    assert "failed=0" in said
    after = proxies(project)
    assert [name for name in sorted(before) if before[name] == after[name]] == ["w2"]
    code, text = project.plan_code()
    assert code == 0, text
    assert "kube-proxy still runs with an earlier configuration on 1 of 3 nodes" in " ".join(text.split())

    hosts["w2"].start()
    hosts["w2"].wait_ready()
    project.await_ready("cp1", "w1", "w2")
    project.kubectl("-n kube-system rollout status daemonset/kube-proxy --timeout=120s", timeout=130)
    assert not {*proxies(project).values()} & {*before.values()}
    project.assert_empty_plan()


def proxies(project: ClusterProject) -> dict[str, str]:
    """The pod of kube-proxy on each node."""
    form = "{range .items[*]}{.spec.nodeName} {.metadata.name} {end}"
    words = project.kubectl(f"-n kube-system get pods -l k8s-app=kube-proxy -o 'jsonpath={form}'").split()
    return dict(zip(words[::2], words[1::2], strict=True))


def test_a_host_that_does_not_answer_cannot_leave(project: ClusterProject, hosts: dict[str, Host]) -> None:
    hosts["w2"].crash()
    project.consist_of("cp1", "w1")
    code, text = project.plan_code()
    assert code == 2, text
    assert "refused: pass --allow-destroy w2 to remove it" in text
    before = {name: disk(hosts[name]) for name in ("cp1", "w1")}
    done = project.run("apply", "--auto-approve", "--allow-destroy", "w2", timeout=300)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1, said
    assert f"Error: w2 is unreachable: {hosts['w2'].address} port 22: connection refused" in said
    assert "If it is gone for good, forget it (`kubexms state forget --host w2`)" in said
    assert {name: disk(hosts[name]) for name in ("cp1", "w1")} == before

    forgotten = project.run("state", "forget", "--host", "w2")
    assert forgotten.returncode == 0, forgotten.stderr
    project.kubectl("wait --for=condition=Ready=Unknown node/w2 --timeout=180s", timeout=190)
    project.consist_of("cp1", "w1", lostNodes=["w2"])
    project.apply()
    project.await_ready("cp1", "w1")


def disk(host: Host) -> dict[str, tuple[str, ...]]:
    """What is on it, but for what a cluster that runs writes all the time."""
    return written(host, BUSY)
