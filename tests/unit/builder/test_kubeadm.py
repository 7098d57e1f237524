"""kubeadm's configuration is what each version of it understands, compared with files for people to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubexms.builder.kubeadm import ExternalEtcd, init_configuration, join_configuration
from kubexms.builder.topology import Endpoint
from kubexms.builder.versions import Version
from kubexms.spec.cluster import ClusterSpec
from tests.unit.builder.clusters import GOLDEN, golden

VERSIONS = {
    "1.20.2": "v1beta2",
    "1.24.17": "v1beta3",
    "1.29.15": "v1beta3",
    "1.31.4": "v1beta4",
    "1.35.0": "v1beta4",
}
ENDPOINT = Endpoint("k8s.example.com", 6443, "10.0.0.31")

SPEC: dict[str, Any] = {
    "kubernetes": {
        "imageRepository": "registry.example.com/k8s",
        "schedulableControlPlanes": True,
        "apiServer": {"certSANs": ["api.example.com"], "audit": {"maxAge": 7}, "extraArgs": {"v": "2"}},
        "controllerManager": {"extraArgs": {"bind-address": "0.0.0.0"}},
        "scheduler": {"extraArgs": {"v": "4"}},
        "kubelet": {"config": {"maxPods": 60}},
        "encryptionAtRest": {"keys": [{"name": "one", "valueFrom": {"env": "KEY"}}]},
    },
    "certificates": {"lifetimeDays": 730, "authorityDays": 7300},
    "etcd": {"extraArgs": {"heartbeat-interval": "500"}},
    "kubeProxy": {"config": {"mode": "iptables", "conntrack": {"maxPerCore": 0}}},
    "network": {"nodeCidrMask": 25, "podCidr": "10.200.0.0/16", "dnsDomain": "k8s.local"},
}


def spec(version: str, **extra: Any) -> ClusterSpec:
    merged = {**SPEC, **extra}
    return ClusterSpec.from_json({**merged, "kubernetes": {**merged["kubernetes"], "version": version}})


def everything(version: str) -> str:
    number, made = Version.parse(version), spec(version)
    parts = [
        init_configuration("demo", made, number, ENDPOINT),
        join_configuration(made, number, control_plane=True),
        join_configuration(made, number, control_plane=False),
    ]
    return "---\n".join(parts)


@pytest.mark.parametrize("version", VERSIONS)
def test_as_in_the_golden_file(version: str) -> None:
    golden(f"kubeadm-{version}.yaml", everything(version))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_etcd_elsewhere_as_in_the_golden_file(version: str) -> None:
    """Its flags are none of kubeadm's then."""
    etcd = ExternalEtcd(
        ["https://10.0.0.41:2379", "https://10.0.0.42:2379"], "/etc/etcd/ca", "/etc/etcd/client"
    )
    text = init_configuration("demo", spec(version), Version.parse(version), ENDPOINT, etcd)
    [found] = [item for item in text.split("---\n") if "kind: ClusterConfiguration" in item]
    golden(f"external-etcd-{version}.yaml", found)


@pytest.mark.parametrize(("version", "api"), VERSIONS.items())
def test_each_document_has_the_right_version(version: str, api: str) -> None:
    documents = list(yaml.safe_load_all(everything(version)))
    kubeadm = [item for item in documents if item["apiVersion"].startswith("kubeadm.k8s.io/")]
    assert {item["apiVersion"] for item in kubeadm} == {f"kubeadm.k8s.io/{api}"}
    assert [item["kind"] for item in documents] == [
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
        "JoinConfiguration",
        "JoinConfiguration",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_off_is_left_out(version: str) -> None:
    made = spec(version, dns={"enabled": False}, kubeProxy={"enabled": False})
    documents = list(yaml.safe_load_all(init_configuration("demo", made, Version.parse(version), ENDPOINT)))
    assert "KubeProxyConfiguration" not in [item["kind"] for item in documents]
    listed = Version.parse(version).kubeadm_api == "v1beta4"
    assert (documents[1].get("dns"), documents[1].get("proxy")) == (
        ({"disabled": True}, {"disabled": True}) if listed else (None, None)
    )


def test_the_smallest_document() -> None:
    made = ClusterSpec.from_json({"kubernetes": {"version": "1.31.4"}})
    documents = list(yaml.safe_load_all(init_configuration("demo", made, Version.parse("1.31.4"), ENDPOINT)))
    cluster = documents[1]
    assert cluster["controlPlaneEndpoint"] == "k8s.example.com:6443"
    assert cluster["apiServer"] == {"certSANs": ["k8s.example.com", "10.0.0.31"]}
    assert "controllerManager" not in cluster
    assert "imageRepository" not in cluster
    assert not [name for name in cluster if name.endswith("ValidityPeriod")]
    assert "taints" not in documents[0]["nodeRegistration"]


def test_versions_compare_as_numbers() -> None:
    assert Version.parse("v1.9.10") < Version.parse("1.20.2")
    assert str(Version.parse("v1.20.2")) == "1.20.2"
    assert Version.parse("1.23.0").cri_socket == "/run/containerd/containerd.sock"
    assert Version.parse("1.24.0").cri_socket == "unix:///run/containerd/containerd.sock"
    assert [Version.parse(text).pause for text in ("1.20.0", "1.30.9", "1.33.1", "1.40.0")] == [
        "3.2",
        "3.9",
        "3.10",
        "3.10.1",
    ]


def test_golden_files_are_all_used() -> None:
    assert sorted(path.name for path in Path(GOLDEN).glob("kubeadm-*")) == sorted(
        f"kubeadm-{version}.yaml" for version in VERSIONS
    )
