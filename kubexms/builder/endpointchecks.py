"""What is wrong with the endpoint of a cluster: nothing leads to it, or what is said of it does not agree."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kubexms.builder.places import wrong
from kubexms.builder.topology import API_PORT, Topology, is_address, node_address
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.spec.cluster import LOAD_BALANCER, ClusterSpec, VirtualIPSpec

_ENDPOINT = ("spec", "endpoint")
_VIRTUAL = (*_ENDPOINT, "virtualIP")


def endpoint_problems(building: Building, spec: ClusterSpec, topology: Topology) -> Iterator[Diagnostic]:
    """All of them; placed at the field that is to be changed."""
    given = spec.endpoint
    if given.address is not None and not is_address(given.address):
        summary = f"'{given.address}' is no IPv4 address"
        yield wrong(building, (*_ENDPOINT, "address"), summary, "A name goes into 'host'.")
        return
    if given.virtual_ip is not None:
        yield from _virtual(building, spec, given.virtual_ip, topology)
        return
    serving = topology.load_balancers or topology.control_planes
    what = "load balancers" if topology.load_balancers else "control planes"
    if len(serving) > 1 and given.host is None:
        advice = (
            "endpoint.virtualIP is an address that keepalived moves between them. Or name in endpoint.host "
            "what leads to them."
            if topology.load_balancers
            else "Name in endpoint.host what leads to them: an address that moves between them, or a name. "
            f"Or give one host the role {LOAD_BALANCER}, or several with endpoint.virtualIP."
        )
        yield wrong(building, (*_ENDPOINT, "host"), f"{len(serving)} {what} need an endpoint", advice)
    named = given.host is not None and not is_address(given.host) and given.resolve
    if named and given.address is None and len(serving) > 1:
        yield wrong(
            building,
            (*_ENDPOINT, "address"),
            f"nothing says which address {given.host} has",
            "Give endpoint.address, or say `resolve: false` if name servers know the name.",
        )
    if given.host is not None and is_address(given.host) and given.address is not None:
        yield wrong(
            building,
            (*_ENDPOINT, "address"),
            "endpoint.host is an address already",
            "Leave endpoint.address out.",
            key=True,
        )


def _virtual(
    building: Building, spec: ClusterSpec, given: VirtualIPSpec, topology: Topology
) -> Iterator[Diagnostic]:
    place = (*_VIRTUAL, "address")
    if not is_address(given.address):
        detail = "A name for it goes into endpoint.host."
        yield wrong(building, place, f"'{given.address}' is no IPv4 address", detail)
        return
    address = ipaddress.IPv4Address(given.address)
    if given.provider == "kube-vip":
        yield from _kubevip(building, spec, topology)
    elif not topology.load_balancers:
        yield wrong(
            building,
            _VIRTUAL,
            f"no host could have the address {address}",
            f"keepalived runs on hosts with the role {LOAD_BALANCER}: give it to two or more. Control planes "
            "may have it too, with another endpoint.port than 6443.",
            key=True,
        )
    if address.is_multicast or address.is_loopback or address.is_unspecified or address.is_reserved:
        yield wrong(building, place, f"{address} is no address that a host can have", "Take a free one.")
    for host in topology.hosts:
        if node_address(host) == given.address:
            detail = "Take one that is free, in the same network."
            yield wrong(building, place, f"{address} is the address of {host.name}", detail)
    for field, text in (("podCidr", spec.network.pod_cidr), ("serviceCidr", spec.network.service_cidr)):
        try:
            inside = address in ipaddress.IPv4Network(text)
        except ValueError:
            continue  # told with the networks
        if inside:
            summary = f"{address} is in the {field.removesuffix('Cidr')} network {text}"
            yield wrong(building, place, summary, "Take a free one in the network of the hosts.")
    yield from _twice(building, spec, given)


def _kubevip(building: Building, spec: ClusterSpec, topology: Topology) -> Iterator[Diagnostic]:
    """It leads to the API server of the host that has the address, and is a static pod."""
    place = (*_VIRTUAL, "provider")
    if spec.kubernetes.type == "binary":
        detail = (
            "Leave the provider out for keepalived: hosts get it that have the role " + LOAD_BALANCER + "."
        )
        yield wrong(building, place, "kube-vip is a static pod, and kubernetes.type: binary has none", detail)
        return
    if topology.load_balancers:
        names = ", ".join(host.name for host in topology.load_balancers)
        summary = f"kube-vip runs on control planes, and needs no load balancer ({names})"
        detail = (
            f"Take the role {LOAD_BALANCER} away, or leave the provider out for keepalived on these hosts."
        )
        yield wrong(building, place, summary, detail)
    if spec.endpoint.port != API_PORT:
        summary = f"with kube-vip the endpoint has the API servers' own port, {API_PORT}"
        yield wrong(building, (*_ENDPOINT, "port"), summary, "Leave endpoint.port out.", key=True)
    if spec.artifacts is None or spec.kubernetes.source == "packages":
        summary = "kube-vip's image comes from the artifacts"
        detail = "Name a directory in spec.artifacts that has its image, kube-vip, with those of Kubernetes."
        yield wrong(building, place, summary, detail)


def _twice(building: Building, spec: ClusterSpec, given: VirtualIPSpec) -> Iterator[Diagnostic]:
    """What else of the endpoint names an address."""
    for field, value in (("host", spec.endpoint.host), ("address", spec.endpoint.address)):
        if value is None or not is_address(value):
            continue
        summary = f"endpoint.virtualIP says already that the endpoint is {given.address}"
        detail = f"Leave endpoint.{field} out." + (" It may be a name." if field == "host" else "")
        yield wrong(building, (*_ENDPOINT, field), summary, detail, key=True)
