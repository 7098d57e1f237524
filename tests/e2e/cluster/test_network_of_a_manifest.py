"""A pod network and an addon that are manifests of the artifacts, on one control plane."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.services.artifacts import Named, add
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.copies import copied
from tests.e2e.cluster.projects import TESTBED, ClusterProject

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NETWORK = Path(__file__).parent / "network.yaml"
NEW = {"version": "1.20.2", "schedulableControlPlanes": True}


def net(**more: object) -> dict[str, object]:
    return {**TESTBED["network"], "plugin": "manifest", "artifact": "network", **more}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Path:
    """The artifacts of the session and the network besides."""
    made = tmp_path_factory.mktemp("artifacts") / "files"
    copied(artifacts, made)
    add(made, [NETWORK], Named(name="network", version="v1"))
    return made


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster, files: Path) -> ClusterProject:
    return new_cluster({"cp1": "control-plane"}, artifacts=files, kubernetes=NEW, network=net())


def test_nodes_are_ready_with_the_network_of_the_manifest(project: ClusterProject) -> None:
    code, text = project.plan_code()
    assert code == 2, text
    assert "# demo-network/manifest/objects@cp1 will be created" in text
    project.apply(timeout=600)
    project.await_ready("cp1")
    project.assert_empty_plan()


def test_pods_have_its_addresses_and_a_service_answers(project: ClusterProject) -> None:
    address = project.serve(1)
    [pod] = project.pods_of_web()
    assert project.kubectl(f"get pod {pod} -o jsonpath={{.status.podIP}}").startswith("10.244.0.")
    assert project.reached_from(pod, address, {pod}) == {pod}


def test_another_version_of_it_is_shown_and_applied(project: ClusterProject, files: Path) -> None:
    newer = project.root / "network.yaml"
    newer.write_text(NETWORK.read_text().replace('"isGateway": true', '"isGateway": true, "mtu": 1400'))
    add(files, [newer], Named(name="network", version="v2"))
    code, text = project.plan_code()
    assert code == 1
    assert "there are several manifests called network: v1, v2" in text
    project.consist_of("cp1", network=net(artifactVersion="v2"))
    code, text = project.plan_code()
    assert code == 2, text
    assert '"mtu": 1400' in text
    project.apply()
    project.assert_empty_plan()


def test_a_network_that_is_not_the_clusters_is_refused(project: ClusterProject, files: Path) -> None:
    other = project.root / "network.yaml"
    other.write_text(NETWORK.read_text().replace("10.244.0.0/16", "10.245.0.0/16").replace("1.35", "1.36"))
    add(files, [other], Named(name="network", version="v3"))
    project.consist_of("cp1", network=net(artifactVersion="v3"))
    code, text = project.plan_code()
    assert code == 1
    assert "the manifest has pods in 10.245.0.0/16, the cluster in 10.244.0.0/16" in text
    assert "the image docker.io/library/busybox:1.36 is not in the artifacts for amd64" in text
