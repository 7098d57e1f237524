"""To the next minor version, and never back. The programs of 1.21 are those of 1.20, renamed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kubexms.config.artifacts import load_artifacts
from tests.e2e.cluster import stamping
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.lives import await_kubelet
from tests.e2e.cluster.projects import TESTBED, ClusterProject

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]
MINOR = "v1.21.0"
KUBELET = "/usr/local/bin/kubelet"


def versions(project: ClusterProject) -> dict[str, str]:
    """Each node's kubelet, as the API knows it."""
    nodes = json.loads(project.kubectl("get nodes -o json"))["items"]
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}


def assert_newer_kubelet_is_refused(project: ClusterProject) -> None:
    """Somebody upgrades a worker by hand, before its control plane."""
    worker, found = project.machines["w1"], load_artifacts(Path(project.spec["artifacts"]))
    newer = found.find("kubelet", arch="amd64", version=MINOR)
    assert newer is not None
    worker.run(f"cp -p {KUBELET} /root/kubelet", check=True)
    shutil.copy(found.path(newer), f"/proc/{worker.init}/root{KUBELET}.new")
    worker.run(
        f"chmod +x {KUBELET}.new && mv {KUBELET}.new {KUBELET} && systemctl restart kubelet", check=True
    )
    await_kubelet(project, MINOR)
    code, text = project.plan_code()
    assert code == 1
    assert "the kubelet of this node is 1.21.0, and no kubelet may be newer than its API server" in text
    worker.run(f"mv /root/kubelet {KUBELET} && systemctl restart kubelet", check=True)
    await_kubelet(project, "v1.20.2")
    project.assert_empty_plan()


def test_one_minor_version_at_a_time(new_cluster: NewCluster) -> None:
    project = new_cluster(
        {"cp1": "control-plane", "w1": "worker", "w2": "worker"},
        artifacts=stamping.stamped(MINOR),
        containerRuntime=TESTBED["containerRuntime"] | {"sandboxImage": "k8s.gcr.io/pause:3.2"},
        etcd=TESTBED["etcd"] | {"backup": {}},
    )
    hosts = project.machines
    project.consist_of("cp1", "w1")
    project.apply(timeout=900)
    project.await_ready("cp1", "w1")
    address = project.serve(2)
    assert_newer_kubelet_is_refused(project)

    project.consist_of("cp1", "w1", kubernetes={"version": MINOR})
    code, text = project.plan_code()
    assert code == 2, text
    assert '~ version = "1.20.2" -> "1.21.0"' in text
    assert hosts["cp1"].run("ls /var/backups/etcd").returncode != 0, "the timer has taken a snapshot already"
    # half of it: the worker keeps its kubelet, and a new one comes meanwhile
    project.apply("--target", "demo-control-plane/*", timeout=900)
    assert versions(project) == {"cp1": MINOR, "w1": "v1.20.2"}
    project.consist_of("cp1", "w1", "w2")
    project.apply(timeout=900)
    project.await_ready("cp1", "w1", "w2")
    assert len(hosts["cp1"].run("ls /var/backups/etcd", check=True).stdout.split()) == 1
    assert set(versions(project).values()) == {MINOR}
    assert "kubelet-config-1.21" in project.kubectl("-n kube-system get configmaps -o name")
    project.assert_empty_plan()
    project.kubectl("rollout status deploy/web --timeout=120s", timeout=130)
    pods = project.pods_of_web()
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)

    project.consist_of("cp1", "w1", "w2", kubernetes={"version": "1.20.2"})
    code, text = project.plan_code()
    assert code == 1
    assert "upgrade one minor version at a time, and never back" in text
