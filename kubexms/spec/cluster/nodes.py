"""What nodes are: labels and taints; their systems, and what they must have."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.values import LabelKey, LabelValue


class Taint(FrozenModel):
    """What keeps pods away from a node that do not tolerate it."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class NodeSettings(FrozenModel):
    """Labels and taints of nodes. Others that are there stay."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    taints: tuple[Taint, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.labels and not self.taints:
            raise PydanticCustomError("node_settings", "give 'labels' or 'taints'")
        return self


class OperatingSystemSpec(FrozenModel):
    """What every node's system needs. Swap is always switched off."""

    packages: tuple[str, ...] = ("conntrack", "ebtables", "ethtool", "iptables", "socat")
    """Installed from the hosts' repositories; names as the distribution has them (`conntrack-tools` for RPM).
    Empty: nothing is installed."""
    kernel_modules: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ...] = ()
    """Loaded besides overlay, br_netfilter and what kube-proxy needs."""
    sysctls: dict[Annotated[str, Field(pattern=r"^[a-z0-9_./-]+$")], str] = Field(default_factory=dict)
    """Set besides those that Kubernetes needs: `{fs.inotify.max_user_instances: "8192"}`."""
    hosts_file: bool = True
    """Write every node into the hosts file of every node."""


class PreflightSpec(FrozenModel):
    """What hosts must have before anything is done to them, else the plan is an error. 0: anything does."""

    cpus: int = Field(default=2, ge=0)
    """Processors of a control plane."""
    control_plane_memory_mb: int = Field(default=1700, ge=0)
    """Memory of a control plane, in MiB."""
    worker_memory_mb: int = Field(default=700, ge=0)
    """Memory of a worker, in MiB."""
    disk_mb: int = Field(default=5000, ge=0)
    """Room below /var/lib before a host joins, in MiB."""
    clock_skew: int = Field(default=30, ge=0)
    """Seconds that a host's clock may differ from that of the machine which runs kubexms, roughly."""
