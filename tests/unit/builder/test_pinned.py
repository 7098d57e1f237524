"""Manifests from the artifacts: what is built of them, and what is wrong with them for this cluster."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kubexms.config.project import LoadedProject
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec
from tests.unit.builder.clusters import cluster, load
from tests.unit.config.projects import told

ZERO = "0" * 64
FLANNEL = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  net-conf.json: |
    {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  template:
    spec:
      initContainers:
        - {name: install-cni-plugin, image: "ghcr.io/flannel-io/flannel-cni-plugin:v1.4.1"}
      containers:
        - name: kube-flannel
          image: busybox:1.35
      volumes:
        - {name: cni-plugin, hostPath: {path: /opt/cni/bin}}
"""
CALICO = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
        - name: calico-node
          env:
            - {name: CALICO_IPV4POOL_CIDR, value: 192.168.0.0/16}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: half}
spec: {cidr: 10.244.128.0/17}
---
apiVersion: operator.tigera.io/v1
kind: Installation
metadata: {name: default}
spec:
  calicoNetwork:
    ipPools:
      - cidr: fd00::/64
      - cidr: 10.245.0.0/16
"""
CILIUM = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data:
  ipam: cluster-pool
  cluster-pool-ipv4-cidr: 10.244.0.0/17 10.0.0.0/8
"""


def build(
    tmp_path: Path, text: str, *, name: str = "net", version: str = "v1", packages: bool = True, **spec: Json
) -> LoadedProject:
    """A cluster whose artifacts have this manifest; with its programs and one image unless from packages."""
    directory = tmp_path / "files"
    directory.mkdir(exist_ok=True)
    (directory / "net.yaml").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    entries: list[Json] = [
        {"name": name, "kind": "manifest", "version": version, "file": "net.yaml", "sha256": digest}
    ]
    if not packages:
        entries += [_entry(name, "binary", "v1.31.4") for name in ("kubeadm", "kubelet", "kubectl", "crictl")]
        images = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
        entries += [_image(image, "v1.31.4", f"registry.k8s.io/{image}:v1.31.4") for image in images]
        entries.append(_image("busybox", "1.35", "docker.io/library/busybox:1.35"))
        (directory / "file").write_text("")
    (directory / "artifacts.yaml").write_text(
        dump_yaml(
            {
                "apiVersion": "kubexms.io/v1alpha1",
                "kind": "Artifacts",
                "metadata": {"name": "files"},
                "spec": {"entries": entries},
            }
        )
    )
    kubernetes: dict[str, Json] = {"version": "1.31.4"}
    if packages:
        kubernetes["source"] = "packages"
    runtime: dict[str, Json] = {"source": "packages", "cniBinDir": "/opt/cni/bin"}
    given: dict[str, Json] = {
        "artifacts": "files",
        "kubernetes": kubernetes,
        "containerRuntime": runtime,
        "network": {"plugin": "manifest", "artifact": "net"},
    }
    return load(tmp_path, cluster(**(given | spec)))


def _entry(name: str, kind: str, version: str) -> dict[str, Json]:
    found: dict[str, Json] = {"name": name, "kind": kind, "version": version, "arch": "amd64"}
    return {**found, "file": "file", "sha256": ZERO}


def _image(name: str, version: str, ref: str) -> dict[str, Json]:
    return {**_entry(name, "image", version), "ref": ref, "digest": f"sha256:{ZERO}"}


def problems(tmp_path: Path, text: str, **more: Json) -> list[str]:
    """What is said, each on one line: `summary at file:line:column path`."""
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, text, **more)  # type: ignore[arg-type]  # words of the document, and `packages`
    lines = told(caught.value.diagnostics, tmp_path).split("\n\n")
    return [" ".join(line.strip() for line in block.splitlines()[:2]) for block in lines]


def steps(loaded: LoadedProject, module: str) -> dict[str, StepSpec]:
    return {
        f"{task.name}/{step.name}": step
        for found in loaded.pipeline.modules
        if found.name == module
        for task in found.tasks
        for step in task.steps
    }


def test_the_network_is_a_manifest_of_the_artifacts(tmp_path: Path) -> None:
    loaded = build(tmp_path, FLANNEL)
    [(path, step)] = steps(loaded, "demo-network").items()
    assert path == "manifest/objects"
    assert (step.kind, step.run_once) == ("manifest", True)
    assert step.args == {"source": "files/net.yaml", "set": "network.demo"}


