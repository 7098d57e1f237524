"""etcd on the control planes as a unit: a member on each, with what is Kubernetes' own."""

from __future__ import annotations

from kubexms.builder.binary.certificates import ETCD_CA, PKI
from kubexms.builder.etcd import Members
from kubexms.builder.plans import ClusterPlan
from kubexms.spec.cluster import CONTROL_PLANE

CERTIFICATE = f"{PKI}/etcd/server"
"""What a member shows to clients and to the others: a path without its ending."""


def stacked(plan: ClusterPlan) -> Members:
    """Beside the API servers; some of a cluster that is older than their records."""
    return Members(CONTROL_PLANE, plan.topology.control_planes, ETCD_CA, CERTIFICATE, adopts=True)
