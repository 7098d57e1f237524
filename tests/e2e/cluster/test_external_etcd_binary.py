"""Without kubeadm, and with etcd on a host of its own: control planes come and go."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.lives import assert_serves
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.test_external_etcd import ETCD, KUBERNETES
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    roles = {"etcd1": "etcd", "cp1": "control-plane", "cp2": "control-plane"}
    made = new_cluster(roles, etcd=ETCD, kubernetes=KUBERNETES | {"type": "binary"})
    made.consist_of("etcd1", "cp1", endpoint={"host": "k8s.test", "address": made.machines["cp1"].address})
    return made


@pytest.fixture(scope="module")
def before(hosts: dict[str, Host]) -> Before:
    return Before(hosts.values())


def test_it_comes_up_and_serves(project: ClusterProject, hosts: dict[str, Host], before: Before) -> None:
    project.apply(timeout=600)
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert_serves(project, 1, ("cp1",))
    assert hosts["cp1"].run("systemctl cat etcd").returncode != 0
    assert "--etcd-servers=https://10" in hosts["cp1"].run("systemctl cat kube-apiserver").stdout


def test_where_etcd_is_cannot_change(project: ClusterProject) -> None:
    project.describe({"cp1": project.members["cp1"]}, etcd={"extraArgs": ETCD["extraArgs"]})
    code, text = project.plan_code("--allow-destroy", "etcd1")
    assert code == 1, text
    assert "made with another value of etcd.type" in text
    project.consist_of("etcd1", "cp1", etcd=ETCD)


def test_a_control_plane_comes_and_goes(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    project.consist_of("etcd1", "cp1", "cp2")
    project.apply(timeout=500)
    project.await_ready("cp1", "cp2")
    project.assert_empty_plan()
    assert project.kubectl("get --raw /readyz", on="cp2") == "ok"

    project.consist_of("etcd1", "cp1")
    project.apply("--allow-destroy", "cp2", timeout=400)
    project.await_ready("cp1")
    project.assert_empty_plan()
    before.assert_again([hosts["cp2"]])


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    project.destroy(timeout=400)
    before.assert_again([hosts["etcd1"], hosts["cp1"]])
