"""What is wrong with the hosts of etcd: who is one, how many, and what has to be there for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubexms.builder.places import host_wrong, wrong
from kubexms.builder.topology import Topology
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.spec.cluster import ETCD, ClusterSpec
from kubexms.spec.inventory import Host

TYPE = ("spec", "etcd", "type")


def etcd_problems(building: Building, spec: ClusterSpec, topology: Topology) -> Iterator[Diagnostic]:
    """All of them; told at the field, or where a host is listed."""
    if not spec.etcd.external:
        yield from _even(building, "control planes", topology.control_planes)
        for host in topology.etcd:
            detail = "Say etcd.type: external to have etcd there, or take the role from the host."
            summary = f"{host.name} has the role {ETCD}, and etcd is on the control planes"
            yield host_wrong(building, host, summary, detail)
        return
    for host in topology.nodes:
        if ETCD in host.roles:
            what = "control plane" if host in topology.control_planes else "worker"
            detail = "With etcd.type: external it has hosts of its own: take one of the two roles from it."
            yield host_wrong(building, host, f"{host.name} is a {what} and has the role {ETCD}", detail)
    if not any(ETCD in host.roles for host in topology.hosts):
        detail = f"Give one, three or five hosts the role {ETCD}, in spec.hosts or in an Inventory."
        yield wrong(building, TYPE, f"no host has the role {ETCD}", detail)
    yield from _even(building, f"hosts with the role {ETCD}", topology.etcd)
    if spec.artifacts is None:
        detail = "Name a directory of artifacts in spec.artifacts, with the programs etcd and etcdctl."
        yield wrong(building, TYPE, "etcd on hosts of its own takes its programs from artifacts", detail)


def _even(building: Building, what: str, hosts: Sequence[Host]) -> Iterator[Diagnostic]:
    count = len(hosts)
    if count and count % 2 == 0:
        summary = f"{count} {what} make an even number of etcd members"
        detail = f"{count} survive no more failures than {count - 1}: take {count - 1} or {count + 1}."
        yield wrong(building, ("spec", "hosts"), summary, detail)
