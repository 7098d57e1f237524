"""The addresses of a cluster: of pods and Services, and of its API."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel


class NetworkSpec(FrozenModel):
    """Addresses of pods and services, and how pods reach each other. IPv4."""

    pod_cidr: str = "10.244.0.0/16"
    """Where pods get their addresses from; every node gets a part of it. Cannot change later."""
    service_cidr: str = "10.96.0.0/12"
    """Where Services get their addresses from. Cannot change later."""
    node_cidr_mask: int = Field(default=24, ge=16, le=28)
    """The size of the part that every node gets."""
    dns_domain: str = Field(default="cluster.local", pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    """The domain of Services. Cannot change later."""
    plugin: Literal["bridge", "manifest", "none"] = "bridge"
    """`bridge`: a bridge on each node and static routes between the nodes, which must be in one network; no
    image is needed. `manifest`: what `artifact` names (Calico, Cilium, Flannel). `none`: you bring one."""
    artifact: str | None = None
    """With `plugin: manifest`: the name of a manifest in the directory of artifacts."""
    artifact_version: str | None = None
    """Which, where the artifacts have several versions of it."""

    @model_validator(mode="after")
    def _plugin(self) -> Self:
        if self.plugin == "manifest" and self.artifact is None:
            raise PydanticCustomError("network_artifact", "'plugin: manifest' needs 'artifact'")
        given = self.artifact is not None or self.artifact_version is not None
        if given and (self.plugin != "manifest" or self.artifact is None):
            raise PydanticCustomError(
                "network_plugin", "'artifact' and 'artifactVersion' go with 'plugin: manifest'"
            )
        return self


class VirtualIPSpec(FrozenModel):
    """An address that is kept on one of several hosts, and moves when that one fails."""

    address: str
    """A free IPv4 address in the network of the hosts that may have it."""
    provider: Literal["keepalived", "kube-vip"] = "keepalived"
    """`keepalived` runs beside haproxy on the load balancers. `kube-vip` is a static pod on every control
    plane, so that there need be no load balancer; its image comes from the artifacts. It is made as its
    documentation says, and has not been run in the tests."""
    interface: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_.-]{0,14}$")
    """The interface that gets it. Default: on each host, the one that has the host's own address."""


class EndpointSpec(FrozenModel):
    """How everybody reaches the API server. Another one later is a change like others: the former
    one stays good until nobody needs it. With `kubernetes.type: binary` it cannot change."""

    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    """A name or an address. Default: `virtualIP.address`, else the load balancer's address where a host has
    that role, else that of the only control plane."""
    port: int = Field(default=6443, ge=1, le=65535)
    address: str | None = None
    """What the name in `host` stands for, written into the hosts file of every host. Default:
    `virtualIP.address`, else the address of the load balancer, else of the only control plane."""
    resolve: bool = True
    """False: name servers know the name already, and the hosts files say nothing of it."""
    virtual_ip: VirtualIPSpec | None = Field(default=None, alias="virtualIP")
    """An address that moves between the hosts with the role `load-balancer`, or between control planes."""
