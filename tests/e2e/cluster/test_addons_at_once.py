"""Addons of every origin in the first apply of a bare host, and what is left when the cluster goes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubexms.services.artifacts import Named, add
from tests.e2e.cluster import helm
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.copies import copied
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
SHOP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""
GENERATED = "configMapGenerator:\n  - {name: page, literals: [index.html=one]}\n"


@pytest.fixture(scope="module")
def project(
    new_cluster: NewCluster, artifacts: Path, tmp_path_factory: pytest.TempPathFactory
) -> ClusterProject:
    directory = tmp_path_factory.mktemp("artifacts")
    try:
        program = helm.program()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"there is no helm to be had: {error}")
    files = directory / "files"
    copied(artifacts, files)
    add(files, [program], Named(version=helm.VERSION))
    add(files, [helm.chart(directory, "0.1.0")], Named(name="web", version="0.1.0"))
    (directory / "shop.yaml").write_text(SHOP)
    add(files, [directory / "shop.yaml"], Named(name="shop", version="v1"))
    project = new_cluster({"cp1": "control-plane"}, artifacts=files)
    (project.root / "base").mkdir()
    (project.root / "base/kustomization.yaml").write_text(GENERATED)
    addons = [
        {"name": "shop", "artifact": "shop"},
        {"name": "page", "kustomize": "base"},
        {"name": "web", "helm": {"chart": "web", "namespace": "web"}},
    ]
    kubernetes = {"version": "1.20.2", "schedulableControlPlanes": True}
    project.consist_of("cp1", kubernetes=kubernetes, addons=addons)
    return project


@pytest.fixture(scope="module")
def hosts(project: ClusterProject) -> list[Host]:
    return list(project.machines.values())


def test_a_bare_host_gets_all_of_them_in_one_apply(project: ClusterProject, untouched: Before) -> None:
    project.apply(timeout=600)
    project.assert_empty_plan()
    project.kubectl("get configmap a -n shop")
    project.kubectl("get deployment web -n web")
    assert "page-" in project.kubectl("get configmaps -o name")


def test_an_image_that_is_named_by_its_digest_is_not_found(
    project: ClusterProject, hosts: list[Host]
) -> None:
    """Why such a manifest is refused: imported images are known by name and tag."""
    listed = hosts[0].run("ctr -n k8s.io images ls name==docker.io/library/busybox:1.35", check=True).stdout
    [digest] = [word for word in listed.split() if word.startswith("sha256:")]
    image = f"docker.io/library/busybox@{digest}"
    project.kubectl(f"run digest --image {image} --image-pull-policy Never --command -- sleep 1000")
    reason = "{.status.containerStatuses[0].state.waiting.reason}"
    hosts[0].run(
        "for i in $(seq 60); do kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf "
        f"get pod digest -o jsonpath='{reason}' | grep -q Never && break; sleep 1; done",
        timeout=100,
    )
    assert project.kubectl(f"get pod digest -o jsonpath='{reason}'") == "ErrImageNeverPull"
    project.kubectl("delete pod digest --now")


def test_nothing_is_left_of_them(project: ClusterProject, hosts: list[Host], untouched: Before) -> None:
    project.destroy(timeout=400)
    untouched.assert_again(hosts)
