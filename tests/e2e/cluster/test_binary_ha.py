"""Three control planes without kubeadm behind haproxy: up, a flag rolled, what is refused, and down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.test_binary import KUBERNETES, PKI, serial, started
from tests.e2e.testbed import Host

PLANES = ("cp1", "cp2", "cp3")
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def hosts(cluster_hosts: ClusterHosts) -> list[Host]:
    return cluster_hosts(5)


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, cluster_hosts: ClusterHosts, hosts: list[Host], artifacts: Path
) -> ClusterProject:
    project = ClusterProject(tmp_path_factory.mktemp("cluster"), cluster_hosts.fleet, artifacts)
    members = {name: (host, "control-plane") for name, host in zip(PLANES, hosts, strict=False)}
    project.describe(
        {**members, "w1": (hosts[3], "worker"), "lb": (hosts[4], "load-balancer")}, kubernetes=KUBERNETES
    )
    return project


def etcd_members(host: Host) -> dict[str, bool]:
    """Names of the members, and whether each is healthy."""
    tls = f"--cacert {PKI}/etcd/ca.crt --cert {PKI}/etcd/server.crt --key {PKI}/etcd/server.key"
    etcdctl = f"ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 {tls} -w json"
    members = json.loads(host.run(f"{etcdctl} member list", check=True).stdout)["members"]
    healthy = json.loads(host.run(f"{etcdctl} endpoint health --cluster").stdout)
    up = {entry["endpoint"] for entry in healthy if entry["health"]}
    return {member["name"]: member["clientURLs"][0] in up for member in members}


def test_three_control_planes_from_bare_hosts(
    project: ClusterProject, hosts: list[Host], untouched: Before
) -> None:
    project.apply(timeout=900)
    project.await_ready(*PLANES, "w1")
    project.assert_empty_plan()
    assert etcd_members(hosts[0]) == dict.fromkeys(PLANES, True)
    assert len({serial(host, "ca") for host in hosts[:4]}) == 1
    assert len({serial(host, "apiserver") for host in hosts[:3]}) == 3


def test_a_flag_is_rolled(project: ClusterProject, hosts: list[Host]) -> None:
    before = [started(host, "kube-apiserver", "etcd") for host in hosts[:3]]
    project.describe(
        project.members,
        kubernetes={**KUBERNETES, "apiServer": {"extraArgs": {"event-ttl": "2h"}}},
        etcd={
            "extraArgs": {"heartbeat-interval": "500", "election-timeout": "5000", "snapshot-count": "9000"}
        },
    )
    project.apply(timeout=600)
    project.await_ready(*PLANES, "w1")
    project.assert_empty_plan()
    after = [started(host, "kube-apiserver", "etcd") for host in hosts[:3]]
    assert not {unit for units in before for unit in units} & {unit for units in after for unit in units}
    assert etcd_members(hosts[0]) == dict.fromkeys(PLANES, True)


def test_members_are_fixed(project: ClusterProject) -> None:
    fewer = {name: member for name, member in project.members.items() if name not in ("cp2", "cp3")}
    members = project.members
    project.describe(fewer)
    code, text = project.plan_code("--allow-destroy", "cp2", "--allow-destroy", "cp3")
    assert code == 1, text
    assert "etcd's members are fixed when a cluster is made" in text
    project.describe(members)


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: list[Host], untouched: Before
) -> None:
    # its Deployment changes by itself while the plan and the removal look at it
    project.kubectl("-n kube-system delete pod -l k8s-app=kube-dns --wait=false")
    project.destroy(timeout=900)
    untouched.assert_again(hosts)
