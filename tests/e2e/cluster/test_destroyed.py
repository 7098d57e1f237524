"""A cluster that was used is destroyed: its hosts are what they were before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
ROLES = {"cp1": "control-plane", "w1": "worker", "lb1": "load-balancer"}


def test_hosts_are_as_they_were(tmp_path: Path, cluster_hosts: ClusterHosts, artifacts: Path) -> None:
    hosts = cluster_hosts(len(ROLES))
    before = Before(hosts)
    project = ClusterProject(tmp_path, cluster_hosts.fleet, artifacts)
    project.describe(
        {name: (host, role) for host, (name, role) in zip(hosts, ROLES.items(), strict=True)},
        nodes={"w1": {"labels": {"disk": "ssd"}}},
    )
    project.apply(timeout=900)
    project.await_ready("cp1", "w1")
    # with pods, their interfaces and their rules
    address = project.serve(2)
    pods = project.pods_of_web()
    assert project.reached_from(next(iter(pods)), address, set(pods)) == set(pods)
    assert "+ services: kubelet.service" in before.since(hosts[1])

    project.destroy(timeout=600)
    before.assert_again(hosts)
