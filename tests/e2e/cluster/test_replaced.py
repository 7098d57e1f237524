"""Workers that cannot join, or die: the others go on, and another takes the place. One control plane."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
ROLES = {"cp1": "control-plane", "w1": "worker", "w2": "worker", "w3": "worker"}
JOIN = "demo-workers/member/node@w2"
IN_THE_WAY = "/etc/kubernetes/manifests/mine.yaml"
"""kubeadm joins nothing where this is."""


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    return new_cluster(ROLES)


def everybody_is_reached(project: ClusterProject, *nodes: str) -> None:
    """A web server on each node, reached from the pods of each."""
    address = project.serve(len(nodes))
    pods = project.pods_of_web()
    assert set(pods.values()) == set(nodes)
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)


def test_a_worker_that_cannot_join_is_in_nobodys_way(project: ClusterProject) -> None:
    project.consist_of("cp1", "w1", "w2")
    w2 = project.machines["w2"]
    w2.run(f"mkdir -p {IN_THE_WAY.rpartition('/')[0]} && touch {IN_THE_WAY}", check=True)
    for _ in range(2):  # when the cluster is made, and when it is there
        done = project.run("apply", "--auto-approve", timeout=800)
        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        assert "Error: the apply is incomplete: 1 step failed, 4 steps skipped" in said
        assert f"{JOIN}: exit status 1: [ERROR DirAvailable--etc-kubernetes-manifests]: " in said
        project.await_ready("cp1", "w1")
        everybody_is_reached(project, "cp1", "w1")
        code, text = project.plan_code()
        assert code == 2, text
        assert f"# {JOIN} will be created" in text

    w2.run(f"rm {IN_THE_WAY}", check=True)
    project.apply(timeout=600)
    project.await_ready("cp1", "w1", "w2")
    project.assert_empty_plan()
    everybody_is_reached(project, "cp1", "w1", "w2")


def test_a_dead_worker_is_replaced(project: ClusterProject) -> None:
    project.machines["w2"].crash()
    project.consist_of("cp1", "w1", "w3", lostNodes=["w2"])
    code, text = project.plan_code()
    assert code == 1
    assert "the node w2 is Ready, so that its machine is not lost" in text
    project.kubectl("wait --for=condition=Ready=Unknown node/w2 --timeout=180s", timeout=190)
    forgotten = project.run("state", "forget", "--host", "w2")
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    code, text = project.plan_code()
    assert code == 2, text
    assert '# demo-control-plane/lost/node["w2"]@cp1 will be' in text
    project.apply(timeout=600)
    project.await_ready("cp1", "w1", "w3")
    project.assert_empty_plan()
    everybody_is_reached(project, "cp1", "w1", "w3")


def test_a_new_machine_under_the_name_of_a_worker(
    project: ClusterProject,
) -> None:
    """The API takes its predecessor for ready at first, and kubeadm would not join."""
    project.fleet.reinstall(project.machines["w3"])
    code, text = project.plan_code()
    assert code == 2, text
    assert "# demo-workers/member/node@w3 will be created\n  # (the host was reinstalled" in text
    project.apply(timeout=600)
    project.await_ready("cp1", "w1", "w3")
    project.assert_empty_plan()
    everybody_is_reached(project, "cp1", "w1", "w3")
