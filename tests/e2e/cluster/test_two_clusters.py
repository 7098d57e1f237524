"""Two clusters in one project, each on a host of its own: made, changed and destroyed without the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import TESTBED
from tests.e2e.projects import API, ProjectDirectory
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
NAMES = ("blue", "green")


class TwoClusters(ProjectDirectory):
    """One node each, `b1` and `g1`, from one inventory."""

    def clusters(self, artifacts: Path, **green: object) -> None:
        """Write both documents; `green` is laid over that of green."""
        spec = TESTBED | {
            "kubernetes": {"version": "1.20.2", "schedulableControlPlanes": True},
            "artifacts": str(artifacts),
        }
        for name in NAMES:
            own = {"kubeconfig": {"path": str(self.root / f"kube/{name}")}}
            more = green if name == "green" else {}
            document = {
                "apiVersion": API,
                "kind": "Cluster",
                "metadata": {"name": name},
                "spec": spec | own | more,
            }
            (self.root / f"{name}.yaml").write_text(json.dumps(document))

    def inventory(self, hosts: object = None, **connection: object) -> None:
        listed = [
            {
                "name": f"{name[0]}1",
                "roles": ["control-plane", name],
                "connection": {"address": host.address},
            }
            for name, host in zip(NAMES, self.hosts, strict=True)
        ]
        self.write("Inventory", {"defaults": {"connection": self.connection()}, "hosts": listed})


@pytest.fixture(scope="module")
def hosts(cluster_hosts: ClusterHosts) -> list[Host]:
    return cluster_hosts(2)


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, cluster_hosts: ClusterHosts, hosts: list[Host], artifacts: Path
) -> TwoClusters:
    made = TwoClusters(tmp_path_factory.mktemp("two"), cluster_hosts.fleet, hosts)
    made.clusters(artifacts)
    return made


def nodes(host: Host) -> str:
    """The nodes that the API of this host knows, and whether they are ready."""
    ask = "kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf"
    host.run(f"{ask} wait --for=condition=Ready node --all --timeout=120s", timeout=130, check=True)
    return host.run(f"{ask} get nodes -o name", check=True).stdout


def test_both_from_bare_hosts(project: TwoClusters, hosts: list[Host], untouched: Before) -> None:
    project.apply(timeout=900)
    assert [nodes(host) for host in hosts] == ["node/b1\n", "node/g1\n"]
    for name, host in zip(NAMES, hosts, strict=True):
        found = (project.root / f"kube/{name}").read_text()
        assert f"server: https://{host.address}:6443" in found
        assert f"name: {name}" in found
    project.assert_empty_plan()


def test_one_changes_without_the_other(project: TwoClusters, hosts: list[Host], artifacts: Path) -> None:
    project.clusters(artifacts, nodes={"g1": {"labels": {"site": "berlin"}}})
    code, text = project.plan_code()
    assert code == 2, text
    assert [line.split()[1] for line in text.splitlines() if line.startswith("  # ")] == [
        'green-nodes/settings/node["g1"]@g1'
    ]
    project.apply()
    project.assert_empty_plan()


def test_one_is_destroyed_and_the_other_serves(
    project: TwoClusters, hosts: list[Host], untouched: Before
) -> None:
    blue, green = hosts
    done = project.run("destroy", "--auto-approve", "--target", "green-*", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blue-" not in done.stdout
    untouched.assert_again([green])
    assert not (project.root / "kube/green").exists()
    assert nodes(blue) == "node/b1\n"
    code, text = project.plan_code("--target", "blue-*")
    assert code == 0, text
    project.destroy(timeout=400)
    untouched.assert_again([blue])
