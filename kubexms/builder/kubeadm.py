"""kubeadm's configuration files, in the API version that each version of Kubernetes understands.

Formats: kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta2 to v1beta4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubexms.builder.certificates import validity_periods
from kubexms.builder.protection import api_server_flags, api_server_volumes
from kubexms.builder.steps import NODE_ADDRESS, NODE_NAME
from kubexms.builder.topology import API_PORT, Endpoint
from kubexms.builder.versions import Version
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.cluster import ClusterSpec

LISTED_ARGUMENTS = "v1beta4"
"""The API version in which arguments became a list of names and values."""
DEFAULT_MASK = 24
MANIFESTS_THERE = "DirAvailable--etc-kubernetes-manifests"
"""kubeadm's name of what it finds where a static pod's manifest is there already."""


@dataclass(frozen=True)
class ExternalEtcd:
    """An etcd that is not kubeadm's: where it is, and what API servers show to it (base paths)."""

    endpoints: Sequence[str]
    authority: str
    client: str


def init_configuration(
    name: str, spec: ClusterSpec, version: Version, endpoint: Endpoint, etcd: ExternalEtcd | None = None
) -> str:
    """The documents for `kubeadm init`: init, cluster, kubelet and, unless it is off, kube-proxy."""
    documents = [
        _init(spec, version),
        _cluster(name, spec, version, endpoint, etcd),
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd",
            **spec.kubernetes.kubelet.config,
        },
    ]
    if spec.kube_proxy.enabled:
        proxy = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
        documents.append({**proxy, **spec.kube_proxy.config})
    return "---\n".join(dump_yaml(document) for document in documents)


def join_configuration(spec: ClusterSpec, version: Version, *, control_plane: bool) -> str:
    """The document for `kubeadm join`, without what is secret or only known then."""
    document: dict[str, Any] = {
        "apiVersion": _api(version),
        "kind": "JoinConfiguration",
        "nodeRegistration": _registration(spec, version, control_plane),
    }
    if control_plane:
        document["controlPlane"] = {"localAPIEndpoint": _local_endpoint()}
        if spec.endpoint.virtual_ip is not None and spec.endpoint.virtual_ip.provider == "kube-vip":
            # its manifest is there before: kubeadm begins a cluster so, but wants none where one joins
            document["nodeRegistration"]["ignorePreflightErrors"] = [MANIFESTS_THERE]
    return dump_yaml(document)


def _init(spec: ClusterSpec, version: Version) -> dict[str, Any]:
    document: dict[str, Any] = {
        "apiVersion": _api(version),
        "kind": "InitConfiguration",
        "nodeRegistration": _registration(spec, version, control_plane=True),
        "localAPIEndpoint": _local_endpoint(),
    }
    return document


def skipped_phases(spec: ClusterSpec, version: Version) -> list[str]:
    """The phases of `kubeadm init` that are left out, where the configuration has no field for it."""
    if version.kubeadm_api == LISTED_ARGUMENTS:
        return []
    off = {"addon/coredns": spec.dns.enabled, "addon/kube-proxy": spec.kube_proxy.enabled}
    return [phase for phase, enabled in off.items() if not enabled]


def _cluster(
    name: str, spec: ClusterSpec, version: Version, endpoint: Endpoint, etcd: ExternalEtcd | None
) -> dict[str, Any]:
    kubernetes = spec.kubernetes
    manager = dict(kubernetes.controller_manager.extra_args)
    if spec.network.node_cidr_mask != DEFAULT_MASK:
        manager.setdefault("node-cidr-mask-size", str(spec.network.node_cidr_mask))
    sans = list(
        dict.fromkeys([endpoint.host, *filter(None, [endpoint.address]), *kubernetes.api_server.cert_sans])
    )
    document: dict[str, Any] = {
        "apiVersion": _api(version),
        "kind": "ClusterConfiguration",
        "clusterName": name,
        "kubernetesVersion": f"v{version}",
        "controlPlaneEndpoint": endpoint.text,
        "networking": {
            "podSubnet": spec.network.pod_cidr,
            "serviceSubnet": spec.network.service_cidr,
            "dnsDomain": spec.network.dns_domain,
        },
        "apiServer": _api_server(spec, version, sans),
        "controllerManager": _arguments(manager, version),
        "scheduler": _arguments(kubernetes.scheduler.extra_args, version),
        "etcd": _etcd(spec, version, etcd),
    }
    if kubernetes.image_repository is not None:
        document["imageRepository"] = kubernetes.image_repository
    document |= validity_periods(spec, version)
    if version.kubeadm_api == LISTED_ARGUMENTS:
        if not spec.dns.enabled:
            document["dns"] = {"disabled": True}
        if not spec.kube_proxy.enabled:
            document["proxy"] = {"disabled": True}
    return {key: value for key, value in document.items() if value != {}}


def _etcd(spec: ClusterSpec, version: Version, etcd: ExternalEtcd | None) -> dict[str, Any]:
    if etcd is None:
        return {"local": {"dataDir": "/var/lib/etcd", **_arguments(spec.etcd.extra_args, version)}}
    return {
        "external": {
            "endpoints": list(etcd.endpoints),
            "caFile": f"{etcd.authority}.crt",
            "certFile": f"{etcd.client}.crt",
            "keyFile": f"{etcd.client}.key",
        }
    }


def _api_server(spec: ClusterSpec, version: Version, sans: list[str]) -> dict[str, Any]:
    arguments = {**api_server_flags(spec), **spec.kubernetes.api_server.extra_args}
    server: dict[str, Any] = {"certSANs": sans, **_arguments(arguments, version)}
    if volumes := api_server_volumes(spec):
        server["extraVolumes"] = volumes
    return server


def _registration(spec: ClusterSpec, version: Version, control_plane: bool) -> dict[str, Any]:
    registration: dict[str, Any] = {"name": NODE_NAME, "criSocket": version.cri_socket}
    if control_plane and spec.kubernetes.schedulable_control_planes:
        registration["taints"] = []
    return registration


def _local_endpoint() -> dict[str, Any]:
    return {"advertiseAddress": NODE_ADDRESS, "bindPort": API_PORT}


def _arguments(arguments: Mapping[str, str], version: Version) -> dict[str, Any]:
    if not arguments:
        return {}
    if version.kubeadm_api == LISTED_ARGUMENTS:
        return {"extraArgs": [{"name": name, "value": value} for name, value in sorted(arguments.items())]}
    return {"extraArgs": dict(sorted(arguments.items()))}


def _api(version: Version) -> str:
    return f"kubeadm.k8s.io/{version.kubeadm_api}"
