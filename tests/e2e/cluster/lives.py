"""What is asked of every cluster, however it is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

Drift = tuple[int, str, str]
"""The place of a host, what somebody does to it, and the address that must be named."""


def assert_becomes_a_cluster(
    project: ClusterProject, hosts: Iterable[Host], created: Iterable[str], nodes: Sequence[str]
) -> None:
    """A plan that creates these addresses and writes to no host; after an apply, nodes that are ready."""
    before = [host.upper_listing() for host in hosts]
    code, text = project.plan_code()
    assert code == 2, text
    for address in created:
        assert f"# {address} will be created" in text
    assert [host.upper_listing() for host in hosts] == before, "a plan wrote to a host"

    project.apply(timeout=500)
    project.await_ready(*nodes)
    project.assert_empty_plan()


def assert_drift_is_repaired(
    project: ClusterProject, hosts: Sequence[Host], drift: Iterable[Drift], nodes: Sequence[str]
) -> None:
    """All of it is named and put right."""
    for place, breaks, _ in drift:
        hosts[place].run(breaks, check=True)
    report = project.run("drift")
    assert report.returncode == 2, report.stdout + report.stderr
    for _, _, address in drift:
        assert address in report.stdout
    project.apply(timeout=400)
    project.await_ready(*nodes)
    project.assert_empty_plan()
    assert project.run("drift").stdout == ""


def assert_serves(project: ClusterProject, replicas: int, nodes: Iterable[str]) -> None:
    """Pods on these nodes, and all are reached from each through their service."""
    address = project.serve(replicas)
    pods = project.pods_of_web()
    assert set(pods.values()) == set(nodes)
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)


def await_kubelet(project: ClusterProject, version: str) -> None:
    """Wait until the API has heard of w1's kubelet."""
    ask = "kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf get node w1"
    asked = f"$({ask} -o 'jsonpath={{.status.nodeInfo.kubeletVersion}}')"
    done = f'until [ "{asked}" = {version} ]; do sleep 0.5; done'
    project.machines["cp1"].run(done, timeout=120, check=True)
