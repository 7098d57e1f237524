"""The kinds of documents with those that stand for a pipeline; what loads projects uses these."""

from __future__ import annotations

from kubexms.config.documents import DEFAULT_KINDS, Building, DocumentKind
from kubexms.spec.base import FrozenModel
from kubexms.spec.inventory import InventorySpec
from kubexms.spec.pipeline import PipelineSpec


def _build(building: Building) -> PipelineSpec:
    from kubexms.builder.cluster import build_cluster

    return build_cluster(building)


def _inventory(spec: FrozenModel) -> InventorySpec:
    from kubexms.spec.cluster import ClusterSpec

    assert isinstance(spec, ClusterSpec)
    return InventorySpec(hosts=spec.hosts)


CLUSTER = DocumentKind(
    "Cluster",
    "kubexms.spec.cluster:ClusterSpec",  # the largest of all models, and few projects have one
    "A Kubernetes cluster, set up with kubeadm.",
    _build,
    _inventory,
)

DOCUMENT_KINDS = DEFAULT_KINDS.extended(CLUSTER)
"""Pipeline, Inventory, Project, and what builders add."""