def test_an_addon_is_one_too(tmp_path: Path) -> None:
    addons: Json = [
        {"name": "Metrics_1", "artifact": "net", "artifactVersion": "v1"},
        {"name": "metrics-1", "artifact": "net"},
    ]
    found = steps(build(tmp_path, FLANNEL, addons=addons, network={}), "demo-addons")
    assert {step.args["source"] for step in found.values()} == {"files/net.yaml"}
    sets = [step.args["set"] for step in found.values()]
    assert sets == ["demo.metrics-1-b880dc", "demo.metrics-1"]


def test_flannel_has_the_clusters_network(tmp_path: Path) -> None:
    wrong = FLANNEL.replace("10.244.0.0/16", "10.244.0.0/17")
    assert problems(tmp_path, wrong) == [
        (
            "error: the manifest has pods in 10.244.0.0/17, the cluster in 10.244.0.0/16 "
            "at files/net.yaml:5:18 data['net-conf.json']"
        )
    ]


def test_pools_of_calico_are_within_the_clusters_network(tmp_path: Path) -> None:
    assert problems(tmp_path, CALICO) == [
        (
            "error: the manifest has pods in 192.168.0.0/16, the cluster in 10.244.0.0/16 "
            "at files/net.yaml:10:51 spec.template.spec.containers[0].env[0].value"
        ),
        (
            "error: the manifest has pods in 10.245.0.0/16, the cluster in 10.244.0.0/16 "
            "at files/net.yaml:24:15 spec.calicoNetwork.ipPools[1].cidr"
        ),
    ]


def test_pools_of_cilium_are_too_unless_kubernetes_says_which(tmp_path: Path) -> None:
    assert problems(tmp_path, CILIUM) == [
        (
            "error: the manifest has pods in 10.0.0.0/8, the cluster in 10.244.0.0/16 "
            "at files/net.yaml:6:27 data.cluster-pool-ipv4-cidr"
        )
    ]
    build(tmp_path, CILIUM.replace("ipam: cluster-pool", "ipam: kubernetes"))


def test_what_is_no_network_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, CILIUM.replace("10.0.0.0/8", "10.0.0.1/8"))[0].startswith(
        "error: '10.0.0.1/8' is no network at files/net.yaml:6:27"
    )


def test_plugins_go_where_containerd_looks(tmp_path: Path) -> None:
    assert problems(tmp_path, FLANNEL, containerRuntime={"source": "packages"}) == [
        (
            "error: the manifest puts CNI plugins into /opt/cni/bin, and containerd looks into /usr/lib/cni "
            "at files/net.yaml:20:47 spec.template.spec.volumes[0].hostPath.path"
        )
    ]


def test_images_are_in_the_artifacts_where_nodes_ask_nobody(tmp_path: Path) -> None:
    assert problems(tmp_path, FLANNEL, packages=False) == [
        (
            "error: the image ghcr.io/flannel-io/flannel-cni-plugin:v1.4.1 is not in the artifacts for amd64 "
            "at files/net.yaml:15:45 spec.template.spec.initContainers[0].image"
        )
    ]
    mirrors: Json = {"ghcr.io": {"mirrors": ["https://mirror.example.com"]}}
    runtime: dict[str, Json] = {"source": "packages", "cniBinDir": "/opt/cni/bin", "registries": mirrors}
    build(tmp_path, FLANNEL, packages=False, containerRuntime=runtime)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (
            "busybox:1.35\n          imagePullPolicy: Always",
            "docker.io/library/busybox:1.35 is pulled at every start",
        ),
        ("busybox", "docker.io/library/busybox:latest is not in the artifacts for amd64"),
        ("library/busybox:1.36", "docker.io/library/busybox:1.36 is not in the artifacts for amd64"),
        ("localhost/busybox:1.35", "localhost/busybox:1.35 is not in the artifacts for amd64"),
        (f"busybox@sha256:{ZERO}", f"busybox@sha256:{ZERO} is named by its digest"),
    ],
)
def test_an_image_that_a_node_would_not_find(image: str, said: str, tmp_path: Path) -> None:
    text = FLANNEL.replace("ghcr.io/flannel-io/flannel-cni-plugin:v1.4.1", "busybox:1.35")
    text = text.replace("image: busybox:1.35", f"image: {image}")
    [problem] = problems(tmp_path, text, packages=False)
    assert (
        problem == f"error: the image {said} at files/net.yaml:18:18 spec.template.spec.containers[0].image"
    )


