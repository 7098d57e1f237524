"""Who is who in a cluster: hosts by role, their addresses, and the endpoint that all of them use."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.spec.cluster import CONTROL_PLANE, ETCD, LOAD_BALANCER, NODE_ADDRESS, WORKER, ClusterSpec
from kubexms.spec.inventory import Host

API_PORT = 6443
"""The port of every API server."""


@dataclass(frozen=True)
class Topology:
    """The hosts of a cluster, in the order of the inventory."""

    control_planes: tuple[Host, ...]
    workers: tuple[Host, ...]
    load_balancers: tuple[Host, ...]
    etcd: tuple[Host, ...]
    """Hosts that etcd has for itself."""

    @classmethod
    def of(cls, hosts: Sequence[Host]) -> Topology:
        """Sorted by role; hosts without a role of a cluster are no part of it."""
        roles = (CONTROL_PLANE, WORKER, LOAD_BALANCER, ETCD)
        planes, workers, balancers, etcd = (tuple(h for h in hosts if role in h.roles) for role in roles)
        # stacked, with the role said where it is anyway
        return cls(planes, workers, balancers, tuple(h for h in etcd if h not in planes))

    @property
    def nodes(self) -> tuple[Host, ...]:
        """Control planes, then workers; a host that is both counts once, as a control plane."""
        return (*self.control_planes, *(h for h in self.workers if h not in self.control_planes))

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Every host of the cluster, once."""
        others = (*self.load_balancers, *(h for h in self.etcd if h not in self.load_balancers))
        return (*self.nodes, *(h for h in others if h not in self.nodes))

    @property
    def node_roles(self) -> tuple[str, ...]:
        """The roles that make a host a node, as far as hosts have them."""
        return (CONTROL_PLANE, WORKER) if self.workers else (CONTROL_PLANE,)

    @property
    def all_roles(self) -> tuple[str, ...]:
        """The roles that make a host part of the cluster, as far as hosts have them."""
        balancers, etcd = (LOAD_BALANCER,) if self.load_balancers else (), (ETCD,) if self.etcd else ()
        return (*self.node_roles, *balancers, *etcd)


def node_address(host: Host) -> str | None:
    """The host's address in the cluster; None where nothing says one."""
    given = host.vars.get(NODE_ADDRESS, host.connection.address or host.name)
    return given if isinstance(given, str) and is_address(given) else None


def is_address(value: str) -> bool:
    """Whether this is an IPv4 address rather than a name."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Endpoint:
    """Where the API is reached, by everybody."""

    host: str
    port: int
    address: str | None
    """What the hosts files say that `host` is; None: nothing."""

    @property
    def text(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


def endpoint_of(spec: ClusterSpec, topology: Topology) -> Endpoint | None:
    """The endpoint; None where the document leaves it open, which a check has told."""
    given = spec.endpoint
    serving = topology.load_balancers or topology.control_planes
    first = node_address(serving[0]) if len(serving) == 1 else None
    if given.virtual_ip is not None:
        first = given.virtual_ip.address
    host = given.host or first
    if host is None:
        return None
    if is_address(host):
        return Endpoint(host, given.port, None)
    address = given.address or first
    return Endpoint(host, given.port, address if given.resolve else None)
