"""The only load balancer, whose address is the endpoint, has burnt: nodes come to another endpoint."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.endpoints import answered, nothing_says, reached_by

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
ROLES = {"cp1": "control-plane", "w1": "worker", "lb1": "load-balancer"}
NODES = ("cp1", "w1")


def test_an_endpoint_that_is_dead_is_left(new_cluster: NewCluster) -> None:
    project = new_cluster(ROLES)
    balancer = project.machines["lb1"]
    project.apply(timeout=900)
    project.await_ready(*NODES)
    project.assert_empty_plan()
    reached_by(project, f"{balancer.address}:6443")
    # pods are served by who is there, and nodes that the API cannot see keep theirs for some minutes
    with answered(project):
        balancer.crash()
        done = project.run("state", "forget", "--host", "lb1")
        assert done.returncode == 0, done.stdout + done.stderr
        project.consist_of(*NODES, endpoint={"host": "k8s.test"})
        project.apply(timeout=900)
    reached_by(project, "k8s.test:6443")
    project.assert_empty_plan()
    nothing_says(project, balancer.address, written=f"//{balancer.address}")
