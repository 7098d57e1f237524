"""What is wrong with the hosts of a cluster: roles, names, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubexms.builder.places import host_wrong, wrong
from kubexms.builder.topology import API_PORT, Topology, node_address
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.spec.cluster import (
    CONTROL_PLANE,
    NODE_ADDRESS,
    ROLES,
    WORKER,
    ClusterSpec,
)
from kubexms.spec.inventory import Host

_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
"""RFC 1123, as Kubernetes takes names of nodes."""


def host_problems(building: Building, topology: Topology) -> Iterator[Diagnostic]:
    """Errors, and warnings about what works but is hardly meant. Told where the host is listed."""
    spec = building.spec
    assert isinstance(spec, ClusterSpec)
    yield from _roles(building, spec, topology)
    for index, name in enumerate(spec.lost_nodes):
        if name in {host.name for host in (*topology.nodes, *topology.etcd)}:
            summary = f"{name} is a host of this cluster, and cannot be lost as well"
            detail = "Take the host out of the cluster, or the name out of lostNodes."
            yield wrong(building, ("spec", "lostNodes", index), summary, detail)
    taken: dict[str, Host] = {}
    for host in topology.hosts:
        named = host in topology.nodes or host in topology.etcd
        if named and not (_NODE_NAME.fullmatch(host.name) and len(host.name) <= 253):
            detail = "Lower-case letters, digits, `-` and `.`, as in DNS; a node has the name of its host."
            yield host_wrong(building, host, f"'{host.name}' cannot be the name of a node", detail)
        address = node_address(host)
        if address is None:
            summary = f"nothing says which IPv4 address {host.name} has in the cluster"
            detail = f"Give an address in connection.address, or in the variable {NODE_ADDRESS} of the host."
            yield host_wrong(building, host, summary, detail)
        elif address in taken:
            summary = f"{host.name} has the address {address}, and {taken[address].name} has it too"
            yield host_wrong(building, host, summary, "Every host of a cluster has an address of its own.")
        else:
            taken[address] = host


def _roles(building: Building, spec: ClusterSpec, topology: Topology) -> Iterator[Diagnostic]:
    if not topology.control_planes:
        summary = f"cluster '{building.name}' has no control plane"
        detail = (
            f"Give a host the role {CONTROL_PLANE}, in spec.hosts or in an Inventory. Roles of a cluster: "
        )
        yield wrong(building, ("spec", "hosts"), summary, detail + ", ".join(ROLES) + ".")
        return
    if not topology.workers and not spec.kubernetes.schedulable_control_planes:
        yield building.document.warning(
            ("spec", "kubernetes"),
            f"cluster '{building.name}' has no worker, and its control planes take no ordinary pods",
            f"Give hosts the role {WORKER}, or say kubernetes.schedulableControlPlanes: true.",
        )
    for host in topology.control_planes:
        if host in topology.workers:
            detail = "A control plane runs ordinary pods with kubernetes.schedulableControlPlanes: true."
            yield host_wrong(building, host, f"{host.name} is a control plane and a worker", detail)
    for host in topology.load_balancers:
        if host in topology.control_planes and spec.endpoint.port == API_PORT:
            detail = (
                f"Both would listen on port {API_PORT}: give endpoint.port another, or take another host."
            )
            yield host_wrong(building, host, f"{host.name} is a control plane and a load balancer", detail)