def test_a_manifest_that_was_replaced_is_refused(tmp_path: Path) -> None:
    build(tmp_path, FLANNEL)
    (tmp_path / "files/net.yaml").write_text(CILIUM)
    with pytest.raises(ConfigError) as caught:
        load_again(tmp_path)
    text = told(caught.value.diagnostics, tmp_path)
    assert "error: net.yaml has another digest\n  at files/artifacts.yaml:" in text
    assert "spec.entries[0].sha256" in text
    (tmp_path / "files/net.yaml").unlink()
    with pytest.raises(ConfigError, match=r"net\.yaml cannot be read: No such file or directory"):
        load_again(tmp_path)


def load_again(tmp_path: Path) -> LoadedProject:
    return load(tmp_path, (tmp_path / "cluster.yaml").read_text())


def test_a_manifest_that_is_no_yaml_is_told_at_its_line(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "kind: [A\n")
    assert "this '[' is not closed at files/net.yaml:1:7" in problem


def charts(tmp_path: Path, release: dict[str, Json] | None = None, *, program: bool = True) -> LoadedProject:
    """A cluster with a release of the chart `web`; the artifacts have helm for its machines, or not."""
    directory = tmp_path / "files"
    directory.mkdir(exist_ok=True)
    (directory / "web.tgz").write_bytes(b"a chart")
    (directory / "file").write_text("")
    digest = hashlib.sha256(b"a chart").hexdigest()
    entries: list[Json] = [
        {"name": "web", "kind": "archive", "version": "0.1.0", "file": "web.tgz", "sha256": digest},
        _entry("kubelet", "binary", "v1.31.4"),
    ]
    if program:
        entries.append(_entry("helm", "binary", "v3.17.3"))
    head: dict[str, Json] = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Artifacts",
        "metadata": {"name": "f"},
    }
    (directory / "artifacts.yaml").write_text(dump_yaml({**head, "spec": {"entries": entries}}))
    document = cluster(
        artifacts="files",
        kubernetes={"version": "1.31.4", "source": "packages"},
        containerRuntime={"source": "packages"},
        addons=[{"name": "shop", "helm": {"chart": "web", **(release or {})}}],
    )
    return load(tmp_path, document)


def test_a_chart_is_a_release_and_helm_is_on_the_control_planes(tmp_path: Path) -> None:
    found = steps(charts(tmp_path), "demo-addons")
    assert list(found) == ["helm/helm", "manifests/shop"]
    assert found["helm/helm"].args["path"] == "/usr/local/bin/helm"
    release = found["manifests/shop"]
    assert (release.kind, release.run_once) == ("helmRelease", True)
    assert release.args == {
        "release": "shop",
        "namespace": "default",
        "chart": "files/web.tgz",
        "waitSeconds": 300,
    }


def test_values_are_data(tmp_path: Path) -> None:
    values: Json = {"a": "{{ b }}", "c": {"d": 1}}
    given: dict[str, Json] = {"release": "web", "namespace": "web", "values": values, "waitSeconds": 0}
    release = steps(charts(tmp_path, given), "demo-addons")["manifests/shop"]
    assert release.args == {
        "release": "web",
        "namespace": "web",
        "chart": "files/web.tgz",
        "values": {"a": "{{ '{{' }} b }}", "c": {"d": 1}},
        "waitSeconds": 0,
    }


def test_charts_need_helm_for_each_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        charts(tmp_path, program=False)
    text = told(caught.value.diagnostics, tmp_path)
    assert text.startswith("error: there is no helm for amd64 in the artifacts\n  at cluster.yaml:")
    assert "spec.addons[0].helm.chart" in text


def test_a_chart_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        charts(tmp_path, {"chartVersion": "0.2.0"})
    text = told(caught.value.diagnostics, tmp_path)
    assert "error: there is no chart web 0.2.0 in the artifacts\n" in text
    assert "There is 0.1.0." in text


def test_a_chart_that_was_replaced_is_refused(tmp_path: Path) -> None:
    charts(tmp_path)
    (tmp_path / "files/web.tgz").write_bytes(b"another")
    with pytest.raises(ConfigError, match=r"web\.tgz has another digest"):
        load_again(tmp_path)
