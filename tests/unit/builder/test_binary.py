"""Clusters without kubeadm: units and certificates, in golden files, and what follows from a document."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubexms.config.project import LoadedProject
from kubexms.config.template import TemplateEngine
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec
from kubexms.step.registry import default_registry
from tests.unit.builder.clusters import (
    assert_kinds_take_every_step,
    cluster,
    golden,
    host,
    hosts,
    load,
    steps_of,
)

PROGRAMS = (
    *("kubelet", "kubectl", "kube-proxy"),
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
)
ZERO = "0" * 64
CP1 = {"host": {"name": "cp1", "vars": {}, "address": "10.0.0.11"}}


def built(tmp_path: Path, version: str = "1.20.2", **spec: Json) -> LoadedProject:
    entries = [_entry(name, f"v{version}") for name in PROGRAMS]
    entries += [_entry(name, "v1.0") for name in ("crictl", "etcd", "etcdctl")]
    image = {"ref": "registry.example/coredns:1.7.0", "digest": f"sha256:{ZERO}"}
    entries.append({**_entry("coredns", "1.7.0"), "kind": "image", **image})
    manifest: dict[str, Json] = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Artifacts",
        "metadata": {"name": "files"},
        "spec": {"entries": [*entries]},
    }
    (tmp_path / "files").mkdir(exist_ok=True)
    (tmp_path / "files/artifacts.yaml").write_text(dump_yaml(manifest))
    for name in (*PROGRAMS, "crictl", "etcd", "etcdctl", "coredns"):
        (tmp_path / "files" / name).write_text("")
    given: dict[str, Json] = {"version": version, "type": "binary"}
    kubernetes = spec.pop("kubernetes", {})
    assert isinstance(kubernetes, dict)
    document = cluster(
        kubernetes={**given, **kubernetes},
        artifacts="files",
        containerRuntime={"source": "packages"},
        **spec,
    )
    return load(tmp_path, document)


def _entry(name: str, version: str) -> dict[str, Json]:
    entry: dict[str, Json] = {"name": name, "kind": "binary", "version": version, "arch": "amd64"}
    return {**entry, "file": name, "sha256": ZERO}


def step(loaded: LoadedProject, address: str) -> StepSpec:
    return steps_of(loaded)[address]


def text(tmp_path: Path, loaded: LoadedProject, address: str) -> str:
    """The content of a step as it is on cp1."""
    return str(TemplateEngine(tmp_path).render(step(loaded, address).args["content"], CP1).value)


def test_every_step_is_one_that_its_kind_takes(tmp_path: Path) -> None:
    assert_kinds_take_every_step(built(tmp_path))


def test_addresses_are_public(tmp_path: Path) -> None:
    names = [
        f"{module.name}/{task.name}/{one.name}"
        for module in built(tmp_path).pipeline.modules
        for task in module.tasks
        for one in task.steps
    ]
    golden("addresses-binary.txt", "\n".join(names) + "\n")


@pytest.mark.parametrize("version", ["1.20.2", "1.31.4"])
def test_units(version: str, tmp_path: Path) -> None:
    loaded = built(
        tmp_path,
        version,
        kubernetes={"apiServer": {"extraArgs": {"v": "2", "service-account-issuer": "https://a b/%$"}}},
        etcd={"extraArgs": {"heartbeat-interval": "500"}},
    )
    parts = [
        f"# {name}\n" + text(tmp_path, loaded, f"demo-control-plane/{name}")
        for name in (
            *("apiserver/unit", "controller-manager/unit", "scheduler/unit"),
            *("member/kubelet-unit", "member/kube-proxy-unit", "member/kubelet-configuration"),
            *("member/kube-proxy-configuration", "member/kubelet-conf", "credentials/admin-conf"),
        )
    ]
    parts.append("# etcd\n" + text(tmp_path, loaded, "demo-etcd/member/unit"))
    golden(f"units-{version}.txt", "\n".join(parts))


def test_the_kubelet_has_no_version_and_what_needs_no_drain_has(tmp_path: Path) -> None:
    """Another version restarts units by their text; the kubelet is restarted by the step of its node."""
    older, newer = built(tmp_path), built(tmp_path, "1.20.3")
    for name in ("apiserver/unit", "controller-manager/unit", "scheduler/unit", "member/kube-proxy-unit"):
        address = f"demo-control-plane/{name}"
        assert text(tmp_path, older, address) != text(tmp_path, newer, address)
    for address in ("demo-etcd/member/unit", "demo-control-plane/member/kubelet-unit"):
        assert text(tmp_path, older, address) == text(tmp_path, newer, address)


def test_the_api_server_is_valid_for_every_way_to_it(tmp_path: Path) -> None:
    loaded = built(
        tmp_path,
        endpoint={"host": "k8s.example.com", "address": "10.0.0.11"},
        kubernetes={"apiServer": {"certSANs": ["api.example.com"]}},
    )
    found = step(loaded, "demo-control-plane/credentials/apiserver").args["sans"]
    rendered = TemplateEngine(tmp_path).render(found, CP1).value
    assert rendered == [
        *("cp1", "10.0.0.11", "localhost", "127.0.0.1", "kubernetes", "kubernetes.default"),
        *("kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.96.0.1", "k8s.example.com"),
        *("10.0.0.11", "api.example.com"),
    ]


def test_without_kube_proxy_and_dns_there_is_nothing_of_them(tmp_path: Path) -> None:
    loaded = built(tmp_path, kubeProxy={"enabled": False}, dns={"enabled": False}, hosts=hosts(1, 0))
    names = {one.name for module in loaded.pipeline.modules for task in module.tasks for one in task.steps}
    assert not {name for name in names if "proxy" in name} - {"front-proxy-ca", "front-proxy-client"}
    assert "coredns" not in names
    assert step(loaded, "demo-control-plane/member/node").args["units"] == ["kubelet"]


def test_nodes_know_whose_routes_lead_to_their_pods(tmp_path: Path) -> None:
    names = ["cp1", "w1"]
    for plugin, known in (("bridge", names), ("none", None)):
        loaded = built(tmp_path, network={"plugin": plugin})
        for address in ("demo-control-plane/member/node", "demo-workers/member/node"):
            assert step(loaded, address).args.get("neighbours") == known


def test_dns_is_where_kubelets_say(tmp_path: Path) -> None:
    loaded = built(tmp_path, network={"serviceCidr": "10.200.0.0/16", "dnsDomain": "k8s.example"})
    manifest = str(step(loaded, "demo-addons/dns/coredns").args["manifest"])
    rendered = str(TemplateEngine(tmp_path).render(manifest, {}).value)
    objects = {item["kind"]: item for item in yaml.safe_load_all(rendered)}
    assert objects["Service"]["spec"]["clusterIP"] == "10.200.0.10"
    assert "kubernetes k8s.example in-addr.arpa" in objects["ConfigMap"]["data"]["Corefile"]
    [container] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/coredns:1.7.0"
    configuration = yaml.safe_load(text(tmp_path, loaded, "demo-control-plane/member/kubelet-configuration"))
    assert configuration["clusterDNS"] == ["10.200.0.10"]


def test_members_of_etcd_know_each_other_and_restart_one_by_one(tmp_path: Path) -> None:
    loaded = built(tmp_path, hosts=hosts(3, 1, 1))
    address = "demo-etcd/member/unit"
    assert text(tmp_path, loaded, address) == text(tmp_path, built(tmp_path), address)
    loaded = built(tmp_path, hosts=hosts(3, 1, 1))
    member = step(loaded, "demo-etcd/member/member").args
    assert member["members"] == {"cp1": "10.0.0.11", "cp2": "10.0.0.12", "cp3": "10.0.0.13"}
    assert member["adopts"] is True
    # it leaves etcd by that step, when its node has left
    assert step(loaded, "demo-control-plane/member/node").args["hasEtcd"] is False
    [etcd] = [module for module in loaded.pipeline.modules if module.name == "demo-etcd"]
    assert etcd.strategy.max_parallel == 1
    assert step(loaded, "demo-pki/authorities/ca").args["holders"] == ["cp1", "cp2", "cp3"]
    assert step(loaded, "demo-pki/trust/ca").args["withKey"] is False
    assert "server: https://10.0.0.31:6443" in text(
        tmp_path, loaded, "demo-control-plane/member/kubelet-conf"
    )


def test_a_lost_control_plane_is_out_of_etcd_before_another_joins_and_then_its_node_goes(
    tmp_path: Path,
) -> None:
    loaded = built(tmp_path, hosts=hosts(3, 1, 1), lostNodes=["cp4"])
    modules = {module.name: module for module in loaded.pipeline.modules}
    for name, kind in (("demo-etcd", "etcdMember"), ("demo-control-plane", "node")):
        first = modules[name].tasks[0]
        assert (first.name, first.steps[0].kind, first.steps[0].args["state"]) == ("lost", kind, "absent")


def test_an_etcd_elsewhere_leaves_nothing_of_it_on_control_planes(tmp_path: Path) -> None:
    listed = [*hosts(2, 1, 1), host("etcd1", "etcd", "10.0.0.41")]
    loaded = built(tmp_path, hosts=listed, etcd={"type": "external"})
    unit = text(tmp_path, loaded, "demo-control-plane/apiserver/unit")
    assert "--etcd-servers=https://10.0.0.41:2379 " in unit
    assert "--etcd-cafile=/etc/etcd/ca.crt " in unit
    assert "etcd.service" not in unit
    on_planes = {
        f"{task.name}/{one.name}"
        for module in loaded.pipeline.modules
        for task in module.tasks
        if "control-plane" in task.run_on_roles and not module.name.endswith("preflight")
        for one in task.steps
        if "etcd" in one.name or "etcd" in task.name
    }
    assert on_planes == {f"etcd-client/{name}" for name in ("openssl", "directory", "ca", "client")}
    assert step(loaded, "demo-control-plane/member/node").args["hasEtcd"] is False
    assert "hasEtcd" not in step(loaded, "demo-workers/member/node").args
    registry = default_registry(plugins=False)
    for module in loaded.pipeline.modules:
        for task in module.tasks:
            for one in task.steps:
                registry.check_args(one.kind, one.args)


def test_another_endpoint_comes_to_everybody_in_order(tmp_path: Path) -> None:
    named: Json = {"host": "k8s.example.com"}
    loaded = built(tmp_path, hosts=hosts(3, 2, 1), endpoint=named)
    [clients] = [module for module in loaded.pipeline.modules if module.name == "demo-clients"]
    assert [task.name for task in clients.tasks] == ["planes", "workers", "retired"]
    assert [[wait.task for wait in task.depends_on or ()] for task in clients.tasks] == [
        [], ["planes"], ["workers"],
    ]  # fmt: skip
    assert step(loaded, "demo-control-plane/credentials/apiserver").args["keepNames"] is True
    retired = step(loaded, "demo-clients/retired/apiserver")
    assert (retired.kind, retired.args["clients"]) == ("retiredNames", ["cp1", "cp2", "cp3", "w1", "w2"])
    assert retired.args["sans"] == step(loaded, "demo-control-plane/credentials/apiserver").args["sans"]
    # the text of a living node's kubeconfigs is that step's alone
    for file in ("kubelet", "kube-proxy"):
        conf = step(loaded, f"demo-workers/member/{file}-conf")
        assert conf.ignore_changes == ("sha256",)
        whole = step(loaded, "demo-clients/workers/endpoint").args["kubeconfigs"]
        assert isinstance(whole, dict)
        assert whole[f"{file}.conf"] == conf.args["content"]
    entry = step(loaded, "demo-os/names/entry")
    assert entry.args["keepNamedIn"] == "/etc/kubernetes/kubelet.conf"


def test_without_kube_proxy_nodes_have_one_kubeconfig(tmp_path: Path) -> None:
    endpoint = step(built(tmp_path, kubeProxy={"enabled": False}), "demo-clients/workers/endpoint").args
    assert isinstance(endpoint["kubeconfigs"], dict)
    assert list(endpoint["kubeconfigs"]) == ["kubelet.conf"]
    assert "proxyUnit" not in endpoint
