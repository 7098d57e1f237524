"""A cluster whose Kubernetes comes from the hosts' package repositories, and whose images are pulled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import stamping, supply
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.debs import Repository, build
from tests.e2e.cluster.lives import assert_serves, await_kubelet
from tests.e2e.cluster.projects import TESTBED, ClusterProject
from tests.e2e.cluster.registry import Registry
from tests.e2e.cluster.running import Applying
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
PACKAGES = ("kubeadm", "kubectl", "kubelet")
MIRROR = {"mirrors": [f"http://{Registry.place}"]}
RUNTIME = TESTBED["containerRuntime"] | {"registries": {supply.REGISTRY: MIRROR, "docker.io": MIRROR}}
OLD, NEW = "1.20.2", "1.20.3"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProject]:
    made = new_cluster({"cp1": "control-plane", "w1": "worker"}, containerRuntime=RUNTIME)
    del made.spec["artifacts"]
    made.consist_of("cp1", "w1")
    artifacts, packages = stamping.stamped(), tmp_path_factory.mktemp("packages")
    for version in (OLD, NEW):
        build(artifacts, version, packages)
    repository = Repository(made.fleet, packages)
    with repository, Registry(made.fleet, sorted(artifacts.glob("images/**/*.tar"))):
        for host in made.machines.values():
            repository.known_to(host)
        yield made


def installed(host: Host) -> dict[str, str]:
    """Kubernetes' packages, and how they stand: `hold ok installed 1.20.2-00`."""
    ask = "dpkg-query -W -f '${Package} ${Status} ${Version}\\n' " + " ".join(PACKAGES)
    return dict(line.split(" ", 1) for line in host.run(ask).stdout.splitlines())


def all_at(version: str) -> dict[str, str]:
    return dict.fromkeys(PACKAGES, f"hold ok installed {version}-00")


def test_from_bare_hosts(project: ClusterProject, hosts: dict[str, Host]) -> None:
    code, text = project.plan_code()
    assert code == 2, text
    project.apply(timeout=500)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    assert {name: installed(host) for name, host in hosts.items()} == {"cp1": all_at(OLD), "w1": all_at(OLD)}
    assert_serves(project, 2, ("cp1", "w1"))


def test_an_upgrade_restarts_no_kubelet_before_its_turn(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    """Packages restart the kubelet that they bring, so it comes when the node is drained."""
    project.consist_of("cp1", "w1", kubernetes={"version": NEW})
    code, text = project.plan_code()
    assert code == 2, text
    assert f'~ kubeadm = "{OLD}-00" -> "{NEW}"' in text
    assert f'~ kubelet = "{OLD}-00"' not in text
    assert text.count(f'~ version = "{OLD}" -> "{NEW}"') == 2
    before = {name: started(host) for name, host in hosts.items()}
    with Applying(project) as run:
        assert run.until("apply_complete", "demo-control-plane/member/node@cp1"), run.said()
        assert installed(hosts["w1"]) == all_at(NEW) | {"kubelet": f"hold ok installed {OLD}-00"}
        assert run.wait(timeout=600) == 0, run.said()
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    assert {name: installed(host) for name, host in hosts.items()} == {"cp1": all_at(NEW), "w1": all_at(NEW)}
    assert all(started(host) != before[name] for name, host in hosts.items())


def test_somebody_takes_the_kubelet_back(project: ClusterProject, hosts: dict[str, Host]) -> None:
    worker = hosts["w1"]
    worker.run(
        f"apt-get -qq -y --allow-downgrades --allow-change-held-packages install kubelet={OLD}-00", check=True
    )
    await_kubelet(project, f"v{OLD}")
    code, text = project.plan_code()
    assert code == 2, text
    assert f'~ version = "{OLD}" -> "{NEW}"' in text
    project.apply(timeout=400)
    assert installed(worker) == all_at(NEW)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()


def test_the_end_of_it(project: ClusterProject, hosts: dict[str, Host]) -> None:
    project.destroy()
    for host in hosts.values():
        assert installed(host) == {}
        assert host.run("systemctl is-active kubelet").stdout.strip() == "inactive"


def started(host: Host) -> str:
    return host.run("systemctl show -P InvocationID kubelet").stdout
