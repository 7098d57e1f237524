"""A Kubernetes cluster: what it is to be, as one document. A builder makes a pipeline of it.

Values here are data, never templates: a `{{` in them is passed on as it stands.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.access import CertificatesSpec, KubeconfigSpec
from kubexms.spec.cluster.addons import AddonSpec
from kubexms.spec.cluster.etcd import EtcdSpec
from kubexms.spec.cluster.kubernetes import DnsSpec, KubeProxySpec, KubernetesSpec
from kubexms.spec.cluster.network import EndpointSpec, NetworkSpec
from kubexms.spec.cluster.nodes import NodeSettings, OperatingSystemSpec, PreflightSpec
from kubexms.spec.cluster.runtime import ContainerRuntimeSpec
from kubexms.spec.cluster.values import NodeName
from kubexms.spec.inventory import HostSpec


class ClusterSpec(FrozenModel):
    """A Kubernetes cluster, set up with kubeadm.

    Hosts have the role `control-plane`, `worker`, `load-balancer` or `etcd`, here or in an Inventory. A node
    has the name of its host, and the address that kubexms connects to unless its variable `nodeAddress` says
    another.
    """

    hosts: tuple[HostSpec, ...] = ()
    """Hosts of the cluster, as in an Inventory, besides those of inventories."""
    artifacts: str | None = None
    """A directory of artifacts (binaries and images with their digests), relative to this document."""
    kubernetes: KubernetesSpec
    etcd: EtcdSpec = EtcdSpec()
    kube_proxy: KubeProxySpec = KubeProxySpec()
    dns: DnsSpec = DnsSpec()
    container_runtime: ContainerRuntimeSpec = ContainerRuntimeSpec()
    network: NetworkSpec = NetworkSpec()
    endpoint: EndpointSpec = EndpointSpec()
    nodes: dict[str, NodeSettings] = Field(default_factory=dict)
    """Labels and taints by the name of the node or a glob: `{"w*": {labels: {disk: ssd}}}`. Several that
    match add up, the later one winning."""
    lost_nodes: tuple[NodeName, ...] = ()
    """Nodes, and hosts of etcd, whose machines are gone for good: each is taken out of etcd, and deleted from
    the API."""
    addons: tuple[AddonSpec, ...] = ()
    """Applied in this order when all nodes are there. What leaves the list, or an addon, is deleted."""
    certificates: CertificatesSpec = CertificatesSpec()
    kubeconfig: KubeconfigSpec | None = None
    """Where the administrator's kubeconfig is to be on the machine that runs kubexms. Default: nowhere."""
    operating_system: OperatingSystemSpec = OperatingSystemSpec()
    preflight: PreflightSpec = PreflightSpec()

    @model_validator(mode="after")
    def _names(self) -> Self:
        seen: set[str] = set()
        for addon in self.addons:
            if addon.name in seen:
                raise PydanticCustomError(
                    "duplicate_name", "duplicate {what} name '{name}'", {"what": "addon", "name": addon.name}
                )
            seen.add(addon.name)
        return self
