"""What is wrong with the networks of a cluster: overlaps, sizes, addresses of hosts in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kubexms.builder.places import wrong
from kubexms.builder.topology import Topology, node_address
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.spec.cluster import ClusterSpec

PODS_PER_NODE = 110
"""What a kubelet takes unless `maxPods` says otherwise."""
SMALLEST_SERVICES = 28
LARGEST_SERVICES = 12
"""Prefix lengths that the API server takes for Services: it keeps a bit for each address."""


def network_problems(building: Building, spec: ClusterSpec, topology: Topology) -> Iterator[Diagnostic]:
    """All of them; placed at the field that is to be changed."""
    place = ("spec", "network")
    networks: dict[str, ipaddress.IPv4Network] = {}
    for field, text in (("podCidr", spec.network.pod_cidr), ("serviceCidr", spec.network.service_cidr)):
        try:
            networks[field] = ipaddress.IPv4Network(text)
        except ValueError as error:
            yield wrong(
                building,
                (*place, field),
                f"'{text}' is no IPv4 network",
                f"{str(error)[:1].upper()}{str(error)[1:]}.",
            )
    if len(networks) < 2:
        return
    pods, services = networks["podCidr"], networks["serviceCidr"]
    if pods.overlaps(services):
        summary = f"the pod network {pods} and the service network {services} overlap"
        yield wrong(building, (*place, "podCidr"), summary, "Choose two that have no address in common.")
    if not LARGEST_SERVICES <= services.prefixlen <= SMALLEST_SERVICES:
        summary = f"a service network of /{services.prefixlen} is not possible"
        detail = f"Between /{LARGEST_SERVICES} and /{SMALLEST_SERVICES}."
        yield wrong(building, (*place, "serviceCidr"), summary, detail)
    yield from _sizes(building, spec, pods, len(topology.nodes))
    for field, network in networks.items():
        yield from _hosts_inside(building, field, network, topology)


def _hosts_inside(
    building: Building, field: str, network: ipaddress.IPv4Network, topology: Topology
) -> Iterator[Diagnostic]:
    addresses = {host.name: node_address(host) for host in topology.hosts}
    inside = [name for name, a in addresses.items() if a is not None and ipaddress.IPv4Address(a) in network]
    if inside:
        what = field.removesuffix("Cidr")
        more = f" and those of {len(inside) - 1} more hosts" if len(inside) > 1 else ""
        summary = (
            f"the {what} network {network} holds {addresses[inside[0]]}, the address of {inside[0]}{more}"
        )
        detail = "Choose one apart from the network of the hosts."
        yield wrong(building, ("spec", "network", field), summary, detail)


def _sizes(
    building: Building, spec: ClusterSpec, pods: ipaddress.IPv4Network, nodes: int
) -> Iterator[Diagnostic]:
    mask = spec.network.node_cidr_mask
    place = ("spec", "network", "nodeCidrMask")
    if mask <= pods.prefixlen:
        summary = f"a pod network of /{pods.prefixlen} has no part of /{mask} for each node"
        detail = f"nodeCidrMask must be larger than {pods.prefixlen}, or the pod network larger."
        yield wrong(building, place, summary, detail)
        return
    room = 2 ** (mask - pods.prefixlen)
    if nodes > room:
        summary = f"the pod network {pods} has {room} parts of /{mask}, and there are {nodes} nodes"
        yield wrong(building, place, summary, "Take a larger network or smaller parts.")
    wanted = spec.kubernetes.kubelet.config.get("maxPods", PODS_PER_NODE)
    # the network's own address, the broadcast address and the bridge
    addresses = 2 ** (32 - mask) - 3
    if isinstance(wanted, int) and wanted > addresses:
        summary = f"a part of /{mask} has {addresses} addresses for pods, and a node may run {wanted}"
        detail = "Take larger parts (a smaller nodeCidrMask), or set kubernetes.kubelet.config.maxPods."
        yield wrong(building, place, summary, detail)
