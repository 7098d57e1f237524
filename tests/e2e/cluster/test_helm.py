"""A release of a chart, by a real helm, on one control plane."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from kubexms.services.artifacts import Named, add
from tests.e2e.cluster import helm
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.copies import copied
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
STEP = "demo-addons/manifests/shop@cp1"
NEW = {"version": "1.20.2", "schedulableControlPlanes": True}
VALUES = {"replicas": 1, "password": "not-shown-anywhere"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Path:
    """The artifacts of the session, helm and a chart in two versions."""
    try:
        program = helm.program()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"there is no helm to be had: {error}")
    directory = tmp_path_factory.mktemp("artifacts")
    made = directory / "files"
    copied(artifacts, made)
    add(made, [program], Named(version=helm.VERSION))
    for version in ("0.1.0", "0.2.0"):
        add(made, [helm.chart(directory, version)], Named(name="web", version=version))
    return made


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster, files: Path) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane"}, artifacts=files, kubernetes=NEW)
    made.apply(timeout=600)
    made.await_ready("cp1")
    return made


def release(project: ClusterProject, version: str = "0.1.0", **values: object) -> None:
    """The document has the release of this version and with these values besides."""
    found = {"chart": "web", "chartVersion": version, "namespace": "web", "values": VALUES | values}
    project.consist_of("cp1", addons=[{"name": "shop", "helm": found | {"waitSeconds": 120}}])


def history(host: Host) -> list[tuple[int, str, str]]:
    """Revisions with their states and charts, as helm tells them."""
    done = host.run("helm --kubeconfig /etc/kubernetes/admin.conf -n web history shop -o json", check=True)
    return [(one["revision"], one["status"], one["chart"]) for one in json.loads(done.stdout)]


def deployed(project: ClusterProject) -> dict[str, object]:
    found: dict[str, object] = json.loads(project.kubectl("get deploy shop -n web -o json"))["spec"]
    return found


def test_a_chart_is_installed(project: ClusterProject, hosts: dict[str, Host]) -> None:
    release(project)
    code, text = project.plan_code()
    assert code == 2, text
    assert f"# {STEP} will be created" in text
    assert '"web-0.1.0"' in text
    project.apply(timeout=300)
    assert history(hosts["cp1"]) == [(1, "deployed", "web-0.1.0")]
    project.assert_empty_plan()
    assert not hosts["cp1"].run("ls -d /root/.cache/helm /root/.kube 2>/dev/null").stdout


def test_other_values_are_another_revision(project: ClusterProject, hosts: dict[str, Host]) -> None:
    release(project, replicas=2)
    code, text = project.plan_code()
    assert code == 2, text
    assert '"replicas"' in text
    project.apply(timeout=300)
    assert deployed(project)["replicas"] == 2
    assert history(hosts["cp1"])[-1] == (2, "deployed", "web-0.1.0")
    project.assert_empty_plan()


def test_another_version_of_the_chart(project: ClusterProject, hosts: dict[str, Host]) -> None:
    release(project, "0.2.0", replicas=2)
    assert '"web-0.1.0" -> "web-0.2.0"' in project.plan_code()[1]
    project.apply(timeout=300)
    assert history(hosts["cp1"])[-1] == (3, "deployed", "web-0.2.0")
    project.assert_empty_plan()


def test_what_somebody_changed_is_named_and_put_right(project: ClusterProject) -> None:
    project.kubectl("scale deploy shop -n web --replicas=1")
    project.kubectl("delete service shop -n web")
    project.kubectl('patch secret shop -n web -p \'{"stringData": {"password": "another"}}\'')
    text = project.run("drift").stdout
    states = '"Deployment web/shop": "differs", "Secret web/shop": "differs", "Service web/shop": "missing"'
    assert states in text, text
    assert "replicas: 2" in project.plan_code()[1]
    assert "not-shown-anywhere" not in text
    project.apply(timeout=300)
    assert deployed(project)["replicas"] == 2
    project.assert_empty_plan()


def test_a_release_that_failed_is_told_and_recovered(project: ClusterProject, hosts: dict[str, Host]) -> None:
    release(project, "0.2.0", image="docker.io/library/nothing:1")
    project.spec["addons"][0]["helm"]["waitSeconds"] = 5
    project.consist_of("cp1")
    assert project.run("apply", "--auto-approve", timeout=300).returncode == 1
    assert history(hosts["cp1"])[-1][1] == "failed"
    release(project, "0.2.0", replicas=2)
    text = project.plan_code()[1]
    assert '"failed" -> "deployed"' in text
    assert "# note: it is failed: Upgrade" in text
    project.apply(timeout=300)
    project.assert_empty_plan()


def test_a_release_that_helm_was_cut_off_at_is_recovered(
    project: ClusterProject, hosts: dict[str, Host], tmp_path: Path
) -> None:
    chart = helm.chart(tmp_path, "0.3.0")
    hosts["cp1"].run(
        "base64 -d >/root/web.tgz", stdin=base64.b64encode(chart.read_bytes()).decode(), check=True
    )
    cut_off = (
        "timeout -s KILL 6 helm --kubeconfig /etc/kubernetes/admin.conf -n web upgrade shop /root/web.tgz "
        "--set image=docker.io/library/nothing:1 --wait --timeout 300s; "
        "rm -rf /root/web.tgz /root/.cache /root/.kube"
    )
    hosts["cp1"].run(cut_off)
    assert history(hosts["cp1"])[-1][1] == "pending-upgrade"
    text = project.plan_code()[1]
    assert '"pending-upgrade" -> "deployed"' in text
    assert "helm was cut off, or is at work elsewhere" in text
    project.apply(timeout=400)
    assert history(hosts["cp1"])[-1][1:] == ("deployed", "web-0.2.0")
    project.assert_empty_plan()


def test_a_release_that_leaves_is_uninstalled(project: ClusterProject, hosts: dict[str, Host]) -> None:
    project.consist_of("cp1", addons=[])
    assert f"# {STEP} will be destroyed" in project.plan_code()[1]
    project.apply(timeout=300)
    project.assert_empty_plan()
    assert not json.loads(project.kubectl("get deploy,svc -n web -o json"))["items"]
    assert hosts["cp1"].run("command -v helm").returncode != 0
