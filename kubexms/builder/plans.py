"""What every pass of the cluster builder works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubexms.builder.artifacts import ClusterArtifacts
from kubexms.builder.topology import Endpoint, Topology
from kubexms.builder.versions import Version
from kubexms.spec.cluster import ClusterSpec, NodeSettings


@dataclass(frozen=True)
class ClusterPlan:
    """A cluster document together with what follows from it, all checked."""

    name: str
    spec: ClusterSpec
    version: Version
    topology: Topology
    endpoint: Endpoint
    artifacts: ClusterArtifacts | None
    settings: Mapping[str, NodeSettings]
    """Labels and taints by node, only of nodes that have any."""
    kustomized: Mapping[str, str] = field(default_factory=dict)
    """The text of addons that are kustomizations, by their names."""

    @property
    def kubernetes_from_artifacts(self) -> bool:
        """Whether the programs of Kubernetes and the images come from the directory of artifacts."""
        return _from_artifacts(self.spec.kubernetes.source, self.spec)

    @property
    def runtime_from_artifacts(self) -> bool:
        """Whether containerd, runc and the CNI plugins come from the directory of artifacts."""
        return _from_artifacts(self.spec.container_runtime.source, self.spec)

    @property
    def binary(self) -> bool:
        """Whether the cluster's parts are units, without kubeadm."""
        return self.spec.kubernetes.type == "binary"

    @property
    def neighbours(self) -> list[str] | None:
        """The nodes that have routes to each other's pods, by name; None if they have none of ours."""
        return [host.name for host in self.topology.nodes] if self.spec.network.plugin == "bridge" else None

    def module(self, part: str) -> str:
        """The name of one of the cluster's modules, which is part of addresses: `demo-runtime`."""
        return f"{self.name}-{part}"


def _from_artifacts(source: str | None, spec: ClusterSpec) -> bool:
    return (source or ("artifacts" if spec.artifacts is not None else "packages")) == "artifacts"
