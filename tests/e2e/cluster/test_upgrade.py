"""To the next minor version, and never back. The programs of 1.21 are those of 1.20, renamed."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import stamping
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import TESTBED

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]
MINOR = "v1.21.0"


def test_one_minor_version_at_a_time(new_cluster: NewCluster) -> None:
    project = new_cluster(
        {"cp1": "control-plane", "w1": "worker"},
        artifacts=stamping.stamped(MINOR),
        containerRuntime=TESTBED["containerRuntime"] | {"sandboxImage": "k8s.gcr.io/pause:3.2"},
        etcd=TESTBED["etcd"] | {"backup": {}},
    )
    hosts, members = project.machines, project.members
    project.apply(timeout=900)
    project.await_ready("cp1", "w1")
    address = project.serve(2)

    project.describe(members, kubernetes={"version": MINOR})
    code, text = project.plan_code()
    assert code == 2, text
    assert '~ version = "1.20.2" -> "1.21.0"' in text
    assert hosts["cp1"].run("ls /var/backups/etcd").returncode != 0, "the timer has taken a snapshot already"
    project.apply(timeout=900)
    project.await_ready("cp1", "w1")
    assert len(hosts["cp1"].run("ls /var/backups/etcd", check=True).stdout.split()) == 1
    versions = project.kubectl("get nodes -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
    assert versions.split() == [MINOR] * 2
    assert "kubelet-config-1.21" in project.kubectl("-n kube-system get configmaps -o name")
    project.assert_empty_plan()
    project.kubectl("rollout status deploy/web --timeout=120s", timeout=130)
    pods = project.pods_of_web()
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)

    project.describe(members, kubernetes={"version": "1.20.2"})
    code, text = project.plan_code()
    assert code == 1
    assert "upgrade one minor version at a time, and never back" in text
