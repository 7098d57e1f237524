"""Which Kubernetes, and how its own parts are set up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.protection import AuditSpec, EncryptionSpec
from kubexms.spec.cluster.values import Arguments, ServedName, Source


class ComponentSpec(FrozenModel):
    """A component of the control plane."""

    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes: `{v: "2"}`. They win over what is set otherwise."""


class ApiServerSpec(ComponentSpec):
    """The API server."""

    cert_sans: tuple[ServedName, ...] = Field(default=(), alias="certSANs")
    """Further names and addresses that its certificate is valid for. The endpoint's are in it anyway, and on
    each control plane its own. A change has the certificate made anew."""
    audit: AuditSpec | None = None
    """Write down requests. Default: no."""


class KubeletSpec(FrozenModel):
    """The kubelet of every node."""

    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of the KubeletConfiguration: `{maxPods: 60}`. They win over what is set otherwise. A change
    restarts kubelets, in batches."""
    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes, for what the configuration has no field for."""


class KubernetesSpec(FrozenModel):
    """Which Kubernetes, and how its parts are set up."""

    version: str = Field(pattern=r"^v?1\.[0-9]{1,3}\.[0-9]{1,3}$")
    """The exact version, quoted: `"1.31.4"`. A later one is an upgrade, by one
    minor version at a time."""
    type: Literal["kubeadm", "binary"] = "kubeadm"
    """`kubeadm` makes the cluster, with static pods. `binary`: kubexms does, with authorities and
    certificates of its own and each part a systemd unit; its control planes are fixed when the cluster is
    made, unless etcd has hosts of its own. Cannot change later."""
    source: Source | None = None
    """Where kubeadm, kubelet, kubectl and the images come from: `artifacts`, the directory that is named in
    `artifacts`, or `packages`, repositories that the hosts know already (images are then pulled). Default:
    `artifacts` where such a directory is given."""
    image_repository: str | None = Field(default=None, pattern=r"^[^\s]+$")
    """Where the control plane's images come from. Default: what this version of kubeadm says itself."""
    schedulable_control_planes: bool = False
    """Control planes run ordinary pods too, from when they join. Say so for a cluster without workers."""
    api_server: ApiServerSpec = ApiServerSpec()
    controller_manager: ComponentSpec = ComponentSpec()
    scheduler: ComponentSpec = ComponentSpec()
    kubelet: KubeletSpec = KubeletSpec()
    encryption_at_rest: EncryptionSpec | None = None
    """Encrypt what the API server stores in etcd. Default: no."""

    @property
    def number(self) -> str:
        """The version without a leading `v`."""
        return self.version.removeprefix("v")


class KubeProxySpec(FrozenModel):
    """kube-proxy, which makes Services work."""

    enabled: bool = True
    """False: the pod network replaces it. A kube-proxy that is there already stays."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of the KubeProxyConfiguration: `{mode: ipvs}`. A change restarts kube-proxy, node by node."""


class DnsSpec(FrozenModel):
    """CoreDNS, as kubeadm brings it where it is not there."""

    enabled: bool = True
    """False: there is none, or an addon brings one. A CoreDNS that is there already stays."""
