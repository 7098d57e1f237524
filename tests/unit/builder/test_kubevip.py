"""The endpoint's address by kube-vip: its manifest in golden files, and when it is which one.

kube-vip itself is not among what the tests on real hosts have.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubexms.builder.kubevip import MANIFEST
from kubexms.config.project import LoadedProject
from kubexms.config.template import TemplateEngine
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec
from tests.unit.builder.clusters import assert_kinds_take_every_step, cluster, golden, hosts, load

ZERO = "0" * 64
IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
CP1 = {
    "host": {"name": "cp1", "vars": {}, "address": "10.0.0.11"},
    "facts": {"interfaces": {"lo": {"ipv4": ["127.0.0.1"]}, "bond0": {"ipv4": ["10.0.0.11"]}}},
}
VIRTUAL: dict[str, Json] = {"address": "10.0.0.100", "provider": "kube-vip"}


def entry(name: str, version: str, kind: str = "binary") -> dict[str, Json]:
    found: dict[str, Json] = {"name": name, "kind": kind, "version": version, "arch": "amd64"}
    if kind == "image":
        found |= {"ref": f"registry.example/{name}:{version}", "digest": f"sha256:{ZERO}"}
    return {**found, "file": name, "sha256": ZERO}


def built(tmp_path: Path, version: str = "1.31.4", *, there: bool = True, **virtual: Json) -> LoadedProject:
    names = ("kubeadm", "kubelet", "kubectl", "crictl")
    entries = [entry(name, f"v{version}") for name in names]
    entries += [entry(name, f"v{version}", "image") for name in IMAGES]
    if there:
        entries.append(entry("kube-vip", "v0.8.9", "image"))
    manifest: dict[str, Json] = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Artifacts",
        "metadata": {"name": "files"},
        "spec": {"entries": [*entries]},
    }
    (tmp_path / "files").mkdir(exist_ok=True)
    (tmp_path / "files/artifacts.yaml").write_text(dump_yaml(manifest))
    for name in (*names, *IMAGES, "kube-vip"):
        (tmp_path / "files" / name).write_text("")
    document = cluster(
        kubernetes={"version": version},
        hosts=hosts(3, 1),
        artifacts="files",
        containerRuntime={"source": "packages"},
        endpoint={"virtualIP": {**VIRTUAL, **virtual}},
    )
    return load(tmp_path, document)


def step(loaded: LoadedProject, address: str) -> StepSpec:
    return next(
        step
        for module in loaded.pipeline.modules
        for task in module.tasks
        for step in task.steps
        if f"{module.name}/{task.name}/{step.name}" == address
    )


def rendered(tmp_path: Path, template: Json) -> str:
    """A text as it is on cp1."""
    return str(TemplateEngine(tmp_path).render(template, CP1).value)


def pods(tmp_path: Path, loaded: LoadedProject) -> tuple[str, str, str]:
    """The manifest of a member, and those for who joins and who begins."""
    node = step(loaded, "demo-control-plane/member/node").args
    content = step(loaded, "demo-control-plane/components/virtual-ip").args["content"]
    texts = (content, node["endpointPod"], node["firstEndpointPod"])
    return (rendered(tmp_path, texts[0]), rendered(tmp_path, texts[1]), rendered(tmp_path, texts[2]))


def test_every_step_is_one_that_its_kind_takes(tmp_path: Path) -> None:
    assert_kinds_take_every_step(built(tmp_path))


def test_its_manifest(tmp_path: Path) -> None:
    member, joins, begins = pods(tmp_path, built(tmp_path))
    golden("kube-vip.yaml", member)
    assert joins == member
    # until kubeadm has ended, admin.conf has no rights
    was, now = yaml.safe_load(member), yaml.safe_load(begins)
    [volume] = was["spec"]["volumes"]
    assert volume["hostPath"]["path"] == "/etc/kubernetes/admin.conf"
    volume["hostPath"]["path"] = "/etc/kubernetes/super-admin.conf"
    assert now == was


def test_where_there_is_no_super_admin_it_begins_with_what_stays(tmp_path: Path) -> None:
    member, joins, begins = pods(tmp_path, built(tmp_path, "1.28.9"))
    assert begins == joins == member


def test_an_interface_that_is_named(tmp_path: Path) -> None:
    member, *_ = pods(tmp_path, built(tmp_path, interface="eth7"))
    found = {
        item["name"]: item.get("value") for item in yaml.safe_load(member)["spec"]["containers"][0]["env"]
    }
    assert found["vip_interface"] == "eth7"


def test_control_planes_are_the_endpoint_and_get_its_image(tmp_path: Path) -> None:
    loaded = built(tmp_path)
    assert "demo-endpoint" not in [module.name for module in loaded.pipeline.modules]
    assert step(loaded, "demo-control-plane/components/virtual-ip").args["path"] == MANIFEST
    node = step(loaded, "demo-control-plane/member/node").args
    assert node["endpoint"] == "10.0.0.100:6443"
    join = yaml.safe_load(rendered(tmp_path, node["joinConfig"]))
    assert join["nodeRegistration"]["ignorePreflightErrors"] == ["DirAvailable--etc-kubernetes-manifests"]
    worker = step(loaded, "demo-workers/member/node").args
    assert "ignorePreflightErrors" not in str(worker["joinConfig"])
    assert "endpointPod" not in worker
    planes = step(loaded, "demo-images/control-plane/image").for_each
    workers = step(loaded, "demo-images/worker/image").for_each
    assert isinstance(planes, dict)
    assert isinstance(workers, dict)
    assert set(planes) - set(workers) >= {"registry.example/kube-vip:v0.8.9"}
    for name in ("virtual-ip", "virtual-ip-network", "address-in-use"):
        assert MANIFEST in str(step(loaded, f"demo-preflight/control-plane/{name}").args["check"])


def test_without_its_image_there_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kube-vip"):
        built(tmp_path, there=False)
