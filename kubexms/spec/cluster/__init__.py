"""A Kubernetes cluster as one document: small models, a module for each part of it."""

from __future__ import annotations

from kubexms.spec.cluster.access import CertificatesSpec, KubeconfigSpec
from kubexms.spec.cluster.addons import AddonSpec
from kubexms.spec.cluster.document import ClusterSpec
from kubexms.spec.cluster.etcd import EtcdSpec
from kubexms.spec.cluster.kubernetes import (
    ApiServerSpec,
    ComponentSpec,
    DnsSpec,
    KubeletSpec,
    KubeProxySpec,
    KubernetesSpec,
)
from kubexms.spec.cluster.network import EndpointSpec, NetworkSpec, VirtualIPSpec
from kubexms.spec.cluster.nodes import NodeSettings, OperatingSystemSpec, PreflightSpec, Taint
from kubexms.spec.cluster.protection import AuditSpec, EncryptionKeySpec, EncryptionSpec
from kubexms.spec.cluster.roles import CONTROL_PLANE, ETCD, LOAD_BALANCER, NODE_ADDRESS, ROLES, WORKER
from kubexms.spec.cluster.runtime import ContainerRuntimeSpec, RegistrySpec
from kubexms.spec.cluster.values import Arguments, LabelKey, LabelValue, Source

__all__ = [
    "CONTROL_PLANE",
    "ETCD",
    "LOAD_BALANCER",
    "NODE_ADDRESS",
    "ROLES",
    "WORKER",
    "AddonSpec",
    "ApiServerSpec",
    "Arguments",
    "AuditSpec",
    "CertificatesSpec",
    "ClusterSpec",
    "ComponentSpec",
    "ContainerRuntimeSpec",
    "DnsSpec",
    "EncryptionKeySpec",
    "EncryptionSpec",
    "EndpointSpec",
    "EtcdSpec",
    "KubeProxySpec",
    "KubeconfigSpec",
    "KubeletSpec",
    "KubernetesSpec",
    "LabelKey",
    "LabelValue",
    "NetworkSpec",
    "NodeSettings",
    "OperatingSystemSpec",
    "PreflightSpec",
    "RegistrySpec",
    "Source",
    "Taint",
    "VirtualIPSpec",
]
